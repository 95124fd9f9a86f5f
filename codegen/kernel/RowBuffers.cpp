#include "codegen/kernel/RowBuffers.h"
#include "codegen/kernel/Cost.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace ingot {
namespace {

bool isReduction(Operation *op) {
  auto structured = dyn_cast<linalg::LinalgOp>(op);
  return structured && structured.getNumReductionLoops();
}

class BufferPlanner {
public:
  BufferPlanner(ArrayRef<RowStage> stages, int64_t rows, const TargetCosts &costs)
      : stages(stages), rows(rows), costs(costs) {}

  std::vector<RowBuffer> plan() {
    for (size_t stage = 0; stage + 1 < stages.size(); ++stage)
      planStage(stage);
    return std::move(buffers);
  }

private:
  using Cone = llvm::SetVector<Value>;

  bool spansRow(Value tensor, int64_t size) {
    auto type = dyn_cast<RankedTensorType>(tensor.getType());
    return type && size > 1 && type.getNumElements() == rows * size;
  }

  /// Everything that is computed on the way to `tensor`, up to arguments, reductions and buffers.
  void collect(Value tensor, Cone &cone) {
    Operation *op = tensor.getDefiningOp();
    if (!op || isReduction(op) || kept.contains(tensor) || !cone.insert(tensor))
      return;
    for (Value operand : op->getOperands())
      collect(operand, cone);
  }
  Cone coneOf(ArrayRef<Value> roots) {
    Cone cone;
    for (Value root : roots)
      collect(root, cone);
    return cone;
  }

  double costOf(Value tensor, int64_t size) {
    double cost = 0;
    llvm::DenseSet<Operation *> counted;
    for (Value value : coneOf(tensor))
      if (auto op = value.getDefiningOp<linalg::LinalgOp>(); op && counted.insert(op).second)
        if (spansRow(value, size))
          cost += operationsPerPoint(op, costs);
    return cost;
  }

  /// Buffers what this stage computes and a later one needs, where nothing expensive is computed
  /// from it that is buffered instead.
  void planStage(size_t stage) {
    int64_t size = stages[stage].size;
    Cone now = coneOf(stages[stage].roots), later;
    llvm::DenseSet<Value> laterRoots;
    for (const RowStage &next : stages.drop_front(stage + 1)) {
      for (Value value : coneOf(next.roots))
        later.insert(value);
      laterRoots.insert(next.roots.begin(), next.roots.end());
    }
    Cone candidates;
    for (Value value : now)
      if (later.contains(value) && spansRow(value, size) &&
          value.getDefiningOp<linalg::LinalgOp>() && costOf(value, size) >= costs.worthKeepingInRow)
        candidates.insert(value);
    for (Value value : candidates) {
      bool outermost = laterRoots.contains(value);
      for (Operation *user : value.getUsers())
        outermost |= llvm::any_of(user->getResults(), [&](Value result) {
          return later.contains(result) && !candidates.contains(result);
        });
      auto type = cast<RankedTensorType>(value.getType());
      if (outermost && size * type.getElementTypeBitWidth() / 8 <= costs.scratchBytes) {
        kept.insert(value);
        buffers.push_back({value, {}, int(stage), size});
      }
    }
  }

  ArrayRef<RowStage> stages;
  int64_t rows;
  const TargetCosts &costs;
  llvm::DenseSet<Value> kept;
  std::vector<RowBuffer> buffers;
};

} // namespace

std::vector<RowBuffer> planRowBuffers(ArrayRef<RowStage> stages, int64_t rows,
                                      const TargetCosts &costs) {
  return BufferPlanner(stages, rows, costs).plan();
}

} // namespace ingot
