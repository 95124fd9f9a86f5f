/// Ops whose results are as large as data decide, and others that conformance says little of,
/// beside loops over scalars on fresh random inputs.
#include "frontend/api/Ingot.h"
#include "frontend/onnx/Import.h"
#include "test/frontend/onnx/OnnxBytes.h"
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <gtest/gtest.h>
#include <random>

namespace ingot::onnx {
namespace {

using namespace test;

class OnnxCounted : public testing::Test {
protected:
  std::mt19937_64 random{std::random_device()()};

  /// Whole numbers from 0 to below `end`.
  Tensor some(const Shape &shape, int end) {
    Tensor tensor(ElementType::F32, shape);
    for (int64_t i = 0; i < tensor.size(); ++i)
      tensor.as<float>()[i] = float(random() % uint64_t(end));
    return tensor;
  }
  Tensor uniform(const Shape &shape, float low, float high) {
    Tensor tensor(ElementType::F32, shape);
    for (int64_t i = 0; i < tensor.size(); ++i)
      tensor.as<float>()[i] = std::uniform_real_distribution<float>(low, high)(random);
    return tensor;
  }
};

int typeOf(const Tensor &tensor) {
  return tensor.type() == ElementType::I64 ? i64 : tensor.type() == ElementType::I1 ? 9 : f32;
}

/// What nodes give for inputs of these values, which the compiler does not know.
Tensors run(const std::vector<Bytes> &nodes, const Tensors &inputs,
            const std::vector<std::string_view> &outputs,
            const std::vector<Bytes> &initializers = {}, int64_t opset = 18) {
  Bytes graph;
  for (const Bytes &node : nodes)
    graph.message(1, node);
  for (const Bytes &initializer : initializers)
    graph.message(5, initializer);
  for (const auto &[name, value] : inputs)
    graph.message(11, port(name, value.shape(), typeOf(value)));
  for (std::string_view output : outputs)
    graph.message(12, port(output, {}));
  Result<Model> model = importModel(open(test::model(graph, opset)));
  EXPECT_TRUE(model) << model.error().text();
  if (!model)
    return {};
  Result<CompiledProgram> program = model->compile({.threads = 1, .cache = false});
  EXPECT_TRUE(program) << program.error().text();
  Result<Tensors> results = program ? program->run(inputs) : Tensors();
  EXPECT_TRUE(results) << results.error().text();
  return results ? *results : Tensors();
}

std::vector<int64_t> integersOf(const Tensor &tensor) {
  return {tensor.as<int64_t>(), tensor.as<int64_t>() + tensor.size()};
}
std::vector<float> floatsOf(const Tensor &tensor) {
  return {tensor.as<float>(), tensor.as<float>() + tensor.size()};
}

TEST_F(OnnxCounted, NonZero) {
  for (const Shape &shape : {Shape{7}, Shape{5, 9}, Shape{3, 40, 11}, Shape{90, 70}})
    for (int end : {1, 2, 20}) {
      const Tensor x = some(shape, end);
      std::vector<std::vector<int64_t>> places(shape.size());
      for (int64_t i = 0; i < x.size(); ++i) {
        int64_t rest = i;
        for (size_t d = shape.size(); x.as<float>()[i] != 0 && d-- > 0; rest /= shape[d])
          places[d].push_back(rest % shape[d]);
      }
      std::vector<int64_t> expected;
      for (const auto &along : places)
        expected.insert(expected.end(), along.begin(), along.end());
      const Tensors results = run({node("NonZero", {"x"}, {"y"})}, {{"x", x}}, {"y"});
      ASSERT_TRUE(results.contains("y"));
      EXPECT_EQ(results.at("y").shape(), (Shape{int64_t(shape.size()), int64_t(places[0].size())}));
      EXPECT_EQ(integersOf(results.at("y")), expected);
      EXPECT_EQ(*results.at("y.count").as<int64_t>(), int64_t(places[0].size()));
    }
}

TEST_F(OnnxCounted, CompressByWhatIsComputed) {
  const Tensor x = some({6, 9, 4}, 50), sign = uniform({5}, -1, 1);
  std::vector<float> expected;
  int64_t count = 0;
  for (int64_t k = 0; k < 5; ++k)
    count += sign.as<float>()[k] > 0;
  for (int64_t i = 0; i < 6; ++i)
    for (int64_t j = 0; j < 5; ++j)
      for (int64_t k = 0; sign.as<float>()[j] > 0 && k < 4; ++k)
        expected.push_back(x.as<float>()[(i * 9 + j) * 4 + k]);
  const Tensors results =
      run({node("Greater", {"sign", "zero"}, {"keep"}),
           node("Compress", {"x", "keep"}, {"y"}).message(5, integerAttribute("axis", 1))},
          {{"x", x}, {"sign", sign}}, {"y"}, {floats("zero", {}, {0})});
  EXPECT_EQ(results.at("y").shape(), (Shape{6, count, 4}));
  EXPECT_EQ(floatsOf(results.at("y")), expected);
}

// What consumes a counted tensor element by element, or as indices, is counted as well.
TEST_F(OnnxCounted, PaddingIsNeverSeen) {
  const Tensor x = some({8, 6}, 3);
  const Tensors results =
      run({node("NonZero", {"x"}, {"places"}), node("Transpose", {"places"}, {"tuples"}),
           node("GatherND", {"x", "tuples"}, {"values"}), node("Exp", {"values"}, {"e"}),
           node("Add", {"e", "one"}, {"y"})},
          {{"x", x}}, {"y", "tuples"}, {floats("one", {}, {1})});
  std::vector<float> expected;
  for (int64_t i = 0; i < x.size(); ++i)
    if (x.as<float>()[i] != 0)
      expected.push_back(std::exp(x.as<float>()[i]) + 1);
  ASSERT_EQ(results.at("y").shape(), (Shape{int64_t(expected.size())}));
  EXPECT_EQ(results.at("tuples").shape(), (Shape{int64_t(expected.size()), 2}));
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_FLOAT_EQ(results.at("y").as<float>()[i], expected[i]);
}

// Reductions, sizes and scattering count what is there, however much room there is beside it.
TEST_F(OnnxCounted, PaddingCountsNothing) {
  for (int end : {2, 1, 30}) { // 1: there is nothing
    const Tensor x = some({9, 5}, end), base = uniform({9, 5}, -2, 2);
    std::vector<float> there;
    for (float value : floatsOf(x))
      if (value != 0)
        there.push_back(-1 - value);
    auto reduced = [&](float start, auto combine) {
      for (float value : there)
        start = combine(start, value);
      return start;
    };
    std::vector<Bytes> nodes = {node("NonZero", {"x"}, {"places"}),
                                node("Transpose", {"places"}, {"tuples"}),
                                node("GatherND", {"x", "tuples"}, {"values"}),
                                node("Sub", {"minus", "values"}, {"v"}),
                                node("Unsqueeze", {"v", "one"}, {"column"}),
                                node("Squeeze", {"column", "one"}, {"back"}),
                                node("Shape", {"tuples"}, {"shape"}),
                                node("Size", {"tuples"}, {"size"}),
                                node("Slice", {"tuples", "one", "two", "one"}, {"right"}),
                                node("ReduceSum", {"right"}, {"rightSum"})};
    std::vector<std::string_view> outputs = {"shape", "size", "rightSum"};
    for (std::string_view op : {"ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceMean",
                                "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp"}) {
      nodes.push_back(
          node(op, {"column", "zero"}, {op}).message(5, integerAttribute("keepdims", 0)));
      outputs.push_back(op);
    }
    nodes.push_back(
        node("ReduceSum", {"column", "one"}, {"rows"}).message(5, integerAttribute("keepdims", 0)));
    nodes.push_back(node("ReduceMax", {"places", "one"}, {"last"}));
    for (const char *reduction : {"none", "add", "mul", "min", "max"}) {
      nodes.push_back(node("ScatterND", {"base", "tuples", "back"}, {reduction})
                          .message(5, textAttribute("reduction", reduction)));
      outputs.push_back(reduction);
    }
    outputs.insert(outputs.end(), {"rows", "last"});
    const Tensors results = run(nodes, {{"x", x}, {"base", base}}, outputs,
                                {floats("minus", {}, {-1}), integers("zero", {1}, {0}),
                                 integers("one", {1}, {1}), integers("two", {1}, {2})});
    ASSERT_TRUE(results.contains("shape"));
    const auto count = int64_t(there.size());
    EXPECT_EQ(integersOf(results.at("shape")), (std::vector<int64_t>{count, 2}));
    EXPECT_EQ(integersOf(results.at("size")), (std::vector<int64_t>{2 * count}));
    EXPECT_EQ(floatsOf(results.at("rows")), there);
    const float sum = reduced(0, std::plus()), infinity = INFINITY;
    auto square = [](float a, float b) { return a + b * b; };
    auto expect = [&](std::string_view op, float wanted) {
      EXPECT_FLOAT_EQ(results.at(std::string(op)).as<float>()[0], wanted) << op << count;
    };
    expect("ReduceSum", sum);
    expect("ReduceMax", reduced(-infinity, [](float a, float b) { return std::max(a, b); }));
    expect("ReduceMin", reduced(infinity, [](float a, float b) { return std::min(a, b); }));
    expect("ReduceProd", reduced(1, std::multiplies()));
    expect("ReduceL1", -sum);
    expect("ReduceSumSquare", reduced(0, square));
    expect("ReduceL2", std::sqrt(reduced(0, square)));
    if (count > 0) {
      expect("ReduceMean", sum / float(count));
      double exps = 0; // many terms in f32 are as far from this as the program's
      for (float value : there)
        exps += std::exp(double(value));
      expect("ReduceLogSumExp", float(std::log(exps)));
    }
    int64_t columns = 0;
    std::vector<std::vector<float>> scattered(5, floatsOf(base));
    for (int64_t i = 0; i < x.size(); ++i)
      if (const float value = x.as<float>()[i]; value != 0) {
        columns += i % 5;
        const float old = base.as<float>()[i], update = -1 - value;
        scattered[0][size_t(i)] = update;
        scattered[1][size_t(i)] = old + update;
        scattered[2][size_t(i)] = old * update;
        scattered[3][size_t(i)] = std::min(old, update);
        scattered[4][size_t(i)] = std::max(old, update);
      }
    EXPECT_EQ(integersOf(results.at("rightSum")), (std::vector<int64_t>{columns}));
    size_t row = 0;
    for (const char *reduction : {"none", "add", "mul", "min", "max"})
      EXPECT_EQ(floatsOf(results.at(reduction)), scattered[row++]) << reduction;
  }
}

TEST(OnnxCountedRefusals, WhatWouldSeePaddingIsRefused) {
  Bytes graph = Bytes()
                    .message(1, node("NonZero", {"x"}, {"places"}))
                    .message(1, node("Softmax", {"places"}, {"y"}, "top"))
                    .message(11, port("x", {4}))
                    .message(12, port("y", {}));
  Result<Model> model = importModel(open(test::model(graph)));
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().text(), "m.onnx: 1 node cannot be imported:\n  top (Softmax, opset 18): "
                                  "its input 0 has a size that depends on data");
}

TEST_F(OnnxCounted, Unique) {
  struct Case {
    Shape shape;
    std::optional<int64_t> axis;
  };
  for (const Case &c : {Case{{13}, {}}, Case{{4, 9}, {}}, Case{{9, 2}, 0}, Case{{2, 8}, 1},
                        Case{{2, 7, 3}, 1}, Case{{3, 2, 6}, -1}, Case{{1}, 0}})
    for (bool isSorted : {false, true}) {
      const Tensor x = some(c.shape, 3);
      Shape shape = c.axis ? c.shape : Shape{x.size()};
      const int64_t axis = c.axis ? (*c.axis + int64_t(shape.size())) % int64_t(shape.size()) : 0;
      const int64_t n = shape[size_t(axis)];
      int64_t outer = 1, inner = 1;
      for (int64_t i = 0; i < int64_t(shape.size()); ++i)
        (i < axis ? outer : inner) *= i == axis ? 1 : shape[size_t(i)];
      std::vector<std::vector<float>> rows(static_cast<size_t>(n));
      for (int64_t i = 0; i < n; ++i)
        for (int64_t o = 0; o < outer; ++o)
          for (int64_t k = 0; k < inner; ++k)
            rows[size_t(i)].push_back(x.as<float>()[(o * n + i) * inner + k]);
      std::vector<std::vector<float>> kept;
      for (const auto &row : rows)
        if (std::ranges::find(kept, row) == kept.end())
          kept.push_back(row);
      if (isSorted)
        std::ranges::sort(kept);
      std::vector<int64_t> firsts, inverse, counts;
      for (const auto &row : kept) {
        firsts.push_back(std::ranges::find(rows, row) - rows.begin());
        counts.push_back(std::ranges::count(rows, row));
      }
      for (const auto &row : rows)
        inverse.push_back(std::ranges::find(kept, row) - kept.begin());
      std::vector<float> expected;
      for (int64_t o = 0; o < outer; ++o)
        for (const auto &row : kept)
          expected.insert(expected.end(), row.begin() + o * inner, row.begin() + (o + 1) * inner);

      Bytes unique = node("Unique", {"x"}, {"y", "first", "inverse", "count"})
                         .message(5, integerAttribute("sorted", isSorted));
      if (c.axis)
        unique.message(5, integerAttribute("axis", *c.axis));
      const Tensors results = run({unique}, {{"x", x}}, {"y", "first", "inverse", "count"});
      ASSERT_TRUE(results.contains("y"));
      shape[size_t(axis)] = int64_t(kept.size());
      EXPECT_EQ(results.at("y").shape(), shape);
      EXPECT_EQ(floatsOf(results.at("y")), expected) << toString(c.shape) << isSorted;
      EXPECT_EQ(integersOf(results.at("first")), firsts);
      EXPECT_EQ(integersOf(results.at("inverse")), inverse);
      EXPECT_EQ(integersOf(results.at("count")), counts);
    }
}

TEST_F(OnnxCounted, NonMaxSuppression) {
  constexpr int64_t batch = 2, classes = 3, n = 25, most = 6;
  const float overlap = 0.3f, least = 0.2f;
  const Tensor boxes = uniform({batch, n, 4}, 0, 1), scores = uniform({batch, classes, n}, 0, 1);
  std::vector<int64_t> expected;
  auto box = [&](int64_t b, int64_t i) {
    const float *p = boxes.as<float>() + (b * n + i) * 4;
    return std::array{std::min(p[0], p[2]), std::min(p[1], p[3]), std::max(p[0], p[2]),
                      std::max(p[1], p[3])};
  };
  auto covers = [&](const auto &a, const auto &b) {
    const float h = std::min(a[2], b[2]) - std::max(a[0], b[0]),
                w = std::min(a[3], b[3]) - std::max(a[1], b[1]);
    if (h <= 0 || w <= 0)
      return false;
    const float all = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - h * w;
    return h * w / all > overlap;
  };
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t k = 0; k < classes; ++k) {
      const float *own = scores.as<float>() + (b * classes + k) * n;
      std::vector<int64_t> order(n), chosen;
      for (int64_t i = 0; i < n; ++i)
        order[size_t(i)] = i;
      std::ranges::stable_sort(order, std::greater(), [&](int64_t i) { return own[i]; });
      for (int64_t i : order)
        if (own[i] > least && int64_t(chosen.size()) < most &&
            std::ranges::none_of(chosen, [&](int64_t j) { return covers(box(b, j), box(b, i)); })) {
          chosen.push_back(i);
          expected.insert(expected.end(), {b, k, i});
        }
    }
  const Tensors results =
      run({node("NonMaxSuppression", {"boxes", "scores", "most", "overlap", "least"}, {"y"})},
          {{"boxes", boxes}, {"scores", scores}}, {"y"},
          {integers("most", {1}, {most}), floats("overlap", {1}, {overlap}),
           floats("least", {1}, {least})});
  ASSERT_TRUE(results.contains("y"));
  EXPECT_EQ(results.at("y").shape(), (Shape{int64_t(expected.size()) / 3, 3}));
  EXPECT_EQ(integersOf(results.at("y")), expected);
}

