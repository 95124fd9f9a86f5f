/// Finds what a program must recompute to fit a bound of memory.
#pragma once
#include "codegen/CompileOptions.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/support/Result.h"

namespace ingot {

/// Options with which the arena of `model` (a module of a stage before `linalg`) has at most
/// `options.memory.budget` bytes. Plans are tried in the order of what they cost in time: as it is;
/// elementwise results recomputed; the fewest contractions and attentions recomputed that
/// do it, between checkpoints as near each other as they may be; smaller blocks of logits. If none
/// fits, the error names the smallest.
Result<MemoryOptions> fitMemory(mlir::ModuleOp model, const CompileOptions &options);

} // namespace ingot
