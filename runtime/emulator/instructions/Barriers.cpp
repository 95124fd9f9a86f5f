/// bar, barrier and barrier.cluster.
#include "runtime/emulator/machine/InstructionSet.h"
#include "runtime/emulator/machine/Lanes.h"

namespace ingot::emulator {
namespace {

enum class Kind : uint8_t { Sync, Arrive, Popc, And, Or };

struct BarrierInstruction {
  Kind kind = Kind::Sync;
  bool aligned = true;
  bool counted = false;
};

/// .aligned: the warp executes the barrier together. False: lanes have to come first.
bool align(Warp &warp, const Instruction &in, uint32_t mask) {
  if (!warp.converge(in, allLanes))
    return false;
  if (mask != warp.active)
    warp.report(in, mask, "divergent-barrier",
                fmt::format("only lanes {:08x} of the warp's {:08x} execute the barrier", mask,
                            warp.active));
  else if (warp.exited)
    warp.report(
        in, mask, "divergent-barrier",
        fmt::format("lanes {:08x} of the warp have ended without the barrier", warp.exited));
  return true;
}

/// slots: id, count, [d, p]
void runBarrier(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto &what = *static_cast<const BarrierInstruction *>(in.extra);
  if (warp.resumed) {
    if (warp.observer)
      warp.observer->barrierLeave(warp, mask,
                                  int(warp.reg<uint32_t>(in.slots[0])[std::countr_zero(mask)]));
    const uint32_t result = warp.resumeResult;
    if (what.kind == Kind::Popc) {
      uint32_t values[lanes];
      for (uint32_t &value : values)
        value = result & 0xffff;
      storeLanes(warp.reg<uint32_t>(in.slots[2]), values, mask);
    } else if (what.kind == Kind::And || what.kind == Kind::Or) {
      const bool holds = result >> (what.kind == Kind::And ? 30 : 31) & 1;
      storePredicate(warp.predicate(in.slots[2]), holds ? allLanes : 0, mask);
    }
    return;
  }
  if (what.aligned && !align(warp, in, mask))
    return;
  const auto *ids = warp.reg<uint32_t>(in.slots[0]), *counts = warp.reg<uint32_t>(in.slots[1]);
  const int first = std::countr_zero(mask);
  const uint32_t id = ids[first], count = what.counted ? counts[first] : 0;
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    if (ids[lane] != id || (what.counted && counts[lane] != count)) {
      warp.report(in, mask, "divergent-barrier",
                  "lanes of a warp name different barriers or counts");
      break;
    }
  }
  if (id > 15 || (what.counted && (count == 0 || count % 32 || count > 1024))) {
    warp.report(in, mask, "bad-barrier",
                id > 15 ? fmt::format("barrier {}; there are 16", id)
                        : fmt::format("{} threads; a multiple of 32 is needed", count));
    warp.launch->stopped = true;
    return warp.yieldNow();
  }
  Barrier &barrier = warp.block->barriers[id];
  if (barrier.used && barrier.expected != count && barrier.expected && count)
    warp.report(in, mask, "bad-barrier",
                fmt::format("barrier {} is waited for with {} and with {} threads", id,
                            barrier.expected, count));
  if (what.aligned && !count) {
    if (!barrier.instruction) {
      barrier.instruction = &in;
      barrier.warp = &warp;
      barrier.frame = warp.frame;
    } else if (barrier.instruction != &in) {
      const auto line = [](const Frame &frame, const Instruction &at) {
        const ptx::Instruction *source = frame.function->details[at.index].source;
        return source ? source->line : 0;
      };
      warp.report(in, mask, "divergent-barrier",
                  fmt::format("completes barrier {} of all threads together with line {}, where "
                              "warp {} waits: the block's warps take different ways",
                              id, line(*barrier.frame, *barrier.instruction), barrier.warp->index));
    }
  }
  barrier.used = true;
  if (count)
    barrier.expected = count;
  if (warp.observer)
    warp.observer->barrierArrive(warp, mask, int(id), true);
  // A warp that is not full counts as if it were.
  barrier.arrived += count && mask == warp.live() ? lanes : uint32_t(std::popcount(mask));
  if (what.kind >= Kind::Popc) {
    const uint32_t votes = (warp.predicate(in.slots[3]) ^ (in.negated ? allLanes : 0)) & mask;
    barrier.sum += uint32_t(std::popcount(votes));
    barrier.all &= votes == mask;
    barrier.any |= votes != 0;
  }
  if (what.kind != Kind::Arrive)
    warp.wait(in, mask, Fragment::Wait::Barrier, int(id));
  warp.block->checkBarrier(int(id));
}

Handler decodeBarrier(Decoder &d) {
  d.classify(Class::Barrier);
  const bool isBar = d.opcode() == "bar"; // barrier.aligned by another name
  d.flag("cta");
  BarrierInstruction what;
  const int operation = d.oneOf({"sync", "arrive", "red"});
  if (operation < 0)
    return nullptr;
  what.aligned = d.flag("aligned") || isBar;
  if (operation == 2) {
    const int reduction = d.oneOf({"popc", "and", "or"});
    if (reduction < 0 || d.type() != (reduction ? Type::Pred : Type::U32))
      return nullptr;
    what.kind = Kind(int(Kind::Popc) + reduction);
  } else {
    what.kind = operation ? Kind::Arrive : Kind::Sync;
  }
  const ptx::Operand *to = operation == 2 ? d.takeOperand() : nullptr;
  if (operation == 2 && !to)
    return nullptr;
  d.read(Type::U32);
  what.counted = d.operandsLeft() > (operation == 2 ? 1u : 0u);
  if (what.counted)
    d.read(Type::U32);
  else
    d.addSlot(d.constant(0, 32));
  if (what.kind == Kind::Arrive && !what.counted)
    return d.fail("a count of threads is needed");
  if (operation == 2) {
    d.write(*to, what.kind == Kind::Popc ? Type::U32 : Type::Pred);
    d.readPredicate();
  }
  d.instruction().extra = d.make(what);
  return runBarrier;
}

// The barrier of a cluster: arriving and waiting are two instructions.

constexpr int clusterBarrier = 16; ///< for the observer

void runClusterArrive(Warp &warp, const Instruction &in, uint32_t mask) {
  if (in.mode && !align(warp, in, mask))
    return;
  Cluster &cluster = *warp.block->cluster;
  for (uint32_t left = mask; left; left &= left - 1) {
    uint64_t &phase = warp.clusterPhase[std::countr_zero(left)];
    if (phase > cluster.phase)
      warp.report(in, left, "cluster-barrier", "a thread arrives twice without waiting between");
    phase = cluster.phase + 1;
  }
  if (warp.observer)
    warp.observer->barrierArrive(warp, mask, clusterBarrier, in.count == 0);
  cluster.arrived += uint32_t(std::popcount(mask));
  cluster.checkBarrier();
}

void runClusterWait(Warp &warp, const Instruction &in, uint32_t mask) {
  if (warp.resumed) {
    if (warp.observer)
      warp.observer->barrierLeave(warp, mask, clusterBarrier);
    return;
  }
  if (in.mode && !align(warp, in, mask))
    return;
  Cluster &cluster = *warp.block->cluster;
  uint32_t early = 0;
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    if (warp.clusterPhase[lane] == 0)
      warp.report(in, uint32_t(1) << lane, "cluster-barrier",
                  "a thread waits without having arrived");
    early |= uint32_t(warp.clusterPhase[lane] > cluster.phase) << lane;
  }
  if (warp.observer && (mask & ~early))
    warp.observer->barrierLeave(warp, mask & ~early, clusterBarrier);
  if (early)
    warp.wait(in, early, Fragment::Wait::Cluster);
}

Handler decodeClusterBarrier(Decoder &d) {
  d.classify(Class::Barrier);
  if (!d.flag("cluster"))
    return nullptr;
  const int operation = d.oneOf({"arrive", "wait"});
  d.instruction().count = d.oneOf({"release", "relaxed", "acquire"}) == 1; // publishes nothing
  d.instruction().mode = d.flag("aligned");
  return operation == 0 ? runClusterArrive : operation == 1 ? runClusterWait : nullptr;
}

constexpr InstructionRow rows[] = {
    {"bar", decodeBarrier},
    {"barrier", decodeBarrier},
    {"barrier", decodeClusterBarrier},
};

} // namespace

Family barrierFamily() { return rows; }

} // namespace ingot::emulator
