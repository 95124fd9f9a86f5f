/// Ending a compilation before its end.
#pragma once
#include "codegen/CompileOptions.h"
#include "mlir/IR/MLIRContext.h"
#include "runtime/support/Result.h"

namespace ingot {

/// An error once the options' flag is set.
Status checkStop(const CompileOptions &options);

/// While it lives, passes and patterns of the context are passed over once the options' flag is
/// set: what they were to make is not made, and whoever runs them asks `checkStop` afterwards.
class CancelScope {
public:
  CancelScope(mlir::MLIRContext &context, const CompileOptions &options);
  ~CancelScope();
  CancelScope(const CancelScope &) = delete;

private:
  mlir::MLIRContext *context; ///< null: nobody cancels
};

} // namespace ingot
