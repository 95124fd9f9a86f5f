#include "codegen/kernel/PointAccess.h"
#include "codegen/kernel/ConcatStarts.h"
#include "ir/dialect/Graph.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ingot {
namespace {

ArrayRef<int64_t> shapeOf(Value shaped) { return cast<ShapedType>(shaped.getType()).getShape(); }

} // namespace

PointAccess::PointAccess(func::FuncOp kernel, int64_t lanes)
    : indexType(IndexType::get(kernel.getContext())), location(kernel.getLoc()), laneCount(lanes) {
  for (BlockArgument argument : kernel.getArguments())
    operands[argument] = argument.getArgNumber();
}

PointIndex PointAccess::uniform(int64_t extent) {
  return extent == 1 ? PointIndex::constant(0) : PointIndex::uniform(symbol(), extent);
}

PointIndex PointAccess::consecutive(int64_t extent, bool aligned) {
  return PointIndex::consecutive(symbol(), extent, aligned);
}

bool PointAccess::isUniform(Indices indices) const {
  return llvm::all_of(indices, [&](const PointIndex &index) {
    PointIndex::Lanes over = index.overLanes(laneCount);
    return over.affine && over.step == 0;
  });
}

bool PointAccess::fail(Location where, const Twine &why) {
  if (!broken)
    emitError(where) << why;
  broken = true;
  return false;
}

std::vector<uintptr_t> PointAccess::key(Value tensor, Indices indices) const {
  std::vector<uintptr_t> words{uintptr_t(tensor.getAsOpaquePointer())};
  for (const PointIndex &index : indices) {
    words.insert(words.end(), {uintptr_t(index.offset()), index.digits().size()});
    for (const PointIndex::Digit &digit : index.digits())
      words.insert(words.end(), {uintptr_t(digit.variable.value.getAsOpaquePointer()),
                                 uintptr_t(digit.variable.kind), uintptr_t(digit.variable.extent),
                                 uintptr_t(digit.variable.aligned), uintptr_t(digit.coefficient),
                                 uintptr_t(digit.divisor), uintptr_t(digit.extent)});
  }
  if (!isUniform(indices))
    words.push_back(mask);
  return words;
}

//===--------------------------------------------------------------------------------------------===//
// Index arithmetic
//===--------------------------------------------------------------------------------------------===//

std::pair<PointIndex, PointIndex> PointAccess::divide(const PointIndex &index, int64_t divisor) {
  if (auto exact = index.divide(divisor))
    return *exact;
  const bool uniform = isUniform(index);
  PointIndex::Lanes over = index.overLanes(laneCount);
  if (over.affine && over.step == !uniform && index.minimum() >= 0) {
    int64_t extent = index.maximum() + 1;
    PointIndex whole = uniform ? PointIndex::uniform(symbol(), extent)
                               : PointIndex::consecutive(symbol(), extent,
                                                         index.isMultipleOf(laneCount, laneCount));
    if (auto exact = whole.divide(divisor))
      return *exact;
  }
  ++slow;
  auto make = uniform ? PointIndex::uniform : PointIndex::scattered;
  return {make(symbol(), index.maximum() / divisor + 1), make(symbol(), divisor)};
}

SmallVector<PointIndex> PointAccess::split(PointIndex position, ArrayRef<int64_t> shape) {
  return splitPosition(
      std::move(position), shape,
      [this](const PointIndex &index, int64_t divisor) { return divide(index, divisor); });
}

PointIndex PointAccess::evaluate(AffineExpr expression, Indices dimensions) {
  return evaluateExpression(
      expression, dimensions,
      [this](const PointIndex &index, int64_t divisor) { return divide(index, divisor); });
}

//===--------------------------------------------------------------------------------------------===//
// Values
//===--------------------------------------------------------------------------------------------===//

bool PointAccess::load(unsigned operand, const PointIndex &position) {
  found.push_back({operand, position});
  PointIndex::Lanes over = position.overLanes(laneCount);
  slow += !position.isInOrder(laneCount);
  return !over.affine || over.step != 0;
}

bool PointAccess::at(Value tensor, Indices indices) {
  std::vector<uintptr_t> words = key(tensor, indices);
  if (auto before = known.find(words); before != known.end())
    return before->second;
  std::optional<bool> wide;
  if (auto binding = bindings.find(tensor); binding != bindings.end())
    wide = Binding(binding->second)(indices);
  if (!wide)
    wide = evaluate(tensor, indices);
  return known[words] = *wide;
}

