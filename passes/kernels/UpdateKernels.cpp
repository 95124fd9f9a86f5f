/// Updates on flat storage.
#include "ir/dialect/Graph.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/kernels/OutlineKernels.h"
#include "passes/linalg/ContractArithmetic.h"
#include "passes/linalg/GraphToLinalg.h"

using namespace mlir;

namespace ingot {

func::FuncOp buildUpdateKernel(graph::UpdateOp update, int64_t elements) {
  OpBuilder builder(update->getContext());
  Location location = update->getLoc();
  auto flat = [&](ValueRange group) -> Type {
    return cast<RankedTensorType>(group.front().getType()).clone({elements});
  };
  SmallVector<Type> inputs = llvm::map_to_vector(update.getOperandGroups(), flat);
  SmallVector<Type> outputs = llvm::map_to_vector(update.getResultGroups(), flat);
  const size_t tensors = inputs.size();
  llvm::append_range(inputs, update.getScalars().getTypes());
  auto kernel = func::FuncOp::create(location, "update", builder.getFunctionType(inputs, outputs));
  builder.setInsertionPointToStart(kernel.addEntryBlock());
  ValueRange arguments(kernel.getArguments());
  auto op = graph::UpdateOp::create(builder, location, outputs, arguments.slice(0, 1),
                                    arguments.slice(1, 1), arguments.slice(2, tensors - 2),
                                    arguments.drop_front(tensors));
  IRMapping mapping;
  update.getFormula().cloneInto(&op.getFormula(), mapping);
  SmallVector<Value> results = op.decompose(builder);
  op.erase();
  func::ReturnOp::create(builder, location, results);
  if (failed(convertToLinalg(kernel)) || failed(foldCopies(kernel))) {
    kernel.erase();
    return {};
  }
  contractArithmetic(kernel);
  return kernel;
}

} // namespace ingot
