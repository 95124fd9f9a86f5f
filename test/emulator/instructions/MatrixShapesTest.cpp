/// The shapes of mma beside the dense ones: sparse, of single bits, and the four small products of
/// m8n8k4. Fragments and metadata are laid out as the ISA's figures have them, in code of the test.
#include "runtime/emulator/arithmetic/MatrixMultiply.h"
#include "test/emulator/Support.h"
#include <bit>

namespace ingot::emulator::test {
namespace {

/// Registers of 32 lanes.
using Row = std::array<uint32_t, 32>;

/// Runs one instruction of a warp: its sources are r0, r1, …, its results d0, d1, ….
std::vector<Row> runWarp(std::string_view instruction, const std::vector<Row> &sources, int results,
                         bool expectFindings = false) {
  std::string text = header() + R"(.visible .entry run(.param .u64 from, .param .u64 to) {
.reg .b32 r<32>, d<16>, t;
.reg .b64 f, o, at;
ld.param.u64 f, [from]; ld.param.u64 o, [to];
mov.u32 t, %tid.x; mul.wide.u32 at, t, 4; add.u64 f, f, at; add.u64 o, o, at;
)";
  for (size_t i = 0; i < sources.size(); ++i)
    text += fmt::format("ld.global.b32 r{}, [f+{}];\n", i, 128 * i);
  text += fmt::format("{};\n", instruction);
  for (int i = 0; i < results; ++i)
    text += fmt::format("st.global.b32 [o+{}], d{};\n", 128 * i, i);
  Device device(text + "ret; }\n");
  device.expectFindings = expectFindings;
  std::vector<uint32_t> flat;
  for (const Row &row : sources)
    flat.insert(flat.end(), row.begin(), row.end());
  const uint64_t to = device.upload(std::vector<uint32_t>(32 * size_t(results)));
  const LaunchResult result = device.launch("run", {1}, {32}, device.upload(flat), to);
  EXPECT_EQ(result.findings.empty(), !expectFindings);
  std::vector<Row> rows(size_t(results), Row{});
  const auto out = device.download<uint32_t>(to, 32 * size_t(results));
  for (int i = 0; i < results; ++i)
    std::copy_n(out.begin() + 32 * i, 32, rows[size_t(i)].begin());
  return rows;
}

std::string registers(char prefix, int first, int count) {
  std::string text = "{";
  for (int i = 0; i < count; ++i)
    text += fmt::format("{}{}{}", i ? ", " : "", prefix, first + i);
  return text + "}";
}

/// An element type: random values and what they mean.
struct Element {
  std::string name;
  int bits;
  bool isInteger, isSigned;
  FloatType format;

