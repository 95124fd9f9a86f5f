#include "runtime/emulator/checks/GlobalChecks.h"
#include <algorithm>
#include <cstring>

namespace ingot::emulator {
namespace {

/// Bytes of a map of written bytes, which other host threads may set at the same time.
bool allSet(const uint8_t *first, uint64_t count) {
  constexpr uint64_t ones = 0x0101010101010101;
  for (; count && reinterpret_cast<uintptr_t>(first) % 8; ++first, --count)
    if (!__atomic_load_n(first, __ATOMIC_RELAXED))
      return false;
  uint64_t all = ones;
  for (; count >= 8; first += 8, count -= 8)
    all &= __atomic_load_n(reinterpret_cast<const uint64_t *>(first), __ATOMIC_RELAXED);
  if ((all & ones) != ones)
    return false;
  for (; count; ++first, --count)
    if (!__atomic_load_n(first, __ATOMIC_RELAXED))
      return false;
  return true;
}

void setAll(uint8_t *first, uint64_t count) {
  if (allSet(first, count))
    return; // leaves the host's cache lines alone
  constexpr uint64_t ones = 0x0101010101010101;
  for (; count && reinterpret_cast<uintptr_t>(first) % 8; ++first, --count)
    __atomic_store_n(first, 1, __ATOMIC_RELAXED);
  for (; count >= 8; first += 8, count -= 8)
    __atomic_store_n(reinterpret_cast<uint64_t *>(first), ones, __ATOMIC_RELAXED);
  for (; count; ++first, --count)
    __atomic_store_n(first, 1, __ATOMIC_RELAXED);
}

/// The words of a line that a piece touches.
uint32_t wordsOf(const Entry &piece) {
  const uint32_t first = piece.begin / 4, last = (piece.end - 1u) / 4;
  return uint32_t((uint64_t(2) << last) - (uint64_t(1) << first));
}

} // namespace

Lines *GlobalChecks::linesOf(const Allocation &allocation) {
  {
    std::shared_lock lock(mutex);
    if (const auto known = lines.find(&allocation); known != lines.end())
      return known->second.get();
  }
  std::unique_lock lock(mutex);
  const auto [known, isNew] = lines.try_emplace(&allocation);
  if (isNew) {
    auto made = std::make_unique<Lines>();
    if (made->allocate(allocation.bytes))
      known->second = std::move(made);
  }
  return known->second.get();
}

namespace {

Touch touchOf(const Entry &entry) {
  const bool isStrong = entry.has(Entry::strong) && entry.scope() == Scope::Device;
  return entry.has(Entry::writes) ? isStrong ? Touch::StrongWrite : Touch::Write
         : isStrong               ? Touch::StrongRead
                                  : Touch::Read;
}

} // namespace

Footprint GlobalChecks::footprint() const {
  std::vector<std::pair<uint64_t, const Lines *>> memories;
  for (const auto &[allocation, memory] : lines)
    if (memory)
      memories.emplace_back(allocation->address, memory.get());
  std::ranges::sort(memories);
  Footprint footprint, ofLine;
  for (const auto &[address, memory] : memories)
    memory->forTouched([&, first = address](uint64_t number, const Line &line) {
      const uint64_t start = first + number * lineBytes;
      line.forAll([&](const Entry &entry) {
        ofLine[size_t(touchOf(entry))].push_back({start + entry.begin, start + entry.end});
      });
      for (size_t kind = 0; kind < touchKinds; ++kind) {
        std::ranges::sort(ofLine[kind], {}, &TouchedRange::begin);
        std::vector<TouchedRange> &all = footprint[kind];
        for (const TouchedRange &range : ofLine[kind])
          if (!all.empty() && range.begin <= all.back().end)
            all.back().end = std::max(all.back().end, range.end);
          else
            all.push_back(range);
        ofLine[kind].clear();
      }
    });
  return footprint;
}

void GlobalChecks::unwritten(const Instruction &instruction, const RaceCheck &check,
                             const Allocation &allocation, const Run &run) {
  const Access &access = check.access;
  Warp &warp = check.warp;
  uint8_t *first = allocation.written + (run.address - allocation.address);
  if (!check.reads() && access.kind != Access::Kind::Atomic)
    return setAll(first, run.bytes);
  if (allSet(first, run.bytes))
    return;
  for (int lane = 0; lane < (run.together ? 1 : run.lanes); ++lane) {
    const uint64_t offset = uint64_t(lane) * access.bytes;
    if (allSet(first + offset, access.bytes))
      continue;
    const uint64_t address = run.address + offset;
    warp.report(instruction, uint32_t(1) << (run.firstLane + lane), "uninitialised-memory",
                fmt::format("reads {} bytes at {:#x} that nobody has written{}", access.bytes,
                            address, warp.launch->memory.describe(address)),
                address);
    break;
  }
  if (access.kind == Access::Kind::Atomic)
    setAll(first, run.bytes);
}

void GlobalChecks::readOnly(const Instruction &instruction, const RaceCheck &check, Line &line,
                            const Entry &piece, uint64_t address) {
  const uint32_t words = wordsOf(piece);
  const bool reads = check.reads();
  Warp &warp = check.warp;
  if (check.access.nonCoherent)
    line.nonCoherent |= words;
  if (!reads)
    line.written |= words;
  const uint32_t both = words & line.nonCoherent & line.written;
  if (!both)
    return;
  const uint64_t at = address + 4 * uint64_t(std::countr_zero(both));
  warp.report(
      instruction, uint32_t(1) << std::max(0, piece.laneOf(uint32_t(at - address))), "non-coherent",
      fmt::format("{} {:#x}{}, which {}: the read-only cache may hold an old value",
                  reads ? "ld.global.nc reads" : "writes", at, warp.launch->memory.describe(at),
                  reads ? "the kernel writes" : "ld.global.nc reads in the same kernel"),
      at);
}

void GlobalChecks::unfenced(const Instruction &instruction, const RaceCheck &check,
                            const Line &line, const Entry &piece, uint64_t address,
                            const ThreadClocks &clocks, const Recent &recent) {
  const Access &access = check.access;
  Warp &warp = check.warp;
  const auto report = [&](CheckName name, const RaceCheck::Collision &collision,
                          std::string_view fence) {
    const uint64_t at = address + collision.byte;
    warp.report(instruction, uint32_t(1) << collision.lane, name,
                fmt::format("reads {:#x}{}, which {} has written without a {} since", at,
                            warp.launch->memory.describe(at),
                            clocks.nameOf(collision.other, collision.byte, true), fence),
                at);
  };
  if (!access.tensorMap) {
    if (const auto found = check.unfenced(line, piece, Known::ProxyFenced))
      report("proxy-fence", *found, "fence.proxy.async");
    return;
  }
  const uint64_t map = access.addresses[std::countr_zero(access.mask)];
  if (const auto found = check.unfenced(line, piece, Known::MapReleased)) {
    report("tensormap-fence", *found, "fence.proxy.tensormap::generic.release");
    return;
  }
  auto found = check.unfenced(line, piece, Known::MapAcquired);
  if (!found && std::ranges::find(recent.acquiredMaps, map) == recent.acquiredMaps.end())
    line.forOverlapping(piece, [&](const Entry &other) {
      found = RaceCheck::Collision{other, std::max(other.begin, piece.begin),
                                   std::countr_zero(access.mask), false, 0};
      return true;
    });
  if (found)
    report("tensormap-fence", *found, "fence.proxy.tensormap::generic.acquire of the map");
}

void GlobalChecks::races(const Instruction &instruction, const RaceCheck &check,
                         const Allocation &allocation, const Run &run, const ThreadClocks &clocks,
                         Recent &recent) {
  Lines *const known = linesOf(allocation, recent);
  if (!known)
    return;
  Lines &memory = *known;
  const Access &access = check.access;
  Warp &warp = check.warp;
  const bool reads = check.reads();
  const bool pending =
      access.kind == Access::Kind::AsyncWrite || access.kind == Access::Kind::AsyncReduce;
  const auto report = [&](const RaceCheck::Collision &collision, uint64_t at) {
    warp.report(instruction, uint32_t(1) << collision.lane,
                check.isUnawaited(collision) ? CheckName("async") : CheckName("global-race"),
                fmt::format("{} {:#x}{}, {}", reads ? "reads" : "writes", at,
                            warp.launch->memory.describe(at), check.describe(collision, true)),
                at, collision.sameValue);
  };
  bool reported = !options.globalRaces;
  if (!reported && run.together && !check.reads())
    if (const auto collision = check.withinRun(run)) {
      report(*collision, run.address);
      reported = !collision->sameValue;
    }
  Entry like = check.like;
  if (pending) // nobody knows of it before it was waited for
    like.clock = ~uint32_t(0);
  LineLock lock(*this);
  forLines(run, run.address - allocation.address, access.bytes, like,
           [&](uint64_t number, Entry piece) {
             const uint64_t address = allocation.address + number * lineBytes;
             lock.take(address);
             if (access.collective) {
               piece.shift = Entry::together;
               piece.firstLane = 0;
               piece.lanes = uint8_t(lanes);
             }
             Line &line = memory.touch(number);
             std::optional<RaceCheck::Collision> collision;
             const auto isKnown = [&](const Entry &entry) { return check.common.knows(entry); };
             if (reads ? !line.isQuiet(piece, isKnown)
                       : line.write.clock || line.more || line.read.clock)
               collision = check.find(line, piece, address, allocation.host + number * lineBytes);
             if (collision && !reported) {
               report(*collision, address + collision->byte);
               reported = true;
             }
             if (!collision && reads && (access.asyncProxy || access.tensorMap) && options.async &&
                 line.written)
               unfenced(instruction, check, line, piece, address, clocks, recent);
             if (!reads || access.nonCoherent)
               readOnly(instruction, check, line, piece, address);
             if (reads)
               return line.rememberRead(piece, memory.pool, isKnown);
             if (!check.perform(piece, address, allocation.host + number * lineBytes))
               piece.flags |= Entry::later;
             line.rememberWrite(piece, memory.pool);
           });
  if (pending && access.values.data)
    recent.issued.push_back(
        {&instruction, &warp, warp.executed, run.address, run.bytes, access.values.data});
}

void GlobalChecks::constantRead(const RaceCheck &check, const Allocation &allocation,
                                const Run &run, Recent &recent) {
  Lines *const memory = options.globalRaces ? linesOf(allocation, recent) : nullptr;
  if (!memory)
    return;
  LineLock lock(*this);
  forLines(run, run.address - allocation.address, check.access.bytes, check.like,
           [&](uint64_t number, const Entry &piece) {
             lock.take(allocation.address + number * lineBytes);
             memory->touch(number).rememberRead(piece, memory->pool,
                                                [](const Entry &) { return true; });
           });
}

void GlobalChecks::access(const Instruction &instruction, RaceCheck &check, const Runs &runs,
                          const ThreadClocks &clocks, Recent &recent) {
  const Access &access = check.access;
  const Warp &warp = check.warp;
  if (!recent.issued.empty() &&
      (recent.issued.front().executed != warp.executed || recent.issued.front().warp != &warp))
    recent.issued.clear();
  check.compareWith(recent.issued);
  for (const Run &run : runs) {
    const Extent *extent = access.extent ? access.extent : warp.launch->memory.find(run.address);
    if (!extent)
      continue;
    const Allocation &allocation = *extent->allocation;
    if (run.address - allocation.address + run.bytes > allocation.bytes)
      continue;
    if (options.memory && allocation.written && !allocation.allWritten)
      unwritten(instruction, check, allocation, run);
    if (allocation.kind == Allocation::Kind::Constant)
      constantRead(check, allocation, run, recent);
    else if (options.globalRaces || options.async)
      races(instruction, check, allocation, run, clocks, recent);
  }
}

void GlobalChecks::written(Warp &warp, const Entry &entry, uint64_t address, uint64_t bytes,
                           Recent &recent) {
  const Extent *extent = warp.launch->memory.find(address);
  if (!extent || !(options.globalRaces || options.async))
    return;
  const Allocation &allocation = *extent->allocation;
  Lines *memory = linesOf(allocation, recent);
  if (!memory)
    return;
  LineLock lock(*this);
  const Run run{address, uint32_t(bytes), entry.firstLane, entry.lanes, true};
  forLines(run, address - allocation.address, uint32_t(bytes), entry,
           [&](uint64_t number, const Entry &piece) {
             lock.take(allocation.address + number * lineBytes);
             memory->touch(number).rememberWrite(piece, memory->pool);
           });
}

} // namespace ingot::emulator
