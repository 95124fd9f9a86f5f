/// The row of raise-composites for attention: softmax(cap(scale·q·kᵀ) + masks)·v, in whatever order
/// of dimensions, scaled before or after the product, with keys and values that are repeated for
/// groups of heads. Masks that are known and hide what is outside a window become that window; all
/// others are added up.
#include "ir/dialect/Elements.h"
#include "mlir/IR/Matchers.h"
#include "passes/raise/ScoreMasks.h"
#include "llvm/ADT/SmallPtrSet.h"
#include <cmath>

using namespace mlir;
using namespace ingot::graph;

namespace ingot {
namespace {

using Dims = SmallVector<int64_t>;

/// A factor of a product of heads as the model has it: its dimensions in the order batch…, free…,
/// summed (queries, keys) or batch…, summed, free (values).
struct Factor {
  Value value;
  Dims order;
  double scale = 1;

  int64_t size(unsigned at) const { return shapeOf(value)[order[at]]; }
  /// In that order.
  Value inOrder(GraphBuilder &build) const { return build.transpose(value, order); }
  /// Takes transposes into the order, numbers into the scale.
  void peel(bool takesScale) {
    while (true) {
      if (auto transpose = value.getDefiningOp<TransposeOp>()) {
        for (int64_t &dim : order)
          dim = transpose.getPermutation()[dim];
        value = transpose.getOperand();
      } else if (auto part = takesScale ? scaled(value) : std::nullopt;
                 part && std::isfinite(part->factor)) {
        scale *= part->factor;
        value = part->value;
      } else {
        return;
      }
    }
  }
};

/// The free dimensions of an operand.
Dims freeOf(Value value, ArrayRef<int64_t> batch, ArrayRef<int64_t> summed) {
  Dims free;
  for (int64_t dim = 0; dim < tensorType(value).getRank(); ++dim)
    if (!llvm::is_contained(batch, dim) && !llvm::is_contained(summed, dim))
      free.push_back(dim);
  return free;
}

/// Repetition of heads, [batch, heads, 1, …] to [batch, heads, group, …] to [batch, heads · group,
/// …] at dimension `head` of `value`: what is repeated, of the same rank, or null. (Heads repeated
/// as a whole, [group, heads], are another order.)
Value unrepeated(Value value, int64_t head) {
  auto reshape = value.getDefiningOp<ReshapeOp>();
  auto broadcast = reshape ? reshape.getOperand().getDefiningOp<BroadcastOp>() : BroadcastOp();
  if (!broadcast)
    return {};
  ArrayRef<int64_t> to = shapeOf(value), wide = shapeOf(broadcast);
  if (wide.size() != to.size() + 1 || wide[head] * wide[head + 1] != to[head])
    return {};
  for (int64_t dim = 0; dim < int64_t(to.size()); ++dim)
    if (dim != head && wide[dim + (dim > head)] != to[dim])
      return {};
  Dims kept(wide.size(), 1);
  for (auto [size, dim] :
       llvm::zip_equal(shapeOf(broadcast.getOperand()), broadcast.getDimensions()))
    kept[dim] = size;
  for (int64_t dim = 0; dim < int64_t(wide.size()); ++dim)
    if (kept[dim] != (dim == head + 1 ? 1 : wide[dim]))
      return {};
  Dims shape(wide);
  shape.erase(shape.begin() + head + 1);
  if (shapeOf(broadcast.getOperand()) == ArrayRef(shape))
    return broadcast.getOperand();
  return {};
}

/// True for scores: a product under what may come before a softmax.
bool isOfProduct(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return false;
  if (isa<ContractOp>(op))
    return true;
  if (auto part = scaled(value))
    return isOfProduct(part->value);
  if (isa<TanhOp>(op))
    return isOfProduct(op->getOperand(0));
  if (isa<AddOp>(op))
    return isOfProduct(op->getOperand(0)) || isOfProduct(op->getOperand(1));
  if (auto select = dyn_cast<SelectOp>(op))
    return isOfProduct(select.getOnTrue()) || isOfProduct(select.getOnFalse());
  return false;
}

/// softmax(scores)·values with everything around it.
class AttentionMatch {
public:
  AttentionMatch(ContractOp product, KnownValues &known) : product(product), masks(known) {}

