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
          if (relu || satfinite || to.format == FloatType::TF32)
            push(fmt::format(".{}", name), to, f32, {rounding, false, false, relu, satfinite},
                 false);
  for (bool satfinite : {false, true})
    push(".rna", tf32, f32, {Rounding::NearestAway, false, false, false, satfinite}, false);
}

struct PairKind {
  std::string name;
  FloatType format;
  int element;
};
const std::vector<PairKind> halfPairs = {{"f16x2", FloatType::F16, 16},
                                         {"bf16x2", FloatType::BF16, 16}};
const std::vector<PairKind> narrowPairs = {{"e4m3x2", FloatType::E4M3, 8},
                                           {"e5m2x2", FloatType::E5M2, 8}};

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
  };
  for (bool relu : {false, true}) {
    for (const PairKind &to : halfPairs)
      for (bool satfinite : {false, true})
        for (const auto &[name, rounding] : {roundings[0], roundings[1]})
          ofTwo(to, name, {rounding, false, false, relu, satfinite});
    for (const PairKind &narrow : narrowPairs) {
      ofTwo(narrow, "rn", {.relu = relu, .satfinite = true});
      for (const PairKind &from : halfPairs)
        ofPair(narrow, from, "rn", {.relu = relu, .satfinite = true});
      ofPair(halfPairs[0], narrow, "rn", {.relu = relu});
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
  addPacks(cases);
  return cases;
}

TEST(Convert, instructions) { checkInstructions(convertCases()); }

} // namespace ingot::emulator::test
