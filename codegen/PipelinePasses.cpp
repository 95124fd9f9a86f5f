#include "codegen/PipelinePasses.h"
#include "codegen/RunStages.h"
#include "codegen/Target.h"
#include "mlir/Pass/PassManager.h"

using namespace mlir;

namespace ingot {

std::vector<std::string> pipelinePasses(Stage last) {
  std::vector<std::string> names;
  std::unique_ptr<MLIRContext> context = createContext();
  Result<std::shared_ptr<const Backend>> backend = parseTarget("cpu");
  last = std::min(last, Stage::Loops);
  for (Stage stage = Stage::Graph; backend && stage <= last; stage = Stage(int(stage) + 1)) {
    PassManager passes(context.get());
    // With the passes that run on demand.
    buildStage(passes, stage, TrainingOptions(), MemoryOptions{.packWeights = true}, **backend,
               {{"kernel", BlockChoice()}});
    for (Pass &pass : passes)
      if (std::string name = pass.getArgument().str(); !llvm::is_contained(names, name))
        names.push_back(name);
  }
  return names;
}

} // namespace ingot
