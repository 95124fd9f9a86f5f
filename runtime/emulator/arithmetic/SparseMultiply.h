/// mma.sp: A is half zeros, and metadata says where its other half lies.
///
/// A row of A is cut into groups of which half the elements are there: 2 of 4 (of 16 and 8 bits), 1
/// of 2 (tf32), 2 pairs of 4 (of 4 bits). Four bits of metadata tell each group's two places, lower
/// two bits first; for tf32, which has one place of two, 0b0100 is the first and 0b1110 the second.
#pragma once
#include "runtime/emulator/arithmetic/MatrixMultiply.h"

namespace ingot::emulator {

struct SparseMultiply {
  /// As in the instruction: k counts the zeros, too.
  MatrixMultiply shape;
  bool ordered = false; ///< ::ordered_metadata: places in a group ascend
  int selector = 0;     ///< which lanes of four hold the metadata

  /// Whether the ISA has this shape of these types.
  bool isSupported() const;
  /// The selectors are 0 to this one.
  int largestSelector() const;
  int registersOfA() const { return shape.registersOfA() / 2; }

  /// The lane and the lowest bit of the metadata of a group of a row.
  struct Place {
    int lane, bit;
  };
  Place placeOfMetadata(int row, int group) const;
  /// Elements of a group, zeros included.
  int groupSize() const;
};

/// The k of every element that A holds: [m][k / 2]. False if metadata is invalid.
bool findPlaces(const SparseMultiply &sparse, const uint32_t *metadata, uint8_t *places);

/// D = A * B + C; `metadata` has the values of 32 lanes. False if a group's metadata is none that
/// the ISA allows: its result is then not defined.
bool multiply(const SparseMultiply &sparse, Registers d, ConstRegisters a, ConstRegisters b,
              ConstRegisters c, const uint32_t *metadata);

} // namespace ingot::emulator
