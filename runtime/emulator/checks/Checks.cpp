#include "runtime/emulator/checks/Checks.h"
#include "runtime/emulator/checks/AsyncChecks.h"
#include "runtime/emulator/checks/GlobalChecks.h"
#include "runtime/emulator/checks/RegisterCheck.h"
#include "runtime/emulator/checks/SharedChecks.h"
#include "runtime/emulator/machine/AsyncEngine.h"
#include "runtime/emulator/machine/MemoryAccess.h"
#include <algorithm>
#include <bit>

namespace ingot::emulator {

struct FunctionFacts {
  std::vector<Role> roles;
  /// Something asynchronous; something by which strong accesses could publish or hear.
  bool isAsync = false, orders = false;
  bool multiplies = false; ///< wgmma
  RegisterFacts registers;
};

namespace {

/// What looking for it costs time, and what turns that off; the machine itself reports the others.
struct Switch {
  std::string_view name;
  bool CheckOptions::*field;
};
constexpr Switch switches[] = {
    {"uninitialised-register", &CheckOptions::registers},
    {"uninitialised-memory", &CheckOptions::memory},
    {"shared-race", &CheckOptions::sharedRaces},
    {"global-race", &CheckOptions::globalRaces},
    {"async", &CheckOptions::async},
    {"profile", &CheckOptions::profile},
};

bool has(const ptx::Instruction &source, std::string_view modifier) {
  return std::find(source.modifiers.begin(), source.modifiers.end(), modifier) !=
         source.modifiers.end();
}

Role roleOf(const ptx::Instruction &source) {
  const std::string_view opcode = source.opcode;
  if (opcode == "mbarrier")
    return has(source, "init") ? Role::Initialises : Role::OfMbarrier;
  if (opcode == "atom" && has(source, "cas"))
    return Role::Swaps;
  if (opcode == "wgmma")
    return Role::AsyncProxy;
  if (opcode != "cp")
    return (opcode == "st" || opcode == "red") && has(source, "async") ? Role::OfMbarrier
                                                                       : Role::None;
  if (has(source, "bulk"))
    return Role::AsyncProxy;
  return has(source, "mbarrier") ? Role::OfMbarrier : Role::ThreadCopy;
}

bool isAsync(const ptx::Instruction &source) {
  return source.opcode == "cp" || source.opcode == "wgmma" || has(source, "async");
}

/// A fence, or an access that acquires or releases.
bool ordersOthers(const ptx::Instruction &source) {
  return source.opcode == "fence" || source.opcode == "membar" || has(source, "acquire") ||
         has(source, "release") || has(source, "acq_rel");
}

std::string registerName(const CompiledFunction &function, const Instruction &instruction,
                         Slot slot) {
  // The decoder asks for operands in the order of the text more often than not, but slots are what
  // is sure: look for an operand whose register has this slot by its position among the uses.
  const Detail &detail = function.details[instruction.index];
  const auto position = std::find_if(detail.uses.begin(), detail.uses.end(),
                                     [&](const Detail::Use &use) { return use.slot == slot; });
  if (!detail.source || position == detail.uses.end())
    return "a register";
  return fmt::format("register operand {} of '{}'", position - detail.uses.begin() + 1,
                     detail.source->text);
}

} // namespace

/// Of one launch.
class Inspection {
public:
  Inspection(const CompiledKernel &kernel, const CheckOptions &options)
      : options(options), kernel(kernel) {
    for (const auto &function : kernel.functions)
      std::call_once(function->factsMade, [&] {
        auto made = std::make_shared<FunctionFacts>();
        for (const Detail &detail : function->details) {
          made->roles.push_back(detail.source ? roleOf(*detail.source) : Role::None);
          made->isAsync |= detail.source && isAsync(*detail.source);
          made->orders |= detail.source && ordersOthers(*detail.source);
          made->multiplies |= detail.source && detail.source->opcode == "wgmma";
        }
        made->registers = RegisterFacts::of(*function);
        function->facts = std::move(made);
      });
    bool isAsync = false;
    for (const auto &function : kernel.functions) {
      isAsync |= function->facts->isAsync;
      hasRoles |=
          std::ranges::any_of(function->facts->roles, [](Role role) { return role != Role::None; });
      orders |= function->facts->orders;
      multiplies |= function->facts->multiplies;
      watchesRegisters |= options.registers && !function->facts->registers.instructions.empty();
    }
    this->options.async &= isAsync;
    global = std::make_unique<GlobalChecks>(this->options);
  }

