#include "runtime/emulator/machine/AsyncEngine.h"
#include <algorithm>
#include <utility>

namespace ingot::emulator {

namespace {

/// How often all waits for mbarriers of a block may time out in a row without anything changing:
/// programs that poll several barriers in turn need a few, a deadlock has as many as one likes.
constexpr int maximumTimeouts = 64;
/// Calls with nothing to do, while other warps run, before a wait times out.
constexpr int patience = 256;

} // namespace

void ThreadCopies::add(Item item) {
  forLanes(item.mask, [&](int lane) { item.groups[lane] = committed[lane]; });
  item.unawaited = item.mask;
  items.push_back(std::move(item));
}

void ThreadCopies::commit(uint32_t mask) {
  forLanes(mask, [&](int lane) { ++committed[lane]; });
}

size_t ThreadCopies::pending() const {
  return static_cast<size_t>(
      std::count_if(items.begin(), items.end(), [](const Item &item) { return item.mask != 0; }));
}

void ThreadCopies::perform(Item &item, uint32_t mask) {
  mask &= item.mask;
  item.mask &= ~mask;
  forLanes(mask, [&](int lane) {
    if (item.sourceBytes[lane])
      copyRelaxed(item.destinations[lane], item.sources[lane], item.sourceBytes[lane]);
    std::memset(item.destinations[lane] + item.sourceBytes[lane], 0,
                item.bytes - item.sourceBytes[lane]);
  });
}

void ThreadCopies::arrive(Item &item, uint32_t mask) {
  mask &= item.mask;
  item.mask &= ~mask;
  item.unawaited &= ~mask;
  AsyncEngine &engine = AsyncEngine::of(item.origin.block());
  while (mask) { // lanes that signal the same barrier together
    const uint32_t barrier = item.barriers[std::countr_zero(mask)];
    uint32_t same = 0;
    forLanes(mask, [&](int lane) { same |= uint32_t(item.barriers[lane] == barrier) << lane; });
    mask &= ~same;
    for (Item &before : items) {
      if (&before == &item)
        break;
      const uint32_t signalled = before.unawaited & same;
      if (!before.bytes || !signalled)
        continue;
      perform(before, same);
      if (item.origin.warp->observer)
        engine.signals(before.origin, barrier, before.operation, signalled, this);
      else // nobody asks
        before.unawaited &= ~same;
    }
    forLanes(same, [&](int lane) {
      Origin origin = item.origin;
      origin.lane = lane;
      engine.barriers.arrive(origin, barrier, 1, 0, false, true, nullptr,
                             {Order::Release, Scope::Cluster});
    });
  }
}

void ThreadCopies::release(Item &item, uint32_t mask, bool byItself) {
  mask &= item.unawaited;
  if (!mask)
    return;
  item.unawaited &= ~mask;
  if (ClusterObserver *observer = item.origin.warp->observer)
    observer->asyncDone(item.operation, mask, false, byItself ? item.origin.warp : nullptr);
}

void ThreadCopies::awaited(uint64_t operation, uint32_t mask) {
  for (Item &item : items)
    if (item.bytes && item.operation == operation)
      release(item, mask, false);
  prune();
}

void ThreadCopies::prune() {
  std::erase_if(items, [](const Item &item) { return !item.mask && !item.unawaited; });
}

void ThreadCopies::complete(size_t number) {
  for (Item &item : items) {
    if (!item.mask || number--)
      continue;
    if (item.bytes)
      perform(item, allLanes);
    else
      arrive(item, allLanes);
    break;
  }
  prune();
}

void ThreadCopies::wait(uint32_t mask, uint32_t allowed, bool all) {
  for (Item &item : items) {
    uint32_t due = 0;
    forLanes(mask & item.unawaited, [&](int lane) {
      // Arrivals belong to no group: they come when the copies before them have.
      if (all || (item.bytes && item.groups[lane] + allowed < committed[lane]))
        due |= uint32_t(1) << lane;
    });
    if (!due)
      continue;
    if (!item.bytes) {
      arrive(item, due);
      continue;
    }
    perform(item, due);
    release(item, due, true);
  }
  prune();
}

void BulkCopy::read() {
  if (hasRead)
    return;
  hasRead = true;
  data.resize(bytes);
  std::byte *out = data.data();
  for (const Piece &piece : pieces) {
    if (piece.source) {
      copyRelaxed(out, piece.source, piece.bytes);
      if (transform)
        transform(out, piece.bytes);
    } else {
      for (uint32_t i = 0; i < piece.bytes; ++i)
        out[i] = static_cast<std::byte>(fill >> 8 * (i % fillBytes));
    }
    out += piece.bytes;
  }
}

void BulkCopy::write() {
  if (hasWritten)
    return;
  hasWritten = true;
  read();
  const std::byte *in = data.data();
  for (const Piece &piece : pieces) {
    if (!piece.destination)
      ; // out of the tensor's bounds
    else if (reduce)
      reduce(piece.destination, in, piece.bytes);
    else
      copyRelaxed(piece.destination, in, piece.bytes);
    in += piece.bytes;
  }
  data = {};
  pieces.clear();
  if (!signalled)
    return;
  AsyncEngine &engine = AsyncEngine::of(*signalled);
  engine.signals(origin, barrier, operation, uint32_t(1) << origin.lane);
  engine.barriers.complete(origin, barrier, bytes);
}

bool WarpgroupOperation::isIssued() const {
  return std::all_of(parts.begin(), parts.end(),
                     [](const Part &part) { return part.origin.warp != nullptr; });
}

void WarpgroupOperation::run() {
  const auto gather = [](const Part &part, const MatrixDescriptor &descriptor, bool transposed,
                         int first, int rows, int bytes, uint8_t *out) {
    const uint32_t rank = part.origin.block().rank;
    for (const uint32_t address : descriptor.chunks(transposed, first, rows, bytes)) {
      const std::byte *chunk = sharedRange(part.origin, mapToRank(address, rank), 16, 16,
                                           accessOf(Access::Kind::AsyncRead));
      if (!chunk)
        return false;
      std::memcpy(out, chunk, 16);
      out += 16;
    }
    return true;
  };
  uint8_t chunksA[4][16 * 32], chunksB[256 * 64];
  std::array<WarpgroupPart, 4> operands;
  for (int warp = 0; warp < 4; ++warp) {
    const Part &part = parts[warp];
    operands[warp].d = part.d.data();
    operands[warp].a = part.a.data();
    operands[warp].metadata = part.metadata.data();
    if (part.a[0])
      continue;
    if (!gather(part, part.descriptorA, shape.transposeA, 16 * warp, 16, 32, chunksA[warp]))
      return;
    operands[warp].aChunks = chunksA[warp];
  }
  if (!gather(parts[0], parts[0].descriptorB, shape.transposeB, 0, shape.n, shape.bytesOfB(),
              chunksB))
    return;
  if (!multiply(shape, operands, chunksB))
    parts[0].origin.report("sparse-metadata",
                           "metadata of A names a place twice: the result is not defined");
}

AsyncEngine::AsyncEngine(Block &block)
    : barriers(block), block(block), warps(block.warps.size()),
      warpgroups((block.warps.size() + 3) / 4) {}

AsyncEngine &AsyncEngine::of(Block &block) {
  if (!block.async)
    block.async = std::make_unique<AsyncEngine>(block);
  return static_cast<AsyncEngine &>(*block.async);
}

void AsyncEngine::done(uint64_t operation, uint32_t mask, bool readingAlone, const Warp *waiter) {
  if (ClusterObserver *observer = block.cluster->observer.get())
    observer->asyncDone(operation, mask, readingAlone, waiter);
}

void AsyncEngine::signals(const Origin &origin, uint32_t barrier, uint64_t operation, uint32_t mask,
                          ThreadCopies *copies) {
  ClusterObserver *observer = block.cluster->observer.get();
  if (!observer)
    return;
  const uint32_t phase = barriers.phase(barrier);
  observer->asyncSignals(operation, mask, block, barrier, phase);
  unseen.push_back({barrier, phase, operation, origin, copies, mask});
}

void AsyncEngine::sees(uint32_t barrier, uint32_t phase) {
  std::erase_if(unseen, [&](const Signal &signal) {
    if (signal.barrier != barrier || signal.phase >= phase)
      return false;
    if (signal.copies)
      signal.copies->awaited(signal.operation, signal.mask);
    else
      done(signal.operation, signal.mask, false, nullptr);
    return true;
  });
}

void AsyncEngine::start(std::unique_ptr<BulkCopy> copy) {
  copy->group = warps[copy->origin.warp->index].bulkGroups[copy->origin.lane];
  copy->operation = newOperation();
  if (ClusterObserver *observer = block.cluster->observer.get())
    for (const BulkCopy::Range &range : copy->ranges)
      observer->asyncRange(*copy->origin.warp, *copy->origin.instruction, copy->origin.lane,
                           copy->operation, range.kind, range.space, range.address, range.bytes);
  copies.push_back(std::move(copy));
}

void AsyncEngine::commitBulk(const Warp &warp, int lane) { ++warps[warp.index].bulkGroups[lane]; }

void AsyncEngine::waitBulk(const Warp &warp, int lane, uint32_t allowed, bool read) {
  const uint32_t self = uint32_t(1) << lane;
  for (size_t i = 0; i < copies.size();) {
    BulkCopy &copy = *copies[i];
    if (copy.signalled || copy.origin.warp != &warp || copy.origin.lane != lane ||
        copy.group + allowed >= warps[warp.index].bulkGroups[lane]) {
      ++i;
    } else if (read) {
      copy.read();
      if (!std::exchange(copy.readAwaited, true))
        done(copy.operation, self, true, &warp);
      ++i;
    } else {
      copy.write();
      done(copy.operation, self, false, &warp);
      copies.erase(copies.begin() + static_cast<ptrdiff_t>(i));
    }
  }
}

namespace {

/// Operand rows in shared memory and the registers of a warp's part.
void tellObserver(ClusterObserver &observer, const WarpgroupOperation &operation,
                  const WarpgroupOperation::Part &part, int warp) {
  Warp &issuer = *part.origin.warp;
  const Instruction &instruction = *part.origin.instruction;
  const auto tellChunks = [&](const MatrixDescriptor &descriptor, bool transposed, int first,
                              int rows, int bytes) {
    for (const uint32_t address : descriptor.chunks(transposed, first, rows, bytes))
      observer.asyncRange(issuer, instruction, allOfWarp, operation.operation,
                          Access::Kind::AsyncRead, Space::Shared,
                          sharedWindow + mapToRank(address, issuer.block->rank), 16);
  };
  if (!part.a[0])
    tellChunks(part.descriptorA, operation.shape.transposeA, 16 * warp, 16, 32);
  if (warp == 0) // all warps read the same B
    tellChunks(part.descriptorB, operation.shape.transposeB, 0, operation.shape.n,
               operation.shape.bytesOfB());
  const std::span slots(instruction.slots, part.d.size() + (part.a[0] ? 4 : 0));
  observer.asyncRegisters(issuer, instruction, operation.operation, slots.subspan(part.d.size()),
                          slots.first(part.d.size()));
}

} // namespace

void AsyncEngine::PerWarpgroup::completeFirst() {
  products.front().run();
  products.pop_front();
  ++completed;
}

void AsyncEngine::start(const WarpgroupMultiply &shape, WarpgroupOperation::Part part) {
  const Origin origin = part.origin;
  const int index = origin.warp->index;
  if (static_cast<size_t>(index / 4 * 4 + 4) > warps.size())
    return origin.report("divergence", "wgmma needs warpgroups of four warps");
  PerWarpgroup &group = warpgroups[index / 4];
  const size_t place = static_cast<size_t>(warps[index].issued++ - group.completed);
  part.group = warps[index].productGroups;
  if (place == group.products.size()) {
    group.products.emplace_back();
    group.products.back().shape = shape;
    group.products.back().operation = newOperation();
    group.unawaited.push_back({group.products.back().operation, {}, origin});
  }
  WarpgroupOperation &operation = group.products[place];
  // Completed operations are a prefix of those that nobody has waited for.
  group.unawaited[group.unawaited.size() - group.products.size() + place].groups[index % 4] =
      part.group;
  if (ClusterObserver *observer = origin.warp->observer)
    tellObserver(*observer, operation, part, index % 4);
  for (const WarpgroupOperation::Part &other : operation.parts)
    if (other.origin.warp && (other.origin.instruction != origin.instruction ||
                              other.descriptorB.encode() != part.descriptorB.encode() ||
                              other.descriptorA.encode() != part.descriptorA.encode())) {
      origin.report("divergence", "the warps of the warpgroup issue different products");
      break;
    }
  operation.parts[index % 4] = std::move(part);
  if (operation.isIssued())
    for (int warp = index / 4 * 4; warp < index / 4 * 4 + 4; ++warp)
      block.warps[warp]->resumeWaiting(Fragment::Wait::Other, waitingId(*origin.warp));
}

bool AsyncEngine::waitProducts(Warp &warp, uint32_t allowed) {
  PerWarpgroup &group = warpgroups[warp.index / 4];
  const int member = warp.index % 4;
  const uint32_t committed = warps[warp.index].productGroups;
  while (!group.products.empty()) {
    const WarpgroupOperation &first = group.products.front();
    const WarpgroupOperation::Part &own = first.parts[member];
    if (!own.origin.warp || own.group + allowed >= committed)
      break;
    if (!first.isIssued())
      return false;
    group.completeFirst();
  }
  // What has not been issued by all cannot be among those.
  while (group.unawaited.size() > group.products.size() &&
         group.unawaited.front().groups[member] + allowed < committed) {
    done(group.unawaited.front().operation, allLanes, false, &warp);
    group.unawaited.pop_front();
  }
  if (warp.observer && committed > allowed)
    warp.observer->productsAwaited(warp, warps[warp.index].committed[committed - allowed - 1]);
  return true;
}

size_t AsyncEngine::pendingCopies() const {
  return static_cast<size_t>(std::ranges::count(copies, false, &BulkCopy::hasWritten));
}

bool AsyncEngine::outstanding() const {
  return pendingCopies() ||
         std::any_of(warps.begin(), warps.end(),
                     [](const PerWarp &warp) { return warp.copies.pending(); }) ||
         std::any_of(warpgroups.begin(), warpgroups.end(), [](const PerWarpgroup &group) {
           return !group.products.empty() && group.products.front().isIssued();
         });
}

bool AsyncEngine::timeOut() {
  if (barriers.changes() != seenChanges) {
    seenChanges = barriers.changes();
    timeouts = idleCalls = 0;
  }
  const auto waits = [](const Fragment &fragment) {
    return fragment.wait == Fragment::Wait::Other && fragment.id >= 0; // for an mbarrier
  };
  const bool waiting = std::any_of(block.warps.begin(), block.warps.end(), [&](const auto &warp) {
    return std::any_of(warp->fragments.begin(), warp->fragments.end(), waits);
  });
  if (!waiting || timeouts >= maximumTimeouts)
    return false;
  bool others = false;
  for (const auto &other : block.cluster->blocks) {
    others |= std::any_of(other->warps.begin(), other->warps.end(),
                          [](const auto &warp) { return !warp->finished() && warp->runnable(); });
    if (other.get() != &block && other->async)
      others |= static_cast<AsyncEngine &>(*other->async).outstanding();
  }
  if (others && ++idleCalls < patience)
    return false;
  idleCalls = 0;
  ++timeouts;
  for (const auto &warp : block.warps)
    for (Fragment &fragment : warp->fragments)
      if (waits(fragment))
        warp->resumeWaiting(Fragment::Wait::Other, fragment.id);
  return true;
}

bool AsyncEngine::advance(std::mt19937_64 &random) {
  if (!outstanding())
    return timeOut();
  if (random() % 4)
    return true; // not yet
  std::vector<PerWarp *> copying;
  for (PerWarp &warp : warps)
    if (warp.copies.pending())
      copying.push_back(&warp);
  std::vector<PerWarpgroup *> multiplying;
  for (PerWarpgroup &group : warpgroups)
    if (!group.products.empty() && group.products.front().isIssued())
      multiplying.push_back(&group);
  const size_t pending = pendingCopies();
  size_t choice = random() % (pending + copying.size() + multiplying.size());
  if (choice < pending) {
    const auto place = std::ranges::find_if(
        copies, [&](const auto &copy) { return !copy->hasWritten && choice-- == 0; });
    (*place)->read();
    if (random() % 2) // reading and writing are apart now and then
      return true;
    if ((*place)->signalled) {
      const std::unique_ptr<BulkCopy> done = std::move(*place);
      copies.erase(place);
      done->write();
    } else {
      (*place)->write(); // and is kept for who waits for its group
    }
    return true;
  }
  choice -= pending;
  if (choice < copying.size()) {
    ThreadCopies &items = copying[choice]->copies;
    items.complete(random() % items.pending());
  } else {
    multiplying[choice - copying.size()]->completeFirst();
  }
  return true;
}

void AsyncEngine::finish() {
  for (const std::unique_ptr<BulkCopy> &copy : copies) {
    if (!copy->signalled && copy->readsShared && !copy->readAwaited)
      copy->origin.report("async", "the block ended before anybody waited for this copy to have "
                                   "read its shared memory: cp.async.bulk.wait_group.read is "
                                   "missing");
    else if (copy->signalled)
      copy->origin.report("async", "the block ended before this copy was waited for");
    copy->write();
  }
  copies.clear();
  for (const Signal &signal : unseen)
    if (!signal.copies)
      signal.origin.report("async", "the block ended before this copy was waited for");
  unseen.clear();
  for (PerWarpgroup &group : warpgroups) {
    if (!group.unawaited.empty())
      group.unawaited.front().origin.report(
          "async", "the warpgroup ended before this product was waited for: wgmma.wait_group is "
                   "missing");
    group.products.clear();
    group.unawaited.clear();
  }
  for (PerWarp &warp : warps)
    warp.copies = ThreadCopies();
}

std::string AsyncEngine::describe() const {
  std::string text = barriers.describe();
  size_t products = 0, threadCopies = 0;
  for (const PerWarp &warp : warps)
    threadCopies += warp.copies.pending();
  for (const PerWarpgroup &group : warpgroups)
    products += group.products.size();
  for (const auto &[count, what] :
       {std::pair(pendingCopies(), "bulk copies"), {threadCopies, "cp.async"}, {products, "wgmma"}})
    if (count)
      text += fmt::format("{}{} {}", text.empty() ? "" : "; ", count, what);
  return text;
}

} // namespace ingot::emulator
