/// Tensor maps: what `cuTensorMapEncodeTiled` and `cuTensorMapEncodeIm2col` make of their
/// arguments, what `tensormap.replace` changes, and which bytes a tile of `cp.async.bulk.tensor`
/// moves. The 128 bytes are an encoding of our own: a card's would not run here, nor ours there.
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

/// The arguments of the driver's functions; enumerations as it counts them.
struct TensorMapArguments {
  uint32_t dataType = 0;
  uint32_t rank = 0;
  uint64_t address = 0;
  const uint64_t *dimensions = nullptr;     ///< `rank` elements each
  const uint64_t *strides = nullptr;        ///< rank - 1: bytes, from dimension 1 on
  const uint32_t *box = nullptr;            ///< elements of a tile; null: im2col
  const uint32_t *elementStrides = nullptr; ///< every how manieth element is taken
  uint32_t interleave = 0;                  ///< 0: none
  uint32_t swizzle = 0;                     ///< 0 none, 1 32 bytes, 2 64 bytes, 3 128 bytes
  uint32_t l2Promotion = 0;                 ///< a hint
  uint32_t outOfBoundsFill = 0;             ///< 0: zeros, 1: NaN
  // Of im2col.
  const int *lower = nullptr, *upper = nullptr; ///< rank - 2: corners along W, H and D
  uint32_t channels = 0, pixels = 0;            ///< of a tile
};

/// What tensormap.replace changes.
enum class TensorField : uint8_t {
  Address,
  Rank, ///< minus one
  Box,
  Dimension,
  Stride,
  ElementStride,
  Element, ///< as the ISA counts them, not the driver
  Interleave,
  Swizzle,
  Fill
};

/// A decoded map. Dimension 0 is the innermost, its elements are neighbours.
struct TensorMap {
  TensorElement element = TensorElement::U8;
  Swizzle swizzle = Swizzle::None;
  bool fillsWithNan = false;
  bool isIm2col = false; ///< dimensions are C, W, H, D, N, as many as `rank` says
  uint32_t rank = 0;
  uint32_t interleave = 0;
  uint64_t address = 0;
  std::array<uint64_t, 5> dimensions{};
  std::array<uint64_t, 5> strides{}; ///< bytes; [0] is the element's size
  std::array<uint32_t, 5> box{};     ///< extent in the tensor; of im2col {channels, pixels}
  std::array<uint32_t, 5> elementStrides{};
  /// Of im2col: where the filter's base may lie along W, H and D: from `lower` to the dimension's
  /// last element + `upper`.
  std::array<int32_t, 3> lower{}, upper{};

  static constexpr size_t encodedBytes = 128, encodedAlignment = 64;

  /// Checks what the driver checks; the message names argument and rule. Interleaved layouts,
  /// packed 4- and 6-bit types and inner boxes narrower than the swizzle's span are Unsupported.
  static Result<TensorMap> make(const TensorMapArguments &arguments);
  /// An error for bytes that are no map, or whose fields contradict the rules.
  static Result<TensorMap> decode(const uint8_t *bytes);
  void encode(uint8_t *bytes) const;
  /// Changes one field of an encoded map, be it consistent or not. 128 zeros begin a new one.
  static Status replace(uint8_t *bytes, TensorField field, uint32_t ordinal, uint64_t value);

  /// Elements that a tile takes along a dimension: ceil(box / element stride).
  uint32_t taken(int dimension) const {
    return (box[dimension] + elementStrides[dimension] - 1) / elementStrides[dimension];
  }
  uint32_t spatial() const { return rank - 2; }
  /// Alignment that a tile's shared address needs: 128 bytes.
  static constexpr uint32_t tileAlignment = 128;

  /// What an instruction says of its tile.
  struct Request {
    std::array<int32_t, 5> coordinates{}; ///< may be negative
    std::array<uint32_t, 3> offsets{};    ///< im2col: added to W, H and D
    bool fourRows = false; ///< gather4, scatter4: coordinates are a column and four rows
  };
  /// Why the map cannot serve the request of this mode; empty if it can.
  std::string mismatch(uint32_t dimensions, bool im2col, bool fourRows) const;
  /// Bytes of a tile in shared memory: what its transaction counts, in bounds or not.
  uint32_t tileBytes(bool fourRows = false) const;

  /// A row of a tile: `bytes` neighbours in the tensor, and where they lie in the tile before
  /// swizzling; the tile's row goes on to both sides with what is out of bounds.
  struct Row {
    uint32_t tileOffset = 0; ///< of the row's first byte
    uint32_t lead = 0;       ///< bytes out of bounds before
    uint32_t bytes = 0;      ///< bytes in bounds
    uint64_t address = 0;    ///< of the first one in bounds
  };
  uint32_t rowBytes() const { return box[0] * static_cast<uint32_t>(strides[0]); }
  /// The rows of the tile, in its order.
  std::vector<Row> rows(const Request &request) const;
  /// The byte pattern of an element that is out of bounds.
  uint64_t fill() const;
  /// Whether loads round to tf32.
  bool roundsToTf32() const {
    return element == TensorElement::TF32 || element == TensorElement::TF32Flushed;
  }

private:
  Status check() const;
  /// The row at coordinate `first` of dimension 0 that begins at `start`, if that is in bounds.
  Row rowAt(uint32_t tileOffset, int64_t first, bool inside, uint64_t start) const;
  std::vector<Row> columnRows(const Request &request) const;
};

/// An f32 rounded to the nearest tf32, as loads of tf32 maps do it.
uint32_t roundToTf32(uint32_t bits);

} // namespace ingot::emulator
