#include "codegen/RunStages.h"
#include "codegen/Cancel.h"
#include "codegen/Target.h"
#include "ir/dialect/Diagnostics.h"
#include "ir/dialect/Graph.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "passes/Dialects.h"
#include "passes/Passes.h"
#include "passes/options/CheckTraining.h"
#include <filesystem>

using namespace mlir;

namespace ingot {
namespace {

/// Writes the module after every pass to DIRECTORY/NN-pass.mlir.
class NumberedDump : public PassInstrumentation {
public:
  NumberedDump(std::string directory, int &count) : directory(std::move(directory)), count(count) {}

  void runAfterPass(Pass *pass, Operation *op) override {
    if (pass->getArgument().empty() || !isa<ModuleOp>(op))
      return;
    std::string path =
        fmt::format("{}/{:02}-{}.mlir", directory, count++, pass->getArgument().str());
    std::error_code error;
    llvm::raw_fd_ostream file(path, error);
    if (error)
      llvm::errs() << path << ": " << error.message() << "\n";
    else
      op->print(file);
  }

private:
  std::string directory;
  int &count; ///< over all stages
};

/// Graph ops of the busiest function.
int64_t countOperators(ModuleOp module) {
  int64_t most = 0;
  for (auto function : module.getOps<func::FuncOp>()) {
    int64_t count = 0;
    function.walk([&](Operation *op) { count += isa<graph::GraphDialect>(op->getDialect()); });
    most = std::max(most, count);
  }
  return most;
}

Status makeDumpDirectory(const CompileOptions &options) {
  if (options.dumpDirectory.empty())
    return {};
  std::error_code error;
  std::filesystem::create_directories(options.dumpDirectory, error);
  if (error)
    return ingot::failure(Error::Code::Io, options.dumpDirectory, "cannot create the directory: {}",
                          error.message());
  return {};
}

/// Runs the passes of one stage.
LogicalResult runStage(Stage stage, ModuleOp module, const CompileOptions &options,
                       const Backend &backend, TimingScope &timing, int &dumps) {
  PassManager passes(module.getContext());
  passes.enableVerifier(false); // every stage ends in its own verifier
  buildStage(passes, stage, options.training, options.memory, backend, options.tuning.blocks);
  // By stage: MLIR tells passes apart by their addresses, and those of a stage before are free
  // again.
  TimingScope stageTiming = timing.nest(StringRef(enumName(stage)));
  passes.enableTiming(stageTiming);
  if (!options.dumpDirectory.empty())
    passes.addInstrumentation(std::make_unique<NumberedDump>(options.dumpDirectory, dumps));
  if (!options.printAfter.empty())
    passes.enableIRPrinting([](Pass *, Operation *) { return false; },
                            [&](Pass *pass, Operation *) {
                              return llvm::is_contained(options.printAfter,
                                                        pass->getArgument().str());
                            },
                            /*printModuleScope=*/true, /*printAfterOnlyOnChange=*/false);
  if (failed(passes.run(module)))
    return mlir::failure();
  if (stage == Stage::Train)
    module->setAttr("graph.operators",
                    Builder(module.getContext()).getI64IntegerAttr(countOperators(module)));
  std::string_view reached = enumName(stage);
  module->setAttr("graph.stage",
                  StringAttr::get(module.getContext(), StringRef(reached.data(), reached.size())));
  return success();
}

} // namespace

std::unique_ptr<MLIRContext> createContext() {
  DialectRegistry registry;
  registerDialects(registry);
  auto context = std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  context->loadAllAvailableDialects();
  context->printOpOnDiagnostic(false); // an error names the model's node, it does not print IR
  return context;
}

Stage stageOf(ModuleOp module) {
  auto attr = module->getAttrOfType<StringAttr>("graph.stage");
  Result<Stage> stage = attr ? parseStage(std::string_view(attr.getValue())) : Stage::Graph;
  return stage.value_or(Stage::Graph);
}

Result<OwningOpRef<ModuleOp>> runStages(Stage stage, ModuleOp model,
                                        const CompileOptions &options) {
  if (stage < stageOf(model))
    return ingot::failure(Error::Code::Usage, placeOf(model->getLoc()),
                          "holds stage {}, and no stage goes back to {}", enumName(stageOf(model)),
                          enumName(stage));
  if (options.training)
    INGOT_TRY(checkTraining(*options.training));
  INGOT_TRY(makeDumpDirectory(options));
  INGOT_ASSIGN(std::shared_ptr<const Backend> backend, parseTarget(options.target));
  OwningOpRef<ModuleOp> module = model.clone();
  DiagnosticCollector diagnostics(*module->getContext());
  if (failed(verify(*module)))
    return tl::unexpected(
        diagnostics.error(Error::Code::BadInput, "a pass failed without saying why"));
  DefaultTimingManager timer;
  timer.setEnabled(options.timing);
  TimingScope timing = timer.getRootScope();
  int dumps = 0;
  CancelScope cancel(*module->getContext(), options);
  // A module that came in as `graph` is simplified first; any later one continues after its stage.
  Stage from = stageOf(model);
  for (Stage next = from == Stage::Graph ? from : Stage(int(from) + 1); next <= stage;
       next = Stage(int(next) + 1)) {
    const LogicalResult outcome = runStage(next, *module, options, *backend, timing, dumps);
    INGOT_TRY(checkStop(options));
    if (failed(outcome))
      return tl::unexpected(
          diagnostics.error(Error::Code::BadInput, "a pass failed without saying why"));
  }
  return module;
}

} // namespace ingot
