/// The CUDA driver's functions, served by the PTX machine: `cuda:emulated`.
///
/// As with the real driver there is one device state in the process, and the functions may be
/// called by any thread. Work runs when it is given to a stream, in the caller's thread, so every
/// stream is always idle; an error of a kernel is the result of its launch. What the codes cannot
/// say is in `lastError` and `findings`.
#pragma once
#include "runtime/cuda/Driver.h"
#include "runtime/emulator/Machine.h"
#include "runtime/emulator/Module.h"
#include <functional>

namespace ingot::emulator {

struct EmulatedDeviceOptions {
  int capability = 80;                       ///< 90: sm_90 and sm_90a
  uint64_t memoryBytes = uint64_t(80) << 30; ///< what allocations may take together
  LaunchOptions launch;
  /// Makes what watches a launch (the checks); null: nobody does.
  std::function<std::unique_ptr<Observer>(const LaunchRequest &)> observe;
  /// Called after every launch; `findings` includes those of the observer.
  std::function<void(const LaunchRequest &, const LaunchResult &)> launched;
};

/// The table; the same for the whole process.
const cuda::Driver &emulatedDriver();

/// Changes the device, for launches from now on.
void configureEmulatedDevice(EmulatedDeviceOptions options);
/// Gives everything back: modules, memory, streams, findings. Handles from before are invalid.
void resetEmulatedDevice();
/// Device memory, to name the parts of an arena (GlobalMemory::divide).
GlobalMemory &emulatedMemory();
/// The sentence behind the calling thread's last code that was not CUDA_SUCCESS.
const std::string &lastEmulatedError();
/// All findings of launches since the last call.
std::vector<Finding> takeEmulatedFindings();

} // namespace ingot::emulator
