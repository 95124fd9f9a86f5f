#include "codegen/kernel/PointEmitter.h"
#include "codegen/kernel/QuadLanes.h"
#include "ir/dialect/GraphBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "passes/linalg/Combiner.h"

using namespace mlir;

namespace ingot {

using graph::shapeOf;

Type valueType(Type element) {
  auto integer = dyn_cast<IntegerType>(element);
  return integer ? IntegerType::get(element.getContext(), integer.getWidth()) : element;
}

Type storageType(Type element) {
  auto integer = dyn_cast<IntegerType>(element);
  return integer ? IntegerType::get(element.getContext(), std::max(8u, integer.getWidth()))
                 : element;
}

//===--------------------------------------------------------------------------------------------===//
// Small things
//===--------------------------------------------------------------------------------------------===//

VectorType PointEmitter::vectorOf(Type element) const {
  return VectorType::get({laneCount}, element);
}

bool PointEmitter::isUniform(Indices indices) const {
  return llvm::all_of(indices, [&](const PointIndex &index) {
    PointIndex::Lanes over = index.overLanes(laneCount);
    return over.affine && over.step == 0;
  });
}

Value PointEmitter::number(Location location, Type type, int64_t value) {
  Type element = getElementTypeOrSelf(type);
  TypedAttr attr = isa<FloatType>(element) ? TypedAttr(builder.getFloatAttr(element, double(value)))
                                           : TypedAttr(builder.getIntegerAttr(element, value));
  if (auto shaped = dyn_cast<ShapedType>(type))
    attr = DenseElementsAttr::get(shaped, Attribute(attr));
  return arith::ConstantOp::create(builder, location, attr);
}

Value PointEmitter::fail(Location location, const Twine &why, Type element) {
  if (!broken)
    emitError(location) << why;
  broken = true;
  return number(location, valueType(element), 0);
}

Value PointEmitter::vectorised(Value value) {
  if (laneCount == 1 || isa<VectorType>(value.getType()))
    return value;
  VectorType type = vectorOf(value.getType());
  Attribute known;
  if (matchPattern(value, m_Constant(&known)))
    return arith::ConstantOp::create(builder, value.getLoc(), DenseElementsAttr::get(type, known));
  return vector::BroadcastOp::create(builder, value.getLoc(), type, value);
}

std::vector<uintptr_t> PointEmitter::key(Value tensor, Indices indices, Value mask) const {
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
    words.push_back(uintptr_t(mask.getAsOpaquePointer()));
  return words;
}

Value PointEmitter::scalarIndex(const PointIndex &index) {
  return index.scalar(builder, builder.getUnknownLoc(), indexType());
}

Value PointEmitter::laneIndices(const PointIndex &index) {
  return index.vector(builder, builder.getUnknownLoc(), indexType(), laneCount);
}

/// A scalar or vector of integers as one of `element`.
Value PointEmitter::castIndex(Value value, Type element) {
  auto vector = dyn_cast<VectorType>(value.getType());
  Type from = getElementTypeOrSelf(value.getType()),
       to = vector ? Type(vector.clone(element)) : element;
  if (from == element)
    return value;
  Location location = builder.getUnknownLoc();
  if (from.isIndex() || element.isIndex())
    return arith::IndexCastOp::create(builder, location, to, value);
  if (from.getIntOrFloatBitWidth() < element.getIntOrFloatBitWidth())
    return arith::ExtSIOp::create(builder, location, to, value);
  return arith::TruncIOp::create(builder, location, to, value);
}

Value PointEmitter::bodyIndex(const PointIndex &index) {
  return castIndex(isUniform(index) ? scalarIndex(index) : laneIndices(index),
                   builder.getIndexType());
}

//===--------------------------------------------------------------------------------------------===//
// Index arithmetic
//===--------------------------------------------------------------------------------------------===//

std::pair<PointIndex, PointIndex> PointEmitter::divide(const PointIndex &index, int64_t divisor) {
  if (auto exact = index.divide(divisor))
    return *exact;
  Location location = builder.getUnknownLoc();
  bool uniform = isUniform(index);
  PointIndex::Lanes over = index.overLanes(laneCount);
  if (over.affine && over.step == !uniform && index.minimum() >= 0) {
    // As digits of one variable, quotient and remainder can be joined again: whoever reads the
    // memory in the same order needs no division.
    Value sum = scalarIndex(index);
    int64_t extent = index.maximum() + 1;
    PointIndex whole =
        uniform ? PointIndex::uniform(sum, extent)
                : PointIndex::consecutive(sum, extent, index.isMultipleOf(laneCount, laneCount));
    if (auto exact = whole.divide(divisor))
      return *exact;
  }
  ++slow;
  Value value = uniform ? scalarIndex(index) : laneIndices(index);
  Value by = number(location, value.getType(), divisor);
  Value quotient = arith::DivUIOp::create(builder, location, value, by);
  Value remainder = arith::RemUIOp::create(builder, location, value, by);
  auto make = uniform ? PointIndex::uniform : PointIndex::scattered;
  return {make(quotient, index.maximum() / divisor + 1), make(remainder, divisor)};
}

SmallVector<PointIndex> PointEmitter::split(PointIndex position, ArrayRef<int64_t> shape) {
  return splitPosition(
      std::move(position), shape,
      [this](const PointIndex &index, int64_t divisor) { return divide(index, divisor); });
}

PointIndex PointEmitter::evaluate(AffineExpr expression, Indices dimensions) {
  return evaluateExpression(
      expression, dimensions,
      [this](const PointIndex &index, int64_t divisor) { return divide(index, divisor); });
}

//===--------------------------------------------------------------------------------------------===//
// Memory
//===--------------------------------------------------------------------------------------------===//

/// A run each of whose elements fills several lanes.
Value PointEmitter::loadSlowRun(Value buffer, Type stored, Value start, int64_t lanesPerElement,
                                Value mask) {
  Location location = buffer.getLoc();
  const int64_t elements = laneCount / lanesPerElement;
  auto everyOne = [&](Value vector, int64_t first) -> Value {
    SmallVector<int64_t> places;
    for (int64_t element = 0; element < elements; ++element)
      places.push_back(element * lanesPerElement + first);
    return vector::ShuffleOp::create(builder, location, vector, vector, places);
  };
  Value some; // an element is read if one of its lanes counts
  for (int64_t lane = 0; mask && lane < lanesPerElement; ++lane) {
    Value own = everyOne(mask, lane);
    some = some ? arith::OrIOp::create(builder, location, some, own).getResult() : own;
  }
  Value run = memory.loadRun(builder, location, buffer, VectorType::get({elements}, stored), start,
                             /*isAligned=*/false, some);
  SmallVector<int64_t> places;
  for (int64_t lane = 0; lane < laneCount; ++lane)
    places.push_back(lane / lanesPerElement);
  return vector::ShuffleOp::create(builder, location, run, run, places);
}

Value PointEmitter::load(Value buffer, Type element, const PointIndex &position, Value mask) {
  loads.push_back({buffer, position});
  Location location = buffer.getLoc();
  Type stored = storageType(element);
  PointIndex::Lanes over = position.overLanes(laneCount);
  auto inOrder = [&]() -> Value {
    if (std::optional<int64_t> perElement = position.lanesPerStep(laneCount))
      return loadSlowRun(buffer, stored, scalarIndex(position), *perElement, mask);
    if (!over.affine || over.step < 0 || over.step > 2)
      return {};
    Value start = scalarIndex(position);
    if (over.step == 0)
      return memory.load(builder, location, buffer, stored, start);
    if (over.step == 1)
      return memory.loadRun(builder, location, buffer, vectorOf(stored), start,
                            position.isMultipleOf(laneCount, laneCount), mask);
    return memory.loadEverySecond(builder, location, buffer, vectorOf(stored), start, mask);
  };
  Value value = inOrder();
  if (!value) {
    ++slow;
    value = memory.gather(builder, location, buffer, vectorOf(stored), laneIndices(position), mask);
  }
  if (stored == valueType(element))
    return value;
  auto vector = dyn_cast<VectorType>(value.getType());
  Type narrow = vector ? Type(vectorOf(valueType(element))) : valueType(element);
  return arith::TruncIOp::create(builder, location, narrow, value);
}

void PointEmitter::store(Value value, Value buffer, const PointIndex &position, Value mask,
                         Type element) {
  Location location = buffer.getLoc();
  Type stored = storageType(element);
  PointIndex::Lanes over = position.overLanes(laneCount);
  bool uniform = over.affine && over.step == 0;
  if (!uniform)
    value = vectorised(value);
  if (stored != getElementTypeOrSelf(value.getType())) {
    Type wide = uniform ? stored : Type(vectorOf(stored));
    bool isSigned = element.isSignlessInteger() && !element.isInteger(1);
    value = isSigned ? arith::ExtSIOp::create(builder, location, wide, value).getResult()
                     : arith::ExtUIOp::create(builder, location, wide, value).getResult();
  }
  if (uniform) {
    memory.store(builder, location, value, buffer, scalarIndex(position));
  } else if (over.affine && over.step == 1) {
    memory.storeRun(builder, location, value, buffer, scalarIndex(position),
                    position.isMultipleOf(laneCount, laneCount), mask);
  } else {
    ++slow;
    memory.scatter(builder, location, value, buffer, laneIndices(position), mask);
  }
}

//===--------------------------------------------------------------------------------------------===//
// Values
//===--------------------------------------------------------------------------------------------===//

Value PointEmitter::at(Value tensor, Indices indices, Value mask) {
  std::vector<uintptr_t> words = key(tensor, indices, mask);
  if (auto found = known.find(words); found != known.end())
    return found->second;
  Value value;
  if (auto binding = bindings.find(tensor); binding != bindings.end())
    value = Binding(binding->second)(indices, mask);
  if (!value)
    value = evaluate(tensor, indices, mask);
  known[words] = value;
  return value;
}

Value PointEmitter::evaluate(Value tensor, Indices indices, Value mask) {
  if (auto found = buffers.find(tensor); found != buffers.end())
    return load(found->second, getElementTypeOrSelf(tensor), linearise(indices, shapeOf(tensor)),
                mask);
  auto result = dyn_cast<OpResult>(tensor);
  if (!result)
    return fail(tensor.getLoc(), "this argument of the kernel has no memory",
                getElementTypeOrSelf(tensor));
  if (auto op = dyn_cast<linalg::LinalgOp>(result.getOwner()))
    return structured(op, result.getResultNumber(), indices, mask);
  return source(result.getOwner(), indices, mask);
}

Value PointEmitter::structured(linalg::LinalgOp op, unsigned result, Indices indices, Value mask) {
  Type element = getElementTypeOrSelf(op->getResult(result));
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(result));
  SmallVector<PointIndex> iteration(op.getNumLoops());
  if (!map.isProjectedPermutation(/*allowZeroInResults=*/true))
    return fail(op.getLoc(), "writes its result through a map that is no permutation", element);
  for (auto [expression, index] : llvm::zip(map.getResults(), indices))
    if (auto dim = dyn_cast<AffineDimExpr>(expression))
      iteration[dim.getPosition()] = index;
  for (auto [dim, iterator] : llvm::enumerate(op.getIteratorTypesArray()))
    if (iterator == utils::IteratorType::parallel && !map.isFunctionOfDim(dim) &&
        op.getStaticLoopRanges()[dim] != 1)
      return fail(op.getLoc(), "has a parallel loop that its result does not have", element);

