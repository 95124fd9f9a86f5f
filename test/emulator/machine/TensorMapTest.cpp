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
  refuses([](Arguments &a) { a.arguments.dataType = 13; }, "not emulated");
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

TEST(TensorMap, checksImageArguments) {
  struct Image {
    std::array<uint64_t, 5> dimensions{64, 9, 9, 4, 4}, strides{128, 1152, 10368, 41472, 0};
    std::array<uint32_t, 5> steps{1, 1, 1, 1, 1};
    std::array<int, 3> lower{-1, -1, 0}, upper{-1, -1, 0};
    uint32_t rank = 4, channels = 64, pixels = 64, swizzle = 3;
  };
  const auto make = [](const Image &image) {
    return TensorMap::make({.dataType = uint32_t(TensorElement::F16),
                            .rank = image.rank,
                            .address = 0xd000001000,
                            .dimensions = image.dimensions.data(),
                            .strides = image.strides.data(),
                            .elementStrides = image.steps.data(),
                            .swizzle = image.swizzle,
                            .lower = image.lower.data(),
                            .upper = image.upper.data(),
                            .channels = image.channels,
                            .pixels = image.pixels});
  };
  const auto refuses = [&](auto change, std::string_view part) {
    Image image;
    ASSERT_TRUE(make(image)) << make(image).error().text();
    change(image);
    const Result<TensorMap> map = make(image);
    ASSERT_FALSE(map) << part;
    EXPECT_NE(map.error().text().find(part), std::string::npos) << map.error().text();
  };
  refuses([](Image &image) { image.rank = 2; }, "rank 2 is not within 3 to 5");
  refuses([](Image &image) { image.channels = 257; }, "channelsPerPixel = 257");
  refuses([](Image &image) { image.channels = 0; }, "channelsPerPixel = 0");
  refuses([](Image &image) { image.pixels = 1025; }, "pixelsPerColumn = 1025");
  refuses([](Image &image) { image.lower[1] = -129; }, "pixelBoxLowerCorner[1] = -129");
  refuses([](Image &image) { image.rank = 5, image.upper[2] = 16; }, "pixelBoxUpperCorner[2] = 16");
  refuses([](Image &image) { image.lower[0] = 8; }, "the pixel box is empty");
  refuses([](Image &image) { image.channels = 12; }, "multiple of 16");
  refuses([](Image &image) { image.channels = 128; }, "exceed the swizzle");
  // What was made survives encoding.
  const Result<TensorMap> map = make({});
  uint8_t bytes[128], again[128];
  map->encode(bytes);
  const Result<TensorMap> decoded = TensorMap::decode(bytes);
  ASSERT_TRUE(decoded) << decoded.error().text();
  decoded->encode(again);
  EXPECT_TRUE(std::equal(bytes, bytes + 128, again));
  EXPECT_EQ(decoded->lower, map->lower);
  EXPECT_EQ(decoded->upper, map->upper);
  EXPECT_EQ(decoded->box, map->box);
}

