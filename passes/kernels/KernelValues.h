/// Which values are stored between kernels and which each kernel recomputes for itself.
#pragma once
#include "passes/kernels/KernelGroups.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"

namespace ingot {

/// A value that another kernel needs is stored, or the other kernel recomputes it from what is
/// stored. The choice that moves the fewest bytes is a minimum cut of each group between what it
/// cannot avoid to compute and what others need (as for activations in Zheng et al. 2022,
/// AOTAutograd's partitioner).
class KernelValues {
public:
  KernelValues(const KernelGroups &groups, mlir::Block &block);

  /// Values of the group that its kernel returns, in program order.
  std::vector<mlir::Value> results(unsigned group) const;
  /// Ops of the group's kernel, its own and repeated ones, in program order; none if no one needs
  /// the group.
  std::vector<mlir::Operation *> body(unsigned group) const;

private:
  using Ops = llvm::SetVector<mlir::Operation *>;

  bool isMoved(mlir::Value source) const;
  bool isCopied(mlir::OpOperand &operand) const;
  void need(unsigned group, mlir::Value value, OperandUse use);
  void needOperands(unsigned group, mlir::Operation *op);
  void decide(unsigned group);
  void cut(unsigned group, llvm::ArrayRef<mlir::Value> demanded);
  void keepOwn(unsigned group);
  void repeat(unsigned group, mlir::Value value);

  const KernelGroups &groups;
  using Readers = llvm::SmallSetVector<unsigned, 4>;
  llvm::MapVector<mlir::Value, Readers> demands; ///< value → its readers
  llvm::DenseMap<mlir::Value, Readers> factors;  ///< those of them that pack it
  llvm::DenseSet<mlir::Value> forced;            ///< must be stored
  llvm::DenseSet<mlir::Value> stored;
  std::vector<Ops> own, repeated; ///< by group
};

} // namespace ingot
