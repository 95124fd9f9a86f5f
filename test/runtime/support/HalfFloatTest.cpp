#include "runtime/support/HalfFloat.h"
#include "test/runtime/TestPrograms.h"
#include <gtest/gtest.h>

namespace ingot {
namespace {

template <typename Format> class NarrowFloatTest : public testing::Test {};
using Formats = testing::Types<Float16, BFloat16, Float8E4M3FN, Float8E5M2>;
TYPED_TEST_SUITE(NarrowFloatTest, Formats);

TYPED_TEST(NarrowFloatTest, everyValueRoundTrips) {
  for (uint32_t bits = 0; bits < 2 * TypeParam::signBit; ++bits) {
    const float value = TypeParam::decode(bits);
    if (std::isnan(value))
      EXPECT_TRUE(std::isnan(TypeParam::decode(TypeParam::encode(value)))) << bits;
    else
      ASSERT_EQ(TypeParam::encode(value), bits) << value;
  }
}

// Between two neighbours the nearer wins, and in the middle the even one.
TYPED_TEST(NarrowFloatTest, roundsToNearestEven) {
  for (uint32_t bits = 0; bits < TypeParam::largest; ++bits) {
    const double below = TypeParam::decode(bits), above = TypeParam::decode(bits + 1);
    const double middle = (below + above) / 2;
    ASSERT_EQ(TypeParam::encode(middle), bits % 2 ? bits + 1 : bits) << below;
    ASSERT_EQ(TypeParam::encode(std::nextafter(middle, below)), bits) << below;
    ASSERT_EQ(TypeParam::encode(std::nextafter(middle, above)), bits + 1) << below;
    ASSERT_EQ(TypeParam::encode(-middle), TypeParam::encode(middle) | TypeParam::signBit);
  }
}

TYPED_TEST(NarrowFloatTest, overflowsAndUnderflows) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  for (double huge : {infinity, 1e300, 1e39}) {
    const float decoded = TypeParam::decode(TypeParam::encode(huge));
    EXPECT_TRUE(std::isinf(decoded) || std::isnan(decoded));
  }
  EXPECT_EQ(TypeParam::encode(5e-324), 0u);
  EXPECT_EQ(TypeParam::encode(-1e-300), TypeParam::signBit);
  EXPECT_TRUE(std::isnan(TypeParam::decode(TypeParam::encode(std::nan("")))));
}

TEST(HalfFloat, knownValues) {
  EXPECT_EQ(Float16::encode(1.0), 0x3c00u);
  EXPECT_EQ(Float16::encode(65504), 0x7bffu);
  EXPECT_EQ(Float16::encode(65520), 0x7c00u); // rounds up to infinity
  EXPECT_EQ(BFloat16::encode(1.0), 0x3f80u);
  EXPECT_EQ(Float8E4M3FN::encode(448), 0x7eu);
  EXPECT_EQ(Float8E4M3FN::encode(464), 0x7eu); // ties to even
  EXPECT_EQ(Float8E4M3FN::encode(480), 0x7fu); // no infinity: NaN
  EXPECT_EQ(Float8E5M2::encode(57344), 0x7bu);
}

TEST(HalfFloat, hardwareAgreesOnF16) {
  std::mt19937_64 random(test::freshSeed());
  for (int i = 0; i < 20000; ++i) {
    const float value = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (std::isnan(value))
      continue;
    const auto expected = std::bit_cast<uint16_t>(static_cast<_Float16>(value));
    ASSERT_EQ(Float16::encode(value), expected) << value;
  }
}

TEST(HalfFloat, elementsOfEveryType) {
  for (int i = 0; i <= static_cast<int>(ElementType::I1); ++i) {
    const auto type = static_cast<ElementType>(i);
    Tensor tensor(type, {3});
    storeElement(type, tensor.data(), 1, 1);
    EXPECT_EQ(loadElement(type, tensor.data(), 0), 0) << name(type);
    EXPECT_EQ(loadElement(type, tensor.data(), 1), 1) << name(type);
    EXPECT_EQ(loadElement(type, tensor.data(), 2), 0) << name(type);
  }
}

TEST(HalfFloat, integersTruncateAndSaturate) {
  auto stored = [](ElementType type, double value) {
    int64_t memory = 0;
    storeElement(type, &memory, 0, value);
    return loadElement(type, &memory, 0);
  };
  EXPECT_EQ(stored(ElementType::I32, -2.9), -2);
  EXPECT_EQ(stored(ElementType::I8, 1e9), 127);
  EXPECT_EQ(stored(ElementType::I8, -1e9), -128);
  EXPECT_EQ(stored(ElementType::I4, 9), 7);
  EXPECT_EQ(stored(ElementType::I4, -9), -8);
  EXPECT_EQ(stored(ElementType::U4, 17), 15);
  EXPECT_EQ(stored(ElementType::U8, -3), 0);
  EXPECT_EQ(stored(ElementType::I64, 1e30), double(INT64_MAX));
  EXPECT_EQ(stored(ElementType::U64, 1e30), double(UINT64_MAX));
  EXPECT_EQ(stored(ElementType::I16, std::nan("")), 0);
}

} // namespace
} // namespace ingot
