#include "runtime/emulator/machine/TensorMap.h"
#include <algorithm>
#include <cstring>

namespace ingot::emulator {

namespace {

constexpr char magic[8] = {'I', 'N', 'G', 'O', 'T', 'M', 'A', 'P'};

/// The encoded form: fixed-width fields in the host's order. Zeros are a map's least values, so
/// that a program may begin with them and replace every field.
struct Encoded {
  char magic[8];
  uint8_t element, swizzle, fillsWithNan, rankMinusOne, interleave, isIm2col;
  uint8_t elementStrides[5];
  uint8_t unused;
  uint16_t boxMinusOne[5]; ///< of im2col: channels, pixels
  uint16_t unused2;
  uint64_t address;
  uint32_t dimensionsMinusOne[5]; ///< dimensions reach 2^32
  uint32_t unused3;
  uint64_t strides[4];
  int16_t lower[3], upper[3];
  uint32_t unused4[5];
};
static_assert(sizeof(Encoded) == TensorMap::encodedBytes);

bool isFloat(TensorElement element) {
  switch (element) {
  case TensorElement::F16:
  case TensorElement::F32:
  case TensorElement::F64:
  case TensorElement::BF16:
  case TensorElement::F32Flushed:
  case TensorElement::TF32:
  case TensorElement::TF32Flushed:
    return true;
  default:
    return false;
  }
}

template <typename... Args>
tl::unexpected<Error> invalid(fmt::format_string<Args...> format, Args &&...args) {
  return failure(Error::Code::BadInput, "tensor map", format, std::forward<Args>(args)...);
}

template <typename... Args>
tl::unexpected<Error> unsupported(fmt::format_string<Args...> format, Args &&...args) {
  return failure(Error::Code::Unsupported, "tensor map", format, std::forward<Args>(args)...);
}

bool isAllZero(const uint8_t *bytes) {
  return std::all_of(bytes, bytes + TensorMap::encodedBytes, [](uint8_t byte) { return !byte; });
}

} // namespace

int bytesOf(TensorElement type) {
  switch (type) {
  case TensorElement::U8:
    return 1;
  case TensorElement::U16:
  case TensorElement::F16:
  case TensorElement::BF16:
    return 2;
  case TensorElement::U64:
  case TensorElement::S64:
  case TensorElement::F64:
    return 8;
  default:
    return 4;
  }
}

Status TensorMap::check() const {
  if (rank < (isIm2col ? 3 : 1) || rank > 5)
    return invalid("rank {} is not within {} to 5", rank, isIm2col ? 3 : 1);
  if (interleave > 2)
    return invalid("interleave {} is unknown", interleave);
  if (interleave && rank < 3)
    return invalid("an interleaved layout needs rank 3 or more, not {}", rank);
  if (interleave)
    return unsupported("interleaved layouts are not emulated");
  if (fillsWithNan && !isFloat(element))
    return invalid("only floats can be filled with NaN");
  if (address == 0 || address % 16)
    return invalid("global address {:#x} is not aligned to 16 bytes", address);
  for (uint32_t i = 0; i < rank; ++i) {
    if (dimensions[i] < 1 || dimensions[i] > uint64_t(1) << 32)
      return invalid("globalDim[{}] = {} is not within 1 to 2^32", i, dimensions[i]);
    if (elementStrides[i] < 1 || elementStrides[i] > 8)
      return invalid("elementStrides[{}] = {} is not within 1 to 8", i, elementStrides[i]);
    if (!isIm2col && (box[i] < 1 || box[i] > 256))
      return invalid("boxDim[{}] = {} is not within 1 to 256", i, box[i]);
    if (i && (strides[i] % 16 || strides[i] >= uint64_t(1) << 40))
      return invalid("globalStrides[{}] = {} is not a multiple of 16 below 2^40", i - 1,
                     strides[i]);
  }
  if (isIm2col) {
    if (box[0] < 1 || box[0] > 256)
      return invalid("channelsPerPixel = {} is not within 1 to 256", box[0]);
    if (box[1] < 1 || box[1] > 1024)
      return invalid("pixelsPerColumn = {} is not within 1 to 1024", box[1]);
    const int32_t limit = rank == 3 ? 32768 : rank == 4 ? 128 : 16;
    for (uint32_t i = 0; i < spatial(); ++i)
      for (const auto &[name, corner] : {std::pair("Lower", lower[i]), {"Upper", upper[i]}})
        if (corner < -limit || corner >= limit)
          return invalid("pixelBox{}Corner[{}] = {} is not within {} to {}", name, i, corner,
                         -limit, limit - 1);
    for (uint32_t i = 0; i < spatial(); ++i)
      if (int64_t(dimensions[i + 1]) + upper[i] <= lower[i])
        return invalid("the pixel box is empty: corners {} and {} of dimension {} with {} elements",
                       lower[i], upper[i], i + 1, dimensions[i + 1]);
  }
  const char *const inner = isIm2col ? "channelsPerPixel" : "boxDim[0]";
  if (rowBytes() % 16)
    return invalid("{} = {} elements of {} bytes are no multiple of 16 bytes", inner, box[0],
                   strides[0]);
  const uint32_t span = swizzleSpan(swizzle);
  if (swizzle != Swizzle::None && rowBytes() > span)
    return invalid("{} = {} elements of {} bytes exceed the swizzle's {} bytes", inner, box[0],
                   strides[0], span);
  if (swizzle != Swizzle::None && rowBytes() < span)
    return unsupported("an inner box of {} bytes under a swizzle of {} bytes is not emulated",
                       rowBytes(), span);
  return {};
}

Result<TensorMap> TensorMap::make(const TensorMapArguments &arguments) {
  if (arguments.dataType > 15)
    return invalid("data type {} is unknown", arguments.dataType);
  if (arguments.dataType > static_cast<uint32_t>(TensorElement::TF32Flushed))
    return unsupported("data type {} (packed 4 and 6 bits) is not emulated", arguments.dataType);
  if (arguments.rank > 5)
    return invalid("rank {} is not within 1 to 5", arguments.rank);
  if (arguments.swizzle > 6)
    return invalid("swizzle {} is unknown", arguments.swizzle);
  if (arguments.swizzle > 3)
    return unsupported("swizzle {} (128 bytes with atoms) is not emulated", arguments.swizzle);
  if (arguments.l2Promotion > 3)
    return invalid("L2 promotion {} is unknown", arguments.l2Promotion);
  if (arguments.outOfBoundsFill > 1)
    return invalid("out-of-bounds fill {} is unknown", arguments.outOfBoundsFill);

  TensorMap map;
  map.element = static_cast<TensorElement>(arguments.dataType);
  map.swizzle = static_cast<Swizzle>(arguments.swizzle);
  map.fillsWithNan = arguments.outOfBoundsFill == 1;
  map.isIm2col = !arguments.box;
  map.rank = arguments.rank;
  map.interleave = arguments.interleave;
  map.address = arguments.address;
  map.strides[0] = static_cast<uint64_t>(bytesOf(map.element));
  map.dimensions.fill(1);
  map.box.fill(1);
  map.elementStrides.fill(1);
  for (uint32_t i = 0; i < arguments.rank; ++i) {
    map.dimensions[i] = arguments.dimensions[i];
    map.elementStrides[i] = arguments.elementStrides[i];
    if (arguments.box)
      map.box[i] = arguments.box[i];
    if (i)
      map.strides[i] = arguments.strides[i - 1];
  }
  if (map.isIm2col) {
    map.box[0] = arguments.channels;
    map.box[1] = arguments.pixels;
    for (uint32_t i = 0; i + 2 < arguments.rank; ++i) {
      map.lower[i] = arguments.lower[i];
      map.upper[i] = arguments.upper[i];
    }
  }
  INGOT_TRY(map.check());
  map.elementStrides[0] = 1; // ignored by the hardware, too
  return map;
}

void TensorMap::encode(uint8_t *bytes) const {
  Encoded encoded{};
  std::memcpy(encoded.magic, magic, sizeof magic);
  encoded.element = static_cast<uint8_t>(element);
  encoded.swizzle = static_cast<uint8_t>(swizzle);
  encoded.fillsWithNan = fillsWithNan;
  encoded.rankMinusOne = static_cast<uint8_t>(rank - 1);
  encoded.interleave = static_cast<uint8_t>(interleave);
  encoded.isIm2col = isIm2col;
  encoded.address = address;
  for (int i = 0; i < 5; ++i) {
    encoded.elementStrides[i] = static_cast<uint8_t>(elementStrides[i]);
    encoded.boxMinusOne[i] = static_cast<uint16_t>(box[i] - 1);
    encoded.dimensionsMinusOne[i] = static_cast<uint32_t>(dimensions[i] - 1);
    if (i)
      encoded.strides[i - 1] = strides[i];
  }
  for (int i = 0; i < 3; ++i) {
    encoded.lower[i] = static_cast<int16_t>(lower[i]);
    encoded.upper[i] = static_cast<int16_t>(upper[i]);
  }
  std::memcpy(bytes, &encoded, sizeof encoded);
}

Result<TensorMap> TensorMap::decode(const uint8_t *bytes) {
  Encoded encoded;
  std::memcpy(&encoded, bytes, sizeof encoded);
  if (std::memcmp(encoded.magic, magic, sizeof magic))
    return invalid("these 128 bytes were not written by cuTensorMapEncodeTiled or Im2col");
  if (encoded.element > static_cast<uint8_t>(TensorElement::TF32Flushed))
    return unsupported("packed 4 and 6 bits are not emulated");
  TensorMap map;
  map.element = static_cast<TensorElement>(encoded.element);
  map.swizzle = static_cast<Swizzle>(encoded.swizzle & 3);
  map.fillsWithNan = encoded.fillsWithNan;
  map.isIm2col = encoded.isIm2col;
  map.rank = encoded.rankMinusOne + 1u;
  map.interleave = encoded.interleave;
  map.address = encoded.address;
  map.strides[0] = static_cast<uint64_t>(bytesOf(map.element));
  for (int i = 0; i < 5; ++i) {
    map.elementStrides[i] = std::max<uint8_t>(encoded.elementStrides[i], 1);
    map.box[i] = encoded.boxMinusOne[i] + 1u;
    map.dimensions[i] = encoded.dimensionsMinusOne[i] + uint64_t(1);
    if (i)
      map.strides[i] = encoded.strides[i - 1];
  }
  for (int i = 0; i < 3; ++i) {
    map.lower[i] = encoded.lower[i];
    map.upper[i] = encoded.upper[i];
  }
  INGOT_TRY(map.check());
  map.elementStrides[0] = 1;
  return map;
}

Status TensorMap::replace(uint8_t *bytes, TensorField field, uint32_t ordinal, uint64_t value) {
  Encoded encoded;
  std::memcpy(&encoded, bytes, sizeof encoded);
  if (isAllZero(bytes))
    std::memcpy(encoded.magic, magic, sizeof magic);
  else if (std::memcmp(encoded.magic, magic, sizeof magic))
    return invalid("these 128 bytes are neither a tensor map nor zeros");
  switch (field) {
  case TensorField::Address:
    encoded.address = value;
    break;
  case TensorField::Rank:
    encoded.rankMinusOne = static_cast<uint8_t>(std::min<uint64_t>(value, 255));
    break;
  case TensorField::Box:
    encoded.boxMinusOne[ordinal] = static_cast<uint16_t>(std::min<uint64_t>(value - 1, 0xffff));
    break;
  case TensorField::Dimension:
    encoded.dimensionsMinusOne[ordinal] = static_cast<uint32_t>(value - 1);
    break;
  case TensorField::Stride:
    if (ordinal > 3)
      return invalid("a map has four strides, 0 to 3, and not number {}", ordinal);
    encoded.strides[ordinal] = value;
    break;
  case TensorField::ElementStride:
    encoded.elementStrides[ordinal] = static_cast<uint8_t>(std::min<uint64_t>(value, 255));
    break;
  case TensorField::Element: {
    // The ISA has f32.ftz, f64 and bf16 in another order than the driver.
    constexpr TensorElement moved[] = {TensorElement::F32Flushed, TensorElement::F64,
                                       TensorElement::BF16};
    encoded.element =
        static_cast<uint8_t>(value >= 8 && value <= 10 ? uint64_t(moved[value - 8]) : value);
    break;
  }
  case TensorField::Interleave:
    encoded.interleave = static_cast<uint8_t>(value);
    break;
  case TensorField::Swizzle:
    encoded.swizzle = static_cast<uint8_t>(value);
    break;
  case TensorField::Fill:
    encoded.fillsWithNan = value != 0;
    break;
  }
  std::memcpy(bytes, &encoded, sizeof encoded);
  return {};
}

} // namespace ingot::emulator
