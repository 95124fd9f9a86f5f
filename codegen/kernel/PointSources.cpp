/// The point emitter's values seen through views, joins, gathers and constants.
#include "codegen/kernel/ConcatStarts.h"
#include "codegen/kernel/PointEmitter.h"
#include "ir/dialect/GraphBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ingot {

using graph::shapeOf;

Value PointEmitter::source(Operation *op, Indices indices, Value mask) {
  Value result = op->getResult(0);
  auto reshaped = [&](Value operand) {
    PointIndex position = linearise(indices, shapeOf(result));
    return at(operand, split(position, shapeOf(operand)), mask);
  };
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(
          [&](auto view) { return reshaped(view.getSrc()); })
      .Case<graph::ReshapeOp>([&](auto view) { return reshaped(view.getOperand()); })
      .Case<tensor::ExtractSliceOp>([&](auto) { return slice(op, indices, mask); })
      .Case<tensor::PadOp>([&](auto) { return pad(op, indices, mask); })
      .Case<tensor::ConcatOp>([&](auto) { return concat(op, indices, mask); })
      .Case<graph::GatherOp>([&](auto) { return gather(op, indices, mask); })
      .Case<tensor::CastOp, tensor::BitcastOp, UnrealizedConversionCastOp>(
          [&](Operation *cast) { return at(cast->getOperand(0), indices, mask); })
      .Case<tensor::SplatOp>([&](auto splat) { return scalar(splat.getInput()); })
      .Case<tensor::FromElementsOp>([&](auto list) {
        if (list.getElements().size() == 1)
          return scalar(list.getElements().front());
        return fail(op->getLoc(), "only one element can be made a tensor inside a kernel",
                    getElementTypeOrSelf(result));
      })
      .Case<tensor::EmptyOp>(
          [&](auto) { return number(op->getLoc(), valueType(getElementTypeOrSelf(result)), 0); })
      .Case<arith::ConstantOp>([&](auto known) {
        return constant(op->getLoc(), cast<ElementsAttr>(known.getValue()), indices);
      })
      .Case<graph::ConstantOp>(
          [&](auto known) { return constant(op->getLoc(), known.getValue(), indices); })
      .Default([&](Operation *) {
        return fail(op->getLoc(),
                    "'" + op->getName().getStringRef() + "' has no value at a point of a kernel",
                    getElementTypeOrSelf(result));
      });
}

Value PointEmitter::slice(Operation *op, Indices indices, Value mask) {
  auto view = cast<tensor::ExtractSliceOp>(op);
  llvm::SmallBitVector dropped = view.getDroppedDims();
  SmallVector<PointIndex> inside;
  unsigned next = 0;
  for (int64_t dim = 0; dim < view.getSourceType().getRank(); ++dim) {
    PointIndex index = dropped[dim] ? PointIndex::constant(0) : indices[next++];
    if (view.isDynamicOffset(dim) || view.isDynamicStride(dim))
      return fail(op->getLoc(), "slices at an offset that is not a constant",
                  getElementTypeOrSelf(view));
    inside.push_back(index * view.getStaticStride(dim) +
                     PointIndex::constant(view.getStaticOffset(dim)));
  }
  return at(view.getSource(), inside, mask);
}

//===--------------------------------------------------------------------------------------------===//
// Values that depend on where the point is
//===--------------------------------------------------------------------------------------------===//

/// low ≤ index < high.
PointEmitter::Condition PointEmitter::inRange(const PointIndex &index, int64_t low, int64_t high) {
  bool above = index.minimum() >= low, below = index.maximum() < high;
  if (above && below)
    return {true, {}};
  if (index.maximum() < low || index.minimum() >= high)
    return {false, {}};
  // A run of lanes that starts at a multiple of their number does not straddle such a bound.
  PointIndex::Lanes over = index.overLanes(laneCount);
  bool together =
      over.affine &&
      (over.step == 0 || (over.step == 1 && index.isMultipleOf(laneCount, laneCount) &&
                          (above || low % laneCount == 0) && (below || high % laneCount == 0)));
  Location location = builder.getUnknownLoc();
  constexpr int64_t narrowest = int64_t(1) << 30; // what differences of 32 bits have room for
  const bool isNarrow =
      index.minimum() > -narrowest && index.maximum() < narrowest && high < narrowest;
  if (!together && over.affine && isNarrow) {
    // One unsigned comparison of 32 bits a lane: an index below `low` is a large number.
    Type narrow = builder.getI32Type(), lanes = vectorOf(narrow);
    SmallVector<int32_t> offsets;
    for (int64_t lane = 0; lane < laneCount; ++lane)
      offsets.push_back(int32_t(lane * over.step - low));
    Value first = vector::BroadcastOp::create(builder, location, lanes,
                                              castIndex(scalarIndex(index), narrow));
    Value above = arith::AddIOp::create(
        builder, location, first,
        arith::ConstantOp::create(
            builder, location, DenseElementsAttr::get(cast<ShapedType>(lanes), ArrayRef(offsets))));
    return {true, arith::CmpIOp::create(builder, location, arith::CmpIPredicate::ult, above,
                                        number(location, lanes, high - low))};
  }
  Value value = together ? scalarIndex(index) : laneIndices(index);
  Value holds;
  auto require = [&](arith::CmpIPredicate predicate, int64_t bound) {
    Value test = arith::CmpIOp::create(builder, location, predicate, value,
                                       number(location, value.getType(), bound));
    holds = holds ? arith::AndIOp::create(builder, location, holds, test).getResult() : test;
  };
  if (!above)
    require(arith::CmpIPredicate::sge, low);
  if (!below)
    require(arith::CmpIPredicate::slt, high);
  return {true, holds};
}

