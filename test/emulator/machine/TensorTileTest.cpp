// Tiles of tensors, loaded and stored: every rank, swizzle and bound.
#include "runtime/emulator/machine/TensorMap.h"
#include "test/emulator/machine/TensorSupport.h"

namespace ingot::emulator {
namespace {

using namespace test;

struct Tile {
  std::array<uint64_t, 5> dimensions{1, 1, 1, 1, 1}, strides{};
  std::array<uint32_t, 5> box{1, 1, 1, 1, 1}, steps{1, 1, 1, 1, 1};
  std::array<int32_t, 5> at{};
  uint32_t rank = 1;
  Swizzle swizzle = Swizzle::None;
  std::vector<uint16_t> tensor;

  explicit Tile(std::mt19937_64 &random) {
    rank = 1 + random() % 5;
    swizzle = static_cast<Swizzle>(random() % 4);
    uint64_t stride = 0;
    for (uint32_t i = 0; i < rank; ++i) {
      dimensions[i] = 1 + random() % (i ? 5 : 80);
      box[i] = i                          ? 1 + random() % 4
               : swizzle == Swizzle::None ? 8 * (1 + random() % 8)
                                          : swizzleSpan(swizzle) / 2;
      steps[i] = i ? 1 + random() % 2 : 1;
      at[i] = int32_t(random() % (dimensions[i] + box[i])) - int32_t(box[i] / 2);
      stride = i ? stride * dimensions[i - 1] : 0;
      if (i == 1)
        stride = (dimensions[0] * 2 + 15) / 16 * 16;
      strides[i] = stride;
    }
    tensor.resize(std::max<uint64_t>(
        rank == 1 ? dimensions[0] : strides[rank - 1] * dimensions[rank - 1] / 2, 1));
    for (size_t i = 0; i < tensor.size(); ++i)
      tensor[i] = static_cast<uint16_t>(i + 1);
  }

  std::array<uint8_t, 128> map(uint64_t address) const {
    const Result<TensorMap> map = TensorMap::make({.dataType = uint32_t(TensorElement::U16),
                                                   .rank = rank,
                                                   .address = address,
                                                   .dimensions = dimensions.data(),
                                                   .strides = strides.data() + 1,
                                                   .box = box.data(),
                                                   .elementStrides = steps.data(),
                                                   .swizzle = uint32_t(swizzle)});
    EXPECT_TRUE(map) << map.error().text();
    std::array<uint8_t, 128> bytes;
    map->encode(bytes.data());
    return bytes;
  }

  /// Calls `visit(index in the tile's shared memory, index in the tensor or -1)`.
  template <typename Visit> void forElements(Visit visit) const {
    std::array<uint32_t, 5> extent;
    for (int i = 0; i < 5; ++i)
      extent[i] = (box[i] + steps[i] - 1) / steps[i];
    uint32_t linear = 0;
    for (uint32_t e = 0; e < extent[4]; ++e)
      for (uint32_t d = 0; d < extent[3]; ++d)
        for (uint32_t c = 0; c < extent[2]; ++c)
          for (uint32_t b = 0; b < extent[1]; ++b)
            for (uint32_t a = 0; a < extent[0]; ++a, ++linear) {
              const uint32_t index[] = {a, b, c, d, e};
              int64_t place = 0;
              for (uint32_t i = 0; i < rank; ++i) {
                const int64_t x = at[i] + int64_t(index[i]) * steps[i];
                if (x < 0 || x >= int64_t(dimensions[i])) {
                  place = -1;
                  break;
                }
                place += i ? x * int64_t(strides[i]) / 2 : x;
              }
              // 16-byte chunks change places with the number of their 128-byte line.
              const uint32_t chunk = linear / 8, line = chunk / 8;
              const uint32_t moved = chunk ^ (line % (swizzleSpan(swizzle) / 16));
              visit(moved * 8 + linear % 8, place);
            }
  }
  uint32_t elements() const {
    uint32_t count = 0;
    forElements([&](uint32_t, int64_t) { ++count; });
    return count;
  }
};

TEST(Async, tensorTilesOfEveryRankAndSwizzle) {
  std::mt19937_64 random(freshSeed());
  for (int round = 0; round < 60; ++round) {
    const Tile tile(random);
    const uint32_t count = tile.elements();
    Device device(tileKernel(true, tileLoad(int(tile.rank), "tile", int(tile.rank))));
    const uint64_t tensor = device.upload(tile.tensor);
    const uint64_t to = device.upload(std::vector<uint16_t>(count, 0xffff));
    const TileParameters parameters{
        .map = tile.map(tensor), .buffer = to, .at = tile.at, .bytes = count * 2};
    device.launch("kernel", {1}, {1}, parameters);
    const std::vector<uint16_t> out = device.download<uint16_t>(to, count);
    tile.forElements([&](uint32_t shared, int64_t place) {
      ASSERT_EQ(out[shared], place < 0 ? 0 : tile.tensor[place])
          << "rank " << tile.rank << " swizzle " << int(tile.swizzle) << " element " << shared;
    });
    if (HasFatalFailure())
      return;
  }
}

TEST(Async, tensorStoresAndReductionsStayInBounds) {
  std::mt19937_64 random(freshSeed());
  for (int round = 0; round < 40; ++round) {
    Tile tile(random);
    for (int32_t &at : tile.at) // stores begin inside
      at = std::max(at, 0);
    const uint32_t count = tile.elements();
    Device device(tileKernel(false, tileStore(int(tile.rank), "tile", int(tile.rank))));
    const uint64_t tensor = device.upload(tile.tensor);
    std::vector<uint16_t> values(count);
    for (uint16_t &value : values)
      value = static_cast<uint16_t>(random());
    const TileParameters parameters{.map = tile.map(tensor),
                                    .buffer = device.upload(values),
                                    .at = tile.at,
                                    .bytes = count * 2};
    device.launch("kernel", {1}, {1}, parameters);
    std::vector<uint16_t> expected = tile.tensor;
    tile.forElements([&](uint32_t shared, int64_t place) {
      if (place >= 0)
        expected[place] = values[shared];
    });
    ASSERT_EQ(device.download<uint16_t>(tensor, tile.tensor.size()), expected)
        << "rank " << tile.rank;
  }
}

TEST(Async, tilesOutsideOfTheBufferAreFound) {
  std::mt19937_64 random(freshSeed());
  Tile tile(random);
  tile.rank = 2;
  tile.swizzle = Swizzle::None;
  tile.dimensions = {64, 64, 1, 1, 1}; // the tensor is smaller
  tile.strides = {0, 128, 0, 0, 0};
  tile.box = {64, 8, 1, 1, 1};
  tile.at = {0, 40, 0, 0, 0};
  Device device(tileKernel(true, tileLoad(2, "tile", 2)));
  device.expectFindings = true;
  const TileParameters parameters{.map = tile.map(device.upload(std::vector<uint16_t>(64 * 32))),
                                  .buffer = device.upload(std::vector<uint16_t>(512)),
                                  .at = tile.at,
                                  .bytes = 1024};
  EXPECT_TRUE(finds(device.launch("kernel", {1}, {1}, parameters), "out-of-bounds"));
}

} // namespace
} // namespace ingot::emulator
