#include "runtime/emulator/arithmetic/MatrixMove.h"
#include <cstring>

namespace ingot::emulator {

namespace {

/// Calls `visit(matrix, lane, half, byte offset)` for each 16-bit element of the fragments.
template <typename Visit> void forElements(int count, bool transposed, Visit visit) {
  for (int matrix = 0; matrix < count; ++matrix)
    for (int lane = 0; lane < 32; ++lane)
      for (int half = 0; half < 2; ++half) {
        const int across = 2 * (lane & 3) + half, along = lane >> 2;
        const int row = transposed ? across : along, column = transposed ? along : across;
        visit(matrix, lane, half, matrix * 128 + row * 16 + column * 2);
      }
}

} // namespace

void loadMatrices(int count, bool transposed, const uint8_t *rows, Registers out) {
  forElements(count, transposed, [&](int matrix, int lane, int half, int offset) {
    uint16_t element;
    std::memcpy(&element, rows + offset, 2);
    uint32_t &word = out[matrix][lane];
    word = half ? word | uint32_t(element) << 16 : element;
  });
}

void storeMatrices(int count, bool transposed, ConstRegisters in, uint8_t *rows) {
  forElements(count, transposed, [&](int matrix, int lane, int half, int offset) {
    const auto element = static_cast<uint16_t>(in[matrix][lane] >> 16 * half);
    std::memcpy(rows + offset, &element, 2);
  });
}

} // namespace ingot::emulator
