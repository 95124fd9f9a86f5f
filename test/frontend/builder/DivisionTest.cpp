/// Integers that are divided by 0: an error on every device, as in PyTorch, also where the divisor
/// is computed, repeated, or in a loop; shifts at their limits.
#include "ir/dialect/Elements.h"
#include "test/frontend/api/Devices.h"

namespace ingot {
namespace {

using Value = Builder::Value;

struct Division : Devices {
  Result<Tensors> run(Builder &b, const Tensors &inputs) {
    return b.finish()
        .and_then([&](const Model &m) { return m.compile(options()); })
        .and_then([&](CompiledProgram program) { return program.run(inputs); });
  }
  Tensor integers(ElementType type, const std::vector<int64_t> &values) {
    return graph::store(type, {int64_t(values.size())}, values);
  }
};
INSTANTIATE_TEST_SUITE_P(Builder, Division, testing::Values("cpu", "reference", "cuda:emulated"),
                         [](const auto &info) {
                           std::string device = info.param;
                           return device.substr(device.find(':') + 1);
                         });

constexpr ElementType signedTypes[] = {ElementType::I64, ElementType::I32, ElementType::I16,
                                       ElementType::I8, ElementType::I4};
constexpr ElementType unsignedTypes[] = {ElementType::U64, ElementType::U32, ElementType::U16,
                                         ElementType::U8, ElementType::U4};

TEST_P(Division, OfIntegersByZeroIsAnError) {
  using Op = Value (Builder::*)(Value, Value);
  for (Op op : {Op(&Builder::div), Op(&Builder::remainder), Op(&Builder::modulo)})
    for (ElementType type : {ElementType::I8, ElementType::I64, ElementType::U4, ElementType::U32})
      for (bool isZero : {false, true}) {
        SCOPED_TRACE(name(type));
        Builder b;
        Value x = b.input("x", type, {3}), d = b.input("d", type, {3});
        b.output("y", (b.*op)(x, b.sub(d, b.scalar(1, type))));
        auto outputs = run(
            b, {{"x", integers(type, {7, 7, 7})}, {"d", integers(type, {3, isZero ? 1 : 4, 3})}});
        ASSERT_EQ(outputs.has_value(), !isZero);
        if (isZero)
          EXPECT_NE(outputs.error().text().find("an integer is divided by zero"), std::string::npos)
              << outputs.error().text();
        else
          EXPECT_EQ(graph::load<int64_t>(outputs->at("y"))[1], op == Op(&Builder::div) ? 2 : 1);
      }
}

TEST_P(Division, IsCheckedInLoops) {
  for (int64_t last : {2, 3}) {
    Builder b;
    Value x = b.input("x", ElementType::I64, {2});
    const Value start[] = {x};
    // Divides by 3 - number.
    auto body = [&](Value number, std::span<const Value> carried) {
      return std::vector<Value>{b.div(carried[0], b.sub(b.scalar(3, ElementType::I64), number))};
    };
    b.output("y", b.loop(last + 1, start, body)[0]);
    auto outputs = run(b, {{"x", integers(ElementType::I64, {60, -60})}});
    ASSERT_EQ(outputs.has_value(), last < 3);
    if (outputs)
      EXPECT_EQ(graph::load<int64_t>(outputs->at("y")), (std::vector<int64_t>{10, -10}));
  }
}

/// The least integer over -1 wraps around to itself.
TEST_P(Division, OfTheLeastInteger) {
  for (ElementType type : signedTypes) {
    SCOPED_TRACE(name(type));
    const int64_t least = std::numeric_limits<int64_t>::min() >> (64 - graph::bitWidth(type));
    const int64_t largest = -(least + 1);
    Builder b;
    Value x = b.input("x", type, {6}), d = b.input("d", type, {6});
    b.output("quotient", b.div(x, d));
    b.output("remainder", b.remainder(x, d));
    b.output("modulo", b.modulo(x, d));
    b.output("negative", b.neg(x));
    b.output("size", b.abs(x));
    auto outputs = run(b, {{"x", integers(type, {least, largest, least, least, 7, -7})},
                           {"d", integers(type, {-1, -1, 1, largest, -2, 2})}});
    ASSERT_TRUE(outputs) << outputs.error().text();
    auto at = [&](const char *output) { return graph::load<int64_t>(outputs->at(output)); };
    using Numbers = std::vector<int64_t>;
    EXPECT_EQ(at("quotient"), (Numbers{least, -largest, least, -1, -3, -3}));
    EXPECT_EQ(at("remainder"), (Numbers{0, 0, 0, -1, 1, -1}));
    EXPECT_EQ(at("modulo"), (Numbers{0, 0, 0, largest - 1, -1, 1}));
    EXPECT_EQ(at("negative"), (Numbers{least, -largest, least, least, -7, 7}));
    EXPECT_EQ(at("size"), (Numbers{least, largest, least, least, 7, 7}));
  }
}

/// As PyTorch has it: what is shifted out is gone, and a negative number of places is as many.
TEST_P(Division, ShiftsOfEveryType) {
  for (bool isSigned : {true, false})
    for (ElementType type : isSigned ? signedTypes : unsignedTypes) {
      SCOPED_TRACE(name(type));
      const int64_t width = graph::bitWidth(type);
      const int64_t top =
          isSigned ? INT64_MIN >> (64 - width) : int64_t(uint64_t(1) << (width - 1));
      const int64_t beyond = width == 4 ? isSigned ? 7 : 15 : width + 1;
      Builder b;
      Value x = b.input("x", type, {6}), by = b.input("by", type, {6});
      b.output("left", b.shiftLeft(x, by));
      b.output("right", b.shiftRight(x, by));
      auto outputs = run(b, {{"x", integers(type, {3, top, 1, top, top, 5})},
                             {"by", integers(type, {0, width - 1, width - 1, beyond, -1, 1})}});
      ASSERT_TRUE(outputs) << outputs.error().text();
      const int64_t sign = isSigned ? -1 : 0, lowest = isSigned ? -1 : 1;
      EXPECT_EQ(graph::load<int64_t>(outputs->at("left")),
                (std::vector<int64_t>{3, 0, top, 0, 0, width == 4 && isSigned ? -6 : 10}));
      EXPECT_EQ(graph::load<int64_t>(outputs->at("right")),
                (std::vector<int64_t>{3, lowest, 0, sign, sign, 2}));
    }
}

TEST_P(Division, ShiftsAtTheirLimits) {
  Builder b;
  Value x = b.input("x", ElementType::I8, {5}), by = b.input("by", ElementType::I8, {5});
  b.output("left", b.shiftLeft(x, by));
  b.output("right", b.shiftRight(x, by));
  auto outputs = run(b, {{"x", integers(ElementType::I8, {-5, -5, -5, 5, 5})},
                         {"by", integers(ElementType::I8, {7, 8, -1, 100, 1})}});
  ASSERT_TRUE(outputs) << outputs.error().text();
  EXPECT_EQ(graph::load<int64_t>(outputs->at("left")), (std::vector<int64_t>{-128, 0, 0, 0, 10}));
  EXPECT_EQ(graph::load<int64_t>(outputs->at("right")), (std::vector<int64_t>{-1, -1, -1, 0, 2}));
}

} // namespace
} // namespace ingot
