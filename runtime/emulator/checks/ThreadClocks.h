/// What each thread of a cluster knows to be done: the PTX memory consistency model, by vector
/// clocks.
///
/// Knowledge is each thread's own. Lanes of a warp that know the same share it; a lane that has
/// heard something alone stands apart until its warp meets again (bar.warp.sync, a barrier). To
/// publish is to give others all that the thread knows: by an arrival at a barrier, by a release.
/// What is published by a relaxed write is what the last fence has seen, within its scope; what a
/// relaxed read has seen counts from the next fence on. Barriers hand on both, so the fence may
/// stand on either side of one.
#pragma once
#include "runtime/emulator/checks/Line.h"
#include <map>
#include <optional>
#include <unordered_map>

namespace ingot::emulator {

/// The kinds of knowledge of a thread.
enum class Known : uint8_t {
  Done,            ///< what is ordered before what the thread does next
  Fenced,          ///< what its relaxed writes publish: three, by scope
  Seen = 4,        ///< what relaxed reads have found, until a fence: three, by the scope it needs
  ProxyFenced = 7, ///< what the async proxy sees
  MapReleased,     ///< what fence.proxy.tensormap….release has seen
  MapAcquired,     ///< … and .acquire
};
inline constexpr size_t knownKinds = 10;
constexpr size_t kindOf(Known known, Scope scope = Scope::Block) {
  return size_t(known) + size_t(scope);
}

/// All that is published at once.
using Published = std::array<Knowledge, knownKinds>;

/// What several threads publish, joined: of a barrier before it is complete.
struct Board {
  std::array<Clocks, knownKinds> clocks;
  std::array<std::shared_ptr<const Foreign>, knownKinds> foreign;
  uint32_t used = 0; ///< kinds

  /// A copy that cannot change any more.
  std::shared_ptr<const Published> snapshot() const;
  void clear();
};

/// What strong writes to a location have published since the last one that was no
/// read-modify-write: for the writer's block, for its cluster, for everybody.
struct SyncVariable {
  struct Part {
    uint64_t owner = 0; ///< the block or the cluster
    std::shared_ptr<const Published> published;
  };
  Part block, cluster;
  Published device; ///< `foreign` alone
};

class ThreadClocks {
public:
  void begin(Cluster &cluster);

  // Of the thread that accesses memory.
  /// A cluster's number in its launch.
  uint32_t number() const { return self; }
  Entry entryOf(const Warp &warp) const {
    Entry entry;
    entry.clock = stateOf(warp).timeOf(warp);
    entry.cluster = self;
    entry.slot = slotOf(warp);
    return entry;
  }
  /// Lanes whose knowledge is not their warp's.
  uint32_t apart(const Warp &warp) const { return stateOf(warp).apart; }
  void touch(const Warp &warp, uint32_t lanes) { stateOf(warp).touched |= lanes; }
  /// `lane` knows that what `entry` has done to the bytes of `access` is done.
  bool knows(const Warp &warp, int lane, const Entry &entry, const Entry &access,
             Known kind = Known::Done) const {
    const WarpState &state = stateOf(warp);
    const Bundle &bundle = state.apart >> lane & 1 ? (*state.own)[size_t(lane)] : state.common;
    const Held &held = bundle[size_t(kind)];
    if (entry.cluster == self) {
      if (entry.slot == slotOf(warp) && entry.clock <= held.met)
        return true;
      if (held.known.local && held.known.local->base(entry.slot) >= entry.clock)
        return true;
    }
    return knowsMore(warp, lane, held, entry, access, kind);
  }

  /// What all lanes of a warp know to be done, for the many questions of one access.
  class Common {
  public:
    Common(const ThreadClocks &clocks, const Warp &warp)
        : self(clocks.self), slot(clocks.slotOf(warp)) {
      const WarpState &state = clocks.stateOf(warp);
      if (state.apart)
        return;
      const Held &held = state.common[size_t(Known::Done)];
      met = held.met;
      local = held.known.local.get();
      foreign = held.known.foreign.get();
    }
    /// All of them know what the entry has done; false may mean that some do.
    bool knows(const Entry &entry) const {
      if (entry.cluster == self)
        return (entry.slot == slot && entry.clock <= met) ||
               (local && local->base(entry.slot) >= entry.clock);
      const Clocks *clocks = foreign ? foreign->of(entry.cluster) : nullptr;
      return clocks && clocks->base(entry.slot) >= entry.clock;
    }

  private:
    uint32_t self, met = 0;
    Slot16 slot;
    const Clocks *local = nullptr;
    const Foreign *foreign = nullptr;
  };

