#include "runtime/program/Tensor.h"
#include <gtest/gtest.h>

namespace ingot {
namespace {

TEST(Tensor, elementTypeNamesRoundTrip) {
  for (int i = 0; i <= static_cast<int>(ElementType::I1); ++i) {
    auto type = static_cast<ElementType>(i);
    Result<ElementType> parsed = parseElementType(name(type));
    ASSERT_TRUE(parsed) << name(type);
    EXPECT_EQ(*parsed, type);
    EXPECT_GT(byteSize(type), 0u);
  }
  Result<ElementType> unknown = parseElementType("f31");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("'f31'"), std::string::npos);
}

TEST(Tensor, shapes) {
  EXPECT_EQ(elementCount({}), 1);
  EXPECT_EQ(elementCount({4, 0, 3}), 0);
  EXPECT_EQ(elementCount({4, 64}), 256);
  EXPECT_EQ(toString({}), "scalar");
  EXPECT_EQ(toString({4, 64}), "4x64");
}

TEST(Tensor, startsAtZeroAndAligned) {
  Tensor tensor(ElementType::F32, {3, 5});
  EXPECT_EQ(tensor.bytes(), 60u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data()) % 64, 0u);
  for (int i = 0; i < 15; ++i)
    EXPECT_EQ(tensor.as<float>()[i], 0.0f);
  EXPECT_NE(Tensor(ElementType::I8, {0}).data(), nullptr);
}

TEST(Tensor, copiesShareAndClonesDoNot) {
  Tensor tensor(ElementType::I64, {2});
  Tensor shared = tensor, cloned = tensor.clone();
  tensor.as<int64_t>()[1] = 7;
  EXPECT_EQ(shared.as<int64_t>()[1], 7);
  EXPECT_EQ(cloned.as<int64_t>()[1], 0);
}

TEST(Tensor, borrowsMemory) {
  float values[] = {1, 2, 3};
  Tensor tensor(ElementType::F32, {3}, values);
  values[2] = 9;
  EXPECT_EQ(tensor.as<float>()[2], 9.0f);
}

} // namespace
} // namespace ingot
