/// The state of a running grid: clusters of blocks of warps.
#pragma once
#include "runtime/emulator/machine/Code.h"
#include "runtime/emulator/machine/Memory.h"
#include "runtime/emulator/machine/Observer.h"
#include "runtime/emulator/machine/Runs.h"
#include <atomic>
#include <cstring>
#include <limits>
#include <mutex>
#include <random>

namespace ingot::emulator {

struct Dim3 {
  uint32_t x = 1, y = 1, z = 1;
  uint64_t count() const { return uint64_t(x) * y * z; }
};

struct LaunchOptions {
  int threads = 0;   ///< host threads; 0: one per CPU
  uint64_t seed = 0; ///< draws the order of blocks and warps
  /// Warp instructions after which a launch counts as stuck; 0: never.
  uint64_t instructionLimit = 0;
  int64_t localLimit = 512 * 1024; ///< bytes of local memory and call stack for each thread
  std::vector<std::string> off;    ///< checks whose findings are dropped
  bool strict = false;             ///< notes are findings, too
};

struct LaunchRequest {
  const CompiledKernel *kernel = nullptr;
  Dim3 grid, block, cluster;
  int64_t dynamicSharedBytes = 0;
  /// Of a cooperative launch: 8 bytes of device memory, zeros before it, for barriers of the grid.
  uint64_t gridWorkspace = 0;
  std::vector<std::byte> parameters; ///< laid out as the kernel's parameters
};

/// What all threads of a launch share.
struct Launch {
  const LaunchRequest request;
  LaunchOptions options;
  GlobalMemory &memory;
  Observer *observer = nullptr;
  std::atomic<bool> stopped{false};      ///< set by a finding after which nothing makes sense
  std::atomic<uint64_t> instructions{0}; ///< warp instructions of finished slices
  std::atomic<bool> lastHasBegun{false}; ///< no block is left that has not

  Launch(LaunchRequest request, LaunchOptions options, GlobalMemory &memory)
      : request(std::move(request)), options(options), memory(memory) {}

  /// Adds a finding, or counts it if the same instruction had the same before.
  void report(Finding finding);
  std::vector<Finding> takeFindings();

private:
  std::mutex mutex;
  std::vector<Finding> findings;
};

/// The registers of one call. Lanes of a warp that call together share it.
struct Frame {
  const CompiledFunction *function = nullptr;
  std::byte *registers = nullptr;
  Frame *caller = nullptr;
  uint32_t returnPc = 0;
  uint32_t lanesInside = 0;
  int depth = 0;
  int64_t localBase = 0; ///< of its part of each lane's local memory
  std::unique_ptr<std::byte[]> storage;
};

/// Lanes of a warp that stand at the same instruction.
struct Fragment {
  enum class Wait : uint8_t {
    None,
    Converge,  ///< for other lanes of the warp to come to the same instruction
    Barrier,   ///< `id`
    Cluster,   ///< for the cluster's barrier
    Other,     ///< until somebody resumes it: see Warp::wait
    Registers, ///< for the block's pool to have as many
  };
  uint32_t pc = 0;
  uint32_t mask = 0;
  Frame *frame = nullptr;
  Wait wait = Wait::None;
  bool resumed = false;  ///< what it waited for has come: the instruction runs again
  bool deferred = false; ///< has run for long: others first
  int id = 0;
  uint32_t result = 0; ///< of bar.red
};

/// "file:line inlined at file:line": empty without line information.
std::string describeLocation(const ptx::Module &module, const ptx::Function &function,
                             int location);

struct Warp {
  // What handlers use all the time.
  std::byte *registers = nullptr; ///< of the running frame
  uint32_t pc = 0;
  uint32_t active = 0;  ///< lanes that run; a handler's mask is a part of it
  uint32_t limit = 0;   ///< another fragment waits at this instruction of the frame
  bool event = false;   ///< handlers set it to have the fragments sorted again
  bool yield = false;   ///< handlers set it to let other warps run first
  bool resumed = false; ///< this instruction runs again after waiting
  uint32_t resumeResult = 0;
  Frame *frame = nullptr;
  Block *block = nullptr;
  Launch *launch = nullptr;
  ClusterObserver *observer = nullptr;

  int index = 0;        ///< in its block
  uint32_t present = 0; ///< lanes that exist
  uint32_t exited = 0;
  uint32_t carry = 0;              ///< CC.CF of each lane
  int registersPerThread = 0;      ///< by setmaxnreg; 0: what the kernel starts with
  std::vector<Fragment> fragments; ///< all but the running one
  uint64_t *counters = nullptr;    ///< executions, by CompiledFunction::firstCounter + pc
  uint64_t executed = 0;
  uint64_t plainAccesses = 0, orderedAccesses = 0; ///< memory instructions: weak, strong
  uint32_t backward = 0;        ///< backward branches while other fragments waited
  const Extent *recent[8] = {}; ///< of global accesses, by instruction
  std::vector<std::byte> local; ///< lane after lane, `localStride` bytes each
  int64_t localStride = 0;
  uint64_t clusterPhase[lanes] = {}; ///< the cluster barrier's phase that each lane arrived in

  template <typename T> T *reg(Slot slot) { return reinterpret_cast<T *>(registers + slot); }
  uint32_t &predicate(Slot slot) { return *reg<uint32_t>(slot); }
  uint32_t live() const { return present & ~exited; }
  bool finished() const { return live() == 0; }