  // Synchronisation.
  void meet(Warp &warp, uint32_t lanes);
  void fence(Warp &warp, uint32_t lanes, MemoryOrder order);
  void initialisationFence(Warp &warp, uint32_t lanes);
  void proxyFence(Warp &warp, uint32_t lanes, ProxyFence fence);
  void barrierArrive(Warp &warp, uint32_t lanes, int id, bool publishes);
  void barrierComplete(Block &block, int id);
  void barrierLeave(Warp &warp, uint32_t lanes, int id);
  void mbarrierBegin(Block &block, uint32_t offset);
  void mbarrierArrive(Warp &warp, int lane, Block &block, uint32_t offset, MemoryOrder order);
  void mbarrierComplete(Block &block, uint32_t offset, uint32_t phase);
  void mbarrierSeen(Warp &warp, uint32_t lanes, Block &block, uint32_t offset, MemoryOrder order);

  /// A strong write by a lane, to memory that others see: what it publishes goes to the variable.
  void publishTo(Warp &warp, int lane, SyncVariable &variable, MemoryOrder order, bool replaces);
  /// A strong read.
  void hearFrom(Warp &warp, uint32_t lanes, const SyncVariable &variable, MemoryOrder order);
  /// A relaxed write by the warp may publish something.
  bool hasFenced(const Warp &warp) const { return stateOf(warp).used & fencedKinds; }

  // What acts for the threads.

  /// mbarrier.init by a lane: fence.mbarrier_init publishes this and nothing else.
  Entry initialisation(const Warp &warp, int lane);
  /// What an mbarrier's phase tells of.
  Entry phaseOf(const Block &block, uint32_t offset, uint32_t phase);
  /// A cp.async of the warp begins; its number.
  uint32_t copyBegins(const Warp &warp);
  Entry copy(const Warp &warp, uint32_t number) const;
  /// The lanes have waited for their part of it.
  void copyAwaited(const Warp &warp, uint32_t lanes, uint32_t number);
  /// Their part counts for an mbarrier's phase.
  void copySignals(const Warp &warp, uint32_t lanes, uint32_t number, Block &block,
                   uint32_t offset);
  /// The warp has waited for the first products of its warpgroup.
  void productsAwaited(const Warp &warp, uint64_t count) {
    WarpState &state = stateOf(warp);
    state.productsRead = std::max(state.productsRead, uint32_t(count));
  }
  /// A warpgroup's next product, which has read.
  Entry product(const Warp &warp);

  /// The access of an operation, as `known`, was issued by `lane` (or by the warp) of `issue`.
  void remembersIssue(const Entry &known, const Entry &issue, int lane);
  /// A lane comes after what has issued the operation whose access is `known`.
  bool knowsIssueOf(const Warp &warp, int lane, const Entry &known) const;
  /// Of products, which four warps issue, nobody keeps who did: whoever meets one counts as coming
  /// after it.
  bool knowsIssue(const Warp &warp, int lane, Entry issue, int issuer) const;

  /// How far apart the threads of an entry and of a warp are.
  Scope distanceOf(const Warp &warp, const Entry &entry) const;

  /// "thread (3, 0, 0)": who accessed the byte of a line.
  std::string nameOf(const Entry &entry, uint32_t byte, bool withBlock) const;

private:
  struct Held {
    Knowledge known;
    uint32_t self = 0; ///< … and of the lane itself until then; of Done: always
    uint32_t met = 0;  ///< … and of all lanes of the warp
  };
  using Bundle = std::array<Held, knownKinds>;
  static constexpr uint32_t fencedKinds = 7u << size_t(Known::Fenced);
  struct WarpState {
    static constexpr uint64_t nothing = ~uint64_t(0);
    mutable uint32_t now = 1;
    /// When the warp last published something, by its instructions: its next one has a new time.
    mutable uint64_t published = nothing;
    uint32_t timeOf(const Warp &warp) const {
      if (published != nothing && published != warp.executed) {
        ++now;
        published = nothing;
      }
      return now;
    }
    uint32_t used = 1; ///< kinds of any lane
    Bundle common;
    uint32_t apart = 0;
    std::unique_ptr<std::array<Bundle, lanes>> own;
    uint32_t touched = 0; ///< lanes that have accessed memory since all of them met
    bool initialises = false;
    std::array<uint32_t, lanes> initialised{}; ///< by lane: the time of its last mbarrier.init
    std::array<uint32_t, lanes> fencedInitialised{};
    std::vector<uint32_t> copyTimes; ///< when each cp.async was issued
    uint32_t copies() const { return uint32_t(copyTimes.size()); }
    std::array<uint32_t, lanes> copied{}; ///< by lane: the last cp.async that it has waited for
    uint32_t productsRead = 0;
  };
  struct MemoryBarrierState {
    Slot16 slot = 0;
    uint32_t start = 0; ///< its slot's time when it was initialised
    uint32_t phase = 0;
    Board board;
    std::shared_ptr<const Published> complete;
  };
  struct BlockState {
    std::array<Board, 17> boards;
    std::array<std::shared_ptr<const Published>, 17> complete;
    std::unordered_map<uint32_t, MemoryBarrierState> barriers;
  };

