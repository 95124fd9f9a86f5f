/// Float instructions against the host's arithmetic in its own rounding modes, tables of all values
/// of the narrow formats, and series for what is approximate.
#include "test/emulator/instructions/ExactFunctions.h"
#include "test/emulator/instructions/FloatReference.h"
#include "test/emulator/instructions/InstructionTables.h"

namespace ingot::emulator::test {
namespace {

struct Kind {
  std::string name;
  FloatType format;
  int bits; ///< of the register
  bool isHalf() const { return bitWidth(format) == 16; }
};
const std::vector<Kind> kinds = {
    {"f32", FloatType::F32, 32},   {"f64", FloatType::F64, 64},   {"f16", FloatType::F16, 16},
    {"f16x2", FloatType::F16, 32}, {"bf16", FloatType::BF16, 16}, {"bf16x2", FloatType::BF16, 32},
};
constexpr std::pair<std::string_view, Rounding> roundings[] = {{"rn", Rounding::NearestEven},
                                                               {"rz", Rounding::Zero},
                                                               {"rm", Rounding::Down},
                                                               {"rp", Rounding::Up}};

/// `text` with the type and `sources` registers behind it: ".f32 d32, a32, b32".
std::string spelled(std::string op, const Kind &kind, int sources) {
  std::string text = fmt::format("{}.{} d{}", op, kind.name, kind.bits);
  for (int i = 0; i < sources; ++i)
    text += fmt::format(", {}{}", "abc"[i], kind.bits);
  return text;
}

using Operation = std::function<uint64_t(uint64_t, uint64_t, uint64_t)>;

/// A case whose operands all have the kind's format; `expected` sees one element each.
InstructionCase caseOf(std::string op, const Kind &kind, int sources, const Operation &expected) {
  InstructionCase test{spelled(std::move(op), kind, sources),
                       elementwise(bitWidth(kind.format), kind.bits, expected)};
  test.formats = {kind.format, kind.format, kind.format};
  if (kind.format == FloatType::F64) // its NaN are the host's
    test.accepts = [expected](uint64_t a, uint64_t b, uint64_t c, uint64_t result) {
      const uint64_t right = expected(a, b, c);
      return result == right || (isNan(FloatType::F64, result) && isNan(FloatType::F64, right));
    };
  return test;
}

/// The combinations of .ftz, .sat and .relu that the ISA has for sums and products.
std::vector<std::pair<std::string, ReferenceMode>> modes(const Kind &kind, bool isFma) {
  std::vector<std::pair<std::string, ReferenceMode>> result;
  for (const auto &[rounding, mode] : roundings)
    for (bool ftz : {false, true})
      for (bool sat : {false, true})
        for (bool relu : {false, true}) {
          const bool narrow = kind.format == FloatType::F64 || kind.format == FloatType::BF16;
          if ((ftz || sat) && narrow)
            continue;
          if (relu && (!isFma || !kind.isHalf() || sat))
            continue;
          if (kind.isHalf() && mode != Rounding::NearestEven)
            continue;
          result.push_back({fmt::format(".{}{}{}{}", rounding, ftz ? ".ftz" : "", sat ? ".sat" : "",
                                        relu ? ".relu" : ""),
                            {mode, ftz, sat, relu}});
        }
  return result;
}

void addArithmetic(std::vector<InstructionCase> &cases) {
  for (const Kind &kind : kinds) {
    const FloatType type = kind.format;
    for (const auto &[suffix, mode] : modes(kind, false)) {
      const auto add = [type, mode](uint64_t a, uint64_t b, uint64_t) {
        return reference(HostOp::Add, type, mode, a, b, 0);
      };
      const auto subtract = [type, mode](uint64_t a, uint64_t b, uint64_t) {
        return reference(HostOp::Add, type, mode, a, b ^ signOf(type), 0);
      };
      const auto multiply = [type, mode](uint64_t a, uint64_t b, uint64_t) {
        return reference(HostOp::Multiply, type, mode, a, b, 0);
      };
      cases.push_back(caseOf("add" + suffix, kind, 2, add));
      cases.push_back(caseOf("sub" + suffix, kind, 2, subtract));
      cases.push_back(caseOf("mul" + suffix, kind, 2, multiply));
      if (suffix.starts_with(".rn")) { // which is what no rounding means
        cases.push_back(caseOf("add" + suffix.substr(3), kind, 2, add));
        cases.push_back(caseOf("sub" + suffix.substr(3), kind, 2, subtract));
        cases.push_back(caseOf("mul" + suffix.substr(3), kind, 2, multiply));
      }
      if (kind.isHalf())
        continue;
      const auto quotient = [type, mode](uint64_t a, uint64_t b, uint64_t) {
        return reference(HostOp::Divide, type, mode, a, b, 0);
      };
      const auto reciprocal = [type, mode](uint64_t a, uint64_t, uint64_t) {
        return reference(HostOp::Divide, type, mode, oneOf(type), a, 0);
      };
      const auto root = [type, mode](uint64_t a, uint64_t, uint64_t) {
        return reference(HostOp::SquareRoot, type, mode, a, 0, 0);
      };
      if (!mode.saturate) {
        cases.push_back(caseOf("div" + suffix, kind, 2, quotient));
        cases.push_back(caseOf("rcp" + suffix, kind, 1, reciprocal));
        cases.push_back(caseOf("sqrt" + suffix, kind, 1, root));
      }
    }
    for (const auto &[suffix, mode] : modes(kind, true)) {
      const auto fma = [type, mode](uint64_t a, uint64_t b, uint64_t c) {
        return reference(HostOp::Fma, type, mode, a, b, c);
      };
      cases.push_back(caseOf("fma" + suffix, kind, 3, fma));
      if (!kind.isHalf())
        cases.push_back(caseOf("mad" + suffix, kind, 3, fma));
    }
  }
}

/// fma.oob: 0x7ff7 of either sign as a factor makes the result +0. The factor is drawn as it is,
/// and among values near that one.
void addOutOfBounds(std::vector<InstructionCase> &cases) {
  for (const Kind &kind : kinds) {
    if (!kind.isHalf())
      continue;
    for (const char *how : {"", ".relu", ".sat"}) {
      const ReferenceMode mode{.saturate = how[0] && how[1] == 's',
                               .relu = how[0] && how[1] == 'r'};
      if (mode.saturate && kind.format == FloatType::BF16)
        continue;
      const auto one = [=](uint64_t a, uint64_t b, uint64_t c) -> uint64_t {
        a &= 0xffff, b &= 0xffff;
        const bool isOutside = a == 0x7ff7 || a == 0xfff7 || b == 0x7ff7 || b == 0xfff7;
        return isOutside ? 0 : reference(HostOp::Fma, kind.format, mode, a, b, c);
      };
      const std::string suffix = fmt::format(".rn.oob{}", how);
      cases.push_back(caseOf("fma" + suffix, kind, 3, one));
      const auto near = [](uint64_t a) { return (a & 0x800f) | 0x7ff0; };
      for (const bool isFirst : {true, false}) {
        const auto expected = elementwise(16, kind.bits, [=](uint64_t a, uint64_t b, uint64_t c) {
          return isFirst ? one(near(a), b, c) : one(b, near(a), c);
        });
        const int bits = kind.bits;
        cases.push_back({fmt::format("and.b{0} e{0}, a{0}, {1};\n @k or.b{0} e{0}, e{0}, {2};\n @k "
                                     "fma{3}.{4} d{0}, {5}{0}, {6}{0}, c{0}",
                                     bits, bits == 16 ? "0x800f" : "0x800f800f",
                                     bits == 16 ? "0x7ff0" : "0x7ff07ff0", suffix, kind.name,
                                     isFirst ? 'e' : 'b', isFirst ? 'b' : 'e'),
                         expected});
        cases.back().formats = {std::nullopt, kind.format, kind.format};
      }
    }
  }
}

/// add, sub, mul and fma of two f32 in 64 bits.
void addPairs(std::vector<InstructionCase> &cases) {
  const Kind pair{"f32x2", FloatType::F32, 64};
  for (const auto &[suffix, mode] : modes(pair, true)) {
    if (mode.saturate)
      continue;
    const size_t first = cases.size();
    for (const bool isNamed : {true, false}) {
      if (!isNamed && !suffix.starts_with(".rn"))
        continue;
      const std::string end = isNamed ? suffix : suffix.substr(3);
      cases.push_back(caseOf("add" + end, pair, 2, [mode](uint64_t a, uint64_t b, uint64_t) {
        return reference(HostOp::Add, FloatType::F32, mode, a, b, 0);
      }));
      cases.push_back(caseOf("sub" + end, pair, 2, [mode](uint64_t a, uint64_t b, uint64_t) {
        return reference(HostOp::Add, FloatType::F32, mode, a, b ^ 0x80000000, 0);
      }));
      cases.push_back(caseOf("mul" + end, pair, 2, [mode](uint64_t a, uint64_t b, uint64_t) {
        return reference(HostOp::Multiply, FloatType::F32, mode, a, b, 0);
      }));
    }
    cases.push_back(caseOf("fma" + suffix, pair, 3, [mode](uint64_t a, uint64_t b, uint64_t c) {
      return reference(HostOp::Fma, FloatType::F32, mode, a, b, c);
    }));
    for (size_t i = first; i < cases.size(); ++i)
      cases[i].target = "sm_100a";
  }
}

/// add, sub and fma of f32 with halves, in every rounding; the halves' values are f32, too.
void addMixed(std::vector<InstructionCase> &cases) {
  for (const auto &[half, name] : {std::pair(FloatType::F16, "f16"), {FloatType::BF16, "bf16"}}) {
    const auto wide = [half](uint64_t bits) -> uint64_t {
      return std::bit_cast<uint32_t>(float(valueOf(half, bits & 0xffff)));
    };
    for (const std::string_view rounding : {"", "rn", "rz", "rm", "rp"})
      for (const bool sat : {false, true}) {
        ReferenceMode mode{.saturate = sat};
        for (const auto &[each, value] : roundings)
          if (each == rounding)
            mode.rounding = value;
        const std::string suffix = fmt::format("{}{}{}.f32.{}", rounding.empty() ? "" : ".",
                                               rounding, sat ? ".sat" : "", name);
        for (const bool subtracts : {false, true}) {
          cases.push_back({fmt::format("{}{} d32, a16, b32", subtracts ? "sub" : "add", suffix),
                           [=](uint64_t a, uint64_t b, uint64_t) {
                             return reference(HostOp::Add, FloatType::F32, mode, wide(a),
                                              subtracts ? b ^ 0x80000000 : b, 0);
                           }});
          cases.back().formats = {half, FloatType::F32, {}};
          cases.back().target = "sm_100";
        }
        if (rounding.empty())
          continue;
        cases.push_back({fmt::format("fma{} d32, a16, b16, c32", suffix),
                         [=](uint64_t a, uint64_t b, uint64_t c) {
                           return reference(HostOp::Fma, FloatType::F32, mode, wide(a), wide(b), c);
                         }});
        cases.back().formats = {half, half, FloatType::F32};
        cases.back().target = "sm_120";
      }
  }
}

void addSigns(std::vector<InstructionCase> &cases) {
  for (const Kind &kind : kinds)
    for (bool ftz : {false, true}) {
      const FloatType type = kind.format;
      if (ftz && (type == FloatType::F64 || type == FloatType::BF16))
        continue;
      const std::string suffix = ftz ? ".ftz" : "";
      cases.push_back(caseOf("neg" + suffix, kind, 1, [=](uint64_t a, uint64_t, uint64_t) {
        return isNan(type, a) ? nanOf(type) : flushedIf(ftz, type, a) ^ signOf(type);
      }));
      cases.push_back(caseOf("abs" + suffix, kind, 1, [=](uint64_t a, uint64_t, uint64_t) {
        return isNan(type, a) ? nanOf(type) : flushedIf(ftz, type, a) & ~signOf(type);
      }));
      for (bool nan : {false, true})
        for (bool sign : {false, true})
          for (bool largest : {false, true}) {
            if (type == FloatType::F64 && (nan || sign))
              continue;
            const auto op = fmt::format("{}{}{}{}", largest ? "max" : "min", suffix,
                                        nan ? ".NaN" : "", sign ? ".xorsign.abs" : "");
            cases.push_back(caseOf(op, kind, 2, [=](uint64_t a, uint64_t b, uint64_t) {
              return referenceExtremum(type, largest, ftz, nan, sign, a, b);
            }));
            if (type != FloatType::F32)
              continue;
            for (bool absolute : {false, true}) {
              if (sign)
                continue;
              cases.push_back(caseOf(fmt::format("{}{}{}{}", largest ? "max" : "min", suffix,
                                                 nan ? ".NaN" : "", absolute ? ".abs" : ""),
                                     kind, 3, [=](uint64_t a, uint64_t b, uint64_t c) {
                                       if (absolute)
                                         for (uint64_t *x : {&a, &b, &c})
                                           *x &= ~signOf(type);
                                       const uint64_t first =
                                           referenceExtremum(type, largest, ftz, nan, false, a, b);
                                       return referenceExtremum(type, largest, ftz, nan, false,
                                                                first, c);
                                     }));
              cases.back().target = "sm_100a";
            }
          }
      if (!kind.isHalf() && !ftz) {
        cases.push_back(caseOf("copysign", kind, 2, [=](uint64_t a, uint64_t b, uint64_t) {
          return (a & signOf(type)) | (b & ~signOf(type));
        }));
        cases.back().accepts = {};
      }
    }
}

void addTests(std::vector<InstructionCase> &cases) {
  for (const Kind &kind : kinds) {
    if (kind.isHalf())
      continue;
    const FloatType type = kind.format;
    const auto magnitude = [type](uint64_t a) { return (kindMask(type) & a) & ~signOf(type); };
    const uint64_t infinity = infinityOf(type);
    const uint64_t least = uint64_t(1) << layout(type).mantissaBits;
    const auto push = [&](std::string name, auto holds) {
      cases.push_back(
          {fmt::format("testp.{}.{} p, a{}", name, kind.name, kind.bits),
           [=](uint64_t a, uint64_t, uint64_t) { return uint64_t(holds(magnitude(a))); }});
      cases.back().formats[0] = type;
    };
    push("finite", [=](uint64_t m) { return m < infinity; });
    push("infinite", [=](uint64_t m) { return m == infinity; });
    push("number", [=](uint64_t m) { return m <= infinity; });
    push("notanumber", [=](uint64_t m) { return m > infinity; });
    push("normal", [=](uint64_t m) { return m >= least && m < infinity; });
    push("subnormal", [=](uint64_t m) { return m && m < least; });
  }
}

/// The ISA's bound of an approximate instruction: absolute where it says so, else relative.
struct Bound {
  std::string_view op;
  Function function;
  double relative; ///< 0: none
  double absolute = 0;
  double largest = 1e300; ///< the bound holds up to this operand; beyond, any value of [-1, 1]
};
constexpr Bound bounds[] = {
    {"rcp.approx", Function::Reciprocal, 0x1p-23},
    {"sqrt.approx", Function::SquareRoot, 0x1p-23},
    {"rsqrt.approx", Function::ReciprocalRoot, 0x1.13p-23}, // 2^-22.9
    {"sin.approx", Function::Sine, 0, 0x1.6bp-21, 6.2831},  // 2^-20.5
    {"cos.approx", Function::Cosine, 0, 0x1.6bp-21, 6.2831},
    {"lg2.approx", Function::Logarithm2, 0x1p-22, 0x1p-22},
    {"ex2.approx", Function::Exponential2, 0x1.6bp-23}, // 2^-22.5
    {"tanh.approx", Function::HyperbolicTangent, 0x1p-11},
};

bool isWithin(const Bound &bound, FloatType type, bool ftz, uint64_t a, uint64_t result) {
  a = flushedIf(ftz, type, a & kindMask(type));
  const double x = valueOf(type, a), got = valueOf(type, result);
  const long double right = exactly(bound.function, x);
  if (std::isnan(right))
    return result == nanOf(type);
  if (std::isnan(got) || std::signbit(got) != std::signbit(right))
    return false;
  // Half a unit is the format's own: overflow, subnormal results.
  const auto &limits = rangeOf(type);
  if (std::abs(right) < limits.leastNormal)
    return ftz ? got == 0 : std::abs(got - right) <= limits.leastSubnormal;
  if (std::isinf(right) || std::abs(right) > limits.largest)
    return std::isinf(got);
  if (std::abs(x) > bound.largest)
    return std::abs(got) <= 1;
  const long double error = std::abs(got - right);
  return error <= bound.absolute || error <= bound.relative * std::abs(right);
}

void addApproximations(std::vector<InstructionCase> &cases) {
  const Kind f32 = kinds[0], f64 = kinds[1];
  const auto push = [&](std::string op, const Kind &kind, const Bound &bound, bool ftz) {
    InstructionCase test{spelled(op, kind, 1), {}};
    test.formats[0] = kind.format;
    const int width = bitWidth(kind.format);
    test.accepts = [=](uint64_t a, uint64_t, uint64_t, uint64_t result) {
      for (int at = 0; at < kind.bits; at += width)
        if (!isWithin(bound, kind.format, ftz, a >> at, result >> at & kindMask(kind.format)))
          return false;
      return true;
    };
    cases.push_back(std::move(test));
  };
  for (const Bound &bound : bounds)
    for (bool ftz : {false, true})
      if (!ftz || bound.op != "tanh.approx")
        push(fmt::format("{}{}", bound.op, ftz ? ".ftz" : ""), f32, bound, ftz);
  for (const Kind &kind : kinds) {
    if (!kind.isHalf())
      continue;
    const bool wide = kind.format == FloatType::BF16;
    const Bound ex2{"", Function::Exponential2, wide ? 0x1p-7 : 0x1.13p-10}; // 2^-9.9
    const Bound tanh{"", Function::HyperbolicTangent, wide ? 0x1p-8 : 0, wide ? 0 : 0x1.03p-11};
    push(wide ? "ex2.approx.ftz" : "ex2.approx", kind, ex2, wide);
    push("tanh.approx", kind, tanh, false);
  }
  // The gross forms of f64: 20 bits, or all of them for rsqrt without .ftz.
  const Bound gross{"", Function::Reciprocal, 0x1p-19};
  push("rcp.approx.ftz", f64, gross, true);
  push("rsqrt.approx.ftz", f64, {"", Function::ReciprocalRoot, 0x1p-19}, true);
  push("rsqrt.approx", f64, {"", Function::ReciprocalRoot, 0x1p-51}, false);
  // Quotients: 2 ulp; .approx of a divisor beyond 2^126 is 0, or NaN.
  for (bool full : {false, true})
    for (bool ftz : {false, true}) {
      InstructionCase test{
          spelled(fmt::format("div.{}{}", full ? "full" : "approx", ftz ? ".ftz" : ""), f32, 2),
          {}};
      const FloatType type = FloatType::F32;
      test.formats = {type, type, {}};
      test.accepts = [=](uint64_t a, uint64_t b, uint64_t, uint64_t result) {
        a = flushedIf(ftz, type, a & kindMask(type));
        b = flushedIf(ftz, type, b & kindMask(type));
        const double x = valueOf(type, a), y = valueOf(type, b), got = valueOf(type, result);
        const long double right = static_cast<long double>(x) / y;
        if (!full && std::abs(y) > 0x1p126 && !std::isinf(y))
          return std::isinf(x) || std::isnan(x) ? std::isnan(got) : got == 0;
        if (std::isnan(right))
          return result == nanOf(type);
        if (std::signbit(got) != std::signbit(right))
          return false;
        if (std::abs(right) < rangeOf(type).leastNormal)
          return ftz ? got == 0 : std::abs(got - right) <= 2 * rangeOf(type).leastSubnormal;
        if (std::abs(right) > rangeOf(type).largest)
          return std::isinf(got);
        return std::abs(got - right) <= 0x1p-22L * std::abs(right);
      };
      cases.push_back(std::move(test));
    }
}

} // namespace

std::vector<InstructionCase> floatCases() {
  std::vector<InstructionCase> cases;
  addArithmetic(cases);
  addOutOfBounds(cases);
  addMixed(cases);
  addPairs(cases);
  addSigns(cases);
  addTests(cases);
  addApproximations(cases);
  return cases;
}

TEST(Float, instructions) { checkInstructions(floatCases()); }

} // namespace ingot::emulator::test
