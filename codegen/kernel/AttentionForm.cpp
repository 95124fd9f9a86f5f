#include "codegen/kernel/AttentionForm.h"

using namespace mlir;

namespace ingot {

AttentionForm::AttentionForm(Value query, Value key, Value value) {
  auto queryType = cast<RankedTensorType>(query.getType());
  extents.pairs = queryType.getDimSize(0) * queryType.getDimSize(1);
  extents.heads = std::max<int64_t>(1, queryType.getDimSize(1));
  if (int64_t keyHeads = cast<RankedTensorType>(key.getType()).getDimSize(1))
    extents.group = std::max<int64_t>(1, queryType.getDimSize(1) / keyHeads);
  extents.queryCount = queryType.getDimSize(2);
  extents.keyCount = cast<RankedTensorType>(key.getType()).getDimSize(2);
  extents.head = queryType.getDimSize(3);
  extents.valueHead = cast<RankedTensorType>(value.getType()).getDimSize(3);
  sumType = queryType.getElementTypeBitWidth() < 32 ? Float32Type::get(query.getContext())
                                                    : queryType.getElementType();
}

template <typename Op> static Op onlyOne(func::FuncOp kernel) {
  auto ops = llvm::to_vector(kernel.getOps<Op>());
  if (ops.size() == 1)
    return ops.front();
  kernel.emitError("a kernel of this root holds one ")
      << Op::getOperationName() << ", this one " << ops.size();
  return {};
}

graph::AttentionOp attentionOf(func::FuncOp kernel) { return onlyOne<graph::AttentionOp>(kernel); }

graph::AttentionBackwardOp attentionBackwardOf(func::FuncOp kernel) {
  return onlyOne<graph::AttentionBackwardOp>(kernel);
}

std::optional<SmallVector<KernelView>> resultViews(Operation *root, unsigned result) {
  std::optional<SmallVector<KernelView>> views = viewsOfResult(root->getResult(result));
  if (!views)
    root->emitError("result ") << result
                               << " of attention is used by more than reshapes, permutations and "
                                  "concatenations inside its kernel";
  return views;
}

} // namespace ingot
