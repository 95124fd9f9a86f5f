/// Folders and canonicalisation patterns.
#include "ir/Graph.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;

namespace ingot::graph {

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

#define NO_FOLD(op)                                                                                \
  OpFoldResult op::fold(FoldAdaptor) { return {}; }
NO_FOLD(NegOp)
NO_FOLD(AbsOp)
NO_FOLD(SignOp)
NO_FOLD(ExpOp)
NO_FOLD(LogOp)
NO_FOLD(SqrtOp)
NO_FOLD(RsqrtOp)
NO_FOLD(ReciprocalOp)
NO_FOLD(TanhOp)
NO_FOLD(ErfOp)
NO_FOLD(SinOp)
NO_FOLD(CosOp)
NO_FOLD(SigmoidOp)
NO_FOLD(FloorOp)
NO_FOLD(CeilOp)
NO_FOLD(ReluOp)
NO_FOLD(NotOp)
NO_FOLD(AddOp)
NO_FOLD(SubOp)
NO_FOLD(MulOp)
NO_FOLD(DivOp)
NO_FOLD(RemainderOp)
NO_FOLD(PowOp)
NO_FOLD(MaximumOp)
NO_FOLD(MinimumOp)
NO_FOLD(AndOp)
NO_FOLD(OrOp)
NO_FOLD(XorOp)
NO_FOLD(CompareOp)
NO_FOLD(SelectOp)
NO_FOLD(CastOp)
NO_FOLD(ReshapeOp)
NO_FOLD(TransposeOp)
NO_FOLD(BroadcastOp)
NO_FOLD(SliceOp)
NO_FOLD(ConcatOp)
#undef NO_FOLD

void AddOp::getCanonicalizationPatterns(RewritePatternSet &, MLIRContext *) {}

} // namespace ingot::graph
