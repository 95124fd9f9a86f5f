#include "codegen/kernel/PointEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace ingot {

Type valueType(Type element) {
  auto integer = dyn_cast<IntegerType>(element);
  return integer ? IntegerType::get(element.getContext(), integer.getWidth()) : element;
}

Type storageType(Type element) {
  auto integer = dyn_cast<IntegerType>(element);
  return integer ? IntegerType::get(element.getContext(), std::max(8u, integer.getWidth()))
                 : element;
}

static Type elementOf(Value shaped) { return cast<ShapedType>(shaped.getType()).getElementType(); }
static ArrayRef<int64_t> shapeOf(Value shaped) {
  return cast<ShapedType>(shaped.getType()).getShape();
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

SmallVector<PointIndex> PointEmitter::point(Value shaped, ArrayRef<Value> indices) {
  SmallVector<PointIndex> result;
  for (auto [dim, index] : llvm::enumerate(indices)) {
    int64_t extent = shapeOf(shaped)[dim];
    bool innermost = dim + 1 == indices.size() && laneCount > 1;
    result.push_back(innermost ? PointIndex::consecutive(index, extent, /*aligned=*/true)
                               : PointIndex::uniform(index, extent));
  }
  return result;
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
    Value sum = index.scalar(builder, location);
    int64_t extent = index.maximum() + 1;
    PointIndex whole =
        uniform ? PointIndex::uniform(sum, extent)
                : PointIndex::consecutive(sum, extent, index.isMultipleOf(laneCount, laneCount));
    if (auto exact = whole.divide(divisor))
      return *exact;
  }
  ++slow;
  Value value =
      uniform ? index.scalar(builder, location) : index.vector(builder, location, laneCount);
  Value by = number(location, value.getType(), divisor);
  Value quotient = arith::DivUIOp::create(builder, location, value, by);
  Value remainder = arith::RemUIOp::create(builder, location, value, by);
  auto make = uniform ? PointIndex::uniform : PointIndex::scattered;
  return {make(quotient, index.maximum() / divisor + 1), make(remainder, divisor)};
}

SmallVector<PointIndex> PointEmitter::split(PointIndex position, ArrayRef<int64_t> shape) {
  SmallVector<PointIndex> indices(shape.size());
  for (size_t dim = shape.size(); dim-- > 1;) {
    auto [quotient, remainder] = divide(position, shape[dim]);
    indices[dim] = remainder;
    position = quotient;
  }
  if (!shape.empty())
    indices[0] = position;
  return indices;
}

PointIndex PointEmitter::evaluate(AffineExpr expression, Indices dimensions) {
  if (auto dim = dyn_cast<AffineDimExpr>(expression))
    return dimensions[dim.getPosition()];
  if (auto constant = dyn_cast<AffineConstantExpr>(expression))
    return PointIndex::constant(constant.getValue());
  auto binary = cast<AffineBinaryOpExpr>(expression);
  PointIndex left = evaluate(binary.getLHS(), dimensions);
  if (expression.getKind() == AffineExprKind::Add)
    return left + evaluate(binary.getRHS(), dimensions);
  int64_t right = cast<AffineConstantExpr>(binary.getRHS()).getValue();
  switch (expression.getKind()) {
  case AffineExprKind::Mul:
    return left * right;
  case AffineExprKind::Mod:
    return divide(left, right).second;
  case AffineExprKind::FloorDiv:
    return divide(left, right).first;
  default:
    return divide(left + PointIndex::constant(right - 1), right).first;
  }
}

//===--------------------------------------------------------------------------------------------===//
// Memory
//===--------------------------------------------------------------------------------------------===//

Value PointEmitter::flatten(Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  if (type.getRank() == 1)
    return memref;
  Value &view = flat[memref];
  if (view)
    return view;
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointAfterValue(memref);
  auto line = MemRefType::get({type.getNumElements()}, type.getElementType());
  view = memref::ReinterpretCastOp::create(builder, memref.getLoc(), line, memref, int64_t(0),
                                           line.getShape(), ArrayRef<int64_t>{1});
  return view;
}

Value PointEmitter::load(Value memref, Type element, const PointIndex &position, Value mask) {
  loads.push_back({memref, position});
  Location location = memref.getLoc();
  Type stored = storageType(element);
  PointIndex::Lanes over = position.overLanes(laneCount);
  Value line = flatten(memref), value;
  if (over.affine && over.step == 0) {
    value = memref::LoadOp::create(builder, location, line, position.scalar(builder, location));
  } else if (over.affine && over.step == 1) {
    Value start = position.scalar(builder, location);
    VectorType type = vectorOf(stored);
    value = mask ? vector::MaskedLoadOp::create(builder, location, type, line, start, mask,
                                                number(location, type, 0))
                       .getResult()
                 : vector::LoadOp::create(builder, location, type, line, start).getResult();
  } else {
    ++slow;
    Value lanes = arith::IndexCastOp::create(builder, location, vectorOf(builder.getI32Type()),
                                             position.vector(builder, location, laneCount));
    if (!mask)
      mask = number(location, vectorOf(builder.getI1Type()), 1);
    Value origin = number(location, builder.getIndexType(), 0);
    VectorType type = vectorOf(stored);
    value = vector::GatherOp::create(builder, location, type, line, origin, lanes, mask,
                                     number(location, type, 0));
  }
  if (stored == valueType(element))
    return value;
  auto vector = dyn_cast<VectorType>(value.getType());
  Type narrow = vector ? Type(vectorOf(valueType(element))) : valueType(element);
  return arith::TruncIOp::create(builder, location, narrow, value);
}

