/// Shared memory of one block: races and unwritten bytes.
#pragma once
#include "runtime/emulator/checks/Checks.h"
#include "runtime/emulator/checks/RaceCheck.h"

namespace ingot::emulator {

class SharedChecks {
public:
  void begin(Block &block, const CheckOptions &options, ThreadClocks &clocks);

  /// Some of the access's lanes, which lie in this block's memory.
  void access(Warp &warp, const Instruction &instruction, const Access &access, const Run &run,
              Role role);
  /// An asynchronous operation of `lane` (or of the warp) begins: what it may collide with. It is
  /// remembered when it is done.
  void begins(Warp &warp, const Instruction &instruction, int lane, Access::Kind kind,
              uint32_t offset, uint32_t bytes, bool asyncProxy);
  /// … as an access of `entry`.
  void ended(Warp &warp, Entry entry, uint32_t offset, uint32_t bytes);

private:
  void memory(Warp &warp, const Instruction &instruction, const Access &access, const Run &run);
  void races(Warp &warp, const Instruction &instruction, const Access &access, const Run &run,
             Role role);
  void report(Warp &warp, const Instruction &instruction, const Access &access,
              const RaceCheck &check, const RaceCheck::Collision &collision, uint64_t line);

  Block *block = nullptr;
  ThreadClocks *clocks = nullptr;
  CheckOptions options;
  Lines lines;
  std::vector<uint8_t> defined;
};

} // namespace ingot::emulator
