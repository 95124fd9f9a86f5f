/// What `ingot emulate -- PROGRAM` and the CUDA runtime that it puts in front of the program tell
/// each other: options by an environment variable, results by memory that both share.
#pragma once
#include "runtime/emulator/driver/Driver.h"
#include <atomic>
#include <string>
#include <string_view>
#include <vector>

namespace ingot::emulator {

/// The variable holds fields with ';' between them, all of them optional:
/// `chip=80;off=leak,profile;seed=3;threads=2;limit=1000000;strict;report=5`.
inline constexpr const char *programOptionsVariable = "INGOT_EMULATE";

struct ProgramOptions {
  int chip = 0;                 ///< 80: sm_80; 0: the newest that the program has PTX for
  std::vector<std::string> off; ///< names of checks
  uint64_t seed = 0;
  int threads = 0;    ///< of the host; 0: one per CPU
  uint64_t limit = 0; ///< warp instructions of a launch; 0: no limit
  bool strict =
      false; ///< notes of kernels, leaks at the program's end and errors of calls are findings too
  int report = -1; ///< descriptor of a ProgramReport; -1: nobody reads one

  std::string str() const;
  static Result<ProgramOptions> parse(std::string_view text);
};

/// The device that the options describe; what they leave open is as `EmulatedDeviceOptions` has
/// it, but for the capability. Usage names a check that is not known.
Result<EmulatedDeviceOptions> deviceOptions(const ProgramOptions &options);

/// Lives in shared memory, so that it outlasts whatever end the program comes to.
struct ProgramReport {
  std::atomic<uint64_t> used{0};     ///< processes in which the runtime was loaded
  std::atomic<uint64_t> launches{0}; ///< kernels that ran
  std::atomic<uint64_t> findings{0}; ///< different ones
  std::atomic<uint64_t> refused{0};  ///< calls of functions that are not emulated
};

} // namespace ingot::emulator
