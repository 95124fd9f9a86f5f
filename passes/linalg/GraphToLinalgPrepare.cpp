/// Rewrites on the graph dialect that decide what can fuse: composites fall apart, and reshapes,
/// transposes and sums of padded pieces take the forms that kernels absorb.
#include "ir/dialect/GraphBuilder.h"
#include "ir/formulas/TupleReductions.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/linalg/GraphToLinalg.h"
#include "llvm/ADT/STLExtras.h"
#include <map>

using namespace mlir;
using namespace ingot::graph;

namespace ingot {
namespace {

using Dims = SmallVector<int64_t>;

struct DecomposeComposite : OpInterfaceRewritePattern<Composite> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;
  LogicalResult matchAndRewrite(Composite op, PatternRewriter &rewriter) const override {
    if (isa<KernelOp>(op.getOperation()))
      return rewriter.notifyMatchFailure(op, "has a kernel of its own");
    rewriter.replaceOp(op, op.decompose(rewriter));
    return success();
  }
};

//===--------------------------------------------------------------------------------------------===//
// Reshapes that join dimensions move after contractions and reductions
//===--------------------------------------------------------------------------------------------===//

/// For each dimension of a value the run of dimensions of `source` that it was joined from.
struct Joined {
  Value source;
  SmallVector<Dims> runs;
  bool isTrivial() const {
    return llvm::all_of(runs, [](const Dims &run) { return run.size() == 1; });
  }
};

/// `value` as a reshape that only joins neighbouring dimensions; itself where it is none.
Joined joinedFrom(Value value) {
  auto trivial = [&] {
    Joined joined{value, {}};
    for (int64_t dim = 0; dim < tensorType(value).getRank(); ++dim)
      joined.runs.push_back({dim});
    return joined;
  };
  auto reshape = value.getDefiningOp<ReshapeOp>();
  if (!reshape)
    return trivial();
  auto from = tensorType(reshape.getOperand()), to = tensorType(value);
  if (from.getRank() <= to.getRank() || from.getNumElements() == 0)
    return trivial();
  Joined joined{reshape.getOperand(), {}};
  int64_t next = 0;
  for (int64_t size : to.getShape()) {
    Dims run;
    int64_t product = 1;
    while (next < from.getRank() && (run.empty() || product < size)) {
      product *= from.getDimSize(next);
      run.push_back(next++);
    }
    if (product != size)
      return trivial();
    joined.runs.push_back(run);
  }
  for (; next < from.getRank(); ++next) // trailing ones
    if (from.getDimSize(next) != 1 || joined.runs.empty())
      return trivial();
    else
      joined.runs.back().push_back(next);
  return joined;
}

Dims sizesOf(const Joined &joined, int64_t dim) {
  return llvm::map_to_vector(joined.runs[dim],
                             [&](int64_t from) { return shapeOf(joined.source)[from]; });
}

/// contract(reshape(x), …) → reshape(contract(x, …)), so that what follows sees the model's own
/// dimensions: a linear layer flattens its rows, the residual stream around it does not.
struct JoinAfterContract : OpRewritePattern<ContractOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ContractOp op, PatternRewriter &rewriter) const override {
    Joined lhs = joinedFrom(op.getLhs()), rhs = joinedFrom(op.getRhs());
    if (lhs.isTrivial() && rhs.isTrivial())
      return rewriter.notifyMatchFailure(op, "no operand joins dimensions");
    Dims lhsBatch, rhsBatch, lhsContract, rhsContract;
    auto pairUp = [&](ArrayRef<int64_t> left, ArrayRef<int64_t> right, Dims &newLeft,
                      Dims &newRight) {
      for (auto [l, r] : llvm::zip_equal(left, right)) {
        if (sizesOf(lhs, l) != sizesOf(rhs, r))
          return false;
        llvm::append_range(newLeft, lhs.runs[l]);
        llvm::append_range(newRight, rhs.runs[r]);
      }
      return true;
    };
    if (!pairUp(op.getLhsBatch(), op.getRhsBatch(), lhsBatch, rhsBatch) ||
        !pairUp(op.getLhsContract(), op.getRhsContract(), lhsContract, rhsContract))
      return rewriter.notifyMatchFailure(op, "paired dimensions were joined differently");
    Value product = GraphBuilder(rewriter, op.getLoc())
                        .contract(lhs.source, rhs.source, lhsBatch, rhsBatch, lhsContract,
                                  rhsContract, op.getType().getElementType());
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), product);
    return success();
  }
};