bool PointAccess::evaluate(Value tensor, Indices indices) {
  if (auto operand = operands.find(tensor); operand != operands.end())
    return load(operand->second, linearise(indices, shapeOf(tensor)));
  auto result = dyn_cast<OpResult>(tensor);
  if (!result)
    return fail(tensor.getLoc(), "this argument of the kernel has no memory");
  if (auto op = dyn_cast<linalg::LinalgOp>(result.getOwner()))
    return structured(op, result.getResultNumber(), indices);
  return source(result.getOwner(), indices);
}

bool PointAccess::structured(linalg::LinalgOp op, unsigned result, Indices indices) {
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(result));
  SmallVector<PointIndex> iteration(op.getNumLoops());
  if (!map.isProjectedPermutation(/*allowZeroInResults=*/true))
    return fail(op.getLoc(), "writes its result through a map that is no permutation");
  for (auto [expression, index] : llvm::zip(map.getResults(), indices))
    if (auto dim = dyn_cast<AffineDimExpr>(expression))
      iteration[dim.getPosition()] = index;
  for (auto [dim, iterator] : llvm::enumerate(op.getIteratorTypesArray()))
    if (iterator == utils::IteratorType::parallel && !map.isFunctionOfDim(dim) &&
        op.getStaticLoopRanges()[dim] != 1)
      return fail(op.getLoc(), "has a parallel loop that its result does not have");
  if (op.getNumReductionLoops()) {
    bool wide = reduction(op, iteration);
    for (OpOperand &init : op.getDpsInitsMutable())
      if (op.getMatchingIndexingMap(&init) == map)
        known[key(op.getTiedOpResult(&init), indices)] = wide;
    return wide;
  }
  SmallVector<bool> values = inlineRegion(op, iteration, arguments(op, iteration));
  for (auto [other, wide] : llvm::enumerate(values))
    if (op.getMatchingIndexingMap(op.getDpsInitOperand(other)) == map)
      known[key(op->getResult(other), indices)] = wide;
  return values[result];
}

SmallVector<bool> PointAccess::arguments(linalg::LinalgOp op, Indices iteration) {
  SmallVector<bool> values;
  for (OpOperand &operand : op->getOpOperands()) {
    BlockArgument argument = op.getMatchingBlockArgument(&operand);
    bool accumulator = op.isDpsInit(&operand) && op.getNumReductionLoops();
    if (argument.use_empty() || accumulator) {
      values.push_back(false);
    } else if (!isa<RankedTensorType>(operand.get().getType())) {
      scalar(operand.get());
      values.push_back(false);
    } else {
      SmallVector<PointIndex> indices;
      for (AffineExpr expression : op.getMatchingIndexingMap(&operand).getResults())
        indices.push_back(evaluate(expression, iteration));
      values.push_back(at(operand.get(), indices));
    }
  }
  return values;
}

SmallVector<bool> PointAccess::inlineRegion(linalg::LinalgOp op, Indices iteration,
                                            ArrayRef<bool> arguments) {
  llvm::DenseMap<Value, bool> values;
  for (auto [argument, wide] : llvm::zip_equal(op.getBlock()->getArguments(), arguments))
    values[argument] = wide;
  auto lookup = [&](Value value) {
    if (auto known = values.find(value); known != values.end())
      return known->second;
    scalar(value);
    return false;
  };
  for (Operation &inner : op.getBlock()->without_terminator()) {
    bool wide = false;
    if (auto index = dyn_cast<linalg::IndexOp>(inner))
      wide = !isUniform(iteration[index.getDim()]);
    else if (!isa<graph::CombineOp>(inner) &&
             (inner.getNumRegions() || !isMemoryEffectFree(&inner)))
      fail(inner.getLoc(), "'" + inner.getName().getStringRef() + "' cannot stand inside a kernel");
    else
      for (Value operand : inner.getOperands())
        wide |= lookup(operand);
    for (Value result : inner.getResults())
      values[result] = wide;
  }
  return llvm::map_to_vector(op.getBlock()->getTerminator()->getOperands(), lookup);
}

void PointAccess::region(linalg::LinalgOp op, Indices iteration) {
  inlineRegion(op, iteration, arguments(op, iteration));
}

bool PointAccess::reduction(linalg::LinalgOp op, SmallVector<PointIndex> iteration) {
  SmallVector<unsigned> loops;
  op.getReductionDims(loops);
  const bool uniform = isUniform(iteration);
  for (OpOperand &init : op.getDpsInitsMutable()) {
    SmallVector<PointIndex> indices;
    for (AffineExpr expression : op.getMatchingIndexingMap(&init).getResults())
      indices.push_back(evaluate(expression, iteration));
    at(init.get(), indices);
  }
  auto before = known;
  for (unsigned dim : loops)
    iteration[dim] = PointIndex::uniform(symbol(), op.getStaticLoopRanges()[dim]);
  region(op, iteration);
  known = std::move(before);
  return !uniform;
}