  uint64_t draw(std::mt19937_64 &random) const {
    if (isInteger)
      return random() & ((uint64_t(1) << bits) - 1);
    // Small integers and halves: sums are exact, so the order of additions does not matter.
    const double value = (double(random() % 17) - 8) / 2;
    return encode(format, value, {});
  }
  double value(uint64_t x) const {
    if (!isInteger)
      return decode(format, x);
    return isSigned && x >> (bits - 1) ? double(x) - double(uint64_t(1) << bits) : double(x);
  }
};
const Element f16{"f16", 16, false, true, FloatType::F16},
    bf16{"bf16", 16, false, true, FloatType::BF16}, tf32{"tf32", 32, false, true, FloatType::TF32},
    e4m3{"e4m3", 8, false, true, FloatType::E4M3}, e5m2{"e5m2", 8, false, true, FloatType::E5M2},
    s8{"s8", 8, true, true, {}}, u8{"u8", 8, true, false, {}}, s4{"s4", 4, true, true, {}},
    u4{"u4", 4, true, false, {}};

/// Accumulators of a 16 x 8 product, by lane and index.
double accumulatorValue(std::string_view type, const std::vector<Row> &rows, int lane, int i) {
  if (type == "f16")
    return decode(FloatType::F16, rows[size_t(i / 2)][size_t(lane)] >> 16 * (i % 2) & 0xffff);
  const uint32_t bits = rows[size_t(i)][size_t(lane)];
  return type == "s32" ? double(int32_t(bits)) : double(std::bit_cast<float>(bits));
}
std::vector<Row> drawAccumulators(std::string_view type, int values, std::mt19937_64 &random) {
  std::vector<Row> rows(size_t(type == "f16" ? values / 2 : values));
  for (Row &row : rows)
    for (uint32_t &bits : row) {
      const auto small = int(random() % 64) - 32;
      bits = type == "s32"   ? uint32_t(small)
             : type == "f32" ? std::bit_cast<uint32_t>(float(small))
                             : uint32_t(encode(FloatType::F16, small, {})) * 0x10001;
    }
  return rows;
}

struct SparseShape {
  int k;
  Element a, b;
  std::string accumulator;
  int selectors;
};

/// The lane of four, and the bit, that hold the indices of a group of four (tf32: two, 4-bit:
/// eight) consecutive elements in row h * 8 + g, lane 4 g being the first of the four.
std::pair<int, int> metadataPlace(const SparseShape &shape, int selector, int h, int group) {
  const bool word = shape.a.bits >= 16; // 16 bits for each of two rows
  const int groups = shape.k / (shape.a.bits == 32 ? 2 : shape.a.bits == 4 ? 8 : 4);
  if (word && groups == 4) // Tk: one lane of four
    return {selector, h == 0 ? 4 * group : 16 + 4 * group};
  if (word) // two neighbours: columns of the first half in the even lane
    return {2 * selector + (group < 4 ? 0 : 1), (h == 0 ? 0 : 16) + 4 * (group & 3)};
  if (groups == 8) // two neighbours: rows of the first half in the even lane
    return {2 * selector + h, 4 * group};
  return {(group < 8 ? 0 : 2) + h, 4 * (group & 7)}; // all four
}

void checkSparse(const SparseShape &shape, int selector, bool ordered, std::mt19937_64 &random) {
  const int k = shape.k, groupSize = shape.a.bits == 32 ? 2 : shape.a.bits == 4 ? 8 : 4;
  const int perRegister = 32 / shape.a.bits;
  const int countA = 16 * k / 2 * shape.a.bits / 1024, countB = 8 * k * shape.b.bits / 1024;
  std::vector<Row> a(size_t(countA), Row{}), b(size_t(countB), Row{});
  Row metadata{};
  for (uint32_t &bits : metadata) // what the selector does not name is not looked at
    bits = uint32_t(random());
  double left[16][128] = {}, right[128][8];
  for (int row = 0; row < 16; ++row) {
    // What is there of the row, in order.
    std::vector<uint64_t> packed;
    for (int group = 0; group < k / groupSize; ++group) {
      int first = int(random() % 4), second = int(random() % 3);
      second += second >= first;
      if (ordered && first > second)
        std::swap(first, second);
      uint32_t nibble = uint32_t(first | second << 2);
      std::vector<int> places;
      if (groupSize == 4)
        places = {first, second};
      else if (groupSize == 8)
        places = {2 * first, 2 * first + 1, 2 * second, 2 * second + 1};
      else {
        places = {int(random() % 2)};
        nibble = places[0] ? 0b1110 : 0b0100;
      }
      const auto [lane, bit] = metadataPlace(shape, selector, row / 8, group);
      uint32_t &word = metadata[size_t(row % 8 * 4 + lane)];
      word = (word & ~(15u << bit)) | nibble << bit;
      for (const int place : places) {
        packed.push_back(shape.a.draw(random));
        left[row][group * groupSize + place] = shape.a.value(packed.back());
      }
    }
    for (int i = 0; i < k / 2; ++i) {
      const int block = i / (4 * perRegister), member = i / perRegister % 4;
      a[size_t(2 * block + row / 8)][size_t(row % 8 * 4 + member)] |=
          uint32_t(packed[size_t(i)] << shape.a.bits * (i % perRegister));
    }
  }
  for (int i = 0; i < k; ++i)
    for (int column = 0; column < 8; ++column) {
      const uint64_t bits = shape.b.draw(random);
      right[i][column] = shape.b.value(bits);
      b[size_t(i / (4 * perRegister))][size_t(column * 4 + i / perRegister % 4)] |=
          uint32_t(bits << shape.b.bits * (i % perRegister));
    }
  const std::vector<Row> c = drawAccumulators(shape.accumulator, 4, random);
  std::vector<Row> sources = a;
  sources.insert(sources.end(), b.begin(), b.end());
  sources.insert(sources.end(), c.begin(), c.end());
  sources.push_back(metadata);
  const int countC = int(c.size());
  const std::string text =
      fmt::format("mma.sp{}.sync.aligned.m16n8k{}.row.col.{}.{}.{}.{} {}, {}, {}, {}, r{}, {:#x}",
                  ordered ? "::ordered_metadata" : "", k, shape.accumulator, shape.a.name,
                  shape.b.name, shape.accumulator, registers('d', 0, countC),
                  registers('r', 0, countA), registers('r', countA, countB),
                  registers('r', countA + countB, countC), countA + countB + countC, selector);
  SCOPED_TRACE(text);
  const std::vector<Row> d = runWarp(text, sources, countC);
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + (i < 2 ? 0 : 8), column = lane % 4 * 2 + i % 2;
      double sum = accumulatorValue(shape.accumulator, c, lane, i);
      for (int j = 0; j < k; ++j)
        sum += left[row][j] * right[j][column];
      ASSERT_EQ(accumulatorValue(shape.accumulator, d, lane, i), sum) << row << ", " << column;
    }
}

