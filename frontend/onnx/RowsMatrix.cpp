/// Rows of ops on square matrices, and attention.
#include "frontend/onnx/Rows.h"
#include <limits>

namespace ingot::onnx {
namespace {

/// By elimination with the largest pivot of each column; an iteration eliminates one column.
Items determinant(Call &c) {
  Value x = c.operand(0);
  if (rank(x) < 2 || x.shape().back() != x.shape()[x.shape().size() - 2] || x.shape().back() < 1)
    return {c.refuse(fmt::format("{} are no square matrices", toString(x.shape())))};
  const int64_t n = x.shape().back();
  Shape lead(x.shape().begin(), x.shape().end() - 2);
  const int64_t batch = elementCount(lead);
  Value zero = c.scalarLike(x, 0), one = c.scalarLike(x, 1);
  Value row = c.b.iota({1, n}, 1, ElementType::I64);
  auto alongRows = [&](Value perRow) { return c.b.reshape(perRow, {-1, n, 1}); };
  auto body = [&](Value number, std::span<const Value> now) -> std::vector<Value> {
    Value a = now[0];
    auto compare = [&](Comparison how, Value to) { return c.b.compare(how, row, to); };
    Value column = c.b.reshape(c.b.dynamicSlice(a, number, 2, 1), {batch, n});
    Value size =
        c.b.select(compare(Comparison::GreaterEqual, number), c.b.abs(column), c.scalarLike(x, -1));
    Value best = c.b.cast(c.b.argmax(size, {1}, true)[1], ElementType::I64);
    Value isBest = compare(Comparison::Equal, best), isHere = compare(Comparison::Equal, number);
    Value pivotRow = c.b.sum(c.b.select(alongRows(isBest), a, zero), {1}, true);
    Value hereRow = c.b.dynamicSlice(a, number, 1, 1);
    a = c.b.select(alongRows(isHere), pivotRow, c.b.select(alongRows(isBest), hereRow, a));
    Value pivot = c.b.dynamicSlice(pivotRow, number, 2, 1);
    Value divisor = c.b.select(c.b.compare(Comparison::Equal, pivot, zero), one, pivot);
    Value below = c.b.dynamicSlice(a, number, 2, 1) / divisor;
    Value factor = c.b.select(alongRows(compare(Comparison::Greater, number)), below, zero);
    Value sign = c.b.select(c.b.compare(Comparison::Equal, best, number), one, c.scalarLike(x, -1));
    return {a - factor * pivotRow,
            now[1] * c.b.reshape(pivot, {batch}) * c.b.reshape(sign, {batch})};
  };
  const std::vector<Value> start = {c.b.reshape(x, {batch, n, n}), c.b.broadcast(one, {batch})};
  return {c.b.reshape(c.b.loop(n, start, body)[1], lead)};
}

//===--------------------------------------------------------------------------------------------===//
// Attention
//===--------------------------------------------------------------------------------------------===//

/// [batch, sequence, heads · size] as [batch, heads, sequence, size]; what has heads stays.
Value byHead(Call &c, Value x, const char *heads) {
  if (rank(x) == 4)
    return x;
  const int64_t count = c.integer(heads, 0);
  if (rank(x) != 3 || count < 1 || x.shape()[2] % count != 0) {
    c.refuse(
        fmt::format("{} heads do not divide its inputs, or it has inputs of another rank", count));
    return x;
  }
  const Shape shape = x.shape();
  return c.b.transpose(c.b.reshape(x, {shape[0], shape[1], count, shape[2] / count}), {0, 2, 1, 3});
}

/// A mask may be short: what it says nothing of is hidden.
Value widenMask(Call &c, Value mask, int64_t keys) {
  const int64_t missing = rank(mask) ? keys - mask.shape().back() : 0;
  if (missing <= 0)
    return mask;
  std::vector<int64_t> low(mask.shape().size()), high = low;
  high.back() = missing;
  const double hidden =
      mask.type() == ElementType::I1 ? 0 : -std::numeric_limits<double>::infinity();
  return c.b.pad(mask, hidden, low, high);
}

/// Keys and values that are kept from call to call come before the new ones; with `is_causal` as
/// many precede the queries. Where a count says how much of them there is, the queries are the
/// last.
Items attentionOf(Call &c) {
  Value query = c.operand(0), key = c.operand(1), value = c.operand(2);
  const bool isFlat = rank(query) == 3;
  query = byHead(c, query, "q_num_heads");
  key = byHead(c, key, "kv_num_heads");
  value = byHead(c, value, "kv_num_heads");
  if (c.wants(3))
    return {c.refuse("its scores as an output are not supported")};
  if (c.has(4) != c.has(5))
    return {c.refuse("past keys and past values go together")};
  if (c.isRefused() || rank(query) != 4 || rank(key) != 4 || rank(value) != 4)
    return {c.refuse("its inputs are not [batch, heads, sequence, size]")};
  int64_t past = 0;
  if (c.has(4)) {
    past = rank(c.operand(4)) == 4 ? c.operand(4).shape()[2] : 0;
    key = c.b.concat(std::vector<Value>{c.operand(4), key}, 2);
    value = c.b.concat(std::vector<Value>{c.operand(5), value}, 2);
  }
  if (c.isRefused() || !key.valid() || !value.valid())
    return {c.refuse("past keys and values do not fit the new ones")};
  const int64_t queries = query.shape()[2], keys = key.shape()[2];
  AttentionOptions how{.causal = c.integer("is_causal", 0) != 0,
                       .scale = c.number("scale", 0),
                       .softCap = c.number("softcap", 0)};
  if (c.has(3))
    how.mask = widenMask(c, c.operand(3), keys);
  if (c.has(6)) {
    how.length = c.operand(6);
    if (how.causal)
      how.offset = how.length - c.constant({queries}, {});
  } else if (how.causal && past != keys - queries) {
    how.offset = c.constant({past}, {});
  }
  Value y = c.b.attention(query, key, value, how);
  if (isFlat && y.valid())
    y = c.b.reshape(c.b.transpose(y, {0, 2, 1, 3}), {y.shape()[0], queries, -1});
  return {y, key, value};
}

/// Pairs of a head's elements, halves of it or neighbours, turned by the angle of their position.
Items rotaryEmbedding(Call &c) {
  Value x = c.operand(0), cos = c.operand(1), sin = c.operand(2);
  const bool isFlat = rank(x) == 3;
  const Shape whole = x.shape();
  x = byHead(c, x, "num_heads");
  if (c.isRefused() || rank(x) != 4)
    return {c.refuse("its input is not [batch, heads, sequence, size]")};
  const int64_t size = x.shape()[3], given = c.integer("rotary_embedding_dim", 0),
                turned = given ? given : size, half = turned / 2;
  if (turned % 2 || turned > size || rank(cos) < 2 || cos.shape().back() < half ||
      cos.shape() != sin.shape())
    return {c.refuse("its angles do not fit the heads")};
  auto angles = [&](Value cache) {
    if (c.has(3))
      cache = c.b.gather(cache, c.operand(3), 0);
    cache = c.b.slice(cache, rank(cache) - 1, 0, half);
    return c.b.reshape(cache, {x.shape()[0], 1, x.shape()[2], half});
  };
  cos = angles(cos), sin = angles(sin);
  const bool isInterleaved = c.integer("interleaved", 0) != 0;
  Value part = c.b.slice(x, 3, 0, turned);
  const Shape pairs = {x.shape()[0], x.shape()[1], x.shape()[2], isInterleaved ? half : 2,
                       isInterleaved ? 2 : half};
  const int64_t apart = isInterleaved ? 4 : 3;
  auto member = [&](int64_t which) {
    Value one = c.b.slice(c.b.reshape(part, pairs), apart, which, which + 1);
    return c.b.reshape(one, {pairs[0], pairs[1], pairs[2], half});
  };
  Value first = member(0), second = member(1);
  Value y = c.b.reshape(c.stack({cos * first - sin * second, sin * first + cos * second}, apart),
                        part.shape());
  if (turned < size)
    y = c.b.concat(std::vector<Value>{y, c.b.slice(x, 3, turned, size)}, 3);
  return {isFlat ? c.b.reshape(c.b.transpose(y, {0, 2, 1, 3}), whole) : y};
}

constexpr Row rows[] = {
    {"Attention", 23, newestOpset, attentionOf},
    {"Det", 11, newestOpset, determinant},
    {"RotaryEmbedding", 23, newestOpset, rotaryEmbedding},
};

} // namespace

std::span<const Row> matrixRows() { return rows; }

} // namespace ingot::onnx