/// A scalar at the top of the kernel body, and what it reads.
void PointAccess::scalar(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op) {
    fail(value.getLoc(), "a scalar of the kernel has no definition");
    return;
  }
  auto extract = dyn_cast<tensor::ExtractOp>(op);
  if (!extract) {
    llvm::for_each(op->getOperands(), [&](Value operand) { scalar(operand); });
    return;
  }
  SmallVector<PointIndex> indices;
  for (auto [index, size] : llvm::zip(extract.getIndices(), shapeOf(extract.getTensor())))
    indices.push_back(scalarIndex(index, size));
  at(extract.getTensor(), indices);
}

PointIndex PointAccess::scalarIndex(Value value, int64_t extent) {
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)))
    return PointIndex::constant(constant.getSExtValue());
  scalar(value);
  auto [entry, isNew] = scalars.try_emplace(value);
  if (isNew)
    entry->second = PointIndex::uniform(symbol(), extent);
  return entry->second;
}

//===--------------------------------------------------------------------------------------------===//
// Views, joins, gathers, constants
//===--------------------------------------------------------------------------------------------===//

bool PointAccess::source(Operation *op, Indices indices) {
  Value result = op->getResult(0);
  auto reshaped = [&](Value operand) {
    PointIndex position = linearise(indices, shapeOf(result));
    return at(operand, split(position, shapeOf(operand)));
  };
  return llvm::TypeSwitch<Operation *, bool>(op)
      .Case<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(
          [&](auto view) { return reshaped(view.getSrc()); })
      .Case<graph::ReshapeOp>([&](auto view) { return reshaped(view.getOperand()); })
      .Case<tensor::ExtractSliceOp>([&](auto view) {
        llvm::SmallBitVector dropped = view.getDroppedDims();
        SmallVector<PointIndex> inside;
        unsigned next = 0;
        for (int64_t dim = 0; dim < view.getSourceType().getRank(); ++dim) {
          PointIndex index = dropped[dim] ? PointIndex::constant(0) : indices[next++];
          if (view.isDynamicOffset(dim) || view.isDynamicStride(dim))
            return fail(op->getLoc(), "slices at an offset that is not a constant");
          inside.push_back(index * view.getStaticStride(dim) +
                           PointIndex::constant(view.getStaticOffset(dim)));
        }
        return at(view.getSource(), inside);
      })
      .Case<tensor::PadOp>([&](auto) { return pad(op, indices); })
      .Case<tensor::ConcatOp>([&](auto) { return concat(op, indices); })
      .Case<graph::GatherOp>([&](auto) { return gather(op, indices); })
      .Case<tensor::CastOp, tensor::BitcastOp, UnrealizedConversionCastOp>(
          [&](Operation *cast) { return at(cast->getOperand(0), indices); })
      .Case<tensor::SplatOp>([&](auto splat) {
        scalar(splat.getInput());
        return false;
      })
      .Case<tensor::FromElementsOp>([&](auto list) {
        if (list.getElements().size() != 1)
          return fail(op->getLoc(), "only one element can be made a tensor inside a kernel");
        scalar(list.getElements().front());
        return false;
      })
      .Case<tensor::EmptyOp>([](auto) { return false; })
      .Case<arith::ConstantOp>([&](auto known) {
        return constant(op->getLoc(), cast<ElementsAttr>(known.getValue()), indices);
      })
      .Case<graph::ConstantOp>(
          [&](auto known) { return constant(op->getLoc(), known.getValue(), indices); })
      .Default([&](Operation *) {
        return fail(op->getLoc(),
                    "'" + op->getName().getStringRef() + "' has no value at a point of a kernel");
      });
}

PointAccess::Test PointAccess::inRange(const PointIndex &index, int64_t low, int64_t high) const {
  bool above = index.minimum() >= low, below = index.maximum() < high;
  if (above && below)
    return Test::Always;
  if (index.maximum() < low || index.minimum() >= high)
    return Test::Never;
  // A run of lanes that starts at a multiple of their number does not straddle such a bound.
  PointIndex::Lanes over = index.overLanes(laneCount);
  bool together =
      over.affine &&
      (over.step == 0 || (over.step == 1 && index.isMultipleOf(laneCount, laneCount) &&
                          (above || low % laneCount == 0) && (below || high % laneCount == 0)));
  return together ? Test::Together : Test::PerLane;
}

