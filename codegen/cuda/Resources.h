/// What a program's kernels take of a GPU, as its assembler says.
#pragma once
#include "runtime/cuda/Disassembler.h"
#include "runtime/program/Program.h"

namespace ingot {

struct KernelResources {
  const Kernel *kernel = nullptr;
  int64_t calls = 0;       ///< of one run of the function
  int64_t registers = 0;   ///< of a thread
  int64_t sharedBytes = 0; ///< of a block
  int64_t spillBytes = 0;  ///< stored and loaded
  int64_t stackBytes = 0;  ///< local memory of a thread, spills included
  double occupancy = 0;    ///< the share of a multiprocessor's warps that can run at once
  cuda::InstructionCounts instructions; ///< in the code, not in a run
};

/// How many of a multiprocessor's warps blocks of so many threads, registers and bytes of shared
/// memory can fill, on the chip whose architecture is given: sm_80, sm_90a, sm_100a.
double occupancyOf(const std::string &architecture, int64_t threads, int64_t registers,
                   int64_t sharedBytes);

/// Assembles the PTX of a function's kernels by NVRTC, for an architecture. In the order of the
/// program's kernels. An error says that there is no NVRTC, or what it refuses.
Result<std::vector<KernelResources>> resourcesOf(const Program &program, const Function &function,
                                                 const std::string &architecture);

/// As a table, a line a kernel, with totals.
std::string toTable(const std::vector<KernelResources> &rows);

} // namespace ingot
