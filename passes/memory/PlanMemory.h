/// The arena of a module, without the plan.
#pragma once
#include "passes/memory/BufferAssignment.h"

namespace ingot {

/// What the arena of some functions holds.
struct ArenaNeed {
  Persistent persistent;
  int64_t transient = 0; ///< bytes after the persistent ones, those of the function with the most

  int64_t bytes() const { return llvm::alignTo(persistent.end, arenaAlignment) + transient; }
  /// What the arena of these functions and of others holds, whose parameters and state are among
  /// those of these.
  ArenaNeed with(const ArenaNeed &others) const;
};

/// What `plan-memory` would make room for in a module of scheduled kernels, whose entry functions
/// keep their calls. Failure after a diagnostic.
llvm::FailureOr<ArenaNeed> measureArena(mlir::ModuleOp module);

} // namespace ingot
