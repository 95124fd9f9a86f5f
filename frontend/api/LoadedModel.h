/// From a model to a session on a device, in one call.
#pragma once
#include "codegen/Compile.h"
#include "frontend/api/Model.h"
#include "runtime/program/Device.h"

namespace ingot {

/// A model compiled for a device and loaded on it.
struct LoadedModel {
  std::unique_ptr<Device> device; ///< null for `reference`
  std::unique_ptr<Session> session;
  CompileReport report;
};

/// `device` is what `openDevice` takes, or `reference` for the interpreter. With `initializers` a
/// program that is not for training gets a function `init` too.
Result<LoadedModel> loadModel(const Model &model, const CompileOptions &options,
                              const std::string &device, int threads, bool initializers = false);

/// The model with a function `init` that fills its parameters from a seed.
Result<Model> withInitializers(const Model &model);

/// A program already compiled, such as one from a `.ingot` file, on a device.
Result<LoadedModel> loadProgram(Program program, const std::string &device, int threads);

} // namespace ingot
