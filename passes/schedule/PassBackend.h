/// The backend of a pass: given by the pipeline, or named by an option in a tool.
#pragma once
#include "mlir/IR/Diagnostics.h"
#include "passes/Backend.h"

namespace ingot {

class PassBackend {
public:
  PassBackend() = default;
  PassBackend(const Backend &backend) : backend(&backend) {}
  PassBackend(BackendParser parse) : parse(parse) {}

  /// An error where there is neither.
  llvm::LogicalResult open(mlir::MLIRContext *context, const std::string &target) {
    if (backend)
      return llvm::success();
    auto error = [&] { return mlir::emitError(mlir::UnknownLoc::get(context)); };
    if (!parse)
      return error() << "this pass knows no target here";
    Result<std::shared_ptr<const Backend>> parsed = parse(target);
    if (!parsed)
      return error() << parsed.error().text();
    own = *parsed;
    backend = own.get();
    return llvm::success();
  }
  const Backend *operator->() const { return backend; }

private:
  const Backend *backend = nullptr;
  BackendParser parse = nullptr;
  std::shared_ptr<const Backend> own;
};

} // namespace ingot