  Slot16 slotOf(const Warp &warp) const {
    return Slot16(warp.block->rank * warpsPerBlock + uint32_t(warp.index));
  }
  Slot16 initialisationSlotOf(const Warp &warp) const { return Slot16(warpCount + slotOf(warp)); }
  Slot16 copySlotOf(const Warp &warp) const { return Slot16(2 * warpCount + slotOf(warp)); }
  bool isCopySlot(Slot16 slot) const { return slot >= 2 * warpCount && slot < 3 * warpCount; }
  Slot16 productSlotOf(const Warp &warp) const { return Slot16(3 * warpCount + groupOf(warp)); }
  /// Of four warps.
  uint32_t groupsPerBlock() const { return (warpsPerBlock + 3) / 4; }
  uint32_t groupOf(const Warp &warp) const {
    return warp.block->rank * groupsPerBlock() + uint32_t(warp.index) / 4;
  }
  uint32_t firstBarrierSlot() const {
    return 3 * warpCount + warpCount / warpsPerBlock * groupsPerBlock();
  }
  const WarpState &stateOf(const Warp &warp) const { return warps[slotOf(warp)]; }
  WarpState &stateOf(const Warp &warp) { return warps[slotOf(warp)]; }
  bool knowsMore(const Warp &warp, int lane, const Held &held, const Entry &entry,
                 const Entry &access, Known kind) const;
  /// All lanes that count: those that have ended without touching memory do not.
  static bool isWhole(const Warp &warp, const WarpState &state, uint32_t lanes) {
    return ((lanes | (warp.exited & ~state.touched)) & warp.present) == warp.present;
  }
  Bundle &bundleOf(WarpState &state, int lane) {
    return state.apart >> lane & 1 ? (*state.own)[size_t(lane)] : state.common;
  }
  /// Calls `act(bundle, lanes)` for lanes that share a bundle. With `changes`, lanes that are only
  /// a part of those that share one are set apart first.
  template <typename Act>
  void forBundles(const Warp &warp, WarpState &state, uint32_t lanes, bool changes, Act act);
  void setApart(WarpState &state, uint32_t lanes);
  /// Adds one kind of what `lanes` know to a board's kind.
  void give(const Warp &warp, const WarpState &state, const Bundle &bundle, uint32_t lanes,
            size_t kind, Clocks &clocks, std::shared_ptr<const Foreign> &foreign) const;
  /// Raises a slot by the times of lanes.
  static void raise(Clocks &clocks, Slot16 slot, uint32_t lanes, bool whole,
                    const std::array<uint32_t, emulator::lanes> &times);
  /// Gives all kinds; a new time begins for the warp.
  void publish(Warp &warp, uint32_t lanes, Board &board);
  /// As a relaxed arrival does: what fences of this scope have seen.
  void publishFenced(Warp &warp, uint32_t lanes, Scope scope, Board &board);
  void hear(Warp &warp, uint32_t lanes, const Published &published);
  /// The same for lanes that have published there before: they know the same now.
  void leave(Warp &warp, uint32_t lanes, const Published &published);
  MemoryBarrierState &barrierAt(const Block &block, uint32_t offset);

  Cluster *cluster = nullptr;
  uint32_t self = 0;
  uint32_t warpsPerBlock = 0, warpCount = 0, nextSlot = 0;
  std::vector<WarpState> warps;
  std::vector<BlockState> blocks;
  struct Issue {
    Entry entry;
    int lane;
  };
  /// Who issued what is known by a slot, a time and a lane: often one, for a phase several. Of
  /// cp.async see WarpState.
  std::unordered_map<uint64_t, std::vector<Issue>> issues;
  static uint64_t issueKey(const Entry &known) {
    return uint64_t(known.clock) << 32 | uint64_t(known.slot) << 8 | uint8_t(known.firstLane);
  }
  std::vector<uint32_t> products; ///< that somebody has waited for, by warpgroup
  Board clusterBoard;
  std::shared_ptr<const Published> clusterComplete;
};

} // namespace ingot::emulator
