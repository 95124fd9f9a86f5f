/// The MLIR side of a Model, for Ingot's own code only.
#pragma once
#include "codegen/Compile.h"
#include "frontend/api/Model.h"
#include "ir/dialect/Diagnostics.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

namespace ingot {

struct Model::Impl {
  Impl() : Impl(createContext()) {}
  explicit Impl(std::shared_ptr<mlir::MLIRContext> context) : context(std::move(context)) {}
  std::shared_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::shared_ptr<const Weights> weights = std::make_shared<Weights>();
};

/// The graph-stage module; stays the model's own: clone it before a pass changes it.
mlir::ModuleOp moduleOf(const Model &model);

} // namespace ingot
