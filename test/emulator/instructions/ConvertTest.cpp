/// cvt and cvt.pack: tables of all values of the narrow formats, the host's rounding modes for the
/// others.
#include "test/emulator/instructions/FloatReference.h"
#include "test/emulator/instructions/InstructionTables.h"
#include "test/emulator/instructions/IntegerKind.h"
#include <cmath>

namespace ingot::emulator::test {
namespace {

struct FloatKind {
  std::string name;
  FloatType format;
  int bits;
};
const std::vector<FloatKind> floats = {{"f16", FloatType::F16, 16},
                                       {"bf16", FloatType::BF16, 16},
                                       {"f32", FloatType::F32, 32},
                                       {"f64", FloatType::F64, 64}};
const std::vector<IntegerKind> integers = {
    {"u8", 8, false},   {"s8", 8, true},   {"u16", 16, false}, {"s16", 16, true},
    {"u32", 32, false}, {"s32", 32, true}, {"u64", 64, false}, {"s64", 64, true}};

struct RoundingName {
  std::string_view name;
  Rounding rounding;
};
constexpr RoundingName roundings[] = {{"rn", Rounding::NearestEven},
                                      {"rz", Rounding::Zero},
                                      {"rm", Rounding::Down},
                                      {"rp", Rounding::Up}};

struct Modes {
  Rounding rounding = Rounding::NearestEven;
  bool ftz = false, sat = false, relu = false, satfinite = false;
};

uint64_t finished(FloatType to, uint64_t bits, const Modes &modes) {
  if (isNan(to, bits))
    return modes.sat ? 0 : nanOf(to);
  if (modes.sat)
    bits = bits & signOf(to) ? 0 : std::min(bits, oneOf(to));
  if (modes.relu && bits & signOf(to))
    return 0;
  return flushedIf(modes.ftz && to == FloatType::F32, to, bits);
}

/// Between float formats.
uint64_t converted(FloatType to, FloatType from, const Modes &modes, uint64_t bits) {
  bits = flushedIf(modes.ftz && from == FloatType::F32, from, bits & kindMask(from));
  const double value = valueOf(from, bits);
  if (!std::isnan(value) && modes.satfinite && std::abs(value) > rangeOf(to).largest)
    return modes.relu && value < 0 ? 0 : rounded(to, std::copysign(rangeOf(to).largest, value), {});
  return finished(to, rounded(to, value, modes.rounding), modes);
}

double integral(double x, Rounding rounding) {
  const HostRounding mode(rounding);
  volatile double value = x;
  return std::nearbyint(double(value));
}

/// A double from which any narrower format can be rounded.
double toOdd(Wide value) {
  volatile long double exact = static_cast<long double>(value); // 64 bits: exact
  volatile double down;
  {
    const HostRounding mode(Rounding::Zero);
    down = static_cast<double>(exact);
  }
  const bool inexact = static_cast<long double>(down) != exact;
  return std::bit_cast<double>(std::bit_cast<uint64_t>(double(down)) | inexact);
}

uint64_t fromInteger(FloatType to, const Modes &modes, Wide value) {
  if (to == FloatType::F64) {
    volatile long double exact = static_cast<long double>(value);
    const HostRounding mode(modes.rounding);
    volatile double result = static_cast<double>(exact);
    return finished(to, std::bit_cast<uint64_t>(double(result)), modes);
  }
  return finished(to, rounded(to, toOdd(value), modes.rounding), modes);
}

uint64_t toInteger(const IntegerKind &to, FloatType from, const Modes &modes, uint64_t bits) {
  bits = flushedIf(modes.ftz && from == FloatType::F32, from, bits & kindMask(from));
  const double value = integral(valueOf(from, bits), modes.rounding);
  if (std::isnan(value))
    return from == FloatType::F64 || to.bits == 64 ? uint64_t(1) << (to.bits - 1) : 0;
  if (value >= std::ldexp(1, to.bits - to.isSigned))
    return uint64_t(to.largest());
  if (value <= -std::ldexp(1, to.bits - 1) || (value < 0 && !to.isSigned))
    return uint64_t(to.smallest());
  return uint64_t(Wide(value));
}

void addIntegers(std::vector<InstructionCase> &cases) {
  for (const IntegerKind &to : integers)
    for (const IntegerKind &from : integers)
      for (bool saturate : {false, true}) {
        // Only where values can lie outside.
        if (saturate && from.smallest() >= to.smallest() && from.largest() <= to.largest())
          continue;
        // The destination register may be wider than the type.
        const int width = std::max(to.bits, 32);
        cases.push_back({fmt::format("cvt.{}{}.{} d{}, a{}", saturate ? "sat." : "", to.name,
                                     from.name, width, std::max(from.bits, 16)),
                         [=](uint64_t a, uint64_t, uint64_t) {
                           Wide v = from.value(a);
                           if (saturate)
                             v = std::clamp(v, to.smallest(), to.largest());
                           return uint64_t(to.value(uint64_t(v)));
                         }});
      }
}

void addMixed(std::vector<InstructionCase> &cases) {
  for (const FloatKind &kind : floats)
    for (const IntegerKind &integer : integers)
      for (const auto &[name, rounding] : roundings)
        for (bool ftz : {false, true})
          for (bool sat : {false, true}) {
            if (ftz && kind.format != FloatType::F32)
              continue;
            const Modes modes{rounding, ftz, sat};
            const std::string suffix = fmt::format("{}{}", ftz ? ".ftz" : "", sat ? ".sat" : "");
            if (!sat || kind.format != FloatType::BF16)
              cases.push_back({fmt::format("cvt.{}{}.{}.{} d{}, a{}", name, suffix, kind.name,
                                           integer.name, kind.bits, std::max(integer.bits, 16)),
                               [=, f = kind.format](uint64_t a, uint64_t, uint64_t) {
                                 return fromInteger(f, modes, integer.value(a));
                               }});
            cases.push_back({fmt::format("cvt.{}i{}.{}.{} d{}, a{}", name, suffix, integer.name,
                                         kind.name, std::max(integer.bits, 32), kind.bits),
                             [=, f = kind.format](uint64_t a, uint64_t, uint64_t) {
                               // Extended to the register.
                               return uint64_t(integer.value(toInteger(integer, f, modes, a)));
                             }});
            cases.back().formats[0] = kind.format;
          }
}

void addFloats(std::vector<InstructionCase> &cases) {
  const auto push = [&](std::string prefix, const FloatKind &to, const FloatKind &from,
                        const Modes &modes, bool toIntegral) {
    InstructionCase test{
        fmt::format("cvt{}{}{}{}{}.{}.{} d{}, a{}", prefix, modes.ftz ? ".ftz" : "",
                    modes.sat ? ".sat" : "", modes.relu ? ".relu" : "",
                    modes.satfinite ? ".satfinite" : "", to.name, from.name, to.bits, from.bits),
        [=, to = to.format, from = from.format](uint64_t a, uint64_t, uint64_t) {
          if (!toIntegral)
            return converted(to, from, modes, a);
          a = flushedIf(modes.ftz, from, a & kindMask(from));
          return finished(to, rounded(to, integral(valueOf(from, a), modes.rounding), {}), modes);
        }};
    test.formats[0] = from.format;
    if (to.format == FloatType::F64)
      test.accepts = [expected = test.expected](uint64_t a, uint64_t, uint64_t, uint64_t result) {
        const uint64_t right = expected(a, 0, 0);
        return result == right || (isNan(FloatType::F64, result) && isNan(FloatType::F64, right));
      };
    cases.push_back(std::move(test));
  };
  for (const FloatKind &to : floats)
    for (const FloatKind &from : floats)
      for (bool ftz : {false, true})
        for (bool sat : {false, true}) {
          if (ftz && to.format != FloatType::F32 && from.format != FloatType::F32)
            continue;
          if (sat && to.format == FloatType::BF16)
            continue;
          const bool same = to.format == from.format;
          const bool narrows =
              !same && (bitWidth(to.format) < bitWidth(from.format) || bitWidth(to.format) == 16) &&
              bitWidth(to.format) <= bitWidth(from.format);
          if (!narrows)
            push("", to, from, {{}, ftz, sat}, false);
          if (narrows || same)
            for (const auto &[name, rounding] : roundings)
              push(fmt::format(".{}{}", name, same ? "i" : ""), to, from, {rounding, ftz, sat},
                   same);
        }
  // To halves and tf32 from f32, with .relu and .satfinite.
  const FloatKind f32 = floats[2];
  const FloatKind tf32{"tf32", FloatType::TF32, 32};
  for (const FloatKind &to : {floats[0], floats[1], tf32})
    for (bool relu : {false, true})
      for (bool satfinite : {false, true})
        for (const auto &[name, rounding] : {roundings[0], roundings[1]})
          if (relu || satfinite || to.format == FloatType::TF32) {
            push(fmt::format(".{}", name), to, f32, {rounding, false, false, relu, satfinite},
                 false);
            if (satfinite && to.format == FloatType::TF32)
              cases.back().target = "sm_100a";
          }
  for (bool satfinite : {false, true})
    push(".rna", tf32, f32, {Rounding::NearestAway, false, false, false, satfinite}, false);
}

struct PairKind {
  std::string name;
  FloatType format;
  int element; ///< bits of each in the register
  bool isNew() const { return bitWidth(format) < 8; }
};
const std::vector<PairKind> halfPairs = {{"f16x2", FloatType::F16, 16},
                                         {"bf16x2", FloatType::BF16, 16}};
const std::vector<PairKind> narrowPairs = {{"e4m3x2", FloatType::E4M3, 8},
                                           {"e5m2x2", FloatType::E5M2, 8},
                                           {"e2m3x2", FloatType::E2M3, 8},
                                           {"e3m2x2", FloatType::E3M2, 8},
                                           {"e2m1x2", FloatType::E2M1, 4}};

void addPairs(std::vector<InstructionCase> &cases) {
  const auto ofTwo = [&](const PairKind &to, std::string_view rounding, const Modes &modes) {
    cases.push_back(
        {fmt::format("cvt.{}{}{}.{}.f32 d{}, a32, b32", rounding, modes.relu ? ".relu" : "",
                     modes.satfinite ? ".satfinite" : "", to.name, 2 * to.element),
         [=](uint64_t a, uint64_t b, uint64_t) {
           return converted(to.format, FloatType::F32, modes, a) << to.element |
                  converted(to.format, FloatType::F32, modes, b);
         }});
    cases.back().formats = {FloatType::F32, FloatType::F32, {}};
    if (to.isNew())
      cases.back().target = "sm_100a";
  };
  const auto ofPair = [&](const PairKind &to, const PairKind &from, std::string_view rounding,
                          const Modes &modes) {
    cases.push_back({fmt::format("cvt.{}{}{}.{}.{} d{}, a{}", rounding, modes.relu ? ".relu" : "",
                                 modes.satfinite ? ".satfinite" : "", to.name, from.name,
                                 2 * to.element, 2 * from.element),
                     [=](uint64_t a, uint64_t, uint64_t) {
                       return converted(to.format, from.format, modes, a >> from.element)
                                  << to.element |
                              converted(to.format, from.format, modes, a);
                     }});
    cases.back().formats[0] = from.format;
    if (to.isNew() || from.isNew())
      cases.back().target = "sm_120f";
  };
  for (bool relu : {false, true}) {
    for (const PairKind &to : halfPairs)
      for (bool satfinite : {false, true})
        for (const auto &[name, rounding] : {roundings[0], roundings[1]})
          ofTwo(to, name, {rounding, false, false, relu, satfinite});
    for (const PairKind &narrow : narrowPairs) {
      ofTwo(narrow, "rn", {.relu = relu, .satfinite = true});
      if (!narrow.isNew() || narrow.format == FloatType::E2M1)
        ofPair(narrow, halfPairs[0], "rn", {.relu = relu, .satfinite = true});
      ofPair(halfPairs[0], narrow, "rn", {.relu = relu});
    }
  }
}

/// The exponent of the next power of two: below, or above with .rp.
uint64_t scaleOf(double value, bool up, bool satfinite) {
  if (std::isnan(value))
    return 0xff;
  value = std::abs(value);
  int exponent = value == 0 ? -127 : std::isinf(value) ? 128 : std::ilogb(value);
  if (up && value > std::ldexp(1, exponent))
    ++exponent;
  return uint64_t(std::clamp(exponent + 127, 0, satfinite ? 254 : 255));
}

void addScales(std::vector<InstructionCase> &cases) {
  for (const bool up : {false, true})
    for (const bool satfinite : {false, true}) {
      const std::string head =
          fmt::format("cvt.{}{}.ue8m0x2", up ? "rp" : "rz", satfinite ? ".satfinite" : "");
      const auto of = [=](FloatType from, uint64_t bits) {
        return scaleOf(valueOf(from, bits & kindMask(from)), up, satfinite);
      };
      cases.push_back({head + ".f32 d16, a32, b32", [=](uint64_t a, uint64_t b, uint64_t) {
                         return of(FloatType::F32, a) << 8 | of(FloatType::F32, b);
                       }});
      cases.back().formats = {FloatType::F32, FloatType::F32, {}};
      cases.back().target = "sm_103a";
      cases.push_back({head + ".bf16x2 d16, a32", [=](uint64_t a, uint64_t, uint64_t) {
                         return of(FloatType::BF16, a >> 16) << 8 | of(FloatType::BF16, a);
                       }});
      cases.back().formats[0] = FloatType::BF16;
      cases.back().target = "sm_110a";
    }
  cases.push_back({"cvt.rn.bf16x2.ue8m0x2 d32, a16", [](uint64_t a, uint64_t, uint64_t) {
                     uint64_t result = 0;
                     for (int i : {8, 0}) {
                       const int exponent = int(a >> i & 0xff);
                       result = result << 16 |
                                (exponent == 255
                                     ? nanOf(FloatType::BF16)
                                     : rounded(FloatType::BF16, std::ldexp(1, exponent - 127), {}));
                     }
                     return result;
                   }});
  cases.back().formats[0] = FloatType::BF16; // all 65536 values
  cases.back().target = "sm_100a";
}

/// Stochastic rounding: the lower neighbour in the table of values, and its distance in 2^-bits of
/// the step to the next.
uint64_t stochastic(FloatType to, const Modes &modes, uint64_t bits, uint64_t random, int count) {
  const double value = valueOf(FloatType::F32, bits & kindMask(FloatType::F32));
  if (std::isnan(value) || (modes.relu && value <= 0))
    return std::isnan(value) ? nanOf(to) : 0;
  const uint64_t sign = std::signbit(value) ? signOf(to) : 0;
  const std::vector<double> &table = magnitudes(to);
  const auto above = std::upper_bound(table.begin(), table.end(), std::abs(value));
  uint64_t index = uint64_t(above - table.begin()) - 1;
  const double step =
      index + 1 == table.size() ? table[index] - table[index - 1] : table[index + 1] - table[index];
  const double steps = (std::abs(value) - table[index]) / step; // infinite where value is
  if (std::floor(std::ldexp(steps, count)) + double(random) >= std::ldexp(1, count))
    ++index;
  if (index == table.size() && (modes.satfinite || !layout(to).hasInfinity))
    --index;
  return sign | index; // behind the last is infinity
}

void addStochastic(std::vector<InstructionCase> &cases) {
  const auto push = [&](std::string text, auto expected) {
    cases.push_back({std::move(text), expected});
    cases.back().target = cases.size() % 2 ? "sm_100a" : "sm_103a";
  };
  for (bool relu : {false, true}) {
    for (bool satfinite : {false, true}) {
      const Modes modes{.relu = relu, .satfinite = satfinite};
      const std::string head =
          fmt::format("cvt.rs{}{}", relu ? ".relu" : "", satfinite ? ".satfinite" : "");
      push(head + ".f16x2.f32 d32, a32, b32, c32", [=](uint64_t a, uint64_t b, uint64_t c) {
        return stochastic(FloatType::F16, modes, a, c >> 16 & 0x1fff, 13) << 16 |
               stochastic(FloatType::F16, modes, b, c & 0x1fff, 13);
      });
      cases.back().formats = {FloatType::F32, FloatType::F32, {}};
      // The range of f32: adding the random bits to the lower half of the word is all.
      push(head + ".bf16x2.f32 d32, a32, b32, c32", [=](uint64_t a, uint64_t b, uint64_t c) {
        const auto one = [&](uint64_t bits, uint64_t random) -> uint64_t {
          bits &= 0xffffffff;
          const uint64_t magnitude = bits & 0x7fffffff;
          if (magnitude > 0x7f800000)
            return 0x7fff;
          if (relu && (bits >> 31 || !magnitude))
            return 0;
          const uint64_t sum = (magnitude == 0x7f800000 ? magnitude : magnitude + random) >> 16;
          return (satfinite ? std::min<uint64_t>(sum, 0x7f7f) : sum) | bits >> 31 << 15;
        };
        return one(a, c >> 16 & 0xffff) << 16 | one(b, c & 0xffff);
      });
      cases.back().formats = {FloatType::F32, FloatType::F32, {}};
    }
    // Four sources: e and f are bits of a and b, swapped.
    const Modes modes{.relu = relu, .satfinite = true};
    const std::string head = fmt::format("cvt.rs{}.satfinite", relu ? ".relu" : "");
    for (const PairKind &kind : narrowPairs) {
      std::string name = kind.name;
      name.back() = '4';
      const bool nibbles = kind.element == 4;
      push(fmt::format("xor.b32 e32, a32, b32;\n @k xor.b32 f32, e32, 0x80000000;\n @k "
                       "{}.{}.f32 d{}, {{a32, b32, e32, f32}}, c32",
                       head, name, 4 * kind.element),
           [=](uint64_t a, uint64_t b, uint64_t c) {
             const uint64_t sources[] = {a, b, a ^ b, a ^ b ^ 0x80000000};
             // The random byte of each, by its place in the word.
             const int bytes[] = {3, nibbles ? 1 : 2, nibbles ? 2 : 1, 0};
             uint64_t result = 0;
             for (int i = 0; i < 4; ++i)
               result = result << kind.element |
                        stochastic(kind.format, modes, sources[i], c >> 8 * bytes[i] & 0xff, 8);
             return result;
           });
      cases.back().formats = {FloatType::F32, FloatType::F32, {}};
    }
  }
}

void addPacks(std::vector<InstructionCase> &cases) {
  std::vector<IntegerKind> kinds = integers;
  for (int bits : {2, 4})
    kinds.insert(kinds.end(),
                 {{fmt::format("u{}", bits), bits, false}, {fmt::format("s{}", bits), bits, true}});
  for (const IntegerKind &to : kinds) {
    if (to.bits > 16)
      continue;
    const bool third = to.bits <= 8;
    cases.push_back({fmt::format("cvt.pack.sat.{}.s32{} d32, a32, b32{}", to.name,
                                 third ? ".b32" : "", third ? ", c32" : ""),
                     [=](uint64_t a, uint64_t b, uint64_t c) {
                       const auto clamped = [&](uint64_t x) {
                         return uint64_t(
                                    std::clamp<Wide>(int32_t(x), to.smallest(), to.largest())) &
                                ((1 << to.bits) - 1);
                       };
                       return clamped(a) << to.bits | clamped(b) | (third ? c << 2 * to.bits : 0);
                     }});
  }
}

} // namespace

std::vector<InstructionCase> convertCases() {
  std::vector<InstructionCase> cases;
  addIntegers(cases);
  addMixed(cases);
  addFloats(cases);
  addPairs(cases);
  addScales(cases);
  addStochastic(cases);
  addPacks(cases);
  return cases;
}

TEST(Convert, instructions) { checkInstructions(convertCases()); }

// What the assembler refuses: formats and roundings by chip, registers of another size.
TEST(Convert, refusals) {
  struct Refused {
    const char *text;
    std::string_view target;
  };
  for (const auto &[text, target] : {
           Refused{"cvt.rs.f16x2.f32 d32, a32, b32, c32", "sm_90a"},
           {"cvt.rs.f16x2.f32 d32, a32, b32, c32", "sm_100f"},
           {"cvt.rs.f16x2.f32 d32, a32, b32, c32", "sm_120a"},
           {"cvt.rs.f16x2.f32 d32, a32, b32", "sm_100a"},
           {"cvt.rs.e4m3x4.f32 d32, {a32, b32, a32, b32}, c32", "sm_100a"},
           {"cvt.rs.satfinite.e4m3x2.f32 d16, a32, b32, c32", "sm_100a"},
           {"cvt.rs.f16.f32 d16, a32, c32", "sm_100a"},
           {"cvt.rn.satfinite.e2m1x2.f32 d8, a32, b32", "sm_90a"},
           {"cvt.rn.satfinite.e2m1x2.f32 d8, a32, b32", "sm_100"},
           {"cvt.rn.satfinite.e2m1x2.f32 d16, a32, b32", "sm_100a"},
           {"cvt.rn.e2m1x2.f32 d8, a32, b32", "sm_100a"},
           {"cvt.rz.satfinite.e2m3x2.f32 d16, a32, b32", "sm_100a"},
           {"cvt.rn.satfinite.e2m3x2.f16x2 d16, a32", "sm_100a"},
           {"cvt.rn.satfinite.e4m3x2.bf16x2 d16, a32", "sm_100a"},
           {"cvt.rn.satfinite.f16x2.e2m3x2 d32, a16", "sm_100a"},
           {"cvt.rn.ue8m0x2.f32 d16, a32, b32", "sm_100a"},
           {"cvt.rz.relu.ue8m0x2.f32 d16, a32, b32", "sm_100a"},
           {"cvt.rn.relu.bf16x2.ue8m0x2 d32, a16", "sm_100a"},
           {"cvt.rn.f16x2.ue8m0x2 d32, a16", "sm_100a"},
           {"cvt.rn.satfinite.tf32.f32 d32, a32", "sm_90a"},
           {"cvt.rn.satfinite.e4m3x2.f32 d16, a32, b32", "sm_80"},
       })
    EXPECT_FALSE(decodes(text, target)) << text << " on " << target;
}

} // namespace ingot::emulator::test
