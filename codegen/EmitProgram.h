/// Reads a planned module off into the runtime's program tables.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "runtime/program/Program.h"

namespace ingot {

/// Everything of the program but its code: functions, ports, steps, buffers, constants and kernels
/// in the order of the module's kernel functions.
Result<Program> emitProgram(mlir::ModuleOp planned);

} // namespace ingot
