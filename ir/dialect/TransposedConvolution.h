/// The transpose of a convolution: what its input gets of its result.
#pragma once
#include "ir/dialect/GraphBuilder.h"

namespace ingot::graph {

/// y [batch, out, …] through weight [out, channels / groups, …] back to [batch, channels, sizes…]:
/// the gradient of graph.convolution for its operand, and what is called a transposed convolution.
///
/// Places of the result that differ by a stride see the same places of the kernels. So for each
/// remainder by the strides there is one convolution of y with its share of the kernels, without
/// zeros between the elements of y, and their results are interleaved.
mlir::Value transposedConvolution(GraphBuilder &g, mlir::Value y, mlir::Value weight,
                                  llvm::ArrayRef<int64_t> strides,
                                  llvm::ArrayRef<int64_t> dilations, llvm::ArrayRef<int64_t> low,
                                  llvm::ArrayRef<int64_t> sizes, int64_t groups);

} // namespace ingot::graph
