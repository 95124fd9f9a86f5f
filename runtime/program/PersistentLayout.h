/// What of a program's persistent memory must stay together: its parameters and state may lie
/// anywhere, as long as whoever reaches over several of them (a bucket) finds them side by side.
#pragma once
#include "runtime/program/Program.h"
#include <functional>

namespace ingot {

/// A stretch of the persistent part of a program's address space that no access leaves.
struct PersistentGroup {
  int64_t first = 0, end = 0;              ///< bytes
  std::vector<const Port *> tensors;       ///< parameters and state in it, by offset
  std::vector<const Constant *> constants; ///< in it; then there are no tensors
};

/// The smallest such stretches, in order. Together they cover every access to persistent memory. An
/// error if something reaches over both a constant and a parameter or state.
Result<std::vector<PersistentGroup>> persistentGroups(const Program &program);

/// True if a call of the function may write to persistent memory.
bool writesPersistent(const Program &program, const Function &function);

/// Calls `visit(call, trips)` for all calls of a tree of steps; trips are those of the loop around
/// the call, 1 outside loops.
void forEachCall(std::span<const Step> steps,
                 const std::function<void(const CallStep &, int64_t trips)> &visit);

} // namespace ingot