//===--------------------------------------------------------------------------------------------===//
// Composed of other ops
//===--------------------------------------------------------------------------------------------===//

TEST_F(OnnxCounted, RunningSums) {
  for (int64_t size : {1, 5, 128, 129, 1000, 9001})
    for (int64_t isExclusive : {0, 1})
      for (int64_t isReverse : {0, 1}) {
        const Tensor x = some({2, size, 3}, 5);
        const Tensors results = run({node("CumSum", {"x", "axis"}, {"y"})
                                         .message(5, integerAttribute("exclusive", isExclusive))
                                         .message(5, integerAttribute("reverse", isReverse))},
                                    {{"x", x}}, {"y"}, {integers("axis", {}, {1})});
        for (int64_t column = 0; column < 6; ++column) {
          float sum = 0;
          for (int64_t i = 0; i < size; ++i) {
            const int64_t at =
                ((column / 3) * size + (isReverse ? size - 1 - i : i)) * 3 + column % 3;
            sum += isExclusive ? 0 : x.as<float>()[at];
            ASSERT_EQ(results.at("y").as<float>()[at], sum) << size << " " << i;
            sum += isExclusive ? x.as<float>()[at] : 0;
          }
        }
      }
}

/// By the sum over permutations.
double determinant(const std::vector<std::vector<double>> &m) {
  if (m.empty())
    return 1;
  double sum = 0;
  for (size_t j = 0; j < m.size(); ++j) {
    std::vector<std::vector<double>> rest(m.begin() + 1, m.end());
    for (auto &row : rest)
      row.erase(row.begin() + ptrdiff_t(j));
    sum += (j % 2 ? -1 : 1) * m[0][j] * determinant(rest);
  }
  return sum;
}

