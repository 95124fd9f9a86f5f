/// The device `reference`: the naive interpreter behind the interface of a real device.
#pragma once
#include "codegen/Compile.h"
#include "frontend/api/Model.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "runtime/program/Device.h"

namespace ingot {

/// A session that interprets the model's functions of stage `train`. Its program has functions and
/// ports but neither kernels nor an arena.
Result<std::unique_ptr<Session>> openReferenceSession(const Model &model,
                                                      const CompileOptions &options);

/// The program that describes a module of stage `train`: functions and their ports.
Result<Program> describeFunctions(mlir::ModuleOp module);

/// Where result `index` of a function of stage `train` is kept: its donor's name, else its own.
std::string storageName(mlir::func::FuncOp function, unsigned index);

} // namespace ingot
