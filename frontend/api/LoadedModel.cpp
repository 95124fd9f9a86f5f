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

Result<LoadedModel> loadProgram(Program program, const std::string &device, int threads) {
  LoadedModel loaded;
  if (device == "reference")
    return failure(Error::Code::Usage, "--device",
                   "the reference runs models, not compiled programs");
  INGOT_ASSIGN(loaded.device, openDevice(device, {threads}));
  INGOT_ASSIGN(loaded.session,
               loaded.device->load(std::make_shared<const Program>(std::move(program))));
  return loaded;
}

Result<LoadedModel> loadModel(const Model &model, const CompileOptions &options,
                              const std::string &device, int threads, bool initializers) {
  if (initializers && !options.training) {
    INGOT_ASSIGN(Model initialised, withInitializers(model));
    return loadModel(initialised, options, device, threads);
  }
  if (device == "reference") {
    LoadedModel loaded;
    INGOT_ASSIGN(loaded.session, openReferenceSession(model, options));
    return loaded;
  }
  CompileReport report;
  INGOT_ASSIGN(Program program, compile(moduleOf(model), options, &report));
  releaseCompilerMemory(); // before the arena is touched
  INGOT_ASSIGN(LoadedModel loaded, loadProgram(std::move(program), device, threads));
  loaded.report = report;
  return loaded;
}

} // namespace ingot
