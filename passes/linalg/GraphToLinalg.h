/// Parts of the pass graph-to-linalg, which form-kernels uses for updates on flat buckets too.
#pragma once
#include "ir/dialect/Graph.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseSet.h"

namespace ingot {

/// Decomposes composites that have no kernel of their own, and brings reshapes, transposes and sums
/// of padded pieces into the forms that fuse (GraphToLinalgPrepare.cpp).
llvm::LogicalResult prepareForLinalg(mlir::func::FuncOp function);

/// Gives loops and dynamic slices the form in which they are compiled (PrepareLoops.cpp).
llvm::LogicalResult prepareLoops(mlir::func::FuncOp function);

/// Replaces graph ops by linalg and tensor ops, but for the named roots. A failure has reported a
/// located diagnostic.
llvm::LogicalResult convertToLinalg(mlir::func::FuncOp function);

/// Folds copies (broadcasts, transposes), counters and splat constants into their consumers'
/// indexing maps and regions.
llvm::LogicalResult foldCopies(mlir::func::FuncOp function);

/// True for a linalg op that only moves elements: an all-parallel generic that yields its one
/// input.
bool isCopy(mlir::Operation *op);

/// True for a result of a root that stores it in the form that a move gives it (attention).
bool isStoredMoved(mlir::Value value);

/// One element of an elementwise graph op from one element of each operand. `isUnsigned` is about
/// the operands, `resultUnsigned` about the result; both types are signless here. Null where the op
/// is not elementwise.
mlir::Value emitScalar(mlir::OpBuilder &builder, mlir::Operation *op, mlir::ValueRange operands,
                       mlir::Type result, bool isUnsigned, bool resultUnsigned);

/// Marks float ops below `op` with what `contractArithmetic` may do to them.
void setFastMath(mlir::Operation *op);

} // namespace ingot
