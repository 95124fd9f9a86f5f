#include "runtime/emulator/arithmetic/MatrixMultiply.h"
#include "runtime/emulator/arithmetic/MatrixMove.h"
#include "test/emulator/Reference.h"
#include <cstring>
#include <gtest/gtest.h>

namespace ingot::emulator {
namespace {

using namespace test;

/// Row (of A, or column of B) and k of element `i` of lane `lane`, as the ISA's figures give them.
struct Place {
  int row, k;
};

Place placeOfA(const MatrixMultiply &shape, int lane, int i) {
  const int group = lane / 4, member = lane % 4;
  switch (bitWidth(shape.a)) {
  case 64:
  case 32:
    if (shape.m == 8)
      return {group, member};
    return {i % 2 ? group + 8 : group, member + i / 2 * 4};
  case 16:
    return {i < 2 || (i >= 4 && i < 6) ? group : group + 8, member * 2 + (i & 1) + (i < 4 ? 0 : 8)};
  case 8:
    if (shape.m == 8)
      return {group, member * 4 + i};
    return {i < 4 || (i >= 8 && i < 12) ? group : group + 8,
            member * 4 + (i & 3) + (i < 8 ? 0 : 16)};
  default:
    if (shape.m == 8)
      return {group, member * 8 + i};
    return {i < 8 || (i >= 16 && i < 24) ? group : group + 8,
            member * 8 + (i & 7) + (i < 16 ? 0 : 32)};
  }
}

Place placeOfB(const MatrixMultiply &shape, int lane, int i) {
  const int perRegister = std::max(1, 32 / bitWidth(shape.b));
  return {lane / 4, lane % 4 * perRegister + i % perRegister + i / perRegister * 4 * perRegister};
}

FloatType floatType(MatrixType type) {
  switch (type) {
  case MatrixType::F16:
    return FloatType::F16;
  case MatrixType::BF16:
    return FloatType::BF16;
  case MatrixType::TF32:
    return FloatType::TF32;
  case MatrixType::E4M3:
    return FloatType::E4M3;
  case MatrixType::E5M2:
    return FloatType::E5M2;
  default:
    return FloatType::F64;
  }
}

bool isInteger(MatrixType type) { return type >= MatrixType::S8; }

/// The value of an element of the given bits.
double valueOf(MatrixType type, uint64_t bits) {
  switch (type) {
  case MatrixType::S8:
    return static_cast<int8_t>(bits);
  case MatrixType::U8:
  case MatrixType::U4:
    return static_cast<double>(bits);
  case MatrixType::S4:
    return bits & 8 ? double(bits) - 16 : double(bits);
  default:
    return decode(floatType(type), bits);
  }
}

uint64_t randomElement(MatrixType type, std::mt19937_64 &random) {
  if (isInteger(type))
    return random() & ((1 << bitWidth(type)) - 1);
  std::normal_distribution<double> normal;
  return encode(floatType(type), normal(random), {});
}

/// Fragments of one warp and the matrices that they hold.
struct Problem {
  MatrixMultiply shape;
  uint32_t a[4][32] = {}, b[4][32] = {}, c[4][32] = {}, d[4][32] = {};
  double a64[8][32] = {}, b64[4][32] = {}, c64[4][32] = {}, d64[4][32] = {};
  double left[16][64] = {}, right[64][8] = {}, addend[16][8] = {}, result[16][8] = {};

  void setA(int row, int k, uint64_t bits) { set(true, row, k, bits); }
  void setB(int column, int k, uint64_t bits) { set(false, column, k, bits); }

  void set(bool isA, int row, int k, uint64_t bits) {
    const MatrixType type = isA ? shape.a : shape.b;
    (isA ? left[row][k] : right[k][row]) = valueOf(type, bits);
    const int width = bitWidth(type), perRegister = std::max(1, 32 / width);
    const int count = (isA ? shape.registersOfA() : shape.registersOfB()) * perRegister;
    for (int lane = 0; lane < 32; ++lane)
      for (int i = 0; i < count; ++i) {
        const Place place = isA ? placeOfA(shape, lane, i) : placeOfB(shape, lane, i);
        if (place.row != row || place.k != k)
          continue;
        if (width == 64) {
          (isA ? a64 : b64)[i][lane] = std::bit_cast<double>(bits);
          return;
        }
        uint32_t &word = (isA ? a : b)[i / perRegister][lane];
        const int shift = width == 32 ? 0 : width * (i % perRegister);
        const uint32_t mask = width == 32 ? ~0u : ((1u << width) - 1) << shift;
        word = (word & ~mask) | static_cast<uint32_t>(bits << shift);
        return;
      }
    FAIL() << "no lane holds the element " << row << ", " << k;
  }

