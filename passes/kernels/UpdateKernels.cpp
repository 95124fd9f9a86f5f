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
  ArrayRef<Type> updated = outputs, rounded;
  if (!update.getRounded().empty()) {
    rounded = updated.take_back();
    updated = updated.drop_back();
  }
  const size_t tensors = inputs.size(), states = update.getStateCount();
  const Type beyond = update.getBeyond() ? update.getBeyond().getType() : Type();
  llvm::append_range(inputs, update.getScalars().getTypes());
  SmallVector<Type> results = outputs;
  if (beyond)
    results.push_back(beyond);
  auto kernel = func::FuncOp::create(location, "update", builder.getFunctionType(inputs, results));
  builder.setInsertionPointToStart(kernel.addEntryBlock());
  ValueRange arguments(kernel.getArguments());
  auto op = graph::UpdateOp::create(builder, location, updated, rounded, beyond,
                                    arguments.slice(0, 1), arguments.slice(1, tensors - states - 1),
                                    arguments.slice(tensors - states, states),
                                    arguments.drop_front(tensors), update.getLimitAttr());
  IRMapping mapping;
  update.getFormula().cloneInto(&op.getFormula(), mapping);
  SmallVector<Value> values = op.decompose(builder);
  op.erase();
  func::ReturnOp::create(builder, location, values);
  if (failed(convertToLinalg(kernel)) || failed(foldCopies(kernel))) {
    kernel.erase();
    return {};
  }
  contractArithmetic(kernel);
  return kernel;
}

} // namespace ingot
