/// Builds graph ops at one location in the words of formulas: decompositions and gradients read
/// like their mathematics. Values are ranked tensors; nothing broadcasts implicitly.
#pragma once
#include "ir/dialect/Graph.h"
#include "mlir/IR/Builders.h"

namespace ingot::graph {

/// The ranked tensor type of a value of the dialect.
inline mlir::RankedTensorType tensorType(mlir::Value value) {
  return mlir::cast<mlir::RankedTensorType>(value.getType());
}

inline llvm::ArrayRef<int64_t> shapeOf(mlir::Value value) { return tensorType(value).getShape(); }

/// The type in which sums, norms and losses of `element` are computed: f32 for narrower floats.
mlir::Type accumulationType(mlir::Type element);

class GraphBuilder {
public:
  GraphBuilder(mlir::OpBuilder &builder, mlir::Location location)
      : builder(builder), location(location) {}

  /// Any op by name; its first result.
  template <typename Op, typename... Args> mlir::Value make(Args &&...args) {
    return Op::create(builder, location, std::forward<Args>(args)...)->getResult(0);
  }

  // Sources.
  /// `value` in every element; rounded to the element type. Shapes with `?` broadcast a scalar.
  mlir::Value splat(mlir::RankedTensorType type, double value);
  mlir::Value splatLike(mlir::Value like, double value) { return splat(tensorType(like), value); }
  mlir::Value zerosLike(mlir::Value like) { return splatLike(like, 0); }
  mlir::Value scalar(mlir::Type element, double value);
  /// 0, 1, 2, … along `dimension` of `shape`.
  mlir::Value iota(llvm::ArrayRef<int64_t> shape, mlir::Type element, int64_t dimension);

  // Elementwise; the second operand may be a number.
  mlir::Value add(mlir::Value lhs, mlir::Value rhs) { return make<AddOp>(lhs, rhs); }
  mlir::Value sub(mlir::Value lhs, mlir::Value rhs) { return make<SubOp>(lhs, rhs); }
  mlir::Value mul(mlir::Value lhs, mlir::Value rhs) { return make<MulOp>(lhs, rhs); }
  mlir::Value div(mlir::Value lhs, mlir::Value rhs) { return make<DivOp>(lhs, rhs); }
  mlir::Value add(mlir::Value lhs, double rhs) { return add(lhs, splatLike(lhs, rhs)); }
  mlir::Value sub(mlir::Value lhs, double rhs) { return sub(lhs, splatLike(lhs, rhs)); }
  mlir::Value mul(mlir::Value lhs, double rhs) { return mul(lhs, splatLike(lhs, rhs)); }
  mlir::Value div(mlir::Value lhs, double rhs) { return div(lhs, splatLike(lhs, rhs)); }
  mlir::Value sub(double lhs, mlir::Value rhs) { return sub(splatLike(rhs, lhs), rhs); }
  mlir::Value neg(mlir::Value x) { return make<NegOp>(x); }
  mlir::Value exp(mlir::Value x) { return make<ExpOp>(x); }
  mlir::Value log(mlir::Value x) { return make<LogOp>(x); }
  mlir::Value sqrt(mlir::Value x) { return make<SqrtOp>(x); }
  mlir::Value rsqrt(mlir::Value x) { return make<RsqrtOp>(x); }
  mlir::Value tanh(mlir::Value x) { return make<TanhOp>(x); }
  mlir::Value erf(mlir::Value x) { return make<ErfOp>(x); }
  mlir::Value square(mlir::Value x) { return mul(x, x); }
  mlir::Value compare(Comparison direction, mlir::Value lhs, mlir::Value rhs) {
    return make<CompareOp>(direction, lhs, rhs);
  }
  mlir::Value select(mlir::Value condition, mlir::Value onTrue, mlir::Value onFalse) {
    return make<SelectOp>(condition, onTrue, onFalse);
  }
  /// The operand itself if it already has that element type.
  mlir::Value cast(mlir::Value x, mlir::Type element);
  /// Rounded to `element` where it is defined: not what reshapes, transposes and slices make of it,
  /// which then move the rounded tensor. What has been widened from that type is not rounded again.
  mlir::Value castAtSource(mlir::Value x, mlir::Type element);
  /// In the type in which sums are computed; see accumulationType.
  mlir::Value widen(mlir::Value x) {
    return cast(x, accumulationType(tensorType(x).getElementType()));
  }

