#include "codegen/cuda/Emitters.h"
#include "codegen/kernel/LaunchMaps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/math/NarrowFloats.h"

using namespace mlir;

namespace ingot {
namespace {

constexpr uint32_t wholeWarp = 0xffffffff;

/// Positions may be rounded up to whole blocks of threads, so 31 bits would not do for all.
IntegerType positionType(func::FuncOp kernel) {
  constexpr int64_t most = int64_t(1) << 30;
  auto isSmall = [](Type type) { return cast<ShapedType>(type).getNumElements() <= most; };
  // Loops may walk more points than any tensor in memory has elements.
  const bool walksFew =
      !kernel
           .walk([&](linalg::LinalgOp op) {
             double points = 1;
             for (int64_t size : op.getStaticLoopRanges())
               points *= double(size);
             return points <= double(most) ? WalkResult::advance() : WalkResult::interrupt();
           })
           .wasInterrupted();
  const bool small = walksFew && llvm::all_of(kernel.getArgumentTypes(), isSmall) &&
                     llvm::all_of(kernel.getResultTypes(), isSmall) &&
                     kernel::scheduleOf(kernel).getLaunchScratch() <= most;
  return IntegerType::get(kernel.getContext(), small ? 32 : 64);
}

/// Pointers to what the runtime passes by value.
SmallVector<Type> typesOfMaps(func::FuncOp kernel, size_t launch) {
  kernel::ScheduleAttr schedule = kernel::scheduleOf(kernel);
  return SmallVector<Type>(readMaps(schedule, schedule.getLaunches()[launch]).size(),
                           LLVM::LLVMPointerType::get(kernel.getContext()));
}

} // namespace

int64_t threadsOf(kernel::LaunchAttr launch) {
  auto threads = launch.getSizes().getAs<DenseI64ArrayAttr>("threads");
  return threads && threads.size() == 1 ? threads[0] : 0;
}

CudaKernel::CudaKernel(func::FuncOp kernel, size_t launch)
    : LaunchBuilder(kernel, launch, typesOfMaps(kernel, launch),
                    IntegerAttr::get(IntegerType::get(kernel.getContext(), 64), sharedSpace)),
      code{builder, kernel.getLoc(), positionType(kernel)}, threads(threadsOf(this->launch)),
      memory(cast<IntegerType>(code.integer)) {
  auto number = [&]<typename Register>(Register *, int64_t count) -> Value {
    if (count <= 1)
      return code.index(0);
    auto range = LLVM::ConstantRangeAttr::get(builder.getContext(), APInt(32, 0), APInt(32, count));
    Value value = code.create<Register>(builder.getI32Type(), range);
    return code.integer.isInteger(32) ? value : code.create<arith::ExtUIOp>(code.integer, value);
  };
  blockNumber = number(static_cast<NVVM::BlockIdXOp *>(nullptr), this->launch.getGrains());
  threadNumber = number(static_cast<NVVM::ThreadIdXOp *>(nullptr), threads);
}

Value CudaKernel::block() { return blockNumber; }
Value CudaKernel::thread() { return threadNumber; }

void CudaKernel::synchronise() { code.create<NVVM::BarrierOp>(); }

static Value warpMask(IndexCode &code) {
  return code.create<arith::ConstantOp>(code.builder.getI32IntegerAttr(int32_t(wholeWarp)));
}

void CudaKernel::synchroniseWarp() { code.create<NVVM::SyncWarpOp>(warpMask(code)); }

static Value number32(IndexCode &code, int64_t value) {
  return code.create<arith::ConstantOp>(code.builder.getI32IntegerAttr(int32_t(value)));
}

Value CudaKernel::exchange(Value value, int64_t bit) {
  return shuffle(value, [&](Value piece) -> Value {
    return code.create<NVVM::ShflOp>(piece.getType(), warpMask(code), piece, number32(code, bit),
                                     number32(code, warpSize - 1), NVVM::ShflKind::bfly,
                                     UnitAttr());
  });
}

Value CudaKernel::fromLane(Value value, Value lane) {
  return shuffle(value, [&](Value piece) -> Value {
    return code.create<NVVM::ShflOp>(piece.getType(), warpMask(code), piece, lane,
                                     number32(code, warpSize - 1), NVVM::ShflKind::idx, UnitAttr());
  });
}

Value CudaKernel::shuffle(Value value, llvm::function_ref<Value(Value)> exchanged) {
  Type type = value.getType(), i32 = builder.getI32Type();
  const unsigned width = type.getIntOrFloatBitWidth();
  auto bits = IntegerType::get(builder.getContext(), width);
  Value whole = type == bits ? value : code.create<arith::BitcastOp>(bits, value).getResult();
  if (width <= 32) {
    if (width < 32)
      whole = code.create<arith::ExtUIOp>(i32, whole);
    whole = exchanged(whole);
    if (width < 32)
      whole = code.create<arith::TruncIOp>(bits, whole);
  } else {
    Value half = code.create<arith::ConstantOp>(builder.getIntegerAttr(bits, 32));
    Value low = exchanged(code.create<arith::TruncIOp>(i32, whole));
    Value high =
        exchanged(code.create<arith::TruncIOp>(i32, code.create<arith::ShRUIOp>(whole, half)));
    high = code.create<arith::ShLIOp>(code.create<arith::ExtUIOp>(bits, high), half);
    whole = code.create<arith::OrIOp>(high, code.create<arith::ExtUIOp>(bits, low));
  }
  return type == bits ? whole : code.create<arith::BitcastOp>(type, whole).getResult();
}

PointEmitter CudaKernel::points(int64_t lanes) { return LaunchBuilder::points(memory, lanes); }

LogicalResult CudaKernel::finish() {
  constexpr int64_t mapBytes = 128, mapAlignment = 64;
  function->setAttr(kernel::threadsName, builder.getI64IntegerAttr(threads));
  // Instructions give the NaN that all arithmetic of GPUs gives, whatever is rounded. Kernels that
  // have the CPU's bits keep its sign.
  auto isRounding = [](arith::TruncFOp op) {
    return getElementTypeOrSelf(op.getType()).isBF16() ? WalkResult::interrupt()
                                                       : WalkResult::advance();
  };
  const StringRef root = kernel::rootOf(kernel);
  if (root != "elementwise" && root != "update" && function.walk(isRounding).wasInterrupted())
    function->setAttr(roundsName, builder.getUnitAttr());
  for (BlockArgument argument : function.getArguments()) {
    if (!isa<LLVM::LLVMPointerType>(argument.getType()))
      continue;
    auto bytes = LLVM::LLVMArrayType::get(builder.getI8Type(), mapBytes);
    function.setArgAttr(argument.getArgNumber(), LLVM::LLVMDialect::getByValAttrName(),
                        TypeAttr::get(bytes));
    function.setArgAttr(argument.getArgNumber(), LLVM::LLVMDialect::getAlignAttrName(),
                        builder.getI64IntegerAttr(mapAlignment));
  }
  return LaunchBuilder::finish();
}

} // namespace ingot