/// The same index, known to be in [0, extent) (in the lanes that the mask leaves, if per lane). A
/// run of lanes stays one: lanes that are left out touch no memory.
PointIndex PointEmitter::confine(const PointIndex &index, int64_t extent, bool perLane) {
  if (extent == 1)
    return PointIndex::constant(0);
  if (index.minimum() >= 0 && index.maximum() < extent)
    return index;
  PointIndex::Lanes over = index.overLanes(laneCount);
  if (!over.affine || over.step > 2 || over.step < 0 || (perLane && over.step == 0))
    return PointIndex::scattered(laneIndices(index), extent);
  Value value = scalarIndex(index);
  if (over.step == 2) {
    Location location = builder.getUnknownLoc();
    Value one = number(location, value.getType(), 1);
    Value half = arith::ShRSIOp::create(builder, location, value, one);
    Value odd = arith::AndIOp::create(builder, location, value, one);
    return PointIndex::consecutive(half, (extent + 1) / 2, /*aligned=*/false) * 2 +
           PointIndex::uniform(odd, 2);
  }
  return over.step == 0
             ? PointIndex::uniform(value, extent)
             : PointIndex::consecutive(value, extent, index.isMultipleOf(laneCount, laneCount));
}

Value PointEmitter::choose(Location location, Condition condition, Type element, bool wide,
                           Value mask, Branch onTrue, Branch onFalse) {
  if (!condition.value)
    return condition.known ? onTrue(mask) : onFalse(mask);
  if (isa<VectorType>(condition.value.getType())) {
    auto masked = [&](Value lanes) -> Value {
      return mask ? arith::AndIOp::create(builder, location, mask, lanes) : lanes;
    };
    Value everyLane = number(location, condition.value.getType(), 1);
    Value otherwise = arith::XOrIOp::create(builder, location, condition.value, everyLane);
    Value yes = vectorised(onTrue(masked(condition.value)));
    Value no = vectorised(onFalse(masked(otherwise)));
    return arith::SelectOp::create(builder, location, condition.value, yes, no);
  }
  Type type = wide ? Type(vectorOf(valueType(element))) : valueType(element);
  auto branch = scf::IfOp::create(builder, location, type, condition.value, /*else=*/true);
  OpBuilder::InsertionGuard guard(builder);
  auto fill = [&](Block *block, Branch body) {
    Scope scope(*this);
    builder.setInsertionPointToStart(block);
    Value value = body(mask);
    scf::YieldOp::create(builder, location, wide ? vectorised(value) : value);
  };
  fill(branch.thenBlock(), onTrue);
  fill(branch.elseBlock(), onFalse);
  return branch.getResult(0);
}

Value PointEmitter::pad(Operation *op, Indices indices, Value mask) {
  auto padded = cast<tensor::PadOp>(op);
  Value filling = padded.getConstantPaddingValue();
  if (!filling)
    return fail(op->getLoc(), "pads with more than one value", getElementTypeOrSelf(padded));
  bool wide = !isUniform(indices);
  SmallVector<PointIndex> inside(indices);
  // One dimension after the other, so that each condition is as cheap as it can be.
  std::function<Value(size_t, Value)> from = [&](size_t dim, Value lanes) -> Value {
    if (dim == inside.size())
      return at(padded.getSource(), inside, lanes);
    int64_t low = padded.getStaticLow()[dim], size = shapeOf(padded.getSource())[dim];
    PointIndex index = indices[dim] + PointIndex::constant(-low);
    Condition condition = inRange(index, 0, size);
    bool perLane = condition.value && isa<VectorType>(condition.value.getType());
    return choose(
        op->getLoc(), condition, getElementTypeOrSelf(padded), wide, lanes,
        [&](Value still) {
          inside[dim] = confine(index, size, perLane);
          return from(dim + 1, still);
        },
        [&](Value) { return scalar(filling); });
  };
  if (padded.getStaticLow().size() != inside.size() ||
      llvm::is_contained(padded.getStaticLow(), ShapedType::kDynamic))
    return fail(op->getLoc(), "pads by an amount that is not a constant",
                getElementTypeOrSelf(padded));
  return from(0, mask);
}