void PointEmitter::store(Value value, Value memref, ArrayRef<Value> indices, Value mask) {
  PointIndex position = linearise(point(memref, indices), shapeOf(memref));
  store(value, memref, position, mask, getElementTypeOrSelf(value.getType()));
}

void PointEmitter::store(Value value, Value memref, const PointIndex &position, Value mask,
                         Type element) {
  Location location = memref.getLoc();
  Type stored = elementOf(memref);
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
  Value line = flatten(memref);
  if (uniform) {
    memref::StoreOp::create(builder, location, value, line, position.scalar(builder, location));
  } else if (over.affine && over.step == 1) {
    Value start = position.scalar(builder, location);
    if (mask)
      vector::MaskedStoreOp::create(builder, location, line, start, mask, value);
    else
      vector::StoreOp::create(builder, location, value, line, start);
  } else {
    ++slow;
    Value lanes = arith::IndexCastOp::create(builder, location, vectorOf(builder.getI32Type()),
                                             position.vector(builder, location, laneCount));
    if (!mask)
      mask = number(location, vectorOf(builder.getI1Type()), 1);
    Value origin = number(location, builder.getIndexType(), 0);
    vector::ScatterOp::create(builder, location, Type(), line, origin, lanes, mask, value);
  }
}

//===--------------------------------------------------------------------------------------------===//
// Values
//===--------------------------------------------------------------------------------------------===//

Value PointEmitter::at(Value tensor, ArrayRef<Value> indices, Value mask) {
  return vectorised(at(tensor, point(tensor, indices), mask));
}

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
  if (auto found = memory.find(tensor); found != memory.end())
    return load(found->second, elementOf(tensor), linearise(indices, shapeOf(tensor)), mask);
  auto result = dyn_cast<OpResult>(tensor);
  if (!result)
    return fail(tensor.getLoc(), "this argument of the kernel has no memory", elementOf(tensor));
  if (auto op = dyn_cast<linalg::LinalgOp>(result.getOwner()))
    return structured(op, result.getResultNumber(), indices, mask);
  return source(result.getOwner(), indices, mask);
}

Value PointEmitter::structured(linalg::LinalgOp op, unsigned result, Indices indices, Value mask) {
  Type element = elementOf(op->getResult(result));
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
  auto lookup = [&](Value value) {
    auto found = values.find(value);
    return found != values.end() ? found->second : scalar(value);
  };
  for (Operation &inner : op.getBlock()->without_terminator()) {
    if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
      const PointIndex &position = iteration[index.getDim()];
      values[index] = isUniform(position) ? position.scalar(builder, inner.getLoc())
                                          : position.vector(builder, inner.getLoc(), laneCount);
      continue;
    }
    SmallVector<Value> operands = llvm::map_to_vector(inner.getOperands(), lookup);
    for (auto [result, value] : llvm::zip(inner.getResults(), apply(&inner, operands)))
      values[result] = value;
  }
  return llvm::map_to_vector(op.getBlock()->getTerminator()->getOperands(), lookup);
}

SmallVector<Value> PointEmitter::apply(Operation *op, ArrayRef<Value> operands) {
  if (isa<UnrealizedConversionCastOp>(op)) // between signless and signed: one type in code
    return SmallVector<Value>(operands);
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
  OpBuilder::InsertionGuard guard(builder);
  Scope scope(*this);
  SmallVector<scf::ForOp> nest;
  auto index = [&](int64_t value) { return number(location, builder.getIndexType(), value); };
  for (unsigned dim : loops) {
    auto loop = scf::ForOp::create(builder, location, index(0), index(ranges[dim]), index(1),
                                   nest.empty() ? ValueRange(carried)
                                                : ValueRange(nest.back().getRegionIterArgs()));
    iteration[dim] = PointIndex::uniform(loop.getInductionVar(), ranges[dim]);
    nest.push_back(loop);
    builder.setInsertionPointToStart(loop.getBody());
  }
  SmallVector<Value> values = arguments(op, iteration, mask);
  llvm::copy(nest.back().getRegionIterArgs(), values.end() - carried.size());
  SmallVector<Value> next = inlineRegion(op, iteration, values);
  if (!uniform)
    for (Value &value : next)
      value = vectorised(value);
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
      indices.push_back(PointIndex::uniform(scalar(index), size));
    return known[words] = at(extract.getTensor(), indices);
  }
  SmallVector<Value> operands =
      llvm::map_to_vector(op->getOperands(), [&](Value operand) { return scalar(operand); });
  return known[words] = apply(op, operands)[result.getResultNumber()];
}

} // namespace ingot
