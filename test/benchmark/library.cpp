/// The compiler and one session behind a C interface, so that a peer's interpreter can call
/// Ingot's kernels in its own process, turn by turn with its own: see kernels.py.
///
/// Functions return null or -1 on an error, which `ingot_error` then describes.
#include "codegen/Compile.h"
#include "codegen/cache/DiskCache.h"
#include "frontend/api/LoadedModel.h"
#include "frontend/api/ModelModule.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"
#include "runtime/cpu/CpuInfo.h"
#include "runtime/cpu/MachineLimits.h"
#include "runtime/support/Json.h"
#include "runtime/training/Summary.h"
#include <chrono>

using namespace ingot;
using nlohmann::json;

#define INGOT_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

struct Compiled {
  LoadedModel loaded;
  std::string description;
};

std::string lastError;

/// Makes @forward, which returns a loss, return its parameters' gradients too; of a loss Σ y·dy,
/// which stands for a cotangent dy, the value y remains.
Status takeGradients(mlir::ModuleOp module) {
  DiagnosticCollector diagnostics(*module.getContext());
  module.lookupSymbol<mlir::func::FuncOp>("forward").setName("evaluate");
  mlir::PassManager passes(module.getContext());
  passes.addPass(createDifferentiate());
  if (failed(passes.run(module)))
    return tl::unexpected(diagnostics.error(Error::Code::BadInput, "no gradients"));
  auto gradients = module.lookupSymbol<mlir::func::FuncOp>("gradients");
  mlir::Operation *end = gradients.getBody().front().getTerminator();
  if (auto sum = end->getOperand(0).getDefiningOp<graph::ReduceOp>())
    if (auto product = sum->getOperand(0).getDefiningOp<graph::MulOp>()) {
      mlir::Value value = product->getOperand(0);
      end->setOperand(0, value);
      llvm::SmallVector<mlir::Type> results(gradients.getResultTypes());
      results[0] = value.getType();
      gradients.setType(
          mlir::FunctionType::get(module.getContext(), gradients.getArgumentTypes(), results));
      gradients.setResultAttr(0, "graph.name", mlir::StringAttr::get(module.getContext(), "y"));
    }
  module.lookupSymbol("evaluate")->erase();
  gradients.setName("forward");
  return {};
}

/// A program with what a benchmark asks about it.
std::unique_ptr<Compiled> described(LoadedModel loaded) {
  auto compiled = std::make_unique<Compiled>();
  compiled->loaded = std::move(loaded);
  const Function &forward = compiled->loaded.session->program().functions.at(0);
  json ports = json::array();
  for (const Port &port : forward.ports)
    ports.push_back({{"name", port.name}, {"role", name(port.role)}, {"bytes", port.bytes()}});
  double flops = 0;
  for (const Step &step : forward.steps)
    if (auto *call = std::get_if<CallStep>(&step.node))
      flops += compiled->loaded.session->program().kernels[call->kernel].flops;
  compiled->description =
      toText({{"ports", ports}, {"flops", flops}, {"launches", countLaunches(forward)}});
  return compiled;
}

Result<std::unique_ptr<Compiled>> compileText(const char *text, bool gradients, int threads) {
  INGOT_ASSIGN(Model model, Model::parse(text));
  mlir::OwningOpRef<mlir::ModuleOp> module = moduleOf(model).clone();
  if (gradients)
    INGOT_TRY(takeGradients(*module));
  CompileOptions options;
  options.cacheDirectory = DiskCache::defaultDirectory();
  INGOT_ASSIGN(Program program, compile(*module, options));
  INGOT_ASSIGN(LoadedModel loaded, loadProgram(std::move(program), "cpu", threads));
  return described(std::move(loaded));
}

/// The model of a file with its parameters, for inference.
Result<std::unique_ptr<Compiled>> loadFile(const char *path, const char *cache, int threads) {
  INGOT_ASSIGN(Model model, Model::load(path));
  CompileOptions options;
  options.cacheDirectory = cache;
  options.memory.packWeights = true;
  INGOT_ASSIGN(LoadedModel loaded, loadModel(model, options, "cpu", threads));
  return described(std::move(loaded));
}

const Port *portOf(const Compiled &compiled, const char *name) {
  const Port *port = compiled.loaded.session->program().functions.at(0).port(name);
  if (!port)
    lastError = fmt::format("there is no port {}", name);
  return port;
}

template <typename T> int statusOf(const Result<T> &result) {
  if (result)
    return 0;
  lastError = result.error().text();
  return -1;
}

} // namespace

INGOT_EXPORT const char *ingot_error() { return lastError.c_str(); }

/// Compiles @forward of graph IR, with the gradients of its parameters if they are wanted.
INGOT_EXPORT Compiled *ingot_open(const char *text, int gradients, int threads) {
  auto compiled = compileText(text, gradients, threads);
  return statusOf(compiled) ? nullptr : compiled->release();
}

/// Compiles the model of a file, for inference with the file's parameters; `cache` is a folder.
INGOT_EXPORT Compiled *ingot_load(const char *path, const char *cache, int threads) {
  auto compiled = loadFile(path, cache, threads);
  return statusOf(compiled) ? nullptr : compiled->release();
}
INGOT_EXPORT void ingot_close(Compiled *compiled) { delete compiled; }

/// JSON: ports with their bytes, operations and launches of a run.
INGOT_EXPORT const char *ingot_describe(const Compiled *compiled) {
  return compiled->description.c_str();
}

INGOT_EXPORT int ingot_write(Compiled *compiled, const char *name, const void *data) {
  const Port *port = portOf(*compiled, name);
  if (!port)
    return -1;
  Tensor value(port->type, port->shape);
  std::memcpy(value.data(), data, value.bytes());
  return statusOf(compiled->loaded.session->write("forward", name, value));
}

INGOT_EXPORT int ingot_read(const Compiled *compiled, const char *name, void *data) {
  if (!portOf(*compiled, name))
    return -1;
  Result<Tensor> value = compiled->loaded.session->read("forward", name);
  if (value)
    std::memcpy(data, value->data(), value->bytes());
  return statusOf(value);
}

/// Seconds of `times` runs.
INGOT_EXPORT double ingot_run(Compiled *compiled, int64_t times) {
  auto start = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < times; ++i)
    if (Status done = compiled->loaded.session->run("forward"); !done)
      return statusOf(done);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// JSON: what the machine can do on so many threads; see MachineLimits.h.
INGOT_EXPORT const char *ingot_machine(int threads) {
  static std::string text;
  MachineLimits limits = measureMachine(threads);
  json levels = json::array();
  for (const MachineLimits::Level &level : limits.levels)
    levels.push_back(
        {{"name", level.name}, {"bytes", level.bytes}, {"bandwidth", level.bandwidth}});
  text = toText({{"model", cpuInfo().model},
                 {"cpus", usableCpus()},
                 {"threads", limits.threads},
                 {"flops", limits.flops},
                 {"bf16_flops", limits.bf16Flops},
                 {"read_bandwidth", limits.readBandwidth},
                 {"copy_bandwidth", limits.copyBandwidth},
                 {"levels", levels}});
  return text.c_str();
}