/// reduce(reshape(x)) → reshape(reduce(x)).
struct JoinAfterReduce : OpRewritePattern<ReduceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceOp op, PatternRewriter &rewriter) const override {
    Joined operand = joinedFrom(op.getOperand());
    if (operand.isTrivial())
      return rewriter.notifyMatchFailure(op, "the operand joins no dimensions");
    Dims dimensions;
    for (int64_t dim : op.getDimensions())
      llvm::append_range(dimensions, operand.runs[dim]);
    Value sum = ReduceOp::create(rewriter, op.getLoc(), op.getKind(), operand.source, dimensions);
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), sum);
    return success();
  }
};

/// Of argmax and argmin the value alone, which is max and min.
struct ChoiceOfValue : OpRewritePattern<ReduceTuplesOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceTuplesOp op, PatternRewriter &rewriter) const override {
    const TupleReduction &row = *findTupleReduction(op.getKind());
    if (!row.isNumbered() || !op.getResult(1).use_empty())
      return rewriter.notifyMatchFailure(op, "more than an extremum is used");
    const bool isLargest = row.neutral.front() == TupleReduction::Start::lowest;
    Value value =
        ReduceOp::create(rewriter, op.getLoc(), isLargest ? ReduceKind::Max : ReduceKind::Min,
                         op.getOperand(0), op.getDimensions());
    rewriter.replaceAllUsesWith(op.getResult(0), value);
    rewriter.eraseOp(op);
    return success();
  }
};

/// Elementwise ops on joined dimensions compute on the dimensions before the join; constants and
/// broadcasts follow.
struct JoinAfterElementwise : OpTraitRewritePattern<OpTrait::Elementwise> {
  using OpTraitRewritePattern::OpTraitRewritePattern;
  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    if (op->getNumResults() != 1)
      return rewriter.notifyMatchFailure(op, "not an elementwise op of one result");
    std::optional<Joined> joined;
    for (Value operand : op->getOperands())
      if (Joined candidate = joinedFrom(operand); !joined && !candidate.isTrivial())
        joined = candidate;
    if (!joined)
      return rewriter.notifyMatchFailure(op, "no operand joins dimensions");
    ArrayRef<int64_t> shape = shapeOf(joined->source);
    if (!llvm::all_of(op->getOperands(),
                      [&](Value operand) { return canFollow(operand, *joined); }))
      return rewriter.notifyMatchFailure(op, "an operand has the joined shape by itself");
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(follow(rewriter, operand, *joined));
    auto type = tensorType(op->getResult(0));
    OperationState state(op->getLoc(), op->getName(), operands, type.clone(shape), op->getAttrs());
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, type, rewriter.create(state)->getResult(0));
    return success();
  }

private:
  static DenseElementsAttr splat(Value value) {
    DenseElementsAttr constant;
    return matchPattern(value, m_Constant(&constant)) && constant.isSplat() ? constant : nullptr;
  }
  static bool canFollow(Value operand, const Joined &joined) {
    if (auto reshape = operand.getDefiningOp<ReshapeOp>())
      return shapeOf(reshape.getOperand()) == shapeOf(joined.source);
    if (auto broadcast = operand.getDefiningOp<BroadcastOp>())
      return llvm::all_of(broadcast.getDimensions(),
                          [&](int64_t dim) { return joined.runs[dim].size() == 1; });
    return bool(splat(operand));
  }
  static Value follow(PatternRewriter &rewriter, Value operand, const Joined &joined) {
    if (auto reshape = operand.getDefiningOp<ReshapeOp>())
      return reshape.getOperand();
    auto type = tensorType(operand).clone(shapeOf(joined.source));
    if (auto broadcast = operand.getDefiningOp<BroadcastOp>()) {
      auto dimensions = llvm::map_to_vector(broadcast.getDimensions(),
                                            [&](int64_t dim) { return joined.runs[dim].front(); });
      return BroadcastOp::create(rewriter, broadcast.getLoc(), type, broadcast.getOperand(),
                                 dimensions);
    }
    return ConstantOp::create(rewriter, operand.getLoc(), splat(operand).resizeSplat(type));
  }
};