TEST_F(OnnxCounted, Determinants) {
  for (int64_t n : {1, 2, 3, 6}) {
    Tensor x = uniform({3, 2, n, n}, -1, 1);
    for (int64_t i = 0; i < n && n > 1; ++i) { // singular, and without a pivot on the diagonal
      x.as<float>()[i] = x.as<float>()[n + i];
      x.as<float>()[n * n + i * n + i] = 0;
    }
    const Tensors results = run({node("Det", {"x"}, {"y"})}, {{"x", x}}, {"y"});
    ASSERT_EQ(results.at("y").shape(), (Shape{3, 2}));
    for (int64_t b = 0; b < 6; ++b) {
      std::vector<std::vector<double>> m(static_cast<size_t>(n));
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j)
          m[size_t(i)].push_back(x.as<float>()[(b * n + i) * n + j]);
      EXPECT_NEAR(results.at("y").as<float>()[b], determinant(m), 1e-5) << n;
    }
  }
}

TEST_F(OnnxCounted, ScatteredProductsAndExtremes) {
  for (const char *reduction : {"mul", "min", "max"}) {
    const Tensor x = uniform({5, 4}, -2, 2), updates = uniform({9, 4}, -2, 2);
    std::vector<int64_t> places;
    std::vector<float> expected = floatsOf(x);
    for (int64_t i = 0; i < 9; ++i) {
      places.push_back(int64_t(random() % 5));
      for (int64_t k = 0; k < 4; ++k) {
        float &at = expected[size_t(places.back() * 4 + k)];
        const float u = updates.as<float>()[i * 4 + k];
        at = *reduction == 'm' && reduction[1] == 'u' ? at * u
             : reduction[1] == 'i'                    ? std::min(at, u)
                                                      : std::max(at, u);
      }
    }
    const Tensors results = run({node("ScatterND", {"x", "i", "u"}, {"y"})
                                     .message(5, textAttribute("reduction", reduction))},
                                {{"x", x}, {"u", updates}}, {"y"}, {integers("i", {9, 1}, places)});
    EXPECT_EQ(floatsOf(results.at("y")), expected) << reduction;
  }
}

