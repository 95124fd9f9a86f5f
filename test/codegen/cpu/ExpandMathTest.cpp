/// Our elementary functions against the C library's in long double: dense samples, all boundaries,
/// in vectors and in scalars.
#include "test/codegen/CompiledKernel.h"
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <functional>
#include <gtest/gtest.h>
#include <limits>
#include <random>

namespace ingot::test {
namespace {

using Real = long double;

struct Function {
  const char *name; ///< of the math dialect
  Real (*exact)(Real);
  double singleUlps, wideUlps; ///< stated in passes/README.md
};

const std::vector<Function> &functions() {
  static const std::vector<Function> list = {
      {"exp", std::exp, 1.1, 1},
      {"exp2", std::exp2, 1, 1},
      {"expm1", std::expm1, 2, 2},
      {"log", std::log, 1, 1},
      {"log1p", std::log1p, 2, 2},
      {"log2", std::log2, 2.5, 2.5},
      {"log10", std::log10, 2.5, 2.5},
      {"tanh", std::tanh, 5, 3},
      {"erf", std::erf, 6.5, 3},
      {"sin", std::sin, 2, 2.5},
      {"cos", std::cos, 2, 2.5},
      {"atan", std::atan, 2, 2},
      {"rsqrt", [](Real x) { return 1 / std::sqrt(x); }, 1.5, 1.5},
  };
  return list;
}

/// Every function of one argument: vectors for rows == false, else scalars that are broadcast.
std::string unaryKernel(const std::string &type, int64_t count, bool scalars) {
  std::string vector = fmt::format("tensor<{}x{}>", count, type);
  std::string result = scalars ? fmt::format("tensor<{}x2x{}>", count, type) : vector;
  std::string body, names, types;
  for (size_t i = 0; i < functions().size(); ++i) {
    body += fmt::format(R"(
  %f{0} = linalg.generic {{indexing_maps = [#id, #id], iterator_types = ["parallel"]}}
      ins(%x : {1}) outs(%e : {1}) {{
  ^bb0(%a: {2}, %o: {2}):
    %r = math.{3} %a : {2}
    linalg.yield %r : {2}
  }} -> {1})",
                        i, vector, type, functions()[i].name);
    if (scalars)
      body += fmt::format(R"(
  %s{0} = linalg.generic {{indexing_maps = [#row, #both], iterator_types = ["parallel", "parallel"]}}
      ins(%f{0} : {1}) outs(%w : {3}) {{
  ^bb0(%a: {2}, %o: {2}):
    linalg.yield %a : {2}
  }} -> {3})",
                          i, vector, type, result);
    names += fmt::format("{}%{}{}", i ? ", " : "", scalars ? "s" : "f", i);
    types += fmt::format("{}{}", i ? ", " : "", result);
  }
  return fmt::format(R"(
#id = affine_map<(d0) -> (d0)>
#row = affine_map<(d0, d1) -> (d0)>
#both = affine_map<(d0, d1) -> (d0, d1)>
func.func private @functions(%x: {0}) -> ({1}) attributes {{graph.kernel = "elementwise"}} {{
  %e = tensor.empty() : {0}
  %w = tensor.empty() : {4}
  {2}
  return {3} : {1}
}})",
                     vector, types, body, names, result);
}

template <typename T> using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;

template <typename T> T fromBits(Bits<T> bits) {
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// Random bit patterns, random moderate numbers, and the neighbourhoods of what matters.
template <typename T> std::vector<T> samples(uint64_t seed) {
  using Limits = std::numeric_limits<T>;
  std::vector<T> list = {0,
                         -T(0),
                         Limits::infinity(),
                         -Limits::infinity(),
                         Limits::quiet_NaN(),
                         Limits::denorm_min(),
                         -Limits::denorm_min()};
  const double centres[] = {1,
                            2,
                            0.5,
                            0.25,
                            1e-3,
                            1e-8,
                            1e-17,
                            3.925,
                            6.1,
                            9.02,
                            19,
                            20,
                            0.70710678118654752,
                            1.41421356237309505,
                            0.34657359027997264,
                            0.69314718055994531,
                            17.5,
                            18,
                            37,
                            38,
                            87.33654475,
                            88.72283905,
                            89,
                            103.97208,
                            104,
                            126,
                            127,
                            128,
                            149,
                            150,
                            151,
                            708.396418532264,
                            709.782712893384,
                            710,
                            745.13321910194,
                            746,
                            1022,
                            1023,
                            1024,
                            1074,
                            1075,
                            1.5707963267948966,
                            3.1415926535897932,
                            6.2831853071795865,
                            0.78539816339744831,
                            355,
                            1e5,
                            1e6,
                            0x1p20,
                            0x1p30,
                            0x1p39,
                            0x1p41,
                            1e30,
                            Limits::min(),
                            Limits::max()};
  for (double centre : centres)
    for (T sign : {T(1), T(-1)}) {
      T up = sign * T(centre), down = up;
      for (int step = 0; step < 8; ++step) {
        list.push_back(up);
        list.push_back(down);
        up = std::nextafter(up, T(2) * up), down = std::nextafter(down, T(0));
      }
    }
  std::mt19937_64 generator(seed);
  std::uniform_real_distribution<double> exponent(-30, 10), mantissa(-2, 2), near(-6, 6),
      wide(-110, 110);
  for (int i = 0; i < 4000; ++i) {
    list.push_back(fromBits<T>(Bits<T>(generator())));
    list.push_back(T(std::ldexp(mantissa(generator), int(exponent(generator)))));
    list.push_back(T(near(generator)));
    list.push_back(T(wide(generator)));
  }
  return list;
}

/// Distance in units of the last place that the exact value would have.
template <typename T> double ulps(T got, Real exact) {
  using Limits = std::numeric_limits<T>;
  if (std::isnan(exact))
    return std::isnan(got) ? 0 : Limits::infinity();
  T rounded = T(exact);
  if (std::isinf(rounded) || rounded == 0 || std::isinf(got))
    if (got == rounded)
      return std::signbit(got) == std::signbit(rounded) ? 0 : Limits::infinity();
  if (std::isnan(got))
    return Limits::infinity();
  int exponent =
      std::max(exact == 0 ? Limits::min_exponent : std::ilogb(exact) + 1, Limits::min_exponent);
  if (std::isinf(got)) // the next number after the largest one
    got = std::copysign(Limits::max(), got);
  return double(std::abs(Real(got) - exact) / std::ldexp(Real(1), exponent - Limits::digits));
}

template <typename T> void checkAccuracy(ElementType type) {
  std::vector<T> inputs = samples<T>(testSeed());
  int64_t count = inputs.size();
  Tensor x(type, {count}, inputs.data());
  std::string name = type == ElementType::F32 ? "f32" : "f64";
  std::vector<Tensor> vectors = CompiledKernel(unaryKernel(name, count, false)).run({x});
  std::vector<Tensor> scalars = CompiledKernel(unaryKernel(name, count, true)).run({x});
  for (size_t f = 0; f < functions().size(); ++f) {
    const Function &function = functions()[f];
    double worst = 0, where = 0;
    int64_t different = 0;
    for (int64_t i = 0; i < count; ++i) {
      T got = vectors[f].as<T>()[i], scalar = scalars[f].as<T>()[2 * i];
      different += std::memcmp(&got, &scalar, sizeof got) != 0;
      double error = ulps(got, function.exact(Real(inputs[i])));
      if (error > worst)
        worst = error, where = double(inputs[i]);
    }
    EXPECT_LE(worst, sizeof(T) == 4 ? function.singleUlps : function.wideUlps)
        << function.name << " " << name << " at " << fmt::format("{:.17g}", where);
    EXPECT_EQ(different, 0) << function.name << " " << name << ": scalar and vector differ";
    if (getenv("INGOT_PRINT_ULPS"))
      printf("%s %s %.2f at %.17g\n", function.name, name.c_str(), worst, where);
  }
}

TEST(ExpandMath, SingleIsAccurate) { checkAccuracy<float>(ElementType::F32); }
TEST(ExpandMath, DoubleIsAccurate) { checkAccuracy<double>(ElementType::F64); }

/// An op on two vectors of floats.
std::string binaryKernel(const std::string &op, const std::string &type, int64_t count) {
  return fmt::format(R"(
#id = affine_map<(d0) -> (d0)>
func.func private @binary(%x: {0}, %y: {0}) -> {0} attributes {{graph.kernel = "elementwise"}} {{
  %e = tensor.empty() : {0}
  %0 = linalg.generic {{indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}}
      ins(%x, %y : {0}, {0}) outs(%e : {0}) {{
  ^bb0(%a: {1}, %b: {1}, %o: {1}):
    %r = {2} %a, %b : {1}
    linalg.yield %r : {1}
  }} -> {0}
  return %0 : {0}
}})",
                     fmt::format("tensor<{}x{}>", count, type), type, op);
}

/// `growth`: further ulps per unit of the exponent y·ln x.
template <typename T> void checkPower(ElementType type, double growth) {
  using Limits = std::numeric_limits<T>;
  const T inf = Limits::infinity(), nan = Limits::quiet_NaN();
  const std::vector<T> special = {0,      -T(0),   1,   -1,   2,   -2,      3,     -3,
                                  T(0.5), T(-0.5), inf, -inf, nan, T(1e10), T(7.5)};
  std::vector<T> bases, exponents;
  for (T base : special)
    for (T exponent : special)
      bases.push_back(base), exponents.push_back(exponent);
  std::mt19937_64 generator(testSeed());
  std::uniform_real_distribution<double> base(0, 10), exponent(-20, 20);
  for (int i = 0; i < 4000; ++i)
    bases.push_back(T(base(generator))), exponents.push_back(T(exponent(generator)));
  int64_t count = bases.size();
  std::string name = type == ElementType::F32 ? "f32" : "f64";
  CompiledKernel kernel(binaryKernel("math.powf", name, count));
  Tensor result =
      kernel.run({Tensor(type, {count}, bases.data()), Tensor(type, {count}, exponents.data())})[0];
  for (int64_t i = 0; i < count; ++i) {
    Real exact = std::pow(Real(bases[i]), Real(exponents[i]));
    double steep = std::abs(double(std::log(std::abs(exact))));
    EXPECT_LE(ulps(result.as<T>()[i], exact), 1 + (std::isfinite(steep) ? growth * steep : 0))
        << bases[i] << " ^ " << exponents[i] << " = " << result.as<T>()[i];
  }
}

TEST(ExpandMath, PowersSingle) { checkPower<float>(ElementType::F32, 0); }
TEST(ExpandMath, PowersDouble) { checkPower<double>(ElementType::F64, 3); }

/// Exact at any distance of the operands' exponents, and C's at its edges.
template <typename T> void checkRemainder(ElementType type) {
  std::vector<T> all = samples<T>(testSeed()), dividends, divisors;
  std::mt19937_64 generator(testSeed());
  const T special[] = {0,
                       -T(0),
                       1,
                       -3,
                       std::numeric_limits<T>::infinity(),
                       std::numeric_limits<T>::quiet_NaN(),
                       std::numeric_limits<T>::max(),
                       std::numeric_limits<T>::denorm_min()};
  for (T x : special)
    for (T y : special)
      dividends.push_back(x), divisors.push_back(y);
  for (T x : all)
    dividends.push_back(x), divisors.push_back(all[generator() % all.size()]);
  int64_t count = dividends.size();
  std::string name = type == ElementType::F32 ? "f32" : "f64";
  CompiledKernel kernel(binaryKernel("arith.remf", name, count));
  Tensor result = kernel.run(
      {Tensor(type, {count}, dividends.data()), Tensor(type, {count}, divisors.data())})[0];
  for (int64_t i = 0; i < count; ++i) {
    T expected = std::fmod(dividends[i], divisors[i]), actual = result.as<T>()[i];
    bool isSame = std::isnan(expected) ? std::isnan(actual)
                                       : std::memcmp(&actual, &expected, sizeof actual) == 0;
    EXPECT_TRUE(isSame) << dividends[i] << " rem " << divisors[i] << " = " << actual << ", not "
                        << expected;
  }
}

TEST(ExpandMath, RemaindersSingle) { checkRemainder<float>(ElementType::F32); }
TEST(ExpandMath, RemaindersDouble) { checkRemainder<double>(ElementType::F64); }

} // namespace
} // namespace ingot::test
