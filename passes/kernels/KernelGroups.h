/// Which ops become one kernel. README.md tells the rules with examples.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/kernels/OpModel.h"
#include "passes/kernels/OrderedGraph.h"
#include "passes/options/TargetCosts.h"
#include "llvm/ADT/DenseMap.h"
#include <vector>

namespace ingot {

/// Ops that share one iteration space.
struct KernelGroup {
  KernelRoot root;
  /// Extents of the iteration space; for row kernels the reduced dimensions are the last ones, for
  /// column kernels the first ones (columns of other widths may join: the first one's count).
  llvm::SmallVector<int64_t> domain;
  int64_t reduced = 0;                    ///< how many dimensions are reduced
  std::vector<mlir::Operation *> ops;     ///< in program order
  llvm::DenseSet<mlir::Value> reads = {}; ///< operands of the ops
  Epilogue epilogue = Epilogue::Points;   ///< what may join
};

/// Every op of a block but views and sources has one group, its home. Groups are acyclic: each
/// can run as a whole after the groups it reads from.
class KernelGroups {
public:
  /// Without `fuse`, every op gets a group of its own.
  explicit KernelGroups(const TargetCosts &costs, bool fuse = true) : costs(costs), fuse(fuse) {}

  /// A failure has reported the op that fits no kernel.
  llvm::LogicalResult form(mlir::Block &block);
  bool areFused() const { return fuse; }
  const TargetCosts &targetCosts() const { return costs; }

  std::vector<KernelGroup> groups; ///< those without ops were merged into others
  /// The group that computes `value`, looking through views; none for arguments and sources.
  std::optional<unsigned> home(mlir::Value value) const;
  /// Position of an op in the block before kernels were formed.
  unsigned position(mlir::Operation *op) const { return positions.lookup(op); }
  /// Groups with ops, each after those it reads from, otherwise in the order of their first op.
  std::vector<unsigned> order() const;

private:
  llvm::LogicalResult place(mlir::Operation *op);
  void placePoint(mlir::Operation *op);
  void placeReduction(mlir::linalg::GenericOp op);
  unsigned open(KernelForm form, llvm::ArrayRef<int64_t> domain, int64_t reduced,
                mlir::Operation *op);
  void add(unsigned group, mlir::Operation *op);
  void merge(unsigned into, unsigned from);
  llvm::SmallVector<unsigned> operandGroups(mlir::Operation *op, bool waits) const;

  std::optional<unsigned> latestTaker(llvm::ArrayRef<unsigned> operands, mlir::Operation *op) const;
  std::optional<unsigned> scalarTaker(mlir::Operation *op) const;
  bool canAdd(unsigned group, mlir::Operation *op) const;
  bool fits(unsigned group, mlir::Operation *op) const;
  bool fitsDomain(const KernelGroup &group, unsigned index, mlir::linalg::GenericOp op) const;
  bool fitsMoves(unsigned group, mlir::Operation *op) const;
  bool haveSameDomain(unsigned a, unsigned b) const;
  bool canMerge(unsigned a, unsigned b) const;

  bool isFull(unsigned group, size_t more = 1) const;

  const TargetCosts costs;
  bool fuse;
  OrderedGraph needs; ///< which group needs which
  llvm::DenseMap<mlir::Operation *, unsigned> homes, positions;
  /// By sum over several tensors: the row groups that were opened for its shares.
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<unsigned>> sharesOf;
  llvm::SmallVector<unsigned> scalars; ///< elementwise groups on one element
};

} // namespace ingot
