#include "codegen/cuda/BlockReduction.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace ingot {
namespace {

/// One partial result a warp; bits take a byte each.
MemRefType partialsOf(Type type, int64_t threads) {
  return MemRefType::get({threads / warpSize}, storageType(type));
}

} // namespace

void addCombineScratch(CudaScheduler &kernel, const Reduction &reduction, int64_t threads) {
  if (threads == warpSize)
    return;
  linalg::LinalgOp op = reduction.op;
  for (Value result : op->getResults()) {
    MemRefType type = partialsOf(valueType(getElementTypeOrSelf(result)), threads);
    kernel.addScratch(type.getNumElements() * type.getElementTypeBitWidth() / 8);
  }
}

SmallVector<Value> combineHalves(PointEmitter &points, const Reduction &reduction,
                                 SmallVector<SmallVector<Value>> partials) {
  for (; partials.size() > 1; partials.truncate(partials.size() / 2))
    for (size_t each = 0; each < partials.size() / 2; ++each)
      partials[each] =
          combine(points, reduction, partials[each], partials[each + partials.size() / 2]);
  return partials.front();
}

SmallVector<Value> combineThreads(CudaKernel &kernel, PointEmitter &points,
                                  const Reduction &reduction, ValueRange own, int64_t threads) {
  IndexCode &code = kernel.code;
  SmallVector<Value> partials(own);
  for (int64_t bit = 1; bit < warpSize; bit *= 2) {
    auto others =
        llvm::map_to_vector(partials, [&](Value partial) { return kernel.exchange(partial, bit); });
    partials = combine(points, reduction, partials, others);
  }
  if (threads == warpSize)
    return partials;
  const int64_t warps = threads / warpSize;
  auto memories = llvm::map_to_vector(partials, [&](Value partial) {
    return kernel.workspace(partialsOf(partial.getType(), threads));
  });
  Value warp = code.div(kernel.thread(), warpSize);
  code.when(code.isEqual(code.remainder(kernel.thread(), warpSize), code.index(0)), [&] {
    for (auto [output, partial] : llvm::enumerate(partials))
      points.store(partial, memories[output], PointIndex::uniform(warp, warps), {},
                   reduction.type(output).getElementType());
  });
  kernel.synchronise();
  SmallVector<SmallVector<Value>> ofWarps(warps);
  for (int64_t each = 0; each < warps; ++each)
    for (auto [output, memory] : llvm::enumerate(memories))
      ofWarps[each].push_back(points.load(memory, reduction.type(output).getElementType(),
                                          PointIndex::constant(each), {}));
  return combineHalves(points, reduction, std::move(ofWarps));
}

} // namespace ingot
