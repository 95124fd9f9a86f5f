#include "runtime/emulator/machine/WarpgroupMultiply.h"
#include "test/emulator/Reference.h"
#include <cstring>
#include <gtest/gtest.h>

namespace ingot::emulator {
namespace {

using namespace test;

/// Where element (row, k) of an operand lies in shared memory, as figures of the canonical layouts
/// draw it: tiles of 8 rows whose 16-byte chunks are exchanged by the row's number.
struct Placement {
  Swizzle swizzle;
  bool transposed;
  int elementBytes;
  uint32_t start, leading, stride;

  uint32_t address(int row, int k) const {
    const int span = swizzle == Swizzle::None ? 16 : 16 << int(swizzle);
    // Along k (K-major) or along the rows (MN-major) elements are neighbours.
    const int outer = transposed ? k : row, inner = transposed ? row : k;
    const int innerByte = inner * elementBytes;
    const int tileColumn = innerByte / span, chunk = innerByte % span / 16;
    const int pattern = outer % 8 * span / 128; // which 128-byte line of the tile
    const int moved = chunk ^ (pattern % (span / 16));
    uint32_t tile = start + outer % 8 * span + moved * 16 + innerByte % 16;
    if (swizzle == Swizzle::None)
      tile += transposed ? outer / 8 * leading + tileColumn * stride
                         : outer / 8 * stride + tileColumn * leading;
    else
      tile += outer / 8 * stride + tileColumn * leading;
    return tile;
  }
};

struct Operand {
  MatrixType type;
  int rows, k;
  std::vector<uint64_t> bits; ///< [row][k]
  std::vector<double> values;

  Operand(MatrixType type, int rows, int k, std::mt19937_64 &random)
      : type(type), rows(rows), k(k) {
    std::normal_distribution<double> normal;
    for (int i = 0; i < rows * k; ++i) {
      switch (type) {
      case MatrixType::S8:
        bits.push_back(random() & 0xff);
        values.push_back(static_cast<int8_t>(bits.back()));
        break;
      case MatrixType::U8:
        bits.push_back(random() & 0xff);
        values.push_back(static_cast<double>(bits.back()));
        break;
      default: {
        const FloatType format = type == MatrixType::F16    ? FloatType::F16
                                 : type == MatrixType::BF16 ? FloatType::BF16
                                 : type == MatrixType::TF32 ? FloatType::TF32
                                 : type == MatrixType::E4M3 ? FloatType::E4M3
                                                            : FloatType::E5M2;
        bits.push_back(encode(format, normal(random), {}));
        values.push_back(decode(format, bits.back()));
      }
      }
    }
  }

