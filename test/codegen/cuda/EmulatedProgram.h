/// Programs of PTX on the device `cuda:emulated` of this process: the PTX machine, all checks on.
#pragma once
#include "runtime/emulator/checks/KernelProfile.h"
#include "runtime/program/Device.h"

namespace ingot::test {

/// A machine of its own with one program. What nobody has written is told apart there, so a kernel
/// that reads such is found.
class EmulatedProgram {
public:
  /// `seed` draws the order in which warps run.
  static Result<std::unique_ptr<EmulatedProgram>> load(Program program, uint64_t seed);
  ~EmulatedProgram();
  EmulatedProgram(const EmulatedProgram &) = delete;

  /// Its errors name the kernel and what the machine found.
  Session *operator->() const { return session.get(); }
  /// What all launches so far have moved.
  const emulator::MemoryCounters &memory() const { return *counters; }

private:
  EmulatedProgram() = default;

  std::shared_ptr<emulator::MemoryCounters> counters = std::make_shared<emulator::MemoryCounters>();
  std::unique_ptr<Device> device;
  std::unique_ptr<Session> session;
};

} // namespace ingot::test
