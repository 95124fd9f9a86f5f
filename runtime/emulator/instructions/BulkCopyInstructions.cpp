/// Decodes cp.async.bulk, cp.reduce.async.bulk and their tensor forms; commit_group, wait_group,
/// prefetch.
#include "runtime/emulator/instructions/BulkCopyIssue.h"
#include "runtime/emulator/machine/AsyncEngine.h"
#include "runtime/emulator/machine/InstructionSet.h"

namespace ingot::emulator {
namespace {

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
