/// What checks see of a launch. Without an observer nothing of it costs more than a null test.
#pragma once
#include "runtime/emulator/machine/CheckNames.h"
#include "runtime/emulator/machine/Code.h"
#include <array>
#include <span>

namespace ingot::emulator {

struct Cluster;
struct Block;
struct Frame;

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
  /// `check: message` and where.
  std::string str() const;
};

/// One memory access of a warp, before it happens.
struct Access {
  enum class Kind : uint8_t { Read, Write, Atomic, AsyncRead, AsyncWrite };
  Kind kind = Kind::Read;
  Space space = Space::Global; ///< never generic: Global, Shared, Local or Param
  bool ordered = false;        ///< volatile, relaxed, acquire, release: no data race by itself
  uint32_t bytes = 0;          ///< of each lane
  uint32_t mask = 0;
  const uint64_t *addresses = nullptr; ///< of 32 lanes: global, or generic with the space's window
};

/// What a proxy fence orders.
enum class ProxyFence : uint8_t { Async, TensorMapRelease, TensorMapAcquire };

/// Watches one cluster; called by the one thread that runs it.
class ClusterObserver {
public:
  virtual ~ClusterObserver() = default;
  /// Before every instruction; `mask` is empty where the guard is false for all lanes.
  virtual void instruction(Warp &warp, const Instruction &instruction, uint32_t mask) {}
  virtual void access(Warp &warp, const Instruction &instruction, const Access &access) {}
  /// All threads that a barrier waited for have come. `id` 0-15; 16 is the cluster's.
  virtual void barrier(Block &block, int id) {}
  /// Lanes were brought together by a .sync instruction (bar.warp.sync, shfl.sync, …).
  virtual void warpSync(Warp &warp, uint32_t lanes) {}
  /// A frame has been made for a call (or the kernel): its registers are uninitialised.
  virtual void enter(Warp &warp, Frame &frame) {}

  // Work that goes on by itself. `operation` is unique in the cluster.

  /// From now on the operation may read or write the range, until it is done; addresses as in
  /// Access.
  virtual void asyncRange(Warp &warp, const Instruction &instruction, uint64_t operation,
                          Access::Kind kind, Space space, uint64_t address, uint64_t bytes) {}
  /// A part of a wgmma: the registers that it reads and those that it writes.
  virtual void asyncRegisters(Warp &warp, const Instruction &instruction, uint64_t operation,
                              std::span<const Slot> read, std::span<const Slot> written) {}
  /// Somebody has waited for the operation, or for its reading alone.
  virtual void asyncDone(uint64_t operation, bool readingAlone) {}
  /// `address`: of the tensor map of an acquiring fence, or of the one that is published alone.
  virtual void proxyFence(Warp &warp, uint32_t lanes, ProxyFence fence, uint64_t address) {}
  /// A copy, or a prefetch (operation 0), reads a tensor map in global memory through the tensormap
  /// proxy; the copy may do so until it is done.
  virtual void tensorMapUse(Warp &warp, const Instruction &instruction, int lane,
                            uint64_t operation, uint64_t address) {}
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
