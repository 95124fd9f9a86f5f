/// Gradients of ops that move elements, contract and index.
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "passes/training/Gradients.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace ingot::graph;

namespace ingot {
namespace {

using G = GradientBuilder;
using Dims = SmallVector<int64_t>;

//===--------------------------------------------------------------------------------------------===//
// Shape
//===--------------------------------------------------------------------------------------------===//

Dims inverse(ArrayRef<int64_t> permutation) {
  Dims result(permutation.size());
  for (auto [index, dim] : llvm::enumerate(permutation))
    result[dim] = index;
  return result;
}

/// The transpose, or the value itself where nothing moves.
Value permute(G &g, Value x, ArrayRef<int64_t> permutation) {
  return llvm::is_sorted(permutation) ? x : g.transpose(x, permutation);
}

/// What was repeated is summed.
void broadcastGradient(G &g, BroadcastOp op, Value dy) {
  ArrayRef<int64_t> from = shapeOf(op.getOperand()), to = shapeOf(dy);
  Dims summed;
  for (int64_t dim = 0, rank = to.size(); dim < rank; ++dim) {
    auto source = llvm::find(op.getDimensions(), dim);
    bool isKept =
        source != op.getDimensions().end() && from[source - op.getDimensions().begin()] == to[dim];
    if (!isKept)
      summed.push_back(dim);
  }
  g.give(op.getOperand(), g.reshape(g.reduceSum(dy, summed), from));
}

/// Elements that were not picked get zeros: before, after and between.
void sliceGradient(G &g, SliceOp op, Value dy) {
  Dims high, interior;
  for (auto [size, picked, offset, stride] :
       llvm::zip_equal(shapeOf(op.getOperand()), shapeOf(dy), op.getOffsets(), op.getStrides())) {
    int64_t end = picked == 0 ? offset : offset + (picked - 1) * stride + 1;
    high.push_back(size - end);
    interior.push_back(stride - 1);
  }
  Value zero = g.scalar(tensorType(dy).getElementType(), 0);
  g.give(op.getOperand(), g.make<PadOp>(dy, zero, op.getOffsets(), high, interior));
}

/// The operand takes what lies at its places, the padding value the sum of the rest.
void padGradient(G &g, PadOp op, Value dy) {
  Dims limits, strides;
  for (auto [size, low, interior] :
       llvm::zip_equal(shapeOf(op.getOperand()), op.getLow(), op.getInterior())) {
    limits.push_back(size == 0 ? low : low + (size - 1) * (interior + 1) + 1);
    strides.push_back(interior + 1);
  }
  Value inside = g.make<SliceOp>(dy, op.getLow(), limits, strides);
  g.give(op.getOperand(), inside);
  if (g.isActive(op.getValue()))
    g.give(op.getValue(), g.sub(g.sumAll(dy), g.sumAll(inside)));
}

/// True if windows lie side by side: every element is in one at most.
bool isTiling(WindowOp op) {
  for (auto [size, stride, dilation] :
       llvm::zip_equal(op.getSizes(), op.getStrides(), op.getDilations()))
    if (stride != size || (size > 1 && dilation != 1))
      return false;
  return true;
}

/// The elements of windows side by side, and zeros where there are none.
Value joinTiles(G &g, WindowOp op, Value dy) {
  ArrayRef<int64_t> from = shapeOf(op.getOperand());
  Dims order, joined, high;
  for (int64_t dim = 0; dim < int64_t(from.size()); ++dim) {
    order.push_back(dim);
    joined.push_back(shapeOf(dy)[dim]);
    if (const auto *found = llvm::find(op.getDimensions(), dim);
        found != op.getDimensions().end()) {
      const int64_t index = found - op.getDimensions().begin();
      order.push_back(from.size() + index);
      joined.back() *= op.getSizes()[index];
    }
    high.push_back(from[dim] - joined.back());
  }
  return g.pad(g.reshape(g.transpose(dy, order), joined), 0, Dims(from.size(), 0), high);
}

/// Where windows overlap, their cotangents add up: the sum over the places in a window.
void windowGradient(G &g, WindowOp op, Value dy) {
  ArrayRef<int64_t> from = shapeOf(op.getOperand());
  const int64_t rank = from.size();
  if (isTiling(op))
    return g.give(op.getOperand(), joinTiles(g, op, dy));
  Value sum;
  for (Dims place : StaticTileOffsetRange(op.getSizes(), Dims(op.getSizes().size(), 1))) {
    Dims offsets(rank, 0), limits(shapeOf(dy)), ones(limits.size(), 1), low(rank, 0), high(rank, 0),
        interior(rank, 0);
    llvm::append_range(offsets, place);
    for (auto [index, dim] : llvm::enumerate(op.getDimensions())) {
      limits[rank + index] = place[index] + 1;
      interior[dim] = op.getStrides()[index] - 1;
      low[dim] = place[index] * op.getDilations()[index];
      high[dim] = from[dim] - low[dim] - (shapeOf(dy)[dim] - 1) * op.getStrides()[index] - 1;
    }
    Value atPlace =
        g.reshape(g.make<SliceOp>(dy, offsets, limits, ones), shapeOf(dy).take_front(rank));
    Value spread = g.pad(atPlace, 0, low, high, interior);
    sum = sum ? g.add(sum, spread) : spread;
  }
  g.give(op.getOperand(), sum);
}

/// start, start + 1, … as indices; one is checked as the start was.
Value rowsFrom(G &g, Value start, int64_t count) {
  if (count == 1)
    return g.reshape(start, {1});
  Type i64 = g.builder.getI64Type();
  return g.add(g.iota({count}, i64, 0), g.broadcastTo(g.cast(start, i64), {count}));
}

void concatGradient(G &g, ConcatOp op, Value dy) {
  int64_t dimension = op.getDimension(), offset = 0;
  for (Value operand : op.getOperands()) {
    int64_t limit = offset + shapeOf(operand)[dimension];
    g.give(operand, g.slice(dy, dimension, offset, limit));
    offset = limit;
  }
}

//===--------------------------------------------------------------------------------------------===//
// Contraction
//===--------------------------------------------------------------------------------------------===//

/// One operand of a contraction: its dimensions by what they do.
struct Side {
  Value value;
  ArrayRef<int64_t> batch, contract;
  Dims free = {};
  Dims freeInResult = {};