  template <typename Visit> void forC(Visit visit) {
    for (int lane = 0; lane < 32; ++lane)
      for (int i = 0; i < shape.m / 4; ++i)
        visit(lane, i, lane / 4 + (i < 2 ? 0 : 8), lane % 4 * 2 + (i & 1));
  }

  void setC(std::mt19937_64 &random) {
    std::normal_distribution<float> normal;
    forC([&](int lane, int i, int row, int column) {
      const float value = normal(random);
      switch (shape.accumulator) {
      case Accumulator::F64:
        addend[row][column] = c64[i][lane] = value;
        break;
      case Accumulator::F32:
        addend[row][column] = value;
        c[i][lane] = std::bit_cast<uint32_t>(value);
        break;
      case Accumulator::F16: {
        const uint32_t bits = static_cast<uint32_t>(encode(FloatType::F16, value, {}));
        addend[row][column] = decode(FloatType::F16, bits);
        c[i / 2][lane] = (c[i / 2][lane] & ~(0xffffu << 16 * (i % 2))) | bits << 16 * (i % 2);
        break;
      }
      case Accumulator::S32:
        c[i][lane] = random() % 3 ? static_cast<uint32_t>(random() % 2000)
                                  : 0x7fffffff - static_cast<uint32_t>(random() % 3);
        addend[row][column] = static_cast<int32_t>(c[i][lane]);
        break;
      }
    });
  }

  void run() {
    if (shape.accumulator == Accumulator::F64) {
      const double *pa[8], *pb[4], *pc[4];
      double *pd[4];
      for (int i = 0; i < 8; ++i)
        pa[i] = a64[i];
      for (int i = 0; i < 4; ++i)
        pb[i] = b64[i], pc[i] = c64[i], pd[i] = d64[i];
      multiply(shape, pd, pa, pb, pc);
    } else {
      const uint32_t *pa[4], *pb[4], *pc[4];
      uint32_t *pd[4];
      for (int i = 0; i < 4; ++i)
        pa[i] = a[i], pb[i] = b[i], pc[i] = c[i], pd[i] = d[i];
      multiply(shape, pd, pa, pb, pc);
    }
    forC([&](int lane, int i, int row, int column) {
      double &out = result[row][column];
      switch (shape.accumulator) {
      case Accumulator::F64:
        out = d64[i][lane];
        break;
      case Accumulator::F32:
        out = std::bit_cast<float>(d[i][lane]);
        break;
      case Accumulator::F16:
        out = decode(FloatType::F16, d[i / 2][lane] >> 16 * (i % 2) & 0xffff);
        break;
      case Accumulator::S32:
        out = static_cast<int32_t>(d[i][lane]);
        break;
      }
    });
  }

