/// RotaryEmbedding, AffineGrid, DeformConv, Col2Im and CenterCropPad beside loops over scalars, as
/// ONNX defines them, on random values and shapes.
#include "frontend/api/Ingot.h"
#include "frontend/onnx/Import.h"
#include "test/frontend/onnx/OnnxBytes.h"
#include <cmath>
#include <functional>
#include <gtest/gtest.h>
#include <random>

namespace ingot::onnx {
namespace {

using namespace test;

class Geometry : public testing::Test {
protected:
  int64_t between(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  }
  std::vector<float> some(const Shape &shape) {
    std::vector<float> values(size_t(elementCount(shape)));
    for (float &value : values)
      value = std::uniform_real_distribution<float>(-1.5f, 1.5f)(random);
    return values;
  }
  /// An operand that the model holds, or gets.
  void give(std::string_view name, const Shape &shape, const std::vector<float> &values) {
    graph.message(11, port(name, shape));
    Tensor tensor(ElementType::F32, shape);
    std::copy(values.begin(), values.end(), tensor.as<float>());
    inputs.emplace(name, tensor);
  }
  /// Compares y with what `expected` says of each element, by its place.
  void check(const Bytes &node, const Shape &shape,
             const std::function<double(const Shape &)> &expected) {
    graph.message(1, node).message(12, port("y", {}));
    Result<Model> model = importModel(open(test::model(graph, 23)));
    ASSERT_TRUE(model) << model.error().text();
    for (const char *device : {"cpu", "reference"}) {
      Result<CompiledProgram> program =
          model->compile({.device = device, .threads = 1, .cache = false});
      ASSERT_TRUE(program) << program.error().text();
      Result<Tensors> results = program->run(inputs);
      ASSERT_TRUE(results) << results.error().text();
      const Tensor &y = results->at("y");
      ASSERT_EQ(y.shape(), shape);
      for (int64_t i = 0; i < y.size(); ++i) {
        Shape place(shape.size());
        for (int64_t rest = i, d = int64_t(shape.size()); d-- > 0; rest /= shape[size_t(d)])
          place[size_t(d)] = rest % shape[size_t(d)];
        ASSERT_NEAR(y.as<float>()[i], expected(place), 2e-4)
            << device << " " << toString(place) << ", seed " << seed;
      }
    }
  }
  void restart() { graph = Bytes(), inputs.clear(); }

