/// Emits the value of a kernel's tensors at a point: loads, and the producers in between, inlined.
#pragma once
#include "passes/PointIndex.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/DenseMap.h"
#include <functional>
#include <map>
#include <vector>

namespace ingot {

/// The element type that memory holds: signless integers, one byte for i1, i4 and ui4.
mlir::Type storageType(mlir::Type element);

/// Code for single points of the tensors of a kernel body (stage `kernels`).
///
/// A point is one index per dimension. Where an index is consecutive, the value is a vector of
/// `lanes` elements; where all are uniform it is a scalar (`vectorised` broadcasts it). Producers are
/// inlined recursively; a value asked twice in one scope is emitted once. Views cost index
/// arithmetic only. Without a mask all lanes lie inside the tensors.
class PointEmitter {
public:
  /// Gives the value at a point instead of the tensor's own definition; a null result declines.
  using Binding = std::function<mlir::Value(llvm::ArrayRef<PointIndex> indices, mlir::Value mask)>;
  /// One load that was emitted: which memref, and the position in row-major order.
  struct Access {
    mlir::Value memref;
    PointIndex position;
  };

  PointEmitter(mlir::OpBuilder &builder, int64_t lanes = 16) : builder(builder), laneCount(lanes) {}

  /// Values of `tensor` are loaded from `memref` (same shape, storage type, contiguous).
  void mapToMemory(mlir::Value tensor, mlir::Value memref) { memory[tensor] = memref; }
  /// Overrides a tensor of the kernel body, as for a contraction's accumulators.
  void bind(mlir::Value tensor, Binding binding) { bindings[tensor] = std::move(binding); }
  void unbind(mlir::Value tensor) { bindings.erase(tensor); }

  /// The value at a point, for indices that are all scalars of type `index`: the innermost one stands
  /// for `lanes` consecutive elements and must be a multiple of `lanes`. Always a vector (a scalar
  /// if lanes = 1). Tails need `mask`, a vector<lanes x i1>.
  mlir::Value at(mlir::Value tensor, llvm::ArrayRef<mlir::Value> indices, mlir::Value mask = {});
  /// The value at a point: a vector, or a scalar where it is the same in all lanes.
  mlir::Value at(mlir::Value tensor, llvm::ArrayRef<PointIndex> indices, mlir::Value mask = {});
  /// Stores what `at` gave to a contiguous memref at the same kind of point.
  void store(mlir::Value value, mlir::Value memref, llvm::ArrayRef<mlir::Value> indices,
             mlir::Value mask = {});
  void store(mlir::Value value, mlir::Value memref, const PointIndex &position, mlir::Value mask = {});

  /// Splits a position in row-major order into one index per dimension.
  llvm::SmallVector<PointIndex> split(const PointIndex &position, llvm::ArrayRef<int64_t> shape);
  /// The point that the `at` over scalars means.
  llvm::SmallVector<PointIndex> point(mlir::Value shaped, llvm::ArrayRef<mlir::Value> indices);
  /// Broadcasts a scalar to all lanes; vectors pass.
  mlir::Value vectorised(mlir::Value value);
  /// Copies one arith or math op onto these operands: as vectors if any of them is one.
  mlir::Value apply(mlir::Operation *op, llvm::ArrayRef<mlir::Value> operands);

  /// Values emitted in a scope are reused inside it alone: open one per block of code.
  class Scope {
  public:
    explicit Scope(PointEmitter &emitter) : emitter(emitter), known(emitter.known) {}
    ~Scope() { emitter.known = std::move(known); }
    Scope(const Scope &) = delete;

  private:
    PointEmitter &emitter;
    std::map<std::vector<uintptr_t>, mlir::Value> known;
  };

  /// False once something could not be emitted; the diagnostic is out then.
  bool ok() const { return !broken; }
  int64_t lanes() const { return laneCount; }
  mlir::OpBuilder &ops() { return builder; }
  /// Every load emitted so far, in order.
  const std::vector<Access> &accesses() const { return loads; }
  /// Loads that became lane-wise gathers, and index divisions left in the code.
  int64_t slowAccesses() const { return slow; }
  /// The region arguments' values at an iteration point, by which reductions use a body.
  llvm::SmallVector<mlir::Value> inputs(mlir::linalg::LinalgOp op, llvm::ArrayRef<PointIndex> iteration,
                                        mlir::Value mask);

private:
  friend class RegionInliner;
  using Known = std::map<std::vector<uintptr_t>, mlir::Value>;
  using Indices = llvm::ArrayRef<PointIndex>;

  mlir::Value evaluate(mlir::Value tensor, Indices indices, mlir::Value mask);
  mlir::Value evaluateStructured(mlir::linalg::LinalgOp op, unsigned result, Indices indices, mlir::Value mask);
  mlir::Value load(mlir::Value memref, mlir::Type element, const PointIndex &position, mlir::Value mask);
  mlir::Value fail(mlir::Operation *op, const char *why, mlir::Type element);

  mlir::OpBuilder &builder;
  int64_t laneCount;
  llvm::DenseMap<mlir::Value, mlir::Value> memory, flat;
  llvm::DenseMap<mlir::Value, Binding> bindings;
  Known known;
  std::vector<Access> loads;
  int64_t slow = 0;
  bool broken = false;
};

} // namespace ingot
