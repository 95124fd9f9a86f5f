/// The CUDA driver's functions, served by the PTX machine: `cuda:emulated`.
///
/// As with the real driver there is one device state in the process, and the functions may be
/// called by any thread. Work runs when it is given to a stream, in the caller's thread, so every
/// stream is always idle; an error of a kernel is the result of its launch. Every launch is watched
/// by all checks, and one with a finding fails. What the codes cannot say is in
/// `lastEmulatedError` and `takeEmulatedFindings`. When the primary context is released as often as
/// it was retained, all that it still holds is given back; allocations among it are leaks.
#pragma once
#include "runtime/cuda/Driver.h"
#include "runtime/emulator/checks/Checks.h"
#include "runtime/emulator/machine/Module.h"
#include <functional>

namespace ingot::emulator {

struct EmulatedDeviceOptions {
  int capability =
      80; ///< 90: sm_90 and sm_90a; 0: sm_90 that bounds launches as the newest module's
  uint64_t memoryBytes = uint64_t(80) << 30; ///< what allocations may take together
  LaunchOptions launch;
  CheckOptions checks; ///< all on
  /// Whether a launch with findings fails. If not, it fails for what also ends it on a card: bad
  /// addresses, assertions, traps, and whatever else stops it.
  bool findingsAreErrors = true;
  std::string moduleName = "module"; ///< what errors call the next module that is loaded
  /// Called after every launch, before its findings become an error.
  std::function<void(const LaunchRequest &, const LaunchResult &, const MemoryCounters &)> launched;
};

/// The table; the same for the whole process.
const cuda::Driver &emulatedDriver();

/// Changes the device, for launches from now on.
void configureEmulatedDevice(EmulatedDeviceOptions options);
/// Gives everything back without a word: modules, memory, streams, findings. Handles from before
/// are invalid.
void resetEmulatedDevice();
/// Device memory, to name the parts of an arena (GlobalMemory::divide).
GlobalMemory &emulatedMemory();
/// The sentence behind the calling thread's last code that was not CUDA_SUCCESS.
const std::string &lastEmulatedError();
/// All findings since the last call: of launches, and leaks.
std::vector<Finding> takeEmulatedFindings();
/// Memory that nobody has freed becomes findings.
void reportEmulatedLeaks();
/// The objects of handles; null if there is no such thing, or if the kernel cannot run
/// here: then `lastEmulatedError` says why.
Module *emulatedModule(cuda::CUmodule module);
const CompiledKernel *emulatedKernel(cuda::CUfunction function);

} // namespace ingot::emulator
