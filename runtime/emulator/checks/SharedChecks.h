/// Shared memory of one block: races and unwritten bytes.
#pragma once
#include "runtime/emulator/checks/Checks.h"
#include "runtime/emulator/checks/RaceCheck.h"

namespace ingot::emulator {

class SharedChecks {
public:
  void begin(Block &block, const CheckOptions &options, ThreadClocks &clocks);

  /// Some of the access's lanes, which lie in this block's memory.
  void access(const Instruction &instruction, const RaceCheck &check, const Run &run);
  /// An asynchronous operation of `lane` (or of the warp) begins: what it may collide with. It is
  /// remembered when it is done.
  void begins(Warp &warp, const Instruction &instruction, int lane, Access::Kind kind,
              uint32_t offset, uint32_t bytes, bool asyncProxy);
  /// … as an access of `entry`.
  void ended(Warp &warp, Entry entry, uint32_t offset, uint32_t bytes);

private:
  void memory(const Instruction &instruction, const RaceCheck &check, const Run &run);
  void races(const Instruction &instruction, const RaceCheck &check, const Run &run);
  void report(const Instruction &instruction, const RaceCheck &check,
              const RaceCheck::Collision &collision, uint64_t line);

  Block *block = nullptr;
  ThreadClocks *clocks = nullptr;
  CheckOptions options;
  Lines lines;
  std::vector<uint8_t> defined; ///< by byte
  uint64_t undefined = 0;       ///< bytes
};

} // namespace ingot::emulator