struct ReshapeOfReshape : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &rewriter) const override {
    if (op.getOperand().getType() == op.getType()) {
      rewriter.replaceOp(op, op.getOperand());
      return success();
    }
    auto inner = op.getOperand().getDefiningOp<ReshapeOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "the operand is no reshape");
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), inner.getOperand());
    return success();
  }
};

//===--------------------------------------------------------------------------------------------===//
// Transposes
//===--------------------------------------------------------------------------------------------===//

/// contract(transpose(x), …) names x's dimensions where its free ones keep their order.
struct TransposeIntoContract : OpRewritePattern<ContractOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ContractOp op, PatternRewriter &rewriter) const override {
    Value lhs = op.getLhs(), rhs = op.getRhs();
    Dims lhsBatch(op.getLhsBatch()), lhsContract(op.getLhsContract());
    Dims rhsBatch(op.getRhsBatch()), rhsContract(op.getRhsContract());
    bool left = absorb(lhs, lhsBatch, lhsContract), right = absorb(rhs, rhsBatch, rhsContract);
    if (!left && !right)
      return rewriter.notifyMatchFailure(op,
                                         "no operand is a transpose that keeps free dimensions");
    rewriter.replaceOpWithNewOp<ContractOp>(op, op.getType(), lhs, rhs, lhsBatch, rhsBatch,
                                            lhsContract, rhsContract);
    return success();
  }

private:
  static bool absorb(Value &value, Dims &batch, Dims &contract) {
    auto transpose = value.getDefiningOp<TransposeOp>();
    // Attention's result is stored transposed, see oneFormOfAttention.
    if (!transpose || isStoredMoved(transpose.getOperand()))
      return false;
    ArrayRef<int64_t> permutation = transpose.getPermutation();
    Dims free;
    for (auto [dim, from] : llvm::enumerate(permutation))
      if (!llvm::is_contained(batch, dim) && !llvm::is_contained(contract, dim))
        free.push_back(from);
    if (!llvm::is_sorted(free))
      return false;
    for (Dims *dims : {&batch, &contract})
      for (int64_t &dim : *dims)
        dim = permutation[dim];
    value = transpose.getOperand();
    return true;
  }
};

/// Where attention's result is transposed, all its readers read that form: one tensor is stored.
/// Runs after the other rewrites, for folding would undo it.
void oneFormOfAttention(AttentionOp op) {
  Value result = op.getResult();
  auto isTranspose = [](Operation *user) { return isa<TransposeOp>(user); };
  auto transposed = llvm::find_if(result.getUsers(), isTranspose);
  if (transposed == result.user_end() || result.hasOneUse())
    return;
  auto transpose = cast<TransposeOp>(*transposed);
  Dims inverse(transpose.getPermutation().size());
  for (auto [index, dim] : llvm::enumerate(transpose.getPermutation()))
    inverse[dim] = index;
  transpose->moveAfter(op);
  OpBuilder builder(op.getContext());
  builder.setInsertionPointAfter(transpose);
  auto back = TransposeOp::create(builder, transpose.getLoc(), transpose.getResult(), inverse);
  result.replaceAllUsesExcept(back.getResult(), transpose);
}

//===--------------------------------------------------------------------------------------------===//
// Padding
//===--------------------------------------------------------------------------------------------===//

