#include "ir/dialect/TransposedConvolution.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include <numeric>

using namespace mlir;

namespace ingot::graph {
namespace {

using Dims = SmallVector<int64_t>;

/// Along one dimension, what the results at `remainder` + n · stride see: places first, first +
/// step, … of the kernel, over y as a convolution with stride 1 walks it.
struct Phase {
  int64_t first = 0, step = 1, places = 0, dilation = 1, low = 0;

  /// Result n · stride + remainder gets y[p] · kernel[k] where it is p · stride + k · dilation -
  /// pad.
  Phase(int64_t kernel, int64_t stride, int64_t dilationOfKernel, int64_t pad, int64_t remainder) {
    step = stride / std::gcd(stride, dilationOfKernel);
    dilation = step * dilationOfKernel / stride;
    while (first < std::min(step, kernel) && (remainder + pad - first * dilationOfKernel) % stride)
      ++first;
    if (first >= std::min(step, kernel))
      return; // none
    places = (kernel - first - 1) / step + 1;
    low = (places - 1) * dilation - (remainder + pad - first * dilationOfKernel) / stride;
  }
};

/// [batch, channels, …], zeros where no place of the kernel is seen.
Value convolvePhase(GraphBuilder &g, Value y, Value kernels, ArrayRef<Phase> phases,
                    ArrayRef<int64_t> sizes, int64_t groups) {
  const size_t spatial = phases.size();
  Dims offsets = {0, 0}, limits(shapeOf(kernels).take_front(2)), steps = {1, 1}, low, high,
       dilations, turned, result = {shapeOf(y)[0], shapeOf(kernels)[0]};
  llvm::append_range(result, sizes);
  for (auto [dim, phase] : llvm::enumerate(phases)) {
    if (phase.places == 0)
      return g.splat(tensorType(y).clone(result), 0);
    const int64_t reach = (phase.places - 1) * phase.dilation;
    offsets.push_back(phase.first);
    limits.push_back(phase.first + (phase.places - 1) * phase.step + 1);
    steps.push_back(phase.step);
    low.push_back(phase.low);
    high.push_back(sizes[dim] + reach - phase.low - shapeOf(y)[dim + 2]);
    dilations.push_back(phase.dilation);
    turned.push_back(int64_t(dim) + 2);
  }
  Value own = g.make<SliceOp>(kernels, offsets, limits, steps);
  const Dims ones(spatial, 1), zeros(spatial, 0);
  return g.make<ConvolutionOp>(g.pad(y, 2, low, high), g.reverse(own, turned), ones, dilations,
                               zeros, zeros, groups);
}

} // namespace

Value transposedConvolution(GraphBuilder &g, Value y, Value weight, ArrayRef<int64_t> strides,
                            ArrayRef<int64_t> dilations, ArrayRef<int64_t> low,
                            ArrayRef<int64_t> sizes, int64_t groups) {
  const size_t spatial = strides.size();
  ArrayRef<int64_t> kernelSizes = shapeOf(weight).drop_front(2);
  const int64_t perGroup = shapeOf(weight)[1], batch = shapeOf(y)[0];
  Dims swapped = groups == 1 ? Dims{1, 0} : Dims{0, 2, 1}; // one group is no dimension
  Dims shape = {groups * perGroup, shapeOf(weight)[0] / groups}, each;
  for (size_t dim = 0; dim < spatial; ++dim) {
    swapped.push_back(int64_t(swapped.size()));
    each.push_back(llvm::divideCeilSigned(sizes[dim], strides[dim]));
  }
  llvm::append_range(shape, kernelSizes);
  Value kernels = g.reshape(g.transpose(g.splitGroups(weight, 0, groups), swapped), shape);

  // Each result's dimensions are followed by its remainder.
  Dims apart = {batch, shape[0]}, joined = apart, whole = apart;
  for (size_t dim = 0; dim < spatial; ++dim) {
    apart.append({each[dim], 1});
    joined.push_back(each[dim] * strides[dim]);
    whole.push_back(sizes[dim]);
  }
  SmallVector<Value> parts;
  for (Dims remainders : StaticTileOffsetRange(strides, Dims(spatial, 1))) {
    SmallVector<Phase> phases;
    for (size_t dim = 0; dim < spatial; ++dim)
      phases.emplace_back(kernelSizes[dim], strides[dim], dilations[dim], low[dim],
                          remainders[dim]);
    parts.push_back(g.reshape(convolvePhase(g, y, kernels, phases, each, groups), apart));
  }
  for (int64_t dim = int64_t(spatial) - 1; dim >= 0; --dim) {
    SmallVector<Value> next;
    for (size_t first = 0; first < parts.size(); first += strides[dim])
      next.push_back(strides[dim] == 1
                         ? parts[first]
                         : g.concat(ArrayRef(parts).slice(first, strides[dim]), 3 + 2 * dim));
    parts = std::move(next);
  }
  Value all = g.reshape(parts.front(), joined);
  if (joined == whole)
    return all;
  return g.make<SliceOp>(all, Dims(whole.size(), 0), whole, Dims(whole.size(), 1));
}

} // namespace ingot::graph