  SmallVector<Value> values = op.getNumReductionLoops()
                                  ? reduction(op, iteration, mask)
                                  : inlineRegion(op, iteration, arguments(op, iteration, mask));
  for (auto [other, value] : llvm::enumerate(values))
    if (op.getMatchingIndexingMap(op.getDpsInitOperand(other)) == map)
      known[key(op->getResult(other), indices, mask)] = value;
  return values[result];
}

SmallVector<Value> PointEmitter::arguments(linalg::LinalgOp op, Indices iteration, Value mask) {
  SmallVector<Value> values;
  for (OpOperand &operand : op->getOpOperands()) {
    BlockArgument argument = op.getMatchingBlockArgument(&operand);
    bool accumulator = op.isDpsInit(&operand) && op.getNumReductionLoops();
    if (argument.use_empty() || accumulator) {
      values.push_back({});
    } else if (!isa<RankedTensorType>(operand.get().getType())) {
      values.push_back(scalar(operand.get()));
    } else {
      SmallVector<PointIndex> indices;
      for (AffineExpr expression : op.getMatchingIndexingMap(&operand).getResults())
        indices.push_back(evaluate(expression, iteration));
      values.push_back(at(operand.get(), indices, mask));
    }
  }
  return values;
}

SmallVector<Value> PointEmitter::inlineRegion(linalg::LinalgOp op, Indices iteration,
                                              ArrayRef<Value> arguments) {
  llvm::DenseMap<Value, Value> values;
  for (auto [argument, value] : llvm::zip_equal(op.getBlock()->getArguments(), arguments))
    values[argument] = value;
  QuadLanes quads(builder, laneCount);
  auto lookup = [&](Value value) {
    if (auto found = values.find(value); found != values.end())
      return found->second;
    Value expanded = quads.expanded(value);
    return expanded ? expanded : scalar(value);
  };
  for (Operation &inner : op.getBlock()->without_terminator()) {
    if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
      values[index] = bodyIndex(iteration[index.getDim()]);
      quads.index(index, iteration[index.getDim()]);
      continue;
    }
    if (quads.emit(inner, lookup))
      continue;
    SmallVector<Value> operands = llvm::map_to_vector(inner.getOperands(), lookup);
    for (auto [result, value] : llvm::zip(inner.getResults(), apply(&inner, operands)))
      values[result] = value;
  }
  return llvm::map_to_vector(op.getBlock()->getTerminator()->getOperands(), lookup);
}

