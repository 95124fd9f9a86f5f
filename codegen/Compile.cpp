#include "codegen/Compile.h"
#include "codegen/EmitProgram.h"
#include "codegen/FitMemory.h"
#include "codegen/KernelCode.h"
#include "codegen/cache/BuildId.h"
#include "codegen/cache/ProgramCache.h"
#include "codegen/cpu/Target.h"
#include <chrono>

using namespace mlir;

namespace ingot {
namespace {

using Clock = std::chrono::steady_clock;

double millisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

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
  auto text = [](const std::optional<int64_t> &bytes) {
    return bytes ? std::to_string(*bytes) : std::string("derived");
  };
  return fmt::format(
      "budget {} largest tensor {} least recomputed {} smallest {} heavy {} stride {}",
      memory.budget, text(memory.largestTensor), text(memory.leastRecomputed),
      text(memory.smallestRecomputed), memory.heavyRecomputed, memory.checkpointStride);
}

std::string describe(const BlockChoices &blocks) {
  if (blocks.empty())
    return "off";
  std::string text;
  for (const auto &[kernel, choice] : blocks)
    text += kernel + " " + choice.text() + "\n";
  return contentHash(text);
}

ProgramKey keyOf(ModuleOp model, const CompileOptions &options, const CpuTarget &target) {
  return {{{"model", contentHash(printed(model))},
           {"options", describe(options.training)},
           {"memory", describe(options.memory)},
           {"target", fmt::format("{} {} caches {} {}", target.cpu, contentHash(target.features),
                                  target.l1Bytes, target.l2Bytes)},
           {"tuning", describe(options.tuning.blocks)},
           {"compiler", compilerBuildId()}}};
}

} // namespace

Result<OwningOpRef<ModuleOp>> lowerTo(Stage stage, ModuleOp model, const CompileOptions &options) {
  CompileOptions fitted = options;
  if (options.memory.budget > 0 && stageOf(model) < Stage::Linalg && stage >= Stage::Linalg) {
    INGOT_ASSIGN(fitted.memory, fitMemory(model, options));
  }
  return runStages(stage, model, fitted);
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

namespace {

void finish(CompileReport &report, const Program &program, Clock::time_point start) {
  report.kernelsTuned =
      llvm::count_if(program.kernels, [](const Kernel &kernel) { return !kernel.tuned.empty(); });
  report.milliseconds = millisecondsSince(start);
}

} // namespace

Result<Program> compile(ModuleOp model, const CompileOptions &options, CompileReport *report) {
  auto start = Clock::now();
  CompileReport local;
  CompileReport &done = report ? *report : local;
  done = {};
  done.note = options.tuning.note;
  INGOT_ASSIGN(CpuTarget target, CpuTarget::parse(options.target));

  bool observed = options.timing || !options.dumpDirectory.empty() || !options.printAfter.empty();
  DiskCache disk(options.cacheDirectory);
  ProgramCache cache(disk);
  ProgramKey key = keyOf(model, options, target);
  if (!observed) {
    if (std::optional<Program> program = cache.get(key)) {
      done.programCached = true;
      finish(done, *program, start);
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
  finish(done, program, start);
  return program;
}

} // namespace ingot