/// pad(x, v) of a computed v → select(pad(true, false), pad(x, 0), v). A tensor.pad yields its
/// value from a region, where kernels see no operand that has to be computed before.
struct PadByComputedValue : OpRewritePattern<PadOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PadOp op, PatternRewriter &rewriter) const override {
    DenseElementsAttr constant;
    if (matchPattern(op.getValue(), m_Constant(&constant)))
      return rewriter.notifyMatchFailure(op, "the value is a constant");
    GraphBuilder g(rewriter, op.getLoc());
    auto padded = [&](Value x) {
      Value zero = g.scalar(tensorType(x).getElementType(), 0);
      return g.make<PadOp>(x, zero, op.getLow(), op.getHigh(), op.getInterior());
    };
    auto flags = tensorType(op.getOperand()).clone(rewriter.getI1Type());
    rewriter.replaceOp(op, g.select(padded(g.splat(flags, 1)), padded(op.getOperand()),
                                    g.broadcastLike(op.getValue(), op.getResult())));
    return success();
  }
};

//===--------------------------------------------------------------------------------------------===//
// Activations
//===--------------------------------------------------------------------------------------------===//

/// x > 0 → relu(x) > 0 where relu(x) is there: the gradient needs the activation alone.
struct SignOfRelu : OpRewritePattern<CompareOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CompareOp op, PatternRewriter &rewriter) const override {
    if (op.getDirection() != Comparison::Gt || !matchPattern(op.getRhs(), m_AnyZeroFloat()))
      return rewriter.notifyMatchFailure(op, "not a comparison x > 0 of floats");
    for (Operation *user : op.getLhs().getUsers())
      if (auto relu = dyn_cast<ReluOp>(user);
          relu && relu->getBlock() == op->getBlock() && relu->isBeforeInBlock(op)) {
        rewriter.modifyOpInPlace(op, [&] { op.getLhsMutable().assign(relu.getResult()); });
        return success();
      }
    return rewriter.notifyMatchFailure(op, "no relu of the same value");
  }
};

//===--------------------------------------------------------------------------------------------===//
// Sums of padded pieces
//===--------------------------------------------------------------------------------------------===//

/// One summand: zero but for `value` at [low, end) of a dimension.
struct Piece {
  Value padded, value;
  int64_t dimension, low;
  int64_t end() const { return low + shapeOf(value)[dimension]; }
};

std::optional<Piece> pieceOf(PadOp pad) {
  if (!matchPattern(pad.getValue(), m_AnyZeroFloat()) && !matchPattern(pad.getValue(), m_Zero()))
    return std::nullopt;
  std::optional<Piece> piece;
  for (auto [dim, low] : llvm::enumerate(pad.getLow())) {
    if (pad.getInterior()[dim] != 0)
      return std::nullopt;
    if (low == 0 && pad.getHigh()[dim] == 0)
      continue;
    if (piece)
      return std::nullopt;
    piece = Piece{pad.getResult(), pad.getOperand(), int64_t(dim), low};
  }
  return piece;
}

/// The summands of a sum that is no part of a larger one: padded pieces by dimension, and the rest.
struct Summands {
  SmallVector<Value> whole;
  std::map<int64_t, std::multimap<int64_t, Piece>> pieces; ///< in the order of their places
};

Summands summandsOf(AddOp sum) {
  Summands found;
  SmallVector<Value> pending{sum.getRhs(), sum.getLhs()};
  while (!pending.empty()) {
    Value summand = pending.pop_back_val();
    if (auto add = summand.getDefiningOp<AddOp>(); add && summand.hasOneUse()) {
      pending.append({add.getRhs(), add.getLhs()});
      continue;
    }
    auto pad = summand.getDefiningOp<PadOp>();
    if (std::optional<Piece> piece = pad && pad->hasOneUse() ? pieceOf(pad) : std::nullopt)
      found.pieces[piece->dimension].emplace(piece->low, *piece);
    else
      found.whole.push_back(summand);
  }
  return found;
}