  /// The stated rule, by the host's scalar arithmetic.
  double byRule(int row, int column) const {
    if (shape.accumulator == Accumulator::S32) {
      int64_t sum = static_cast<int64_t>(addend[row][column]);
      for (int k = 0; k < shape.k; ++k)
        sum += static_cast<int64_t>(left[row][k] * right[k][column]);
      if (shape.saturate)
        return static_cast<double>(std::min<int64_t>(std::max<int64_t>(sum, INT32_MIN), INT32_MAX));
      return static_cast<int32_t>(static_cast<uint32_t>(sum));
    }
    if (shape.accumulator == Accumulator::F64) {
      double sum = addend[row][column];
      for (int k = 0; k < shape.k; ++k)
        sum = hostArithmetic(HostOp::Fma, left[row][k], right[k][column], sum);
      return sum;
    }
    float sum = static_cast<float>(addend[row][column]);
    for (int k = 0; k < shape.k; ++k) {
      const float product =
          hostArithmetic(HostOp::Multiply, float(left[row][k]), float(right[k][column]), 0.0f);
      sum = hostArithmetic(HostOp::Add, sum, product, 0.0f);
    }
    return shape.accumulator == Accumulator::F16
               ? decode(FloatType::F16, roundByTable(FloatType::F16, sum, Rounding::NearestEven))
               : sum;
  }
};

std::vector<MatrixMultiply> everyShape() {
  std::vector<MatrixMultiply> shapes;
  for (int a = 0; a <= int(MatrixType::U4); ++a)
    for (int b = 0; b <= int(MatrixType::U4); ++b)
      for (Accumulator accumulator :
           {Accumulator::F16, Accumulator::F32, Accumulator::F64, Accumulator::S32})
        for (int m : {8, 16})
          for (int k : {4, 8, 16, 32, 64})
            for (bool saturate : {false, true}) {
              const MatrixMultiply shape{m,           8,       k, MatrixType(a), MatrixType(b),
                                         accumulator, saturate};
              if (shape.isSupported())
                shapes.push_back(shape);
            }
  return shapes;
}

TEST(MatrixMultiply, everyShapeFollowsTheRuleAndStaysNearF64) {
  std::mt19937_64 random(freshSeed());
  // f16: 4, bf16: 2, tf32: 2, f64: 4, f8: 4 pairs of 4, int8: 4 pairs of 6, int4 the same.
  const std::vector<MatrixMultiply> shapes = everyShape();
  EXPECT_EQ(shapes.size(), 4u + 2 + 2 + 4 + 16 + 24 + 24);
  for (const MatrixMultiply &shape : shapes)
    for (int round = 0; round < 3; ++round) {
      Problem problem{.shape = shape};
      for (int k = 0; k < shape.k; ++k) {
        for (int row = 0; row < shape.m; ++row)
          problem.setA(row, k, randomElement(shape.a, random));
        for (int column = 0; column < 8; ++column)
          problem.setB(column, k, randomElement(shape.b, random));
      }
      problem.setC(random);
      problem.run();
      const double unit = shape.accumulator == Accumulator::F64   ? 0x1p-53
                          : shape.accumulator == Accumulator::F16 ? 0x1p-11
                                                                  : 0x1p-24;
      for (int row = 0; row < shape.m; ++row)
        for (int column = 0; column < 8; ++column) {
          ASSERT_EQ(problem.result[row][column], problem.byRule(row, column))
              << "m" << shape.m << "k" << shape.k << " types " << int(shape.a) << " "
              << int(shape.b);
          double exact = problem.addend[row][column], size = std::abs(exact);
          for (int k = 0; k < shape.k; ++k) {
            exact += problem.left[row][k] * problem.right[k][column];
            size += std::abs(problem.left[row][k] * problem.right[k][column]);
          }
          if (!isInteger(shape.a))
            ASSERT_NEAR(problem.result[row][column], exact, (shape.k + 1) * unit * size);
        }
    }
}

TEST(MatrixMultiply, productsOfF8Exhaustively) {
  for (MatrixType a : {MatrixType::E4M3, MatrixType::E5M2})
    for (MatrixType b : {MatrixType::E4M3, MatrixType::E5M2})
      for (int firstA = 0; firstA < 256; firstA += 16)
        for (int firstB = 0; firstB < 256; firstB += 8) {
          Problem problem{.shape = {16, 8, 16, a, b, Accumulator::F32, false}};
          for (int row = 0; row < 16; ++row)
            problem.setA(row, 5, firstA + row);
          for (int column = 0; column < 8; ++column)
            problem.setB(column, 5, firstB + column);
          problem.run();
          for (int row = 0; row < 16; ++row)
            for (int column = 0; column < 8; ++column) {
              const double exact = problem.left[row][5] * problem.right[5][column];
              const double value = problem.result[row][column];
              ASSERT_TRUE(value == exact || (std::isnan(value) && std::isnan(exact)));
            }
        }
}

TEST(MatrixMultiply, nanIsCanonicalAndTf32IgnoresLowBits) {
  Problem problem{.shape = {16, 8, 8, MatrixType::TF32, MatrixType::TF32, Accumulator::F32, false}};
  problem.setA(0, 0, 0x3f800000 | 0x1fff); // 1 + what a tf32 does not hold
  problem.setA(1, 0, 0xffc00000);
  problem.setB(0, 0, 0x3f800000);
  problem.run();
  EXPECT_EQ(problem.d[0][0], 0x3f800000u);
  EXPECT_EQ(problem.d[0][4], 0x7fffffffu);
}

TEST(MatrixMultiply, addendAndResultMayBeTheSame) {
  std::mt19937_64 random(freshSeed());
  for (Accumulator accumulator : {Accumulator::F16, Accumulator::F32}) {
    Problem problem{.shape = {16, 8, 16, MatrixType::F16, MatrixType::F16, accumulator, false}};
    for (int k = 0; k < 16; ++k)
      for (int row = 0; row < 16; ++row) {
        problem.setA(row, k, randomElement(MatrixType::F16, random));
        problem.setB(row % 8, k, randomElement(MatrixType::F16, random));
      }
    problem.setC(random);
    problem.run();
    uint32_t *c[4] = {problem.c[0], problem.c[1], problem.c[2], problem.c[3]};
    const uint32_t *a[4] = {problem.a[0], problem.a[1], problem.a[2], problem.a[3]};
    const uint32_t *b[2] = {problem.b[0], problem.b[1]};
    multiply(problem.shape, c, a, b, c);
    for (int i = 0; i < problem.shape.registersOfC(); ++i)
      ASSERT_FALSE(std::memcmp(problem.c[i], problem.d[i], sizeof problem.d[i]));
  }
}

TEST(MatrixMultiply, unsupportedShapes) {
  EXPECT_FALSE(
      (MatrixMultiply{16, 8, 16, MatrixType::F16, MatrixType::BF16, Accumulator::F32, false}
           .isSupported()));
  EXPECT_FALSE(
      (MatrixMultiply{16, 8, 16, MatrixType::BF16, MatrixType::BF16, Accumulator::F16, false}
           .isSupported()));
  EXPECT_FALSE((MatrixMultiply{8, 8, 4, MatrixType::F16, MatrixType::F16, Accumulator::F32, false}
                    .isSupported()));
  EXPECT_FALSE((MatrixMultiply{16, 8, 16, MatrixType::F16, MatrixType::F16, Accumulator::F32, true}
                    .isSupported()));
  EXPECT_FALSE(
      (MatrixMultiply{16, 16, 16, MatrixType::F16, MatrixType::F16, Accumulator::F32, false}
           .isSupported()));
}

TEST(MatrixMove, fragmentsAreThoseOfMma) {
  // ldmatrix.x4 of a 16x16 tile gives A's fragment; .trans of a row-major 16x8 tile gives B's.
  std::mt19937_64 random(freshSeed());
  Problem problem{.shape = {16, 8, 16, MatrixType::F16, MatrixType::F16, Accumulator::F32, false}};
  uint16_t tileA[16][16], tileB[16][8];
  for (int k = 0; k < 16; ++k) {
    for (int row = 0; row < 16; ++row)
      problem.setA(row, k,
                   tileA[row][k] = static_cast<uint16_t>(randomElement(MatrixType::F16, random)));
    for (int column = 0; column < 8; ++column)
      problem.setB(column, k,
                   tileB[k][column] =
                       static_cast<uint16_t>(randomElement(MatrixType::F16, random)));
  }
  uint8_t rows[4 * 8 * 16];
  uint32_t loaded[4][32];
  uint32_t *out[4] = {loaded[0], loaded[1], loaded[2], loaded[3]};
  for (int lane = 0; lane < 32; ++lane)
    std::memcpy(rows + 16 * lane, &tileA[lane % 16][lane / 16 * 8], 16);
  loadMatrices(4, false, rows, out);
  EXPECT_FALSE(std::memcmp(loaded, problem.a, sizeof loaded));
  uint8_t stored[sizeof rows];
  storeMatrices(4, false, out, stored);
  EXPECT_FALSE(std::memcmp(stored, rows, sizeof rows));
  for (int lane = 0; lane < 16; ++lane)
    std::memcpy(rows + 16 * lane, tileB[lane], 16);
  loadMatrices(2, true, rows, out);
  EXPECT_FALSE(std::memcmp(loaded, problem.b, 2 * sizeof loaded[0]));
  storeMatrices(2, true, out, stored);
  EXPECT_FALSE(std::memcmp(stored, rows, 2 * 128));
}

} // namespace
} // namespace ingot::emulator