  /// Runs until it waits, ends, yields or has done `budget` instructions. Returns how many it did.
  uint64_t run(uint64_t budget);
  bool runnable() const;

  // For handlers.

  /// Lanes in `taken` go on at `target`, the other active ones at `pc`.
  void branch(uint32_t taken, uint32_t target);
  /// The lanes end; `exit`, or `ret` in the kernel.
  void exit(uint32_t mask);
  void call(const CompiledFunction &function, uint32_t mask);
  /// The lanes return from the frame; in the kernel they end.
  void ret(uint32_t mask);
  /// Makes sure that all live lanes of `members` have come to this instruction. If not, the active
  /// lanes wait (the instruction runs again) and false is returned: the handler then returns.
  bool converge(const Instruction &instruction, uint32_t members);
  /// The same for lanes with masks of their own. Returns the lanes of `mask` that may go on; the
  /// others wait at the instruction.
  uint32_t converge(const Instruction &instruction, uint32_t mask, const uint32_t *members);
  /// The lanes of `mask` wait at this instruction, which runs again with `resumed` once
  /// `resumeWaiting` names them; the other active lanes go on.
  void wait(const Instruction &instruction, uint32_t mask, Fragment::Wait kind, int id = 0);
  /// Lets other warps (and other lanes) run first; for instructions that poll.
  void yieldNow() { yield = event = true; }
  /// Ends the waiting of fragments (of this kind and id).
  void resumeWaiting(Fragment::Wait kind, int id, uint32_t result = 0);
  /// Reports a finding about the first lane of `mask`; a note unless notes are wanted as findings.
  void report(const Instruction &instruction, uint32_t mask, CheckName check, std::string message,
              uint64_t address = 0, bool note = false);
  /// A lane's thread index in its block.
  Dim3 threadOf(int lane) const;
  /// What each fragment does, for reports of a deadlock.
  std::string describe() const;

private:
  template <bool observed> void execute(uint64_t budget);
  bool select();
  void push(Fragment fragment);
  Frame *makeFrame(const CompiledFunction &function);
  std::vector<std::unique_ptr<Frame>> frames;
  std::vector<Frame *> freeFrames;
  friend struct Block;
  void begin(Block &block, int index);
};

/// Work that goes on by itself (copies, tensor instructions) and the waiting for it.
class AsyncUnit {
public:
  virtual ~AsyncUnit() = default;
  /// Does a piece of outstanding work, drawn from `random`; false if there is none. Called between
  /// slices of warps, and until it returns false when all warps wait.
  virtual bool advance(std::mt19937_64 &random) = 0;
  /// The block has ended: what is still under way happens now, and what should have been waited for
  /// is reported.
  virtual void finish() = 0;
  /// What is outstanding, for reports of a deadlock; empty if nothing.
  virtual std::string describe() const = 0;
};

struct Barrier {
  uint32_t arrived = 0;  ///< threads
  uint32_t expected = 0; ///< threads; 0: all that live
  bool used = false;     ///< somebody has arrived since it was last completed
  /// Of those who have arrived at an aligned barrier of all threads: the first.
  const Instruction *instruction = nullptr;
  Warp *warp = nullptr;
  Frame *frame = nullptr;
  uint32_t sum = 0; ///< bar.red.popc
  bool all = true, any = false;
};

struct Block {
  Cluster *cluster = nullptr;
  Launch *launch = nullptr;
  Dim3 index;
  uint32_t rank = 0; ///< in its cluster
  std::vector<std::byte> shared;
  std::vector<std::unique_ptr<Warp>> warps;
  Barrier barriers[16];
  int64_t freeRegisters = 0;        ///< that setmaxnreg has given back
  std::unique_ptr<AsyncUnit> async; ///< made by the first instruction that needs it
  uint32_t liveThreads = 0;

  void begin(Cluster &cluster, uint32_t rank, Dim3 index, uint64_t *counters);
  /// After arrivals and exits: completes the barrier if everyone has come.
  void checkBarrier(int id);
  void threadsExited(uint32_t count);
};

struct Cluster {
  Launch *launch = nullptr;
  Dim3 index; ///< in the grid of clusters
  std::vector<std::unique_ptr<Block>> blocks;
  std::unique_ptr<ClusterObserver> observer;
  RecentRuns recentRuns; ///< of accesses that the observer is told of
  std::mt19937_64 random;
  // barrier.cluster
  uint64_t phase = 0;
  uint32_t arrived = 0;
  uint32_t liveThreads = 0;
  uint64_t slices = 0;

  void begin(Launch &launch, uint64_t number, uint64_t *counters);
  /// One slice of every warp. False when nothing is left to run.
  bool step();
  /// Since the last call: memory was only polled (volatile, acquire, atomic), so somebody else has
  /// to do something first.
  bool onlyPolled();
  void checkBarrier();
  /// All warps wait and no work is outstanding.
  void reportDeadlock();
  /// The launch's limit is reached: by this warp, or (null) when the cluster ended.
  void reportNoEnd(Warp *running);
};

/// Runs a launch to its end.
struct LaunchResult {
  std::vector<Finding> findings;
  bool stopped = false; ///< by one of them, before its end
  uint64_t warpInstructions = 0;
  double seconds = 0;
  std::vector<uint64_t> counters; ///< executions, by CompiledFunction::firstCounter + index
};
Result<LaunchResult> run(LaunchRequest request, const LaunchOptions &options, GlobalMemory &memory,
                         Observer *observer = nullptr);

} // namespace ingot::emulator
