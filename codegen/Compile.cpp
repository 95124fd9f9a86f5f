#include "codegen/Compile.h"
#include "codegen/BuildId.h"
#include "codegen/EmitProgram.h"
#include "codegen/FitMemory.h"
#include "codegen/KernelCode.h"
#include "codegen/ProgramCache.h"
#include "codegen/Target.h"
#include "ir/Diagnostics.h"
#include "ir/Graph.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "passes/Dialects.h"
#include "passes/Passes.h"
#include <chrono>
#include <filesystem>
#include <fstream>

using namespace mlir;

namespace ingot {
namespace {

using Clock = std::chrono::steady_clock;

double millisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

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

std::string printed(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module->print(stream, OpPrintingFlags().enableDebugInfo());
  return text;
}

std::string describe(const std::optional<TrainingOptions> &training) {
  if (!training)
    return "inference";
  return fmt::format(
      "loss {} optimizer {} betas {} {} epsilon {} decay {} momentum {} clip {} accumulate {}",
      int(training->loss), int(training->optimizer), training->beta1, training->beta2,
      training->epsilon, training->decay(), training->momentum, training->clip,
      training->accumulate);
}

std::string describe(const MemoryOptions &memory) {
  return fmt::format(
      "budget {} largest tensor {} least recomputed {} smallest {} heavy {} in a row {}",
      memory.budget, memory.largestTensor, memory.leastRecomputed, memory.smallestRecomputed,
      memory.heavyRecomputed, memory.recomputedInRow);
}

ProgramKey keyOf(ModuleOp model, const CompileOptions &options, const CpuTarget &target) {
  return {{{"model", contentHash(printed(model))},
           {"options", describe(options.training)},
           {"memory", describe(options.memory)},
           {"target", fmt::format("{} {} caches {} {}", target.cpu, contentHash(target.features),
                                  target.l1Bytes, target.l2Bytes)},
           {"compiler", compilerBuildId()}}};
}

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

Status checkDumpOptions(const CompileOptions &options) {
  for (const std::string &pass : options.printAfter)
    if (!PassInfo::lookup(pass))
      return ingot::failure(Error::Code::Usage, "--print-after", "there is no pass '{}'", pass);
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
                       const MachineShape &machine, TimingScope &timing, int &dumps) {
  PassManager passes(module.getContext());
  passes.enableVerifier(false); // every stage ends in its own verifier
  buildStage(passes, stage, options.training, options.memory, machine);
  passes.enableTiming(timing);
  if (!options.dumpDirectory.empty())
    passes.addInstrumentation(std::make_unique<NumberedDump>(options.dumpDirectory, dumps));
  if (!options.printAfter.empty())
    passes.enableIRPrinting([](Pass *, Operation *) { return false; },
                            [&](Pass *pass, Operation *) {
                              return llvm::is_contained(options.printAfter,
                                                        pass->getArgument().str());
                            });
  if (failed(passes.run(module)))
    return mlir::failure();
  if (stage == Stage::Train)
    module->setAttr("graph.operators",
                    Builder(module.getContext()).getI64IntegerAttr(countOperators(module)));
  std::string_view reached = name(stage);
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
  return context;
}

Stage stageOf(ModuleOp module) {
  auto attr = module->getAttrOfType<StringAttr>("graph.stage");
  Result<Stage> stage = attr ? parseStage(std::string_view(attr.getValue())) : Stage::Graph;
  return stage.value_or(Stage::Graph);
}

Result<OwningOpRef<ModuleOp>> lowerTo(Stage stage, ModuleOp model, const CompileOptions &options) {
  INGOT_TRY(checkDumpOptions(options));
  INGOT_ASSIGN(CpuTarget target, CpuTarget::parse(options.target));
  const MachineShape machine = target.machine();
  CompileOptions fitted = options;
  if (options.memory.budget > 0 && stageOf(model) < Stage::Linalg && stage >= Stage::Linalg) {
    INGOT_ASSIGN(fitted.memory, fitMemory(model, options));
  }
  OwningOpRef<ModuleOp> module = model.clone();
  DiagnosticCollector diagnostics(*module->getContext());
  if (failed(verify(*module)))
    return tl::unexpected(
        diagnostics.error(Error::Code::BadInput, "a pass failed without saying why"));
  DefaultTimingManager timer;
  timer.setEnabled(options.timing);
  TimingScope timing = timer.getRootScope();
  int dumps = 0;
  // A module that came in as `graph` is simplified first; any later one resumes behind its stage.
  Stage from = stageOf(model);
  for (Stage next = from == Stage::Graph ? from : Stage(int(from) + 1); next <= stage;
       next = Stage(int(next) + 1)) {
    if (failed(runStage(next, *module, fitted, machine, timing, dumps)))
      return tl::unexpected(
          diagnostics.error(Error::Code::BadInput, "a pass failed without saying why"));
  }
  return module;
}

Result<std::string> printStage(Stage stage, ModuleOp model, const CompileOptions &options) {
  INGOT_ASSIGN(OwningOpRef<ModuleOp> module, lowerTo(std::min(stage, Stage::Plan), model, options));
  if (stage <= Stage::Plan) {
    std::string text;
    llvm::raw_string_ostream(text) << *module;
    return text;
  }
  INGOT_ASSIGN(CpuTarget target, CpuTarget::parse(options.target));
  return kernelsAsLlvm(*module, target);
}

Result<Program> compile(ModuleOp model, const CompileOptions &options, CompileReport *report) {
  auto start = Clock::now();
  CompileReport local;
  CompileReport &done = report ? *report : local;
  done = {};
  INGOT_ASSIGN(CpuTarget target, CpuTarget::parse(options.target));

  bool observed = options.timing || !options.dumpDirectory.empty() || !options.printAfter.empty();
  DiskCache disk(options.cacheDirectory);
  ProgramCache cache(disk);
  ProgramKey key = keyOf(model, options, target);
  if (!observed) {
    if (std::optional<Program> program = cache.get(key)) {
      done.programCached = true;
      done.milliseconds = millisecondsSince(start);
      return std::move(*program);
    }
    done.cacheMiss = cache.explainMiss(key);
  } else {
    done.cacheMiss = "the passes run because their output was asked for";
  }

  INGOT_ASSIGN(OwningOpRef<ModuleOp> planned, lowerTo(Stage::Plan, model, options));
  INGOT_ASSIGN(Program program, emitProgram(*planned));
  INGOT_ASSIGN(KernelCodeReport code, generateKernelCode(*planned, target, disk, options, program));
  done.kernelsCompiled = code.compiled;
  done.kernelsCached = code.cached;
  program.target = target.name();
  program.features = target.required;
  INGOT_TRY(program.validate());
  cache.put(key, program);
  done.milliseconds = millisecondsSince(start);
  return program;
}

} // namespace ingot
