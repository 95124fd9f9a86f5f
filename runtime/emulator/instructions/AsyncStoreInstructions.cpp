/// st.async and red.async: stores into the cluster's shared memory that signal an mbarrier.
#include "runtime/emulator/arithmetic/Reduction.h"
#include "runtime/emulator/machine/AsyncEngine.h"
#include "runtime/emulator/machine/InstructionSet.h"

namespace ingot::emulator {
namespace {

struct AsyncStore {
  MemoryOperand destination, barrier;
  int count = 1; ///< elements
  uint32_t elementBytes = 4;
  std::optional<ReductionOp> reduction;
  Type type = Type::None;
};

/// slots: the values.
void runStore(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto &store = *static_cast<const AsyncStore *>(in.extra);
  const uint32_t bytes = static_cast<uint32_t>(store.count) * store.elementBytes;
  forLanes(mask, [&](int lane) {
    const Origin origin = Origin::of(warp, in, lane);
    uint32_t address, barrier;
    if (!store.destination.shared(origin, address) || !store.barrier.shared(origin, barrier))
      return;
    Block *block = blockOfShared(origin.block(), barrier);
    if (!block)
      return origin.report(
          "out-of-bounds",
          fmt::format("shared address {:#x} lies in no block of the cluster", barrier), barrier);
    const auto kind = store.reduction ? Access::Kind::AsyncReduce : Access::Kind::AsyncWrite;
    std::byte *destination = sharedRange(origin, address, bytes, bytes, accessOf(kind));
    if (!destination || !AsyncEngine::of(*block).barriers.find(origin, sharedOffset(barrier)))
      return;
    auto copy = std::make_unique<BulkCopy>();
    copy->origin = origin;
    copy->bytes = bytes;
    copy->pieces.push_back({destination, nullptr, bytes});
    if (store.reduction)
      copy->reduce = bulkReduction(*store.reduction, store.type);
    // The registers are read now; the store happens later.
    copy->hasRead = true;
    copy->data.resize(bytes);
    for (int i = 0; i < store.count; ++i) {
      const uint64_t value = store.elementBytes == 8 ? lane64(warp, in.slots[i], lane)
                                                     : lane32(warp, in.slots[i], lane);
      std::memcpy(copy->data.data() + static_cast<uint32_t>(i) * store.elementBytes, &value,
                  store.elementBytes);
    }
    copy->signalled = block;
    copy->barrier = sharedOffset(barrier);
    copy->ranges.push_back({kind, Space::Shared, sharedWindow + address, bytes});
    AsyncEngine::of(origin.block()).start(std::move(copy));
  });
}

Handler decodeStore(Decoder &d) {
  if (!d.flag("async"))
    return nullptr; // an ordinary store or reduction
  const bool reduces = d.opcode() == "red";
  d.classify(Class::Async);
  AsyncStore store;
  d.oneOf({"weak", "relaxed"});
  d.flag("cluster");
  const bool cluster = d.flag("shared::cluster");
  if (!d.flag("mbarrier::complete_tx::bytes"))
    return d.fail(".mbarrier::complete_tx::bytes is missing");
  const Space space = cluster ? Space::SharedCluster : Space::Generic;
  if (reduces) {
    store.reduction = parseReduction(d.nextModifier());
    if (!store.reduction)
      return d.fail("the operation is missing");
  } else {
    const int vector = d.oneOf({"v2", "v4"});
    store.count = vector < 0 ? 1 : vector ? 4 : 2;
  }
  store.type = d.type();
  const int bits = bitsOf(store.type);
  if ((bits != 32 && bits != 64) || (reduces && !bulkReduction(*store.reduction, store.type)))
    return d.fail("this type cannot be stored");
  store.elementBytes = static_cast<uint32_t>(bits) / 8;
  const ptx::Operand *destination = d.takeOperand();
  if (d.readVector(store.type) != store.count)
    return d.fail(fmt::format("{} values are needed", store.count));
  if (destination)
    store.destination = MemoryOperand::decode(d, *destination, space);
  store.barrier = MemoryOperand::decode(d, space);
  d.instruction().extra = d.make(store);
  return runStore;
}

constexpr InstructionRow rows[] = {{"st", decodeStore}, {"red", decodeStore}};

} // namespace

Family asyncStoreFamily() { return rows; }

} // namespace ingot::emulator
