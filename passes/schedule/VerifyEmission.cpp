#include "passes/schedule/VerifyEmission.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Matchers.h"
#include "passes/schedule/IndexForms.h"
#include "passes/schedule/KernelDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ingot {
namespace {

/// One read or write of an argument.
struct MemoryAccess {
  Operation *op = nullptr;
  bool isWrite = false;
  IndexForm index;   ///< in row-major order; of the first lane
  int64_t lanes = 1; ///< consecutive ones
  bool isMasked = false;
};

/// The emitted function of one launch.
class Emission {
public:
  Emission(func::FuncOp function, func::FuncOp kernel, size_t launch)
      : function(function), kernel(kernel), schedule(kernel::scheduleOf(kernel)),
        isOneGrain(schedule.getLaunches()[launch].getGrains() == 1) {}

  LogicalResult verifySignature();
  LogicalResult verifyScratch();
  /// Gathers what is read and written of each argument.
  LogicalResult findAccesses();
  LogicalResult verifySharing(kernel::PairAttr pair);
  bool reads(unsigned argument) const { return has(argument, /*isWrite=*/false); }
  bool writes(unsigned argument) const { return has(argument, /*isWrite=*/true); }

private:
  unsigned resultArgument(unsigned result) const { return schedule.operandCount() + result; }
  /// Ops of one block, the first before the second.
  struct Siblings {
    Operation *first, *second;
  };
  bool has(unsigned argument, bool isWrite) const {
    return llvm::any_of(accesses[argument],
                        [&](const MemoryAccess &access) { return access.isWrite == isWrite; });
  }
  LogicalResult findAccesses(Value memory, unsigned argument);
  IndexForm position(Value memory, ValueRange indices);
  bool isApart(Operation *op, unsigned operand, unsigned result);
  bool precedes(const MemoryAccess &read, const MemoryAccess &write);
  std::optional<Siblings> inOrder(const MemoryAccess &read, const MemoryAccess &write);
  bool isOver(const MemoryAccess &read, const MemoryAccess &write);
  bool dependsOn(Value value, Operation *loop);
  bool isMovedBy(const MemoryAccess &write, Operation *loop);
  bool runsOnce(Operation *op);
  LogicalResult verifyMoves(const MemoryAccess &write);
  bool waitsBetween(Operation *from, Operation *to);
  std::optional<IndexForm> rowOf(const MemoryAccess &access, int64_t size);

