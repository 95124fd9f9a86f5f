// Tensor copies other than plain tiles: im2col, gather4 and scatter4, tf32, the NaN of what is out
// of bounds; against loops over the tensor's elements.
#include "runtime/emulator/machine/TensorMap.h"
#include "test/emulator/machine/TensorSupport.h"

namespace ingot::emulator {
namespace {

using namespace test;

std::array<uint8_t, 128> encoded(const TensorMapArguments &arguments) {
  const Result<TensorMap> map = TensorMap::make(arguments);
  EXPECT_TRUE(map) << map.error().text();
  std::array<uint8_t, 128> bytes{};
  if (map)
    map->encode(bytes.data());
  return bytes;
}

/// Where 16-bit element `linear` of a tile lies in shared memory: its 16-byte chunks change places
/// with the number of their 128-byte line.
uint32_t placeInTile(uint32_t linear, uint32_t swizzle) {
  const uint32_t chunk = linear / 8, line = chunk / 8;
  return (chunk ^ line % (1u << swizzle)) * 8 + linear % 8;
}

/// A tensor of 16-bit elements, each its own number, and a column of im2col: the filter's base
/// walks through the box in the order W, H, D, N.
struct Column {
  int rank = 3;
  std::array<uint64_t, 5> dimensions{1, 1, 1, 1, 1}, strides{};
  std::array<uint32_t, 5> steps{1, 1, 1, 1, 1};
  std::array<int, 3> lower{}, upper{};
  std::array<int32_t, 5> at{};
  std::array<uint16_t, 3> offsets{};
  uint32_t channels = 8, pixels = 1, swizzle = 0;
  std::vector<uint16_t> tensor;

  explicit Column(std::mt19937_64 &random, bool stores) {
    rank = 3 + int(random() % 3);
    swizzle = uint32_t(random() % 4);
    channels = swizzle ? 8u << swizzle : 8 * uint32_t(1 + random() % 4);
    pixels = uint32_t(1 + random() % 40);
    uint64_t stride = 2;
    for (int i = 0; i < rank; ++i) {
      dimensions[i] = i == 0 ? channels + random() % 16 : 1 + random() % 6;
      strides[i] = stride;
      stride = i ? stride * dimensions[i] : (stride * dimensions[0] + 15) / 16 * 16;
      steps[i] = i && i + 1 < rank ? 1 + random() % 3 : 1;
      at[i] = int32_t(random() % (dimensions[i] + 2)) - (stores ? 0 : 1);
    }
    tensor.resize(stride / 2);
    for (size_t i = 0; i < tensor.size(); ++i)
      tensor[i] = uint16_t(i + 1);
    for (int i = 0; i < rank - 2; ++i) {
      lower[i] = stores ? 0 : int(random() % 4) - 2;
      do
        upper[i] = stores ? -int(random() % 3) : int(random() % 4) - 2;
      while (int(dimensions[i + 1]) + upper[i] <= lower[i]);
      // The base begins inside of the box.
      at[i + 1] = lower[i] + int(random() % uint64_t(int(dimensions[i + 1]) + upper[i] - lower[i]));
      offsets[i] = stores ? 0 : uint16_t(random() % 3);
    }
  }

  std::array<uint8_t, 128> map(uint64_t address) const {
    return encoded({.dataType = uint32_t(TensorElement::U16),
                    .rank = uint32_t(rank),
                    .address = address,
                    .dimensions = dimensions.data(),
                    .strides = strides.data() + 1,
                    .elementStrides = steps.data(),
                    .swizzle = swizzle,
                    .lower = lower.data(),
                    .upper = upper.data(),
                    .channels = channels,
                    .pixels = pixels});
  }
  uint32_t elements() const { return channels * pixels; }

