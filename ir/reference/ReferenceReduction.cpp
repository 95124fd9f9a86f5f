/// Reductions, scans, sorting and contractions: floats accumulate in double, whatever their type.
#include "ir/formulas/TupleReductions.h"
#include "ir/reference/ReferenceMath.h"
#include "ir/reference/ReferenceOps.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include <numeric>

using namespace mlir;

namespace ingot::graph {
namespace {

/// Strides of the result by dimensions of the operand: 0 for those that are reduced.
std::vector<int64_t> reducedStrides(const Shape &operand, const Shape &result,
                                    ArrayRef<int64_t> dimensions) {
  std::vector<int64_t> kept = stridesOf(result), strides;
  size_t next = 0;
  for (int64_t dim = 0; dim < int64_t(operand.size()); ++dim)
    strides.push_back(llvm::is_contained(dimensions, dim) ? 0 : kept[next++]);
  return strides;
}

Tensors evaluateReduce(ReduceOp op, const Tensor &operand) {
  std::vector<int64_t> strides =
      reducedStrides(operand.shape(), resultShape(op), op.getDimensions());
  return dispatch(operand.type(), [&](auto zero) -> Tensors {
    using Wide = decltype(zero);
    Wide neutral = neutralOf<Wide>(op.getKind(), bitWidth(operand.type()));
    std::vector<Wide> elements = load<Wide>(operand);
    std::vector<Wide> result(elementCount(resultShape(op)), neutral);
    auto element = elements.begin();
    forEachPoint<1>(operand.shape(), {strides}, [&](std::array<int64_t, 1> at) {
      result[at[0]] = combine(op.getKind(), result[at[0]], *element++);
    });
    return {storeResult(op, result)};
  });
}

/// The places of a line along one dimension: `first`, and then at a constant distance.
struct Lines {
  Lines(const Shape &shape, int64_t dimension)
      : size(shape[dimension]), step(stridesOf(shape)[dimension]),
        count(size ? elementCount(shape) / size : 0) {}
  int64_t first(int64_t line) const { return line / step * step * size + line % step; }

