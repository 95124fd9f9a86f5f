#include "codegen/kernel/Cost.h"
#include "ir/dialect/Graph.h"
#include "passes/kernels/OpModel.h"
#include "passes/schedule/KernelDialect.h"

using namespace mlir;

namespace ingot {
namespace {

double operationsOf(Operation &op, const TargetCosts &costs) {
  if (isa<linalg::IndexOp, linalg::YieldOp>(op))
    return 0;
  graph::PointCost cost = costOf(op);
  return cost.operations + cost.functions * costs.function + cost.divisions * costs.division;
}

double bytesRead(BlockArgument operand) {
  auto whole = double(kernel::memoryBytes(operand.getType())), gathered = 0.0;
  for (Operation *user : operand.getUsers()) {
    auto gather = dyn_cast<graph::GatherOp>(user);
    if (!gather || gather.getIndices() == operand)
      return whole;
    gathered += double(kernel::memoryBytes(gather.getType()));
  }
  return std::min(whole, gathered);
}

} // namespace

double operationsPerPoint(linalg::LinalgOp op, const TargetCosts &costs) {
  double sum = 0;
  for (Operation &inner : *op.getBlock())
    sum += operationsOf(inner, costs);
  return sum;
}

double operationsOf(func::FuncOp kernel, const TargetCosts &costs) {
  double sum = 0;
  kernel.walk([&](linalg::LinalgOp op) {
    double points = 1;
    for (int64_t range : op.getStaticLoopRanges())
      points *= double(range);
    sum += points * operationsPerPoint(op, costs);
  });
  return sum;
}

double bytesOf(func::FuncOp kernel) {
  double sum = 0;
  for (BlockArgument operand : kernel.getArguments())
    sum += bytesRead(operand);
  for (Type type : kernel.getResultTypes())
    sum += double(kernel::memoryBytes(type));
  return sum;
}

} // namespace ingot
