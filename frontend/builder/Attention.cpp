/// Attention with masks and other options, written over primitives.
#include "frontend/builder/BuilderImpl.h"
#include <cmath>
#include <limits>

namespace ingot {
namespace {

using Value = Builder::Value;
constexpr double infinity = std::numeric_limits<double>::infinity();

/// What attention with options is made of. Scores are [batch, key heads, group, queries, keys].
class MaskedAttention {
public:
  MaskedAttention(Builder &b, Value query, Value key, Value value, const AttentionOptions &how)
      : b(b), query(query), key(key), value(value), how(how), type(query.type()) {
    const Shape &q = query.shape(), &k = key.shape();
    batch = q[0], heads = q[1], queries = q[2], keyHeads = k[1], keys = k[2];
    group = keyHeads ? heads / keyHeads : 1;
    for (const Value &given : {how.offset, how.length})
      if (given.valid() && given.type() == ElementType::I64)
        integer = ElementType::I64;
  }

  Value result() {
    Value shares = probabilities();
    Value sums = b.contract(shares, widened(value), {0, 1}, {0, 1}, {4}, {2});
    return b.cast(b.reshape(sums, {batch, heads, queries, value.shape()[3]}), type);
  }

private:
  Value probabilities();
  Value seenByPosition();
  /// The narrow floats' sums and exponentials are f32, as everywhere.
  Value widened(Value x) {
    return b.cast(x, type == ElementType::F64 ? ElementType::F64 : ElementType::F32);
  }
  Value number(double value) { return b.scalar(value, integer); }
  /// A mask beside the scores.
  Value byGroup(Value mask) {
    Shape shape = mask.shape();
    shape.insert(shape.begin(), 4 - shape.size(), 1);
    const bool isByHead = shape[1] != 1;
    shape.insert(shape.begin() + 2, isByHead ? shape[1] / keyHeads : 1);
    shape[1] = isByHead ? keyHeads : 1;
    return b.reshape(mask, shape);
  }
  /// An integer, or one for each of the batch, beside the scores.
  Value ofBatch(Value x) {
    if (x.type() == ElementType::I32)
      x = b.cast(x, integer);
    return x.shape().empty() ? x : b.reshape(x, {x.shape()[0], 1, 1, 1, 1});
  }

  Builder &b;
  Value query, key, value;
  const AttentionOptions &how;
  const ElementType type;
  ElementType integer = ElementType::I32; ///< of positions
  int64_t batch, heads, queries, keyHeads, keys, group;
};

/// Which keys offset, causality, window and length show; invalid for all.
Value MaskedAttention::seenByPosition() {
  Value seen, column = b.iota({1, 1, 1, 1, keys}, 4, integer);
  auto demand = [&](Comparison direction, Value left, Value right) {
    Value holds = b.compare(direction, left, right);
    seen = seen.valid() ? b.bitAnd(seen, holds) : holds;
  };
  if (how.causal || how.window) {
    Value distance = column - b.iota({1, 1, 1, queries, 1}, 3, integer), offset;
    if (how.offset.valid()) // no farther off than it matters, so that sums do not overflow
      offset = b.maximum(b.minimum(ofBatch(how.offset), number(double(keys + how.window))),
                         number(-double(queries + how.window)));
    else
      offset = number(double(keys - queries));
    Value reach = number(double(how.window));
    if (how.causal)
      demand(Comparison::LessEqual, distance, offset);
    else
      demand(Comparison::Less, distance, offset + reach);
    if (how.window)
      demand(Comparison::Greater, distance, offset - reach);
  }
  if (how.length.valid())
    demand(Comparison::Less, column, ofBatch(how.length));
  return seen;
}

Value MaskedAttention::probabilities() {
  Value q = widened(query), k = widened(key);
  auto real = [&](double value) { return b.scalar(value, q.type()); };
  q = b.reshape(q, {batch, keyHeads, group, queries, query.shape()[3]});
  Value scores = b.contract(q, k, {0, 1}, {0, 1}, {4}, {3}) * real(how.scale);
  if (how.softCap != 0)
    scores = b.tanh(scores / real(how.softCap)) * real(how.softCap);
  Value seen = seenByPosition();
  if (how.mask.valid()) {
    Value mask = byGroup(how.mask);
    if (mask.type() == ElementType::I1)
      seen = seen.valid() ? b.bitAnd(seen, mask) : mask;
    else
      scores = scores + (mask.type() == type ? widened(mask) : mask);
  }
  if (seen.valid())
    scores = b.select(seen, scores, real(-infinity));
  // Of a query that sees no key the softmax would be NaN, in its gradient too.
  if (!seen.valid() && !how.mask.valid())
    return b.softmax(scores, 4);
  Value sees =
      b.compare(Comparison::NotEqual, b.max(scores, {4}, /*keepDimensions=*/true), real(-infinity));
  Value zero = real(0);
  return b.select(sees, b.softmax(b.select(sees, scores, zero), 4), zero);
}

/// Whether these may be query, key and value of an attention.
bool fit(const Value &query, const Value &key, const Value &value) {
  const Shape &q = query.shape(), &k = key.shape(), &v = value.shape();
  return q.size() == 4 && k.size() == 4 && v.size() == 4 && query.type() == key.type() &&
         key.type() == value.type() && q[0] == k[0] && q[3] == k[3] && k[0] == v[0] &&
         k[1] == v[1] && k[2] == v[2] && k[2] > 0 &&
         (q[1] == k[1] || (q[1] > 0 && k[1] > 0 && q[1] % k[1] == 0));
}

} // namespace

Value Builder::attention(Value query, Value key, Value value, const AttentionOptions &given) {
  auto refuse = [&](std::string_view what) {
    return impl->fail("attention", {query, key, value}, std::string(what));
  };
  if (given.window < 0)
    return refuse(fmt::format("the window {} is negative", given.window));
  for (auto [name, number] :
       {std::pair("scale", given.scale), std::pair("soft cap", given.softCap)})
    if (!std::isfinite(number))
      return refuse(fmt::format("the {} is not a finite number", name));
  const Value none;
  const bool hasOptions = given.mask != none || given.offset != none || given.length != none ||
                          given.softCap != 0 || given.window != 0;
  if (!hasOptions || !fit(query, key, value)) // the op says what does not fit
    return attention(query, key, value, given.causal, given.scale);
  const Shape scores = {query.shape()[0], query.shape()[1], query.shape()[2], key.shape()[2]};
  if (given.mask.valid())
    if (Value repeated = broadcast(given.mask, scores); !repeated.valid())
      return repeated;
  AttentionOptions how = given;
  if (how.scale == 0)
    how.scale = 1 / std::sqrt(double(query.shape()[3]));
  auto named = scope("attention");
  return MaskedAttention(*this, query, key, value, how).result();
}

} // namespace ingot