SmallVector<Value> PointEmitter::apply(Operation *op, ArrayRef<Value> operands) {
  if (isa<UnrealizedConversionCastOp>(op)) // between signless and signed: one type in code
    return SmallVector<Value>(operands);
  if (auto tuples = dyn_cast<graph::CombineOp>(op)) {
    SmallVector<Value> actual(operands);
    if (llvm::any_of(operands, [](Value value) { return isa<VectorType>(value.getType()); }))
      llvm::transform(actual, actual.begin(), [&](Value value) { return vectorised(value); });
    ValueRange both(actual);
    const size_t size = tuples.getLeft().size();
    return combinePartials(builder, op, both.take_front(size), both.drop_front(size));
  }
  if (op->getNumRegions() || !isMemoryEffectFree(op)) {
    fail(op->getLoc(), "'" + op->getName().getStringRef() + "' cannot stand inside a kernel",
         builder.getI1Type());
    return llvm::map_to_vector(op->getResultTypes(),
                               [&](Type type) { return number(op->getLoc(), valueType(type), 0); });
  }
  bool wide = llvm::any_of(operands, [](Value value) { return isa<VectorType>(value.getType()); });
  SmallVector<Value> actual(operands);
  if (wide)
    for (Value &value : actual)
      value = vectorised(value);
  Operation *copy = op->clone();
  copy->setOperands(actual);
  for (Value result : copy->getResults()) {
    Type type = valueType(result.getType());
    result.setType(wide ? Type(vectorOf(type)) : type);
  }
  builder.insert(copy);
  return SmallVector<Value>(copy->getResults());
}

