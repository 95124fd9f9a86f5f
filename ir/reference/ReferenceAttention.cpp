/// Attention and its gradients, one query at a time, by formulas of their own.
#include "ir/dialect/AttentionRule.h"
#include "ir/reference/ReferenceMath.h"
#include "ir/reference/ReferenceOps.h"
#include <cmath>
#include <limits>

using namespace mlir;

namespace ingot::graph {
namespace {

using Doubles = std::vector<double>;
constexpr double infinity = std::numeric_limits<double>::infinity();

double dot(const double *a, const double *b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i)
    sum += a[i] * b[i];
  return sum;
}

void addScaled(double *target, double factor, const double *source, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    target[i] += factor * source[i];
}

/// A key that a query's place shows.
struct SeenKey {
  int64_t row;  ///< among the rows of all keys
  double score; ///< as the softmax sees it: -inf where a mask hides the key
  double slope; ///< of the score by scale·q·k
};

/// The operands of an attention, forward or backward.
class Attention {
public:
  template <typename Op>
  Attention(Op op, Operands operands)
      : rule(op), query(load<double>(operands[0])), key(load<double>(operands[1])),
        value(load<double>(operands[2])) {
    const Shape &q = operands[0].shape(), &v = operands[2].shape();
    batch = q[0], heads = q[1], keyHeads = v[1], width = q[3], valueWidth = v[3];
    size_t next = operands.size();
    auto last = [&](Value given) -> const Tensor * { return given ? &operands[--next] : nullptr; };
    if (const Tensor *given = last(rule.length))
      lengths = load<int64_t>(*given);
    if (const Tensor *given = last(rule.offset))
      offsets = load<int64_t>(*given);
    if (const Tensor *given = last(rule.mask)) {
      mask = load<double>(*given);
      maskStrides = stridesOf(given->shape());
      for (size_t dim = 0; dim < 4; ++dim)
        if (given->shape()[dim] == 1)
          maskStrides[dim] = 0;
    }
  }

  std::vector<SeenKey> keysOf(int64_t head, int64_t i) const;

  const AttentionRule rule;
  const Doubles query, key, value;
  int64_t batch, heads, keyHeads, width, valueWidth;

private:
  static int64_t ofBatch(const std::vector<int64_t> &given, int64_t number) {
    return given.size() == 1 ? given[0] : given[size_t(number)];
  }

  Doubles mask;
  std::vector<int64_t> maskStrides, offsets, lengths;
};

/// `head` counts the heads of all the batch.
std::vector<SeenKey> Attention::keysOf(int64_t head, int64_t i) const {
  const int64_t number = head / heads;
  int64_t from = 0, end = rule.keys;
  if (rule.isBanded()) {
    int64_t place = i + rule.keys - rule.queries;
    if (rule.offset)
      place = i + std::clamp(ofBatch(offsets, number), rule.leastOffset(), rule.mostOffset());
    if (rule.before)
      from = std::max(from, place - *rule.before);
    if (rule.after)
      end = std::min(end, place + *rule.after + 1);
  }
  if (rule.length)
    end = std::min(end, ofBatch(lengths, number));
  std::vector<SeenKey> seen;
  for (int64_t j = from; j < end; ++j) {
    SeenKey k{head / (heads / keyHeads) * rule.keys + j, 0, 1};
    k.score = rule.scale * dot(&query[size_t((head * rule.queries + i) * width)],
                               &key[size_t(k.row * width)], width);
    if (rule.softCap != 0) {
      const double bent = std::tanh(k.score / rule.softCap);
      k.score = rule.softCap * bent;
      k.slope = 1 - bent * bent;
    }
    if (rule.mask) {
      const double added = mask[size_t(number * maskStrides[0] + head % heads * maskStrides[1] +
                                       i * maskStrides[2] + j * maskStrides[3])];
      const bool isHidden = rule.isBooleanMask() ? added == 0 : added == -infinity;
      k.score = isHidden ? -infinity : rule.isBooleanMask() ? k.score : k.score + added;
    }
    seen.push_back(k);
  }
  return seen;
}

} // namespace

Tensors evaluateAttention(AttentionOp op, Operands operands) {
  const Attention a(op, operands);
  const double least = operands[0].type() == ElementType::F64 ? 0 : 0x1p-149;
  Doubles result(size_t(a.batch * a.heads * a.rule.queries * a.valueWidth), 0.0), lse;
  for (int64_t head = 0; head < a.batch * a.heads; ++head)
    for (int64_t i = 0; i < a.rule.queries; ++i) {
      const std::vector<SeenKey> keys = a.keysOf(head, i);
      Doubles scores;
      for (const SeenKey &key : keys)
        scores.push_back(key.score);
      const Exponentials e(scores.data(), int64_t(scores.size()));
      const bool seesNone = a.rule.mayHideAll() && e.max == -infinity;
      lse.push_back(seesNone ? -infinity : e.logarithm());
      for (const SeenKey &key : keys) {
        // What is 0 in the type of the sums counts as 0 beside infinity, too.
        const double share = seesNone ? 0 : e.share(key.score);
        addScaled(&result[size_t((head * a.rule.queries + i) * a.valueWidth)],
                  share < least ? 0 : share, &a.value[size_t(key.row * a.valueWidth)],
                  a.valueWidth);
      }
    }
  return {storeResult(op, result), storeResult(op, lse, 1)};
}

Tensors evaluateAttentionBackward(AttentionBackwardOp op, Operands operands) {
  const Attention a(op, operands);
  const Doubles output = load<double>(operands[3]), lse = load<double>(operands[4]),
                gradient = load<double>(operands[5]);
  Doubles dq(a.query.size(), 0.0), dk(a.key.size(), 0.0), dv(a.value.size(), 0.0);
  for (int64_t row = 0; row < a.batch * a.heads * a.rule.queries; ++row) {
    const double *rowGradient = &gradient[size_t(row * a.valueWidth)];
    const double delta = dot(rowGradient, &output[size_t(row * a.valueWidth)], a.valueWidth);
    const bool seesNone = a.rule.mayHideAll() && lse[size_t(row)] == -infinity;
    for (const SeenKey &key : a.keysOf(row / a.rule.queries, row % a.rule.queries)) {
      const double p = seesNone ? 0 : std::exp(key.score - lse[size_t(row)]);
      const double dp = dot(rowGradient, &a.value[size_t(key.row * a.valueWidth)], a.valueWidth);
      const double ds = p * (dp - delta) * a.rule.scale * key.slope;
      addScaled(&dq[size_t(row * a.width)], ds, &a.key[size_t(key.row * a.width)], a.width);
      addScaled(&dk[size_t(key.row * a.width)], ds, &a.query[size_t(row * a.width)], a.width);
      addScaled(&dv[size_t(key.row * a.valueWidth)], p, rowGradient, a.valueWidth);
    }
  }
  return {storeResult(op, dq), storeResult(op, dk, 1), storeResult(op, dv, 2)};
}

} // namespace ingot::graph
