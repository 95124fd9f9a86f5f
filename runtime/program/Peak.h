/// What holds the most of a program's arena at once.
#pragma once
#include "runtime/program/Program.h"
#include <map>

namespace ingot {

/// The moment at which a function holds the most bytes, and what it holds then.
struct Peak {
  std::string function;
  int64_t step = 0;
  std::string op;                             ///< that runs then
  std::map<Role, int64_t> bytes;              ///< by kind
  std::vector<const PlannedBuffer *> buffers; ///< alive then, largest first
};
Peak findPeak(const Program &program, const Function &function);

/// The function whose buffers reach farthest into the arena.
const Function &largestFunction(const Program &program);

} // namespace ingot
