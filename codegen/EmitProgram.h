/// Reads a planned module off into the runtime's program tables.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "passes/Backend.h"

namespace ingot {

/// Everything of the program but its code: functions, ports, steps, buffers, constants, and the
/// launches of kernels in the order of the module's kernel functions. Of
/// kernels it reads the schedules alone: a module of stage `plan` or `loops` gives the same.
Result<Program> emitProgram(mlir::ModuleOp planned, const Backend &backend);

} // namespace ingot
