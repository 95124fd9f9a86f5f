/// Global memory: races within and between blocks, unwritten bytes, what other proxies and the
/// read-only cache do not see.
#pragma once
#include "runtime/emulator/checks/Checks.h"
#include "runtime/emulator/checks/Footprint.h"
#include "runtime/emulator/checks/RaceCheck.h"
#include <atomic>
#include <map>
#include <shared_mutex>
#include <unordered_map>

namespace ingot::emulator {

/// Of one launch; used by several host threads.
class GlobalChecks {
public:
  explicit GlobalChecks(const CheckOptions &options) : options(options) {}

  /// What one host thread remembers between accesses.
  struct Recent {
    std::array<std::pair<const Allocation *, Lines *>, 8> lines{}; ///< of the last allocations
    size_t next = 0;
    std::vector<IssuedStore> issued;
    std::vector<uint64_t> acquiredMaps; ///< addresses of fence.proxy.tensormap….acquire
  };
  void access(const Instruction &instruction, RaceCheck &check, const Runs &runs,
              const ThreadClocks &clocks, Recent &recent);
  /// A lane has waited for a copy that writes the range: its write, from now on.
  void written(Warp &warp, const Entry &entry, uint64_t address, uint64_t bytes, Recent &recent);

  /// Which memory the launch has touched, as far as accesses are watched at all.
  Footprint footprint() const;

  /// Calls `use(variable)` with what was published at an address; with `make` also where nothing
  /// was.
  template <typename Use> void withVariable(uint64_t address, bool make, Use use) {
    Shard &shard = shards[address / 4 % shards.size()];
    std::lock_guard lock(shard.mutex);
    const auto found =
        make ? shard.variables.try_emplace(address).first : shard.variables.find(address);
    if (found != shard.variables.end())
      use(found->second);
  }

private:
  /// The lines of an allocation; null if there is no memory for them.
  Lines *linesOf(const Allocation &allocation);
  Lines *linesOf(const Allocation &allocation, Recent &recent) {
    for (const auto &[known, memory] : recent.lines)
      if (known == &allocation)
        return memory;
    auto &place = recent.lines[recent.next++ % recent.lines.size()];
    place = {&allocation, linesOf(allocation)};
    return place.second;
  }
  void unwritten(const Instruction &instruction, const RaceCheck &check,
                 const Allocation &allocation, const Run &run);
  void races(const Instruction &instruction, const RaceCheck &check, const Allocation &allocation,
             const Run &run, const ThreadClocks &clocks, Recent &recent);
  /// No kernel writes constants; copies between launches do.
  void constantRead(const RaceCheck &check, const Allocation &allocation, const Run &run,
                    Recent &recent);
  /// ld.global.nc of what is written.
  void readOnly(const Instruction &instruction, const RaceCheck &check, Line &line,
                const Entry &piece, uint64_t address);
  void unfenced(const Instruction &instruction, const RaceCheck &check, const Line &line,
                const Entry &piece, uint64_t address, const ThreadClocks &clocks,
                const Recent &recent);

  /// Locks the lines near one; those of a warp's access usually share a lock.
  class LineLock {
  public:
    explicit LineLock(GlobalChecks &owner) : owner(owner) {}
    ~LineLock() { release(); }
    void take(uint64_t address) {
      std::atomic_flag &lock = owner.locks[address / 4096 % owner.locks.size()];
      if (&lock == held)
        return;
      release();
      while (lock.test_and_set(std::memory_order_acquire)) {
      }
      held = &lock;
    }

  private:
    void release() {
      if (held)
        held->clear(std::memory_order_release);
      held = nullptr;
    }
    GlobalChecks &owner;
    std::atomic_flag *held = nullptr;
  };
  struct Shard {
    std::mutex mutex;
    std::unordered_map<uint64_t, SyncVariable> variables;
  };

  const CheckOptions options;
  std::shared_mutex mutex;
  std::map<const Allocation *, std::unique_ptr<Lines>> lines;
  std::array<std::atomic_flag, 1024> locks{}; ///< of lines, by address
  std::array<Shard, 64> shards;
};

} // namespace ingot::emulator