  CheckOptions options;
  bool hasRoles = false;
  bool orders = false; ///< strong accesses may publish something
  bool watchesRegisters = false;
  bool multiplies = false; ///< wgmma: registers in use are watched, too
  const CompiledKernel &kernel;
  std::unique_ptr<GlobalChecks> global;
  std::mutex mutex;
  MemoryCounters counters;
};

namespace {

class ClusterChecks final : public ClusterObserver {
public:
  ClusterChecks(Inspection &inspection, Cluster &cluster)
      : inspection(inspection), cluster(cluster), options(inspection.options),
        races(options.sharedRaces || options.globalRaces || options.async),
        blocks(cluster.blocks.size()) {
    if (options.async)
      async.emplace(cluster, clocks, inspection.kernel.functions[0]->facts->multiplies);
    watching = inspection.watchesRegisters + (options.async && inspection.multiplies);
    clocks.begin(cluster);
  }

  ~ClusterChecks() override {
    std::lock_guard lock(inspection.mutex);
    inspection.counters += counters;
  }

  void instruction(Warp &warp, const Instruction &instruction, uint32_t mask) override {
    if (!strongReads.empty())
      hearStrongReads();
    if (async)
      async->instruction(warp, instruction, mask);
    if (!mask || !inspection.watchesRegisters)
      return;
    const FunctionFacts &known = *warp.frame->function->facts;
    if (!known.registers.instructions.empty())
      followRegisters(warp, instruction, known.registers, mask);
  }

  void access(Warp &warp, const Instruction &instruction, const Access &access) override {
    if (!access.mask)
      return;
    const Runs &runs =
        access.runs ? *access.runs
                    : recentRuns.of(instruction, access.mask, access.bytes, access.addresses);
    if (options.profile)
      counters.count(access, runs);
    if (access.space != Space::Global && access.space != Space::Shared)
      return;
    if (races)
      clocks.touch(warp, access.mask);
    const Role role = inspection.hasRoles ? roleOf(instruction) : Role::None;
    if (async && async->access(warp, instruction, access, runs))
      return; // that there is no order either goes without saying
    RaceCheck check(clocks, warp, access, role);
    if (access.space == Space::Global) {
      if (options.memory || races)
        inspection.global->access(instruction, check, runs, clocks, recent);
    } else {
      const bool byMbarrier =
          role == Role::Initialises || (role > Role::Swaps && access.kind == Access::Kind::Atomic);
      for (const Run &run : runs) {
        BlockState &state = stateOf(uint32_t(run.address) >> clusterRankShift);
        if (!check.reads() && !byMbarrier && state.block->async)
          overwrites(warp, instruction, run, *state.block);
        state.shared.access(instruction, check, run);
      }
    }
    if (access.order.strong() && inspection.orders && role <= Role::Swaps)
      strongAccess(warp, access);
  }

  void enter(Warp &warp, Frame &frame) override {
    const FunctionFacts &known = *frame.function->facts;
    if (!options.registers || known.registers.instructions.empty())
      return;
    recentFrame = nullptr;
    std::vector<uint32_t> &shadow = shadows[&frame];
    shadow.assign(known.registers.shadowWords, 0);
    for (const Place &place : frame.function->parameters)
      if (place.slot != noSlot)
        shadow[place.slot / 4] = allLanes;
  }

