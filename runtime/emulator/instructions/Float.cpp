/// Floating-point arithmetic of f32 and f64, and of f16, bf16 and their pairs: add, sub, mul, fma,
/// mad, div, rcp, sqrt, rsqrt, sin, cos, lg2, ex2, tanh, min, max, abs, neg, copysign, testp.
#include "runtime/emulator/arithmetic/Approximations.h"
#include "runtime/emulator/arithmetic/Conversions.h"
#include "runtime/emulator/arithmetic/Numbers.h"
#include "runtime/emulator/machine/InstructionSet.h"
#include "runtime/emulator/machine/Lanes.h"
#include <cmath>

namespace ingot::emulator {
namespace {

bool isPacked(Type type) { return type == Type::F16x2 || type == Type::BF16x2; }
bool isHalf(Type type) { return bitsOf(type) == 16 || isPacked(type); }
/// The formats that arithmetic knows.
std::optional<FloatType> elementType(Type type) {
  const std::optional<FloatType> format = floatType(type);
  const bool known = format == FloatType::F64 || format == FloatType::F32 ||
                     format == FloatType::F16 || format == FloatType::BF16;
  return known ? format : std::nullopt;
}

/// .ftz and .sat are of f32, f16 and pairs of f16 alone.
bool fits(Decoder &d, std::string_view modifier, bool given, Type type) {
  if (!given || type == Type::F32 || type == Type::F16 || type == Type::F16x2)
    return true;
  d.fail(fmt::format("{} needs .f32 or .f16", modifier));
  return false;
}

// The general way: the exact function of Numbers.h for each active lane.

struct Arguments {
  FloatType type;
  FloatMode mode;
  MinMaxMode minMax;
  bool flush = false;
};
using Unary = uint64_t (*)(const Arguments &, uint64_t);
using Binary = uint64_t (*)(const Arguments &, uint64_t, uint64_t);
using Ternary = uint64_t (*)(const Arguments &, uint64_t, uint64_t, uint64_t);

template <auto function, typename R, bool packs, size_t... index>
void runEach(Warp &warp, const Instruction &in, uint32_t mask, std::index_sequence<index...>) {
  const auto &arguments = *static_cast<const Arguments *>(in.extra);
  R *out = warp.reg<R>(in.slots[0]);
  const R *sources[] = {warp.reg<R>(in.slots[1 + index])...};
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    if constexpr (packs)
      out[lane] = packed([&](auto... bits) { return function(arguments, bits...); },
                         sources[index][lane]...);
    else
      out[lane] = R(function(arguments, sources[index][lane]...));
  }
}
template <auto function, int operands, typename R, bool packs>
void runGeneral(Warp &warp, const Instruction &in, uint32_t mask) {
  runEach<function, R, packs>(warp, in, mask, std::make_index_sequence<operands>());
}
/// Two f32 in 64 bits.
template <auto function, size_t... index>
void runEachOfTwo(Warp &warp, const Instruction &in, uint32_t mask, std::index_sequence<index...>) {
  const auto &arguments = *static_cast<const Arguments *>(in.extra);
  auto *out = warp.reg<uint64_t>(in.slots[0]);
  const uint64_t *sources[] = {warp.reg<uint64_t>(in.slots[1 + index])...};
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const uint64_t low = function(arguments, uint64_t(uint32_t(sources[index][lane]))...);
    const uint64_t high = function(arguments, sources[index][lane] >> 32 ...);
    out[lane] = high << 32 | low;
  }
}
template <auto function, int operands>
void runTwo(Warp &warp, const Instruction &in, uint32_t mask) {
  runEachOfTwo<function>(warp, in, mask, std::make_index_sequence<operands>());
}
/// add, sub, mul and fma of .f32x2: of sm_100
template <auto function, int operands>
Handler ofTwo(Decoder &d, Rounding rounding, bool flush, bool saturate) {
  if (saturate)
    return d.fail(".f32x2 has no .sat");
  if (!d.needsTarget(100))
    return nullptr;
  d.classify(Class::Float);
  d.write(Type::B64);
  for (int i = 0; i < operands; ++i)
    d.read(Type::B64);
  d.instruction().extra =
      d.make<Arguments>({FloatType::F32, {.rounding = rounding, .flush = flush}, {}, flush});
  return runTwo<function, operands>;
}
template <auto function, int operands> Handler general(Decoder &d, Type type, Arguments arguments) {
  arguments.type = *elementType(type);
  d.instruction().extra = d.make(arguments);
  if (isPacked(type))
    return runGeneral<function, operands, uint32_t, true>;
  switch (bitsOf(type)) {
  case 16:
    return runGeneral<function, operands, uint16_t, false>;
  case 32:
    return runGeneral<function, operands, uint32_t, false>;
  default:
    return runGeneral<function, operands, uint64_t, false>;
  }
}