/// The gradients of slices of a tensor: pad(a) + pad(b) + … → concat(a, b, …), zeros where nothing
/// was taken, and as many tensors as pieces lie over each other.
struct PadsToConcat : OpRewritePattern<AddOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(AddOp op, PatternRewriter &rewriter) const override {
    if (op->hasOneUse() && isa<AddOp>(*op->user_begin()))
      return rewriter.notifyMatchFailure(op, "is part of a larger sum");
    Summands found = summandsOf(op);
    SmallVector<Value> sums = found.whole;
    bool changed = false;
    for (auto &[dimension, pieces] : found.pieces) {
      for (ArrayRef<Piece> layer : layersOf(pieces)) {
        changed |= layer.size() > 1;
        sums.push_back(layer.size() > 1 ? joined(rewriter, op, layer) : layer.front().padded);
      }
    }
    if (!changed)
      return rewriter.notifyMatchFailure(op, "no two summands are pieces beside each other");
    Value sum = sums.front();
    for (Value summand : ArrayRef(sums).drop_front())
      sum = AddOp::create(rewriter, op.getLoc(), sum, summand);
    rewriter.replaceOp(op, sum);
    return success();
  }

private:
  /// Pieces in order, each in the first layer that it does not overlap.
  static std::vector<SmallVector<Piece>> layersOf(const std::multimap<int64_t, Piece> &pieces) {
    std::vector<SmallVector<Piece>> layers;
    for (const Piece &piece : llvm::make_second_range(pieces)) {
      auto fits = [&](const SmallVector<Piece> &layer) { return layer.back().end() <= piece.low; };
      auto layer = llvm::find_if(layers, fits);
      if (layer == layers.end())
        layers.push_back({piece});
      else
        layer->push_back(piece);
    }
    return layers;
  }

  static Value joined(PatternRewriter &rewriter, AddOp op, ArrayRef<Piece> layer) {
    auto type = op.getType();
    const int64_t dimension = layer.front().dimension;
    SmallVector<Value> parts;
    int64_t end = 0;
    auto fillUpTo = [&](int64_t next) {
      if (next == end)
        return;
      Dims shape(type.getShape());
      shape[dimension] = next - end;
      auto zeros = type.clone(shape);
      parts.push_back(ConstantOp::create(
          rewriter, op.getLoc(),
          DenseElementsAttr::get(zeros, rewriter.getZeroAttr(type.getElementType()))));
    };
    for (const Piece &piece : layer) {
      fillUpTo(piece.low);
      parts.push_back(piece.value);
      end = piece.end();
    }
    fillUpTo(type.getDimSize(dimension));
    return ConcatOp::create(rewriter, op.getLoc(), type, parts, dimension);
  }
};

/// The rewrites take every op for one on tensors of the graph: scalars of a linalg body have no
/// shape.
LogicalResult requireGraphOps(func::FuncOp function) {
  WalkResult result = function.walk([&](Operation *op) {
    if (op == function || isa<func::ReturnOp, func::CallOp>(op) ||
        isa_and_nonnull<graph::GraphDialect>(op->getDialect()))
      return WalkResult::advance();
    op->emitError("is no op of the graph dialect, which is all that graph-to-linalg takes");
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

} // namespace

bool isStoredMoved(Value value) {
  auto root = value.getDefiningOp<KernelOp>();
  return root && root.getKernelForm().epilogue == Epilogue::Moves;
}

LogicalResult prepareForLinalg(func::FuncOp function) {
  if (failed(requireGraphOps(function)) || failed(prepareLoops(function)))
    return failure();
  RewritePatternSet patterns(function.getContext());
  patterns.add<DecomposeComposite, JoinAfterContract, JoinAfterReduce, ChoiceOfValue,
               JoinAfterElementwise, ReshapeOfReshape, TransposeIntoContract, SignOfRelu,
               PadByComputedValue, PadsToConcat>(function.getContext());
  // Not converging means more rounds than the driver allows: the rewrites that ran are valid.
  (void)applyPatternsGreedily(function, std::move(patterns));
  function.walk(oneFormOfAttention);
  return success();
}

} // namespace ingot
