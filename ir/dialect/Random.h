/// The random numbers of graph.random_uniform and graph.random_normal, bit for bit: the reference
/// calls these functions, compiled code emits the same operations (single roundings, no
/// contraction).
///
/// Bits: Philox 4x32-10 (runtime/support/Philox.h).
///   key     = (seed mod 2^32, seed / 2^32)
///   counter = (block mod 2^32, block / 2^32, step mod 2^32, id mod 2^32), block = element / 4
///   word    = result[element mod 4], `element` being the row-major index in the result tensor
/// Uniform: the word's p high bits times 2^-p, p = min(precision of the type, 32): exact, in [0,
/// 1). Normal:  computed in f32 for every type, then converted: see `normal`.
#pragma once
#include "runtime/support/Philox.h"
#include <bit>
#include <cmath>

namespace ingot::random {

/// The 32 random bits of one element.
inline uint32_t word(uint64_t seed, uint64_t id, uint64_t step, uint64_t element) {
  uint64_t block = element / 4;
  Counter counter = {uint32_t(block), uint32_t(block >> 32), uint32_t(step), uint32_t(id)};
  return philox(counter, {uint32_t(seed), uint32_t(seed >> 32)})[element % 4];
}

/// `precision` is the type's number of significant bits (f32: 24), at most 32.
inline double uniform(uint32_t word, int precision) {
  return std::ldexp(double(word >> (32 - precision)), -precision);
}

// Chebyshev fits of our own, highest power first.
/// log(1 + f)/f for f in [√½ - 1, √2 - 1].
inline constexpr std::array<float, 9> logCoefficients = {
    0.08533313125371933f, -0.14269258081912994f, 0.14977401494979858f,
    -0.1657799333333969f, 0.19955933094024658f,  -0.250013530254364f,
    0.33334192633628845f, -0.4999999701976776f,  1.0f};
/// √2·erfinv(x)/x in t = w - 2.5 for w = -log(1 - x²) < 5.
inline constexpr std::array<float, 9> centreCoefficients = {
    3.196968023644331e-08f, 4.839788516619592e-07f, -4.885795988229802e-06f,
    -6.19474576524226e-06f, 0.0003087411751039326f, -0.0017730827676132321f,
    -0.005907659884542227f, 0.34880271553993225f,   2.1233134269714355f};
/// The same in t = √w - 3 for w in [5, 16].
inline constexpr std::array<float, 8> tailCoefficients = {
    -0.00015819526743143797f, 0.001607793616130948f, -0.004874304868280888f, 0.008215929381549358f,
    -0.010877635329961777f,   0.013337969779968262f, 1.416588544845581f,     4.006434440612793f};
inline constexpr float tailStart = 5.0f, centreShift = 2.5f, tailShift = 3.0f;
inline constexpr float ln2 = 0.6931471824645996f;
/// Bits of √½: subtracting them splits v = 2^e·(1 + f) into exponent and mantissa.
inline constexpr int32_t sqrtHalfBits = 0x3F3504F3;

template <size_t N> float horner(const std::array<float, N> &coefficients, float x) {
  float sum = coefficients[0];
  for (size_t i = 1; i < N; ++i)
    sum = sum * x + coefficients[i];
  return sum;
}

/// Natural logarithm of a positive normal number, absolute error below 2e-7·max(1, |log v|).
inline float logarithm(float v) {
  int32_t offset = std::bit_cast<int32_t>(v) - sqrtHalfBits;
  float f = std::bit_cast<float>((offset & 0x7FFFFF) + sqrtHalfBits) - 1.0f;
  return horner(logCoefficients, f) * f + float(offset >> 23) * ln2;
}

/// The standard normal whose tail probability is p = (2·m + 1)·2^-25, m being the word's low 23
/// bits; its top bit is the sign (set: negative). Inverse distribution function, relative error
/// below 2e-6.
inline float normal(uint32_t word) {
  float p = float(int32_t(word & 0x7FFFFF) * 2 + 1) * 0x1p-25f;
  float w = 0.0f - logarithm(p * 4.0f * (1.0f - p));
  float centre = horner(centreCoefficients, w - centreShift);
  float tail = horner(tailCoefficients, std::sqrt(w) - tailShift);
  float magnitude = (1.0f - p * 2.0f) * (w < tailStart ? centre : tail);
  return word >> 31 ? -magnitude : magnitude;
}

} // namespace ingot::random
