/// Which bytes a tile of a tensor map holds.
#include "runtime/emulator/machine/TensorMap.h"
#include <algorithm>

namespace ingot::emulator {

std::string TensorMap::mismatch(uint32_t dimensions, bool im2col, bool fourRows) const {
  if (rank != dimensions)
    return fmt::format("the tensor map has rank {}", rank);
  if (isIm2col != im2col)
    return isIm2col ? "the tensor map is one of im2col" : "the tensor map is no im2col one";
  if (fourRows && (rank != 2 || box[1] != 1))
    return fmt::format("gather4 and scatter4 need a box of one row, this map's has {}", box[1]);
  return {};
}

uint32_t TensorMap::tileBytes(bool fourRows) const {
  if (isIm2col)
    return rowBytes() * box[1];
  uint32_t bytes = rowBytes() * (fourRows ? 4 : 1);
  for (uint32_t i = 1; i < rank && !fourRows; ++i)
    bytes *= taken(static_cast<int>(i));
  return bytes;
}

TensorMap::Row TensorMap::rowAt(uint32_t tileOffset, int64_t first, bool inside,
                                uint64_t start) const {
  const auto elementBytes = static_cast<int64_t>(strides[0]);
  const int64_t begin = std::clamp<int64_t>(-first, 0, box[0]);
  const int64_t end = std::clamp<int64_t>(int64_t(dimensions[0]) - first, begin, box[0]);
  Row row{.tileOffset = tileOffset};
  inside &= end > begin;
  row.lead = static_cast<uint32_t>(inside ? begin * elementBytes : rowBytes());
  if (inside) {
    row.bytes = static_cast<uint32_t>((end - begin) * elementBytes);
    row.address = start + static_cast<uint64_t>((first + begin) * elementBytes);
  }
  return row;
}

std::vector<TensorMap::Row> TensorMap::columnRows(const Request &request) const {
  std::vector<Row> rows;
  // The filter's base walks through the pixel box; the offsets lead from there to the pixel.
  std::array<int64_t, 5> base;
  std::copy(request.coordinates.begin(), request.coordinates.end(), base.begin());
  for (uint32_t pixel = 0; pixel < box[1]; ++pixel) {
    bool inside = true;
    uint64_t start = address;
    for (uint32_t i = 1; i < rank; ++i) {
      const bool isSpatial = i + 1 < rank;
      const int64_t at = base[i] + (isSpatial ? request.offsets[i - 1] : 0);
      inside &= at >= 0 && at < int64_t(dimensions[i]);
      start += static_cast<uint64_t>(at) * strides[i];
    }
    rows.push_back(rowAt(pixel * rowBytes(), request.coordinates[0], inside, start));
    for (uint32_t i = 1; i < rank; ++i) {
      base[i] += i + 1 < rank ? elementStrides[i] : 1;
      if (i + 1 == rank || base[i] < int64_t(dimensions[i]) + upper[i - 1])
        break;
      base[i] = lower[i - 1];
    }
  }
  return rows;
}

std::vector<TensorMap::Row> TensorMap::rows(const Request &request) const {
  if (isIm2col)
    return columnRows(request);
  std::vector<Row> rows;
  if (request.fourRows) {
    for (uint32_t i = 0; i < 4; ++i) {
      const int64_t at = request.coordinates[1 + i];
      rows.push_back(rowAt(i * rowBytes(), request.coordinates[0],
                           at >= 0 && at < int64_t(dimensions[1]),
                           address + static_cast<uint64_t>(at) * strides[1]));
    }
    return rows;
  }
  std::array<uint32_t, 5> index{};
  for (uint32_t offset = 0; offset < tileBytes(); offset += rowBytes()) {
    uint64_t start = address;
    bool inside = true;
    for (uint32_t i = 1; i < rank; ++i) {
      const int64_t at = int64_t(request.coordinates[i]) + int64_t(index[i]) * elementStrides[i];
      inside &= at >= 0 && at < int64_t(dimensions[i]);
      start += static_cast<uint64_t>(at) * strides[i];
    }
    rows.push_back(rowAt(offset, request.coordinates[0], inside, start));
    for (uint32_t i = 1; i < rank && ++index[i] == taken(static_cast<int>(i)); ++i)
      index[i] = 0;
  }
  return rows;
}

uint64_t TensorMap::fill() const {
  return fillsWithNan ? 0x0001000100010001 * uint64_t(outOfBoundsNan) : 0;
}

uint32_t roundToTf32(uint32_t bits) {
  if ((bits & 0x7fffffff) > 0x7f800000)
    return 0x7fffe000;
  return (bits + 0xfff + (bits >> 13 & 1)) & 0xffffe000;
}

} // namespace ingot::emulator