  func::FuncOp function, kernel;
  kernel::ScheduleAttr schedule;
  const bool isOneGrain;
  size_t memories = 0; ///< arguments that are memory; what a target adds follows
  IndexForms forms;
  std::vector<std::vector<MemoryAccess>> accesses; ///< by argument
  SmallVector<Operation *> numbers;                ///< that tell threads and blocks apart
};

//===--------------------------------------------------------------------------------------------===//
// Signature and scratch
//===--------------------------------------------------------------------------------------------===//

LogicalResult Emission::verifySignature() {
  SmallVector<Type> expected;
  MLIRContext *context = function.getContext();
  for (Type type : llvm::concat<const Type>(kernel.getArgumentTypes(), kernel.getResultTypes()))
    expected.push_back(kernel::memoryType(type));
  for (int64_t bytes : {schedule.getLaunchScratch(), schedule.getScratch()})
    if (bytes)
      expected.push_back(MemRefType::get({bytes}, IntegerType::get(context, 8)));
  memories = expected.size();
  if (function.isDeclaration())
    return function.emitError("is not emitted");
  SmallVector<Type> actual(function.getArgumentTypes());
  // Where a worker's scratch is, the target knows.
  if (schedule.getScratch() && actual.size() >= memories)
    if (auto scratch = dyn_cast<MemRefType>(actual[memories - 1]))
      actual[memories - 1] = MemRefType::get(scratch.getShape(), scratch.getElementType());
  const bool isOwn = llvm::all_of(ArrayRef(actual).drop_front(std::min(actual.size(), memories)),
                                  llvm::IsaPred<IndexType, LLVM::LLVMPointerType>);
  actual.resize(std::min(actual.size(), memories));
  if (actual != expected || !isOwn || function.getNumResults())
    return function.emitError("(1) does not take the memory and scratch of its kernel's schedule");
  return success();
}

LogicalResult Emission::verifyScratch() {
  const unsigned first = schedule.getArguments().size();
  for (unsigned number = first; number < memories; ++number) {
    Value scratch = function.getArgument(number);
    const int64_t bytes = cast<MemRefType>(scratch.getType()).getNumElements();
    for (Operation *user : scratch.getUsers()) {
      auto view = dyn_cast<memref::ViewOp>(user);
      APInt offset;
      if (!view || !view.getType().hasStaticShape() ||
          !matchPattern(view.getByteShift(), m_ConstantInt(&offset)))
        return user->emitOpError("(2) uses scratch other than through a view of known place");
      const int64_t end = offset.getSExtValue() + view.getType().getNumElements() *
                                                      view.getType().getElementTypeBitWidth() / 8;
      if (offset.isNegative() || end > bytes)
        return view.emitOpError("(2) ends at byte ")
               << end << " of scratch, but the schedule has " << bytes;
    }
  }
  WalkResult result = function.walk([&](Operation *op) {
    if (!isa<memref::AllocOp, memref::AllocaOp, CallOpInterface>(op))
      return WalkResult::advance();
    op->emitOpError("(2) may not be in an emitted kernel");
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

//===--------------------------------------------------------------------------------------------===//
// Accesses
//===--------------------------------------------------------------------------------------------===//

IndexForm Emission::position(Value memory, ValueRange indices) {
  IndexForm sum;
  auto type = cast<MemRefType>(memory.getType());
  for (auto [size, index] : llvm::zip(type.getShape(), indices))
    sum = sum.times(size).plus(forms.of(index));
  return sum;
}

LogicalResult Emission::findAccesses(Value memory, unsigned argument) {
  for (Operation *user : memory.getUsers()) {
    auto add = [&](bool isWrite, ValueRange indices, Type value, bool isMasked) {
      auto vector = dyn_cast<VectorType>(value);
      accesses[argument].push_back({user, isWrite, position(memory, indices),
                                    vector ? vector.getNumElements() : 1, isMasked});
      return success();
    };
    auto addLanes = [&](bool isWrite, ValueRange origin, Value lanes) {
      accesses[argument].push_back(
          {user, isWrite, position(memory, origin).plus(forms.of(lanes)), 1, false});
      return success();
    };
    LogicalResult found =
        llvm::TypeSwitch<Operation *, LogicalResult>(user)
            .Case<memref::ReinterpretCastOp, memref::CollapseShapeOp, memref::ExpandShapeOp,
                  memref::CastOp>([&](Operation *view) -> LogicalResult {
              auto from = cast<MemRefType>(memory.getType()),
                   to = cast<MemRefType>(view->getResult(0).getType());
              if (!to.hasStaticShape() || !to.getLayout().isIdentity() ||
                  from.getNumElements() != to.getNumElements())
                return view->emitOpError("(3) is no view of all of an argument's memory");
              return findAccesses(view->getResult(0), argument);
            })
            .Case<memref::LoadOp>([&](memref::LoadOp load) {
              return add(false, load.getIndices(), load.getType(), false);
            })
            .Case<memref::StoreOp>([&](memref::StoreOp store) {
              return add(true, store.getIndices(), store.getValue().getType(), false);
            })
            .Case<vector::LoadOp>([&](vector::LoadOp load) {
              return add(false, load.getIndices(), load.getType(), false);
            })
            .Case<vector::StoreOp>([&](vector::StoreOp store) {
              return add(true, store.getIndices(), store.getValueToStore().getType(), false);
            })
            .Case<vector::MaskedLoadOp>([&](vector::MaskedLoadOp load) {
              return add(false, load.getIndices(), load.getType(), true);
            })
            .Case<vector::MaskedStoreOp>([&](vector::MaskedStoreOp store) {
              return add(true, store.getIndices(), store.getValueToStore().getType(), true);
            })
            .Case<vector::GatherOp>([&](vector::GatherOp gather) {
              return addLanes(false, gather.getOffsets(), gather.getIndices());
            })
            .Case<vector::ScatterOp>([&](vector::ScatterOp scatter) {
              return addLanes(true, scatter.getOffsets(), scatter.getIndices());
            })
            .Case<memref::PrefetchOp>([](Operation *) { return success(); })
            .Case<memref::ExtractAlignedPointerAsIndexOp>([&](Operation *pointer) {
              // Compared, it reads nothing; else it may read whatever it likes.
              if (!llvm::all_of(pointer->getUsers(), llvm::IsaPred<arith::CmpIOp>))
                accesses[argument].push_back(
                    {pointer, false, forms.of(pointer->getResult(0)), 1, false});
              return success();
            })
            .Default([](Operation *other) {
              return other->emitOpError("(3) uses an argument's memory in an unknown way");
            });
    if (failed(found))
      return failure();
  }
  return success();
}

LogicalResult Emission::findAccesses() {
  function.walk([&](Operation *op) {
    if (isa<NVVM::ThreadIdXOp, NVVM::BlockIdXOp>(op))
      numbers.push_back(op);
  });
  accesses.resize(schedule.getArguments().size());
  for (unsigned argument = 0; argument < accesses.size(); ++argument) {
    if (failed(findAccesses(function.getArgument(argument), argument)))
      return failure();
    for (const MemoryAccess &access : accesses[argument])
      if (access.isWrite && schedule.getArguments()[argument] == kernel::Access::Read)
        return access.op->emitOpError("(3) writes operand ") << argument;
  }
  return success();
}

//===--------------------------------------------------------------------------------------------===//
// Order
//===--------------------------------------------------------------------------------------------===//

/// True if the op runs only where operand and result are not in one place.
bool Emission::isApart(Operation *op, unsigned operand, unsigned result) {
  auto addresses = [&](Value value, unsigned argument) {
    auto pointer = value.getDefiningOp<memref::ExtractAlignedPointerAsIndexOp>();
    return pointer && pointer.getSource() == function.getArgument(argument);
  };
  for (; op != function; op = op->getParentOp()) {
    auto branch = dyn_cast<scf::IfOp>(op->getParentOp());
    if (!branch || op->getParentRegion() != &branch.getThenRegion())
      continue;
    auto test = branch.getCondition().getDefiningOp<arith::CmpIOp>();
    if (test && test.getPredicate() == arith::CmpIPredicate::ne &&
        addresses(test.getLhs(), operand) && addresses(test.getRhs(), resultArgument(result)))
      return true;
  }
  return false;
}

/// True if the read stands before the write of the same elements, in the write's block.
bool Emission::precedes(const MemoryAccess &read, const MemoryAccess &write) {
  if (!(read.index == write.index) || read.lanes > write.lanes)
    return false;
  Operation *ancestor = write.op->getBlock()->findAncestorOpInBlock(*read.op);
  return ancestor && ancestor->isBeforeInBlock(write.op);
}

/// The ops around a read and a write in the innermost block that has both, if the read comes first.
std::optional<Emission::Siblings> Emission::inOrder(const MemoryAccess &read,
                                                    const MemoryAccess &write) {
  for (Operation *op = write.op; op != function; op = op->getParentOp())
    if (Operation *first = op->getBlock()->findAncestorOpInBlock(*read.op))
      return first != op && first->isBeforeInBlock(op) ? std::optional(Siblings{first, op})
                                                       : std::nullopt;
  return std::nullopt;
}

/// True if nothing is read any more once the launch writes: one grain runs, and no loop goes back.
bool Emission::isOver(const MemoryAccess &read, const MemoryAccess &write) {
  std::optional<Siblings> siblings = inOrder(read, write);
  if (!siblings || !isOneGrain || !numbers.empty())
    return false;
  for (Operation *op = siblings->second->getParentOp(); op != function; op = op->getParentOp())
    if (isa<LoopLikeOpInterface>(op) && !runsOnce(op))
      return false;
  return true;
}

/// True if a value is not the same in all iterations of a loop, or in all threads or blocks that
/// `loop` gives the number of, as far as one can see.
bool Emission::dependsOn(Value value, Operation *loop) {
  llvm::DenseSet<Value> seen;
  SmallVector<Value> stack{value};
  while (!stack.empty()) {
    Value next = stack.pop_back_val();
    if (!seen.insert(next).second)
      continue;
    if (Operation *op = next.getDefiningOp()) {
      if (op == loop)
        return true;
      llvm::append_range(stack, op->getOperands());
      continue;
    }
    Operation *owner = cast<BlockArgument>(next).getOwner()->getParentOp();
    if (owner == loop)
      return true;
    if (owner != function) // a loop inside: its bounds decide
      llvm::append_range(stack, owner->getOperands());
  }
  return false;
}

/// Whether the iterations of a loop, or the threads or blocks, store other points, or only one of
/// them stores.
bool Emission::isMovedBy(const MemoryAccess &write, Operation *loop) {
  SmallVector<Value> indices =
      llvm::TypeSwitch<Operation *, SmallVector<Value>>(write.op)
          .Case<memref::StoreOp, vector::StoreOp, vector::MaskedStoreOp>(
              [](auto store) { return SmallVector<Value>(store.getIndices()); })
          .Case<vector::ScatterOp>([](vector::ScatterOp scatter) {
            SmallVector<Value> all(scatter.getOffsets());
            all.push_back(scatter.getIndices());
            return all;
          });
  if (llvm::any_of(indices, [&](Value index) { return dependsOn(index, loop); }))
    return true;
  for (Operation *op = write.op; op != loop && op != function; op = op->getParentOp())
    if (auto branch = dyn_cast<scf::IfOp>(op->getParentOp()))
      if (dependsOn(branch.getCondition(), loop))
        return true;
  return false;
}

/// Whether a loop's body runs once at most.
bool Emission::runsOnce(Operation *op) {
  auto loop = dyn_cast<scf::ForOp>(op);
  APInt step;
  if (!loop || !matchPattern(loop.getStep(), m_ConstantInt(&step)))
    return false;
  IndexRange span =
      forms.range(forms.of(loop.getUpperBound()).plus(forms.of(loop.getLowerBound()), -1));
  return span.high && *span.high <= step.getSExtValue();
}

LogicalResult Emission::verifyMoves(const MemoryAccess &write) {
  for (Operation *op = write.op->getParentOp(); op != function; op = op->getParentOp())
    if (isa<LoopLikeOpInterface>(op) && !runsOnce(op) && !isMovedBy(write, op))
      return write.op->emitOpError("(3) stores one point in several iterations, while a result and "
                                   "an operand share memory");
  for (Operation *number : numbers)
    if (!isMovedBy(write, number))
      return write.op->emitOpError("(3) stores one point in several threads or blocks, while a "
                                   "result and an operand share memory");
  return success();
}

/// Whether threads that work on a row together wait for each other between two ops of a block.
bool Emission::waitsBetween(Operation *from, Operation *to) {
  if (numbers.empty())
    return true;
  for (Operation *op = from; op != to; op = op->getNextNode())
    if (isa<NVVM::BarrierOp, NVVM::SyncWarpOp>(op))
      return true;
  return false;
}

/// The row of an access: the part of its index that counts whole rows. None if it may lie in
/// several.
std::optional<IndexForm> Emission::rowOf(const MemoryAccess &access, int64_t size) {
  IndexForm row, inside;
  for (auto [symbol, coefficient] : access.index.terms)
    (coefficient % size == 0 ? row : inside).terms[symbol] = coefficient;
  row.constant = access.index.constant / size * size;
  inside.constant = access.index.constant - row.constant;
  IndexRange range = forms.range(inside);
  const int64_t more = access.isMasked ? 0 : access.lanes - 1; // a mask leaves out what is beyond
  if (!range.low || !range.high || *range.low < 0 || *range.high + more >= size)
    return std::nullopt;
  return row;
}

LogicalResult Emission::verifySharing(kernel::PairAttr pair) {
  SmallVector<const MemoryAccess *> reads, stores;
  for (const MemoryAccess &access : accesses[pair.getOperand()])
    if (!access.isWrite && !isApart(access.op, pair.getOperand(), pair.getResult()))
      reads.push_back(&access);
  for (const MemoryAccess &access : accesses[resultArgument(pair.getResult())])
    if (access.isWrite)
      stores.push_back(&access);
  if (reads.empty())
    return success();
  for (const MemoryAccess *store : stores)
    if (failed(verifyMoves(*store)))
      return failure();
  const bool byRow = pair.getSharing() == kernel::Sharing::SameRow;
  for (const MemoryAccess *read : reads) {
    auto refuse = [&](StringRef what) {
      return read->op->emitOpError("(3) may read operand ")
             << pair.getOperand() << " after " << what << " of result " << pair.getResult()
             << ", which shares its memory, was stored";
    };
    if (llvm::any_of(stores, [&](const MemoryAccess *store) { return precedes(*read, *store); }) ||
        llvm::all_of(stores, [&](const MemoryAccess *store) { return isOver(*read, *store); }))
      continue;
    if (!byRow)
      return refuse("that point");
    // Before all stores of the row: in a block that runs once a row.
    std::optional<IndexForm> row = rowOf(*read, pair.getRow());
    if (!row)
      return refuse("another row");
    for (const MemoryAccess *store : stores) {
      std::optional<IndexForm> stored = rowOf(*store, pair.getRow());
      if (!stored || !(*stored == *row))
        return refuse("another row");
      std::optional<Siblings> siblings = inOrder(*read, *store);
      if (!siblings || !waitsBetween(siblings->first, siblings->second))
        return refuse("that row");
      // Loops around both go from row to row.
      for (Operation *loop = siblings->second->getParentOp(); loop != function;
           loop = loop->getParentOp())
        if (isa<LoopLikeOpInterface>(loop)) {
          auto counts = dyn_cast<scf::ForOp>(loop);
          if (!counts || !llvm::any_of(forms.of(counts.getInductionVar()).terms,
                                       [&](auto &term) { return row->terms.count(term.first); }))
            return refuse("that row");
        }
    }
  }
  return success();
}

} // namespace

LogicalResult verifyEmission(func::FuncOp kernel) {
  kernel::ScheduleAttr schedule = kernel::scheduleOf(kernel);
  auto module = kernel->getParentOfType<ModuleOp>();
  std::vector<Emission> emissions;
  for (size_t launch = 0; launch < schedule.getLaunches().size(); ++launch) {
    std::string name = kernel::launchName(kernel.getName(), launch);
    auto function = module.lookupSymbol<func::FuncOp>(name);
    if (!function)
      return kernel.emitError("(1) its launch '") << name << "' is not emitted";
    Emission &emission = emissions.emplace_back(function, kernel, launch);
    if (failed(emission.verifySignature()) || failed(emission.verifyScratch()) ||
        failed(emission.findAccesses()))
      return failure();
  }
  for (kernel::PairAttr pair : schedule.getSharing()) {
    bool isStored = false; // by a launch before
    for (Emission &emission : emissions) {
      if (isStored && emission.reads(pair.getOperand()))
        return kernel.emitError("(3) a launch reads operand ")
               << pair.getOperand() << " after one before has stored result " << pair.getResult()
               << ", which shares its memory";
      if (failed(emission.verifySharing(pair)))
        return failure();
      isStored |= emission.writes(schedule.operandCount() + pair.getResult());
    }
  }
  return success();
}

} // namespace ingot