// Zeros and one field after the other, in any order, are the map that the driver makes.
TEST(TensorMap, fieldsAreReplacedOneByOne) {
  std::mt19937_64 random(freshSeed());
  for (int round = 0; round < 50; ++round) {
    Arguments a;
    a.arguments.rank = 1 + random() % 5;
    // u8, f32.ftz, f64, bf16 and tf32: the ISA's numbers and the driver's.
    const auto [isa, driver] = std::array{std::pair(0, 0), std::pair(8, 10), std::pair(9, 8),
                                          std::pair(10, 9), std::pair(11, 11)}[random() % 5];
    a.arguments.dataType = uint32_t(driver);
    a.arguments.outOfBoundsFill = driver != 0;
    const uint32_t elementBytes = uint32_t(bytesOf(TensorElement(driver)));
    a.arguments.swizzle = random() % 4;
    a.box[0] = (a.arguments.swizzle ? 16u << a.arguments.swizzle : 32) / elementBytes;
    for (int d = 0; d < 5; ++d) {
      a.dimensions[d] = 1 + (random() >> random() % 64) % (uint64_t(1) << 32);
      a.strides[d] = random() % (uint64_t(1) << 36) * 16;
      a.elementStrides[d] = d ? 1 + random() % 8 : 1;
    }
    const Result<TensorMap> map = a.make();
    ASSERT_TRUE(map) << map.error().text();
    struct Step {
      TensorField field;
      uint32_t ordinal;
      uint64_t value;
    };
    std::vector<Step> steps{{TensorField::Address, 0, a.arguments.address},
                            {TensorField::Rank, 0, a.arguments.rank - 1},
                            {TensorField::Element, 0, uint64_t(isa)},
                            {TensorField::Swizzle, 0, a.arguments.swizzle},
                            {TensorField::Interleave, 0, 0},
                            {TensorField::Fill, 0, a.arguments.outOfBoundsFill}};
    for (uint32_t d = 0; d < a.arguments.rank; ++d) {
      steps.push_back({TensorField::Box, d, a.box[d]});
      steps.push_back({TensorField::Dimension, d, uint32_t(a.dimensions[d])});
      steps.push_back({TensorField::ElementStride, d, a.elementStrides[d]});
      if (d)
        steps.push_back({TensorField::Stride, d - 1, a.strides[d - 1]});
    }
    std::shuffle(steps.begin(), steps.end(), random);
    uint8_t bytes[128] = {};
    for (const Step &step : steps)
      ASSERT_TRUE(TensorMap::replace(bytes, step.field, step.ordinal, step.value));
    const Result<TensorMap> made = TensorMap::decode(bytes);
    ASSERT_TRUE(made) << made.error().text();
    EXPECT_EQ(made->address, map->address);
    EXPECT_EQ(made->rank, map->rank);
    EXPECT_EQ(made->element, map->element);
    EXPECT_EQ(made->swizzle, map->swizzle);
    EXPECT_EQ(made->fillsWithNan, map->fillsWithNan);
    for (uint32_t d = 0; d < map->rank; ++d) {
      EXPECT_EQ(made->dimensions[d], map->dimensions[d]);
      EXPECT_EQ(made->strides[d], map->strides[d]);
      EXPECT_EQ(made->box[d], map->box[d]);
      EXPECT_EQ(made->elementStrides[d], map->elementStrides[d]);
    }
  }
}

// A map may contradict the rules between two changes, but not when it is used.
TEST(TensorMap, replacedFieldsAreCheckedWhenUsed) {
  Arguments a;
  uint8_t bytes[128];
  a.make()->encode(bytes);
  const auto problem = [&](TensorField field, uint32_t ordinal, uint64_t value) {
    uint8_t changed[128];
    std::copy_n(bytes, 128, changed);
    EXPECT_TRUE(TensorMap::replace(changed, field, ordinal, value));
    const Result<TensorMap> map = TensorMap::decode(changed);
    return map ? std::string() : map.error().text();
  };
  EXPECT_EQ(problem(TensorField::Address, 0, 0xd000001010), "");
  EXPECT_NE(problem(TensorField::Address, 0, 0xd000001008).find("aligned to 16"),
            std::string::npos);
  EXPECT_NE(problem(TensorField::Stride, 0, 24).find("globalStrides[0] = 24"), std::string::npos);
  EXPECT_NE(problem(TensorField::Box, 1, 0).find("boxDim[1]"), std::string::npos);
  EXPECT_NE(problem(TensorField::Box, 1, 300).find("boxDim[1] = 300"), std::string::npos);
  EXPECT_NE(problem(TensorField::Rank, 0, 5).find("rank 6"), std::string::npos);
  EXPECT_NE(problem(TensorField::Interleave, 0, 1).find("interleaved"), std::string::npos);
  EXPECT_NE(problem(TensorField::ElementStride, 1, 9).find("elementStrides[1] = 9"),
            std::string::npos);
  EXPECT_EQ(problem(TensorField::Dimension, 1, 0), ""); // 2^32
  uint8_t garbage[128] = {1};
  EXPECT_FALSE(TensorMap::replace(garbage, TensorField::Rank, 0, 1));
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
    TensorMap::Request request;
    auto &coordinates = request.coordinates;
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
    for (const TensorMap::Row &row : map->rows(request))
      for (uint32_t byte = 0; byte < row.bytes; byte += 2)
        actual[(row.tileOffset + row.lead + byte) / 2] = row.address + byte;
    ASSERT_EQ(actual, expected);
  }
}

} // namespace
} // namespace ingot::emulator
