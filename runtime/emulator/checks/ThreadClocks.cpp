#include "runtime/emulator/checks/ThreadClocks.h"
#include <algorithm>
#include <bit>

namespace ingot::emulator {
namespace {

constexpr size_t done = size_t(Known::Done);
/// What a release hands on beside what is done: the fences of other proxies, in their order.
constexpr Known proxyKinds[] = {Known::ProxyFenced, Known::MapReleased, Known::MapAcquired};

bool isFenced(size_t kind) { return kind >= kindOf(Known::Fenced) && kind < kindOf(Known::Seen); }
bool isSeen(size_t kind) {
  return kind >= kindOf(Known::Seen) && kind < kindOf(Known::ProxyFenced);
}

template <typename Visit> void forBits(uint32_t bits, Visit visit) {
  for (; bits; bits &= bits - 1)
    visit(std::countr_zero(bits));
}

} // namespace

std::shared_ptr<const Published> Board::snapshot() const {
  auto published = std::make_shared<Published>();
  forBits(used, [&](int kind) {
    Knowledge &known = (*published)[size_t(kind)];
    if (!clocks[size_t(kind)].isEmpty())
      known.local = std::make_shared<Clocks>(clocks[size_t(kind)]);
    known.foreign = foreign[size_t(kind)];
  });
  return published;
}

void Board::clear() {
  forBits(used, [&](int kind) {
    clocks[size_t(kind)] = {};
    foreign[size_t(kind)] = nullptr;
  });
  used = 0;
}

void ThreadClocks::begin(Cluster &owner) {
  cluster = &owner;
  const LaunchRequest &request = owner.launch->request;
  const uint32_t across = request.grid.x / request.cluster.x,
                 down = request.grid.y / request.cluster.y;
  self = (owner.index.z * down + owner.index.y) * across + owner.index.x;
  warpsPerBlock = uint32_t((request.block.count() + lanes - 1) / lanes);
  warpCount = warpsPerBlock * uint32_t(request.cluster.count());
  nextSlot = firstBarrierSlot();
  warps.clear();
  warps.resize(warpCount);
  products.assign(groupsPerBlock() * request.cluster.count(), 0);
  issues.clear();
  blocks.clear();
  blocks.resize(request.cluster.count());
  clusterBoard.clear();
  clusterComplete = nullptr;
}

void ThreadClocks::setApart(WarpState &state, uint32_t mask) {
  if (!state.own)
    state.own = std::make_unique<std::array<Bundle, lanes>>();
  forBits(mask & ~state.apart, [&](int lane) { (*state.own)[size_t(lane)] = state.common; });
  state.apart |= mask;
}

template <typename Act>
void ThreadClocks::forBundles(const Warp &warp, WarpState &state, uint32_t mask, bool changes,
                              Act act) {
  uint32_t together = mask & ~state.apart;
  if (changes && together && (warp.live() & ~state.apart & ~mask)) {
    setApart(state, together);
    together = 0;
  }
  if (together)
    act(state.common, together);
  forBits(mask & state.apart & ~together,
          [&](int lane) { act((*state.own)[size_t(lane)], uint32_t(1) << lane); });
}

void ThreadClocks::give(const Warp &warp, const WarpState &state, const Bundle &bundle,
                        uint32_t mask, size_t kind, Clocks &clocks,
                        std::shared_ptr<const Foreign> &foreign) const {
  const Held &held = bundle[kind];
  if (held.known.local)
    clocks.absorb(*held.known.local);
  foreign = Foreign::joined(foreign, held.known.foreign);
  if (isSeen(kind))
    return;
  const Slot16 slot = slotOf(warp);
  if (held.met)
    clocks.raise(slot, held.met);
  const uint32_t own = kind == done ? state.timeOf(warp) : held.self;
  if (own && isWhole(warp, state, mask))
    clocks.raise(slot, own);
  else if (own)
    clocks.raise(slot, mask, own);
  if (own && state.productsRead)
    clocks.raise(productSlotOf(warp), state.productsRead);
  const bool whole = isWhole(warp, state, mask);
  if (state.initialises)
    raise(clocks, initialisationSlotOf(warp), mask, whole,
          isFenced(kind) ? state.fencedInitialised : state.initialised);
  if (own && state.copies())
    raise(clocks, copySlotOf(warp), mask, whole, state.copied);
}

void ThreadClocks::raise(Clocks &clocks, Slot16 slot, uint32_t mask, bool whole,
                         const std::array<uint32_t, emulator::lanes> &times) {
  // A time that all lanes have, or what is the only one.
  const uint32_t most = std::ranges::max(times);
  uint32_t least = most;
  forBits(mask, [&](int lane) { least = std::min(least, times[size_t(lane)]); });
  if (whole && least == most)
    return clocks.raise(slot, most);
  forBits(mask, [&](int lane) {
    if (const uint32_t time = times[size_t(lane)])
      clocks.raise(slot, uint32_t(1) << lane, time);
  });
}

void ThreadClocks::publish(Warp &warp, uint32_t mask, Board &board) {
  WarpState &state = stateOf(warp);
  forBundles(warp, state, mask, false, [&](const Bundle &bundle, uint32_t same) {
    forBits(state.used, [&](int kind) {
      give(warp, state, bundle, same, size_t(kind), board.clocks[size_t(kind)],
           board.foreign[size_t(kind)]);
    });
  });
  board.used |= state.used;
  state.published = warp.executed;
}

void ThreadClocks::publishFenced(Warp &warp, uint32_t mask, Scope scope, Board &board) {
  WarpState &state = stateOf(warp);
  forBundles(warp, state, mask, false, [&](const Bundle &bundle, uint32_t same) {
    give(warp, state, bundle, same, kindOf(Known::Fenced, scope), board.clocks[done],
         board.foreign[done]);
  });
  board.used |= 1u << done;
}

void ThreadClocks::hear(Warp &warp, uint32_t mask, const Published &published) {
  WarpState &state = stateOf(warp);
  if (std::ranges::all_of(published, &Knowledge::isEmpty))
    return;
  forBundles(warp, state, mask, true, [&](Bundle &bundle, uint32_t) {
    for (size_t kind = 0; kind < knownKinds; ++kind)
      if (!published[kind].isEmpty()) {
        bundle[kind].known.join(published[kind]);
        state.used |= 1u << kind;
      }
  });
}

void ThreadClocks::leave(Warp &warp, uint32_t mask, const Published &published) {
  WarpState &state = stateOf(warp);
  if (!(warp.live() & ~mask)) {
    state.apart = 0;
    if (isWhole(warp, state, mask))
      state.touched = 0;
  }
  hear(warp, mask, published);
}

void ThreadClocks::meet(Warp &warp, uint32_t mask) {
  WarpState &state = stateOf(warp);
  mask &= warp.live();
  if (!state.apart && !(warp.live() & ~mask) && isWhole(warp, state, mask) && !state.initialises &&
      !state.copies()) {
    forBits(state.used, [&](int kind) {
      Held &held = state.common[size_t(kind)];
      held.met = std::max(held.met, kind == int(done) ? state.timeOf(warp) : held.self);
    });
    state.touched = 0;
    ++state.now;
    return;
  }
  Board board;
  publish(warp, mask, board);
  leave(warp, mask, *board.snapshot());
}

void ThreadClocks::fence(Warp &warp, uint32_t mask, MemoryOrder order) {
  WarpState &state = stateOf(warp);
  forBundles(warp, state, mask, true, [&](Bundle &bundle, uint32_t) {
    for (int scope = 0; scope <= int(order.scope); ++scope) {
      Held &seen = bundle[kindOf(Known::Seen, Scope(scope))];
      if (!order.acquires() || seen.known.isEmpty())
        continue;
      bundle[done].known.join(seen.known);
      seen = {};
    }
    for (int scope = 0; order.releases() && scope <= int(order.scope); ++scope) {
      const size_t kind = kindOf(Known::Fenced, Scope(scope));
      bundle[kind] = bundle[done];
      bundle[kind].self = state.timeOf(warp);
      state.used |= 1u << kind;
    }
  });
  if (!order.releases())
    return;
  if (state.initialises)
    initialisationFence(warp, mask);
  ++state.now;
}

void ThreadClocks::initialisationFence(Warp &warp, uint32_t mask) {
  WarpState &state = stateOf(warp);
  forBits(mask, [&](int l) { state.fencedInitialised[size_t(l)] = state.initialised[size_t(l)]; });
}

void ThreadClocks::proxyFence(Warp &warp, uint32_t mask, ProxyFence fence) {
  const size_t kind = kindOf(proxyKinds[size_t(fence)]);
  WarpState &state = stateOf(warp);
  forBundles(warp, state, mask, true, [&](Bundle &bundle, uint32_t) {
    bundle[kind] = bundle[done];
    bundle[kind].self = state.timeOf(warp);
  });
  state.used |= 1u << kind;
  ++state.now;
}

void ThreadClocks::barrierArrive(Warp &warp, uint32_t mask, int id, bool publishes) {
  Board &board = id == 16 ? clusterBoard : blocks[warp.block->rank].boards[size_t(id)];
  if (publishes)
    publish(warp, mask, board);
  else
    publishFenced(warp, mask, Scope::Cluster, board);
}

void ThreadClocks::barrierComplete(Block &block, int id) {
  Board &board = id == 16 ? clusterBoard : blocks[block.rank].boards[size_t(id)];
  (id == 16 ? clusterComplete : blocks[block.rank].complete[size_t(id)]) = board.snapshot();
  board.clear();
}

void ThreadClocks::barrierLeave(Warp &warp, uint32_t mask, int id) {
  const auto &complete = id == 16 ? clusterComplete : blocks[warp.block->rank].complete[size_t(id)];
  if (!complete)
    return;
  // Only the block's own barriers are always published to by those who leave them.
  if (id == 16)
    hear(warp, mask, *complete);
  else
    leave(warp, mask, *complete);
}

ThreadClocks::MemoryBarrierState &ThreadClocks::barrierAt(const Block &block, uint32_t offset) {
  auto [place, fresh] = blocks[block.rank].barriers.try_emplace(offset);
  if (fresh)
    place->second.slot = Slot16(std::min<uint32_t>(nextSlot++, UINT16_MAX));
  return place->second;
}

void ThreadClocks::mbarrierBegin(Block &block, uint32_t offset) {
  MemoryBarrierState &barrier = barrierAt(block, offset);
  barrier.start += barrier.phase + 1;
  barrier.phase = 0;
  barrier.board.clear();
  barrier.complete = nullptr;
}

void ThreadClocks::mbarrierArrive(Warp &warp, int lane, Block &block, uint32_t offset,
                                  MemoryOrder order) {
  Board &board = barrierAt(block, offset).board;
  if (order.releases())
    publish(warp, uint32_t(1) << lane, board);
  else
    publishFenced(warp, uint32_t(1) << lane, Scope::Cluster, board);
}

void ThreadClocks::mbarrierComplete(Block &block, uint32_t offset, uint32_t phase) {
  MemoryBarrierState &barrier = barrierAt(block, offset);
  barrier.phase = phase;
  barrier.board.clocks[done].raise(barrier.slot, barrier.start + phase);
  barrier.board.used |= 1u << done;
  barrier.complete = barrier.board.snapshot();
}

void ThreadClocks::mbarrierSeen(Warp &warp, uint32_t mask, Block &block, uint32_t offset,
                                MemoryOrder order) {
  const MemoryBarrierState &barrier = barrierAt(block, offset);
  if (!barrier.complete)
    return;
  if (order.acquires())
    return hear(warp, mask, *barrier.complete);
  Published seen;
  seen[kindOf(Known::Seen, Scope::Cluster)] = (*barrier.complete)[done];
  hear(warp, mask, seen);
}

void ThreadClocks::publishTo(Warp &warp, int lane, SyncVariable &variable, MemoryOrder order,
                             bool replaces) {
  WarpState &state = stateOf(warp);
  if (replaces)
    variable = {};
  const uint64_t owners[] = {uint64_t(self) << 8 | warp.block->rank, self};
  bool published = false;
  for (int scope = 0; scope <= int(order.scope); ++scope) {
    const size_t kind = order.releases() ? done : kindOf(Known::Fenced, Scope(scope));
    if (!(state.used >> kind & 1))
      continue;
    const Bundle &bundle = bundleOf(state, lane);
    if (kind != done && !bundle[kind].self && bundle[kind].known.isEmpty())
      continue;
    published = true;
    Published given;
    const auto add = [&](size_t from, size_t to) {
      Clocks clocks;
      give(warp, state, bundle, uint32_t(1) << lane, from, clocks, given[to].foreign);
      if (!clocks.isEmpty())
        given[to].local = std::make_shared<Clocks>(std::move(clocks));
    };
    add(kind, done);
    for (const Known other : proxyKinds)
      if (state.used >> kindOf(other) & 1)
        add(kindOf(other), kindOf(other));
    if (Scope(scope) == Scope::Device) {
      for (size_t to = 0; to < knownKinds; ++to)
        if (!given[to].isEmpty()) {
          Knowledge everybody{nullptr, variable.device[to].foreign};
          Foreign::hear(everybody, ~uint32_t(0), self, given[to]);
          variable.device[to].foreign = everybody.foreign;
        }
      continue;
    }
    SyncVariable::Part &part = Scope(scope) == Scope::Block ? variable.block : variable.cluster;
    if (part.published && part.owner == owners[scope])
      for (size_t to = 0; to < knownKinds; ++to)
        given[to].join((*part.published)[to]);
    part = {owners[scope], std::make_shared<Published>(std::move(given))};
  }
  if (published)
    state.published = warp.executed;
}

void ThreadClocks::hearFrom(Warp &warp, uint32_t mask, const SyncVariable &variable,
                            MemoryOrder order) {
  Published heard;
  const auto add = [&](const Published &published, Scope distance) {
    const bool acquires = order.acquires() && order.scope >= distance;
    const size_t to = acquires ? done : kindOf(Known::Seen, distance);
    Foreign::hear(heard[to], self, self, published[done]);
    for (const Known other : proxyKinds)
      Foreign::hear(heard[kindOf(other)], self, self, published[kindOf(other)]);
  };
  if (variable.block.published && variable.block.owner == (uint64_t(self) << 8 | warp.block->rank))
    add(*variable.block.published, Scope::Block);
  if (variable.cluster.published && variable.cluster.owner == self && order.scope >= Scope::Cluster)
    add(*variable.cluster.published, Scope::Cluster);
  if (order.scope >= Scope::Device) {
    Published own = variable.device;
    for (Knowledge &known : own) // what others know of this cluster
      if (known.foreign)
        Foreign::hear(known, self, ~uint32_t(0), {nullptr, known.foreign});
    add(own, Scope::Device);
  }
  hear(warp, mask, heard);
}

Entry ThreadClocks::initialisation(const Warp &warp, int lane) {
  WarpState &state = stateOf(warp);
  state.initialises = true;
  Entry entry = entryOf(warp);
  entry.slot = initialisationSlotOf(warp);
  entry.clock = state.initialised[size_t(lane)] = *std::ranges::max_element(state.initialised) + 1;
  entry.firstLane = int8_t(lane);
  return entry;
}

Entry ThreadClocks::phaseOf(const Block &block, uint32_t offset, uint32_t phase) {
  const MemoryBarrierState &barrier = barrierAt(block, offset);
  Entry entry;
  entry.cluster = self;
  entry.slot = barrier.slot;
  entry.clock = barrier.start + phase + 1;
  return entry;
}

uint32_t ThreadClocks::copyBegins(const Warp &warp) {
  WarpState &state = stateOf(warp);
  state.copyTimes.push_back(state.timeOf(warp));
  return state.copies();
}

Entry ThreadClocks::copy(const Warp &warp, uint32_t number) const {
  Entry entry = entryOf(warp);
  entry.slot = copySlotOf(warp);
  entry.clock = number;
  return entry;
}

void ThreadClocks::copyAwaited(const Warp &warp, uint32_t mask, uint32_t number) {
  auto &copied = stateOf(warp).copied;
  forBits(mask, [&](int lane) { copied[size_t(lane)] = std::max(copied[size_t(lane)], number); });
}

void ThreadClocks::copySignals(const Warp &warp, uint32_t mask, uint32_t number, Block &block,
                               uint32_t offset) {
  Board &board = barrierAt(block, offset).board;
  board.clocks[done].raise(copySlotOf(warp), mask, number);
  board.used |= 1u << done;
}

Entry ThreadClocks::product(const Warp &warp) {
  Entry entry = entryOf(warp);
  entry.slot = productSlotOf(warp);
  entry.clock = ++products[groupOf(warp)];
  return entry;
}

void ThreadClocks::remembersIssue(const Entry &known, const Entry &issue, int lane) {
  if (isCopySlot(known.slot))
    return; // its number says it
  auto &issuers = issues[issueKey(known)];
  for (Issue &other : issuers)
    if (other.entry.slot == issue.slot && other.lane == lane) {
      other.entry.clock = std::max(other.entry.clock, issue.clock);
      return;
    }
  issuers.push_back({issue, lane});
}

bool ThreadClocks::knowsIssueOf(const Warp &warp, int lane, const Entry &known) const {
  if (!known.has(Entry::async) || known.cluster != self)
    return false;
  if (isCopySlot(known.slot)) {
    Entry issue = known;
    issue.slot = Slot16(known.slot - 2 * warpCount);
    issue.clock = warps[issue.slot].copyTimes[known.clock - 1];
    return knowsIssue(warp, lane, issue, known.firstLane);
  }
  const auto found = issues.find(issueKey(known));
  return found != issues.end() && std::ranges::all_of(found->second, [&](const Issue &issue) {
           return knowsIssue(warp, lane, issue.entry, issue.lane);
         });
}

bool ThreadClocks::knowsIssue(const Warp &warp, int lane, Entry issue, int issuer) const {
  if (issuer == allOfWarp)
    return true;
  issue.firstLane = int8_t(issuer);
  return knows(warp, std::max(lane, 0), issue, issue);
}

Scope ThreadClocks::distanceOf(const Warp &warp, const Entry &entry) const {
  if (entry.cluster != self)
    return Scope::Device;
  return entry.slot >= warpCount || entry.slot / warpsPerBlock == warp.block->rank ? Scope::Block
                                                                                   : Scope::Cluster;
}

bool ThreadClocks::knowsMore(const Warp &warp, int lane, const Held &held, const Entry &entry,
                             const Entry &access, Known kind) const {
  const Clocks *clocks = held.known.local.get();
  if (entry.cluster != self) {
    clocks = held.known.foreign ? held.known.foreign->of(entry.cluster) : nullptr;
    if (!clocks)
      return false;
    if (clocks->base(entry.slot) >= entry.clock)
      return true;
  }
  const bool isLocal = entry.cluster == self;
  const bool isOwn =
      isLocal && (entry.slot == slotOf(warp) || entry.slot == initialisationSlotOf(warp) ||
                  entry.slot == copySlotOf(warp));
  const WarpState &state = stateOf(warp);
  if (isLocal && entry.slot == productSlotOf(warp) && entry.clock <= state.productsRead)
    return true;
  const uint32_t from = std::max(entry.begin, access.begin), to = std::min(entry.end, access.end);
  const int first = entry.laneOf(from);
  const int last = entry.shift == Entry::together ? first + entry.lanes - 1 : entry.laneOf(to - 1);
  for (int other = first; other <= last; ++other) {
    if (isOwn && other == lane &&
        (entry.slot == copySlotOf(warp) ? entry.clock <= state.copied[size_t(lane)]
                                        : kind == Known::Done || entry.clock <= held.self))
      continue;
    if (!clocks || !clocks->knows(entry.slot, other, entry.clock))
      return false;
  }
  return true;
}

std::string ThreadClocks::nameOf(const Entry &entry, uint32_t byte, bool withBlock) const {
  const LaunchRequest &request = cluster->launch->request;
  const Dim3 size = request.cluster;
  const uint32_t across = request.grid.x / size.x, down = request.grid.y / size.y;
  uint32_t slot = entry.slot;
  std::string what;
  if (slot >= firstBarrierSlot())
    return "a copy";
  if (slot >= 3 * warpCount) {
    slot -= 3 * warpCount;
    slot = slot / groupsPerBlock() * warpsPerBlock + slot % groupsPerBlock() * 4;
    what = "a product of ";
  } else if (slot >= 2 * warpCount) {
    what = "a cp.async of ";
    slot -= 2 * warpCount;
  } else if (slot >= warpCount) {
    slot -= warpCount;
  }
  const uint32_t rank = slot / warpsPerBlock;
  const uint32_t thread = slot % warpsPerBlock * lanes + uint32_t(entry.laneOf(byte));
  const Dim3 block = request.block;
  what += fmt::format("thread ({}, {}, {})", thread % block.x, thread / block.x % block.y,
                      thread / block.x / block.y);
  if (!withBlock)
    return what;
  const uint32_t number = entry.cluster;
  return fmt::format("block ({}, {}, {}), {}", number % across * size.x + rank % size.x,
                     number / across % down * size.y + rank / size.x % size.y,
                     number / across / down * size.z + rank / size.x / size.y, what);
}

} // namespace ingot::emulator
