#include "codegen/Cancel.h"
#include "mlir/IR/Action.h"

namespace ingot {

Status checkStop(const CompileOptions &options) {
  if (options.stop && *options.stop)
    return failure(Error::Code::Usage, "", "the compilation was cancelled");
  return {};
}

CancelScope::CancelScope(mlir::MLIRContext &context, const CompileOptions &options)
    : context(options.stop ? &context : nullptr) {
  if (options.stop)
    context.registerActionHandler(
        [stop = options.stop](llvm::function_ref<void()> act, const mlir::tracing::Action &) {
          if (!*stop)
            act();
        });
}

CancelScope::~CancelScope() {
  if (context)
    context->registerActionHandler(nullptr);
}

} // namespace ingot