  const uint64_t seed = std::getenv("INGOT_TEST_SEED") ? std::stoull(std::getenv("INGOT_TEST_SEED"))
                                                       : std::random_device()();
  std::mt19937_64 random{seed};
  Bytes graph;
  Tensors inputs;
};

TEST_F(Geometry, RotaryEmbedding) {
  for (bool isInterleaved : {false, true})
    for (bool isFlat : {false, true}) {
      restart();
      const int64_t batch = between(1, 2), heads = between(1, 3), steps = between(1, 5),
                    half = between(1, 3), size = 2 * half + 2 * between(0, 1);
      const Shape shape =
          isFlat ? Shape{batch, steps, heads * size} : Shape{batch, heads, steps, size};
      const auto x = some(shape), cos = some({7, half}), sin = some({7, half});
      std::vector<int64_t> positions;
      for (int64_t i = 0; i < batch * steps; ++i)
        positions.push_back(between(0, 6));
      give("x", shape, x), give("cos", {7, half}, cos), give("sin", {7, half}, sin);
      graph.message(5, integers("positions", {batch, steps}, positions));
      Bytes op = node("RotaryEmbedding", {"x", "cos", "sin", "positions"}, {"y"});
      op.message(5, integerAttribute("interleaved", isInterleaved));
      op.message(5, integerAttribute("rotary_embedding_dim", 2 * half));
      if (isFlat)
        op.message(5, integerAttribute("num_heads", heads));
      check(op, shape, [&](const Shape &at) {
        const int64_t step = isFlat ? at[1] : at[2], head = isFlat ? at[2] / size : at[1],
                      i = isFlat ? at[2] % size : at[3];
        auto element = [&](int64_t e) {
          return double(x[size_t(isFlat ? (at[0] * steps + step) * heads * size + head * size + e
                                        : ((at[0] * heads + head) * steps + step) * size + e)]);
        };
        if (i >= 2 * half)
          return element(i);
        const int64_t pair = isInterleaved ? i / 2 : i % half;
        const bool isSecond = isInterleaved ? i % 2 : i >= half;
        const double a = element(isInterleaved ? 2 * pair : pair),
                     b = element(isInterleaved ? 2 * pair + 1 : pair + half);
        const auto angle = size_t(positions[size_t(at[0] * steps + step)] * half + pair);
        return isSecond ? sin[angle] * a + cos[angle] * b : cos[angle] * a - sin[angle] * b;
      });
    }
}

TEST_F(Geometry, AffineGrid) {
  for (bool aligns : {false, true}) {
    restart();
    const int64_t batch = between(1, 3), rows = between(2, 6), columns = between(2, 6);
    const auto theta = some({batch, 2, 3});
    give("theta", {batch, 2, 3}, theta);
    graph.message(5, integers("size", {4}, {batch, 2, rows, columns}));
    check(node("AffineGrid", {"theta", "size"}, {"y"})
              .message(5, integerAttribute("align_corners", aligns)),
          {batch, rows, columns, 2}, [&](const Shape &at) {
            auto place = [&](int64_t i, int64_t size) {
              return aligns ? -1 + 2.0 * double(i) / double(size - 1)
                            : -1 + (2.0 * double(i) + 1) / double(size);
            };
            const float *row = &theta[size_t(at[0] * 6 + at[3] * 3)];
            return row[0] * place(at[2], columns) + row[1] * place(at[1], rows) + row[2];
          });
  }
}

// 3071.5, between two pixels, is no number of f16.
TEST_F(Geometry, GridSampleOfNarrowFloats) {
  constexpr int64_t width = 4096;
  std::vector<float> pixels(width);
  for (int64_t i = 0; i < width; ++i)
    pixels[size_t(i)] = float(i % 2);
  give("x", {1, 1, 1, width}, pixels), give("grid", {1, 1, 1, 2}, {0.5f, 0});
  for (const char *name : {"x", "grid"})
    graph.message(1, node("Cast", {name}, {fmt::format("{}16", name)})
                         .message(5, integerAttribute("to", /*f16*/ 10)));
  graph.message(1, node("GridSample", {"x16", "grid16"}, {"y16"}));
  check(node("Cast", {"y16"}, {"y"}).message(5, integerAttribute("to", /*f32*/ 1)), {1, 1, 1, 1},
        [](const Shape &) { return 0.5; });
}

TEST_F(Geometry, DeformConv) {
  for (bool hasMask : {false, true}) {
    restart();
    const int64_t groups = between(1, 2), parts = between(1, 2), channels = 4,
                  outputs = groups * between(1, 2), size = between(4, 6), stride = between(1, 2),
                  k = between(1, 3), out = (size + 2 - k) / stride + 1, points = k * k;
    const Shape image = {2, channels, size, size}, kernel = {outputs, channels / groups, k, k},
                moves = {2, 2 * parts * points, out, out}, shares = {2, parts * points, out, out};
    const auto x = some(image), w = some(kernel), offsets = some(moves), mask = some(shares),
               bias = some({outputs});
    give("x", image, x), give("w", kernel, w), give("o", moves, offsets),
        give("b", {outputs}, bias);
    if (hasMask)
      give("m", shares, mask);
    Bytes op = node("DeformConv", {"x", "w", "o", "b", hasMask ? "m" : ""}, {"y"});
    op.message(5, integersAttribute("strides", {stride, stride}));
    op.message(5, integersAttribute("pads", {1, 1, 1, 1}));
    op.message(5, integerAttribute("group", groups));
    op.message(5, integerAttribute("offset_group", parts));
    check(op, {2, outputs, out, out}, [&](const Shape &at) {
      double sum = bias[size_t(at[1])];
      for (int64_t c = 0; c < channels / groups; ++c)
        for (int64_t p = 0; p < points; ++p) {
          const int64_t channel = at[1] / (outputs / groups) * (channels / groups) + c,
                        part = channel / (channels / parts);
          auto moved = [&](int64_t axis) {
            return double(
                offsets[size_t((((at[0] * parts + part) * points + p) * 2 + axis) * out * out +
                               at[2] * out + at[3])]);
          };
          const double row = double(at[2] * stride - 1 + p / k) + moved(0),
                       column = double(at[3] * stride - 1 + p % k) + moved(1);
          auto pixel = [&](double r, double q) {
            const bool isInside = r >= 0 && r < double(size) && q >= 0 && q < double(size);
            return isInside
                       ? double(x[size_t(((at[0] * channels + channel) * size + int64_t(r)) * size +
                                         int64_t(q))])
                       : 0;
          };
          const double top = std::floor(row), left = std::floor(column), down = row - top,
                       right = column - left;
          double value = (1 - down) * (1 - right) * pixel(top, left) +
                         (1 - down) * right * pixel(top, left + 1) +
                         down * (1 - right) * pixel(top + 1, left) +
                         down * right * pixel(top + 1, left + 1);
          if (hasMask)
            value *= mask[size_t(((at[0] * parts + part) * points + p) * out * out + at[2] * out +
                                 at[3])];
          sum += value * w[size_t((at[1] * (channels / groups) + c) * points + p)];
        }
      return sum;
    });
  }
}

TEST_F(Geometry, Col2Im) {
  const int64_t rows = between(4, 6), columns = between(4, 6), k = between(1, 3),
                stride = between(1, 2), down = (rows + 1 - k) / stride + 1,
                right = (columns - k) / stride + 1;
  const Shape shape = {2, 3 * k * k, down * right};
  const auto x = some(shape);
  give("x", shape, x);
  graph.message(5, integers("image", {2}, {rows, columns}));
  graph.message(5, integers("block", {2}, {k, k}));
  check(node("Col2Im", {"x", "image", "block"}, {"y"})
            .message(5, integersAttribute("strides", {stride, stride}))
            .message(5, integersAttribute("pads", {1, 0, 0, 0})),
        {2, 3, rows, columns}, [&](const Shape &at) {
          double sum = 0;
          for (int64_t window = 0; window < down * right; ++window)
            for (int64_t p = 0; p < k * k; ++p)
              if (window / right * stride + p / k - 1 == at[2] &&
                  window % right * stride + p % k == at[3])
                sum += x[size_t((at[0] * 3 * k * k + at[1] * k * k + p) * down * right + window)];
          return sum;
        });
}

TEST_F(Geometry, CenterCropPad) {
  for (int trial = 0; trial < 4; ++trial) {
    restart();
    const int64_t rows = between(1, 7), columns = between(1, 7);
    const Shape to = {between(1, 7), between(1, 7)};
    const auto x = some({rows, columns});
    give("x", {rows, columns}, x);
    graph.message(5, integers("to", {2}, to));
    check(node("CenterCropPad", {"x", "to"}, {"y"}), to, [&](const Shape &at) {
      auto from = [](int64_t place, int64_t old, int64_t size) {
        return size < old ? place + (old - size) / 2 : place - (size - old) / 2;
      };
      const int64_t row = from(at[0], rows, to[0]), column = from(at[1], columns, to[1]);
      const bool isThere = row >= 0 && row < rows && column >= 0 && column < columns;
      return isThere ? double(x[size_t(row * columns + column)]) : 0;
    });
  }
}

} // namespace
} // namespace ingot::onnx
