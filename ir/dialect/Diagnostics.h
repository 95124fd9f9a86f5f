/// MLIR's diagnostics as Ingot's errors: what went wrong, at the model's own node.
#pragma once
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "runtime/support/Result.h"
#include <string>
#include <vector>

namespace ingot {

/// The model's node or file position that a location names, such as `h.0.ln_1` or `m.mlir:3:8`;
/// empty if it names neither.
std::string placeOf(mlir::Location location);

/// Reports what is valid, but not something that Ingot compiles: `Error::Code::Unsupported`.
mlir::InFlightDiagnostic emitUnsupported(mlir::Location location);

/// Collects the error diagnostics of a context while it lives.
class DiagnosticCollector {
public:
  explicit DiagnosticCollector(mlir::MLIRContext &context);
  /// The messages without their places, a line each; notes are indented below their error.
  std::string messages() const;
  /// All of them as one error at the first one's place, whose code is Unsupported if the first one
  /// says so; `otherwise` if nothing was reported.
  Error error(Error::Code code, std::string_view otherwise) const;

private:
  struct Report {
    std::string place, message;
    bool isUnsupported = false;
  };
  void add(mlir::Diagnostic &diagnostic);

  std::vector<Report> reports;
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace ingot