  // Shape.
  /// The operand itself if it already has that shape.
  mlir::Value reshape(mlir::Value x, llvm::ArrayRef<int64_t> shape);
  mlir::Value transpose(mlir::Value x, llvm::ArrayRef<int64_t> permutation);
  /// Operand dimension i becomes result dimension `dimensions[i]`; the operand itself if nothing
  /// changes.
  mlir::Value broadcast(mlir::Value x, llvm::ArrayRef<int64_t> shape,
                        llvm::ArrayRef<int64_t> dimensions);
  /// Aligns the operand's dimensions with the last ones of `shape`: a bias, a scalar.
  mlir::Value broadcastTo(mlir::Value x, llvm::ArrayRef<int64_t> shape);
  mlir::Value broadcastLike(mlir::Value x, mlir::Value like) {
    return broadcastTo(x, tensorType(like).getShape());
  }
  /// Undoes the loss of `dimensions` in a reduction over a tensor of `shape` by repetition.
  mlir::Value broadcastReduced(mlir::Value reduced, llvm::ArrayRef<int64_t> shape,
                               llvm::ArrayRef<int64_t> dimensions);
  mlir::Value broadcastReducedLike(mlir::Value reduced, mlir::Value like,
                                   llvm::ArrayRef<int64_t> dimensions) {
    return broadcastReduced(reduced, tensorType(like).getShape(), dimensions);
  }
  /// One dimension between `offset` and `limit`, the others whole.
  mlir::Value slice(mlir::Value x, int64_t dimension, int64_t offset, int64_t limit);
  mlir::Value concat(mlir::ValueRange xs, int64_t dimension);
  /// Zeros around the dimensions from `first` on, and `interior` ones between neighbours; what is
  /// negative cuts off instead. `interior` may be empty.
  mlir::Value pad(mlir::Value x, int64_t first, llvm::ArrayRef<int64_t> low,
                  llvm::ArrayRef<int64_t> high, llvm::ArrayRef<int64_t> interior = {});
  mlir::Value reverse(mlir::Value x, llvm::ArrayRef<int64_t> dimensions);
  /// Windows over all dimensions from `first` on; see graph.window.
  mlir::Value window(mlir::Value x, int64_t first, llvm::ArrayRef<int64_t> sizes,
                     llvm::ArrayRef<int64_t> strides, llvm::ArrayRef<int64_t> dilations);

  // Reductions and contractions.
  /// The operand itself if `dimensions` is empty.
  mlir::Value reduce(ReduceKind kind, mlir::Value x, llvm::ArrayRef<int64_t> dimensions);
  mlir::Value reduceSum(mlir::Value x, llvm::ArrayRef<int64_t> dimensions) {
    return reduce(ReduceKind::Sum, x, dimensions);
  }
  mlir::Value reduceMax(mlir::Value x, llvm::ArrayRef<int64_t> dimensions) {
    return reduce(ReduceKind::Max, x, dimensions);
  }
  /// All results of graph.reduce_tuples.
  llvm::SmallVector<mlir::Value> reduceTuples(llvm::StringRef kind, mlir::ValueRange operands,
                                              llvm::ArrayRef<int64_t> dimensions);
  /// Sum over `dimensions` times the reciprocal of their (static) size.
  mlir::Value reduceMean(mlir::Value x, llvm::ArrayRef<int64_t> dimensions);
  /// Sum of all elements, a scalar.
  mlir::Value sumAll(mlir::Value x);
  /// General contraction, see graph.contract.
  mlir::Value contract(mlir::Value lhs, mlir::Value rhs, llvm::ArrayRef<int64_t> lhsBatch,
                       llvm::ArrayRef<int64_t> rhsBatch, llvm::ArrayRef<int64_t> lhsContract,
                       llvm::ArrayRef<int64_t> rhsContract) {
    return make<ContractOp>(lhs, rhs, lhsBatch, rhsBatch, lhsContract, rhsContract);
  }
  /// The same with a result of another element type: the operands' or that of their sums.
  mlir::Value contract(mlir::Value lhs, mlir::Value rhs, llvm::ArrayRef<int64_t> lhsBatch,
                       llvm::ArrayRef<int64_t> rhsBatch, llvm::ArrayRef<int64_t> lhsContract,
                       llvm::ArrayRef<int64_t> rhsContract, mlir::Type element);
  /// The same with its sums as they are.
  mlir::Value contractWide(mlir::Value lhs, mlir::Value rhs, llvm::ArrayRef<int64_t> lhsBatch,
                           llvm::ArrayRef<int64_t> rhsBatch, llvm::ArrayRef<int64_t> lhsContract,
                           llvm::ArrayRef<int64_t> rhsContract) {
    return contract(lhs, rhs, lhsBatch, rhsBatch, lhsContract, rhsContract,
                    accumulationType(tensorType(lhs).getElementType()));
  }
  /// Windows [batch, group, channel, position…, k…] over x [batch, channel, …]; one group is no
  /// dimension.
  mlir::Value groupWindows(mlir::Value x, llvm::ArrayRef<int64_t> sizes,
                           llvm::ArrayRef<int64_t> strides, llvm::ArrayRef<int64_t> dilations,
                           int64_t groups) {
    mlir::Value split = splitGroups(x, 1, groups);
    return window(split, groups == 1 ? 2 : 3, sizes, strides, dilations);
  }
  /// graph.convolution without padding.
  mlir::Value convolve(mlir::Value x, mlir::Value weight, llvm::ArrayRef<int64_t> strides,
                       llvm::ArrayRef<int64_t> dilations, int64_t groups);
  /// The dimension `dimension` as two: `groups`, and what is left of it; as it is for one group.
  mlir::Value splitGroups(mlir::Value x, int64_t dimension, int64_t groups);
  mlir::Value gather(mlir::Value x, mlir::Value indices, int64_t dimension);
  mlir::Value scatterAdd(mlir::Value base, mlir::Value indices, mlir::Value updates,
                         int64_t dimension);

  mlir::OpBuilder &builder;
  mlir::Location location;

private:
  /// A convolution in which every channel has a kernel of its own.
  mlir::Value convolveChannels(mlir::Value x, mlir::Value weight, llvm::ArrayRef<int64_t> strides,
                               llvm::ArrayRef<int64_t> dilations);
};

} // namespace ingot::graph
