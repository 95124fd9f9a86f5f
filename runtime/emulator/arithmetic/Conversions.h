/// `cvt`: conversions between PTX's number formats, on raw register bits.
#pragma once
#include "runtime/emulator/arithmetic/Numbers.h"

namespace ingot::emulator {

struct IntegerType {
  uint8_t bits = 32; ///< 8, 16, 32 or 64
  bool isSigned = true;
};

/// Float to float. A narrower format rounds (`mode.rounding`); a wider or equal one is exact. NaN
/// becomes the canonical one (0x7f in both f8). `mode.flush` looks at f32 alone, source or result.
uint64_t convertFloat(FloatType to, FloatType from, uint64_t bits, FloatMode mode);

/// `.rni`, `.rzi`, `.rmi`, `.rpi` between floats of one format: to an integral value, keeping the
/// sign of zero.
uint64_t roundToIntegral(FloatType type, uint64_t bits, FloatMode mode);

/// Float to integer, clamped to the type's range. NaN is 0, but from f64 or to 64 bits the highest
/// bit alone. The result fills a register of the type's own width.
uint64_t convertToInteger(IntegerType to, FloatType from, uint64_t bits, FloatMode mode);

/// Integer to float; `bits` above the type's width are ignored.
uint64_t convertFromInteger(FloatType to, IntegerType from, uint64_t bits, FloatMode mode);

/// Integer to integer: truncates or extends by the source's sign; `saturate` clamps to the
/// destination's range. The result is extended to 64 bits by the destination's sign.
uint64_t convertInteger(IntegerType to, IntegerType from, uint64_t bits, bool saturate);

/// The value of a register as its type reads it, extended to 64 bits by its sign.
int64_t extend(IntegerType type, uint64_t bits);

} // namespace ingot::emulator
