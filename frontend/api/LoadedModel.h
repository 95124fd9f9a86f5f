/// From a model to a session on a device, in one call.
#pragma once
#include "codegen/Compile.h"
#include "frontend/api/Model.h"
#include "runtime/program/Device.h"

namespace ingot {

/// A model compiled for a device and loaded on it.
struct LoadedModel {
  std::shared_ptr<Device> device; ///< null for `reference`
  std::unique_ptr<Session> session;
  CompileReport report;
};

/// An error unless every parameter has an initial value: drawn, or from the model's file. The text
/// of a model from a file lacks them; `place` is that text's.
Status requireValues(const Model &model, const std::string &place);

/// Parameters with values from the model's file hold them afterwards, those excepted that the store
/// brought. `device` is what `openDevice` takes, or `reference` for the interpreter. With
/// `initializers` a program that is not for training gets a function `init` too. Parameters and
/// state are in `store`; null: in one of its own. `opened` is the device, for several models; null:
/// it is opened.
Result<LoadedModel> loadModel(const Model &model, const CompileOptions &options,
                              const std::string &device, int threads, bool initializers = false,
                              std::shared_ptr<Store> store = nullptr,
                              std::shared_ptr<Device> opened = nullptr);

/// The target that a model is compiled for: a GPU that is given none but the default `cpu` gets
/// PTX that every supported card runs.
std::string targetFor(std::string_view device, const std::string &target);

/// An error where parameters, their optimizer's state and inputs alone are more than this process
/// may use: such a model need not be compiled.
Status checkFits(const Model &model, const CompileOptions &options);

/// The model with a function `init` that fills its parameters from a seed.
Result<Model> withInitializers(const Model &model);

/// A program already compiled, such as one from a `.ingot` file, on a device.
Result<LoadedModel> loadProgram(Program program, const std::string &device, int threads,
                                std::shared_ptr<Store> store = nullptr,
                                std::shared_ptr<Device> opened = nullptr);

} // namespace ingot
