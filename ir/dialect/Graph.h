/// The graph dialect: see Graph.td and README.md.
#pragma once
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "ir/dialect/GraphDialect.h.inc"
#include "ir/dialect/GraphEnums.h.inc"
#include "ir/dialect/KernelOp.h"

#define GET_TYPEDEF_CLASSES
#include "ir/dialect/GraphTypes.h.inc"

#define GET_ATTRDEF_CLASSES
#include "ir/dialect/GraphAttributes.h.inc"

#include "ir/dialect/GraphInterfaces.h.inc"
#include "ir/dialect/KernelOpInterfaces.h.inc"

namespace ingot::graph {

/// Folds an op whose operands are all constants by computing it with the reference: small results
/// only (Fold.cpp), and never one that depends on a program's input.
llvm::LogicalResult foldThroughReference(mlir::Operation *op,
                                         llvm::ArrayRef<mlir::Attribute> operands,
                                         llvm::SmallVectorImpl<mlir::OpFoldResult> &results);

template <typename ConcreteOp>
class FoldsThroughReference : public mlir::OpTrait::TraitBase<ConcreteOp, FoldsThroughReference> {
public:
  static llvm::LogicalResult foldTrait(mlir::Operation *op,
                                       llvm::ArrayRef<mlir::Attribute> operands,
                                       llvm::SmallVectorImpl<mlir::OpFoldResult> &results) {
    return foldThroughReference(op, operands, results);
  }
};

template <typename ConcreteOp>
class MovesElements : public mlir::OpTrait::TraitBase<ConcreteOp, MovesElements> {};

/// The type of graph.bucket's result for parts of these types.
llvm::FailureOr<mlir::RankedTensorType> bucketType(mlir::TypeRange parts,
                                                   std::optional<mlir::Location> location);

} // namespace ingot::graph

#define GET_OP_CLASSES
#include "ir/dialect/Graph.h.inc"
