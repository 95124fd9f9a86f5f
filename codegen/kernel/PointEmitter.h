/// Emits the value of a kernel's tensors at a point: loads, and the producers in between, inlined.
#pragma once
#include "codegen/kernel/PointIndex.h"
#include "codegen/kernel/PointMemory.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/DenseMap.h"
#include <functional>
#include <map>
#include <vector>

namespace ingot {

/// The element type that memory holds: signless integers, one byte for i1, i4 and ui4.
mlir::Type storageType(mlir::Type element);
/// The element type that code computes with: signless integers.
mlir::Type valueType(mlir::Type element);

/// Code for single points of the tensors of a kernel body (stage `kernels`).
///
/// A point is one index per dimension. Where an index changes from lane to lane, the value is a
/// vector of `lanes` elements; where all are uniform it is a scalar. Producers are inlined
/// recursively; a value asked twice in one scope is emitted once. Views cost index arithmetic
/// alone. Without a mask all lanes must be inside the tensors.
///
/// The emitter never chooses arithmetic: it copies the ops of the kernel's body. How many lanes
/// there are, how memory is read and written and which integers index it is up to the target.
class PointEmitter {
public:
  using Indices = llvm::ArrayRef<PointIndex>;
  /// Gives the value at a point instead of the tensor's own definition; a null result declines.
  using Binding = std::function<mlir::Value(Indices indices, mlir::Value mask)>;
  /// One load that was emitted: which buffer, and the position in row-major order.
  struct Access {
    mlir::Value buffer;
    PointIndex position;
  };

  PointEmitter(mlir::OpBuilder &builder, PointMemory &memory, int64_t lanes)
      : builder(builder), memory(memory), laneCount(lanes) {}

  /// Values of `tensor` are loaded from `buffer`, which holds it in row-major order.
  void mapToMemory(mlir::Value tensor, mlir::Value buffer) { buffers[tensor] = buffer; }
  /// Overrides a tensor of the kernel body, as for a contraction's accumulators.
  void bind(mlir::Value tensor, Binding binding) { bindings[tensor] = std::move(binding); }
  void unbind(mlir::Value tensor) { bindings.erase(tensor); }

  /// The value at a point: a vector, or a scalar where it is the same in all lanes.
  mlir::Value at(mlir::Value tensor, Indices indices, mlir::Value mask = {});
  /// Stores what `at` gave at a position of the buffer in row-major order; `element` is the
  /// tensor's element type.
  void store(mlir::Value value, mlir::Value buffer, const PointIndex &position, mlir::Value mask,
             mlir::Type element);
  /// Loads from a buffer of tensors' elements of type `element`.
  mlir::Value load(mlir::Value buffer, mlir::Type element, const PointIndex &position,
                   mlir::Value mask);

  /// An index that a tensor holds as one in [0, last] of the target's type, in one lane or in all.
  mlir::Value clampedIndex(mlir::Location location, mlir::Value index, int64_t last);
  /// Splits a position in row-major order into one index per dimension.
  llvm::SmallVector<PointIndex> split(PointIndex position, llvm::ArrayRef<int64_t> shape);
  /// Broadcasts a scalar to all lanes; vectors pass.
  mlir::Value vectorised(mlir::Value value);
  /// Copies an op of a linalg region onto these operands: as vectors if any of them is one.
  llvm::SmallVector<mlir::Value> apply(mlir::Operation *op, llvm::ArrayRef<mlir::Value> operands);
  /// The values of a structured op's block arguments at an iteration point; null where unused, and
  /// for the accumulators of a reduction.
  llvm::SmallVector<mlir::Value> arguments(mlir::linalg::LinalgOp op, Indices iteration,
                                           mlir::Value mask);
  /// Inlines a structured op's region; gives what it yields.
  llvm::SmallVector<mlir::Value> inlineRegion(mlir::linalg::LinalgOp op, Indices iteration,
                                              llvm::ArrayRef<mlir::Value> arguments);

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

private:
  /// Whether a point is in a range: known now, a scalar i1, or a vector of them.
  struct Condition {
    bool known = true; ///< counts if `value` is null
    mlir::Value value;
  };
  using Branch = llvm::function_ref<mlir::Value(mlir::Value mask)>;

  mlir::Value evaluate(mlir::Value tensor, Indices indices, mlir::Value mask);
  mlir::Value structured(mlir::linalg::LinalgOp op, unsigned result, Indices indices,
                         mlir::Value mask);
  llvm::SmallVector<mlir::Value>
  reduction(mlir::linalg::LinalgOp op, llvm::SmallVector<PointIndex> iteration, mlir::Value mask);
  mlir::Value loadSlowRun(mlir::Value buffer, mlir::Type stored, mlir::Value start,
                          int64_t lanesPerElement, mlir::Value mask);
  mlir::Value source(mlir::Operation *op, Indices indices, mlir::Value mask);
  mlir::Value slice(mlir::Operation *op, Indices indices, mlir::Value mask);
  mlir::Value pad(mlir::Operation *op, Indices indices, mlir::Value mask);
  mlir::Value concat(mlir::Operation *op, Indices indices, mlir::Value mask);
  mlir::Value gather(mlir::Operation *op, Indices indices, mlir::Value mask);
  mlir::Value constant(mlir::Location location, mlir::ElementsAttr values, Indices indices);
  /// A scalar defined at the top of the kernel body.
  mlir::Value scalar(mlir::Value value);

  std::pair<PointIndex, PointIndex> divide(const PointIndex &index, int64_t divisor);
  PointIndex evaluate(mlir::AffineExpr expression, Indices dimensions);
  Condition inRange(const PointIndex &index, int64_t low, int64_t high);
  PointIndex confine(const PointIndex &index, int64_t extent, bool perLane);
  mlir::Value choose(mlir::Location location, Condition condition, mlir::Type element, bool wide,
                     mlir::Value mask, Branch onTrue, Branch onFalse);
  bool isUniform(Indices indices) const;
  mlir::VectorType vectorOf(mlir::Type element) const;
  mlir::Type indexType() const { return memory.indexType(builder.getContext()); }
  /// Lane 0's value, or all lanes', in the target's index type.
  mlir::Value scalarIndex(const PointIndex &index);
  mlir::Value laneIndices(const PointIndex &index);
  /// The same as `index`, which ops of the kernel's body use.
  mlir::Value bodyIndex(const PointIndex &index);
  mlir::Value castIndex(mlir::Value value, mlir::Type element);
  mlir::Value number(mlir::Location location, mlir::Type type, int64_t value);
  mlir::Value fail(mlir::Location location, const llvm::Twine &why, mlir::Type element);
  std::vector<uintptr_t> key(mlir::Value tensor, Indices indices, mlir::Value mask) const;

  mlir::OpBuilder &builder;
  PointMemory &memory;
  int64_t laneCount;
  llvm::DenseMap<mlir::Value, mlir::Value> buffers;
  llvm::DenseMap<mlir::Value, Binding> bindings;
  std::map<std::vector<uintptr_t>, mlir::Value> known;
  std::vector<Access> loads;
  int64_t slow = 0;
  bool broken = false;
};

} // namespace ingot