  Side(Value value, ArrayRef<int64_t> batch, ArrayRef<int64_t> contract, int64_t firstFree)
      : value(value), batch(batch), contract(contract) {
    for (int64_t dim = 0; dim < tensorType(value).getRank(); ++dim)
      if (!llvm::is_contained(batch, dim) && !llvm::is_contained(contract, dim)) {
        free.push_back(dim);
        freeInResult.push_back(firstFree++);
      }
  }

  /// This side's contracted dimensions as they follow each other in a contraction that keeps them.
  Dims sortedContract() const {
    Dims sorted(contract);
    llvm::sort(sorted);
    return sorted;
  }
};

/// The cotangent of `side`: dy, rounded as the operands are, contracted with the other operand over
/// the other's free dimensions. The operand order that needs no transpose is taken where there is
/// one.
Value contractionGradient(G &g, const Side &side, const Side &other, Value dy) {
  Dims batch = llvm::to_vector(llvm::seq<int64_t>(0, side.batch.size()));
  // Dimensions of `side` in the order in which the contraction's result has them.
  Dims kept;
  for (int64_t dim : other.sortedContract())
    kept.push_back(side.contract[llvm::find(other.contract, dim) - other.contract.begin()]);
  Dims gradientFirst(side.batch), otherFirst(side.batch);
  llvm::append_range(gradientFirst, side.free);
  llvm::append_range(gradientFirst, kept);
  llvm::append_range(otherFirst, kept);
  llvm::append_range(otherFirst, side.free);
  if (llvm::is_sorted(otherFirst) && !llvm::is_sorted(gradientFirst))
    return g.contractWide(other.value, dy, other.batch, batch, other.free, other.freeInResult);
  Value product =
      g.contractWide(dy, other.value, batch, other.batch, other.freeInResult, other.free);
  return permute(g, product, inverse(gradientFirst));
}

void contractGradient(G &g, ContractOp op, Value dy) {
  int64_t batches = op.getLhsBatch().size();
  dy = g.castAtSource(dy, tensorType(op.getLhs()).getElementType());
  Side lhs(op.getLhs(), op.getLhsBatch(), op.getLhsContract(), batches);
  Side rhs(op.getRhs(), op.getRhsBatch(), op.getRhsContract(), batches + lhs.free.size());
  if (g.isActive(op.getLhs()))
    g.give(op.getLhs(), contractionGradient(g, lhs, rhs, dy));
  if (g.isActive(op.getRhs()))
    g.give(op.getRhs(), contractionGradient(g, rhs, lhs, dy));
}

} // namespace

ArrayRef<GradientRow> tensorGradients() {
  static const GradientRow rows[] = {
      movementRow<ReshapeOp>([](G &g, ReshapeOp op, Value dy) {
        g.give(op.getOperand(), g.reshape(dy, shapeOf(op.getOperand())));
      }),
      movementRow<TransposeOp>([](G &g, TransposeOp op, Value dy) {
        g.give(op.getOperand(), permute(g, dy, inverse(op.getPermutation())));
      }),
      movementRow<BroadcastOp>(
          [](G &g, BroadcastOp op, Value dy) { broadcastGradient(g, op, dy); }),
      movementRow<SliceOp>([](G &g, SliceOp op, Value dy) { sliceGradient(g, op, dy); }),
      movementRow<ReverseOp>([](G &g, ReverseOp op, Value dy) {
        g.give(op.getOperand(), g.reverse(dy, op.getDimensions()));
      }),
      movementRow<WindowOp>([](G &g, WindowOp op, Value dy) { windowGradient(g, op, dy); }),
      movementRow<PadOp>([](G &g, PadOp op, Value dy) { padGradient(g, op, dy); }),
      movementRow<ConcatOp>([](G &g, ConcatOp op, Value dy) { concatGradient(g, op, dy); }),
      gradientRow<ContractOp>([](G &g, ContractOp op, Value dy) { contractGradient(g, op, dy); }),
      gradientRow<DynamicSliceOp>([](G &g, DynamicSliceOp op, Value dy) {
        Value zeros = g.zerosLike(op.getOperand());
        g.give(op.getOperand(), g.scatterAdd(zeros, rowsFrom(g, op.getStart(), op.getSize()), dy,
                                             op.getDimension()));
      }),
      gradientRow<DynamicUpdateSliceOp>([](G &g, DynamicUpdateSliceOp op, Value dy) {
        const int64_t dimension = op.getDimension();
        Value zeros = g.zerosLike(op.getUpdate());
        if (g.isActive(op.getBase()))
          g.give(op.getBase(), g.make<DynamicUpdateSliceOp>(dy, zeros, op.getStart(), dimension));
        if (g.isActive(op.getUpdate()))
          g.give(op.getUpdate(), g.make<DynamicSliceOp>(dy, op.getStart(), dimension,
                                                        shapeOf(op.getUpdate())[dimension]));
      }),
      gradientRow<GatherOp>([](G &g, GatherOp op, Value dy) {
        Value zeros = g.zerosLike(op.getOperand());
        g.give(op.getOperand(), g.scatterAdd(zeros, op.getIndices(), dy, op.getDimension()));
      }),
      gradientRow<ScatterAddOp>([](G &g, ScatterAddOp op, Value dy) {
        g.give(op.getBase(), dy);
        g.give(op.getUpdates(), g.gather(dy, op.getIndices(), op.getDimension()));
      }),
  };
  return rows;
}

} // namespace ingot