TEST(MatrixShapes, sparse) {
  std::mt19937_64 random(freshSeed());
  std::vector<SparseShape> shapes = {{8, tf32, tf32, "f32", 4}, {16, tf32, tf32, "f32", 2}};
  for (const std::string accumulator : {"f32", "f16"}) {
    shapes.push_back({16, f16, f16, accumulator, 4});
    shapes.push_back({32, f16, f16, accumulator, 2});
  }
  shapes.push_back({16, bf16, bf16, "f32", 4});
  shapes.push_back({32, bf16, bf16, "f32", 2});
  for (const Element &a : {e4m3, e5m2})
    for (const Element &b : {e4m3, e5m2})
      shapes.push_back({64, a, b, "f32", 1});
  for (const Element &a : {s8, u8})
    for (const Element &b : {s8, u8})
      shapes.insert(shapes.end(), {{32, a, b, "s32", 2}, {64, a, b, "s32", 1}});
  for (const Element &a : {s4, u4})
    for (const Element &b : {s4, u4})
      shapes.insert(shapes.end(), {{64, a, b, "s32", 2}, {128, a, b, "s32", 1}});
  for (const SparseShape &shape : shapes)
    for (int selector = 0; selector < shape.selectors; ++selector)
      for (bool ordered : {false, true})
        checkSparse(shape, selector, ordered, random);
}

TEST(MatrixShapes, sparseZerosMeetNoInfinity) {
  // Zeros that are not there are not multiplied: infinite elements of B change nothing.
  std::vector<Row> sources(8, Row{});
  sources[0].fill(0x3c003c00); // A: ones at places 0 and 1 of each group
  sources[1].fill(0x3c003c00);
  for (int lane = 0; lane < 32; ++lane) // B: infinite at places 2 and 3
    sources[2][size_t(lane)] = sources[3][size_t(lane)] = lane % 2 ? 0x7c007c00 : 0x3c003c00;
  sources.resize(9);
  sources[8].fill(0x44444444);
  const auto d = runWarp("mma.sp.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {d0, d1, d2, d3}, "
                         "{r0, r1}, {r2, r3}, {r4, r5, r6, r7}, r8, 0",
                         sources, 4);
  for (const Row &row : d)
    for (const uint32_t bits : row)
      EXPECT_EQ(std::bit_cast<float>(bits), 8.0f);
}

TEST(MatrixShapes, metadataThatNamesOnePlaceTwiceIsFound) {
  std::vector<Row> sources(9, Row{}); // metadata 0: both at place 0
  runWarp("mma.sp.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {d0, d1, d2, d3}, {r0, r1}, "
          "{r2, r3}, {r4, r5, r6, r7}, r8, 0",
          sources, 4, true);
}

