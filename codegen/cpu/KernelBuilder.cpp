#include "codegen/cpu/Emitters.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace ingot {

KernelBuilder::KernelBuilder(func::FuncOp kernel, size_t launch)
    : LaunchBuilder(kernel, launch, SmallVector<Type>(2, IndexType::get(kernel.getContext()))) {}

Value KernelBuilder::index(int64_t value) {
  return arith::ConstantIndexOp::create(builder, location(), value);
}

PointEmitter KernelBuilder::points(int64_t lanes) { return LaunchBuilder::points(vectors, lanes); }

PointEmitter KernelBuilder::pointsAhead(int64_t lanes) {
  return LaunchBuilder::points(prefetches, lanes);
}

} // namespace ingot
