/// The stages of the pipeline, run one after the other.
#pragma once
#include "codegen/CompileOptions.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "passes/Pipeline.h"
#include <memory>

namespace ingot {

/// A context with every dialect of the pipeline, for building and parsing models.
std::unique_ptr<mlir::MLIRContext> createContext();

/// How far a module has come: the stage that its last pass ended, `graph` if none did.
Stage stageOf(mlir::ModuleOp module);

/// Runs the passes up to `stage` on a copy of `model`, a module of any earlier stage. What
/// `options.memory` recomputes is what it says; its budget is not looked at (see FitMemory.h).
Result<mlir::OwningOpRef<mlir::ModuleOp>> runStages(Stage stage, mlir::ModuleOp model,
                                                    const CompileOptions &options);

} // namespace ingot
