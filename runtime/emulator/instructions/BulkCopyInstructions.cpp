/// cp.async.bulk, cp.reduce.async.bulk and their tensor forms; commit_group, wait_group, prefetch.
///
/// Addresses, bounds and alignments are checked when the copy is issued; the bytes move later (see
/// AsyncEngine.h). A copy to several blocks (.multicast::cluster) is one copy for each of them.
#include "runtime/emulator/arithmetic/Reduction.h"
#include "runtime/emulator/machine/AsyncEngine.h"
#include "runtime/emulator/machine/InstructionSet.h"
#include "runtime/emulator/machine/TensorMap.h"

namespace ingot::emulator {
namespace {

enum class Direction : uint8_t {
  ToShared,   ///< global to shared memory of the cluster
  Across,     ///< own shared memory to the cluster's
  FromShared, ///< own shared memory to global
  Prefetch,
};

struct Bulk {
  Direction direction = Direction::ToShared;
  MemoryOperand destination, source, barrier;
  MemoryOperand map;
  int rank = 0; ///< of a tensor; 0: a plain range
  bool im2col = false, fourRows = false;
  int coordinateCount = 0, offsetCount = 0;
  Slot coordinates[5] = {};
  Slot offsets[3] = {};
  Slot size = noSlot;
  Slot multicast = noSlot;
  Slot byteMask = noSlot;
  std::optional<ReductionOp> reduction;
  Type type = Type::None;
};

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

void startTile(const Origin &origin, const Bulk &bulk) {
  Warp &warp = *origin.warp;
  const uint64_t address = bulk.map.of(warp, origin.lane);
  const std::byte *bytes = mapBytes(origin, address);
  if (!bytes)
    return;
  const Result<TensorMap> map = TensorMap::decode(reinterpret_cast<const uint8_t *>(bytes));
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

void runBulk(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto &bulk = *static_cast<const Bulk *>(in.extra);
  forLanes(mask, [&](int lane) {
    const Origin origin = Origin::of(warp, in, lane);
    if (bulk.rank)
      startTile(origin, bulk);
    else
      startRange(origin, bulk);
  });
}

void runCommit(Warp &warp, const Instruction &, uint32_t mask) {
  forLanes(mask, [&](int lane) { AsyncEngine::of(*warp.block).commitBulk(warp, lane); });
}

void runWait(Warp &warp, const Instruction &in, uint32_t mask) {
  forLanes(mask, [&](int lane) {
    AsyncEngine::of(*warp.block)
        .waitBulk(warp, lane, static_cast<uint32_t>(in.immediate), in.mode != 0);
  });
}

/// [map, {x, y, …}]
void takeTile(Decoder &d, Bulk &bulk) {
  const ptx::Operand *operand = d.takeOperand();
  if (!operand)
    return;
  if (operand->kind != ptx::Operand::Kind::Address || operand->elements.size() != 2) {
    d.fail("[tensor map, {coordinates}] is needed");
    return;
  }
  bulk.map = MemoryOperand::decode(d, *operand, Space::Generic);
  const ptx::Operand &coordinates = operand->elements[1];
  const bool vector = coordinates.kind == ptx::Operand::Kind::Vector;
  const size_t count = vector ? coordinates.elements.size() : 1;
  if (bulk.fourRows ? count != 5 : count != static_cast<size_t>(bulk.rank)) {
    d.fail(bulk.fourRows ? fmt::format("{} coordinates instead of a column and four rows", count)
                         : fmt::format("{} coordinates for a tensor of rank {}", count, bulk.rank));
    return;
  }
  bulk.coordinateCount = static_cast<int>(count);
  for (size_t i = 0; i < count; ++i)
    bulk.coordinates[i] = d.read(vector ? coordinates.elements[i] : coordinates, Type::B32);
}

/// {offset of W, of H, of D} of im2col
void takeOffsets(Decoder &d, Bulk &bulk) {
  const ptx::Operand *operand = d.takeOperand();
  if (!operand)
    return;
  const bool vector = operand->kind == ptx::Operand::Kind::Vector;
  const size_t count = vector ? operand->elements.size() : 1;
  if (count != static_cast<size_t>(bulk.rank - 2)) {
    d.fail(fmt::format("{} im2col offsets for a tensor of rank {}", count, bulk.rank));
    return;
  }
  bulk.offsetCount = static_cast<int>(count);
  for (size_t i = 0; i < count; ++i)
    bulk.offsets[i] = d.read(vector ? operand->elements[i] : *operand, Type::B16);
}

/// How a tensor is read or written; false after a failure.
bool takeMode(Decoder &d, Bulk &bulk, bool toOwnBlock) {
  const int mode = d.oneOf({"tile", "im2col", "im2col_no_offs", "tile::gather4", "tile::scatter4",
                            "im2col::w", "im2col::w::128"});
  const bool stores = bulk.direction == Direction::FromShared;
  const auto fail = [&](std::string_view why) {
    d.fail(std::string(why));
    return false;
  };
  switch (mode) {
  case 1:
  case 2:
    if (stores != (mode == 2))
      return fail(stores ? "stores have .im2col_no_offs" : "loads have .im2col");
    if (bulk.rank < 3)
      return fail("im2col needs 3 dimensions or more");
    bulk.im2col = true;
    return true;
  case 3:
  case 4:
    if (stores != (mode == 4))
      return fail(stores ? "stores have .tile::scatter4" : "loads have .tile::gather4");
    if (bulk.rank != 2)
      return fail("gather4 and scatter4 copy tensors of 2 dimensions");
    bulk.fourRows = true;
    // A gather into the own block is of every chip from sm_100 on.
    return toOwnBlock ? d.needsTarget(100) : d.needsSpecificTarget({100, 103, 110}, true);
  case 5:
  case 6:
    return fail(".im2col::w is not emulated");
  default:
    return true;
  }
}

/// Operands after those that say what is copied.
void takeRest(Decoder &d, Bulk &bulk, bool multicast, bool byteMask, bool policy) {
  if (multicast)
    bulk.multicast = d.read(Type::B16);
  if (policy)
    d.read(Type::B64);
  if (byteMask)
    bulk.byteMask = d.read(Type::B16);
}

Handler decodeBulk(Decoder &d) {
  const bool reduces = d.flag("reduce");
  const auto &modifiers = d.text().modifiers;
  const size_t first = reduces ? 1 : 0;
  if (modifiers.size() < first + 2 || modifiers[first] != "async" || modifiers[first + 1] != "bulk")
    return reduces ? d.fail("unknown kind of cp.reduce") : nullptr;
  d.flag("async");
  d.flag("bulk");
  d.classify(Class::Async);
  if (!reduces && d.flag("commit_group"))
    return runCommit;
  if (!reduces && d.flag("wait_group")) {
    d.instruction().mode = d.flag("read");
    d.instruction().immediate = d.integer();
    return runWait;
  }
  Bulk bulk;
  const bool prefetches = !reduces && d.flag("prefetch");
  const bool tensor = d.flag("tensor");
  if (tensor) {
    const int rank = d.oneOf({"1d", "2d", "3d", "4d", "5d"});
    if (rank < 0)
      return d.fail("the tensor's rank (.1d to .5d) is missing");
    bulk.rank = rank + 1;
  }
  // The spaces, destination first.
  Space destination = Space::Generic;
  bool toOwnBlock = false;
  if (prefetches) {
    bulk.direction = Direction::Prefetch;
    if (!d.flag("L2") || !d.flag("global"))
      return d.fail("a prefetch is .L2.global");
  } else if (d.peekModifier() == "global") {
    d.flag("global");
    bulk.direction = Direction::FromShared;
    if (!d.flag("shared::cta") && !d.flag("shared"))
      return d.fail("the source must be .shared::cta");
  } else {
    const std::string_view to = d.nextModifier();
    if (to != "shared::cluster" && to != "shared::cta")
      return d.fail(fmt::format("unknown destination '.{}'", to));
    destination = Space::SharedCluster;
    toOwnBlock = to == "shared::cta";
    if (d.flag("shared::cta"))
      bulk.direction = Direction::Across;
    else if (!d.flag("global"))
      return d.fail("the source must be .global or .shared::cta");
  }
  if (tensor && !takeMode(d, bulk, toOwnBlock))
    return nullptr;
  const bool signals = d.flag("mbarrier::complete_tx::bytes"), groups = d.flag("bulk_group");
  const bool toShared =
      bulk.direction == Direction::ToShared || bulk.direction == Direction::Across;
  if (!prefetches && (toShared ? !signals : !groups))
    return d.fail(toShared ? ".mbarrier::complete_tx::bytes is missing" : ".bulk_group is missing");
  const bool multicast = d.flag("multicast::cluster");
  const bool policy = d.flag("L2::cache_hint"), byteMask = d.flag("cp_mask");
  if (reduces) {
    for (std::string_view name : {"add", "min", "max", "inc", "dec", "and", "or", "xor"})
      if (d.flag(name))
        bulk.reduction = parseReduction(name);
    d.flag("noftz");
    if (!bulk.reduction)
      return d.fail("the operation is missing");
    if (!tensor) {
      bulk.type = d.type();
      if (!bulkReduction(*bulk.reduction, bulk.type))
        return d.fail("this type has no such reduction");
    }
  }
  // The operands: destination, source, size, barrier, in the order of each form.
  if (prefetches && tensor) {
    takeTile(d, bulk);
    if (bulk.im2col)
      takeOffsets(d, bulk);
  } else if (prefetches) {
    bulk.source = MemoryOperand::decode(d, Space::Global);
    bulk.size = d.read(Type::B32);
  } else if (tensor && toShared) {
    bulk.destination = MemoryOperand::decode(d, destination);
    takeTile(d, bulk);
    bulk.barrier = MemoryOperand::decode(d, Space::SharedCluster);
    if (bulk.im2col)
      takeOffsets(d, bulk);
  } else if (tensor) {
    takeTile(d, bulk);
    bulk.source = MemoryOperand::decode(d, Space::Shared);
  } else {
    bulk.destination = MemoryOperand::decode(d, toShared ? destination : Space::Global);
    bulk.source = MemoryOperand::decode(d, bulk.direction == Direction::ToShared ? Space::Global
                                                                                 : Space::Shared);
    bulk.size = d.read(Type::B32);
    if (toShared)
      bulk.barrier = MemoryOperand::decode(d, Space::SharedCluster);
  }
  takeRest(d, bulk, multicast, byteMask, policy);
  d.instruction().extra = d.make(bulk);
  return runBulk;
}

constexpr InstructionRow rows[] = {{"cp", decodeBulk}};

} // namespace

Family bulkCopyFamily() { return rows; }

} // namespace ingot::emulator
