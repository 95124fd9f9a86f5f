/// cp.async of 4, 8 and 16 bytes: commit_group, wait_group, wait_all and mbarrier.arrive.
#include "runtime/emulator/machine/AsyncEngine.h"
#include "runtime/emulator/machine/InstructionSet.h"

namespace ingot::emulator {
namespace {

struct CopyOperands {
  MemoryOperand destination, source;
  uint32_t bytes = 0;
  Slot sourceBytes = noSlot;
  Slot ignored = noSlot; ///< predicate: nothing is read, zeros are written
  bool counted = false;  ///< mbarrier.arrive without .noinc
};

void runCopy(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto &operands = *static_cast<const CopyOperands *>(in.extra);
  ThreadCopies::Item item;
  item.origin = Origin::of(warp, in, std::countr_zero(mask));
  item.bytes = operands.bytes;
  forLanes(mask, [&](int lane) {
    const Origin origin = Origin::of(warp, in, lane);
    uint32_t bytes = operands.bytes;
    if (operands.sourceBytes != noSlot)
      bytes = lane32(warp, operands.sourceBytes, lane);
    if (operands.ignored != noSlot &&
        ((warp.predicate(operands.ignored) >> lane & 1) != 0) != in.negated)
      bytes = 0;
    if (bytes > operands.bytes)
      return origin.report(
          "async", fmt::format("{} bytes of the source for a copy of {}", bytes, operands.bytes));
    uint32_t destination;
    if (!operands.destination.shared(origin, destination))
      return;
    item.destinations[lane] = sharedRange(origin, destination, operands.bytes, operands.bytes,
                                          accessOf(Access::Kind::AsyncWrite));
    item.sourceBytes[lane] = bytes;
    if (bytes)
      item.sources[lane] = globalRange(origin, operands.source.of(warp, lane), bytes,
                                       operands.bytes, accessOf(Access::Kind::AsyncRead));
    if (item.destinations[lane] && (item.sources[lane] || !bytes))
      item.mask |= uint32_t(1) << lane;
  });
  if (!item.mask)
    return;
  AsyncEngine &engine = AsyncEngine::of(*warp.block);
  item.operation = engine.newOperation();
  if (warp.observer)
    forLanes(item.mask, [&](int lane) {
      const auto offset =
          static_cast<uint64_t>(item.destinations[lane] - warp.block->shared.data());
      warp.observer->asyncRange(
          warp, in, lane, item.operation, Access::Kind::AsyncWrite, Space::Shared,
          sharedWindow + mapToRank(static_cast<uint32_t>(offset), warp.block->rank),
          operands.bytes);
    });
  engine.threadCopies(warp).add(std::move(item));
}

void runCommit(Warp &warp, const Instruction &, uint32_t mask) {
  AsyncEngine::of(*warp.block).threadCopies(warp).commit(mask);
}

void runWaitGroup(Warp &warp, const Instruction &in, uint32_t mask) {
  AsyncEngine::of(*warp.block)
      .threadCopies(warp)
      .wait(mask, static_cast<uint32_t>(in.immediate), false);
}

void runWaitAll(Warp &warp, const Instruction &, uint32_t mask) {
  AsyncEngine::of(*warp.block).threadCopies(warp).wait(mask, 0, true);
}

void runArrive(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto &operands = *static_cast<const CopyOperands *>(in.extra);
  AsyncEngine &engine = AsyncEngine::of(*warp.block);
  ThreadCopies::Item item;
  item.origin = Origin::of(warp, in, std::countr_zero(mask));
  forLanes(mask, [&](int lane) {
    const Origin origin = Origin::of(warp, in, lane);
    uint32_t address;
    if (!operands.destination.shared(origin, address))
      return;
    item.barriers[lane] = sharedOffset(address);
    if (operands.counted ? engine.barriers.addPending(origin, item.barriers[lane])
                         : engine.barriers.find(origin, item.barriers[lane]) != nullptr)
      item.mask |= uint32_t(1) << lane;
  });
  if (item.mask)
    engine.threadCopies(warp).add(std::move(item));
}

/// The forms without "bulk"; the others are a family of their own.
Handler decodeCopy(Decoder &d) {
  const auto &modifiers = d.text().modifiers;
  if (modifiers.size() < 2 || modifiers[0] != "async" || modifiers[1] == "bulk")
    return nullptr;
  d.flag("async");
  d.classify(Class::Async);
  if (d.flag("commit_group"))
    return runCommit;
  if (d.flag("wait_group")) {
    d.instruction().immediate = d.integer();
    return runWaitGroup;
  }
  if (d.flag("wait_all"))
    return runWaitAll;
  CopyOperands operands;
  if (d.flag("mbarrier")) {
    if (!d.flag("arrive"))
      return d.fail("unknown kind of cp.async.mbarrier");
    operands.counted = !d.flag("noinc");
    const bool shared = d.flag("shared") || d.flag("shared::cta");
    d.flag("b64");
    operands.destination = MemoryOperand::decode(d, shared ? Space::Shared : Space::Generic);
    d.instruction().extra = d.make(operands);
    return runArrive;
  }
  const int cache = d.oneOf({"ca", "cg"});
  if (cache < 0 || !(d.flag("shared") || d.flag("shared::cta")) || !d.flag("global"))
    return d.fail("unknown kind of cp.async");
  const bool policy = d.flag("L2::cache_hint");
  d.oneOf({"L2::64B", "L2::128B", "L2::256B"});
  operands.destination = MemoryOperand::decode(d, Space::Shared);
  operands.source = MemoryOperand::decode(d, Space::Global);
  operands.bytes = static_cast<uint32_t>(d.integer());
  if (operands.bytes != 16 && (cache == 1 || (operands.bytes != 4 && operands.bytes != 8)))
    return d.fail(fmt::format("{} bytes cannot be copied", operands.bytes));
  if (d.operandsLeft() > (policy ? 1u : 0u)) {
    const ptx::Operand *operand = d.peekOperand();
    const bool predicate =
        operand->kind == ptx::Operand::Kind::Register &&
        d.inFunction().registers[static_cast<size_t>(operand->index)].type == Type::Pred;
    if (predicate)
      operands.ignored = d.readPredicate();
    else
      operands.sourceBytes = d.read(Type::B32);
  }
  if (policy)
    d.read(Type::B64);
  d.instruction().extra = d.make(operands);
  return runCopy;
}

constexpr InstructionRow rows[] = {{"cp", decodeCopy}};

} // namespace

Family asyncCopyFamily() { return rows; }

} // namespace ingot::emulator
