/// The check of asynchronous work in one cluster (`async`, `proxy-fence`, `wgmma-fence`).
///
/// An operation owns what it writes and holds what it reads until somebody has waited for it, at
/// whatever moment it happened. Reported are reads of what an operation still writes, writes to
/// what it still reads or writes, by the program or by another operation; uses of the registers
/// that a wgmma still writes and writes to those that it still reads; and generic writes to shared
/// memory that an operation reads without a fence.proxy.async by the writer or the issuer in
/// between.
#pragma once
#include "runtime/emulator/machine/Machine.h"
#include <unordered_map>

namespace ingot::emulator {

class AsyncChecks final : public ClusterObserver {
public:
  explicit AsyncChecks(Cluster &cluster);

  void instruction(Warp &warp, const Instruction &instruction, uint32_t mask) override;
  void access(Warp &warp, const Instruction &instruction, const Access &access) override;
  void asyncRange(Warp &warp, const Instruction &instruction, uint64_t operation, Access::Kind kind,
                  Space space, uint64_t address, uint64_t bytes) override;
  void asyncRegisters(Warp &warp, const Instruction &instruction, uint64_t operation,
                      std::span<const Slot> read, std::span<const Slot> written) override;
  void asyncDone(uint64_t operation, bool readingAlone) override;
  void proxyFence(Warp &warp, uint32_t mask, ProxyFence fence, uint64_t address) override;
  void registerFence(Warp &warp) override;

private:
  /// Shared memory is watched in pieces of this size: what the smallest copies move.
  static constexpr uint32_t granule = 4;
  struct SharedState {
    std::vector<uint32_t> writers;   ///< number of the operation that writes it; 0: none
    std::vector<uint32_t> readers;   ///< the last operation that began to read it
    std::vector<uint16_t> readCount; ///< operations that read it
    std::vector<uint64_t> written;   ///< time of the last generic write
    std::vector<uint16_t> writtenBy; ///< its thread
    std::vector<uint64_t> fenced;    ///< time of each thread's last proxy fence
  };
  struct Range {
    Space space;
    bool writes;
    uint32_t block;
    uint64_t begin, end; ///< granules of shared memory, or global addresses
  };
  struct Registers {
    Warp *warp;
    const Frame *frame;
    std::vector<Slot> read, written;
  };
  /// When a warp last used each register of the kernel's frame; times are its instructions.
  struct WarpState {
    std::vector<uint64_t> used; ///< by slot / 64
    uint64_t fenced = 0;
  };
  struct Operation {
    uint64_t id = 0;
    int line = 0;
    const Instruction *instruction = nullptr;
    std::vector<Range> ranges;
    std::vector<Registers> registers;
  };

  Operation &operationOf(Warp &warp, const Instruction &instruction, uint64_t id);
  void release(Operation &operation, bool readingAlone);
  void accessShared(Warp &warp, const Instruction &instruction, const Access &access);
  void accessGlobal(Warp &warp, const Instruction &instruction, const Access &access);
  /// The thread's number in its block.
  static uint16_t threadOf(const Warp &warp, int lane) {
    return static_cast<uint16_t>(warp.index * lanes + lane);
  }

  void checkRegistersInUse(Warp &warp, const Instruction &instruction, uint32_t mask);
  WarpState &stateOf(const Warp &warp);

  std::vector<SharedState> shared;                ///< by rank
  std::vector<WarpState> warps;                   ///< of all blocks; empty in kernels without wgmma
  std::unordered_map<uint64_t, uint32_t> numbers; ///< of operations under way
  std::vector<Operation> operations;              ///< by number; [0] is none
  std::vector<uint32_t> freeNumbers;
  std::vector<uint32_t> globalWriters;  ///< operations with ranges in global memory
  std::vector<uint32_t> registerOwners; ///< operations with registers
  uint64_t time = 1;
};

} // namespace ingot::emulator