TEST_F(OnnxCounted, RegionsOfImages) {
  constexpr int64_t channels = 3, height = 9, width = 7, rows = 2, columns = 3, count = 5;
  const Tensor x = uniform({2, channels, height, width}, -1, 1),
               regions = uniform({count, 4}, -3, 22);
  std::vector<int64_t> images;
  for (int64_t i = 0; i < count; ++i)
    images.push_back(int64_t(random() % 2));
  for (int64_t ratio : {0, 2})
    for (bool isMax : {false, true})
      for (bool isHalf : {false, true}) {
        const Tensors results =
            run({node("RoiAlign", {"x", "regions", "images"}, {"y"})
                     .message(5, integerAttribute("output_height", rows))
                     .message(5, integerAttribute("output_width", columns))
                     .message(5, integerAttribute("sampling_ratio", ratio))
                     .message(5, Bytes().text(1, "spatial_scale").real(2, 0.5f).number(20, 1))
                     .message(5, textAttribute("mode", isMax ? "max" : "avg"))
                     .message(5, textAttribute("coordinate_transformation_mode",
                                               isHalf ? "half_pixel" : "output_half_pixel"))},
                {{"x", x}, {"regions", regions}}, {"y"}, {integers("images", {count}, images)});
        ASSERT_TRUE(results.contains("y"));
        for (int64_t r = 0; r < count; ++r) {
          const float *corners = regions.as<float>() + r * 4;
          const double offset = isHalf ? 0.5 : 0;
          const double left = corners[0] * 0.5 - offset, top = corners[1] * 0.5 - offset;
          double w = corners[2] * 0.5 - offset - left, h = corners[3] * 0.5 - offset - top;
          if (!isHalf)
            w = std::max(w, 1.0), h = std::max(h, 1.0);
          const double binW = w / columns, binH = h / rows;
          const int64_t down = ratio ? ratio : std::max<int64_t>(int64_t(std::ceil(binH)), 1),
                        right = ratio ? ratio : std::max<int64_t>(int64_t(std::ceil(binW)), 1);
          for (int64_t c = 0; c < channels; ++c)
            for (int64_t i = 0; i < rows; ++i)
              for (int64_t j = 0; j < columns; ++j) {
                double total = isMax ? -INFINITY : 0;
                for (int64_t a = 0; a < down; ++a)
                  for (int64_t b = 0; b < right; ++b) {
                    double y = top + double(i) * binH + (double(a) + 0.5) * binH / double(down),
                           z = left + double(j) * binW + (double(b) + 0.5) * binW / double(right);
                    double parts[4] = {};
                    if (y >= -1 && y <= height && z >= -1 && z <= width) {
                      y = std::clamp<double>(y, 0, height - 1),
                      z = std::clamp<double>(z, 0, width - 1);
                      for (int corner = 0; corner < 4; ++corner) {
                        const double fy = y - std::floor(y), fz = z - std::floor(z);
                        const int64_t py = std::min<int64_t>(int64_t(y) + corner / 2, height - 1),
                                      pz = std::min<int64_t>(int64_t(z) + corner % 2, width - 1);
                        parts[corner] =
                            (corner / 2 ? fy : 1 - fy) * (corner % 2 ? fz : 1 - fz) *
                            x.as<float>()[((images[size_t(r)] * channels + c) * height + py) *
                                              width +
                                          pz];
                      }
                    }
                    total = isMax ? std::max(total, *std::ranges::max_element(parts))
                                  : total + parts[0] + parts[1] + parts[2] + parts[3];
                  }
                total /= isMax ? 1 : double(down * right);
                ASSERT_NEAR(
                    results.at("y").as<float>()[((r * channels + c) * rows + i) * columns + j],
                    total, 1e-4)
                    << ratio << isMax << isHalf << " region " << r;
              }
        }
      }
}

