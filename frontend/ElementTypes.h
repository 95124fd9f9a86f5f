/// Element types of the runtime as MLIR types and back.
#pragma once
#include "mlir/IR/Types.h"
#include "runtime/Tensor.h"
#include <optional>

namespace ingot {

mlir::Type toMlir(mlir::MLIRContext &context, ElementType type);
/// Nothing for types that the runtime does not have, such as `index`.
std::optional<ElementType> fromMlir(mlir::Type type);

} // namespace ingot
