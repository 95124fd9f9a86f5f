#include "frontend/api/LoadedModel.h"
#include "codegen/ReleaseMemory.h"
#include "frontend/api/ModelModule.h"
#include "frontend/check/ReferenceDevice.h"
#include "passes/Passes.h"

namespace ingot {

Result<Model> withInitializers(const Model &model) {
  auto impl = std::make_shared<Model::Impl>(model.internals().context);
  impl->module = moduleOf(model).clone();
  DiagnosticCollector diagnostics(*impl->context);
  mlir::PassManager passes(impl->context.get());
  passes.addPass(createAddInitializers());
  if (failed(passes.run(*impl->module)))
    return tl::unexpected(
        diagnostics.error(Error::Code::BadInput, "the parameters cannot be initialised"));
  return Model(std::move(impl));
}

Result<LoadedModel> loadProgram(Program program, const std::string &device, int threads,
                                std::shared_ptr<Store> store) {
  LoadedModel loaded;
  if (device == "reference")
    return failure(Error::Code::Usage, "--device",
                   "the reference runs models, not compiled programs");
  INGOT_ASSIGN(loaded.device, openDevice(device, {threads}));
  INGOT_ASSIGN(
      loaded.session,
      loaded.device->load(std::make_shared<const Program>(std::move(program)), std::move(store)));
  return loaded;
}

Result<LoadedModel> loadModel(const Model &model, const CompileOptions &options,
                              const std::string &device, int threads, bool initializers,
                              std::shared_ptr<Store> store) {
  if (initializers && !options.training) {
    INGOT_ASSIGN(Model initialised, withInitializers(model));
    return loadModel(initialised, options, device, threads, false, std::move(store));
  }
  if (device == "reference") {
    if (store)
      return failure(Error::Code::Unsupported, "--device",
                     "the reference keeps its parameters to itself: it shares no store");
    LoadedModel loaded;
    INGOT_ASSIGN(loaded.session, openReferenceSession(model, options));
    return loaded;
  }
  CompileReport report;
  INGOT_ASSIGN(Program program, compile(moduleOf(model), options, &report));
  releaseCompilerMemory(); // before the arena is touched
  INGOT_ASSIGN(LoadedModel loaded,
               loadProgram(std::move(program), device, threads, std::move(store)));
  loaded.report = report;
  return loaded;
}

} // namespace ingot
