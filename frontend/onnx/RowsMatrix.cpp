/// Rows of ops on square matrices.
#include "frontend/onnx/Rows.h"

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

constexpr Row rows[] = {
    {"Det", 11, newestOpset, determinant},
};

} // namespace

std::span<const Row> matrixRows() { return rows; }

} // namespace ingot::onnx