Value PointEmitter::concat(Operation *op, Indices indices, Value mask) {
  auto joined = cast<tensor::ConcatOp>(op);
  unsigned dim = joined.getDim();
  bool wide = !isUniform(indices);
  const SmallVector<int64_t> starts = startsOf(joined);
  // Halves, so that many pieces are neither deep code nor many comparisons.
  std::function<Value(size_t, size_t, bool, Value)> from = [&](size_t first, size_t end,
                                                               bool perLane, Value lanes) -> Value {
    if (first + 1 == end) {
      SmallVector<PointIndex> inside(indices);
      inside[dim] = confine(indices[dim] + PointIndex::constant(-starts[first]),
                            starts[end] - starts[first], perLane);
      return at(joined.getInputs()[first], inside, lanes);
    }
    const size_t middle = first + (end - first) / 2;
    Condition condition = inRange(indices[dim], indices[dim].minimum(), starts[middle]);
    bool split = perLane || (condition.value && isa<VectorType>(condition.value.getType()));
    return choose(
        op->getLoc(), condition, getElementTypeOrSelf(joined), wide, lanes,
        [&](Value still) { return from(first, middle, split, still); },
        [&](Value still) { return from(middle, end, split, still); });
  };
  return from(0, joined.getInputs().size(), false, mask);
}

/// Unsigned types hold no more than their positive values here: the reference refuses others.
Value PointEmitter::clampedIndex(Location location, Value index, int64_t last) {
  // In the wider of the two types, so that no bound is cut off.
  Type narrow = getElementTypeOrSelf(index.getType());
  bool isWider = !indexType().isIndex() &&
                 narrow.getIntOrFloatBitWidth() > indexType().getIntOrFloatBitWidth();
  if (!isWider)
    index = castIndex(index, indexType());
  index = arith::MaxSIOp::create(builder, location, index, number(location, index.getType(), 0));
  index = arith::MinSIOp::create(builder, location, index, number(location, index.getType(), last));
  return castIndex(index, indexType());
}

Value PointEmitter::gather(Operation *op, Indices indices, Value mask) {
  auto gather = cast<graph::GatherOp>(op);
  int64_t dim = gather.getDimension(), size = shapeOf(gather.getOperand())[dim];
  int64_t rank = cast<ShapedType>(gather.getIndices().getType()).getRank();
  Value index =
      clampedIndex(op->getLoc(), at(gather.getIndices(), indices.slice(dim, rank), mask), size - 1);
  bool uniform = !isa<VectorType>(index.getType());
  SmallVector<PointIndex> inside(indices.take_front(dim));
  inside.push_back(uniform ? PointIndex::uniform(index, size) : PointIndex::scattered(index, size));
  llvm::append_range(inside, indices.drop_front(dim + rank));
  return at(gather.getOperand(), inside, mask);
}

/// Small tables live in the code as vectors; large ones belong into the arena.
Value PointEmitter::constant(Location location, ElementsAttr values, Indices indices) {
  constexpr int64_t largestTable = 1024;
  Type element = valueType(values.getElementType());
  auto scalarOf = [&](Attribute attr) -> TypedAttr {
    if (auto integer = dyn_cast<IntegerAttr>(attr))
      return IntegerAttr::get(element, integer.getValue());
    return cast<TypedAttr>(attr);
  };
  if (values.isSplat())
    return arith::ConstantOp::create(builder, location,
                                     scalarOf(values.getSplatValue<Attribute>()));
  int64_t count = values.getNumElements();
  if (count > largestTable)
    return fail(location, "a constant of " + Twine(count) + " elements must be a kernel's argument",
                element);
  SmallVector<Attribute> elements;
  for (Attribute attr : values.getValues<Attribute>())
    elements.push_back(scalarOf(attr));
  Value table = arith::ConstantOp::create(
      builder, location, DenseElementsAttr::get(VectorType::get({count}, element), elements));
  PointIndex position = linearise(indices, values.getShapedType().getShape());
  Value lanes = bodyIndex(position);
  if (isUniform(position))
    return vector::ExtractOp::create(builder, location, table, lanes);
  ++slow;
  Value last = number(location, builder.getIndexType(), count - 1);
  Value result = number(location, vectorOf(element), 0);
  for (int64_t lane = 0; lane < laneCount; ++lane) {
    // Lanes outside the mask may point anywhere.
    Value at = vector::ExtractOp::create(builder, location, lanes, lane);
    at = arith::MinUIOp::create(builder, location, at, last);
    Value one = vector::ExtractOp::create(builder, location, table, at);
    result = vector::InsertOp::create(builder, location, one, result, lane);
  }
  return result;
}

} // namespace ingot
