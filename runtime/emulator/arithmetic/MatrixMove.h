/// `ldmatrix` and `stmatrix`: 8x8 matrices of 16-bit elements between rows of shared memory and the
/// fragments of a warp.
#pragma once
#include "runtime/emulator/arithmetic/MatrixMultiply.h"

namespace ingot::emulator {

/// Lane l gets elements (l / 4, 2 * (l % 4)) and its right neighbour; transposed: elements
/// (2 * (l % 4), l / 4) and the one below. `rows` holds 8 rows of 16 bytes a matrix, in the order
/// of the lanes that gave their addresses.
void loadMatrices(int count, bool transposed, const uint8_t *rows, Registers out);
/// The inverse: fills `rows` from fragments.
void storeMatrices(int count, bool transposed, ConstRegisters in, uint8_t *rows);

} // namespace ingot::emulator
