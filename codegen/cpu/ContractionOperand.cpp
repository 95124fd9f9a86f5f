#include "codegen/cpu/ContractionOperand.h"

using namespace mlir;

namespace ingot {

ContractionOperand::ContractionOperand(KernelBuilder &kernel, Code &code, Value tensor,
                                       ArrayRef<int64_t> batchDims, ArrayRef<int64_t> contractDims)
    : tensor(tensor), batchDims(batchDims), contractDims(contractDims) {
  const int64_t rank = cast<RankedTensorType>(tensor.getType()).getRank();
  for (int64_t d = 0; d < rank; ++d)
    if (!llvm::is_contained(batchDims, d) && !llvm::is_contained(contractDims, d))
      freeDims.push_back(d);
  view = viewOfOperand(tensor);
  if (!view)
    return;
  buffer = code.flat(kernel.operandMemory(view->memory));
  batch = view->group(batchDims);
  free = view->group(freeDims);
  contract = view->group(contractDims);
}

SmallVector<int64_t> ContractionOperand::sizes(ArrayRef<int64_t> dims) const {
  auto type = cast<RankedTensorType>(tensor.getType());
  return llvm::map_to_vector(dims, [&](int64_t d) { return type.getDimSize(d); });
}

} // namespace ingot
