/// Loops over blocks of lanes, shared by the emitters of pointwise work.
#pragma once
#include "codegen/kernel/PointEmitter.h"

namespace ingot {

/// Called per block: the lanes' index, and their mask in a tail (null: all lanes count).
using BlockBody = llvm::function_ref<void(const PointIndex &index, mlir::Value mask)>;

/// Lanes [0, count) of a vector as a constant mask.
mlir::Value tailMask(PointEmitter &points, mlir::Location location, int64_t count);

/// Blocks of lanes that cover [from, to) of a dimension of `size` elements; a null `from` or `to`
/// stands for 0 or size. `from`, and `to` unless it is size, are multiples of unroll · lanes.
void forEachBlock(PointEmitter &points, mlir::Location location, mlir::Value from, mlir::Value to,
                  int64_t size, int64_t unroll, BlockBody body);

/// How many blocks to write out per iteration: more for cheap bodies on long dimensions.
int64_t unrollFor(double flopsPerElement, int64_t size, int64_t lanes);

} // namespace ingot
