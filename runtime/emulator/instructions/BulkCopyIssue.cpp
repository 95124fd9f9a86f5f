#include "runtime/emulator/instructions/BulkCopyIssue.h"
#include "runtime/emulator/machine/AsyncEngine.h"
#include "runtime/emulator/machine/TensorMap.h"

namespace ingot::emulator {
namespace {

/// 16 bytes and more at once: what bulk copies work in.
constexpr uint32_t granule = 16;

/// An access of the async proxy.
Access asyncAccess(Access::Kind kind, const std::byte *data = nullptr) {
  Access access = accessOf(kind);
  access.asyncProxy = true;
  access.values.data = data;
  return access;
}

/// The host's view of one end of a copy.
struct Barrier {
  Block *block = nullptr;
  uint32_t offset = 0;
};

/// Blocks that a copy goes to, with the place in each and the barrier that counts it.
struct Target {
  uint32_t address; ///< shared, of the cluster
  Barrier barrier;
};

bool findTargets(const Origin &origin, const Bulk &bulk, std::vector<Target> &targets) {
  uint32_t address, barrier;
  if (!bulk.destination.shared(origin, address) || !bulk.barrier.shared(origin, barrier))
    return false;
  Block &own = origin.block();
  const auto add = [&](uint32_t to, uint32_t signal) {
    Block *block = blockOfShared(own, signal);
    if (!block) {
      origin.report("out-of-bounds",
                    fmt::format("shared address {:#x} lies in no block of the cluster", signal),
                    signal);
      return false;
    }
    if (!AsyncEngine::of(*block).barriers.find(origin, sharedOffset(signal)))
      return false;
    targets.push_back({to, {block, sharedOffset(signal)}});
    return true;
  };
  if (bulk.multicast == noSlot)
    return add(address, barrier);
  const uint16_t mask = origin.warp->reg<uint16_t>(bulk.multicast)[origin.lane];
  for (uint32_t rank = 0; rank < 16; ++rank)
    if (mask >> rank & 1 && !add(mapToRank(address, rank), mapToRank(barrier, rank)))
      return false;
  return true;
}

void start(const Origin &origin, std::unique_ptr<BulkCopy> copy) {
  copy->origin = origin;
  for (const BulkCopy::Piece &piece : copy->pieces)
    copy->bytes += piece.bytes;
  AsyncEngine::of(origin.block()).start(std::move(copy));
}

} // namespace

void startRange(const Origin &origin, const Bulk &bulk) {
  Warp &warp = *origin.warp;
  const uint32_t size = lane32(warp, bulk.size, origin.lane);
  if (size % granule)
    return origin.report("async", fmt::format("{} bytes are no multiple of 16", size));
  if (bulk.direction == Direction::Prefetch || size == 0) {
    if (size)
      globalRange(origin, bulk.source.of(warp, origin.lane), size, granule,
                  asyncAccess(Access::Kind::AsyncRead));
    return;
  }
  std::byte *source = nullptr;
  uint32_t shared = 0;
  if (bulk.direction == Direction::ToShared) {
    source = globalRange(origin, bulk.source.of(warp, origin.lane), size, granule,
                         asyncAccess(Access::Kind::AsyncRead));
  } else if (bulk.source.shared(origin, shared)) {
    source = sharedRange(origin, shared, size, granule, asyncAccess(Access::Kind::AsyncRead));
  }
  if (!source)
    return;
  const auto written = bulk.reduction ? Access::Kind::AsyncReduce : Access::Kind::AsyncWrite;
  const auto begin = [&](std::byte *destination) {
    auto copy = std::make_unique<BulkCopy>();
    copy->readsShared = bulk.direction != Direction::ToShared;
    if (copy->readsShared)
      copy->ranges.push_back({Access::Kind::AsyncRead, Space::Shared, sharedWindow + shared, size});
    else
      copy->ranges.push_back(
          {Access::Kind::AsyncRead, Space::Global, bulk.source.of(warp, origin.lane), size});
    if (bulk.reduction)
      copy->reduce = bulkReduction(*bulk.reduction, bulk.type);
    if (bulk.byteMask == noSlot) {
      copy->pieces.push_back({destination, source, size});
      return copy;
    }
    // Bit i is for byte i of every 16.
    const uint16_t mask = warp.reg<uint16_t>(bulk.byteMask)[origin.lane];
    for (uint32_t i = 0; i < size; ++i)
      copy->pieces.push_back({mask >> i % granule & 1 ? destination + i : nullptr, source + i, 1});
    return copy;
  };
  if (bulk.direction == Direction::FromShared) {
    const uint64_t to = bulk.destination.of(warp, origin.lane);
    const Access access = asyncAccess(written, bulk.byteMask == noSlot ? source : nullptr);
    if (std::byte *destination = globalRange(origin, to, size, granule, access)) {
      std::unique_ptr<BulkCopy> copy = begin(destination);
      copy->ranges.push_back({written, Space::Global, to, size});
      start(origin, std::move(copy));
    }
    return;
  }
  std::vector<Target> targets;
  if (!findTargets(origin, bulk, targets))
    return;
  for (const Target &target : targets) {
    std::byte *destination =
        sharedRange(origin, target.address, size, granule, asyncAccess(written));
    if (!destination)
      return;
    std::unique_ptr<BulkCopy> copy = begin(destination);
    copy->ranges.push_back({written, Space::Shared, sharedWindow + target.address, size});
    copy->signalled = target.barrier.block;
    copy->barrier = target.barrier.offset;
    start(origin, std::move(copy));
  }
}

namespace {

/// The 128 bytes of a tensor map in parameters, constant or global memory; null after a report.
const std::byte *mapBytes(const Origin &origin, uint64_t address) {
  const std::vector<std::byte> &parameters = origin.warp->launch->request.parameters;
  if (address % TensorMap::encodedAlignment) {
    origin.report("misaligned",
                  fmt::format("the tensor map at {:#x} is not aligned to 64 bytes", address),
                  address);
    return nullptr;
  }
  if (spaceOf(address) != Space::Param) {
    Access access = accessOf(Access::Kind::AsyncRead);
    access.tensorMap = true;
    return globalRange(origin, address, TensorMap::encodedBytes, 1, access);
  }
  const uint64_t offset = address - paramWindow;
  if (offset + TensorMap::encodedBytes > parameters.size()) {
    origin.report("out-of-bounds", "the tensor map lies outside of the kernel's parameters",
                  address);
    return nullptr;
  }
  return parameters.data() + offset;
}

Type reductionType(TensorElement element) {
  switch (element) {
  case TensorElement::U32:
    return Type::U32;
  case TensorElement::S32:
    return Type::S32;
  case TensorElement::U64:
    return Type::U64;
  case TensorElement::S64:
    return Type::S64;
  case TensorElement::F16:
    return Type::F16;
  case TensorElement::BF16:
    return Type::BF16;
  case TensorElement::F32:
  case TensorElement::F32Flushed:
    return Type::F32;
  case TensorElement::F64:
    return Type::F64;
  default:
    return Type::None;
  }
}

/// The tile's bytes in order, cut where bounds or swizzled chunks begin. `shared` is the tile's
/// address, `memory` its host memory. False after a report.
bool cutTile(const Origin &origin, const TensorMap &map, const TensorMap::Request &request,
             uint32_t shared, std::byte *memory, Access::Kind kind, BulkCopy &copy) {
  const uint32_t offset = sharedOffset(shared);
  const bool loads = kind == Access::Kind::AsyncRead;
  for (const TensorMap::Row &row : map.rows(request)) {
    std::byte *inside = nullptr;
    // Without swizzling a row lies together in the tile.
    const std::byte *data =
        loads || map.swizzle != Swizzle::None ? nullptr : memory + row.tileOffset + row.lead;
    if (row.bytes &&
        !(inside = globalRange(origin, row.address, row.bytes,
                               static_cast<uint32_t>(map.strides[0]), asyncAccess(kind, data))))
      return false;
    if (inside)
      copy.ranges.push_back({kind, Space::Global, row.address, row.bytes});
    for (uint32_t at = 0; at < map.rowBytes();) {
      uint32_t end = at < row.lead               ? row.lead
                     : at < row.lead + row.bytes ? row.lead + row.bytes
                                                 : map.rowBytes();
      if (map.swizzle != Swizzle::None)
        end = std::min(end, (at / granule + 1) * granule);
      const uint32_t place = swizzled(map.swizzle, offset + row.tileOffset + at) - offset;
      std::byte *tensor =
          at >= row.lead && at < row.lead + row.bytes ? inside + (at - row.lead) : nullptr;
      if (loads)
        copy.pieces.push_back({memory + place, tensor, end - at});
      else
        copy.pieces.push_back({tensor, memory + place, end - at});
      at = end;
    }
  }
  return true;
}

void roundWordsToTf32(std::byte *data, uint32_t bytes) {
  for (uint32_t at = 0; at < bytes; at += 4) {
    uint32_t word;
    std::memcpy(&word, data + at, 4);
    word = roundToTf32(word);
    std::memcpy(data + at, &word, 4);
  }
}

/// What the ISA forbids of stores and reductions: tiles that begin, and pixel boxes that reach,
/// outside of the tensor.
std::string storeError(const TensorMap &map, const TensorMap::Request &request, const Bulk &bulk) {
  for (int i = 0; i < bulk.coordinateCount; ++i)
    if (request.coordinates[i] < 0)
      return fmt::format("a store begins at coordinate {} of dimension {}: it must not be negative",
                         request.coordinates[i], bulk.fourRows ? std::min(i, 1) : i);
  for (uint32_t i = 0; map.isIm2col && i < map.spatial(); ++i)
    if (map.lower[i] < 0 || map.upper[i] > 0)
      return fmt::format("a store through a pixel box that leaves the tensor: corners {} and {}",
                         map.lower[i], map.upper[i]);
  return {};
}

} // namespace

void startTile(const Origin &origin, const Bulk &bulk) {
  Warp &warp = *origin.warp;
  const uint64_t address = bulk.map.of(warp, origin.lane);
  const std::byte *bytes = mapBytes(origin, address);
  if (!bytes)
    return;
  std::array<uint8_t, TensorMap::encodedBytes> encoded;
  copyRelaxed(reinterpret_cast<std::byte *>(encoded.data()), bytes, encoded.size());
  const Result<TensorMap> map = TensorMap::decode(encoded.data());
  if (!map)
    return origin.report("async", map.error().text(), address);
  if (std::string problem =
          map->mismatch(static_cast<uint32_t>(bulk.rank), bulk.im2col, bulk.fourRows);
      !problem.empty())
    return origin.report("async", std::move(problem), address);
  TensorMap::Request request;
  request.fourRows = bulk.fourRows;
  for (int i = 0; i < bulk.coordinateCount; ++i)
    request.coordinates[i] = static_cast<int32_t>(lane32(warp, bulk.coordinates[i], origin.lane));
  const uint32_t offsetLimit = bulk.rank == 3 ? 1 << 16 : bulk.rank == 4 ? 1 << 8 : 1 << 5;
  for (int i = 0; i < bulk.offsetCount; ++i) {
    request.offsets[i] = warp.reg<uint16_t>(bulk.offsets[i])[origin.lane];
    if (request.offsets[i] >= offsetLimit)
      return origin.report("async",
                           fmt::format("im2col offset {} is not below {} for {} dimensions",
                                       request.offsets[i], offsetLimit, bulk.rank),
                           address);
  }
  if (bulk.direction == Direction::FromShared)
    if (const std::string problem = storeError(*map, request, bulk); !problem.empty())
      return origin.report("async", problem, address);
  if (bulk.direction == Direction::Prefetch)
    return;
  const uint32_t size = map->tileBytes(bulk.fourRows);
  // A swizzled tile stays inside its 128-byte lines, so its range in shared memory is closed.
  const auto begin = [&](uint32_t shared, bool loads) -> std::unique_ptr<BulkCopy> {
    const auto kind = loads            ? Access::Kind::AsyncRead
                      : bulk.reduction ? Access::Kind::AsyncReduce
                                       : Access::Kind::AsyncWrite;
    std::byte *memory =
        sharedRange(origin, shared, size, TensorMap::tileAlignment,
                    asyncAccess(loads ? Access::Kind::AsyncWrite : Access::Kind::AsyncRead));
    auto copy = std::make_unique<BulkCopy>();
    copy->fill = map->fill();
    copy->transform = loads && map->roundsToTf32() ? roundWordsToTf32 : nullptr;
    copy->fillBytes = static_cast<uint32_t>(map->strides[0]);
    copy->readsShared = !loads;
    copy->ranges.push_back({loads ? Access::Kind::AsyncWrite : Access::Kind::AsyncRead,
                            Space::Shared, sharedWindow + shared, size});
    if (!memory || !cutTile(origin, *map, request, shared, memory, kind, *copy))
      return nullptr;
    if (spaceOf(address) == Space::Global)
      copy->ranges.push_back(
          {Access::Kind::AsyncRead, Space::Global, address, TensorMap::encodedBytes});
    return copy;
  };
  if (bulk.direction == Direction::ToShared) {
    std::vector<Target> targets;
    if (!findTargets(origin, bulk, targets))
      return;
    for (const Target &target : targets) {
      std::unique_ptr<BulkCopy> copy = begin(target.address, true);
      if (!copy)
        return;
      copy->signalled = target.barrier.block;
      copy->barrier = target.barrier.offset;
      start(origin, std::move(copy));
    }
    return;
  }
  uint32_t shared;
  if (!bulk.source.shared(origin, shared))
    return;
  std::unique_ptr<BulkCopy> copy = begin(shared, false);
  if (!copy)
    return;
  if (bulk.reduction) {
    Type type = reductionType(map->element);
    if (*bulk.reduction >= ReductionOp::And) // on bits, whatever they stand for
      type = bytesOf(map->element) == 8 ? Type::B64 : Type::B32;
    copy->reduce = bulkReduction(*bulk.reduction, type);
    if (!copy->reduce)
      return origin.report("async", "the tensor's type has no such reduction", address);
  }
  start(origin, std::move(copy));
}

} // namespace ingot::emulator
