/// tensormap.replace, tensormap.cp_fenceproxy and fence.proxy.tensormap: maps that a program makes
/// or changes itself.
#include "runtime/emulator/machine/AsyncMemory.h"
#include "runtime/emulator/machine/InstructionSet.h"
#include "runtime/emulator/machine/MemoryAccess.h"
#include "runtime/emulator/machine/TensorMap.h"

namespace ingot::emulator {
namespace {

struct Replace {
  TensorField field = TensorField::Address;
  uint32_t ordinal = 0;
  MemoryOperand map;
  Slot value = noSlot;
  bool wide = false; ///< a value of 64 bits
};

/// The 128 bytes of a map in shared or global memory; null after a report.
std::byte *mapBytes(const Origin &origin, const MemoryOperand &operand, Access::Kind kind) {
  uint64_t address = operand.of(*origin.warp, origin.lane);
  const bool isShared = operand.space == Space::Shared ||
                        (operand.space == Space::Generic && spaceOf(address) == Space::Shared);
  if (!isShared)
    return globalRange(origin, address, TensorMap::encodedBytes, TensorMap::encodedAlignment,
                       accessOf(kind));
  if (operand.space == Space::Generic)
    address -= sharedWindow;
  return sharedRange(origin, static_cast<uint32_t>(address), TensorMap::encodedBytes,
                     TensorMap::encodedAlignment, accessOf(kind));
}

void runReplace(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto &replace = *static_cast<const Replace *>(in.extra);
  forLanes(mask, [&](int lane) {
    const Origin origin = Origin::of(warp, in, lane);
    if (!mapBytes(origin, replace.map, Access::Kind::Read))
      return;
    std::byte *map = mapBytes(origin, replace.map, Access::Kind::Write);
    const uint64_t value =
        replace.wide ? lane64(warp, replace.value, lane) : lane32(warp, replace.value, lane);
    if (const Status changed = TensorMap::replace(reinterpret_cast<uint8_t *>(map), replace.field,
                                                  replace.ordinal, value);
        !changed)
      origin.report("async", changed.error().text(), replace.map.of(warp, lane));
  });
}

struct Field {
  std::string_view name;
  TensorField field;
  int64_t largest; ///< of an immediate value; -1: any register
  int ordinals;    ///< 0: takes none
};
constexpr Field fields[] = {
    {"global_address", TensorField::Address, -1, 0},
    {"rank", TensorField::Rank, -1, 0},
    {"box_dim", TensorField::Box, -1, 5},
    {"global_dim", TensorField::Dimension, -1, 5},
    {"global_stride", TensorField::Stride, -1, 5},
    {"element_stride", TensorField::ElementStride, -1, 5},
    {"elemtype", TensorField::Element, 12, 0},
    {"interleave_layout", TensorField::Interleave, 2, 0},
    {"swizzle_mode", TensorField::Swizzle, 3, 0},
    {"fill_mode", TensorField::Fill, 1, 0},
};

Handler decodeReplace(Decoder &d) {
  if (!d.needsSpecificTarget({90, 100, 103, 110, 120, 121}, true))
    return nullptr;
  if (!d.flag("tile"))
    return d.fail("the mode is .tile");
  const std::string_view name = d.nextModifier();
  if (name == "swizzle_atomicity")
    return d.fail("atoms of a swizzle other than 16 bytes are not emulated");
  const Field *field = std::find_if(std::begin(fields), std::end(fields),
                                    [&](const Field &each) { return each.name == name; });
  if (field == std::end(fields))
    return d.fail(fmt::format("a tensor map has no field '.{}'", name));
  const Space space = d.flag("global")        ? Space::Global
                      : d.flag("shared::cta") ? Space::Shared
                                              : Space::Generic;
  if (!d.flag("b1024"))
    return d.fail(".b1024 is missing");
  const Type type = d.type();
  Replace replace;
  replace.field = field->field;
  replace.wide = type == Type::B64;
  const bool takesWide =
      field->field == TensorField::Address || field->field == TensorField::Stride;
  if (type != (takesWide ? Type::B64 : Type::B32))
    return d.fail(fmt::format(".{} has values of .{}", name, takesWide ? "b64" : "b32"));
  replace.map = MemoryOperand::decode(d, space);
  if (field->ordinals) {
    const int64_t ordinal = d.integer();
    if (ordinal < 0 || ordinal >= field->ordinals)
      return d.fail(fmt::format("dimension {} of 0 to {}", ordinal, field->ordinals - 1));
    replace.ordinal = static_cast<uint32_t>(ordinal);
  }
  if (field->largest >= 0) {
    const int64_t value = d.integer();
    if (value < 0 || value > field->largest)
      return d.fail(
          fmt::format("value {} of .{} is not within 0 to {}", value, name, field->largest));
    replace.value = d.constant(static_cast<uint64_t>(value), 32);
    d.addSlot(replace.value);
  } else {
    replace.value = d.read(type);
  }
  d.instruction().extra = d.make(replace);
  return runReplace;
}

struct Publish {
  MemoryOperand to, from;
};

/// The warp copies one map together, from shared to global memory, and publishes it.
void runPublish(Warp &warp, const Instruction &in, uint32_t mask) {
  if (!wholeWarp(warp, in, mask))
    return;
  const auto &publish = *static_cast<const Publish *>(in.extra);
  const Origin origin = Origin::of(warp, in, 0);
  const uint64_t to = publish.to.of(warp, 0);
  for (int lane = 1; lane < lanes; ++lane)
    if (publish.to.of(warp, lane) != to || publish.from.of(warp, lane) != publish.from.of(warp, 0))
      return warp.report(in, uint32_t(1) << lane, "divergence",
                         "the lanes of the warp copy different tensor maps");
  const std::byte *source = mapBytes(origin, publish.from, Access::Kind::Read);
  std::byte *destination = source ? mapBytes(origin, publish.to, Access::Kind::Write) : nullptr;
  if (!destination)
    return;
  copyRelaxed(destination, source, TensorMap::encodedBytes);
  if (warp.observer)
    warp.observer->proxyFence(warp, mask, ProxyFence::TensorMapRelease, to);
}

bool hasScope(Decoder &d) { return d.oneOf({"cta", "cluster", "gpu", "sys"}) >= 0; }

Handler decodePublish(Decoder &d) {
  if (!d.needsTarget(90))
    return nullptr;
  for (const std::string_view name :
       {"global", "shared::cta", "tensormap::generic", "release", "sync", "aligned"})
    if (!d.flag(name))
      return d.fail(fmt::format(".{} is missing", name));
  if (!hasScope(d))
    return d.fail("the scope is missing");
  Publish publish;
  publish.to = MemoryOperand::decode(d, Space::Global);
  publish.from = MemoryOperand::decode(d, Space::Shared);
  if (d.integer() != int64_t(TensorMap::encodedBytes))
    return d.fail("a tensor map has 128 bytes");
  d.instruction().extra = d.make(publish);
  return runPublish;
}

Handler decodeTensorMap(Decoder &d) {
  d.classify(Class::Async);
  const int what = d.oneOf({"replace", "cp_fenceproxy"});
  return what == 0 ? decodeReplace(d) : what == 1 ? decodePublish(d) : nullptr;
}

/// Memory is coherent here, so only the checks have to know.
void runRelease(Warp &warp, const Instruction &, uint32_t mask) {
  if (warp.observer)
    warp.observer->proxyFence(warp, mask, ProxyFence::TensorMapRelease, 0);
}

void runAcquire(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto &map = *static_cast<const MemoryOperand *>(in.extra);
  if (warp.observer)
    forLanes(mask, [&](int lane) {
      warp.observer->proxyFence(warp, uint32_t(1) << lane, ProxyFence::TensorMapAcquire,
                                map.of(warp, lane));
    });
}

Handler decodeProxyFence(Decoder &d) {
  d.classify(Class::Async);
  if (!d.flag("proxy") || !d.flag("tensormap::generic"))
    return nullptr; // of others
  if (!d.needsTarget(90))
    return nullptr;
  const int order = d.oneOf({"acquire", "release"});
  if (order < 0)
    return d.fail(".acquire or .release is missing");
  if (!hasScope(d))
    return d.fail("the scope is missing");
  if (order == 1)
    return runRelease;
  MemoryOperand map = MemoryOperand::decode(d, Space::Generic);
  if (d.integer() != int64_t(TensorMap::encodedBytes))
    return d.fail("a tensor map has 128 bytes");
  d.instruction().extra = d.make(map);
  return runAcquire;
}

constexpr InstructionRow rows[] = {{"tensormap", decodeTensorMap}, {"fence", decodeProxyFence}};

} // namespace

Family tensorMapFamily() { return rows; }

} // namespace ingot::emulator
