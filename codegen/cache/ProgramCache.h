/// Whole programs on disk: a hit never touches MLIR's passes.
#pragma once
#include "codegen/cache/DiskCache.h"
#include "runtime/program/Program.h"
#include <vector>

namespace ingot {

/// All that a program depends on, by name, so that a miss can be explained.
struct ProgramKey {
  std::vector<std::pair<std::string, std::string>> parts; ///< model, options, target, compiler

  std::string hash() const;
};

class ProgramCache {
public:
  explicit ProgramCache(const DiskCache &disk) : disk(disk) {}

  std::optional<Program> get(const ProgramKey &key) const;
  void put(const ProgramKey &key, const Program &program) const;
  /// Why `key` is missing: which parts differ from the nearest program in the cache.
  std::string explainMiss(const ProgramKey &key) const;

private:
  const DiskCache &disk;
};

} // namespace ingot
