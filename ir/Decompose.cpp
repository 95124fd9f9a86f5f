/// The definition of each composite in smaller graph ops: the only one.
#include "ir/Graph.h"
#include "mlir/IR/Builders.h"

using namespace mlir;

namespace ingot::graph {

#define NO_DECOMPOSITION(op) SmallVector<Value> op::decompose(OpBuilder &) { return {}; }
NO_DECOMPOSITION(GeluOp)
NO_DECOMPOSITION(SoftmaxOp)
NO_DECOMPOSITION(LayerNormOp)
NO_DECOMPOSITION(LinearOp)
NO_DECOMPOSITION(EmbeddingOp)
NO_DECOMPOSITION(AttentionOp)
NO_DECOMPOSITION(AttentionBackwardOp)
NO_DECOMPOSITION(CrossEntropyOp)
NO_DECOMPOSITION(MseOp)
NO_DECOMPOSITION(AdamWOp)
NO_DECOMPOSITION(SgdOp)
#undef NO_DECOMPOSITION

} // namespace ingot::graph
