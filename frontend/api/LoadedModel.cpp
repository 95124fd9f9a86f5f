#include "frontend/api/LoadedModel.h"
#include "codegen/ReleaseMemory.h"
#include "codegen/cuda/CudaTarget.h"
#include "codegen/cuda/MachineCode.h"
#include "frontend/api/ModelModule.h"
#include "frontend/check/ReferenceDevice.h"
#include "passes/Passes.h"
#include "passes/training/Optimizers.h"
#include "runtime/support/Print.h"
#include "runtime/support/UsableMemory.h"
#include <set>

namespace ingot {

Result<Model> withInitializers(const Model &model) {
  auto impl = std::make_shared<Model::Impl>(model.internals().context);
  impl->module = moduleOf(model).clone();
  impl->weights = model.internals().weights;
  DiagnosticCollector diagnostics(*impl->context);
  mlir::PassManager passes(impl->context.get());
  passes.addPass(createAddInitializers());
  if (failed(passes.run(*impl->module)))
    return tl::unexpected(
        diagnostics.error(Error::Code::BadInput, "the parameters cannot be initialised"));
  return Model(std::move(impl));
}

namespace {

/// Writes what came with the model's file through a function that has the parameter. What the store
/// brought stays as it is.
Status writeWeights(Session &session, const Weights &weights,
                    const std::vector<std::string> &brought) {
  std::set<std::string_view> written(brought.begin(), brought.end());
  for (const Function &function : session.program().functions)
    for (const Port &port : function.ports)
      if (auto value = weights.find(port.name);
          isSaved(port.role) && value != weights.end() && written.insert(port.name).second)
        INGOT_TRY(session.write(function.name, port.name, value->second));
  return {};
}

/// What a GPU runs, made by NVRTC and kept in the cache, so that its driver compiles nothing. Code
/// for one architecture alone stays for it; portable code becomes that of the GPU's own. What is
/// left to the driver, and why, goes to stderr.
void addMachineCodeFor(const std::string &device, const CompileOptions &options, Program &program) {
  const Result<CudaTarget> target = CudaTarget::parse(program.target);
  if (!target || device == "cuda:emulated")
    return;
  for (const DeviceInfo &info : listDevices()) {
    if (info.name != device || info.features.empty())
      continue;
    const Result<MachineCodeReport> report = addMachineCode(
        program, target->architecture.ends_with("a") ? target->architecture : info.features.front(),
        DiskCache(options.cacheDirectory), options.threads);
    if (!report)
      print(stderr, "note: the driver compiles the kernels: {}\n", report.error().message);
    else
      for (const std::string &remark : report->remarks)
        print(stderr, "note: {}\n", remark);
  }
}

Status checkThreads(int threads) {
  if (threads < 0)
    return failure(Error::Code::Usage, "Options::threads", "{} is not 0 or more", threads);
  return {};
}

} // namespace

Status requireValues(const Model &model, const std::string &place) {
  for (const ModelPort &port : model.ports())
    if (port.initializer == "file" && !model.weights().contains(port.name))
      return failure(Error::Code::BadInput, place,
                     "holds no values of its parameters ('{}', …): they came with the file that it "
                     "was made from",
                     port.name);
  return {};
}

std::string targetFor(std::string_view device, const std::string &target) {
  return device.starts_with("cuda") && target == "cpu" ? "cuda:sm_80" : target;
}

Status checkFits(const Model &model, const CompileOptions &options) {
  const int64_t usable = usableMemory();
  std::optional<TrainingOptions> training;
  if (options.training)
    training = options.training->resolved();
  double parameters = 0, state = 0, others = 0;
  auto bytesOf = [](const ModelPort &port, llvm::ArrayRef<int64_t> shape) {
    double bytes = double(byteSize(port.type));
    for (int64_t size : shape)
      bytes *= double(std::max<int64_t>(size, 1)); // an unknown size is 1 at least
    return bytes;
  };
  for (const ModelPort &port : model.ports()) {
    const double bytes = bytesOf(port, port.shape);
    (port.role == Role::Parameter ? parameters : others) +=
        port.role == Role::Output && training ? 0 : bytes;
    if (!training || port.role != Role::Parameter)
      continue;
    const OptimizerRow &row = rowOf(training->optimizer);
    for (const StateTensor &one : row.state(*training, port.shape, row.takesWhole(port.shape)))
      state += bytesOf(port, one.shape);
  }
  const double needed = parameters + state + others;
  if (needed <= double(usable))
    return {};
  return failure(Error::Code::Unsupported, "",
                 "the model needs more than {:.1f} GB of memory (parameters{} {:.1f} GB, inputs{} "
                 "{:.1f} GB), and this process may use {:.1f} GB",
                 needed / 1e9, state > 0 ? " and optimizer state" : "", (parameters + state) / 1e9,
                 training ? "" : " and outputs", others / 1e9, double(usable) / 1e9);
}

Result<LoadedModel> loadProgram(Program program, const std::string &device, int threads,
                                std::shared_ptr<Store> store, std::shared_ptr<Device> opened) {
  LoadedModel loaded;
  INGOT_TRY(checkThreads(threads));
  if (device == "reference")
    return failure(Error::Code::Usage, "Options::device",
                   "the reference runs models, not compiled programs");
  loaded.device = std::move(opened);
  if (!loaded.device) {
    INGOT_ASSIGN(loaded.device, openDevice(device, {threads}).map_error([](Error error) {
      if (error.place.empty())
        error.place = "Options::device";
      return error;
    }));
  }
  INGOT_ASSIGN(
      loaded.session,
      loaded.device->load(std::make_shared<const Program>(std::move(program)), std::move(store)));
  return loaded;
}

Result<LoadedModel> loadModel(const Model &model, const CompileOptions &options,
                              const std::string &device, int threads, bool initializers,
                              std::shared_ptr<Store> store, std::shared_ptr<Device> opened) {
  if (initializers && !options.training) {
    INGOT_ASSIGN(Model initialised, withInitializers(model));
    return loadModel(initialised, options, device, threads, false, std::move(store),
                     std::move(opened));
  }
  INGOT_TRY(checkThreads(threads));
  INGOT_TRY(checkFits(model, options));
  if (device == "reference") {
    if (store)
      return failure(Error::Code::Unsupported, "Options::device",
                     "the reference keeps its parameters to itself: it shares no store");
    LoadedModel loaded;
    INGOT_ASSIGN(loaded.session, openReferenceSession(model, options));
    INGOT_TRY(writeWeights(*loaded.session, model.weights(), {}));
    return loaded;
  }
  const std::vector<std::string> brought = store ? store->names() : std::vector<std::string>();
  CompileReport report;
  INGOT_ASSIGN(Program program, compile(moduleOf(model), options, &report, usableMemory()));
  addMachineCodeFor(device, options, program);
  releaseCompilerMemory(); // before the arena is touched
  INGOT_ASSIGN(LoadedModel loaded, loadProgram(std::move(program), device, threads,
                                               std::move(store), std::move(opened)));
  loaded.report = report;
  INGOT_TRY(writeWeights(*loaded.session, model.weights(), brought));
  return loaded;
}

} // namespace ingot