  /// Calls `visit(index in shared memory, index in the tensor or -1)`.
  template <typename Visit> void forElements(Visit visit) const {
    // All bases from the first image on, in order, begun at the tile's own.
    std::vector<std::array<int64_t, 4>> bases;
    const auto extent = [&](int i) { return int64_t(dimensions[i + 1]) + upper[i]; };
    const bool hasH = rank > 3, hasD = rank > 4;
    int64_t w = at[1], h = hasH ? at[2] : 0, d = hasD ? at[3] : 0;
    for (int64_t n = at[rank - 1]; bases.size() < pixels; ++n) {
      for (;;) {
        for (;;) {
          for (; w < extent(0); w += steps[1])
            bases.push_back({w, h, d, n});
          w = lower[0];
          if (!hasH || (h += steps[2]) >= extent(1))
            break;
        }
        h = hasH ? lower[1] : 0;
        if (!hasD || (d += steps[3]) >= extent(2))
          break;
      }
      d = hasD ? lower[2] : 0;
    }
    for (uint32_t pixel = 0; pixel < pixels; ++pixel)
      for (uint32_t channel = 0; channel < channels; ++channel) {
        const auto &base = bases[pixel];
        std::array<int64_t, 5> x{};
        x[0] = at[0] + channel;
        x[rank - 1] = base[3];
        for (int i = 0; i < rank - 2; ++i)
          x[i + 1] = base[i] + offsets[i];
        int64_t place = 0;
        for (int i = 0; i < rank && place >= 0; ++i)
          place = x[i] < 0 || x[i] >= int64_t(dimensions[i])
                      ? -1
                      : place + x[i] * int64_t(strides[i]) / 2;
        visit(placeInTile(pixel * channels + channel, swizzle), place);
      }
  }
};

TEST(Async, im2colLoads) {
  std::mt19937_64 random(freshSeed());
  for (int round = 0; round < 80; ++round) {
    const Column column(random, false);
    const char *const offsets[] = {", {%h1}", ", {%h1, %h2}", ", {%h1, %h2, %h3}"};
    Device device(
        tileKernel(true, tileLoad(column.rank, "im2col", column.rank, offsets[column.rank - 3])));
    const uint64_t tensor = device.upload(column.tensor);
    const uint64_t to = device.upload(std::vector<uint16_t>(column.elements(), 0xffff));
    device.launch("kernel", {1}, {1},
                  TileParameters{.map = column.map(tensor),
                                 .buffer = to,
                                 .at = column.at,
                                 .offsets = column.offsets,
                                 .bytes = 2 * column.elements()});
    const auto out = device.download<uint16_t>(to, column.elements());
    column.forElements([&](uint32_t shared, int64_t place) {
      ASSERT_EQ(out[shared], place < 0 ? 0 : column.tensor[place])
          << "rank " << column.rank << " swizzle " << column.swizzle << " element " << shared;
    });
    if (HasFatalFailure())
      return;
  }
}

TEST(Async, im2colStores) {
  std::mt19937_64 random(freshSeed());
  for (int round = 0; round < 40; ++round) {
    const Column column(random, true);
    Device device(tileKernel(false, tileStore(column.rank, "im2col_no_offs", column.rank)));
    const uint64_t tensor = device.upload(column.tensor);
    std::vector<uint16_t> values(column.elements());
    for (uint16_t &value : values)
      value = uint16_t(random());
    device.launch("kernel", {1}, {1},
                  TileParameters{.map = column.map(tensor),
                                 .buffer = device.upload(values),
                                 .at = column.at,
                                 .bytes = 2 * column.elements()});
    std::vector<uint16_t> expected = column.tensor;
    column.forElements([&](uint32_t shared, int64_t place) {
      if (place >= 0)
        expected[place] = values[shared];
    });
    ASSERT_EQ(device.download<uint16_t>(tensor, column.tensor.size()), expected)
        << "rank " << column.rank;
  }
}

/// A matrix and the box of one row that gather4 and scatter4 take.
struct Rows {
  uint64_t columns, rows;
  uint32_t width, swizzle;
  std::array<int32_t, 5> at{};

