/// Global memory: races within and between blocks, unwritten bytes.
#pragma once
#include "runtime/emulator/checks/SharedChecks.h"
#include <atomic>
#include <map>
#include <shared_mutex>

namespace ingot::emulator {

/// What is remembered of 4 bytes: the last writer and the last reader, which may be of different
/// blocks, and when that was.
struct GlobalCell {
  AccessCell access; ///< the writer in `writeBlock`, the readers in `readBlock`
  uint32_t writeBlock = 0, writeTime = 0; ///< number of the block + 1
  uint32_t readBlock = 0, readTime = 0;

  static constexpr uint32_t several = ~uint32_t(0);
};

/// Of one launch; used by several host threads.
///
/// Blocks are ordered by fences, atomics and ordered accesses of device scope: an access is a race
/// if its block has done none since the other block's access, or the other block none after it.
/// This never blames what is ordered, and may miss a race between blocks that synchronise
/// otherwise.
class GlobalChecks {
public:
  GlobalChecks(const CheckOptions &options, const LaunchRequest &request);
  ~GlobalChecks();

  /// The allocation that one host thread has accessed last, and its cells.
  struct Recent {
    const Allocation *allocation = nullptr;
    GlobalCell *cells = nullptr;
  };
  /// `reduces`: by a bulk reduction, which is no race with others.
  void access(Warp &warp, const Instruction &instruction, const Access &access, BlockClocks &clocks,
              bool reduces, Recent &recent);
  /// The block has synchronised with others.
  void synchronise(const Block &block);

private:
  /// The cells of an allocation; null if there is no memory for them.
  GlobalCell *cellsOf(const Allocation &allocation);
  void unwritten(Warp &warp, const Instruction &instruction, const Access &access,
                 const Allocation &allocation, bool writes);
  uint32_t numberOf(const Block &block) const;
  /// "block (1, 0, 0) writes": the earlier access that this one of block `self` races with; empty
  /// if there is none.
  std::string collisionOf(const GlobalCell &cell, const CellAccess &access, uint32_t self,
                          const BlockClocks &clocks) const;
  static void rememberIn(GlobalCell &cell, const CellAccess &access, uint32_t self, uint32_t now,
                         const BlockClocks &clocks);

  const CheckOptions options;
  const Dim3 grid;
  std::atomic<uint32_t> time{1};
  std::vector<std::atomic<uint32_t>> synchronised; ///< by block: when it last did
  std::shared_mutex mutex;
  std::map<const Allocation *, std::pair<GlobalCell *, size_t>> cells;
  std::array<std::atomic_flag, 1024> locks{}; ///< of cells, by address
};

} // namespace ingot::emulator
