/// The builder's movements as compiled code and in the reference, against naive loops; errors of
/// these and of operations on lines.
#include "test/frontend/api/Devices.h"
#include <functional>
#include <optional>

namespace ingot {
namespace {

using Value = Builder::Value;
using Index = std::vector<int64_t>;

/// Index of element number `flat` of a shape.
Index indexOf(int64_t flat, const Shape &shape) {
  Index index(shape.size());
  for (size_t dim = shape.size(); dim-- > 0; flat /= shape[dim])
    index[dim] = flat % shape[dim];
  return index;
}
int64_t flatOf(const Index &index, const Shape &shape) {
  int64_t flat = 0;
  for (size_t dim = 0; dim < shape.size(); ++dim)
    flat = flat * shape[dim] + index[dim];
  return flat;
}

struct Movements : Devices {
  /// `source` says which element of x an element of the result is, or nothing: 0.
  void expectMoved(const Shape &from, const std::function<Value(Builder &, Value)> &build,
                   const Shape &to, const std::function<std::optional<Index>(Index)> &source) {
    SCOPED_TRACE(toString(from) + " to " + toString(to));
    Builder b;
    b.output("y", build(b, b.input("x", f32, from)));
    Result<Model> model = b.finish();
    ASSERT_TRUE(model) << model.error().text();
    auto program = model->compile(options());
    ASSERT_TRUE(program) << program.error().text();
    Tensor x(f32, from);
    for (int64_t i = 0; i < x.size(); ++i)
      x.as<float>()[i] = float(i + 1);
    auto outputs = program->run({{"x", x}});
    ASSERT_TRUE(outputs) << outputs.error().text();
    const Tensor &y = outputs->at("y");
    ASSERT_EQ(y.shape(), to);
    for (int64_t i = 0; i < y.size(); ++i) {
      std::optional<Index> at = source(indexOf(i, to));
      ASSERT_EQ(y.as<float>()[i], at ? x.as<float>()[flatOf(*at, from)] : 0) << "element " << i;
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Builder, Movements, testing::Values("cpu", "reference"),
                         [](const auto &info) { return std::string(info.param); });

TEST_P(Movements, RepeatAndTurn) {
  for (const Index &counts : {Index{2, 3}, Index{1, 1}, Index{0, 2}})
    expectMoved(
        {3, 5}, [&](Builder &b, Value x) { return b.tile(x, counts); },
        {3 * counts[0], 5 * counts[1]}, [](Index i) { return Index{i[0] % 3, i[1] % 5}; });
  for (int64_t shift : {0, 1, -1, 7, -12, 5})
    expectMoved(
        {3, 5}, [&](Builder &b, Value x) { return b.roll(x, shift, -1); }, {3, 5},
        [&](Index i) { return Index{i[0], ((i[1] - shift) % 5 + 5) % 5}; });
  expectMoved(
      {0, 4}, [](Builder &b, Value x) { return b.roll(x, 3, 0); }, {0, 4},
      [](Index i) { return i; });
  expectMoved(
      {2, 7}, [](Builder &b, Value x) { return b.split(x, {3, 0, 4}, 1)[2]; }, {2, 4},
      [](Index i) { return Index{i[0], i[1] + 3}; });
}

TEST_P(Movements, Triangles) {
  for (bool upper : {true, false})
    for (int64_t diagonal : {0, 1, -2, 9, -9})
      expectMoved(
          {2, 4, 5}, [&](Builder &b, Value x) { return b.triangle(x, upper, diagonal); }, {2, 4, 5},
          [&](Index i) -> std::optional<Index> {
            const int64_t beyond = i[2] - i[1] - diagonal;
            return (upper ? beyond >= 0 : beyond <= 0) ? std::optional(i) : std::nullopt;
          });
}

TEST_P(Movements, DepthAndSpace) {
  expectMoved(
      {2, 12, 3, 5}, [](Builder &b, Value x) { return b.depthToSpace(x, 2); }, {2, 3, 6, 10},
      [](Index i) {
        return Index{i[0], (i[2] % 2 * 2 + i[3] % 2) * 3 + i[1], i[2] / 2, i[3] / 2};
      });
  expectMoved(
      {2, 12, 3, 5}, [](Builder &b, Value x) { return b.depthToSpace(x, 2, false); }, {2, 3, 6, 10},
      [](Index i) { return Index{i[0], i[1] * 4 + i[2] % 2 * 2 + i[3] % 2, i[2] / 2, i[3] / 2}; });
  expectMoved(
      {1, 18, 1, 2}, [](Builder &b, Value x) { return b.spaceToDepth(b.depthToSpace(x, 3), 3); },
      {1, 18, 1, 2}, [](Index i) { return i; });
}

TEST_P(Movements, OneHotCountsFromTheEnd) {
  Builder b;
  Value indices = b.input("i", ElementType::I32, {2, 3});
  b.output("y", b.oneHot(indices, 4, 5, -1));
  auto program = b.finish().and_then([&](const Model &m) { return m.compile(options()); });
  ASSERT_TRUE(program) << program.error().text();
  Tensor i(ElementType::I32, {2, 3});
  const int32_t given[] = {0, 3, -1, -4, 4, -5};
  std::copy(std::begin(given), std::end(given), i.as<int32_t>());
  auto outputs = program->run({{"i", i}});
  ASSERT_TRUE(outputs) << outputs.error().text();
  ASSERT_EQ(outputs->at("y").shape(), (Shape{2, 3, 4}));
  const int hot[] = {0, 3, 3, 0, -1, -1}; // outside: none
  for (int row = 0; row < 6; ++row)
    for (int place = 0; place < 4; ++place)
      EXPECT_EQ(outputs->at("y").as<float>()[row * 4 + place], hot[row] == place ? 5 : -1)
          << given[row] << " at " << place;
}

TEST(BuilderMovements, ErrorsNameTheOperation) {
  Builder b;
  Value x = b.input("x", f32, {2, 3});
  b.tile(x, {2});
  b.tile(x, {2, -1});
  b.tile(x, {int64_t(1) << 62, 8});
  b.pad(x, PadMode::Edge, {1}, {1, 1});
  b.pad(x, PadMode::Wrap, {0, -1}, {0, 0});
  b.pad(b.input("empty", f32, {0, 3}), PadMode::Reflect, {1, 0}, {0, 0});
  b.topK(x, 4);
  b.sort(x, 2);
  b.cumulativeSum(x, -3);
  b.groupNorm(x, 2, x, x);
  b.rmsNorm(x, x);
  b.roll(x, 1, 2);
  EXPECT_TRUE(b.split(x, {1, 1}, 1).empty());
  b.triangle(b.input("v", f32, {3}), true);
  b.oneHot(x, 4);
  b.depthToSpace(x, 2);
  b.spaceToDepth(b.input("image", f32, {1, 1, 3, 4}), 2);
  Result<Model> model = b.finish();
  ASSERT_FALSE(model);
  const std::string text = model.error().text();
  for (const char *expected :
       {"tile(2x3 f32): there must be a count for each dimension", "a count is negative",
        "the result 4611686018427387904x2x8x3 has more than 64 TiB",
        "pad(2x3 f32): low and high need one entry for each dimension",
        "pad(2x3 f32): padding must not be negative",
        "pad(0x3 f32): dimension 0 has no elements to continue",
        "top_k(2x3 f32): there are no 4 of 3 elements",
        "sort(2x3 f32): (1) dimension 2 is not one of the operand's 2",
        "scan(2x3 f32): ", "group_norm(2x3 f32): needs", "rms_norm(2x3 f32, 2x3 f32): the scale",
        "roll(2x3 f32): there is no dimension 2",
        "split(2x3 f32): sizes [1, 1] do not fill dimension 1",
        "triangle(3 f32): the operand needs two dimensions",
        "one_hot(2x3 f32): indices must be integers", "depth_to_space(2x3 f32): needs",
        "space_to_depth(1x1x3x4 f32): needs"})
    EXPECT_NE(text.find(expected), std::string::npos) << expected << "\n" << text;
}

} // namespace
} // namespace ingot
