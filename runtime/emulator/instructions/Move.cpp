/// mov, cvta, isspacep, mapa, getctarank.
#include "runtime/emulator/machine/InstructionSet.h"
#include "runtime/emulator/machine/Lanes.h"
#include "runtime/emulator/machine/SpecialRegisters.h"

namespace ingot::emulator {
namespace {

using ptx::Operand;

void runPredicateMove(Warp &warp, const Instruction &in, uint32_t mask) {
  storePredicate(warp.predicate(in.slots[0]),
                 warp.predicate(in.slots[1]) ^ (in.negated ? allLanes : 0), mask);
}

/// Registers of 128 bits are two rows of 64.
void runMove128(Warp &warp, const Instruction &in, uint32_t mask) {
  auto *out = warp.reg<uint64_t>(in.slots[0]);
  const auto *from = warp.reg<uint64_t>(in.slots[1]);
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    out[lane] = from[lane];
    out[lanes + lane] = from[lanes + lane];
  }
}

/// Special registers that change while the warp runs; `mode` is the row.
template <typename T> void runReadSpecial(Warp &warp, const Instruction &in, uint32_t mask) {
  T *out = warp.reg<T>(in.slots[0]);
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    out[lane] = T(specialRegister(in.mode).read(warp, lane));
  }
}

// Parts of 8 bits live in 16-bit registers; the rest have rows of their own size.
uint64_t partOf(Warp &warp, Slot slot, int bits, int lane) {
  switch (bits) {
  case 8:
    return warp.reg<uint16_t>(slot)[lane] & 0xff;
  case 16:
    return warp.reg<uint16_t>(slot)[lane];
  case 32:
    return warp.reg<uint32_t>(slot)[lane];
  default:
    return warp.reg<uint64_t>(slot)[lane];
  }
}
void setPart(Warp &warp, Slot slot, int bits, int lane, uint64_t value) {
  switch (bits) {
  case 8:
    warp.reg<uint16_t>(slot)[lane] = value & 0xff;
    return;
  case 16:
    warp.reg<uint16_t>(slot)[lane] = uint16_t(value);
    return;
  case 32:
    warp.reg<uint32_t>(slot)[lane] = uint32_t(value);
    return;
  default:
    warp.reg<uint64_t>(slot)[lane] = value;
  }
}

/// mov.b64 d, {a, b}: `count` parts of `mode` bits; slots: d, parts.
void runPack(Warp &warp, const Instruction &in, uint32_t mask) {
  const int bits = in.mode, whole = bits * in.count;
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    unsigned __int128 value = 0;
    for (int i = 0; i < in.count; ++i)
      value |= (unsigned __int128)(partOf(warp, in.slots[1 + i], bits, lane)) << bits * i;
    if (whole == 128)
      warp.reg<uint64_t>(in.slots[0])[lanes + lane] = uint64_t(value >> 64);
    setPart(warp, in.slots[0], whole == 128 ? 64 : whole, lane, uint64_t(value));
  }
}

/// mov.b64 {a, b}, s; slots: s, parts.
void runUnpack(Warp &warp, const Instruction &in, uint32_t mask) {
  const int bits = in.mode, whole = bits * in.count;
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    unsigned __int128 value = partOf(warp, in.slots[0], whole == 128 ? 64 : whole, lane);
    if (whole == 128)
      value |= (unsigned __int128)(warp.reg<uint64_t>(in.slots[0])[lanes + lane]) << 64;
    for (int i = 0; i < in.count; ++i)
      setPart(warp, in.slots[1 + i], bits, lane, uint64_t(value >> bits * i));
  }
}

// The common shapes at full speed.
Handler packPair(int bits) {
  if (bits == 16)
    return lanesOf<[](uint16_t a, uint16_t b) -> uint32_t { return a | uint32_t(b) << 16; }>();
  return lanesOf<[](uint32_t a, uint32_t b) -> uint64_t { return a | uint64_t(b) << 32; }>();
}

