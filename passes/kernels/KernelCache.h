/// What is known of kernels from one plan of a model to the next.
#pragma once
#include "mlir/IR/BuiltinTypes.h"
#include "passes/schedule/KernelDialect.h"
#include "llvm/ADT/StringMap.h"
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace ingot {

/// Kernels of one model, for planning it several times: of one context, one target and without
/// tuning. A plan reads nothing of a kernel but its type, its attributes and its schedule, so that
/// a kernel that is known is declared, not built, and none is printed for its name.
struct KernelCache {
  /// What a kernel does, as a sequence of addresses and numbers: those of ops' names, types and
  /// attributes, which exist once in a context.
  using Structure = std::vector<uintptr_t>;
  struct Kernel {
    std::string name; ///< its root and number
    mlir::FunctionType type;
    mlir::DictionaryAttr attributes; ///< without name and type
  };

  std::map<Structure, Kernel> kernels; ///< by the structure of the ops they were made of
  std::map<Structure, Kernel> bodies;  ///< the same by that of their functions, simplified
  llvm::StringMap<kernel::ScheduleAttr> schedules; ///< by name
};

} // namespace ingot
