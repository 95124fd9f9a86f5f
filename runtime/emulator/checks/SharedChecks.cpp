#include "runtime/emulator/checks/SharedChecks.h"
#include "runtime/emulator/machine/AsyncMemory.h"
#include "runtime/emulator/machine/MemoryAccess.h"
#include <algorithm>
#include <cstring>

namespace ingot::emulator {
namespace {

bool isAsync(Access::Kind kind) {
  return kind == Access::Kind::AsyncRead || kind == Access::Kind::AsyncWrite ||
         kind == Access::Kind::AsyncReduce;
}

} // namespace

void SharedChecks::begin(Block &owner, const CheckOptions &chosen, ThreadClocks &threads) {
  block = &owner;
  clocks = &threads;
  options = chosen;
  if (options.sharedRaces || options.async)
    lines.allocate(owner.shared.size());
  undefined = 0;
  if (!options.memory)
    return;
  defined.assign(owner.shared.size(), 1);
  // What belongs to no variable of the program is the system's.
  const CompiledKernel &kernel = *owner.launch->request.kernel;
  for (const SharedVariable &variable : kernel.shared)
    std::fill_n(defined.begin() + variable.offset,
                variable.variable->bytes ? variable.variable->bytes
                                         : owner.launch->request.dynamicSharedBytes,
                0);
  undefined = uint64_t(std::ranges::count(defined, 0));
}

void SharedChecks::memory(const Instruction &instruction, const RaceCheck &check, const Run &run) {
  uint8_t *first = defined.data() + sharedOffset(uint32_t(run.address));
  const Access &access = check.access;
  if (!check.reads()) {
    undefined -= uint64_t(std::count(first, first + run.bytes, 0));
    std::memset(first, 1, run.bytes);
    return;
  }
  if (!std::memchr(first, 0, run.bytes))
    return;
  for (int lane = 0; lane < (run.together ? 1 : run.lanes); ++lane, first += access.bytes)
    // Nothing of it: copies of structures read their gaps, too.
    if (!std::memchr(first, 1, access.bytes)) {
      const uint64_t address = run.address + uint64_t(lane) * access.bytes;
      return check.warp.report(
          instruction, uint32_t(1) << (run.firstLane + lane), "uninitialised-memory",
          nameShared(*block, sharedOffset(uint32_t(address))) + " has not been written",
          access.window + address);
    }
}

void SharedChecks::report(const Instruction &instruction, const RaceCheck &check,
                          const RaceCheck::Collision &collision, uint64_t line) {
  const auto offset = int64_t(line * lineBytes + collision.byte);
  Warp &warp = check.warp;
  const bool far = warp.block != block || warp.block->cluster->blocks.size() > 1;
  warp.report(instruction, uint32_t(1) << collision.lane,
              check.isUnawaited(collision) ? CheckName("async") : CheckName("shared-race"),
              fmt::format("{} {}, {}", check.reads() ? "reads" : "writes",
                          nameShared(*block, offset), check.describe(collision, far)),
              sharedWindow + mapToRank(uint32_t(offset), block->rank), collision.sameValue);
}

void SharedChecks::races(const Instruction &instruction, const RaceCheck &check, const Run &run) {
  const Access &access = check.access;
  const uint64_t offset = sharedOffset(uint32_t(run.address));
  Entry like = check.like;
  if (check.role == Role::Initialises) {
    like = clocks->initialisation(check.warp, run.firstLane);
    like.flags = Entry::writes;
  }
  bool reported = !options.sharedRaces;
  if (!reported && run.together && !check.reads())
    if (const auto collision = check.withinRun(run)) {
      report(instruction, check, *collision, offset / lineBytes);
      reported = !collision->sameValue;
    }
  forLines(run, offset, access.bytes, like, [&](uint64_t number, Entry piece) {
    if (access.collective) {
      piece.shift = Entry::together;
      piece.firstLane = 0;
      piece.lanes = uint8_t(lanes);
    }
    Line &line = lines[number];
    const auto isKnown = [&](const Entry &entry) { return check.common.knows(entry); };
    if (!reported && (piece.has(Entry::writes) || !line.isQuiet(piece, isKnown)))
      if (const auto collision = check.find(line, piece, run.address - offset + number * lineBytes,
                                            block->shared.data() + number * lineBytes)) {
        report(instruction, check, *collision, number);
        reported = true;
      }
    if (piece.has(Entry::writes))
      line.rememberWrite(piece, lines.pool);
    else
      line.rememberRead(piece, lines.pool, isKnown);
  });
}

void SharedChecks::access(const Instruction &instruction, const RaceCheck &check, const Run &run) {
  if (undefined)
    memory(instruction, check, run);
  if (lines && !isAsync(check.access.kind)) // of copies see `begins`
    races(instruction, check, run);
}

void SharedChecks::begins(Warp &warp, const Instruction &instruction, int lane, Access::Kind kind,
                          uint32_t offset, uint32_t bytes, bool asyncProxy) {
  if (!lines)
    return;
  const bool ofWarp = lane == allOfWarp;
  Access access;
  access.kind = kind;
  access.space = Space::Shared;
  access.bytes = bytes;
  access.mask = ofWarp ? allLanes : uint32_t(1) << lane;
  access.asyncProxy = asyncProxy;
  const RaceCheck check(*clocks, warp, access, Role::None);
  const Run run{offset, bytes, ofWarp ? 0 : lane, ofWarp ? lanes : 1, true};
  bool reported = false;
  forLines(run, offset, bytes, check.like, [&](uint64_t number, const Entry &piece) {
    if (reported)
      return;
    const Line &line = lines[number];
    auto collision = check.find(line, piece, number * lineBytes, nullptr);
    if (collision && options.sharedRaces)
      return report(instruction, check, *collision, number), void(reported = true);
    if (collision || !asyncProxy || kind != Access::Kind::AsyncRead || !options.async)
      return;
    collision = check.unfenced(line, piece, Known::ProxyFenced);
    if (!collision)
      return;
    reported = true;
    const auto at = uint32_t(number * lineBytes + collision->byte);
    warp.report(instruction, uint32_t(1) << collision->lane, "proxy-fence",
                fmt::format("reads {}, which {} has written without a "
                            "fence.proxy.async since",
                            placeShared(*block, at),
                            clocks->nameOf(collision->other, collision->byte, false)),
                sharedWindow + mapToRank(at, block->rank));
  });
}

void SharedChecks::ended(Warp &warp, Entry entry, uint32_t offset, uint32_t bytes) {
  if (!lines)
    return;
  const Run run{offset, bytes, entry.firstLane, entry.lanes, true};
  const ThreadClocks::Common common(*clocks, warp);
  forLines(run, offset, bytes, entry, [&](uint64_t number, const Entry &piece) {
    if (piece.has(Entry::writes))
      lines[number].rememberWrite(piece, lines.pool);
    else
      lines[number].rememberRead(piece, lines.pool,
                                 [&](const Entry &other) { return common.knows(other); });
  });
}

} // namespace ingot::emulator