  void store(const Placement &placement, std::vector<uint8_t> &shared) const {
    for (int row = 0; row < rows; ++row)
      for (int i = 0; i < k; ++i)
        std::memcpy(&shared[placement.address(row, i)], &bits[row * k + i], bitWidth(type) / 8);
  }
};

std::vector<uint8_t> gather(const std::vector<uint8_t> &shared,
                            const std::vector<uint32_t> &chunks) {
  std::vector<uint8_t> bytes;
  for (uint32_t address : chunks)
    bytes.insert(bytes.end(), &shared[address], &shared[address] + 16);
  return bytes;
}

/// Half of the elements of A's rows become zeros: two of every four, of tf32 one of every two.
/// Returns the others, side by side, and the metadata of each warp as the ISA's figures have it:
/// four bits for every group; a word holds eight groups of a row, or (16 and 32 bits) four groups
/// of row r and four of row r + 8; `selector` chooses a pair of lanes among four.
Operand thinnedOut(Operand &a, int selector, std::array<std::array<uint32_t, 32>, 4> &metadata,
                   std::mt19937_64 &random) {
  const bool single = a.type == MatrixType::TF32, bytes = bitWidth(a.type) == 8;
  const int group = single ? 2 : 4, kept = group / 2;
  Operand stored = a;
  stored.k = a.k / 2;
  stored.bits.clear();
  stored.values.clear();
  for (auto &lanes : metadata)
    for (uint32_t &word : lanes)
      word = uint32_t(random()); // lanes that hold none are not looked at
  for (int row = 0; row < a.rows; ++row)
    for (int g = 0; g < a.k / group; ++g) {
      const int first = int(random() % uint64_t(single ? 2 : 3));
      const int second = single ? -1 : first + 1 + int(random() % uint64_t(3 - first));
      const uint32_t code = single ? first ? 0b1110 : 0b0100 : uint32_t(first | second << 2);
      for (int i = 0; i < group; ++i) {
        const int at = row * a.k + g * group + i;
        if (i == first || i == second) {
          stored.bits.push_back(a.bits[at]);
          stored.values.push_back(a.values[at]);
        } else {
          a.bits[at] = 0;
          a.values[at] = 0;
        }
      }
      const int inWarp = row % 16, lane = inWarp % 8 * 4;
      const int place = bytes ? lane + g / 8 * 2 + inWarp / 8 : lane + 2 * selector + g / 4;
      const int shift = bytes ? g % 8 * 4 : inWarp / 8 * 16 + g % 4 * 4;
      uint32_t &word = metadata[row / 16][place];
      word = (word & ~(15u << shift)) | code << shift;
    }
  EXPECT_EQ(int(stored.bits.size()), a.rows * a.k / group * kept);
  return stored;
}

struct Case {
  WarpgroupMultiply shape;
  Swizzle swizzleA, swizzleB;
  bool aInRegisters;
};

void check(const Case &test, std::mt19937_64 &random) {
  const WarpgroupMultiply &shape = test.shape;
  const int n = shape.n, k = shape.k();
  Operand a(shape.a, 64, k, random);
  const Operand b(shape.b, n, k, random);
  // A sparse A is stored without its zeros; the metadata says where the rest belongs.
  std::array<std::array<uint32_t, 32>, 4> metadata{};
  Operand stored = a;
  if (shape.sparse)
    stored = thinnedOut(a, shape.selector, metadata, random);
  std::vector<uint8_t> shared(256 * 1024);
  const int bytes = bitWidth(shape.a) / 8;
  // Tiles of 8 rows follow each other closely; larger steps are as right.
  auto placement = [&](Swizzle swizzle, bool transposed, uint32_t start, int rows) {
    const uint32_t span = swizzleSpan(swizzle), tile = 8 * span;
    const uint32_t count = transposed ? shape.k() / 8 : rows / 8;
    Placement result{swizzle, transposed, bytes, start, 0, 0};
    if (swizzle == Swizzle::None) {
      result.leading = transposed ? tile * (rows / 8) : tile * count;
      result.stride = tile;
    } else {
      result.stride = tile;
      result.leading = tile * count;
    }
    return result;
  };
  const Placement placeA = placement(test.swizzleA, shape.transposeA, 4096, 64);
  const Placement placeB = placement(test.swizzleB, shape.transposeB, 65536, n);
  stored.store(placeA, shared);
  b.store(placeB, shared);
  const MatrixDescriptor descriptorA{placeA.start, placeA.leading, placeA.stride, 0, test.swizzleA};
  const MatrixDescriptor descriptorB{placeB.start, placeB.leading, placeB.stride, 0, test.swizzleB};
  const std::vector<uint8_t> chunksB =
      gather(shared, descriptorB.chunks(shape.transposeB, 0, n, shape.sparse ? 64 : 32));

  for (int warp = 0; warp < 4; ++warp) {
    const std::vector<uint8_t> chunksA =
        gather(shared, descriptorA.chunks(shape.transposeA, 16 * warp, 16));
    uint32_t registersA[4][32] = {};
    const int perRegister = 32 / bitWidth(shape.a);
    for (int lane = 0; lane < 32; ++lane)
      for (int index = 0; index < 4; ++index)
        for (int i = 0; i < perRegister; ++i) {
          const int row = 16 * warp + lane / 4 + (index % 2 ? 8 : 0);
          const int column = lane % 4 * perRegister + i + (index / 2 ? stored.k / 2 : 0);
          registersA[index][lane] |=
              static_cast<uint32_t>(stored.bits[row * stored.k + column]
                                    << (perRegister == 1 ? 0 : i * bitWidth(shape.a)));
        }
    std::vector<std::array<uint32_t, 32>> d(shape.registersOfD());
    std::vector<uint32_t *> pointers;
    std::normal_distribution<float> normal;
    for (auto &lanes : d) {
      for (uint32_t &word : lanes) {
        if (shape.accumulator == Accumulator::F16)
          word = uint32_t(encode(FloatType::F16, normal(random), {})) |
                 uint32_t(encode(FloatType::F16, normal(random), {})) << 16;
        else
          word = shape.accumulator == Accumulator::S32 ? uint32_t(random() % 1000)
                                                       : std::bit_cast<uint32_t>(normal(random));
      }
      pointers.push_back(lanes.data());
    }
    const auto before = d;
    const uint32_t *aPointers[4] = {registersA[0], registersA[1], registersA[2], registersA[3]};
    const WarpgroupPart part{pointers.data(), aPointers,
                             test.aInRegisters ? nullptr : chunksA.data(), metadata[warp].data()};
    ASSERT_TRUE(multiply(shape, {&part, 1}, chunksB.data()));

    auto element = [&](const std::vector<std::array<uint32_t, 32>> &from, int row,
                       int column) -> double {
      const int lane = row % 8 * 4 + column % 8 / 2;
      if (shape.accumulator == Accumulator::F16) // d[2 * (n / 8) + half] holds two columns
        return decode(FloatType::F16,
                      from[column / 8 * 2 + row / 8][lane] >> (column % 2 * 16) & 0xffff);
      const uint32_t bits = from[column / 8 * 4 + row / 8 * 2 + column % 2][lane];
      return shape.accumulator == Accumulator::S32 ? double(int32_t(bits))
                                                   : double(std::bit_cast<float>(bits));
    };
    for (int row = 0; row < 16; ++row)
      for (int column = 0; column < n; ++column) {
        double exact = shape.addsD ? element(before, row, column) : 0, size = std::abs(exact);
        for (int i = 0; i < k; ++i) {
          const double product = a.values[(16 * warp + row) * k + i] * b.values[column * k + i];
          exact += shape.negateA != shape.negateB ? -product : product;
          size += std::abs(product);
        }
        // A rounding of each partial sum, and one of an f16 result.
        const double unit =
            (k + 1) * 0x1p-24 + (shape.accumulator == Accumulator::F16 ? 0x1p-11 : 0);
        ASSERT_NEAR(element(d, row, column), exact,
                    shape.accumulator == Accumulator::S32 ? 0 : unit * size)
            << "n " << n << " types " << int(shape.a) << " " << int(shape.b) << " swizzles "
            << int(test.swizzleA) << " " << int(test.swizzleB) << " row " << row << " column "
            << column;
      }
  }
}

constexpr Swizzle swizzles[] = {Swizzle::None, Swizzle::Bytes32, Swizzle::Bytes64,
                                Swizzle::Bytes128};

TEST(WarpgroupMultiply, everyTypeAndLayout) {
  std::mt19937_64 random(freshSeed());
  for (int type = 0; type <= int(MatrixType::U8); ++type)
    for (Accumulator accumulator : {Accumulator::F16, Accumulator::F32, Accumulator::S32})
      for (Swizzle swizzleA : swizzles)
        for (Swizzle swizzleB : swizzles)
          for (int flags = 0; flags < 64; ++flags) {
            Case test{{.n = 8 * int(1 + random() % 32),
                       .a = MatrixType(type),
                       .b = MatrixType(type),
                       .accumulator = accumulator,
                       .addsD = bool(flags & 1),
                       .negateA = bool(flags & 2),
                       .negateB = bool(flags & 4),
                       .transposeA = bool(flags & 8),
                       .transposeB = bool(flags & 16)},
                      swizzleA,
                      swizzleB,
                      bool(flags & 32)};
            if (type == int(MatrixType::E4M3) && random() % 2)
              test.shape.b = MatrixType::E5M2;
            if (type == int(MatrixType::S8) && random() % 2)
              test.shape.b = MatrixType::U8;
            if ((test.aInRegisters && test.shape.transposeA) || !test.shape.isSupported() ||
                random() % 4)
              continue;
            check(test, random);
            if (HasFatalFailure())
              return;
          }
}

TEST(WarpgroupMultiply, sparseOperands) {
  std::mt19937_64 random(freshSeed());
  for (int round = 0; round < 600; ++round) {
    const auto type = MatrixType(random() % (int(MatrixType::U8) + 1));
    const uint64_t flags = random();
    Case test{{.n = 8 * int(1 + random() % 32),
               .a = type,
               .b = type,
               .accumulator =
                   std::array{Accumulator::F16, Accumulator::F32, Accumulator::S32}[random() % 3],
               .addsD = bool(flags & 1),
               .negateA = bool(flags & 2),
               .negateB = bool(flags & 4),
               .transposeA = bool(flags & 8),
               .transposeB = bool(flags & 16),
               .sparse = true,
               .selector = int(flags >> 5 & 1)},
              swizzles[random() % 4],
              swizzles[random() % 4],
              bool(flags & 64)};
    if (type == MatrixType::E4M3 && random() % 2)
      test.shape.b = MatrixType::E5M2;
    if ((test.aInRegisters && test.shape.transposeA) || !test.shape.isSupported())
      continue;
    check(test, random);
    if (HasFatalFailure())
      return;
  }
}

// Metadata that names a place twice.
TEST(WarpgroupMultiply, invalidMetadataIsTold) {
  const WarpgroupMultiply shape{.n = 8, .sparse = true};
  std::vector<uint8_t> a(32 * 16), b(64 * 8);
  uint32_t d[4][32] = {}, *pointers[4] = {d[0], d[1], d[2], d[3]};
  std::array<uint32_t, 32> metadata;
  metadata.fill(0x44444444);
  const WarpgroupPart part{pointers, nullptr, a.data(), metadata.data()};
  EXPECT_TRUE(multiply(shape, {&part, 1}, b.data()));
  metadata[8] = 0x44544444;
  EXPECT_FALSE(multiply(shape, {&part, 1}, b.data()));
  metadata[8] = 0x44444444;
  metadata[10] = 0; // of a lane that the selector leaves out
  EXPECT_TRUE(multiply(shape, {&part, 1}, b.data()));
}

// The next 32 bytes along k within a swizzled row: the start moves, the pattern stays.
TEST(WarpgroupMultiply, startsInsideThePattern) {
  const MatrixDescriptor descriptor{1024 + 64, 16, 1024, 0, Swizzle::Bytes128};
  const std::vector<uint32_t> chunks = descriptor.chunks(false, 8, 8);
  for (uint32_t row = 0; row < 8; ++row)
    for (uint32_t half = 0; half < 2; ++half)
      EXPECT_EQ(chunks[2 * row + half], 2048 + row * 128 + ((4 + half) ^ row) * 16);
}

// A pattern that starts two lines into a 1024-byte block says so by its base offset.
TEST(WarpgroupMultiply, baseOffsetMovesThePattern) {
  const MatrixDescriptor descriptor{1024 + 256, 16, 1024, 2, Swizzle::Bytes128};
  const std::vector<uint32_t> chunks = descriptor.chunks(false, 0, 8);
  for (uint32_t row = 0; row < 8; ++row)
    EXPECT_EQ(chunks[2 * row], 1280 + row * 128 + row * 16);
}

TEST(WarpgroupMultiply, descriptorsSurviveEncoding) {
  std::mt19937_64 random(freshSeed());
  for (int i = 0; i < 1000; ++i) {
    const uint64_t bits = random() & 0xc00e3fff3fff3fffu;
    EXPECT_EQ(MatrixDescriptor::decode(bits).encode(), bits);
  }
  const MatrixDescriptor descriptor =
      MatrixDescriptor::decode(uint64_t(1) << 62 | uint64_t(64) << 32 | 1 << 16 | 0x40);
  EXPECT_EQ(descriptor.start, 0x400u);
  EXPECT_EQ(descriptor.leading, 16u);
  EXPECT_EQ(descriptor.stride, 1024u);
  EXPECT_EQ(descriptor.swizzle, Swizzle::Bytes128);
}

TEST(WarpgroupMultiply, integersSaturate) {
  WarpgroupMultiply shape{
      .n = 8, .a = MatrixType::U8, .b = MatrixType::U8, .accumulator = Accumulator::S32};
  std::vector<uint8_t> a(32 * 16, 255), b(16 * 16, 255);
  uint32_t d[4][32];
  uint32_t *pointers[4] = {d[0], d[1], d[2], d[3]};
  for (bool saturate : {false, true}) {
    for (auto &lanes : d)
      std::fill_n(lanes, 32, 0x7fffffff);
    shape.saturate = saturate;
    const WarpgroupPart part{pointers, nullptr, a.data()};
    multiply(shape, {&part, 1}, b.data());
    EXPECT_EQ(d[0][0], saturate ? 0x7fffffffu : 0x7fffffffu + 32 * 255 * 255);
  }
}

} // namespace
} // namespace ingot::emulator
