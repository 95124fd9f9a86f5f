#include "runtime/emulator/machine/TensorMap.h"
#include <cstring>

namespace ingot::emulator {

namespace {

constexpr char magic[8] = {'I', 'N', 'G', 'O', 'T', 'M', 'A', 'P'};

/// The encoded form: fixed-width fields in the host's order.
struct Encoded {
  char magic[8];
  uint8_t element, swizzle, fillsWithNan, rank;
  uint8_t elementStrides[5];
  uint8_t boxMinusOne[5];
  uint16_t unused;
  uint64_t address;
  uint32_t dimensionsMinusOne[5]; ///< dimensions reach 2^32
  uint32_t unused2;
  uint64_t strides[4];
  uint64_t unused3[5];
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

Result<TensorMap> TensorMap::make(const TensorMapArguments &arguments) {
  if (arguments.dataType > 15)
    return invalid("data type {} is unknown", arguments.dataType);
  if (arguments.dataType > static_cast<uint32_t>(TensorElement::F32Flushed))
    return unsupported("data type {} (tf32, packed 4 and 6 bits) is not emulated",
                       arguments.dataType);
  if (arguments.rank < 1 || arguments.rank > 5)
    return invalid("rank {} is not within 1 to 5", arguments.rank);
  if (arguments.interleave > 2)
    return invalid("interleave {} is unknown", arguments.interleave);
  if (arguments.interleave && arguments.rank < 3)
    return invalid("an interleaved layout needs rank 3 or more, not {}", arguments.rank);
  if (arguments.interleave)
    return unsupported("interleaved layouts are not emulated");
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
  map.rank = arguments.rank;
  map.address = arguments.address;
  if (map.fillsWithNan && !isFloat(map.element))
    return invalid("only floats can be filled with NaN");
  if (arguments.address == 0 || arguments.address % 16)
    return invalid("global address {:#x} is not aligned to 16 bytes", arguments.address);
  const uint64_t elementBytes = bytesOf(map.element);
  map.strides[0] = elementBytes;
  map.dimensions.fill(1);
  map.box.fill(1);
  map.elementStrides.fill(1);
  for (uint32_t i = 0; i < arguments.rank; ++i) {
    map.dimensions[i] = arguments.dimensions[i];
    map.box[i] = arguments.box[i];
    map.elementStrides[i] = arguments.elementStrides[i];
    if (map.dimensions[i] < 1 || map.dimensions[i] > uint64_t(1) << 32)
      return invalid("globalDim[{}] = {} is not within 1 to 2^32", i, map.dimensions[i]);
    if (map.box[i] < 1 || map.box[i] > 256)
      return invalid("boxDim[{}] = {} is not within 1 to 256", i, map.box[i]);
    if (map.elementStrides[i] < 1 || map.elementStrides[i] > 8)
      return invalid("elementStrides[{}] = {} is not within 1 to 8", i, map.elementStrides[i]);
    if (i == 0)
      continue;
    map.strides[i] = arguments.strides[i - 1];
    if (map.strides[i] % 16 || map.strides[i] >= uint64_t(1) << 40)
      return invalid("globalStrides[{}] = {} is not a multiple of 16 below 2^40", i - 1,
                     map.strides[i]);
  }
  map.elementStrides[0] = 1; // ignored by the hardware, too
  if (map.rowBytes() % 16)
    return invalid("boxDim[0] = {} elements of {} bytes are no multiple of 16 bytes", map.box[0],
                   elementBytes);
  const uint32_t span = swizzleSpan(map.swizzle);
  if (map.swizzle != Swizzle::None && map.rowBytes() > span)
    return invalid("boxDim[0] = {} elements of {} bytes exceed the swizzle's {} bytes", map.box[0],
                   elementBytes, span);
  if (map.swizzle != Swizzle::None && map.rowBytes() < span)
    return unsupported("an inner box of {} bytes under a swizzle of {} bytes is not emulated",
                       map.rowBytes(), span);
  return map;
}

void TensorMap::encode(uint8_t *bytes) const {
  Encoded encoded{};
  std::memcpy(encoded.magic, magic, sizeof magic);
  encoded.element = static_cast<uint8_t>(element);
  encoded.swizzle = static_cast<uint8_t>(swizzle);
  encoded.fillsWithNan = fillsWithNan;
  encoded.rank = static_cast<uint8_t>(rank);
  encoded.address = address;
  for (int i = 0; i < 5; ++i) {
    encoded.elementStrides[i] = static_cast<uint8_t>(elementStrides[i]);
    encoded.boxMinusOne[i] = static_cast<uint8_t>(box[i] - 1);
    encoded.dimensionsMinusOne[i] = static_cast<uint32_t>(dimensions[i] - 1);
    if (i)
      encoded.strides[i - 1] = strides[i];
  }
  std::memcpy(bytes, &encoded, sizeof encoded);
}

Result<TensorMap> TensorMap::decode(const uint8_t *bytes) {
  Encoded encoded;
  std::memcpy(&encoded, bytes, sizeof encoded);
  if (std::memcmp(encoded.magic, magic, sizeof magic) || encoded.rank < 1 || encoded.rank > 5 ||
      encoded.element > static_cast<uint8_t>(TensorElement::F32Flushed) || encoded.swizzle > 3)
    return invalid("these 128 bytes were not written by cuTensorMapEncodeTiled");
  TensorMap map;
  map.element = static_cast<TensorElement>(encoded.element);
  map.swizzle = static_cast<Swizzle>(encoded.swizzle);
  map.fillsWithNan = encoded.fillsWithNan;
  map.rank = encoded.rank;
  map.address = encoded.address;
  map.strides[0] = bytesOf(map.element);
  for (int i = 0; i < 5; ++i) {
    map.elementStrides[i] = std::max<uint8_t>(encoded.elementStrides[i], 1);
    map.box[i] = encoded.boxMinusOne[i] + 1u;
    map.dimensions[i] = encoded.dimensionsMinusOne[i] + uint64_t(1);
    if (i)
      map.strides[i] = encoded.strides[i - 1];
  }
  return map;
}

uint32_t TensorMap::tileBytes() const {
  uint32_t bytes = rowBytes();
  for (uint32_t i = 1; i < rank; ++i)
    bytes *= taken(i);
  return bytes;
}

std::vector<TensorMap::Row> TensorMap::rows(const int32_t *coordinates) const {
  const auto elementBytes = static_cast<int64_t>(strides[0]);
  // The innermost dimension in bounds: the same for all rows.
  const int64_t begin = std::clamp<int64_t>(-int64_t(coordinates[0]), 0, box[0]);
  const int64_t end = std::clamp<int64_t>(int64_t(dimensions[0]) - coordinates[0], begin, box[0]);
  std::vector<Row> rows;
  std::array<uint32_t, 5> index{};
  for (uint32_t offset = 0; offset < tileBytes(); offset += rowBytes()) {
    Row row{.tileOffset = offset};
    uint64_t start = address;
    bool inside = end > begin;
    for (uint32_t i = 1; i < rank; ++i) {
      const int64_t at = int64_t(coordinates[i]) + int64_t(index[i]) * elementStrides[i];
      inside &= at >= 0 && at < int64_t(dimensions[i]);
      start += static_cast<uint64_t>(at) * strides[i];
    }
    row.lead = static_cast<uint32_t>(inside ? begin * elementBytes : rowBytes());
    if (inside) {
      row.bytes = static_cast<uint32_t>((end - begin) * elementBytes);
      row.address = start + static_cast<uint64_t>((coordinates[0] + begin) * elementBytes);
    }
    rows.push_back(row);
    for (uint32_t i = 1; i < rank && ++index[i] == taken(i); ++i)
      index[i] = 0;
  }
  return rows;
}

uint64_t TensorMap::fill() const {
  if (!fillsWithNan)
    return 0;
  switch (bytesOf(element)) {
  case 2:
    return canonicalNan(FloatType::F16);
  case 8:
    return canonicalNan(FloatType::F64);
  default:
    return canonicalNan(FloatType::F32);
  }
}

} // namespace ingot::emulator
