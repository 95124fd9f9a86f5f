/// mbarrier: init, inval, expect_tx, complete_tx, arrive, arrive_drop, test_wait, try_wait and
/// pending_count. The fences that only asynchronous work needs: fence.proxy, fence.mbarrier_init.
///
/// A wait that is not over lets the others run until the phase completes; should nobody be able to,
/// it times out, as try_wait may at any time, and the program decides what to do. A barrier that
/// nothing can complete any more is a deadlock, which the machine reports.
#include "runtime/emulator/machine/AsyncEngine.h"
#include "runtime/emulator/machine/InstructionSet.h"

namespace ingot::emulator {
namespace {

struct BarrierOperands {
  MemoryOperand address;
  Slot count = noSlot;
  Slot transactions = noSlot;
  Slot state = noSlot; ///< written by arrive; read by waits, or a parity
  bool drop = false, completes = true, parity = false;
  MemoryOrder order;
};

/// .relaxed, .acquire or .release with its scope. Remote arrivals seldom say .cluster: it is meant.
void takeSemantics(Decoder &d, BarrierOperands &operands) {
  const bool relaxed = d.oneOf({"relaxed", "acquire", "release"}) == 0;
  d.oneOf({"cta", "cluster"});
  operands.order = {relaxed ? Order::Relaxed : Order::AcquireRelease, Scope::Cluster};
}

Space takeSpace(Decoder &d) {
  if (d.flag("shared::cluster"))
    return Space::SharedCluster;
  return d.flag("shared") || d.flag("shared::cta") ? Space::Shared : Space::Generic;
}

/// The barrier's block and offset; null after a report.
Block *locate(const Origin &origin, const BarrierOperands &operands, uint32_t &offset) {
  uint32_t address;
  if (!operands.address.shared(origin, address))
    return nullptr;
  Block *block = blockOfShared(origin.block(), address);
  if (!block)
    origin.report("out-of-bounds",
                  fmt::format("shared address {:#x} lies in no block of the cluster", address),
                  address);
  offset = sharedOffset(address);
  return block;
}

template <typename Act>
void forBarriers(Warp &warp, const Instruction &in, uint32_t mask, Act act) {
  const auto &operands = *static_cast<const BarrierOperands *>(in.extra);
  forLanes(mask, [&](int lane) {
    const Origin origin = Origin::of(warp, in, lane);
    uint32_t offset;
    if (Block *block = locate(origin, operands, offset))
      act(origin, operands, AsyncEngine::of(*block).barriers, offset, lane);
  });
}

void runInit(Warp &warp, const Instruction &in, uint32_t mask) {
  forBarriers(warp, in, mask,
              [&](const Origin &origin, const BarrierOperands &operands, MemoryBarriers &barriers,
                  uint32_t offset, int lane) {
                barriers.initialise(origin, offset, lane32(warp, operands.count, lane));
              });
}

void runInvalidate(Warp &warp, const Instruction &in, uint32_t mask) {
  forBarriers(warp, in, mask,
              [](const Origin &origin, const BarrierOperands &, MemoryBarriers &barriers,
                 uint32_t offset, int) { barriers.invalidate(origin, offset); });
}

void runExpect(Warp &warp, const Instruction &in, uint32_t mask) {
  forBarriers(warp, in, mask,
              [&](const Origin &origin, const BarrierOperands &operands, MemoryBarriers &barriers,
                  uint32_t offset, int lane) {
                barriers.expect(origin, offset, lane32(warp, operands.transactions, lane));
              });
}

void runComplete(Warp &warp, const Instruction &in, uint32_t mask) {
  forBarriers(warp, in, mask,
              [&](const Origin &origin, const BarrierOperands &operands, MemoryBarriers &barriers,
                  uint32_t offset, int lane) {
                barriers.complete(origin, offset, lane32(warp, operands.transactions, lane));
              });
}

void runArrive(Warp &warp, const Instruction &in, uint32_t mask) {
  forBarriers(warp, in, mask,
              [&](const Origin &origin, const BarrierOperands &operands, MemoryBarriers &barriers,
                  uint32_t offset, int lane) {
                const uint32_t count =
                    operands.count == noSlot ? 1 : lane32(warp, operands.count, lane);
                const int64_t transactions =
                    operands.transactions == noSlot ? 0 : lane32(warp, operands.transactions, lane);
                uint64_t token = 0;
                barriers.arrive(origin, offset, count, transactions, operands.drop,
                                operands.completes, &token, operands.order);
                warp.reg<uint64_t>(operands.state)[lane] = token;
              });
}

void runWait(Warp &warp, const Instruction &in, uint32_t mask) {
  const bool wokenUp = warp.resumed;
  uint32_t done = 0;
  int waitsFor = -1;
  bool failed = false;
  Block *seen = nullptr; // whose phase is over, for the lanes of `seenBy`
  uint32_t seenOffset = 0, seenBy = 0;
  const auto tell = [&] {
    if (seenBy && warp.observer)
      warp.observer->mbarrierSeen(warp, seenBy, *seen, seenOffset,
                                  static_cast<const BarrierOperands *>(in.extra)->order);
    seenBy = 0;
  };
  forBarriers(warp, in, mask,
              [&](const Origin &origin, const BarrierOperands &operands, MemoryBarriers &barriers,
                  uint32_t offset, int lane) {
                const MemoryBarrier *barrier = barriers.find(origin, offset);
                if (!barrier) {
                  failed = true;
                  return;
                }
                // A phase is over when the barrier's own is another one.
                const bool over =
                    operands.parity
                        ? (barrier->phase & 1) != (lane32(warp, operands.state, lane) & 1)
                        : barrier->phase != lane64(warp, operands.state, lane) >> 32;
                if (over) {
                  AsyncEngine::of(*warp.block).sees(offset, barrier->phase);
                  done |= uint32_t(1) << lane;
                  if (seen != warp.block || seenOffset != offset)
                    tell();
                  seen = warp.block;
                  seenOffset = offset;
                  seenBy |= uint32_t(1) << lane;
                } else {
                  waitsFor = static_cast<int>(offset);
                }
              });
  tell();
  if (failed) { // reported: waiting for it would never end
    warp.launch->stopped = true;
    warp.yield = warp.event = true;
    return;
  }
  if (!done && !wokenUp && waitsFor >= 0)
    return warp.wait(in, mask, Fragment::Wait::Other, waitsFor);
  uint32_t &out = warp.predicate(in.slots[0]);
  out = (out & ~mask) | done;
  if (!done) {
    warp.yield = true;
    warp.event = true;
  }
}

void runPendingCount(Warp &warp, const Instruction &in, uint32_t mask) {
  forLanes(mask, [&](int lane) {
    warp.reg<uint32_t>(in.slots[0])[lane] = static_cast<uint32_t>(lane64(warp, in.slots[1], lane));
  });
}

Handler decodeArrive(Decoder &d, bool drop) {
  BarrierOperands operands;
  operands.drop = drop;
  const bool expects = d.flag("expect_tx");
  operands.completes = !d.flag("noComplete");
  takeSemantics(d, operands);
  const Space space = takeSpace(d);
  d.flag("b64");
  operands.state = d.write(Type::B64);
  operands.address = MemoryOperand::decode(d, space);
  if (expects)
    operands.transactions = d.read(Type::B32);
  else if (d.operandsLeft())
    operands.count = d.read(Type::B32);
  else if (!operands.completes)
    return d.fail(".noComplete needs a count");
  d.instruction().extra = d.make(operands);
  return runArrive;
}

/// [address] and, for some, a count or number of bytes.
Handler decodeSimple(Decoder &d, Slot BarrierOperands::*value, Handler handler) {
  BarrierOperands operands;
  takeSemantics(d, operands);
  const Space space = takeSpace(d);
  d.flag("b64");
  operands.address = MemoryOperand::decode(d, space);
  if (value)
    operands.*value = d.read(Type::B32);
  d.instruction().extra = d.make(operands);
  return handler;
}

Handler decodeWait(Decoder &d) {
  BarrierOperands operands;
  operands.parity = d.flag("parity");
  takeSemantics(d, operands);
  const Space space = takeSpace(d);
  d.flag("b64");
  d.writePredicate();
  operands.address = MemoryOperand::decode(d, space);
  operands.state = d.read(operands.parity ? Type::B32 : Type::B64);
  if (d.operandsLeft())
    d.read(Type::B32); // how long try_wait may sleep
  d.instruction().extra = d.make(operands);
  return runWait;
}

Handler decodeMemoryBarrier(Decoder &d) {
  d.classify(Class::Barrier);
  const std::string_view kind = d.nextModifier();
  if (kind == "init")
    return decodeSimple(d, &BarrierOperands::count, runInit);
  if (kind == "inval")
    return decodeSimple(d, nullptr, runInvalidate);
  if (kind == "expect_tx")
    return decodeSimple(d, &BarrierOperands::transactions, runExpect);
  if (kind == "complete_tx")
    return decodeSimple(d, &BarrierOperands::transactions, runComplete);
  if (kind == "arrive" || kind == "arrive_drop")
    return decodeArrive(d, kind == "arrive_drop");
  if (kind == "test_wait" || kind == "try_wait")
    return decodeWait(d);
  if (kind != "pending_count")
    return d.fail(fmt::format("unknown kind of mbarrier '.{}'", kind));
  d.flag("b64");
  d.write(Type::B32);
  d.read(Type::B64);
  return runPendingCount;
}

/// Memory has one name here: an alias orders nothing.
void runNothing(Warp &, const Instruction &, uint32_t) {}

void runProxyFence(Warp &warp, const Instruction &, uint32_t mask) {
  if (warp.observer)
    warp.observer->proxyFence(warp, mask, ProxyFence::Async, 0);
}

void runInitialisationFence(Warp &warp, const Instruction &, uint32_t mask) {
  if (warp.observer)
    warp.observer->initialisationFence(warp, mask);
}

Handler decodeFence(Decoder &d) {
  d.classify(Class::Async);
  if (d.flag("mbarrier_init"))
    return d.flag("release") && d.flag("cluster") ? runInitialisationFence
                                                  : d.fail(".release.cluster is missing");
  if (!d.flag("proxy") || d.peekModifier().starts_with("tensormap"))
    return nullptr;
  if (d.flag("alias"))
    return runNothing;
  if (d.flag("async")) {
    d.oneOf({"global", "shared::cta", "shared::cluster"});
    return runProxyFence;
  }
  // Of one direction: of what mbarriers of the cluster have signalled.
  if (!d.flag("async::generic"))
    return d.fail("unknown proxy");
  const bool acquires = d.flag("acquire");
  if (!acquires && !d.flag("release"))
    return d.fail(".acquire or .release is missing");
  if (!d.flag(acquires ? "sync_restrict::shared::cluster" : "sync_restrict::shared::cta") ||
      !d.flag("cluster"))
    return d.fail(acquires ? ".sync_restrict::shared::cluster.cluster is missing"
                           : ".sync_restrict::shared::cta.cluster is missing");
  return d.needsTarget(90) ? runProxyFence : nullptr;
}

constexpr InstructionRow rows[] = {{"mbarrier", decodeMemoryBarrier}, {"fence", decodeFence}};

} // namespace

Family memoryBarrierFamily() { return rows; }

} // namespace ingot::emulator