Handler withOperands(Decoder &d, Type type, int sources, Handler handler) {
  d.classify(isHalf(type) ? Class::Half : Class::Float);
  d.write(type);
  for (int i = 0; i < sources; ++i)
    d.read(type);
  return handler;
}

std::optional<Rounding> takeRounding(Decoder &d) {
  constexpr Rounding roundings[] = {Rounding::NearestEven, Rounding::Zero, Rounding::Down,
                                    Rounding::Up};
  const int which = d.oneOf({"rn", "rz", "rm", "rp"});
  return which < 0 ? std::nullopt : std::optional(roundings[which]);
}

// f32, rounded to nearest: the host's own arithmetic on all lanes at once.

INGOT_INLINE float flushed(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return std::bit_cast<float>(bits & 0x7f800000 ? bits : bits & 0x80000000);
}
INGOT_INLINE float canonical(float value) {
  return value == value ? value : std::bit_cast<float>(uint32_t(0x7fffffff));
}
template <bool flush> INGOT_INLINE float operand(float value) {
  return flush ? flushed(value) : value;
}
template <bool flush, bool saturate> INGOT_INLINE float finish(float value) {
  value = canonical(flush ? flushed(value) : value);
  if (saturate)
    value = value > 0 ? value < 1 ? value : 1.0f : 0.0f; // NaN becomes 0
  return value;
}

template <typename Use> Handler forModes(bool flush, bool saturate, Use use) {
  if (flush)
    return saturate ? use.template operator()<true, true>()
                    : use.template operator()<true, false>();
  return saturate ? use.template operator()<false, true>()
                  : use.template operator()<false, false>();
}

enum class Sum : uint8_t { Add, Subtract, Multiply };
template <Sum op, typename T> INGOT_INLINE T calculate(T a, T b) {
  return op == Sum::Add ? a + b : op == Sum::Subtract ? a - b : a * b;
}
template <Sum op> uint64_t calculateExactly(const Arguments &m, uint64_t a, uint64_t b) {
  return op == Sum::Add        ? add(m.type, a, b, m.mode)
         : op == Sum::Subtract ? subtract(m.type, a, b, m.mode)
                               : multiply(m.type, a, b, m.mode);
}

template <Sum op> Handler decodeSum(Decoder &d) {
  const std::optional<Rounding> rounding = takeRounding(d);
  const bool flush = d.flag("ftz"), saturate = d.flag("sat");
  const Type type = d.type();
  if (type == Type::F32x2)
    return ofTwo<calculateExactly<op>, 2>(d, rounding.value_or(Rounding::NearestEven), flush,
                                          saturate);
  if (!elementType(type) || type == Type::None)
    return nullptr;
  if (!fits(d, ".ftz", flush, type) || !fits(d, ".sat", saturate, type))
    return nullptr;
  const Rounding mode = rounding.value_or(Rounding::NearestEven);
  if (isHalf(type) && mode != Rounding::NearestEven)
    return d.fail("halves are rounded to nearest");
  Handler handler;
  if (type == Type::F32 && mode == Rounding::NearestEven)
    handler = forModes(flush, saturate, []<bool flushes, bool saturates>() {
      return lanesOf<[](float a, float b) -> float {
        return finish<flushes, saturates>(calculate<op>(operand<flushes>(a), operand<flushes>(b)));
      }>();
    });
  else if (type == Type::F64 && mode == Rounding::NearestEven)
    handler = lanesOf<[](double a, double b) -> double { return calculate<op>(a, b); }>();
  else
    handler = general<calculateExactly<op>, 2>(
        d, type, {{}, {.rounding = mode, .flush = flush, .saturate = saturate}, {}});
  return withOperands(d, type, 2, handler);
}