/// So many elements are reduced without a loop: a filter's taps, whose places at the border are
/// then known.
constexpr int64_t unrolledTrips = 32;

/// The plain way to reduce, for reductions that no root handles better: loops at the point.
SmallVector<Value> PointEmitter::reduction(linalg::LinalgOp op, SmallVector<PointIndex> iteration,
                                           Value mask) {
  Location location = op.getLoc();
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  SmallVector<unsigned> loops;
  op.getReductionDims(loops);
  SmallVector<Value> carried;
  bool uniform = isUniform(iteration);
  for (OpOperand &init : op.getDpsInitsMutable()) {
    SmallVector<PointIndex> indices;
    for (AffineExpr expression : op.getMatchingIndexingMap(&init).getResults())
      indices.push_back(evaluate(expression, iteration));
    Value value = at(init.get(), indices, mask);
    carried.push_back(uniform ? value : vectorised(value));
  }
  auto accumulate = [&](ValueRange sums) {
    SmallVector<Value> values = arguments(op, iteration, mask);
    llvm::copy(sums, values.end() - sums.size());
    SmallVector<Value> next = inlineRegion(op, iteration, values);
    if (!uniform)
      for (Value &value : next)
        value = vectorised(value);
    return next;
  };
  SmallVector<int64_t> extents =
      llvm::map_to_vector(loops, [&](unsigned dim) { return ranges[dim]; });
  if (const int64_t trips = ShapedType::getNumElements(extents); trips <= unrolledTrips) {
    for (int64_t trip = 0; trip < trips; ++trip) {
      for (auto [dim, digit] : llvm::zip(loops, delinearize(trip, computeStrides(extents))))
        iteration[dim] = PointIndex::constant(digit);
      carried = accumulate(carried);
    }
    return carried;
  }
  OpBuilder::InsertionGuard guard(builder);
  Scope scope(*this);
  SmallVector<scf::ForOp> nest;
  auto index = [&](int64_t value) { return number(location, indexType(), value); };
  for (unsigned dim : loops) {
    auto loop = scf::ForOp::create(builder, location, index(0), index(ranges[dim]), index(1),
                                   nest.empty() ? ValueRange(carried)
                                                : ValueRange(nest.back().getRegionIterArgs()));
    iteration[dim] = PointIndex::uniform(loop.getInductionVar(), ranges[dim]);
    nest.push_back(loop);
    builder.setInsertionPointToStart(loop.getBody());
  }
  SmallVector<Value> next = accumulate(nest.back().getRegionIterArgs());
  for (scf::ForOp loop : llvm::reverse(nest)) {
    builder.setInsertionPointToEnd(loop.getBody());
    scf::YieldOp::create(builder, location, next);
    next = SmallVector<Value>(loop.getResults());
  }
  return next;
}

Value PointEmitter::scalar(Value value) {
  std::vector<uintptr_t> words{uintptr_t(value.getAsOpaquePointer())};
  if (auto found = known.find(words); found != known.end())
    return found->second;
  auto result = dyn_cast<OpResult>(value);
  if (!result)
    return fail(value.getLoc(), "a scalar of the kernel has no definition", value.getType());
  Operation *op = result.getOwner();
  if (auto extract = dyn_cast<tensor::ExtractOp>(op)) {
    SmallVector<PointIndex> indices;
    for (auto [index, size] : llvm::zip(extract.getIndices(), shapeOf(extract.getTensor())))
      indices.push_back(PointIndex::uniform(castIndex(scalar(index), indexType()), size));
    return known[words] = at(extract.getTensor(), indices);
  }
  SmallVector<Value> operands =
      llvm::map_to_vector(op->getOperands(), [&](Value operand) { return scalar(operand); });
  return known[words] = apply(op, operands)[result.getResultNumber()];
}

} // namespace ingot
