/// What an architecture has for the blocks of a launch, and whether that is enough.
#pragma once
#include "runtime/emulator/machine/Machine.h"

namespace ingot::emulator {

/// Sizes that all architectures from sm_80 to sm_90 share.
struct Budget {
  static constexpr int threadsPerBlock = 1024;
  static constexpr int registersPerBlock = 65536;
  static constexpr int registersPerThread = 255;
  static constexpr int namedBarriers = 16;
  static constexpr int staticSharedBytes = 48 * 1024; ///< what the assembler takes
  static constexpr int localBytes = 512 * 1024;       ///< of a thread
  static constexpr int portableCluster = 8, largestCluster = 16;
};

/// Bytes of shared memory that a block may have on an architecture (80, 86, 90, …) when its kernel
/// asks for them.
int maximumSharedBytes(int capability);
int multiprocessors(int capability);

/// Registers that a warp is given: a thread's, in steps of 8, for 32 threads.
int64_t registersOfWarp(int perThread);
/// Registers of a thread at a kernel's start: .maxnreg, or what is left for each of the threads
/// that .reqntid or .maxntid states; 0 if the text says nothing.
int registersAtEntry(const ptx::Function &kernel);

/// What the assembler would refuse: too much static shared or local memory.
Status checkAssembly(const CompiledKernel &kernel);
/// Threads, grid and cluster against the kernel's directives and what exists at all.
Status checkShape(const LaunchRequest &request);
/// Shared memory, registers and clusters of the architecture.
Status checkBudget(const LaunchRequest &request, int capability);
/// Blocks that a multiprocessor holds at once.
int residentBlocks(const CompiledKernel &kernel, int64_t threads, int64_t dynamicSharedBytes,
                   int capability);

} // namespace ingot::emulator