  Rows(std::mt19937_64 &random, bool stores) {
    columns = 8 * (1 + random() % 12);
    rows = 1 + random() % 20;
    swizzle = uint32_t(random() % 4);
    width = swizzle ? 8u << swizzle : 8 * uint32_t(1 + random() % 8);
    for (int i = 0; i < 5; ++i) // rows of any order
      at[i] = int32_t(random() % ((i ? rows : columns) + 2)) - (stores ? 0 : 1);
    // Stores to one row twice have no defined result.
    for (int i = 1; stores && i < 5; ++i)
      at[i] = int32_t((uint64_t(at[1]) + 3 * uint64_t(i - 1)) % (rows + 12));
  }
  std::array<uint8_t, 128> map(uint64_t address) const {
    const std::array<uint64_t, 2> dimensions{columns, rows};
    const uint64_t stride = 2 * columns;
    const std::array<uint32_t, 2> box{width, 1}, steps{1, 1};
    return encoded({.dataType = uint32_t(TensorElement::U16),
                    .rank = 2,
                    .address = address,
                    .dimensions = dimensions.data(),
                    .strides = &stride,
                    .box = box.data(),
                    .elementStrides = steps.data(),
                    .swizzle = swizzle});
  }
  template <typename Visit> void forElements(Visit visit) const {
    for (uint32_t row = 0; row < 4; ++row)
      for (uint32_t i = 0; i < width; ++i) {
        const int64_t x = at[0] + int64_t(i), y = at[1 + row];
        const bool inside = x >= 0 && x < int64_t(columns) && y >= 0 && y < int64_t(rows);
        visit(placeInTile(row * width + i, swizzle), inside ? y * int64_t(columns) + x : -1);
      }
  }
};

TEST(Async, gathersFourRows) {
  std::mt19937_64 random(freshSeed());
  for (int round = 0; round < 40; ++round) {
    const Rows rows(random, false);
    // To the cluster, or to the own block, which more chips have.
    std::string copy = tileLoad(2, "tile::gather4", 5);
    const bool own = round % 2;
    if (own)
      copy.replace(copy.find("shared::cluster"), 15, "shared::cta");
    Device device(tileKernel(true, copy, own ? "sm_120" : "sm_100a"));
    std::vector<uint16_t> values(rows.columns * rows.rows);
    std::iota(values.begin(), values.end(), uint16_t(1));
    const uint64_t to = device.upload(std::vector<uint16_t>(4 * rows.width, 0xffff));
    device.launch("kernel", {1}, {1},
                  TileParameters{.map = rows.map(device.upload(values)),
                                 .buffer = to,
                                 .at = rows.at,
                                 .bytes = 8 * rows.width});
    const auto out = device.download<uint16_t>(to, 4 * rows.width);
    rows.forElements([&](uint32_t shared, int64_t place) {
      ASSERT_EQ(out[shared], place < 0 ? 0 : values[place]) << "element " << shared;
    });
    if (HasFatalFailure())
      return;
  }
}

TEST(Async, scattersFourRows) {
  std::mt19937_64 random(freshSeed());
  for (int round = 0; round < 40; ++round) {
    const Rows rows(random, true);
    Device device(tileKernel(false, tileStore(2, "tile::scatter4", 5), "sm_100a"));
    std::vector<uint16_t> values(rows.columns * rows.rows), tile(4 * rows.width);
    for (uint16_t &value : tile)
      value = uint16_t(random());
    const uint64_t tensor = device.upload(values);
    device.launch("kernel", {1}, {1},
                  TileParameters{.map = rows.map(tensor),
                                 .buffer = device.upload(tile),
                                 .at = rows.at,
                                 .bytes = 8 * rows.width});
    rows.forElements([&](uint32_t shared, int64_t place) {
      if (place >= 0)
        values[place] = tile[shared];
    });
    ASSERT_EQ(device.download<uint16_t>(tensor, values.size()), values);
  }
}

/// A map over 64 elements, 32 of them in a box.
std::array<uint8_t, 128> line(TensorElement element, uint64_t address, bool nan) {
  const uint64_t count = 64;
  const uint32_t box = 32, step = 1;
  return encoded({.dataType = uint32_t(element),
                  .rank = 1,
                  .address = address,
                  .dimensions = &count,
                  .box = &box,
                  .elementStrides = &step,
                  .outOfBoundsFill = nan});
}

// Loads round to the nearest tf32, ties to even, and NaN to one; what is out of bounds is filled,
// not rounded.
TEST(Async, loadsOfTf32AreRounded) {
  std::mt19937_64 random(freshSeed());
  for (const TensorElement element : {TensorElement::TF32, TensorElement::TF32Flushed}) {
    std::vector<uint32_t> values(64);
    for (uint32_t &value : values)
      value = uint32_t(randomValue(FloatType::F32, random));
    values[60] = 0x3f801000, values[61] = 0x3f803000, values[62] = 0xff800001,
    values[63] = 0x7fffff;
    Device device(tileKernel(true, tileLoad(1, "tile", 1)));
    const uint64_t to = device.upload(std::vector<uint32_t>(32));
    device.launch("kernel", {1}, {1},
                  TileParameters{.map = line(element, device.upload(values), true),
                                 .buffer = to,
                                 .at = {40},
                                 .bytes = 128});
    const auto out = device.download<uint32_t>(to, 32);
    for (int i = 0; i < 24; ++i) {
      const float value = std::bit_cast<float>(values[40 + i]);
      const auto expected =
          std::isnan(value)
              ? 0x7fffe000u
              : uint32_t(roundByTable(FloatType::TF32, double(value), Rounding::NearestEven));
      EXPECT_EQ(out[i], expected) << std::hex << values[40 + i];
    }
    EXPECT_EQ(out[20], 0x3f800000u);
    EXPECT_EQ(out[21], 0x3f804000u);
    for (int i = 24; i < 32; ++i)
      EXPECT_EQ(out[i], 0x7ff77ff7u);
  }
}

// The NaN that fma.oob looks for: 16 bits, again and again.
TEST(Async, nanFillIsTheOneOfFmaOob) {
  for (const auto &[element, bytes] : {std::pair(TensorElement::F16, 2u),
                                       {TensorElement::BF16, 2u},
                                       {TensorElement::F32, 4u},
                                       {TensorElement::F64, 8u}}) {
    Device device(tileKernel(true, tileLoad(1, "tile", 1)));
    const uint64_t to = device.upload(std::vector<uint16_t>(128));
    device.launch(
        "kernel", {1}, {1},
        TileParameters{.map = line(element, device.upload(std::vector<uint64_t>(64)), true),
                       .buffer = to,
                       .at = {-8},
                       .bytes = 32 * bytes});
    const auto out = device.download<uint16_t>(to, 16 * bytes);
    for (uint32_t i = 0; i < 16 * bytes; ++i)
      EXPECT_EQ(out[i], i < 4 * bytes ? 0x7ff7 : 0) << i;
  }
}

// A mode that the map is not made for, or coordinates that a store must not have.
TEST(Async, tensorModesThatDoNotFitAreFound) {
  std::mt19937_64 random(freshSeed());
  const auto finding = [&](std::string kernel, std::array<uint8_t, 128> (*map)(uint64_t),
                           std::array<int32_t, 5> at, std::array<uint16_t, 3> offsets = {}) {
    Device device(kernel);
    device.expectFindings = true;
    const LaunchResult result =
        device.launch("kernel", {1}, {1},
                      TileParameters{.map = map(device.upload(std::vector<uint16_t>(4096))),
                                     .buffer = device.upload(std::vector<uint16_t>(512)),
                                     .at = at,
                                     .offsets = offsets,
                                     .bytes = 16});
    return result.findings.empty() ? std::string() : result.findings[0].message;
  };
  const auto tiled = [](uint64_t address) {
    const std::array<uint64_t, 3> dimensions{8, 8, 8}, strides{16, 128};
    const std::array<uint32_t, 3> box{8, 1, 1}, steps{1, 1, 1};
    return encoded({.dataType = uint32_t(TensorElement::U16),
                    .rank = 3,
                    .address = address,
                    .dimensions = dimensions.data(),
                    .strides = strides.data(),
                    .box = box.data(),
                    .elementStrides = steps.data()});
  };
  const auto column = [](uint64_t address) {
    const std::array<uint64_t, 3> dimensions{8, 8, 8}, strides{16, 128};
    const std::array<uint32_t, 3> steps{1, 1, 1};
    const int lower = -1, upper = -1;
    return encoded({.dataType = uint32_t(TensorElement::U16),
                    .rank = 3,
                    .address = address,
                    .dimensions = dimensions.data(),
                    .strides = strides.data(),
                    .elementStrides = steps.data(),
                    .lower = &lower,
                    .upper = &upper,
                    .channels = 8,
                    .pixels = 1});
  };
  const auto matrix = [](uint64_t address) {
    const std::array<uint64_t, 2> dimensions{8, 8};
    const uint64_t stride = 16;
    const std::array<uint32_t, 2> box{8, 2}, steps{1, 1};
    return encoded({.dataType = uint32_t(TensorElement::U16),
                    .rank = 2,
                    .address = address,
                    .dimensions = dimensions.data(),
                    .strides = &stride,
                    .box = box.data(),
                    .elementStrides = steps.data()});
  };
  EXPECT_NE(
      finding(tileKernel(true, tileLoad(3, "im2col", 3, ", {%h1}")), tiled, {}).find("no im2col"),
      std::string::npos);
  EXPECT_NE(finding(tileKernel(true, tileLoad(3, "tile", 3)), column, {}).find("one of im2col"),
            std::string::npos);
  EXPECT_NE(finding(tileKernel(true, tileLoad(2, "tile::gather4", 5), "sm_100a"), matrix, {})
                .find("a box of one row, this map's has 2"),
            std::string::npos);
  EXPECT_NE(finding(tileKernel(false, tileStore(3, "tile", 3)), tiled, {0, -1, 0})
                .find("begins at coordinate -1 of dimension 1"),
            std::string::npos);
  EXPECT_NE(finding(tileKernel(false, tileStore(3, "im2col_no_offs", 3)), column, {})
                .find("leaves the tensor"),
            std::string::npos);
  EXPECT_EQ(finding(tileKernel(true, tileLoad(3, "im2col", 3, ", {%h1}")), column, {}, {1}), "");
}

} // namespace
} // namespace ingot::emulator
