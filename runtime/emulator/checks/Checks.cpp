#include "runtime/emulator/checks/Checks.h"
#include "runtime/emulator/checks/AsyncChecks.h"
#include "runtime/emulator/checks/GlobalChecks.h"
#include "runtime/emulator/checks/RegisterCheck.h"
#include "runtime/emulator/checks/SharedChecks.h"
#include <algorithm>
#include <bit>

namespace ingot::emulator {

struct FunctionFacts {
  std::vector<Effect> effects;
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

Effect effectOf(const ptx::Instruction &source) {
  const std::string_view opcode = source.opcode;
  if (opcode == "bar" || opcode == "barrier")
    return has(source, "cluster") ? Effect::DeviceSync : Effect::Barrier;
  if (opcode == "mbarrier")
    return has(source, "init") || has(source, "inval") ? Effect::None : Effect::BlockSync;
  if (opcode == "membar" || opcode == "fence")
    return has(source, "cta") ? Effect::BlockSync : Effect::DeviceSync;
  if (opcode == "cp" && !has(source, "bulk") &&
      (has(source, "wait_group") || has(source, "wait_all")))
    return Effect::CopyWait;
  return opcode == "cp" && has(source, "reduce") ? Effect::Reduction : Effect::None;
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
        for (const Detail &detail : function->details)
          made->effects.push_back(detail.source ? effectOf(*detail.source) : Effect::None);
        made->registers = RegisterFacts::of(*function);
        function->facts = std::move(made);
      });
  }

  const CheckOptions options;
  const CompiledKernel &kernel;
  std::unique_ptr<GlobalChecks> global;
  std::once_flag globalMade;
  std::mutex mutex;
  MemoryCounters counters;
};

namespace {

class ClusterChecks final : public ClusterObserver {
public:
  ClusterChecks(Inspection &inspection, Cluster &cluster)
      : inspection(inspection), options(inspection.options), async(cluster),
        blocks(cluster.blocks.size()) {
    std::call_once(inspection.globalMade, [&] {
      inspection.global = std::make_unique<GlobalChecks>(options, cluster.launch->request);
    });
  }

  ~ClusterChecks() override {
    std::lock_guard lock(inspection.mutex);
    inspection.counters += counters;
  }

  void instruction(Warp &warp, const Instruction &instruction, uint32_t mask) override {
    const FunctionFacts &known = *warp.frame->function->facts;
    const Effect effect = known.effects[instruction.index];
    waits = effect == Effect::CopyWait ? &warp : nullptr;
    if (options.async)
      async.instruction(warp, instruction, mask);
    if (!mask)
      return;
    if (options.registers && !known.registers.instructions.empty())
      followRegisters(warp, instruction, known.registers, mask);
    if (effect == Effect::None)
      return;
    if (options.sharedRaces || options.globalRaces)
      stateOf(*warp.block).shared.effect(warp, instruction, effect, mask);
    if (effect == Effect::DeviceSync)
      inspection.global->synchronise(*warp.block);
  }

  void access(Warp &warp, const Instruction &instruction, const Access &access) override {
    if (options.async)
      async.access(warp, instruction, access);
    if (!access.mask)
      return;
    if (options.profile)
      counters.count(access);
    if (access.space == Space::Global) {
      if (options.memory || options.globalRaces)
        inspection.global->access(warp, instruction, access, stateOf(*warp.block).shared.clocks,
                                  effectOfAsync(access, instruction) == Effect::Reduction, recent);
    } else if (access.space == Space::Shared) {
      const int lane = std::countr_zero(access.mask);
      const uint64_t rank = (access.addresses[lane] - sharedWindow) >> 24;
      if (rank < blocks.size() && (options.memory || options.sharedRaces))
        stateOf(*warp.block->cluster->blocks[rank]).shared.access(warp, instruction, access);
    }
  }

  void barrier(Block &block, int id) override {
    BlockClocks &clocks = stateOf(block).shared.clocks;
    clocks.complete(id);
    if (id == 16 || block.barriers[id].expected == 0)
      clocks.nextEpoch();
  }
  void warpSync(Warp &warp, uint32_t lanes) override {
    stateOf(*warp.block).shared.clocks.meet(uint32_t(warp.index));
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

  void asyncRange(Warp &warp, const Instruction &instruction, uint64_t operation, Access::Kind kind,
                  Space space, uint64_t address, uint64_t bytes) override {
    if (options.async)
      async.asyncRange(warp, instruction, operation, kind, space, address, bytes);
    if (options.sharedRaces && kind == Access::Kind::AsyncWrite && space == Space::Shared &&
        (address - sharedWindow) >> 24 == warp.block->rank)
      copies[operation].push_back(
          {&warp, uint32_t(address - sharedWindow) & ((1u << 24) - 1), uint32_t(bytes)});
  }
  void asyncRegisters(Warp &warp, const Instruction &instruction, uint64_t operation,
                      std::span<const Slot> read, std::span<const Slot> written) override {
    if (options.async)
      async.asyncRegisters(warp, instruction, operation, read, written);
  }
  void asyncDone(uint64_t operation, bool readingAlone) override {
    if (options.async)
      async.asyncDone(operation, readingAlone);
    const auto known = copies.find(operation);
    if (readingAlone || known == copies.end())
      return;
    for (const Copy &copy : known->second) {
      SharedChecks &shared = stateOf(*copy.warp->block).shared;
      if (copy.warp == waits)
        shared.copied(uint32_t(copy.warp->index), copy.offset, copy.bytes);
      else
        shared.forget(copy.offset, copy.bytes);
    }
    copies.erase(known);
  }
  void proxyFence(Warp &warp, uint32_t mask, ProxyFence fence, uint64_t address) override {
    if (options.async)
      async.proxyFence(warp, mask, fence, address);
  }
  void registerFence(Warp &warp) override {
    if (options.async)
      async.registerFence(warp);
  }

private:
  struct BlockState {
    bool begun = false;
    SharedChecks shared;
  };

  /// A copy to shared memory that nobody has waited for.
  struct Copy {
    Warp *warp;
    uint32_t offset, bytes;
  };

  BlockState &stateOf(Block &block) {
    BlockState &state = blocks[block.rank];
    if (!state.begun) {
      state.begun = true;
      state.shared.begin(block, options);
    }
    return state;
  }

  /// Of the instruction that started what happens now, which its warp may have left long ago.
  Effect effectOfAsync(const Access &access, const Instruction &instruction) {
    if (access.kind != Access::Kind::AsyncWrite)
      return Effect::None;
    for (const auto &function : inspection.kernel.functions)
      if (&instruction >= function->code.data() &&
          &instruction < function->code.data() + function->code.size())
        return function->facts->effects[instruction.index];
    return Effect::None;
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
  const CheckOptions &options;
  AsyncChecks async;
  std::vector<BlockState> blocks;
  std::map<uint64_t, std::vector<Copy>> copies; ///< by operation
  const Warp *waits = nullptr;                  ///< for its own copies, at this moment
  std::map<const Frame *, std::vector<uint32_t>> shadows;
  GlobalChecks::Recent recent;
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

} // namespace ingot::emulator