bool PointAccess::choose(Test test, bool wide, llvm::function_ref<bool()> onTrue,
                         llvm::function_ref<bool()> onFalse) {
  if (test == Test::Always)
    return onTrue();
  if (test == Test::Never)
    return onFalse();
  if (test == Test::PerLane) {
    const uintptr_t before = mask;
    mask = ++masks;
    onTrue();
    mask = ++masks;
    onFalse();
    mask = before;
    return true;
  }
  auto before = known;
  onTrue();
  known = before;
  onFalse();
  known = std::move(before);
  return wide;
}

PointIndex PointAccess::confine(const PointIndex &index, int64_t extent, bool perLane) {
  if (extent == 1)
    return PointIndex::constant(0);
  if (index.minimum() >= 0 && index.maximum() < extent)
    return index;
  PointIndex::Lanes over = index.overLanes(laneCount);
  if (!over.affine || over.step > 2 || over.step < 0 || (perLane && over.step == 0))
    return PointIndex::scattered(symbol(), extent);
  if (over.step == 2)
    return PointIndex::consecutive(symbol(), (extent + 1) / 2, /*aligned=*/false) * 2 +
           PointIndex::uniform(symbol(), 2);
  return over.step == 0
             ? PointIndex::uniform(symbol(), extent)
             : PointIndex::consecutive(symbol(), extent, index.isMultipleOf(laneCount, laneCount));
}

bool PointAccess::pad(Operation *op, Indices indices) {
  auto padded = cast<tensor::PadOp>(op);
  Value filling = padded.getConstantPaddingValue();
  if (!filling)
    return fail(op->getLoc(), "pads with more than one value");
  if (padded.getStaticLow().size() != indices.size() ||
      llvm::is_contained(padded.getStaticLow(), ShapedType::kDynamic))
    return fail(op->getLoc(), "pads by an amount that is not a constant");
  const bool wide = !isUniform(indices);
  SmallVector<PointIndex> inside(indices);
  std::function<bool(size_t)> from = [&](size_t dim) -> bool {
    if (dim == inside.size())
      return at(padded.getSource(), inside);
    int64_t low = padded.getStaticLow()[dim], size = shapeOf(padded.getSource())[dim];
    PointIndex index = indices[dim] + PointIndex::constant(-low);
    Test test = inRange(index, 0, size);
    return choose(
        test, wide,
        [&] {
          inside[dim] = confine(index, size, test == Test::PerLane);
          return from(dim + 1);
        },
        [&] {
          scalar(filling);
          return false;
        });
  };
  return from(0);
}

bool PointAccess::concat(Operation *op, Indices indices) {
  auto joined = cast<tensor::ConcatOp>(op);
  const unsigned dim = joined.getDim();
  const bool wide = !isUniform(indices);
  const SmallVector<int64_t> starts = startsOf(joined);
  std::function<bool(size_t, size_t, bool)> from = [&](size_t first, size_t end,
                                                       bool perLane) -> bool {
    if (first + 1 == end) {
      SmallVector<PointIndex> inside(indices);
      inside[dim] = confine(indices[dim] + PointIndex::constant(-starts[first]),
                            starts[end] - starts[first], perLane);
      return at(joined.getInputs()[first], inside);
    }
    const size_t middle = first + (end - first) / 2;
    Test test = inRange(indices[dim], indices[dim].minimum(), starts[middle]);
    bool split = perLane || test == Test::PerLane;
    return choose(
        test, wide, [&] { return from(first, middle, split); },
        [&] { return from(middle, end, split); });
  };
  return from(0, joined.getInputs().size(), false);
}

bool PointAccess::gather(Operation *op, Indices indices) {
  auto gather = cast<graph::GatherOp>(op);
  int64_t dim = gather.getDimension(), size = shapeOf(gather.getOperand())[dim];
  int64_t rank = cast<ShapedType>(gather.getIndices().getType()).getRank();
  bool wide = at(gather.getIndices(), indices.slice(dim, rank));
  SmallVector<PointIndex> inside(indices.take_front(dim));
  inside.push_back(wide ? PointIndex::scattered(symbol(), size)
                        : PointIndex::uniform(symbol(), size));
  llvm::append_range(inside, indices.drop_front(dim + rank));
  return at(gather.getOperand(), inside);
}

bool PointAccess::constant(Location where, ElementsAttr values, Indices indices) {
  constexpr int64_t largestTable = 1024; // of PointEmitter
  if (values.isSplat())
    return false;
  if (int64_t count = values.getNumElements(); count > largestTable)
    return fail(where, "a constant of " + Twine(count) + " elements must be a kernel's argument");
  if (isUniform(linearise(indices, values.getShapedType().getShape())))
    return false;
  ++slow;
  return true;
}

} // namespace ingot
