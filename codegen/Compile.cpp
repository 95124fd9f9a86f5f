#include "codegen/Compile.h"
#include "codegen/EmitProgram.h"
#include "codegen/FitMemory.h"
#include "codegen/KernelCode.h"
#include "codegen/Target.h"
#include "codegen/cache/BuildId.h"
#include "codegen/cache/ProgramCache.h"
#include "ir/dialect/Sizes.h"
#include "runtime/support/Print.h"
#include <chrono>

using namespace mlir;

namespace ingot {
namespace {

using Clock = std::chrono::steady_clock;

double millisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// Identifies a module with its locations. Large constants are not printed: each is hashed once.
std::string moduleHash(ModuleOp module) {
  constexpr int64_t largest = 16; // elements that are printed
  std::string text;
  llvm::raw_string_ostream stream(text);
  module->print(stream, OpPrintingFlags().enableDebugInfo().elideLargeElementsAttrs(largest));
  llvm::DenseMap<Attribute, std::string> hashes;
  module->walk([&](Operation *op) {
    op->getAttrDictionary().walk([&](DenseElementsAttr constant) {
      if (constant.getNumElements() <= largest)
        return;
      auto [known, isNew] = hashes.try_emplace(constant);
      if (isNew) {
        ArrayRef<char> bytes = constant.getRawData();
        known->second = contentHash({bytes.data(), bytes.size()});
      }
      text += known->second;
    });
  });
  return contentHash(text);
}

} // namespace

ProgramKey programKey(ModuleOp model, const CompileOptions &options, const Backend &backend) {
  constexpr size_t longest = 400; // of what a person reads when a miss is explained
  ProgramKey key;
  key.parts.emplace_back("model", moduleHash(model));
  auto resolved = options;
  if (resolved.training)
    resolved.training = resolved.training->resolved();
  CompileOptions::fields(resolved, [&](const Field &field, const auto &value) {
    if (!field.shapes)
      return;
    std::string text = fieldText(value);
    key.parts.emplace_back(field.name, text.size() > longest ? contentHash(text) : text);
  });
  key.parts.emplace_back("machine", backend.name() + " " + contentHash(backend.identity()));
  key.parts.emplace_back("compiler", compilerBuildId());
  return key;
}

Result<OwningOpRef<ModuleOp>> lowerTo(Stage stage, ModuleOp model, const CompileOptions &options) {
  CompileOptions fitted = options;
  if (options.memory.budget > 0 && stageOf(model) < Stage::Linalg && stage >= Stage::Linalg) {
    INGOT_ASSIGN(fitted.memory, fitMemory(model, options));
  }
  return runStages(stage, model, fitted);
}

Result<std::string> printStage(Stage stage, ModuleOp model, const CompileOptions &options) {
  if (stage == Stage::Ptx) {
    if (!llvm::StringRef(options.target).starts_with("cuda"))
      return ingot::failure(Error::Code::Usage, "--emit", "stage ptx is of cuda targets, not of {}",
                            options.target);
    INGOT_ASSIGN(Program program, compile(model, options));
    const std::vector<uint8_t> &text = program.objects.front().bytes;
    return std::string(text.begin(), text.end());
  }
  if (stage > Stage::Loops) {
    INGOT_ASSIGN(OwningOpRef<ModuleOp> planned,
                 lowerTo(std::max(stageOf(model), Stage::Plan), model, options));
    INGOT_ASSIGN(std::shared_ptr<const Backend> backend, parseTarget(options.target));
    return kernelsAsCode(*planned, *backend);
  }
  INGOT_ASSIGN(OwningOpRef<ModuleOp> module, lowerTo(stage, model, options));
  std::string text;
  // With locations, so that node names survive printing and parsing.
  llvm::raw_string_ostream stream(text);
  module->print(stream, OpPrintingFlags().enableDebugInfo());
  return text + '\n';
}

namespace {

void finish(CompileReport &report, const Program &program, Clock::time_point start) {
  report.kernelsTuned =
      llvm::count_if(program.kernels, [](const Kernel &kernel) { return !kernel.tuned.empty(); });
  report.milliseconds = millisecondsSince(start);
}

} // namespace

/// Turns a planned module into a program without machine code.
static Result<Program> emitPlanned(ModuleOp planned, const Backend &backend, int64_t arenaLimit) {
  INGOT_ASSIGN(Program program, emitProgram(planned, backend));
  const int64_t limit = std::min(arenaLimit, graph::largestTensorBytes);
  if (program.arenaBytes < 0 || program.arenaBytes > limit)
    return failure(Error::Code::Unsupported, "",
                   "the program needs {:.1f} GB of memory, and at most {:.1f} GB can be used",
                   double(program.arenaBytes) / 1e9, double(limit) / 1e9);
  return program;
}

Result<Program> planProgram(ModuleOp model, const CompileOptions &options) {
  INGOT_ASSIGN(std::shared_ptr<const Backend> backend, parseTarget(options.target));
  INGOT_ASSIGN(OwningOpRef<ModuleOp> planned, lowerTo(Stage::Plan, model, options));
  return emitPlanned(*planned, *backend, graph::largestTensorBytes);
}

Result<Program> compile(ModuleOp model, const CompileOptions &options, CompileReport *report,
                        int64_t arenaLimit) {
  auto start = Clock::now();
  CompileReport local;
  CompileReport &done = report ? *report : local;
  done = {};
  done.note = options.tuning.note;
  INGOT_ASSIGN(std::shared_ptr<const Backend> backend, parseTarget(options.target));

  bool observed = options.timing || !options.dumpDirectory.empty() || !options.printAfter.empty();
  DiskCache disk(options.cacheDirectory);
  ProgramCache cache(disk);
  ProgramKey key = programKey(model, options, *backend);
  if (!observed) {
    if (std::optional<Program> program = cache.get(key)) {
      done.programCached = true;
      finish(done, *program, start);
      return std::move(*program);
    }
    done.cacheMiss = cache.explainMiss(key);
  } else {
    done.cacheMiss = "the passes run because their output is wanted";
  }

  INGOT_ASSIGN(OwningOpRef<ModuleOp> planned,
               lowerTo(std::max(stageOf(model), Stage::Plan), model, options));
  INGOT_ASSIGN(Program program, emitPlanned(*planned, *backend, arenaLimit));
  INGOT_ASSIGN(done.kernels, generateKernelCode(*planned, *backend, disk, options, program));
  if (options.timing)
    print(stderr, "kernels: {} scheduled, {} emitted, {} from the cache\n", done.kernels.scheduled,
          done.kernels.emitted, done.kernels.cached);
  program.target = backend->name();
  program.features = backend->requirements();
  INGOT_TRY(program.validate());
  cache.put(key, program);
  done.cacheProblem = disk.problem();
  finish(done, program, start);
  return program;
}

} // namespace ingot
