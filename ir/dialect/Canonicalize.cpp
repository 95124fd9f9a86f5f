/// Canonicalisation patterns: rewrites that build other ops. Identities are folders (Fold.cpp).
#include "ir/dialect/GraphBuilder.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;

namespace ingot::graph {
namespace {

bool isZero(Value value) {
  return matchPattern(value, m_AnyZeroFloat()) || matchPattern(value, m_Zero());
}

/// add(x, scatter_add(0, i, u)) → scatter_add(x, i, u): the gradient of a table that is also used
/// otherwise (tied weights) needs no second buffer. The additions associate differently.
LogicalResult addIntoScatter(AddOp op, PatternRewriter &rewriter) {
  for (auto [scattered, other] :
       {std::pair(op.getLhs(), op.getRhs()), std::pair(op.getRhs(), op.getLhs())}) {
    auto scatter = scattered.getDefiningOp<ScatterAddOp>();
    if (!scatter || !scatter->hasOneUse() || !isZero(scatter.getBase()))
      continue;
    rewriter.replaceOpWithNewOp<ScatterAddOp>(op, op.getType(), other, scatter.getIndices(),
                                              scatter.getUpdates(), scatter.getDimension());
    return success();
  }
  return rewriter.notifyMatchFailure(op, "no operand is a scatter_add onto zeros of its own");
}

/// A pad with zeros along one dimension, without interior; it may be widened afterwards.
struct ZeroPad {
  PadOp op;
  int64_t dimension = -1;

