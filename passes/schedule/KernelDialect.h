/// The kernel dialect: see Kernel.td.
#pragma once
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "runtime/program/Layout.h"

#include "passes/schedule/KernelDialect.h.inc"
#include "passes/schedule/KernelEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "passes/schedule/KernelAttributes.h.inc"

#define GET_OP_CLASSES
#include "passes/schedule/KernelOps.h.inc"

namespace ingot::kernel {

/// The schedule of a kernel; null if it has none.
ScheduleAttr scheduleOf(mlir::func::FuncOp function);
void setSchedule(mlir::func::FuncOp function, ScheduleAttr schedule);

/// True for kernels: functions that entry functions call.
bool isKernel(mlir::Operation *function);
/// The root of a kernel, `graph.kernel`; empty if it is none.
llvm::StringRef rootOf(mlir::Operation *function);

/// On a parameter of an entry function, of type `memory()`: its layout.
constexpr llvm::StringLiteral layoutName = "kernel.layout";

/// On an emitted launch of a GPU: the threads of a block.
constexpr llvm::StringLiteral threadsName = "kernel.threads";

/// The function that is emitted for a launch of a kernel: `NAME.0`, `NAME.1`, …
std::string launchName(llvm::StringRef kernel, size_t launch);

/// The memory of a tensor: integers are signless, i1, i4 and ui4 take a byte.
mlir::MemRefType memoryType(mlir::Type tensor);
int64_t memoryBytes(mlir::Type tensor);

} // namespace ingot::kernel