  void warpSync(Warp &warp, uint32_t lanes) override {
    if (races)
      clocks.meet(warp, lanes);
  }
  void fence(Warp &warp, uint32_t lanes, MemoryOrder order) override {
    if (races)
      clocks.fence(warp, lanes, order);
  }
  void initialisationFence(Warp &warp, uint32_t lanes) override {
    clocks.initialisationFence(warp, lanes);
  }
  void proxyFence(Warp &warp, uint32_t lanes, ProxyFence fence, uint64_t address) override {
    if (!races)
      return;
    clocks.proxyFence(warp, lanes, fence);
    if (fence == ProxyFence::TensorMapAcquire &&
        std::ranges::find(recent.acquiredMaps, address) == recent.acquiredMaps.end())
      recent.acquiredMaps.push_back(address);
  }
  void barrierArrive(Warp &warp, uint32_t lanes, int id, bool publishes) override {
    if (races)
      clocks.barrierArrive(warp, lanes, id, publishes);
  }
  void barrierComplete(Block &block, int id) override {
    if (races)
      clocks.barrierComplete(block, id);
  }
  void barrierLeave(Warp &warp, uint32_t lanes, int id) override {
    if (races)
      clocks.barrierLeave(warp, lanes, id);
  }
  void mbarrierBegin(Block &block, uint32_t offset) override {
    clocks.mbarrierBegin(block, offset);
  }
  void mbarrierArrive(Warp &warp, int lane, Block &block, uint32_t offset,
                      MemoryOrder order) override {
    if (races)
      clocks.mbarrierArrive(warp, lane, block, offset, order);
  }
  void mbarrierComplete(Block &block, uint32_t offset, uint32_t phase) override {
    clocks.mbarrierComplete(block, offset, phase);
  }
  void mbarrierSeen(Warp &warp, uint32_t lanes, Block &block, uint32_t offset,
                    MemoryOrder order) override {
    if (races)
      clocks.mbarrierSeen(warp, lanes, block, offset, order);
  }

  void asyncRange(Warp &warp, const Instruction &instruction, int lane, uint64_t operation,
                  Access::Kind kind, Space space, uint64_t address, uint64_t bytes) override {
    if (!async)
      return;
    const bool reported =
        async->asyncRange(warp, instruction, lane, operation, kind, space, address, bytes);
    const auto [known, fresh] = operations.try_emplace(operation);
    Operation &begun = known->second;
    const Role role = roleOf(instruction);
    if (fresh) {
      begun.warp = &warp;
      begun.issue = clocks.entryOf(warp);
      begun.threadCopy = role == Role::ThreadCopy;
      if (begun.threadCopy)
        begun.copy = clocks.copyBegins(warp);
    }
    begun.ranges.push_back({lane, kind, space, address, uint32_t(bytes)});
    if (space != Space::Shared)
      return;
    const auto low = uint32_t(address);
    if (!reported)
      stateOf(low >> clusterRankShift)
          .shared.begins(warp, instruction, lane, kind, sharedOffset(low), uint32_t(bytes),
                         role == Role::AsyncProxy);
  }
  void asyncRegisters(Warp &warp, const Instruction &instruction, uint64_t operation,
                      std::span<const Slot> read, std::span<const Slot> written) override {
    if (async)
      async->asyncRegisters(warp, instruction, operation, read, written);
  }
  void asyncSignals(uint64_t number, uint32_t lanes, Block &block, uint32_t offset,
                    uint32_t phase) override {
    const auto known = operations.find(number);
    if (known == operations.end())
      return;
    Operation &operation = known->second;
    if (operation.threadCopy) {
      remember(operation, lanes, false, clocks.copy(*operation.warp, operation.copy));
      clocks.copySignals(*operation.warp, lanes, operation.copy, block, offset);
    } else {
      remember(operation, lanes, false, clocks.phaseOf(block, offset, phase));
    }
  }
  void asyncDone(uint64_t number, uint32_t lanes, bool readingAlone, const Warp *waiter) override {
    if (async)
      async->asyncDone(number, lanes, readingAlone);
    const auto known = operations.find(number);
    if (known == operations.end())
      return;
    Operation &operation = known->second;
    Warp &warp = *operation.warp;
    if (operation.threadCopy) {
      remember(operation, lanes, false, clocks.copy(warp, operation.copy));
      if (waiter)
        clocks.copyAwaited(warp, lanes, operation.copy);
    } else if (operation.ranges.empty()) {
      ;
    } else if (operation.ranges.front().lane == allOfWarp) {
      remember(operation, lanes, readingAlone, clocks.product(*waiter));
    } else if (waiter) {
      remember(operation, lanes, readingAlone, clocks.entryOf(warp));
    } // else its phase has told
    std::erase_if(operation.ranges, [&](const Operation::Range &range) {
      return (range.lane == allOfWarp || lanes >> range.lane & 1) &&
             !(readingAlone && range.kind != Access::Kind::AsyncRead);
    });
    if (operation.ranges.empty())
      operations.erase(known);
  }
  void productsAwaited(Warp &warp, uint64_t count) override { clocks.productsAwaited(warp, count); }
  void registerFence(Warp &warp) override {
    if (async)
      async->registerFence(warp);
  }

private:
  struct BlockState {
    Block *block = nullptr; ///< null before its shared memory is first accessed
    SharedChecks shared;
  };

