#include "codegen/kernel/AttentionSight.h"
#include "codegen/kernel/ConvertFloat.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <limits>

using namespace mlir;

namespace ingot {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// In all lanes of the type.
Value AttentionSight::number(Type type, double value) {
  TypedAttr scalar = code.builder.getFloatAttr(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    scalar = DenseElementsAttr::get(vector, ArrayRef<Attribute>{scalar});
  return code.create<arith::ConstantOp>(scalar);
}

/// An integer of the pair's batch element, clamped to what makes a difference.
Value AttentionSight::integerOf(PointEmitter &points, Value tensor, Value pair, int64_t least,
                                int64_t most) {
  SmallVector<PointIndex> index;
  if (cast<RankedTensorType>(tensor.getType()).getRank())
    index.push_back(points.split(PointIndex::uniform(pair, extents.pairs),
                                 {extents.pairs / extents.heads, extents.heads})[0]);
  Value integer = points.at(tensor, index);
  Type wide = code.builder.getI64Type();
  if (integer.getType() != wide)
    integer = code.create<arith::ExtSIOp>(wide, integer);
  auto number = [&](int64_t value) -> Value {
    return code.create<arith::ConstantOp>(code.builder.getI64IntegerAttr(value));
  };
  integer = code.create<arith::MaxSIOp>(integer, number(least));
  integer = code.create<arith::MinSIOp>(integer, number(most));
  if (isa<IndexType>(code.integer))
    return code.create<arith::IndexCastOp>(code.integer, integer);
  return code.integer == wide ? integer
                              : code.create<arith::TruncIOp>(code.integer, integer).getResult();
}

void AttentionSight::enter(PointEmitter points, Value pair) {
  if (rule.offset && rule.isBanded())
    offset = integerOf(points, rule.offset, pair, rule.leastOffset(), rule.mostOffset());
  if (rule.length)
    length = integerOf(points, rule.length, pair, 0, rule.keys);
}

Value AttentionSight::shift(int64_t by) {
  return offset ? code.add(offset, by) : code.index(rule.place() + by);
}

Value AttentionSight::keysBefore(Value end) {
  return rule.after ? code.min(code.add(end, shift(*rule.after)), keyCount()) : keyCount();
}

Value AttentionSight::keysFrom(Value query) {
  return rule.before ? code.max(code.add(query, shift(-*rule.before)), code.index(0))
                     : code.index(0);
}

Value AttentionSight::allSee(Value query, Value lastQuery, Value key, Value lastKey) {
  Value seen;
  auto demand = [&](Value condition) {
    seen = seen ? code.create<arith::AndIOp>(seen, condition).getResult() : condition;
  };
  if (rule.after)
    demand(code.isBelow(lastKey, code.add(query, shift(*rule.after + 1))));
  if (rule.before)
    demand(code.isBelow(code.add(lastQuery, shift(-*rule.before - 1)), key));
  if (length)
    demand(code.isBelow(lastKey, length));
  return seen;
}

Value AttentionSight::sees(Value query, Value key) { return allSee(query, query, key, key); }

Value AttentionSight::maskAt(PointEmitter &points, Value pair, const PointIndex &query,
                             const PointIndex &key, Type sumType, Value lanes) {
  ArrayRef<int64_t> shape = graph::shapeOf(rule.mask);
  SmallVector<PointIndex> indices = points.split(PointIndex::uniform(pair, extents.pairs),
                                                 {extents.pairs / extents.heads, extents.heads});
  indices.append({query, key});
  for (auto [index, size] : llvm::zip_equal(indices, shape))
    if (size == 1)
      index = PointIndex::constant(0);
  Value value = points.at(rule.mask, indices, lanes);
  Type type = sumType;
  if (auto vector = dyn_cast<VectorType>(value.getType()))
    type = vector.clone(sumType);
  if (!rule.isBooleanMask())
    return convertFloat(code, value, sumType);
  return code.create<arith::SelectOp>(value, number(type, 0), number(type, -infinity));
}

AttentionSight::Score AttentionSight::scoreOf(Value products, Value added) {
  Type type = products.getType();
  auto multiplied = [&](Value value, double factor) -> Value {
    return code.create<arith::MulFOp>(value, number(type, factor));
  };
  Score score;
  if (rule.softCap == 0) {
    score.value = multiplied(products, rule.scale);
  } else {
    score.tanh = code.create<math::TanhOp>(multiplied(products, rule.scale / rule.softCap));
    score.value = multiplied(score.tanh, rule.softCap);
  }
  if (!added)
    return score;
  Value hidden = number(type, -infinity);
  Value isHidden = code.create<arith::CmpFOp>(arith::CmpFPredicate::OEQ, added, hidden);
  if (!rule.isBooleanMask())
    score.value = code.create<arith::AddFOp>(score.value, added);
  score.value = code.create<arith::SelectOp>(isHidden, hidden, score.value);
  return score;
}

Value AttentionSight::lseOf(Value lse) {
  if (!rule.mayHideAll())
    return lse;
  Type type = lse.getType();
  Value seesNone =
      code.create<arith::CmpFOp>(arith::CmpFPredicate::OEQ, lse, number(type, -infinity));
  return code.create<arith::SelectOp>(seesNone, number(type, infinity), lse);
}

} // namespace ingot
