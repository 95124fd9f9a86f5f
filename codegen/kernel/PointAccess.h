/// Which elements of a kernel's operands a point of its tensors needs: what PointEmitter loads
/// there, found from indexing maps and views alone, without a line of code.
#pragma once
#include "codegen/kernel/PointIndex.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/DenseMap.h"
#include <functional>
#include <map>
#include <vector>

namespace ingot {

/// Walks the body of a kernel (stage `kernels`) as PointEmitter does: producers, views, joins,
/// gathers and reductions at the point. Loop variables are symbols that stand for themselves.
/// A construct that has no value at a point is a located error.
class PointAccess {
public:
  using Indices = llvm::ArrayRef<PointIndex>;
  struct Load {
    unsigned operand;
    PointIndex position; ///< in row-major order
  };
  /// Says whether the value at a point differs from lane to lane; none: not known here.
  using Binding = std::function<std::optional<bool>(Indices)>;

  explicit PointAccess(mlir::func::FuncOp kernel, int64_t lanes = 16);

  /// A loop variable in [0, extent); one of extent 1 is 0.
  PointIndex uniform(int64_t extent);
  /// The lanes of a block; `aligned`: it starts at a multiple of their number.
  PointIndex consecutive(int64_t extent, bool aligned = true);

  /// Values of a tensor that are at hand instead of being computed from operands.
  void bind(mlir::Value tensor, Binding binding) { bindings[tensor] = std::move(binding); }

  /// Notes what the value at a point needs. True if it differs from lane to lane.
  bool at(mlir::Value tensor, Indices indices);
  /// The block arguments of a structured op at an iteration point, which may be a reduction's.
  void region(mlir::linalg::LinalgOp op, Indices iteration);
  llvm::SmallVector<PointIndex> split(PointIndex position, llvm::ArrayRef<int64_t> shape);

  const std::vector<Load> &loads() const { return found; }
  /// Loads out of order, and divisions by which an index is computed.
  int64_t slowAccesses() const { return slow; }
  /// False once something has no value at a point; the diagnostic is out then.
  bool ok() const { return !broken; }
  int64_t lanes() const { return laneCount; }

private:
  bool evaluate(mlir::Value tensor, Indices indices);
  bool structured(mlir::linalg::LinalgOp op, unsigned result, Indices indices);
  bool reduction(mlir::linalg::LinalgOp op, llvm::SmallVector<PointIndex> iteration);
  llvm::SmallVector<bool> arguments(mlir::linalg::LinalgOp op, Indices iteration);
  llvm::SmallVector<bool> inlineRegion(mlir::linalg::LinalgOp op, Indices iteration,
                                       llvm::ArrayRef<bool> arguments);
  bool source(mlir::Operation *op, Indices indices);
  bool pad(mlir::Operation *op, Indices indices);
  bool concat(mlir::Operation *op, Indices indices);
  bool gather(mlir::Operation *op, Indices indices);
  bool constant(mlir::Location location, mlir::ElementsAttr values, Indices indices);
  void scalar(mlir::Value value);
  PointIndex scalarIndex(mlir::Value value, int64_t extent);
  bool load(unsigned operand, const PointIndex &position);

  /// Whether a point lies in a range: known now, known for all lanes at once, or lane by lane.
  enum class Test { Never, Always, Together, PerLane };
  Test inRange(const PointIndex &index, int64_t low, int64_t high) const;
  bool choose(Test test, bool wide, llvm::function_ref<bool()> onTrue,
              llvm::function_ref<bool()> onFalse);
  PointIndex confine(const PointIndex &index, int64_t extent, bool perLane);

  std::pair<PointIndex, PointIndex> divide(const PointIndex &index, int64_t divisor);
  PointIndex evaluate(mlir::AffineExpr expression, Indices dimensions);
  bool isUniform(Indices indices) const;
  mlir::Value symbol() { return symbols.addArgument(indexType, location); }
  bool fail(mlir::Location where, const llvm::Twine &why);
  std::vector<uintptr_t> key(mlir::Value tensor, Indices indices) const;

  mlir::Type indexType;
  mlir::Location location;
  int64_t laneCount;
  mlir::Block symbols; ///< its arguments are the loop variables
  llvm::DenseMap<mlir::Value, unsigned> operands;
  llvm::DenseMap<mlir::Value, Binding> bindings;
  llvm::DenseMap<mlir::Value, PointIndex> scalars;
  std::map<std::vector<uintptr_t>, bool> known; ///< is it wide?
  uintptr_t mask = 0, masks = 0;                ///< the lanes that count now, by number
  std::vector<Load> found;
  int64_t slow = 0;
  bool broken = false;
};

} // namespace ingot
