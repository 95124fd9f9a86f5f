/// The functions that PTX approximates, to about 18 digits, by series and integer division in fixed
/// point of 120 bits. Nothing of it is libm's or the emulator's.
#pragma once
#include "runtime/emulator/arithmetic/Approximations.h"

namespace ingot::emulator::test {

/// The value at x. Limits at zeros and infinities, NaN outside the domain.
long double exactly(Function function, double x);

} // namespace ingot::emulator::test