  bool match() {
    for (bool valuesOnLeft : {false, true})
      if (matchProbabilities(valuesOnLeft))
        return matchScores() && matchFactors() && isAlone();
    return false;
  }
  Value build(OpBuilder &builder);

private:
  bool matchProbabilities(bool valuesOnLeft);
  bool matchScores();
  bool matchFactors();
  void shareHeads();
  /// What only the attention reads is not stored with it; what others read is computed anyway.
  bool isAlone() const {
    return llvm::all_of(inside, [&](Operation *op) {
      return llvm::all_of(op->getUsers(), [&](Operation *user) {
        return user == product || inside.contains(user);
      });
    });
  }
  Value throughGuard(Value value);

  ContractOp product, scores;
  llvm::SmallPtrSet<Operation *, 8> inside;
  SoftmaxOp softmax;
  Value guard; ///< whether a query sees a key, where what sees none is made 0
  bool valuesOnLeft = false;
  Dims probabilityBatch, valueBatch;
  int64_t valueSummed = 0;
  Factor query, key, value;
  double scale = 1, softCap = 0;
  ScoreMasks masks;
};

/// What exporters write around the softmax of a query that sees no key: select(isnan(p), 0, p), or
/// select(sees, softmax(select(sees, scores, 0)), 0).
Value AttentionMatch::throughGuard(Value value) {
  auto select = value.getDefiningOp<SelectOp>();
  if (!select)
    return value;
  auto compare = select.getCondition().getDefiningOp<CompareOp>();
  if (compare && compare.getDirection() == Comparison::Ne && compare.getLhs() == compare.getRhs() &&
      compare.getLhs() == select.getOnFalse() && splatOf(select.getOnTrue()) == 0.0) {
    inside.insert(select);
    inside.insert(compare);
    return select.getOnFalse();
  }
  if (splatOf(select.getOnFalse()) == 0.0) {
    inside.insert(select);
    guard = select.getCondition();
    return select.getOnTrue();
  }
  return value;
}

bool AttentionMatch::matchProbabilities(bool left) {
  inside.clear();
  guard = {};
  valuesOnLeft = left;
  Value probabilities = left ? product.getRhs() : product.getLhs();
  ArrayRef<int64_t> summed = left ? product.getRhsContract() : product.getLhsContract();
  if (summed.size() != 1)
    return false;
  probabilityBatch = Dims(left ? product.getRhsBatch() : product.getLhsBatch());
  valueBatch = Dims(left ? product.getLhsBatch() : product.getRhsBatch());
  valueSummed = (left ? product.getLhsContract() : product.getRhsContract()).front();
  softmax = throughGuard(probabilities).getDefiningOp<SoftmaxOp>();
  if (!softmax || int64_t(softmax.getDimension()) != summed.front())
    return false;
  inside.insert(softmax);
  value.value = left ? product.getLhs() : product.getRhs();
  return true;
}

/// Finds the product of queries and keys under scale and masks.
bool AttentionMatch::matchScores() {
  Value at = softmax.getOperand();
  if (guard) { // select(sees, scores, 0) with the same condition, which is scores' own
    auto select = at.getDefiningOp<SelectOp>();
    if (!select || select.getCondition() != guard || splatOf(select.getOnFalse()) != 0.0)
      return false;
    inside.insert(select);
    at = select.getOnTrue();
    // max(scores) != -inf
    auto compare = skipReshapes(guard).getDefiningOp<CompareOp>();
    if (!compare)
      if (auto broadcast = guard.getDefiningOp<BroadcastOp>()) {
        inside.insert(broadcast);
        compare = skipReshapes(broadcast.getOperand()).getDefiningOp<CompareOp>();
      }
    if (!compare || compare.getDirection() != Comparison::Ne ||
        splatOf(compare.getRhs()) != -INFINITY)
      return false;
    Value line = compare.getLhs();
    if (auto broadcast = line.getDefiningOp<BroadcastOp>()) {
      inside.insert(broadcast);
      line = broadcast.getOperand();
    }
    line = skipReshapes(line);
    auto reduce = line.getDefiningOp<ReduceOp>();
    if (!reduce || reduce.getKind() != ReduceKind::Max || reduce.getOperand() != at ||
        reduce.getDimensions().size() != 1 ||
        reduce.getDimensions().front() != int64_t(softmax.getDimension()))
      return false;
    for (Operation *op : {compare.getOperation(), reduce.getOperation()})
      inside.insert(op);
    for (Value step = compare.getLhs(); step != line;) {
      Operation *op = step.getDefiningOp();
      inside.insert(op);
      step = op->getOperand(0);
    }
  }
  masks.start(tensorType(softmax.getOperand()), int64_t(softmax.getDimension()));
  while (!(scores = at.getDefiningOp<ContractOp>())) {
    Operation *op = at.getDefiningOp();
    if (!op)
      return false;
    inside.insert(op);
    if (auto part = scaled(at); part && std::isfinite(part->factor)) {
      scale *= part->factor;
      at = part->value;
    } else if (auto tanh = dyn_cast<TanhOp>(op); tanh && softCap == 0 && scale != 0) {
      softCap = std::fabs(scale);
      at = tanh.getOperand();
    } else if (softCap != 0) { // masks come after it
      return false;
    } else if (auto add = dyn_cast<AddOp>(op)) {
      const bool isLeft = !isOfProduct(add.getLhs());
      if (isLeft != isOfProduct(add.getRhs()) ||
          !masks.add(isLeft ? add.getLhs() : add.getRhs(), scale))
        return false;
      at = isLeft ? add.getRhs() : add.getLhs();
    } else if (auto select = dyn_cast<SelectOp>(op)) {
      if (masks.addSelect(select, false, scale))
        at = select.getOnTrue();
      else if (masks.addSelect(select, true, scale))
        at = select.getOnFalse();
      else
        return false;
    } else {
      return false;
    }
  }
  inside.insert(scores);
  return true;
}

/// Brings queries, keys and values into their order.
bool AttentionMatch::matchFactors() {
  const int64_t batch = int64_t(scores.getLhsBatch().size());
  if (scores.getLhsContract().size() != 1 || int64_t(probabilityBatch.size()) != batch)
    return false;
  Dims lhsFree = freeOf(scores.getLhs(), scores.getLhsBatch(), scores.getLhsContract()),
       rhsFree = freeOf(scores.getRhs(), scores.getRhsBatch(), scores.getRhsContract());
  const int64_t keyPlace = int64_t(softmax.getDimension()) - batch;
  const bool keysOnRight = keyPlace == int64_t(lhsFree.size()) && rhsFree.size() == 1;
  const bool keysOnLeft = keyPlace == 0 && lhsFree.size() == 1;
  if (!keysOnRight && !keysOnLeft)
    return false;
  if (!keysOnRight && !masks.empty()) // they are [query, key]
    return false;
  auto factor = [&](Value value, ArrayRef<int64_t> batch, ArrayRef<int64_t> free, int64_t summed) {
    Factor factor{value, Dims(batch)};
    llvm::append_range(factor.order, free);
    factor.order.push_back(summed);
    return factor;
  };
  Factor left = factor(scores.getLhs(), scores.getLhsBatch(), lhsFree, scores.getLhsContract()[0]),
         right = factor(scores.getRhs(), scores.getRhsBatch(), rhsFree, scores.getRhsContract()[0]);
  query = keysOnRight ? left : right;
  key = keysOnRight ? right : left;
  const int64_t queryDims = int64_t(query.order.size()) - batch - 1;
  if (queryDims < 1 || queryDims > 2 || (queryDims == 2 && batch == 0))
    return false;
  // The batch of the second product is that of the scores, in any order.
  value.order.assign(batch, -1);
  for (auto [probability, place] : llvm::zip_equal(probabilityBatch, valueBatch)) {
    if (probability >= batch)
      return false;
    value.order[probability] = place;
  }
  Dims valueFree = freeOf(value.value, valueBatch, {valueSummed});
  if (valueFree.size() != 1)
    return false;
  value.order.push_back(valueSummed);
  value.order.push_back(valueFree[0]);
  if (tensorType(query.value).getElementType() != tensorType(value.value).getElementType())
    return false;
  query.peel(true);
  key.peel(true);
  value.peel(false);
  scale *= query.scale * key.scale;
  if (queryDims == 1)
    shareHeads();
  return std::isfinite(scale);
}

/// Keys and values that are repeated for groups of heads are read as they were.
void AttentionMatch::shareHeads() {
  const unsigned batch = unsigned(query.order.size()) - 2;
  if (batch == 0)
    return;
  Factor newKey = key, newValue = value;
  newKey.value = unrepeated(key.value, key.order[batch - 1]);
  newValue.value = unrepeated(value.value, value.order[batch - 1]);
  if (!newKey.value || !newValue.value || newKey.size(batch - 1) != newValue.size(batch - 1))
    return;
  newKey.peel(true);
  newValue.peel(false);
  scale *= newKey.scale / key.scale;
  key = newKey;
  value = newValue;
}

Value AttentionMatch::build(OpBuilder &builder) {
  GraphBuilder build(builder, product.getLoc());
  // [batch, heads, sequence, size]; heads that share keys are neighbours.
  auto inHeads = [&](const Factor &factor) {
    Value ordered = factor.inOrder(build);
    ArrayRef<int64_t> shape = shapeOf(ordered);
    const size_t batch = value.order.size() - 2, lines = shape.size() - 2;
    Dims heads = {1, 1, shape[lines], shape[lines + 1]};
    for (size_t dim = 0; dim < lines; ++dim)
      heads[dim + 1 < batch ? 0 : 1] *= shape[dim];
    return build.reshape(ordered, heads);
  };
  const AttentionMask mask = masks.build(build, int64_t(value.order.size()) - 2);
  const bool isCausal = mask.after == 0;
  Value place;
  if (mask.offset)
    place = build.splat(RankedTensorType::get({}, builder.getI64Type()), double(*mask.offset));
  auto reach = [&](std::optional<int64_t> given) {
    return given ? builder.getI64IntegerAttr(*given) : IntegerAttr();
  };
  auto op = AttentionOp::create(builder, product.getLoc(), inHeads(query), inHeads(key),
                                inHeads(value), mask.value, place, /*length=*/Value(),
                                builder.getF64FloatAttr(scale), builder.getBoolAttr(isCausal),
                                softCap == 0 ? FloatAttr() : builder.getF64FloatAttr(softCap),
                                reach(mask.before), isCausal ? IntegerAttr() : reach(mask.after));
  // Back to batch…, queries…, size, then to the order of the product's result.
  const int64_t batch = int64_t(value.order.size()) - 2,
                queryDims = int64_t(query.order.size()) - batch - 1;
  Dims shape;
  for (int64_t dim = 0; dim < batch + queryDims; ++dim)
    shape.push_back(query.size(unsigned(dim)));
  shape.push_back(value.size(unsigned(batch + 1)));
  Value result = build.reshape(op.getResult(), shape);
  Dims permutation(probabilityBatch);
  if (valuesOnLeft)
    permutation.push_back(batch + queryDims);
  for (int64_t dim = 0; dim < queryDims; ++dim)
    permutation.push_back(batch + dim);
  if (!valuesOnLeft)
    permutation.push_back(batch + queryDims);
  return build.transpose(result, permutation);
}

Value raiseAttention(Operation *op, OpBuilder &builder, KnownValues &known) {
  auto product = dyn_cast<ContractOp>(op);
  if (!product || !isWide(product.getResult()) || !isWide(product.getLhs()))
    return {};
  AttentionMatch attention(product, known);
  return attention.match() ? attention.build(builder) : Value();
}

constexpr RaiseRow rows[] = {{"attention", raiseAttention}};

} // namespace

ArrayRef<RaiseRow> attentionRows() { return rows; }

} // namespace ingot
