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

#include "ir/GraphDialect.h.inc"
#include "ir/GraphEnums.h.inc"

#define GET_TYPEDEF_CLASSES
#include "ir/GraphTypes.h.inc"

#define GET_ATTRDEF_CLASSES
#include "ir/GraphAttributes.h.inc"

#include "ir/GraphInterfaces.h.inc"

#define GET_OP_CLASSES
#include "ir/Graph.h.inc"
