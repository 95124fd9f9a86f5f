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
INSTANTIATE_TEST_SUITE_P(Builder, Division, testing::Values("cpu", "reference"),
                         [](const auto &info) { return std::string(info.param); });

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
