/// The check of asynchronous work in one cluster (`async`, `wgmma-fence`).
///
/// An operation owns what it writes and holds what it reads until somebody has waited for it, at
/// whatever moment it happened. Reported are reads of what an operation still writes, writes to
/// what it still reads or writes, by the program or by another operation; uses of the registers
/// that a wgmma still writes and writes to those that it still reads. An access that nothing orders
/// with the issue of the operation is a race instead, whatever has happened of the two first; and
/// of one that comes after the issue, but not after the waiting, the checks of races say `async`.
#pragma once
#include "runtime/emulator/checks/ThreadClocks.h"
#include <unordered_map>

namespace ingot::emulator {

class AsyncChecks {
public:
  /// `multiplies`: the kernel itself, not what it calls, has a wgmma.
  AsyncChecks(Cluster &cluster, const ThreadClocks &clocks, bool multiplies);

  void instruction(Warp &warp, const Instruction &instruction, uint32_t mask);
  /// True after a finding.
  bool access(Warp &warp, const Instruction &instruction, const Access &access, const Runs &runs);
  bool asyncRange(Warp &warp, const Instruction &instruction, int lane, uint64_t operation,
                  Access::Kind kind, Space space, uint64_t address, uint64_t bytes);
  void asyncRegisters(Warp &warp, const Instruction &instruction, uint64_t operation,
                      std::span<const Slot> read, std::span<const Slot> written);
  void asyncDone(uint64_t operation, uint32_t lanes, bool readingAlone);
  void registerFence(Warp &warp);

private:
  /// Shared memory is watched in pieces of this size: what the smallest copies move.
  static constexpr uint32_t granule = 4;
  struct SharedState {
    std::vector<uint32_t> writers;   ///< number of the operation that writes it; 0: none
    std::vector<uint32_t> readers;   ///< the last operation that began to read it
    std::vector<uint16_t> readCount; ///< operations that read it
  };
  struct Range {
    Space space;
    Access::Kind kind;
    int lane; ///< or allOfWarp
    uint32_t block;
    uint64_t begin, end; ///< granules of shared memory, or global addresses
    bool writes() const { return kind != Access::Kind::AsyncRead; }
    uint32_t lanes() const { return lane == allOfWarp ? allLanes : uint32_t(1) << lane; }
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
    Warp *warp = nullptr;
    Entry issue;
    uint64_t executed = 0; ///< of the warp when it began
    std::vector<Range> ranges;
    uint64_t globalBegin = ~uint64_t(0), globalEnd = 0; ///< around its ranges in global memory
    std::vector<Registers> registers;
  };

  Operation &operationOf(Warp &warp, const Instruction &instruction, uint64_t id);
  void release(Operation &operation, uint32_t lanes, bool readingAlone);
  bool accessShared(Warp &warp, const Instruction &instruction, const Access &access,
                    const Runs &runs);
  bool accessGlobal(Warp &warp, const Instruction &instruction, const Access &access);
  /// What an access meets too early: a range of an operation under way.
  struct Met {
    const Operation *operation = nullptr;
    const Range *range = nullptr;
  };
  /// An operation under way, other than `self`, that an access to a global range meets.
  Met meets(const Operation *self, Access::Kind kind, uint64_t begin, uint64_t end) const;
  /// … or to a granule of shared memory.
  Met meetsAt(uint32_t rank, uint64_t place, bool writes) const;
  /// An access by `lane` (or by the warp) of `where` meets an operation.
  void report(Warp &warp, const Instruction &instruction, int lane, bool writes,
              const std::string &where, uint64_t address, const Met &met) const;

  void checkRegistersInUse(Warp &warp, const Instruction &instruction, uint32_t mask);
  WarpState &stateOf(const Warp &warp);

  const ThreadClocks &clocks;
  std::vector<SharedState> shared;                ///< by rank
  std::vector<WarpState> warps;                   ///< of all blocks; empty in kernels without wgmma
  std::unordered_map<uint64_t, uint32_t> numbers; ///< of operations under way
  std::vector<Operation> operations;              ///< by number; [0] is none
  std::vector<uint32_t> freeNumbers;
  std::vector<uint32_t> globalOwners;   ///< operations with ranges in global memory
  std::vector<uint32_t> registerOwners; ///< operations with registers
};

} // namespace ingot::emulator