  /// Something asynchronous that nobody has waited for.
  struct Operation {
    struct Range {
      int lane;
      Access::Kind kind;
      Space space;
      uint64_t address;
      uint32_t bytes;
      bool remembered = false;
    };
    Warp *warp = nullptr;
    Entry issue;
    bool threadCopy = false;
    uint32_t copy = 0; ///< its number among the warp's
    std::vector<Range> ranges;
  };
  /// A strong read whose value is not there yet.
  struct StrongRead {
    Warp *warp;
    uint32_t lanes;
    Space space;
    uint64_t address;
    MemoryOrder order;
  };

  BlockState &stateOf(uint32_t rank) {
    BlockState &state = blocks[rank];
    if (!state.block) {
      state.block = cluster.blocks[rank].get();
      state.shared.begin(*state.block, options, clocks);
    }
    return state;
  }

  /// Of the instruction that started what happens now, which its warp may have left long ago.
  Role roleOf(const Instruction &instruction) const {
    for (const auto &function : inspection.kernel.functions)
      if (&instruction >= function->code.data() &&
          &instruction < function->code.data() + function->code.size())
        return function->facts->roles[instruction.index];
    return Role::None;
  }

  /// The operation's accesses of these lanes count as `like` from now on.
  void remember(Operation &operation, uint32_t lanes, bool readingAlone, const Entry &like) {
    for (Operation::Range &range : operation.ranges) {
      const bool reads = range.kind == Access::Kind::AsyncRead;
      if (range.remembered || (readingAlone && !reads) ||
          (range.lane != allOfWarp && !(lanes >> range.lane & 1)))
        continue;
      range.remembered = true;
      Entry entry = like;
      entry.firstLane = int8_t(std::max(range.lane, 0));
      entry.lanes = 1;
      entry.flags = uint8_t((reads ? 0 : Entry::writes) | Entry::async |
                            (range.kind == Access::Kind::AsyncReduce
                                 ? Entry::strong | uint8_t(Scope::Device) << Entry::scopeShift
                                 : 0));
      if (range.space == Space::Shared || !reads)
        clocks.remembersIssue(entry, operation.issue, range.lane);
      if (range.space == Space::Shared) {
        const auto low = uint32_t(range.address);
        stateOf(low >> clusterRankShift)
            .shared.ended(*operation.warp, entry, sharedOffset(low), range.bytes);
      } else if (!reads) {
        inspection.global->written(*operation.warp, entry, range.address, range.bytes, recent);
      }
    }
  }

  /// A write over an mbarrier in use.
  void overwrites(Warp &warp, const Instruction &instruction, const Run &run, Block &block) {
    const auto known =
        AsyncEngine::of(block).barriers.overlapping(sharedOffset(uint32_t(run.address)), run.bytes);
    if (known)
      warp.report(instruction, run.mask(), "mbarrier",
                  fmt::format("overwrites the mbarrier at {}, which is in use: mbarrier.inval is "
                              "missing",
                              placeShared(block, *known)),
                  sharedWindow + mapToRank(*known, block.rank));
  }

  template <typename Use> void withVariable(Space space, uint64_t address, bool make, Use use) {
    if (space == Space::Global)
      return inspection.global->withVariable(address, make, use);
    const auto found = make ? variables.try_emplace(address).first : variables.find(address);
    if (found != variables.end())
      use(found->second);
  }