uint64_t fmaExactly(const Arguments &m, uint64_t a, uint64_t b, uint64_t c) {
  return fusedMultiplyAdd(m.type, a, b, c, m.mode);
}
/// .oob: a factor that a tensor map's NaN fill has made is no factor, the result +0.
uint64_t fmaInBounds(const Arguments &m, uint64_t a, uint64_t b, uint64_t c) {
  const auto isFill = [](uint64_t bits) { return (bits & 0x7fff) == outOfBoundsNan; };
  return isFill(a) || isFill(b) ? 0 : fmaExactly(m, a, b, c);
}

Handler decodeFma(Decoder &d) {
  const std::optional<Rounding> rounding = takeRounding(d);
  const bool flush = d.flag("ftz"), saturate = d.flag("sat"), relu = d.flag("relu"),
             oob = d.flag("oob");
  const Type type = d.type();
  if (type == Type::F32x2 && !oob && rounding && !relu && d.opcode() == "fma")
    return ofTwo<fmaExactly, 3>(d, *rounding, flush, saturate);
  if (!elementType(type))
    return nullptr;
  // mad.f32 without a rounding existed on sm_1x alone.
  if (!rounding)
    return d.fail("a rounding (.rn, .rz, .rm, .rp) is needed");
  if (!fits(d, ".ftz", flush, type) || !fits(d, ".sat", saturate, type))
    return nullptr;
  if (relu && (!isHalf(type) || saturate))
    return d.fail(".relu needs halves, and no .sat");
  if (isHalf(type) && d.opcode() == "mad")
    return d.fail("mad has no halves");
  if (isHalf(type) && *rounding != Rounding::NearestEven)
    return d.fail("halves are rounded to nearest");
  if (oob && (!isHalf(type) || flush))
    return d.fail(".oob needs halves, and no .ftz");
  if (oob && !d.needsTarget(90))
    return nullptr;
  Handler handler;
  if (oob)
    handler = general<fmaInBounds, 3>(d, type, {{}, {.saturate = saturate, .relu = relu}, {}});
  else if (type == Type::F32 && *rounding == Rounding::NearestEven)
    handler = forModes(flush, saturate, []<bool flushes, bool saturates>() {
      return lanesOf<[](float a, float b, float c) -> float {
        return finish<flushes, saturates>(
            __builtin_fmaf(operand<flushes>(a), operand<flushes>(b), operand<flushes>(c)));
      }>();
    });
  else if (type == Type::F64 && *rounding == Rounding::NearestEven)
    handler =
        lanesOf<[](double a, double b, double c) -> double { return __builtin_fma(a, b, c); }>();
  else
    handler = general<fmaExactly, 3>(
        d, type,
        {{}, {.rounding = *rounding, .flush = flush, .saturate = saturate, .relu = relu}, {}});
  return withOperands(d, type, 3, handler);
}

// add, sub and fma of f32 with halves: of sm_100.

struct Mixed {
  FloatType half = FloatType::F16;
  FloatMode mode;
};

/// d = a + c, or a - c
template <bool subtracts> void runMixedSum(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto &mixed = *static_cast<const Mixed *>(in.extra);
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const uint64_t a =
        convertFloat(FloatType::F32, mixed.half, warp.reg<uint16_t>(in.slots[1])[lane], {});
    const uint64_t c = warp.reg<uint32_t>(in.slots[2])[lane];
    warp.reg<uint32_t>(in.slots[0])[lane] =
        uint32_t(subtracts ? subtract(FloatType::F32, a, c, mixed.mode)
                           : add(FloatType::F32, a, c, mixed.mode));
  }
}