  int64_t size, step, count;
};

Tensors evaluateScan(ScanOp op, const Tensor &operand) {
  const Lines lines(operand.shape(), op.getDimension());
  return dispatch(operand.type(), [&](auto zero) -> Tensors {
    using Wide = decltype(zero);
    std::vector<Wide> elements = load<Wide>(operand);
    for (int64_t line = 0; line < lines.count; ++line) {
      Wide sum = neutralOf<Wide>(op.getKind(), bitWidth(operand.type()));
      for (int64_t i = 0; i < lines.size; ++i) {
        const int64_t place = op.getReverse() ? lines.size - 1 - i : i;
        Wide &element = elements[lines.first(line) + place * lines.step];
        const Wide next = combine(op.getKind(), sum, element);
        element = op.getExclusive() ? sum : next;
        sum = next;
      }
    }
    return {storeResult(op, elements)};
  });
}

Tensors evaluateSort(SortOp op, const Tensor &operand) {
  const Lines lines(operand.shape(), op.getDimension());
  return dispatch(operand.type(), [&](auto zero) -> Tensors {
    using Wide = decltype(zero);
    std::vector<Wide> elements = load<Wide>(operand), sorted(elements.size());
    std::vector<int64_t> places(elements.size()), order(lines.size);
    auto isLess = [](Wide a, Wide b) { return a < b || (a == a && b != b); };
    for (int64_t line = 0; line < lines.count; ++line) {
      auto at = [&](int64_t place) { return lines.first(line) + place * lines.step; };
      std::iota(order.begin(), order.end(), 0);
      llvm::sort(order, [&](int64_t a, int64_t b) {
        const bool isAhead = isLess(elements[at(a)], elements[at(b)]),
                   isBehind = isLess(elements[at(b)], elements[at(a)]);
        return isAhead != isBehind ? isAhead != op.getDescending() : a < b;
      });
      for (int64_t i = 0; i < lines.size; ++i) {
        sorted[at(i)] = elements[at(order[i])];
        places[at(i)] = order[i];
      }
    }
    return {storeResult(op, sorted), storeResult(op, places, 1)};
  });
}

/// In order of the elements. Every number of the dialect is a long double.
Tensors evaluateReduceTuples(ReduceTuplesOp op, Operands operands) {
  using Wide = long double;
  const TupleReduction &row = *findTupleReduction(op.getKind());
  std::vector<std::vector<Wide>> parts;
  std::vector<Wide> neutral;
  for (auto [operand, start] : llvm::zip_equal(operands, row.neutral))
    dispatch(operand.type(), [&](auto zero) {
      auto elements = load<decltype(zero)>(operand);
      parts.emplace_back(elements.begin(), elements.end());
      neutral.push_back(startOf<decltype(zero)>(start, bitWidth(operand.type())));
    });
  std::vector<std::vector<Wide>> results(elementCount(resultShape(op)), neutral);
  std::vector<Wide> tuple(row.size());
  size_t element = 0;
  forEachPoint<1>(operands[0].shape(),
                  {reducedStrides(operands[0].shape(), resultShape(op), op.getDimensions())},
                  [&](std::array<int64_t, 1> at) {
                    for (size_t part = 0; part < row.size(); ++part)
                      tuple[part] = parts[part][element];
                    ++element;
                    results[at[0]] = row.reference(results[at[0]], tuple);
                  });
  Tensors stored;
  for (size_t part = 0; part < row.size(); ++part)
    stored.push_back(dispatch(operands[part].type(), [&](auto zero) {
      std::vector<decltype(zero)> elements;
      for (const std::vector<Wide> &result : results)
        elements.push_back(decltype(zero)(result[part]));
      return storeResult(op, elements, part);
    }));
  return stored;
}

/// Elements of `tensor` as a dense [groups[0]…, groups[1]…, …] array: a transposition.
std::vector<double> arrange(const Tensor &tensor, ArrayRef<ArrayRef<int64_t>> groups) {
  std::vector<int64_t> strides = stridesOf(tensor.shape()), permuted;
  Shape shape;
  for (ArrayRef<int64_t> group : groups)
    for (int64_t dim : group) {
      shape.push_back(tensor.shape()[dim]);
      permuted.push_back(strides[dim]);
    }
  std::vector<double> elements = load<double>(tensor), result;
  result.reserve(elements.size());
  forEachPoint<1>(shape, {permuted},
                  [&](std::array<int64_t, 1> at) { result.push_back(elements[at[0]]); });
  return result;
}

SmallVector<int64_t> freeDimensions(const Tensor &tensor, ArrayRef<int64_t> batch,
                                    ArrayRef<int64_t> contracted) {
  SmallVector<int64_t> free;
  for (int64_t dim = 0; dim < int64_t(tensor.shape().size()); ++dim)
    if (!llvm::is_contained(batch, dim) && !llvm::is_contained(contracted, dim))
      free.push_back(dim);
  return free;
}

int64_t sizeOf(const Tensor &tensor, ArrayRef<int64_t> dimensions) {
  int64_t size = 1;
  for (int64_t dim : dimensions)
    size *= tensor.shape()[dim];
  return size;
}

Tensors evaluateContract(ContractOp op, const Tensor &lhs, const Tensor &rhs) {
  auto rows = freeDimensions(lhs, op.getLhsBatch(), op.getLhsContract());
  auto columns = freeDimensions(rhs, op.getRhsBatch(), op.getRhsContract());
  int64_t batch = sizeOf(lhs, op.getLhsBatch()), m = sizeOf(lhs, rows), n = sizeOf(rhs, columns);
  int64_t k = sizeOf(lhs, op.getLhsContract());
  std::vector<double> a = arrange(lhs, {op.getLhsBatch(), rows, op.getLhsContract()});
  std::vector<double> b = arrange(rhs, {op.getRhsBatch(), op.getRhsContract(), columns});
  std::vector<double> c(batch * m * n, 0.0);
  for (int64_t i = 0; i < batch; ++i)
    multiplyAdd(m, n, k, a.data() + i * m * k, b.data() + i * k * n, c.data() + i * m * n);
  return {storeResult(op, c)};
}

} // namespace

std::optional<Result<Tensors>> evaluateReduction(Operation *op, Operands operands) {
  return TypeSwitch<Operation *, std::optional<Result<Tensors>>>(op)
      .Case([&](ReduceOp op) { return evaluateReduce(op, operands[0]); })
      .Case([&](ReduceTuplesOp op) { return evaluateReduceTuples(op, operands); })
      .Case([&](ScanOp op) { return evaluateScan(op, operands[0]); })
      .Case([&](SortOp op) { return evaluateSort(op, operands[0]); })
      .Case([&](ContractOp op) { return evaluateContract(op, operands[0], operands[1]); })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace ingot::graph
