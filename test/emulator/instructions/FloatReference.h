/// What PTX says of float arithmetic, on register bits: written for the tests, on top of the host's
/// own rounding modes and tables of values (Reference.h), with nothing of the emulator's
/// arithmetic.
#pragma once
#include "test/emulator/Reference.h"
#include <functional>

namespace ingot::emulator::test {

struct ReferenceMode {
  Rounding rounding = Rounding::NearestEven;
  bool flush = false, saturate = false, relu = false;
};

uint64_t kindMask(FloatType type); ///< all bits of the format
uint64_t signOf(FloatType type);
uint64_t infinityOf(FloatType type); ///< of formats that have one
uint64_t oneOf(FloatType type);
uint64_t nanOf(FloatType type); ///< the canonical one
bool isNan(FloatType type, uint64_t bits);
double valueOf(FloatType type, uint64_t bits);
/// A subnormal becomes a zero of its sign.
uint64_t flushedIf(bool flush, FloatType type, uint64_t bits);

struct Range {
  double leastSubnormal, leastNormal, largest;
};
Range rangeOf(FloatType type);

/// A value rounded to the format once. Exact for doubles, and for results that were rounded to odd.
uint64_t rounded(FloatType type, double value, Rounding rounding);

/// f32, f64, f16 and bf16.
uint64_t reference(HostOp op, FloatType type, ReferenceMode mode, uint64_t a, uint64_t b,
                   uint64_t c);

/// min and max as the ISA's own program has them.
uint64_t referenceExtremum(FloatType type, bool largest, bool flush, bool propagateNan,
                           bool xorSignAbsolute, uint64_t a, uint64_t b);

/// A function of elements of `width` bits on registers of `bits`.
using BitsFunction = std::function<uint64_t(uint64_t, uint64_t, uint64_t)>;
BitsFunction elementwise(int width, int bits, BitsFunction function);

} // namespace ingot::emulator::test