template <typename Whole, typename Part>
INGOT_INLINE void unpackPair(Warp &warp, const Instruction &in, uint32_t mask) {
  const Whole *from = warp.reg<Whole>(in.slots[0]);
  Part low[lanes], high[lanes];
  for (int lane = 0; lane < lanes; ++lane) {
    low[lane] = Part(from[lane]);
    high[lane] = Part(from[lane] >> 8 * sizeof(Part));
  }
  storeLanes(warp.reg<Part>(in.slots[1]), low, mask);
  storeLanes(warp.reg<Part>(in.slots[2]), high, mask);
}
void runUnpack32(Warp &warp, const Instruction &in, uint32_t mask) {
  unpackPair<uint32_t, uint16_t>(warp, in, mask);
}
void runUnpack64(Warp &warp, const Instruction &in, uint32_t mask) {
  unpackPair<uint64_t, uint32_t>(warp, in, mask);
}

Type bitsType(int bits) {
  return bits == 8    ? Type::B8
         : bits == 16 ? Type::B16
         : bits == 32 ? Type::B32
         : bits == 64 ? Type::B64
                      : Type::None;
}

Handler decodeMov(Decoder &d) {
  d.classify(Class::Move);
  const Type type = d.type();
  if (type == Type::None || d.operandsLeft() != 2)
    return nullptr;
  const Operand *to = d.takeOperand(), *from = d.takeOperand();
  Instruction &in = d.instruction();
  if (to->kind == Operand::Kind::Vector || from->kind == Operand::Kind::Vector) {
    const bool packs = from->kind == Operand::Kind::Vector;
    if (packs && to->kind == Operand::Kind::Vector)
      return d.fail("mov packs or unpacks, not both");
    const auto &parts = packs ? from->elements : to->elements;
    const int count = int(parts.size());
    if (count != 2 && count != 4 && count != 8)
      return d.fail("a vector has 2, 4 or 8 elements here");
    const int bits = bitsOf(type) / count;
    const Type part = bitsType(bits);
    if (part == Type::None)
      return d.fail("elements of this size do not exist");
    in.count = uint8_t(count);
    in.mode = uint8_t(bits);
    if (packs)
      d.write(*to, type);
    else
      d.read(*from, type);
    for (const Operand &element : parts)
      packs ? d.read(element, part) : d.write(element, part);
    if (count == 2 && (bits == 16 || bits == 32))
      return packs ? packPair(bits) : bits == 16 ? runUnpack32 : runUnpack64;
    return packs ? runPack : runUnpack;
  }
  d.write(*to, type);
  if (from->kind == Operand::Kind::Special) {
    const int row = findSpecialRegister(from->name);
    if (row >= 0 && specialRegister(row).isVolatile) {
      if (specialRegister(row).bits != bitsOf(type))
        return d.fail(fmt::format("'{}' has {} bits", from->name, specialRegister(row).bits));
      in.mode = uint8_t(row);
      return bitsOf(type) == 64 ? runReadSpecial<uint64_t> : runReadSpecial<uint32_t>;
    }
  }
  if (type == Type::Pred) {
    Operand plain = *from;
    in.negated = std::exchange(plain.negated, false);
    d.read(plain, type);
    return runPredicateMove;
  }
  d.read(*from, type);
  switch (bitsOf(type)) {
  case 16:
    return lanesOf<[](uint16_t a) -> uint16_t { return a; }>();
  case 32:
    return lanesOf<[](uint32_t a) -> uint32_t { return a; }>();
  case 64:
    return lanesOf<[](uint64_t a) -> uint64_t { return a; }>();
  case 128:
    return runMove128;
  default:
    return nullptr;
  }
}

std::optional<Space> takeSpace(Decoder &d) {
  constexpr std::pair<std::string_view, Space> spaces[] = {
      {"global", Space::Global},      {"shared::cluster", Space::SharedCluster},
      {"shared::cta", Space::Shared}, {"shared", Space::Shared},
      {"local", Space::Local},        {"const", Space::Const},
      {"param::entry", Space::Param}, {"param::func", Space::Local},
      {"param", Space::Param},
  };
  for (const auto &[name, space] : spaces)
    if (d.flag(name))
      return space;
  return std::nullopt;
}

