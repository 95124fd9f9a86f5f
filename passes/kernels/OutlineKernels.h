/// Kernels as functions of the module.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "passes/kernels/BlockKernels.h"
#include "passes/kernels/KernelCache.h"
#include <cstdint>
#include <map>

namespace ingot {

/// Makes private functions of kernels. Kernels with the same body are one function, across all
/// functions of the module.
class KernelOutliner {
public:
  /// Kernels that `cache` knows are declared only.
  explicit KernelOutliner(mlir::ModuleOp module, KernelCache *cache = nullptr)
      : cache(cache), symbols(module) {}

  /// Replaces the body of `function` by calls of its kernels, views, bucket ops, loops and
  /// branches. Loops and branches begin and end with copies: of initial values, of what their
  /// blocks yield. The planner drops those calls where both tensors may be one.
  llvm::LogicalResult outline(mlir::func::FuncOp function, const BlockKernels &kernels);

private:
  friend class BlockOutliner;
  /// The kernel of earlier ops of this structure; else what `build` makes of these.
  mlir::func::FuncOp known(KernelCache::Structure structure,
                           llvm::function_ref<mlir::func::FuncOp()> build);
  static KernelCache::Kernel describe(mlir::func::FuncOp kernel);
  mlir::func::FuncOp declare(const KernelCache::Kernel &kernel);
  /// The one function with this body and root; `kernel` itself unless there is one already.
  mlir::func::FuncOp unique(mlir::func::FuncOp kernel, KernelRoot root, llvm::StringRef ops);

  /// The kernel that copies a tensor of this type.
  mlir::func::FuncOp copyKernel(mlir::RankedTensorType type, mlir::Location location);

  KernelCache *cache;
  mlir::SymbolTable symbols;
  llvm::DenseMap<mlir::Type, mlir::func::FuncOp> copies;
  using Kernels = std::map<KernelCache::Structure, mlir::func::FuncOp>;
  Kernels outlined; ///< by the structure of the ops they were made of
  Kernels kernels;  ///< by the structure of their functions: simplified, they may be equal
};

/// The names of the model's nodes in `locations`, each once, joined by commas.
std::string nodeNames(llvm::ArrayRef<mlir::Location> locations);

/// The body of an update kernel on flat storage: the decomposition of `update` on one tensor per
/// group. Null after a located diagnostic.
mlir::func::FuncOp buildUpdateKernel(graph::UpdateOp update, int64_t elements);

} // namespace ingot