  static std::optional<ZeroPad> match(Value value) {
    auto wide = value.getDefiningOp<CastOp>();
    if (wide && wide->hasOneUse() && isWidening(wide))
      value = wide.getOperand();
    auto op = value.getDefiningOp<PadOp>();
    if (!op || !op->hasOneUse() || !op.getType().hasStaticShape() || !isZero(op.getValue()))
      return std::nullopt;
    ZeroPad pad{op};
    for (int64_t dim = 0; dim < op.getType().getRank(); ++dim) {
      if (op.getInterior()[dim] != 0)
        return std::nullopt;
      if (op.getLow()[dim] == 0 && op.getHigh()[dim] == 0)
        continue;
      if (pad.dimension >= 0)
        return std::nullopt;
      pad.dimension = dim;
    }
    return pad.dimension >= 0 ? std::optional(pad) : std::nullopt;
  }
  static bool isWidening(CastOp op) {
    auto from = dyn_cast<FloatType>(op.getOperand().getType().getElementType()),
         to = dyn_cast<FloatType>(op.getType().getElementType());
    return from && to && accumulationType(from) == to;
  }
  int64_t begin() { return op.getLow()[dimension]; }
  int64_t end() { return begin() + tensorType(op.getOperand()).getDimSize(dimension); }
};

/// add(pad(a), pad(b)) → pad(concat(a, b)) where b's place follows a's: the gradients of
/// neighbouring slices are joined instead of being added up in padded copies, and widened, if they
/// are, in one piece.
LogicalResult addOfNeighbouringPads(AddOp op, PatternRewriter &rewriter) {
  auto lhs = ZeroPad::match(op.getLhs()), rhs = ZeroPad::match(op.getRhs());
  if (!lhs || !rhs || lhs->dimension != rhs->dimension || lhs->op.getType() != rhs->op.getType())
    return rewriter.notifyMatchFailure(op, "the operands are not zero pads along one dimension");
  if (rhs->end() == lhs->begin())
    std::swap(lhs, rhs);
  if (lhs->end() != rhs->begin())
    return rewriter.notifyMatchFailure(op, "the padded operands are not neighbours");
  Value joined =
      ConcatOp::create(rewriter, op.getLoc(),
                       ValueRange{lhs->op.getOperand(), rhs->op.getOperand()}, lhs->dimension);
  Value padded = PadOp::create(rewriter, op.getLoc(), lhs->op.getType(), joined, lhs->op.getValue(),
                               lhs->op.getLow(), rhs->op.getHigh(), lhs->op.getInterior());
  rewriter.replaceOp(
      op, GraphBuilder(rewriter, op.getLoc()).cast(padded, op.getType().getElementType()));
  return success();
}

/// concat(concat(a, b), c) → concat(a, b, c), and empty operands go.
LogicalResult flattenConcat(ConcatOp op, PatternRewriter &rewriter) {
  SmallVector<Value> operands;
  bool changed = false;
  for (Value operand : op.getOperands()) {
    auto inner = operand.getDefiningOp<ConcatOp>();
    if (inner && inner.getDimension() == op.getDimension() && inner->hasOneUse()) {
      llvm::append_range(operands, inner.getOperands());
      changed = true;
    } else if (tensorType(operand).getDimSize(op.getDimension()) == 0) {
      changed = true;
    } else {
      operands.push_back(operand);
    }
  }
  if (!changed || operands.empty())
    return rewriter.notifyMatchFailure(op, "no operand is a concat of the same dimension or empty");
  rewriter.replaceOpWithNewOp<ConcatOp>(op, op.getType(), operands, op.getDimension());
  return success();
}

/// A slice that lies inside one operand of a concat is a slice of that operand.
LogicalResult sliceOfConcat(SliceOp op, PatternRewriter &rewriter) {
  auto concat = op.getOperand().getDefiningOp<ConcatOp>();
  if (!concat || !concat.getType().hasStaticShape())
    return rewriter.notifyMatchFailure(op, "the operand is not a concat of static shape");
  int64_t dimension = concat.getDimension(), start = 0;
  SmallVector<int64_t> offsets(op.getOffsets()), limits(op.getLimits());
  for (Value operand : concat.getOperands()) {
    int64_t end = start + tensorType(operand).getDimSize(dimension);
    if (offsets[dimension] >= start && limits[dimension] <= end) {
      offsets[dimension] -= start;
      limits[dimension] -= start;
      rewriter.replaceOpWithNewOp<SliceOp>(op, op.getType(), operand, offsets, limits,
                                           op.getStrides());
      return success();
    }
    start = end;
  }
  return rewriter.notifyMatchFailure(op, "the slice crosses operands of the concat");
}

/// A reduction over dimensions of size 1 moves nothing: it is a reshape of each operand.
template <typename Reduction>
LogicalResult reduceOfUnitDimensions(Reduction op, PatternRewriter &rewriter) {
  auto from = cast<RankedTensorType>(op->getOperand(0).getType());
  bool isUnit =
      llvm::all_of(op.getDimensions(), [&](int64_t dim) { return from.getDimSize(dim) == 1; });
  if (!isUnit || !from.hasStaticShape())
    return rewriter.notifyMatchFailure(op, "a reduced dimension is not 1");
  SmallVector<Value> results;
  for (auto [type, operand] : llvm::zip_equal(op->getResultTypes(), op->getOperands()))
    results.push_back(ReshapeOp::create(rewriter, op.getLoc(), type, operand));
  rewriter.replaceOp(op, results);
  return success();
}

/// broadcast(reshape(x)) → broadcast(x) where the reshape only adds or drops dimensions of size 1.
LogicalResult broadcastOfUnitReshape(BroadcastOp op, PatternRewriter &rewriter) {
  auto reshape = op.getOperand().getDefiningOp<ReshapeOp>();
  if (!reshape || !reshape.getType().hasStaticShape() ||
      !reshape.getOperand().getType().hasStaticShape())
    return rewriter.notifyMatchFailure(op, "the operand is not a reshape of static shape");
  ArrayRef<int64_t> from = reshape.getOperand().getType().getShape(),
                    to = reshape.getType().getShape();
  // Where each dimension of x that is not 1 arrives in the result; those of size 1 need a free
  // place.
  SmallVector<int64_t> dimensions;
  size_t next = 0;
  for (int64_t size : from) {
    while (next < to.size() && to[next] != size && to[next] == 1)
      ++next;
    if (next == to.size() || to[next] != size)
      return rewriter.notifyMatchFailure(op, "the reshape does more than add dimensions of size 1");
    dimensions.push_back(op.getDimensions()[next++]);
  }
  rewriter.replaceOpWithNewOp<BroadcastOp>(op, op.getType(), reshape.getOperand(), dimensions);
  return success();
}

/// transpose(broadcast(x)) → broadcast(x) where x's dimensions keep their order.
LogicalResult transposeOfBroadcast(TransposeOp op, PatternRewriter &rewriter) {
  auto broadcast = op.getOperand().getDefiningOp<BroadcastOp>();
  if (!broadcast)
    return rewriter.notifyMatchFailure(op, "the operand is not a broadcast");
  SmallVector<int64_t> dimensions;
  for (int64_t dim : broadcast.getDimensions())
    dimensions.push_back(llvm::find(op.getPermutation(), dim) - op.getPermutation().begin());
  if (!llvm::is_sorted(dimensions))
    return rewriter.notifyMatchFailure(op,
                                       "the transpose reorders the broadcast operand's dimensions");
  rewriter.replaceOpWithNewOp<BroadcastOp>(op, op.getType(), broadcast.getOperand(), dimensions);
  return success();
}

} // namespace

void AddOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *) {
  patterns.add(addIntoScatter);
  patterns.add(addOfNeighbouringPads);
}
void ConcatOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *) {
  patterns.add(flattenConcat);
}
void SliceOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *) {
  patterns.add(sliceOfConcat);
}
void ReduceOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *) {
  patterns.add(reduceOfUnitDimensions<ReduceOp>);
}
void ReduceTuplesOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *) {
  patterns.add(reduceOfUnitDimensions<ReduceTuplesOp>);
}
void BroadcastOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *) {
  patterns.add(broadcastOfUnitReshape);
}
void TransposeOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *) {
  patterns.add(transposeOfBroadcast);
}

} // namespace ingot::graph