/// d = a * b + c
void runMixedFma(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto &mixed = *static_cast<const Mixed *>(in.extra);
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const auto factor = [&](int slot) {
      return convertFloat(FloatType::F32, mixed.half, warp.reg<uint16_t>(in.slots[slot])[lane], {});
    };
    warp.reg<uint32_t>(in.slots[0])[lane] = uint32_t(fusedMultiplyAdd(
        FloatType::F32, factor(1), factor(2), warp.reg<uint32_t>(in.slots[3])[lane], mixed.mode));
  }
}

Handler decodeMixed(Decoder &d) {
  const bool isFma = d.opcode() == "fma";
  const std::optional<Rounding> rounding = takeRounding(d);
  const bool saturate = d.flag("sat");
  const Type to = d.type(), half = d.type();
  if (to != Type::F32 || (half != Type::F16 && half != Type::BF16))
    return nullptr;
  if (isFma && !rounding)
    return d.fail("a rounding (.rn, .rz, .rm, .rp) is needed");
  if (!d.needsTarget(100))
    return nullptr;
  d.classify(Class::Float);
  d.instruction().extra =
      d.make<Mixed>({*floatType(half),
                     {.rounding = rounding.value_or(Rounding::NearestEven), .saturate = saturate}});
  d.write(to);
  for (int i = 0; i < (isFma ? 2 : 1); ++i)
    d.read(half);
  d.read(to);
  return isFma ? runMixedFma : d.opcode() == "sub" ? runMixedSum<true> : runMixedSum<false>;
}

uint64_t divideExactly(const Arguments &m, uint64_t a, uint64_t b) {
  return divide(m.type, a, b, m.mode);
}
uint64_t divideRoughly(const Arguments &m, uint64_t a, uint64_t b) {
  return approximateQuotient(a, b, m.flush);
}
uint64_t divideFullRange(const Arguments &m, uint64_t a, uint64_t b) {
  return fullRangeQuotient(a, b, m.flush);
}

Handler decodeDiv(Decoder &d) {
  const int rough = d.oneOf({"approx", "full"});
  const std::optional<Rounding> rounding = takeRounding(d);
  const bool flush = d.flag("ftz");
  const Type type = d.type();
  if ((type != Type::F32 && type != Type::F64) || (rough >= 0) == rounding.has_value())
    return nullptr;
  if (type == Type::F64 && (rough >= 0 || flush))
    return d.fail("f64 has neither .approx nor .ftz here");
  Arguments arguments{
      {}, {.rounding = rounding.value_or(Rounding::NearestEven), .flush = flush}, {}, flush};
  const Handler handler = rough == 0   ? general<divideRoughly, 2>(d, type, arguments)
                          : rough == 1 ? general<divideFullRange, 2>(d, type, arguments)
                                       : general<divideExactly, 2>(d, type, arguments);
  return withOperands(d, type, 2, handler);
}

uint64_t reciprocalExactly(const Arguments &m, uint64_t a) {
  const uint64_t one = m.type == FloatType::F64 ? std::bit_cast<uint64_t>(1.0) : 0x3f800000;
  return divide(m.type, one, a, m.mode);
}
uint64_t rootExactly(const Arguments &m, uint64_t a) { return squareRoot(m.type, a, m.mode); }
template <Function function> uint64_t roughly(const Arguments &m, uint64_t a) {
  return approximate(function, m.type, a, m.flush);
}

/// rcp and sqrt: exact with a rounding, else .approx.
template <auto exact, Function function> Handler decodeRoot(Decoder &d) {
  const bool rough = d.flag("approx");
  const std::optional<Rounding> rounding = takeRounding(d);
  const bool flush = d.flag("ftz");
  const Type type = d.type();
  if ((type != Type::F32 && type != Type::F64) || rough == rounding.has_value())
    return nullptr;
  if (type == Type::F64 && (rough ? !flush || function != Function::Reciprocal : flush))
    return d.fail("f64 has only .approx.ftz of rcp and exact forms without .ftz");
  const Arguments arguments{
      {}, {.rounding = rounding.value_or(Rounding::NearestEven), .flush = flush}, {}, flush};
  return withOperands(d, type, 1,
                      rough ? general<roughly<function>, 1>(d, type, arguments)
                            : general<exact, 1>(d, type, arguments));
}

