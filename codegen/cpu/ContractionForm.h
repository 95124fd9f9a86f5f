/// A contraction as a CPU's blocks see it.
#pragma once
#include "codegen/cpu/ContractionBlocks.h"
#include "codegen/kernel/ContractionOperand.h"

namespace ingot {

/// A contraction's operands and shape. Its first operand is the left one, unless it is packed: the
/// micro-kernel reads panels of the right operand alone.
struct ContractionForm {
  explicit ContractionForm(graph::ContractOp contract);

  ContractionOperand left, right;
  ContractionShape shape;
  mlir::Type sumType;
  bool keepRows = false; ///< panels of the left operand are rows that stay whole
};

} // namespace ingot
