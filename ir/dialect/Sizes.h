/// How large tensors may be.
#pragma once
#include "mlir/IR/BuiltinTypes.h"

namespace ingot::graph {

/// No tensor and no arena has more bytes (64 TiB), so that sums over all of a model cannot
/// overflow.
constexpr int64_t largestTensorBytes = int64_t(1) << 46;

/// Whether a tensor stays below it; unknown dimensions count as 1.
bool isPossibleSize(mlir::RankedTensorType type);

} // namespace ingot::graph
