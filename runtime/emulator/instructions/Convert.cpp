/// cvt of single values, and cvt.pack; pairs and quads of narrow floats are in ConvertPacked.cpp.
#include "runtime/emulator/arithmetic/Conversions.h"
#include "runtime/emulator/machine/InstructionSet.h"
#include "runtime/emulator/machine/Lanes.h"

namespace ingot::emulator {
namespace {

bool isCvtInteger(Type type) {
  return isInteger(type) && type != Type::B8 && type != Type::B16 && type != Type::B32 &&
         type != Type::B64 && type != Type::B128;
}

// The general way, lane by lane.

struct Conversion {
  Type to = Type::None, from = Type::None;
  int toBits = 0, fromBits = 0; ///< of the registers
  FloatMode mode;
  bool toIntegral = false; ///< .rni and the like between floats of one format

  uint64_t operator()(uint64_t bits) const {
    const auto toFloat = floatType(to), fromFloat = floatType(from);
    const IntegerType toInteger{uint8_t(bitsOf(to)), isSigned(to)};
    const IntegerType fromInteger{uint8_t(bitsOf(from)), isSigned(from)};
    if (toFloat && fromFloat)
      return toIntegral ? roundToIntegral(*toFloat, bits, mode)
                        : convertFloat(*toFloat, *fromFloat, bits, mode);
    if (toFloat)
      return convertFromInteger(*toFloat, fromInteger, bits, mode);
    const uint64_t result = fromFloat ? convertToInteger(toInteger, *fromFloat, bits, mode)
                                      : convertInteger(toInteger, fromInteger, bits, mode.saturate);
    return uint64_t(extend(toInteger, result)); // registers may be wider
  }
};

void runConversion(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto &conversion = *static_cast<const Conversion *>(in.extra);
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    writeLane(warp, in.slots[0], conversion.toBits, lane,
              conversion(readLane(warp, in.slots[1], conversion.fromBits, lane)));
  }
}

// Between integers, without saturation: two extensions, for all lanes at once.

template <bool isSigned> INGOT_INLINE uint64_t extended(uint64_t value, int unused) {
  return isSigned ? uint64_t(int64_t(value << unused) >> unused) : value << unused >> unused;
}
template <typename From, typename To, bool fromSigned, bool toSigned> struct ExtendHandler {
  static INGOT_INLINE void all(Warp &warp, const Instruction &in, uint32_t mask) {
    const int dropFrom = 64 - in.mode, dropTo = 64 - in.count;
    const From *from = warp.reg<From>(in.slots[1]);
    To values[lanes];
    for (int lane = 0; lane < lanes; ++lane)
      values[lane] = To(extended<toSigned>(extended<fromSigned>(from[lane], dropFrom), dropTo));
    storeLanes(warp.reg<To>(in.slots[0]), values, mask);
  }
  static void base(Warp &warp, const Instruction &in, uint32_t mask) { all(warp, in, mask); }
  INGOT_TARGET_V3 static void v3(Warp &warp, const Instruction &in, uint32_t mask) {
    all(warp, in, mask);
  }
  INGOT_TARGET_V4 static void v4(Warp &warp, const Instruction &in, uint32_t mask) {
    all(warp, in, mask);
  }
  static Handler choose() {
    const int level = hostVectorLevel();
    return level == 2 ? v4 : level == 1 ? v3 : base;
  }
};
template <typename From, typename To> Handler extendOf(bool fromSigned, bool toSigned) {
  if (fromSigned)
    return toSigned ? ExtendHandler<From, To, true, true>::choose()
                    : ExtendHandler<From, To, true, false>::choose();
  return toSigned ? ExtendHandler<From, To, false, true>::choose()
                  : ExtendHandler<From, To, false, false>::choose();
}
template <typename From> Handler extendTo(int bits, bool fromSigned, bool toSigned) {
  return bits <= 16   ? extendOf<From, uint16_t>(fromSigned, toSigned)
         : bits == 32 ? extendOf<From, uint32_t>(fromSigned, toSigned)
                      : extendOf<From, uint64_t>(fromSigned, toSigned);
}

Handler convertIntegers(Decoder &d, const Conversion &c) {
  Instruction &in = d.instruction();
  in.mode = uint8_t(bitsOf(c.from));
  in.count = uint8_t(bitsOf(c.to));
  const bool fromSigned = isSigned(c.from), toSigned = isSigned(c.to);
  return c.fromBits <= 16   ? extendTo<uint16_t>(c.toBits, fromSigned, toSigned)
         : c.fromBits == 32 ? extendTo<uint32_t>(c.toBits, fromSigned, toSigned)
                            : extendTo<uint64_t>(c.toBits, fromSigned, toSigned);
}

// Frequent conversions at the speed of the host's vector unit. NaN is canonical.

INGOT_INLINE uint32_t canonicalBits(uint32_t bits) {
  return (bits & 0x7fffffff) > 0x7f800000 ? 0x7fffffff : bits;
}
INGOT_INLINE uint32_t halfToFloat(uint16_t half) {
  const uint32_t magnitude = half & 0x7fff, sign = uint32_t(half & 0x8000) << 16;
  // Subnormals and normals alike: scale the field by a power of two.
  const float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  const uint32_t finite = std::bit_cast<uint32_t>(scaled);
  const uint32_t special = magnitude > 0x7c00 ? 0x7fffffff : 0x7f800000;
  return magnitude > 0x7c00 ? special : (magnitude == 0x7c00 ? special : finite) | sign;
}

Handler fastConversion(const Conversion &c) {
  if (c.mode.flush || c.mode.saturate || c.mode.relu || c.mode.saturateFinite || c.toIntegral ||
      c.toBits != bitsOf(c.to) || c.fromBits != bitsOf(c.from))
    return nullptr;
  const bool nearest = c.mode.rounding == Rounding::NearestEven;
  if (c.to == Type::F32 && c.from == Type::S32 && nearest)
    return lanesOf<[](int32_t a) -> float { return float(a); }>();
  if (c.to == Type::F32 && c.from == Type::U32 && nearest)
    return lanesOf<[](uint32_t a) -> float { return float(a); }>();
  if (c.to == Type::F64 && c.from == Type::S32)
    return lanesOf<[](int32_t a) -> double { return double(a); }>();
  if (c.to == Type::F64 && c.from == Type::U32)
    return lanesOf<[](uint32_t a) -> double { return double(a); }>();
  if (c.to == Type::F32 && c.from == Type::BF16)
    return lanesOf<[](uint16_t a) -> uint32_t { return canonicalBits(uint32_t(a) << 16); }>();
  if (c.to == Type::F32 && c.from == Type::F16)
    return lanesOf<[](uint16_t a) -> uint32_t { return halfToFloat(a); }>();
  if (c.to == Type::BF16 && c.from == Type::F32 && nearest)
    return lanesOf<[](uint32_t a) -> uint16_t { return roundToBf16(a); }>();
  return nullptr;
}

struct RoundingModifier {
  std::string_view name;
  Rounding rounding;
  bool toIntegral;
};
constexpr RoundingModifier roundings[] = {
    {"rn", Rounding::NearestEven, false},  {"rz", Rounding::Zero, false},
    {"rm", Rounding::Down, false},         {"rp", Rounding::Up, false},
    {"rna", Rounding::NearestAway, false}, {"rni", Rounding::NearestEven, true},
    {"rzi", Rounding::Zero, true},         {"rmi", Rounding::Down, true},
    {"rpi", Rounding::Up, true},
};

/// Whether every value of one integer type is one of the other's.
bool includes(Type outer, Type inner) {
  if (isSigned(inner) && !isSigned(outer))
    return false;
  return bitsOf(outer) - isSigned(outer) >= bitsOf(inner) - isSigned(inner);
}

/// What the ISA says about roundings: needed where a float loses bits, .r?i where integers are
/// made of floats.
std::string roundingError(const Conversion &c, const RoundingModifier *rounding) {
  const auto to = floatType(c.to), from = floatType(c.from);
  const bool integral = rounding && rounding->toIntegral;
  if (!to && !from)
    return rounding ? "no rounding is possible between integers" : "";
  if (!to)
    return integral ? "" : "a rounding to an integer (.rni, .rzi, .rmi, .rpi) is needed";
  if (!from)
    return rounding && !integral ? "" : "a rounding (.rn, .rz, .rm, .rp) is needed";
  if (rounding && rounding->rounding == Rounding::NearestAway && *to != FloatType::TF32)
    return ".rna is for tf32";
  const bool directed =
      rounding && (rounding->rounding == Rounding::Down || rounding->rounding == Rounding::Up);
  if (directed && *to == FloatType::TF32)
    return ".rm and .rp are not for tf32";
  if (*to == *from)
    return rounding && !integral ? "this rounding is for narrower formats" : "";
  if (integral)
    return "a rounding to an integer needs one format";
  const bool narrows = bitWidth(*to) < bitWidth(*from) || *to == FloatType::TF32 ||
                       (bitWidth(*to) == bitWidth(*from));
  if (narrows)
    return rounding ? "" : "a rounding (.rn, .rz, …) is needed";
  return rounding ? "nothing is rounded" : "";
}

/// What the ISA says about .ftz, .sat, .relu and .satfinite. The types are known.
const char *modifierError(const Conversion &c, const RoundingModifier *rounding) {
  const auto to = floatType(c.to), from = floatType(c.from);
  const bool plain = !c.mode.relu && !c.mode.saturateFinite;
  if (c.mode.flush && (!plain || c.to == Type::TF32))
    return ".ftz does not go with tf32, .relu and .satfinite";
  if (c.mode.saturate && (!plain || to == FloatType::BF16 || to == FloatType::TF32))
    return ".sat is for integers, f16, f32 and f64, without .relu and .satfinite";
  if (c.mode.saturate && !to && !from && includes(c.to, c.from))
    return ".sat is for values that may lie outside";
  if (plain)
    return nullptr;
  if (c.from != Type::F32)
    return ".relu and .satfinite need an f32 or a pair";
  const bool narrow = to && bitWidth(*to) <= 16;
  if ((!narrow && c.to != Type::TF32) || !rounding ||
      (rounding->rounding != Rounding::NearestEven && rounding->rounding != Rounding::Zero &&
       (rounding->rounding != Rounding::NearestAway || c.mode.relu)))
    return ".relu and .satfinite are for narrow formats, .rn and .rz";
  return nullptr;
}

Handler decodeCvt(Decoder &d) {
  d.classify(Class::Convert);
  if (d.flag("pack"))
    return nullptr;
  Conversion c;
  const RoundingModifier *rounding = nullptr;
  for (const RoundingModifier &candidate : roundings)
    if (d.flag(candidate.name)) {
      if (rounding)
        return d.fail("two roundings");
      rounding = &candidate;
    }
  c.mode.flush = d.flag("ftz");
  c.mode.saturate = d.flag("sat");
  c.mode.relu = d.flag("relu");
  c.mode.saturateFinite = d.flag("satfinite");
  c.to = d.type();
  c.from = d.type();
  const bool toFloat = floatType(c.to).has_value(), fromFloat = floatType(c.from).has_value();
  if ((!toFloat && !isCvtInteger(c.to)) || (!fromFloat && !isCvtInteger(c.from)) ||
      elementsOf(c.to) > 1 || elementsOf(c.from) > 1)
    return nullptr;
  if (std::string error = roundingError(c, rounding); !error.empty())
    return d.fail(std::move(error));
  if (rounding) {
    c.mode.rounding = rounding->rounding;
    c.toIntegral = rounding->toIntegral && toFloat;
  }
  if (c.mode.flush && c.to != Type::F32 && c.from != Type::F32)
    return d.fail(".ftz needs .f32");
  if (const char *error = modifierError(c, rounding))
    return d.fail(error);
  // Formats of 8 bits and fewer come in pairs and quads.
  const auto alone = [](Type type) { return !isFloat(type) || bitsOf(type) >= 16; };
  if ((c.to == Type::TF32 && c.from != Type::F32) || c.from == Type::TF32 || !alone(c.to) ||
      !alone(c.from))
    return d.fail("no such conversion");
  if (c.to == Type::TF32 && c.mode.saturateFinite && c.mode.rounding != Rounding::NearestAway &&
      !d.needsTarget(100))
    return nullptr;
  d.writeWide(c.to, c.toBits);
  d.readWide(c.from, c.fromBits);
  if (d.failed())
    return nullptr;
  if ((toFloat && c.toBits != bitsOf(c.to)) || (fromFloat && c.fromBits != bitsOf(c.from)))
    return d.fail("a floating-point register has its format's size");
  if (!toFloat && !fromFloat && !c.mode.saturate)
    return convertIntegers(d, c);
  if (const Handler handler = fastConversion(c))
    return handler;
  d.instruction().extra = d.make(c);
  return runConversion;
}

/// cvt.pack.sat.d.s32 r, a, b{, c}: a above b, saturated; c's lower bits above both.
struct Pack {
  IntegerType to;
  bool hasThird;
};
void runPack(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto &pack = *static_cast<const Pack *>(in.extra);
  const uint64_t element = (uint64_t(1) << pack.to.bits) - 1;
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const auto saturated = [&](Slot slot) {
      return convertInteger(pack.to, {32, true}, warp.reg<uint32_t>(slot)[lane], true) & element;
    };
    uint64_t result = saturated(in.slots[1]) << pack.to.bits | saturated(in.slots[2]);
    if (pack.hasThird)
      result |= uint64_t(warp.reg<uint32_t>(in.slots[3])[lane]) << 2 * pack.to.bits;
    warp.reg<uint32_t>(in.slots[0])[lane] = uint32_t(result);
  }
}

