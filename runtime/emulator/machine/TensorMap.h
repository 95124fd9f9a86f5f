/// Tensor maps: what `cuTensorMapEncodeTiled` makes of its arguments, and which bytes a tile of
/// `cp.async.bulk.tensor` moves. The 128 bytes are an encoding of our own: a card's would not run
/// here, nor ours there.
#pragma once
#include "runtime/emulator/machine/WarpgroupMultiply.h"
#include "runtime/support/Result.h"

namespace ingot::emulator {

/// CUtensorMapDataType; values are the driver's.
enum class TensorElement : uint32_t {
  U8,
  U16,
  U32,
  S32,
  U64,
  S64,
  F16,
  F32,
  F64,
  BF16,
  F32Flushed,
  TF32,
  TF32Flushed,
}; // clang-format keeps families on lines
int bytesOf(TensorElement type);

/// The arguments of cuTensorMapEncodeTiled; enumerations as the driver counts them.
struct TensorMapArguments {
  uint32_t dataType = 0;
  uint32_t rank = 0;
  uint64_t address = 0;
  const uint64_t *dimensions = nullptr;     ///< `rank` elements each
  const uint64_t *strides = nullptr;        ///< rank - 1: bytes, from dimension 1 on
  const uint32_t *box = nullptr;            ///< elements of a tile
  const uint32_t *elementStrides = nullptr; ///< every how manieth element is taken
  uint32_t interleave = 0;                  ///< 0: none
  uint32_t swizzle = 0;                     ///< 0 none, 1 32 bytes, 2 64 bytes, 3 128 bytes
  uint32_t l2Promotion = 0;                 ///< a hint
  uint32_t outOfBoundsFill = 0;             ///< 0: zeros, 1: NaN
};

/// A decoded map. Dimension 0 is the innermost, its elements are neighbours.
struct TensorMap {
  TensorElement element = TensorElement::U8;
  Swizzle swizzle = Swizzle::None;
  bool fillsWithNan = false;
  uint32_t rank = 0;
  uint64_t address = 0;
  std::array<uint64_t, 5> dimensions{};
  std::array<uint64_t, 5> strides{}; ///< bytes; [0] is the element's size
  std::array<uint32_t, 5> box{};     ///< extent in the tensor
  std::array<uint32_t, 5> elementStrides{};

  static constexpr size_t encodedBytes = 128, encodedAlignment = 64;

  /// Checks what the driver checks; the message names argument and rule. Interleaved layouts,
  /// packed 4- and 6-bit types, the tf32 types and inner boxes narrower than the swizzle's span are
  /// Unsupported.
  static Result<TensorMap> make(const TensorMapArguments &arguments);
  /// An error for bytes that `encode` did not write.
  static Result<TensorMap> decode(const uint8_t *bytes);
  void encode(uint8_t *bytes) const;

  /// Elements that a tile takes along a dimension: ceil(box / element stride).
  uint32_t taken(int dimension) const {
    return (box[dimension] + elementStrides[dimension] - 1) / elementStrides[dimension];
  }
  /// Bytes of a tile in shared memory: what its transaction counts, in bounds or not.
  uint32_t tileBytes() const;
  /// Alignment that a tile's shared address needs: 128 bytes.
  static constexpr uint32_t tileAlignment = 128;

  /// A row of a tile: `bytes` neighbours in the tensor, and where they lie in the tile before
  /// swizzling; the tile's row goes on to both sides with what is out of bounds.
  struct Row {
    uint32_t tileOffset = 0; ///< of the row's first byte
    uint32_t lead = 0;       ///< bytes out of bounds before
    uint32_t bytes = 0;      ///< bytes in bounds
    uint64_t address = 0;    ///< of the first one in bounds
  };
  uint32_t rowBytes() const { return box[0] * static_cast<uint32_t>(strides[0]); }
  /// The rows of the tile at `coordinates` (may be negative), in the order of the tile.
  std::vector<Row> rows(const int32_t *coordinates) const;
  /// The byte pattern of an element that is out of bounds.
  uint64_t fill() const;
};

} // namespace ingot::emulator
