/// Machine code beside a program's PTX, as NVRTC makes it: a GPU of that architecture runs it
/// without the driver's compiler.
#pragma once
#include "codegen/cache/DiskCache.h"
#include "runtime/program/Program.h"

namespace ingot {

struct MachineCodeReport {
  size_t kernels = 0; ///< entries that have machine code now
  size_t calls = 0;   ///< programs that NVRTC compiled; 0 where the cache had all
  /// The assembler's words on entries that stay PTX, which the driver compiles; spills.
  std::vector<std::string> remarks;
};

/// Adds cubins for an architecture such as `sm_90a` to the program's objects, beside its PTX:
/// devices look there first. What they are made of is looked for in the cache by its text, the
/// architecture and NVRTC's version. An entry that NVRTC refuses fails alone. The error says that
/// there is no NVRTC.
Result<MachineCodeReport> addMachineCode(Program &program, const std::string &architecture,
                                         const DiskCache &cache, int threads);

} // namespace ingot