uint64_t windowOf(Space space) {
  switch (space) {
  case Space::Shared:
  case Space::SharedCluster:
    return sharedWindow;
  case Space::Local:
    return localWindow;
  case Space::Param:
    return paramWindow;
  default:
    return 0; // global and constant addresses are generic ones
  }
}

Handler decodeCvta(Decoder &d) {
  d.classify(Class::Move);
  const bool to = d.flag("to");
  const std::optional<Space> space = takeSpace(d);
  if (!space || d.type() != Type::U64)
    return nullptr;
  d.write(Type::U64);
  d.read(Type::U64);
  const uint64_t window = windowOf(*space);
  d.addSlot(d.constant(to ? 0 - window : window, 64));
  return lanesOf<[](uint64_t a, uint64_t w) -> uint64_t { return a + w; }>();
}

/// Whether a generic address lies in the space.
void runIsSpace(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto *address = warp.reg<uint64_t>(in.slots[1]);
  uint32_t result = 0;
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const auto wanted = Space(in.mode);
    const Space actual = spaceOf(address[lane]);
    bool is = actual == wanted || (wanted == Space::SharedCluster && actual == Space::Shared);
    if (wanted == Space::Shared) // of the own block
      is &= (address[lane] - sharedWindow) >> 24 == warp.block->rank;
    if (wanted == Space::Const || wanted == Space::Global) {
      const Extent *extent = warp.launch->memory.find(address[lane]);
      const bool isConstant = extent && extent->allocation->kind == Allocation::Kind::Constant;
      is = actual == Space::Global && isConstant == (wanted == Space::Const);
    }
    result |= uint32_t(is) << lane;
  }
  storePredicate(warp.predicate(in.slots[0]), result, mask);
}

Handler decodeIsspacep(Decoder &d) {
  d.classify(Class::Move);
  const std::optional<Space> space = takeSpace(d);
  if (!space)
    return nullptr;
  d.instruction().mode = uint8_t(*space);
  d.writePredicate();
  d.read(Type::U64);
  return runIsSpace;
}

/// The same place in the shared memory of another block of the cluster.
Handler decodeMapa(Decoder &d) {
  d.classify(Class::Move);
  const bool isShared = d.flag("shared::cluster");
  const Type type = d.type();
  if (type != Type::U32 && type != Type::U64)
    return nullptr;
  if (!isShared && type != Type::U64)
    return d.fail("generic addresses have 64 bits");
  d.write(type);
  d.read(type);
  d.read(Type::U32);
  if (type == Type::U32)
    return lanesOf<[](uint32_t a, uint32_t rank) -> uint32_t {
      return (a & 0xffffff) | rank << 24;
    }>();
  return lanesOf<[](uint64_t a, uint32_t rank) -> uint64_t {
    return (a & ~uint64_t(0xff000000)) | uint64_t(rank << 24);
  }>();
}

Handler decodeGetctarank(Decoder &d) {
  d.classify(Class::Move);
  const bool isShared = d.flag("shared::cluster");
  const Type type = d.type();
  if ((type != Type::U32 && type != Type::U64) || (!isShared && type != Type::U64))
    return nullptr;
  d.write(Type::U32);
  d.read(type);
  if (type == Type::U32)
    return lanesOf<[](uint32_t a) -> uint32_t { return a >> 24; }>();
  return lanesOf<[](uint64_t a) -> uint32_t { return uint32_t(a) >> 24; }>();
}

constexpr InstructionRow rows[] = {
    {"mov", decodeMov},
    {"cvta", decodeCvta},
    {"isspacep", decodeIsspacep},
    {"mapa", decodeMapa},
    {"getctarank", decodeGetctarank},
};

} // namespace

Family moveFamily() { return rows; }

} // namespace ingot::emulator
