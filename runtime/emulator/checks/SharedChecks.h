/// Shared memory of one block: races and unwritten bytes.
#pragma once
#include "runtime/emulator/checks/BlockClocks.h"
#include "runtime/emulator/checks/Checks.h"

namespace ingot::emulator {

/// What an instruction means to the checks of races.
enum class Effect : uint8_t {
  None,
  Barrier,    ///< bar and barrier
  BlockSync,  ///< orders accesses of the block
  DeviceSync, ///< … and of other blocks
  CopyWait,   ///< cp.async.wait_group and wait_all
  Reduction,  ///< cp.reduce: its writes are no races with each other
};

class SharedChecks {
public:
  void begin(Block &block, const CheckOptions &options);

  void access(Warp &warp, const Instruction &instruction, const Access &access);
  /// Before an instruction with an effect.
  void effect(Warp &warp, const Instruction &instruction, Effect effect, uint32_t mask);
  /// Its warp has waited for a cp.async: it counts as the warp's write, here and now.
  void copied(uint32_t warp, uint32_t offset, uint32_t bytes);
  /// A copy was waited for by an mbarrier: all that know of it are ordered behind it.
  void forget(uint32_t offset, uint32_t bytes);

  BlockClocks clocks;

private:
  std::string threadName(uint32_t thread) const;
  void report(Warp &warp, const Instruction &instruction, int lane, CheckName check,
              std::string message, uint32_t offset) const;
  /// Bytes of shared memory that the lane's address means.
  static uint32_t offsetOf(const Access &access, int lane);

  Block *block = nullptr;
  CheckOptions options;
  std::vector<AccessCell> cells;
  std::vector<uint8_t> defined;
};

} // namespace ingot::emulator
