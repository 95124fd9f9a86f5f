/// The MLIR side of a Model, for Ingot's own code only.
#pragma once
#include "codegen/Compile.h"
#include "frontend/Model.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

namespace ingot {

struct Model::Impl {
  Impl() : Impl(createContext()) {}
  explicit Impl(std::shared_ptr<mlir::MLIRContext> context) : context(std::move(context)) {}
  std::shared_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

/// The graph-stage module; stays the model's own: clone it before a pass changes it.
mlir::ModuleOp moduleOf(const Model &model);

/// Collects the error diagnostics of a context while it lives.
class DiagnosticCollector {
public:
  explicit DiagnosticCollector(mlir::MLIRContext &context);
  /// The messages without their places, a line each; notes are indented below their error.
  std::string messages() const;
  /// All of them as one error at the first one's place; `otherwise` if nothing was reported.
  Error error(Error::Code code, std::string_view otherwise) const;

private:
  struct Report {
    std::string place, message;
  };
  void add(mlir::Diagnostic &diagnostic);

  std::vector<Report> reports;
  mlir::ScopedDiagnosticHandler handler;
};

/// The model's node or file position that a location names, such as `h.0.ln_1` or `m.mlir:3:8`.
std::string placeOf(mlir::Location location);

} // namespace ingot
