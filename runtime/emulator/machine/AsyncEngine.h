/// What goes on by itself in one block: cp.async, bulk copies and warpgroup products.
///
/// Nothing lands when it is issued. An operation happens, whole, at a moment that the seed draws
/// between its issue and the instruction that waits for it (or the block's end), and reads its
/// sources only then. So what is read before it was waited for is the old value, and a source that
/// is overwritten too early spoils the copy: a missing wait shows in the results of some seeds.
#pragma once
#include "runtime/emulator/machine/MemoryBarrier.h"
#include "runtime/emulator/machine/WarpgroupMultiply.h"
#include <deque>
#include <functional>

namespace ingot::emulator {

/// cp.async of one warp: its copies, in order, by lane and group.
class ThreadCopies {
public:
  /// One instruction, or the arrival at an mbarrier that waits for the copies before it.
  struct Item {
    Origin origin;
    uint64_t operation = 0;           ///< for the observer
    uint32_t mask = 0;                ///< lanes under way
    uint32_t unawaited = 0;           ///< lanes that have not waited for it
    uint32_t bytes = 0;               ///< 0: an arrival
    uint32_t sourceBytes[lanes] = {}; ///< the rest is filled with zeros
    std::byte *destinations[lanes] = {};
    const std::byte *sources[lanes] = {};
    uint32_t barriers[lanes] = {}; ///< offsets
    uint32_t groups[lanes] = {};
  };

  void add(Item item);
  void commit(uint32_t mask);
  /// Completes all but the newest `allowed` groups; with `all` what is not committed, too.
  void wait(uint32_t mask, uint32_t allowed, bool all);
  /// Items under way.
  size_t pending() const;
  /// Completes one of them, and before an arrival what it has to wait for.
  void complete(size_t number);
  /// Somebody has seen the phase over that these lanes of a copy have signalled.
  void awaited(uint64_t operation, uint32_t mask);

private:
  static void perform(Item &item, uint32_t mask);
  /// An arrival: whoever sees its phase over has waited for the copies before it, even if another
  /// arrival has signalled them elsewhere.
  void arrive(Item &item, uint32_t mask);
  /// Lanes of a copy have been waited for.
  static void release(Item &item, uint32_t mask, bool byItself);
  void prune();
  std::vector<Item> items;
  uint32_t committed[lanes] = {};
};

/// A bulk copy: pieces of host memory, already checked.
struct BulkCopy {
  struct Piece {
    std::byte *destination = nullptr;
    const std::byte *source = nullptr; ///< null: the fill
    uint32_t bytes = 0;
  };
  Origin origin;
  std::vector<Piece> pieces;
  uint64_t fill = 0;
  uint32_t fillBytes = 1;
  /// Changes what was read, but not the fill; null: it stays.
  void (*transform)(std::byte *data, uint32_t bytes) = nullptr;
  /// Adds `bytes` of `data` to the destination; empty: a plain copy.
  std::function<void(std::byte *destination, const std::byte *data, uint32_t bytes)> reduce;
  uint64_t operation = 0;     ///< for the observer
  Block *signalled = nullptr; ///< whose mbarrier counts the bytes; null: a bulk group
  uint32_t barrier = 0;
  uint32_t bytes = 0;
  uint32_t group = 0;
  bool readsShared = false; ///< of the issuing block
  // Of a group: it is kept until somebody waits for it, or the block ends.
  bool hasWritten = false, readAwaited = false;
  struct Range {
    Access::Kind kind;
    Space space;
    uint64_t address;
    uint64_t bytes;
  };
  std::vector<Range> ranges;   ///< for the observer
  std::vector<std::byte> data; ///< what was read
  bool hasRead = false;

  void read();
  void write();
};

/// A wgmma.mma_async of a warpgroup. It is one operation of its four warps: it can happen once all
/// of them have issued it, and whoever waits for it waits for the others, too.
struct WarpgroupOperation {
  struct Part {
    Origin origin; ///< without a warp: not issued yet
    std::vector<uint32_t *> d;
    std::array<uint32_t *, 4> a{}; ///< null: the descriptor
    MatrixDescriptor descriptorA, descriptorB;
    std::array<uint32_t, lanes> metadata{}; ///< of a sparse A, as it was at issue
    uint32_t group = 0;
  };
  WarpgroupMultiply shape;
  uint64_t operation = 0; ///< for the observer
  std::array<Part, 4> parts;

  bool isIssued() const;
  void run();
};

class AsyncEngine final : public AsyncUnit {
public:
  explicit AsyncEngine(Block &block);
  /// The block's engine; made when first asked for.
  static AsyncEngine &of(Block &block);

  bool advance(std::mt19937_64 &random) override;
  void finish() override;
  std::string describe() const override;

  MemoryBarriers barriers;
  ThreadCopies &threadCopies(const Warp &warp) { return warps[warp.index].copies; }

  void start(std::unique_ptr<BulkCopy> copy);
  void commitBulk(const Warp &warp, int lane);
  /// Completes all but the newest `allowed` groups of the lane; `read`: only their reading.
  void waitBulk(const Warp &warp, int lane, uint32_t allowed, bool read);

  void start(const WarpgroupMultiply &shape, WarpgroupOperation::Part part);
  void commitProducts(const Warp &warp) {
    PerWarp &state = warps[warp.index];
    ++state.productGroups;
    state.committed.push_back(state.issued);
  }
  /// Completes all but the newest `allowed` groups; false where other warps of the warpgroup have
  /// to issue their part first, who then resume `Wait::Other` of `waitingId`.
  bool waitProducts(Warp &warp, uint32_t allowed);
  static int waitingId(const Warp &warp) { return -1 - warp.index / 4; }

  /// A number for an operation of this block.
  uint64_t newOperation() { return uint64_t(block.rank) << 48 | ++operations; }
  /// The operation has signalled the barrier in its present phase: it counts as waited for when
  /// somebody sees a later one. Of a warp's cp.async only the lanes in `mask` have.
  void signals(const Origin &origin, uint32_t barrier, uint64_t operation, uint32_t mask,
               ThreadCopies *copies = nullptr);
  void sees(uint32_t barrier, uint32_t phase);

private:
  struct PerWarp {
    ThreadCopies copies;
    uint32_t productGroups = 0;
    uint64_t issued = 0;             ///< products
    std::vector<uint64_t> committed; ///< of them, by group
    std::array<uint32_t, lanes> bulkGroups{};
  };
  struct PerWarpgroup {
    std::deque<WarpgroupOperation> products;
    uint64_t completed = 0;
    /// Operations that nobody has waited for, with each warp's group.
    struct Unawaited {
      uint64_t operation;
      std::array<uint32_t, 4> groups;
      Origin origin;
    };
    std::deque<Unawaited> unawaited;
    void completeFirst();
  };
  struct Signal {
    uint32_t barrier, phase;
    uint64_t operation;
    Origin origin;
    ThreadCopies *copies; ///< null: all of the operation has been waited for
    uint32_t mask;
  };
  void done(uint64_t operation, uint32_t mask, bool readingAlone, const Warp *waiter);
  /// Bulk copies that have not happened.
  size_t pendingCopies() const;
  bool outstanding() const;
  /// Nobody runs and nothing is under way: waiting for an mbarrier may time out.
  bool timeOut();

  Block &block;
  std::vector<PerWarp> warps;
  std::vector<PerWarpgroup> warpgroups;
  std::vector<std::unique_ptr<BulkCopy>> copies;
  std::vector<Signal> unseen;
  uint64_t operations = 0;
  uint64_t seenChanges = 0;
  int idleCalls = 0, timeouts = 0;
};

} // namespace ingot::emulator
