#include "runtime/emulator/machine/TensorMap.h"
#include "test/emulator/Reference.h"
#include <gtest/gtest.h>

namespace ingot::emulator {
namespace {

using namespace test;

struct Arguments {
  std::array<uint64_t, 5> dimensions{64, 32, 4, 3, 2}, strides{128, 4096, 16384, 49152, 0};
  std::array<uint32_t, 5> box{16, 8, 2, 2, 1}, elementStrides{1, 1, 1, 1, 1};
  TensorMapArguments arguments{
      .dataType = uint32_t(TensorElement::F16), .rank = 2, .address = 0xd000001000};

  Result<TensorMap> make() {
    arguments.dimensions = dimensions.data();
    arguments.strides = strides.data();
    arguments.box = box.data();
    arguments.elementStrides = elementStrides.data();
    return TensorMap::make(arguments);
  }
};

TEST(TensorMap, survivesEncoding) {
  std::mt19937_64 random(freshSeed());
  for (int i = 0; i < 500; ++i) {
    Arguments a;
    a.arguments.rank = 1 + random() % 5;
    a.arguments.swizzle = random() % 4;
    a.arguments.outOfBoundsFill = random() % 2;
    if (a.arguments.swizzle)
      a.box[0] = 8 << a.arguments.swizzle;
    for (int d = 0; d < 5; ++d) {
      a.dimensions[d] = 1 + (random() >> random() % 64) % (uint64_t(1) << 32);
      a.strides[d] = random() % (uint64_t(1) << 36) * 16;
      a.elementStrides[d] = 1 + random() % 8;
    }
    const Result<TensorMap> map = a.make();
    ASSERT_TRUE(map) << map.error().text();
    alignas(64) uint8_t bytes[128], again[128];
    map->encode(bytes);
    const Result<TensorMap> decoded = TensorMap::decode(bytes);
    ASSERT_TRUE(decoded) << decoded.error().text();
    decoded->encode(again);
    EXPECT_TRUE(std::equal(bytes, bytes + 128, again));
    EXPECT_EQ(decoded->dimensions, map->dimensions);
    EXPECT_EQ(decoded->strides, map->strides);
    EXPECT_EQ(decoded->box, map->box);
    EXPECT_EQ(decoded->elementStrides, map->elementStrides);
    EXPECT_EQ(decoded->fillsWithNan, map->fillsWithNan);
  }
}

TEST(TensorMap, checksItsArguments) {
  auto refuses = [](auto change, std::string_view part) {
    Arguments a;
    ASSERT_TRUE(a.make());
    change(a);
    const Result<TensorMap> map = a.make();
    ASSERT_FALSE(map) << part;
    EXPECT_NE(map.error().text().find(part), std::string::npos) << map.error().text();
  };
  refuses([](Arguments &a) { a.arguments.rank = 6; }, "rank 6");
  refuses([](Arguments &a) { a.arguments.rank = 0; }, "rank 0");
  refuses([](Arguments &a) { a.arguments.dataType = 99; }, "data type 99");
  refuses([](Arguments &a) { a.arguments.dataType = 11; }, "not emulated");
  refuses([](Arguments &a) { a.arguments.address += 8; }, "aligned to 16");
  refuses([](Arguments &a) { a.dimensions[1] = 0; }, "globalDim[1]");
  refuses([](Arguments &a) { a.dimensions[0] = (uint64_t(1) << 32) + 1; }, "globalDim[0]");
  refuses([](Arguments &a) { a.strides[0] = 120; }, "globalStrides[0]");
  refuses([](Arguments &a) { a.strides[0] = uint64_t(1) << 40; }, "globalStrides[0]");
  refuses([](Arguments &a) { a.box[1] = 257; }, "boxDim[1]");
  refuses([](Arguments &a) { a.box[0] = 12; }, "multiple of 16");
  refuses([](Arguments &a) { a.elementStrides[1] = 9; }, "elementStrides[1]");
  refuses([](Arguments &a) { a.arguments.swizzle = 1, a.box[0] = 32; }, "exceed the swizzle");
  refuses([](Arguments &a) { a.arguments.swizzle = 3, a.box[0] = 32; }, "not emulated");
  refuses([](Arguments &a) { a.arguments.interleave = 1; }, "rank 3");
  refuses([](Arguments &a) { a.arguments.interleave = 1, a.arguments.rank = 3; }, "interleaved");
  refuses(
      [](Arguments &a) {
        a.arguments.dataType = 0, a.box[0] = 32, a.arguments.outOfBoundsFill = 1;
      },
      "NaN");
  const uint8_t garbage[128] = {};
  EXPECT_FALSE(TensorMap::decode(garbage));
}

// Every element of random tiles against loops over all dimensions.
TEST(TensorMap, rowsAreTheTilesElements) {
  std::mt19937_64 random(freshSeed());
  for (int round = 0; round < 300; ++round) {
    Arguments a;
    a.arguments.rank = 1 + random() % 5;
    uint64_t stride = 0;
    for (uint32_t d = 0; d < 5; ++d) {
      a.dimensions[d] = 1 + random() % (d ? 6 : 40);
      a.box[d] = d ? 1 + random() % 5 : 8 * (1 + random() % 4);
      a.elementStrides[d] = 1 + random() % 3;
      stride = d ? stride * a.dimensions[d] : (a.dimensions[0] * 2 + 15) / 16 * 16;
      a.strides[d] = stride + 16 * (random() % 3);
    }
    const Result<TensorMap> map = a.make();
    ASSERT_TRUE(map) << map.error().text();
    int32_t coordinates[5] = {};
    for (uint32_t d = 0; d < map->rank; ++d)
      coordinates[d] = int32_t(random() % (a.dimensions[d] + 2 * a.box[d])) - int32_t(a.box[d]);
    std::vector<uint64_t> expected; // address of each element, 0 if out of bounds
    std::array<uint32_t, 5> extent{1, 1, 1, 1, 1};
    for (uint32_t d = 0; d < map->rank; ++d)
      extent[d] = d ? (a.box[d] + a.elementStrides[d] - 1) / a.elementStrides[d] : a.box[0];
    for (uint32_t i4 = 0; i4 < extent[4]; ++i4)
      for (uint32_t i3 = 0; i3 < extent[3]; ++i3)
        for (uint32_t i2 = 0; i2 < extent[2]; ++i2)
          for (uint32_t i1 = 0; i1 < extent[1]; ++i1)
            for (uint32_t i0 = 0; i0 < extent[0]; ++i0) {
              const uint32_t index[5] = {i0, i1, i2, i3, i4};
              uint64_t address = a.arguments.address;
              for (uint32_t d = 0; d < map->rank; ++d) {
                const int64_t at =
                    coordinates[d] + int64_t(index[d]) * (d ? a.elementStrides[d] : 1);
                if (at < 0 || at >= int64_t(a.dimensions[d])) {
                  address = 0;
                  break;
                }
                address += at * (d ? a.strides[d - 1] : 2);
              }
              expected.push_back(address);
            }
    ASSERT_EQ(map->tileBytes(), 2 * expected.size());
    std::vector<uint64_t> actual(expected.size(), 0);
    for (const TensorMap::Row &row : map->rows(coordinates))
      for (uint32_t byte = 0; byte < row.bytes; byte += 2)
        actual[(row.tileOffset + row.lead + byte) / 2] = row.address + byte;
    ASSERT_EQ(actual, expected);
  }
}

} // namespace
} // namespace ingot::emulator