template <Function function> Handler decodeApproximate(Decoder &d) {
  if (!d.flag("approx"))
    return d.fail("only .approx exists");
  const bool flush = d.flag("ftz");
  const Type type = d.type();
  const bool halves = function == Function::Exponential2 || function == Function::HyperbolicTangent;
  const bool isDouble = type == Type::F64 && function == Function::ReciprocalRoot;
  if (!elementType(type) || (type != Type::F32 && !isDouble && !(halves && isHalf(type))))
    return nullptr;
  if (function == Function::HyperbolicTangent && flush)
    return d.fail("tanh has no .ftz");
  if (function == Function::Exponential2 && isHalf(type) &&
      flush != (elementType(type) == FloatType::BF16))
    return d.fail(".ftz belongs to ex2 of bf16 and not of f16");
  const Handler handler = general<roughly<function>, 1>(d, type, {{}, {}, {}, flush});
  return withOperands(d, type, 1, handler);
}

uint64_t negateExactly(const Arguments &m, uint64_t a) { return negate(m.type, a, m.flush); }
uint64_t absoluteExactly(const Arguments &m, uint64_t a) { return absolute(m.type, a, m.flush); }

template <auto function> Handler decodeSign(Decoder &d) {
  const bool flush = d.flag("ftz");
  const Type type = d.type();
  if (!elementType(type))
    return nullptr;
  if (!fits(d, ".ftz", flush, type))
    return nullptr;
  return withOperands(d, type, 1, general<function, 1>(d, type, {{}, {}, {}, flush}));
}

template <bool isMinimum> uint64_t extremum(const Arguments &m, uint64_t a, uint64_t b) {
  return isMinimum ? minimum(m.type, a, b, m.minMax) : maximum(m.type, a, b, m.minMax);
}
template <bool isMinimum>
uint64_t extremumOfThree(const Arguments &m, uint64_t a, uint64_t b, uint64_t c) {
  return extremum<isMinimum>(m, extremum<isMinimum>(m, a, b), c);
}
template <bool isMinimum>
uint64_t extremumOfMagnitudes(const Arguments &m, uint64_t a, uint64_t b, uint64_t c) {
  constexpr uint64_t magnitude = 0x7fffffff;
  return extremumOfThree<isMinimum>(m, a & magnitude, b & magnitude, c & magnitude);
}

/// f32 without NaN propagation: -0 is below +0, a NaN loses, two NaN give the canonical one.
template <bool isMinimum, bool flush> INGOT_INLINE float lesser(float x, float y) {
  const float a = operand<flush>(x), b = operand<flush>(y);
  const uint32_t bothBits = isMinimum ? std::bit_cast<uint32_t>(a) | std::bit_cast<uint32_t>(b)
                                      : std::bit_cast<uint32_t>(a) & std::bit_cast<uint32_t>(b);
  float result = isMinimum ? (a < b ? a : b) : (a > b ? a : b);
  result = a == b ? std::bit_cast<float>(bothBits) : result;
  result = a != a ? b : result;
  return canonical(b != b ? a : result);
}

