/// cvt of pairs and quads: f16x2, bf16x2, the formats of 8, 6 and 4 bits, the exponents ue8m0, and
/// stochastic rounding.
#include "runtime/emulator/arithmetic/Conversions.h"
#include "runtime/emulator/machine/InstructionSet.h"
#include "runtime/emulator/machine/Lanes.h"

namespace ingot::emulator {
namespace {

// Which conversions there are.

enum class Group : uint8_t { Other, F32, F16, BF16, Byte, Small, Nibble, Scale, Quad };

Group groupOf(Type type) {
  switch (type) {
  case Type::F32:
    return Group::F32;
  case Type::F16x2:
    return Group::F16;
  case Type::BF16x2:
    return Group::BF16;
  case Type::E4M3x2:
  case Type::E5M2x2:
    return Group::Byte;
  case Type::E2M3x2:
  case Type::E3M2x2:
    return Group::Small;
  case Type::E2M1x2:
    return Group::Nibble;
  case Type::UE8M0x2:
    return Group::Scale;
  case Type::E4M3x4:
  case Type::E5M2x4:
  case Type::E2M3x4:
  case Type::E3M2x4:
  case Type::E2M1x4:
    return Group::Quad;
  default:
    return Group::Other;
  }
}

enum class Finite : uint8_t { No, Optional, Required };
enum class Chips : uint8_t { All, Sm89, Narrow, Stochastic };

struct Form {
  Group to, from;
  std::string_view roundings; ///< of two letters each
  bool relu;
  Finite finite;
  Chips chips;
};
constexpr Form forms[] = {
    {Group::F16, Group::F32, "rnrz", true, Finite::Optional, Chips::All},
    {Group::BF16, Group::F32, "rnrz", true, Finite::Optional, Chips::All},
    {Group::F16, Group::F32, "rs", true, Finite::Optional, Chips::Stochastic},
    {Group::BF16, Group::F32, "rs", true, Finite::Optional, Chips::Stochastic},
    {Group::Quad, Group::F32, "rs", true, Finite::Required, Chips::Stochastic},
    {Group::Byte, Group::F32, "rn", true, Finite::Required, Chips::Sm89},
    {Group::Byte, Group::F16, "rn", true, Finite::Required, Chips::Sm89},
    {Group::F16, Group::Byte, "rn", true, Finite::No, Chips::Sm89},
    {Group::Small, Group::F32, "rn", true, Finite::Required, Chips::Narrow},
    {Group::F16, Group::Small, "rn", true, Finite::No, Chips::Narrow},
    {Group::Nibble, Group::F32, "rn", true, Finite::Required, Chips::Narrow},
    {Group::Nibble, Group::F16, "rn", true, Finite::Required, Chips::Narrow},
    {Group::F16, Group::Nibble, "rn", true, Finite::No, Chips::Narrow},
    {Group::Scale, Group::F32, "rzrp", false, Finite::Optional, Chips::Narrow},
    {Group::Scale, Group::BF16, "rzrp", false, Finite::Optional, Chips::Narrow},
    {Group::BF16, Group::Scale, "rn", false, Finite::No, Chips::Narrow},
};

// What they compute.

struct PackedConversion {
  Type to = Type::None, from = Type::None;
  FloatMode mode;
  bool isStochastic = false;
};

/// Bits of an element in a packed register: 6-bit formats fill bytes.
int elementBits(Type type) { return type == Type::F32 ? 32 : bitsOf(type) / elementsOf(type); }

/// The random bits that element `index` of cvt.rs takes, and how many.
struct RandomBits {
  uint32_t value;
  int count;
};
RandomBits randomBits(Type to, uint32_t bits, int index) {
  switch (to) {
  case Type::F16x2:
    return {bits >> 16 * index & 0x1fff, 13};
  case Type::BF16x2:
    return {bits >> 16 * index & 0xffff, 16};
  case Type::E2M1x4: { // the lower byte of each half for the lower two, the upper for the others
    constexpr int shifts[] = {0, 16, 8, 24};
    return {bits >> shifts[index] & 0xff, 8};
  }
  default:
    return {bits >> 8 * index & 0xff, 8};
  }
}

/// The exponent of |x|; 0xff, the only NaN, for what is none or too large.
uint64_t toScale(uint32_t f32, FloatMode mode) {
  const uint32_t magnitude = f32 & 0x7fffffff, exponent = magnitude >> 23;
  if (magnitude > 0x7f800000)
    return 0xff;
  constexpr uint32_t least = 0x00400000; // 2^-127
  const bool up =
      mode.rounding == Rounding::Up && exponent < 0xff && magnitude & 0x7fffff && magnitude > least;
  return std::min(exponent + up, mode.saturateFinite ? 0xfeu : 0xffu);
}
uint64_t fromScale(uint64_t exponent) {
  return exponent == 0xff ? 0x7fff : exponent ? exponent << 7 : 0x0040;
}

uint64_t convertElement(const PackedConversion &c, uint64_t bits, RandomBits random) {
  if (c.to == Type::UE8M0x2)
    return toScale(uint32_t(c.from == Type::F32 ? bits : bits << 16), c.mode);
  if (c.from == Type::UE8M0x2)
    return fromScale(bits);
  const FloatType to = *floatType(c.to), from = *floatType(c.from);
  return c.isStochastic
             ? encodeStochastic(to, decode(from, bits), c.mode, random.value, random.count)
             : convertFloat(to, from, bits, c.mode);
}

/// slots: d, then a pair or the f32 from the highest to the lowest, then the random bits.
void runPacked(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto &c = *static_cast<const PackedConversion *>(in.extra);
  const int count = elementsOf(c.to), toBits = elementBits(c.to), fromBits = elementBits(c.from);
  const bool apart = c.from == Type::F32;
  const uint64_t element = ~uint64_t(0) >> (64 - fromBits);
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const uint32_t random = c.isStochastic ? warp.reg<uint32_t>(in.slots[1 + count])[lane] : 0;
    uint64_t result = 0;
    for (int i = 0; i < count; ++i) {
      const uint64_t source =
          apart ? warp.reg<uint32_t>(in.slots[count - i])[lane]
                : readLane(warp, in.slots[1], bitsOf(c.from), lane) >> fromBits * i & element;
      result |= convertElement(c, source, randomBits(c.to, random, i)) << toBits * i;
    }
    writeLane(warp, in.slots[0], bitsOf(c.to), lane, result);
  }
}

// Decoding.

bool runsOn(Decoder &d, Chips chips) {
  switch (chips) {
  case Chips::All:
    return true;
  case Chips::Sm89:
    return d.needsTarget(89);
  case Chips::Narrow:
    return d.needsSpecificTarget({100, 103, 110, 120, 121}, true);
  case Chips::Stochastic:
    return d.needsSpecificTarget({100, 103}, false);
  }
  __builtin_unreachable();
}

/// Registers of e2m1x2 have 8 bits; those of other formats are the type's as everywhere.
void takeRegister(Decoder &d, Type type, bool written) {
  int bits = 0;
  if (written)
    d.writeWide(type, bits);
  else
    d.readWide(type, bits);
  if (bits != bitsOf(type))
    d.fail(fmt::format(".{} needs a register of {} bits", typeName(type), bitsOf(type)));
}

Handler decodePacked(Decoder &d) {
  d.classify(Class::Convert);
  const std::string_view names[] = {"rn", "rz", "rp", "rs"};
  const int rounding = d.oneOf({"rn", "rz", "rp", "rs"});
  PackedConversion c;
  c.mode.relu = d.flag("relu");
  c.mode.saturateFinite = d.flag("satfinite");
  c.to = d.type();
  c.from = d.type();
  const Group to = groupOf(c.to), from = groupOf(c.from);
  if (to == Group::Other || from == Group::Other || (to == Group::F32 && from == Group::F32))
    return nullptr;
  if (rounding < 0)
    return d.fail("a rounding (.rn, .rz, .rp, .rs) is needed");
  const Form *form = nullptr;
  for (const Form &each : forms)
    if (each.to == to && each.from == from &&
        each.roundings.find(names[rounding]) != each.roundings.npos)
      form = &each;
  if (!form)
    return d.fail("there is no such conversion with this rounding");
  if (c.mode.relu && !form->relu)
    return d.fail("this conversion has no .relu");
  if (c.mode.saturateFinite != (form->finite == Finite::Required) &&
      form->finite != Finite::Optional)
    return d.fail(c.mode.saturateFinite ? "this conversion has no .satfinite"
                                        : ".satfinite is needed");
  if (!runsOn(d, form->chips))
    return nullptr;
  constexpr Rounding roundings[] = {Rounding::NearestEven, Rounding::Zero, Rounding::Up,
                                    Rounding::Zero};
  c.mode.rounding = roundings[rounding];
  c.isStochastic = rounding == 3;
  takeRegister(d, c.to, true);
  if (c.from != Type::F32) {
    takeRegister(d, c.from, false);
  } else if (to == Group::Quad) {
    if (const ptx::Operand *vector = d.peekOperand();
        !vector || vector->kind != ptx::Operand::Kind::Vector || vector->elements.size() != 4)
      return d.fail("{a, b, e, f} is needed");
    d.readVector(Type::F32);
  } else {
    d.read(Type::F32);
    d.read(Type::F32);
  }
  if (c.isStochastic)
    d.read(Type::B32);
  if (c.to == Type::BF16x2 && c.from == Type::F32 && rounding == 0 && !c.mode.relu &&
      !c.mode.saturateFinite)
    return lanesOf<[](uint32_t a, uint32_t b) -> uint32_t {
      return uint32_t(roundToBf16(a)) << 16 | roundToBf16(b);
    }>();
  d.instruction().extra = d.make(c);
  return runPacked;
}

constexpr InstructionRow rows[] = {{"cvt", decodePacked}};

} // namespace

Family convertPackedFamily() { return rows; }

} // namespace ingot::emulator
