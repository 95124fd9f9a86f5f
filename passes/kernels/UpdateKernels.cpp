/// Optimizer updates on flat storage.
#include "ir/dialect/Graph.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/kernels/OutlineKernels.h"
#include "passes/linalg/ContractArithmetic.h"
#include "passes/linalg/GraphToLinalg.h"

using namespace mlir;

namespace ingot {

SmallVector<ValueRange> updateOperandGroups(Operation *update) {
  if (auto adamw = dyn_cast<graph::AdamWOp>(update))
    return {adamw.getParameters(), adamw.getGradients(), adamw.getFirstMoments(),
            adamw.getSecondMoments()};
  auto sgd = cast<graph::SgdOp>(update);
  SmallVector<ValueRange> groups{sgd.getParameters(), sgd.getGradients()};
  if (!sgd.getMomenta().empty())
    groups.push_back(sgd.getMomenta());
  return groups;
}

SmallVector<ValueRange> updateResultGroups(Operation *update) {
  if (auto adamw = dyn_cast<graph::AdamWOp>(update))
    return {adamw.getNewParameters(), adamw.getNewFirstMoments(), adamw.getNewSecondMoments()};
  auto sgd = cast<graph::SgdOp>(update);
  SmallVector<ValueRange> groups{sgd.getNewParameters()};
  if (!sgd.getNewMomenta().empty())
    groups.push_back(sgd.getNewMomenta());
  return groups;
}

func::FuncOp buildUpdateKernel(Operation *update, int64_t elements) {
  OpBuilder builder(update->getContext());
  Location location = update->getLoc();
  SmallVector<Type> inputs, outputs;
  auto flat = [&](ValueRange group) -> Type {
    auto type = cast<RankedTensorType>(group.front().getType());
    return RankedTensorType::get({elements}, type.getElementType());
  };
  SmallVector<ValueRange> groups = updateOperandGroups(update);
  size_t tensors = 0;
  for (ValueRange group : groups) {
    inputs.push_back(flat(group));
    tensors += group.size();
  }
  for (Value scalar : update->getOperands().drop_front(tensors))
    inputs.push_back(scalar.getType());
  for (ValueRange group : updateResultGroups(update))
    outputs.push_back(flat(group));

  auto kernel = func::FuncOp::create(location, "update", builder.getFunctionType(inputs, outputs));
  builder.setInsertionPointToStart(kernel.addEntryBlock());
  auto argument = [&](size_t index) { return ValueRange(kernel.getArguments()).slice(index, 1); };
  size_t scalar = groups.size();
  SmallVector<Value> results;
  if (auto adamw = dyn_cast<graph::AdamWOp>(update)) {
    auto op = graph::AdamWOp::create(
        builder, location, outputs.front(), outputs[1], outputs[2], argument(0), argument(1),
        argument(2), argument(3), kernel.getArgument(scalar), kernel.getArgument(scalar + 1),
        kernel.getArgument(scalar + 2), kernel.getArgument(scalar + 3), adamw.getBeta1Attr(),
        adamw.getBeta2Attr(), adamw.getEpsilonAttr(), adamw.getWeightDecayAttr(),
        adamw.getSkipsAttr());
    results = op.decompose(builder);
    op.erase();
  } else {
    auto sgd = cast<graph::SgdOp>(update);
    bool hasMomentum = groups.size() == 3;
    auto op = graph::SgdOp::create(
        builder, location, outputs.front(), hasMomentum ? TypeRange(outputs[1]) : TypeRange(),
        argument(0), argument(1), hasMomentum ? argument(2) : ValueRange(),
        kernel.getArgument(scalar), kernel.getArgument(scalar + 1), sgd.getMomentumAttr(),
        sgd.getWeightDecayAttr(), sgd.getSkipsAttr());
    results = op.decompose(builder);
    op.erase();
  }
  func::ReturnOp::create(builder, location, results);
  if (failed(convertToLinalg(kernel)) || failed(foldCopies(kernel))) {
    kernel.erase();
    return {};
  }
  contractArithmetic(kernel);
  return kernel;
}

} // namespace ingot