  void strongAccess(Warp &warp, const Access &access) {
    const bool reads = access.kind != Access::Kind::Write;
    forLanes(access.mask, [&](int lane) {
      const uint64_t address = access.addressOf(lane);
      const bool publishes = access.order.releases() || clocks.hasFenced(warp);
      if (access.kind != Access::Kind::Read)
        withVariable(access.space, address, publishes, [&](SyncVariable &variable) {
          clocks.publishTo(warp, lane, variable, access.order, !reads);
        });
    });
    for (uint32_t left = reads ? access.mask : 0; left;) {
      const uint64_t address = access.addressOf(std::countr_zero(left));
      uint32_t same = 0;
      forLanes(left,
               [&](int lane) { same |= uint32_t(access.addressOf(lane) == address) << lane; });
      watching += strongReads.empty();
      strongReads.push_back({&warp, same, access.space, address, access.order});
      left &= ~same;
    }
  }

  /// After the reads: what was published before them is there.
  void hearStrongReads() {
    for (const StrongRead &read : strongReads)
      withVariable(read.space, read.address, false, [&](SyncVariable &variable) {
        clocks.hearFrom(*read.warp, read.lanes, variable, read.order);
      });
    strongReads.clear();
    --watching;
  }

  void followRegisters(Warp &warp, const Instruction &instruction, const RegisterFacts &known,
                       uint32_t mask) {
    const RegisterFacts::Watched &watched = known.instructions[instruction.index];
    if (watched.empty())
      return;
    if (recentFrame != warp.frame) {
      const auto shadow = shadows.find(warp.frame);
      if (shadow == shadows.end())
        return;
      recentFrame = warp.frame;
      recentShadow = &shadow->second;
    }
    uint32_t missing = mask;
    if (const Detail::Use *use = emulator::followRegisters(watched, recentShadow->data(), missing))
      warp.report(instruction, missing, "uninitialised-register",
                  registerName(*warp.frame->function, instruction, use->slot) +
                      " has not been written");
  }

  Inspection &inspection;
  Cluster &cluster;
  const CheckOptions &options;
  const bool races; ///< somebody asks what is ordered
  ThreadClocks clocks;
  std::optional<AsyncChecks> async;
  std::vector<BlockState> blocks;
  std::unordered_map<uint64_t, Operation> operations;
  std::unordered_map<uint64_t, SyncVariable> variables; ///< in shared memory
  std::vector<StrongRead> strongReads;                  ///< any: one of the reasons in `watching`
  std::map<const Frame *, std::vector<uint32_t>> shadows;
  GlobalChecks::Recent recent;
  RecentRuns recentRuns;
  const Frame *recentFrame = nullptr; ///< and its shadow
  std::vector<uint32_t> *recentShadow = nullptr;
  MemoryCounters counters;
};

} // namespace

std::vector<std::string_view> checkNames() {
  std::vector<std::string_view> result;
  for (const CheckRow &row : checkTable)
    result.push_back(row.name);
  result.push_back("profile");
  return result;
}

Status turnOff(const std::vector<std::string> &off, CheckOptions &checks, LaunchOptions &launch) {
  const std::vector<std::string_view> known = checkNames();
  for (const std::string &name : off) {
    if (std::find(known.begin(), known.end(), name) == known.end())
      return failure(Error::Code::Usage, "--off", "there is no check '{}'; checks are {}", name,
                     fmt::join(known, ", "));
    for (const Switch &row : switches)
      if (row.name == name)
        checks.*row.field = false;
    launch.off.push_back(name);
  }
  return {};
}

Checks::Checks(const CompiledKernel &kernel, const CheckOptions &options)
    : inspection(std::make_unique<Inspection>(kernel, options)) {}
Checks::~Checks() = default;

std::unique_ptr<ClusterObserver> Checks::begin(Cluster &cluster) {
  return std::make_unique<ClusterChecks>(*inspection, cluster);
}

MemoryCounters Checks::counters() const {
  std::lock_guard lock(inspection->mutex);
  return inspection->counters;
}

Footprint Checks::footprint() const {
  return inspection->options.globalRaces ? inspection->global->footprint() : Footprint();
}

} // namespace ingot::emulator
