/// What checks see of a launch. Without an observer nothing of it costs more than a null test.
#pragma once
#include "runtime/emulator/machine/CheckNames.h"
#include "runtime/emulator/machine/Code.h"
#include <array>
#include <span>

namespace ingot::emulator {

struct Cluster;
struct Block;
struct Extent;
struct Frame;
class Runs;

/// Where something was found.
struct Finding {
  std::string check;   ///< "out-of-bounds": the name that turns the check off
  std::string message; ///< one sentence
  std::string kernel;
  int line = 0;         ///< of the PTX
  std::string text;     ///< that line
  std::string location; ///< "file:line" by .loc, with its callers; may be empty
  std::array<uint32_t, 3> block{}, thread{};
  uint64_t address = 0;
  int64_t count = 1; ///< how often the same instruction did the same
  bool note = false; ///< harmless as it stands: does not fail the launch
  /// `check: message` and where.
  std::string str() const;
};

/// What an access does for other threads. Weak ones do nothing and race; the others are "strong".
enum class Order : uint8_t { Weak, Relaxed, Acquire, Release, AcquireRelease };
/// The threads for which it does so: of the block, the cluster, the device and beyond.
enum class Scope : uint8_t { Block, Cluster, Device };

struct MemoryOrder {
  Order order = Order::Weak;
  Scope scope = Scope::Device;
  bool strong() const { return order != Order::Weak; }
  bool acquires() const { return order == Order::Acquire || order == Order::AcquireRelease; }
  bool releases() const { return order == Order::Release || order == Order::AcquireRelease; }
};

/// What a store is about to write: registers of the warp, or bytes of host memory.
struct StoredValues {
  const Slot *slots = nullptr;
  uint32_t count = 0, elementBytes = 0, registerBytes = 0;
  const std::byte *data = nullptr; ///< of the one lane of an asynchronous copy
};

/// One memory access of a warp, before it happens.
struct Access {
  /// AsyncReduce: a bulk reduction.
  enum class Kind : uint8_t { Read, Write, Atomic, AsyncRead, AsyncWrite, AsyncReduce };
  Kind kind = Kind::Read;
  Space space = Space::Global; ///< never generic: Global, Shared, Local or Param
  MemoryOrder order = {};
  uint32_t bytes = 0; ///< of each lane
  uint32_t mask = 0;
  const uint64_t *addresses = nullptr; ///< of 32 lanes, + `window`: global or generic
  uint64_t window = 0;
  const Runs *runs = nullptr; ///< of the addresses without `window`, if they are known already
  /// Of matrices: which lane moves what is not for the program to know.
  bool collective = false;
  bool nonCoherent = false;       ///< ld.global.nc
  bool asyncProxy = false;        ///< of a bulk copy or a product
  bool tensorMap = false;         ///< a copy reads its tensor map
  StoredValues values = {};       ///< nothing where they are not known
  const Extent *extent = nullptr; ///< that all lanes lie in, if it is known already

  uint64_t addressOf(int lane) const { return window + addresses[lane]; }
};

/// What a proxy fence orders.
enum class ProxyFence : uint8_t { Async, TensorMapRelease, TensorMapAcquire };

/// In place of a lane: all of the warp together.
inline constexpr int allOfWarp = -1;

/// Watches one cluster; called by the one thread that runs it.
class ClusterObserver {
public:
  virtual ~ClusterObserver() = default;
  /// Reasons to be told of instructions; as long as there are none, `instruction` is not called.
  uint32_t watching = 1;
  /// Before every instruction; `mask` is empty where the guard is false for all lanes.
  virtual void instruction(Warp &warp, const Instruction &instruction, uint32_t mask) {}
  virtual void access(Warp &warp, const Instruction &instruction, const Access &access) {}
  /// A frame has been made for a call (or the kernel): its registers are uninitialised.
  virtual void enter(Warp &warp, Frame &frame) {}

  // Synchronisation. `lanes` is a mask.

  /// bar.warp.sync: the lanes have met. Other .sync instructions order no memory.
  virtual void warpSync(Warp &warp, uint32_t lanes) {}
  virtual void fence(Warp &warp, uint32_t lanes, MemoryOrder order) {}
  /// fence.mbarrier_init: only what the thread has initialised.
  virtual void initialisationFence(Warp &warp, uint32_t lanes) {}
  /// `address`: of the tensor map of an acquiring fence.
  virtual void proxyFence(Warp &warp, uint32_t lanes, ProxyFence fence, uint64_t address) {}
  /// A barrier of the block (0-15) or of the cluster (16). Without `publishes` the arrival is
  /// relaxed.
  virtual void barrierArrive(Warp &warp, uint32_t lanes, int id, bool publishes) {}
  /// All threads that the barrier waits for have come.
  virtual void barrierComplete(Block &block, int id) {}
  virtual void barrierLeave(Warp &warp, uint32_t lanes, int id) {}
  /// mbarriers lie at `offset` of a block's shared memory.
  virtual void mbarrierBegin(Block &block, uint32_t offset) {}
  virtual void mbarrierEnd(Block &block, uint32_t offset) {}
  virtual void mbarrierArrive(Warp &warp, int lane, Block &block, uint32_t offset,
                              MemoryOrder order) {}
  virtual void mbarrierComplete(Block &block, uint32_t offset, uint32_t phase) {}
  /// The lanes have seen its last phase over.
  virtual void mbarrierSeen(Warp &warp, uint32_t lanes, Block &block, uint32_t offset,
                            MemoryOrder order) {}

  // Work that goes on by itself. `operation` is unique in the cluster.

  /// From now on the operation, which `lane` has issued, may read or write the range, until it is
  /// done; addresses as in Access.
  virtual void asyncRange(Warp &warp, const Instruction &instruction, int lane, uint64_t operation,
                          Access::Kind kind, Space space, uint64_t address, uint64_t bytes) {}
  /// A part of a wgmma: the registers that it reads and those that it writes.
  virtual void asyncRegisters(Warp &warp, const Instruction &instruction, uint64_t operation,
                              std::span<const Slot> read, std::span<const Slot> written) {}
  /// The operation's writes by these lanes count for the present phase of an mbarrier.
  virtual void asyncSignals(uint64_t operation, uint32_t lanes, Block &block, uint32_t offset,
                            uint32_t phase) {}
  /// Somebody has waited for these lanes' part of the operation, or for its reading alone. `waiter`
  /// is the warp that waits for its own work; null: the waiting was for an mbarrier.
  virtual void asyncDone(uint64_t operation, uint32_t lanes, bool readingAlone,
                         const Warp *waiter) {}
  /// The warp has waited for the first `count` products that it has issued.
  virtual void productsAwaited(Warp &warp, uint64_t count) {}
  /// wgmma.fence
  virtual void registerFence(Warp &warp) {}
};

/// Watches launches; called by several threads.
class Observer {
public:
  virtual ~Observer() = default;
  virtual std::unique_ptr<ClusterObserver> begin(Cluster &cluster) = 0;
};

} // namespace ingot::emulator