// Four heads of queries with two of keys, behind keys that are kept or among ones that are counted.
TEST_F(OnnxCounted, Attention) {
  constexpr int64_t batch = 2, heads = 4, keyHeads = 2, queries = 3, fresh = 5, size = 6, width = 3;
  for (const bool isCausal : {false, true})
    for (const int64_t past : {0, 2})
      for (const bool isCounted : {false, true}) {
        if (past && isCounted)
          continue;
        const int64_t keys = past + fresh;
        Tensors inputs{{"q", uniform({batch, queries, heads * size}, -1, 1)},
                       {"k", uniform({batch, fresh, keyHeads * size}, -1, 1)},
                       {"v", uniform({batch, fresh, keyHeads * width}, -1, 1)},
                       {"m", Tensor(ElementType::I1, {heads, 1, keys - 1})}};
        for (int64_t i = 0; i < heads * (keys - 1); ++i)
          inputs.at("m").as<uint8_t>()[i] = random() % 4 != 0;
        std::vector<std::string_view> names{"q", "k", "v", "m"};
        if (past) {
          inputs.emplace("pk", uniform({batch, keyHeads, past, size}, -1, 1));
          inputs.emplace("pv", uniform({batch, keyHeads, past, width}, -1, 1));
          names.insert(names.end(), {"pk", "pv"});
        }
        const int64_t counts[] = {4, 2};
        if (isCounted) {
          inputs.emplace("n", Tensor(ElementType::I64, {batch}));
          std::copy_n(counts, batch, inputs.at("n").as<int64_t>());
          names.insert(names.end(), {"", "", "n"});
        }
        const Bytes attention =
            node("Attention", names, {"y", "pko"})
                .message(5, integerAttribute("q_num_heads", heads))
                .message(5, integerAttribute("kv_num_heads", keyHeads))
                .message(5, integerAttribute("is_causal", isCausal))
                .message(5, Bytes().text(1, "softcap").real(2, 0.9f).number(20, 1));
        const Tensors results = run({attention}, inputs, {"y", "pko"}, {}, 24);
        ASSERT_TRUE(results.contains("y"));
        ASSERT_EQ(results.at("pko").shape(), (Shape{batch, keyHeads, keys, size}));
        auto at = [&](const char *now, const char *before, int64_t b, int64_t h, int64_t j,
                      int64_t d, int64_t columns) {
          return j < past
                     ? inputs.at(before).as<float>()[((b * keyHeads + h) * past + j) * columns + d]
                     : inputs.at(now)
                           .as<float>()[((b * fresh + j - past) * keyHeads + h) * columns + d];
        };
        for (int64_t b = 0; b < batch; ++b)
          for (int64_t h = 0; h < heads; ++h)
            for (int64_t i = 0; i < queries; ++i) {
              double total = 0, sums[width] = {};
              const int64_t offset = isCounted ? counts[b] - queries : past;
              for (int64_t j = 0; j < keys; ++j) {
                const bool isSeen = (!isCausal || j <= i + offset) &&
                                    (!isCounted || j < counts[b]) && j < keys - 1 &&
                                    inputs.at("m").as<uint8_t>()[h * (keys - 1) + j];
                if (!isSeen)
                  continue;
                double score = 0;
                for (int64_t d = 0; d < size; ++d)
                  score += inputs.at("q").as<float>()[((b * queries + i) * heads + h) * size + d] *
                           at("k", "pk", b, h / 2, j, d, size);
                const double share =
                    std::exp(0.9 * std::tanh(score / std::sqrt(double(size)) / 0.9));
                total += share;
                for (int64_t d = 0; d < width; ++d)
                  sums[d] += share * at("v", "pv", b, h / 2, j, d, width);
              }
              for (int64_t d = 0; d < width; ++d)
                ASSERT_NEAR(
                    results.at("y").as<float>()[((b * queries + i) * heads + h) * width + d],
                    total == 0 ? 0 : sums[d] / total, 1e-5)
                    << isCausal << past << isCounted << " query " << b << h << i;
            }
      }
}

} // namespace
} // namespace ingot::onnx