Handler decodePack(Decoder &d) {
  d.classify(Class::Convert);
  if (!d.flag("pack") || !d.flag("sat"))
    return nullptr;
  // .u8 and .s8 (and .u4, .u2, which have names of their own) take c; 16 bits do not.
  const std::string_view name = d.peekModifier();
  Pack pack{};
  for (const auto &[type, bits] : {std::pair<std::string_view, int>{"u16", 16},
                                   {"s16", 16},
                                   {"u8", 8},
                                   {"s8", 8},
                                   {"u4", 4},
                                   {"s4", 4},
                                   {"u2", 2},
                                   {"s2", 2}})
    if (name == type)
      pack.to = {uint8_t(bits), name[0] == 's'};
  if (pack.to.bits > 16)
    return nullptr;
  d.nextModifier();
  if (d.type() != Type::S32)
    return nullptr;
  pack.hasThird = d.flag("b32");
  if (pack.hasThird == (pack.to.bits == 16))
    return d.fail(".b32 and a third source belong to 8 bits and fewer");
  d.write(Type::B32);
  for (int i = 0; i < (pack.hasThird ? 3 : 2); ++i)
    d.read(Type::B32);
  d.instruction().extra = d.make(pack);
  return runPack;
}

constexpr InstructionRow rows[] = {{"cvt", decodeCvt}, {"cvt", decodePack}};

} // namespace

Family convertFamily() { return rows; }

} // namespace ingot::emulator