template <bool isMinimum> Handler decodeMinMax(Decoder &d) {
  const bool flush = d.flag("ftz"), nan = d.flag("NaN"), sign = d.flag("xorsign");
  const bool absolute = d.flag("abs");
  const Type type = d.type();
  if (!elementType(type))
    return nullptr;
  const bool three = d.operandsLeft() == 4;
  if (three ? sign : sign != absolute)
    return d.fail(".xorsign and .abs belong together, but for .abs of three sources");
  if (!fits(d, ".ftz", flush, type))
    return nullptr;
  if (type == Type::F64 && (nan || sign))
    return d.fail("f64 has neither .NaN nor .xorsign");
  const Arguments arguments{
      {}, {}, {.flush = flush, .propagateNan = nan, .xorSignAbsolute = sign}, flush};
  if (three) {
    if (type != Type::F32)
      return d.fail("three sources need .f32");
    return withOperands(d, type, 3,
                        absolute ? general<extremumOfMagnitudes<isMinimum>, 3>(d, type, arguments)
                                 : general<extremumOfThree<isMinimum>, 3>(d, type, arguments));
  }
  if (type == Type::F32 && !nan && !sign)
    return withOperands(
        d, type, 2,
        flush
            ? lanesOf<[](float a, float b) -> float { return lesser<isMinimum, true>(a, b); }>()
            : lanesOf<[](float a, float b) -> float { return lesser<isMinimum, false>(a, b); }>());
  return withOperands(d, type, 2, general<extremum<isMinimum>, 2>(d, type, arguments));
}

/// The sign of a with the magnitude of b.
Handler decodeCopysign(Decoder &d) {
  const Type type = d.type();
  if (type == Type::F32)
    return withOperands(d, type, 2, lanesOf<[](uint32_t a, uint32_t b) -> uint32_t {
                          return (a & 0x80000000) | (b & 0x7fffffff);
                        }>());
  if (type == Type::F64)
    return withOperands(d, type, 2, lanesOf<[](uint64_t a, uint64_t b) -> uint64_t {
                          return (a & uint64_t(1) << 63) | (b & ~(uint64_t(1) << 63));
                        }>());
  return nullptr;
}

template <typename T> bool test(T value, uint8_t what) {
  switch (what) {
  case 0:
    return std::isfinite(value);
  case 1:
    return std::isinf(value);
  case 2:
    return !std::isnan(value);
  case 3:
    return std::isnan(value);
  case 4:
    return std::isnormal(value);
  default:
    return std::fpclassify(value) == FP_SUBNORMAL;
  }
}
template <typename T> void runTest(Warp &warp, const Instruction &in, uint32_t mask) {
  uint32_t result = 0;
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    result |= uint32_t(test(warp.reg<T>(in.slots[1])[lane], in.mode)) << lane;
  }
  storePredicate(warp.predicate(in.slots[0]), result, mask);
}

Handler decodeTestp(Decoder &d) {
  d.classify(Class::Float);
  const int what = d.oneOf({"finite", "infinite", "number", "notanumber", "normal", "subnormal"});
  const Type type = d.type();
  if (what < 0 || (type != Type::F32 && type != Type::F64))
    return nullptr;
  d.instruction().mode = uint8_t(what);
  d.write(Type::Pred);
  d.read(type);
  return type == Type::F32 ? runTest<float> : runTest<double>;
}

constexpr InstructionRow rows[] = {
    {"add", decodeSum<Sum::Add>},
    {"sub", decodeSum<Sum::Subtract>},
    {"mul", decodeSum<Sum::Multiply>},
    {"fma", decodeFma},
    {"add", decodeMixed},
    {"sub", decodeMixed},
    {"fma", decodeMixed},
    {"mad", decodeFma},
    {"div", decodeDiv},
    {"rcp", decodeRoot<reciprocalExactly, Function::Reciprocal>},
    {"sqrt", decodeRoot<rootExactly, Function::SquareRoot>},
    {"rsqrt", decodeApproximate<Function::ReciprocalRoot>},
    {"sin", decodeApproximate<Function::Sine>},
    {"cos", decodeApproximate<Function::Cosine>},
    {"lg2", decodeApproximate<Function::Logarithm2>},
    {"ex2", decodeApproximate<Function::Exponential2>},
    {"tanh", decodeApproximate<Function::HyperbolicTangent>},
    {"neg", decodeSign<negateExactly>},
    {"abs", decodeSign<absoluteExactly>},
    {"min", decodeMinMax<true>},
    {"max", decodeMinMax<false>},
    {"copysign", decodeCopysign},
    {"testp", decodeTestp},
};

} // namespace

Family floatFamily() { return rows; }

} // namespace ingot::emulator