TEST(MatrixShapes, bits) {
  std::mt19937_64 random(freshSeed());
  for (const auto &[m, k] : {std::pair(8, 128), {16, 128}, {16, 256}})
    for (const bool isXor : {false, true}) {
      const int countA = m * k / 1024, countB = k / 128, countC = m / 4;
      std::vector<Row> sources(size_t(countA + countB + countC), Row{});
      for (Row &row : sources)
        for (uint32_t &bits : row)
          bits = uint32_t(random());
      const std::string text = fmt::format(
          "mma.sync.aligned.m{}n8k{}.row.col.s32.b1.b1.s32.{}.popc {}, {}, {}, {}", m, k,
          isXor ? "xor" : "and", registers('d', 0, countC), registers('r', 0, countA),
          registers('r', countA, countB), registers('r', countA + countB, countC));
      SCOPED_TRACE(text);
      const std::vector<Row> d = runWarp(text, sources, countC);
      // Bit i of A's row lies in lane 4 row + i / 32 % 4, that of B's column likewise.
      const auto bitOfA = [&](int row, int i) {
        const int index = i / 128 * (m / 8) + row / 8;
        return sources[size_t(index)][size_t(row % 8 * 4 + i / 32 % 4)] >> i % 32 & 1;
      };
      const auto bitOfB = [&](int column, int i) {
        return sources[size_t(countA + i / 128)][size_t(column * 4 + i / 32 % 4)] >> i % 32 & 1;
      };
      for (int lane = 0; lane < 32; ++lane)
        for (int i = 0; i < countC; ++i) {
          const int row = lane / 4 + 8 * (i / 2), column = lane % 4 * 2 + i % 2;
          uint32_t sum = sources[size_t(countA + countB + i)][size_t(lane)];
          for (int j = 0; j < k; ++j)
            sum += isXor ? bitOfA(row, j) ^ bitOfB(column, j) : bitOfA(row, j) & bitOfB(column, j);
          ASSERT_EQ(d[size_t(i)][size_t(lane)], sum) << row << ", " << column;
        }
    }
}

// Four products at once: lanes 4 q to 4 q + 3 and 16 + 4 q to 19 + 4 q have the q-th.
TEST(MatrixShapes, quadPairs) {
  std::mt19937_64 random(freshSeed());
  for (const bool rowA : {false, true})
    for (const bool rowB : {false, true})
      for (const auto &[dtype, ctype] :
           {std::pair<std::string, std::string>{"f32", "f32"}, {"f32", "f16"}, {"f16", "f16"}}) {
        std::vector<Row> a(2, Row{}), b(2, Row{});
        double left[4][8][4], right[4][4][8];
        for (int lane = 0; lane < 32; ++lane)
          for (int i = 0; i < 4; ++i) {
            const int q = lane / 4 % 4, high = lane < 16 ? 0 : 4;
            const uint64_t x = f16.draw(random), y = f16.draw(random);
            a[size_t(i / 2)][size_t(lane)] |= uint32_t(x << 16 * (i % 2));
            b[size_t(i / 2)][size_t(lane)] |= uint32_t(y << 16 * (i % 2));
            if (rowA)
              left[q][lane % 4 + high][i] = f16.value(x);
            else
              left[q][i + high][lane % 4] = f16.value(x);
            if (rowB)
              right[q][lane % 4][i + high] = f16.value(y);
            else
              right[q][i][lane % 4 + high] = f16.value(y);
          }
        const std::vector<Row> c = drawAccumulators(ctype, 8, random);
        std::vector<Row> sources = a;
        sources.insert(sources.end(), b.begin(), b.end());
        sources.insert(sources.end(), c.begin(), c.end());
        const int countD = dtype == "f16" ? 4 : 8;
        const std::string text = fmt::format(
            "mma.sync.aligned.m8n8k4.{}.{}.{}.f16.f16.{} {}, {{r0, r1}}, {{r2, r3}}, {}",
            rowA ? "row" : "col", rowB ? "row" : "col", dtype, ctype, registers('d', 0, countD),
            registers('r', 4, int(c.size())));
        SCOPED_TRACE(text);
        const std::vector<Row> d = runWarp(text, sources, countD);
        const auto place = [](std::string_view type, int lane, int i) -> std::pair<int, int> {
          const int high = lane < 16 ? 0 : 4;
          if (type == "f16")
            return {lane % 4 + high, i};
          return {(lane & 1) + (i & 2) + high, (i & 4) + (lane & 2) + (i & 1)};
        };
        double addend[4][8][8];
        for (int lane = 0; lane < 32; ++lane)
          for (int i = 0; i < 8; ++i) {
            const auto [row, column] = place(ctype, lane, i);
            addend[lane / 4 % 4][row][column] = accumulatorValue(ctype, c, lane, i);
          }
        for (int lane = 0; lane < 32; ++lane)
          for (int i = 0; i < 8; ++i) {
            const auto [row, column] = place(dtype, lane, i);
            const int q = lane / 4 % 4;
            double sum = addend[q][row][column];
            for (int j = 0; j < 4; ++j)
              sum += left[q][row][j] * right[q][j][column];
            ASSERT_EQ(accumulatorValue(dtype, d, lane, i), sum) << row << ", " << column;
          }
      }
}

} // namespace
} // namespace ingot::emulator::test
