/// Batches that are filled up to buckets of rows, and the proof that this changes no result.
#include "frontend/api/ModelModule.h"
#include "frontend/api/RowStructure.h"
#include "test/frontend/api/DynamicModels.h"
#include <cmath>
#include <cstring>

namespace ingot::test {
namespace {

using namespace onnx::test;

bool sameBits(const Tensor &a, const Tensor &b) {
  return a.type() == b.type() && a.shape() == b.shape() &&
         std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

TEST(Buckets, ProgramsForPowersOfTwoGiveTheSameBits) {
  DynamicModel padded = opened(layer(-1), quick(Buckets::PowersOfTwo)), exact = opened(layer(-1));
  for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 11, 3, 7, 13})
    EXPECT_TRUE(sameBits(padded.run({{"x", numbers({rows, 3})}})->at("y"),
                         exact.run({{"x", numbers({rows, 3})}})->at("y")))
        << rows << " rows";
  EXPECT_EQ(exact.counts().compilations, 10);
  EXPECT_EQ(padded.counts().compilations, 5); // 1, 2, 4, 8, 16
  EXPECT_EQ(padded.counts().padded, 8);
}

TEST(Buckets, AreWhatIsPrepared) {
  DynamicModel dynamic = opened(layer(-1), quick(Buckets::PowersOfTwo));
  ASSERT_TRUE(dynamic.prepare({{"x", {3, 3}}}));
  EXPECT_EQ(dynamic.counts().compilations, 1);
  for (const int64_t rows : {3, 4})
    ASSERT_TRUE(dynamic.run({{"x", numbers({rows, 3})}}));
  EXPECT_EQ(dynamic.counts().compilations, 1);
}

// Shapes are looked at once, while their number is bounded.
TEST(Buckets, ProofsAreKept) {
  DynamicModel dynamic = opened(layer(-1), quick(Buckets::PowersOfTwo, 1));
  for (const int64_t rows : {3, 3, 4, 3})
    ASSERT_TRUE(dynamic.run({{"x", numbers({rows, 3})}}));
  EXPECT_EQ(dynamic.counts().proofs, 2);
  for (int64_t rows = 65; rows < 65 + 63; ++rows)
    ASSERT_TRUE(dynamic.run({{"x", numbers({rows, 3})}}));
  EXPECT_EQ(dynamic.counts().proofs, 65);
  ASSERT_TRUE(dynamic.run({{"x", numbers({3, 3})}})); // used after 4
  EXPECT_EQ(dynamic.counts().proofs, 65);
  ASSERT_TRUE(dynamic.run({{"x", numbers({4, 3})}}));
  EXPECT_EQ(dynamic.counts().proofs, 66);
}

Bytes onRows(const Bytes &node) {
  return Bytes().message(1, node).message(11, port("x", {-1, 3})).message(12, port("y", {-1, 3}));
}

// Off by default; on, a model whose rows see each other is refused at its node.
TEST(Buckets, RowsThatDependOnEachOtherAreRefused) {
  const Bytes mean =
      node("ReduceMean", {"x"}, {"y"}, "mean").message(5, integersAttribute("axes", {0}));
  const Bytes softmax =
      node("Softmax", {"x"}, {"y"}, "soft").message(5, integerAttribute("axis", 0));
  const Bytes sum = node("CumSum", {"x", "zero"}, {"y"}, "sum");
  const Bytes first = node("Slice", {"x", "zeros", "ones", "zeros"}, {"y"}, "first");
  const Bytes turned = node("Transpose", {"x"}, {"t"}, "turn");
  auto more = [](Bytes graph) {
    return graph.message(5, integers("zero", {}, {0}))
        .message(5, integers("zeros", {1}, {0}))
        .message(5, integers("ones", {1}, {1}));
  };
  const std::vector<std::pair<Bytes, std::string>> cases = {
      {onRows(mean), "mean"},
      {onRows(softmax), "soft"},
      {more(onRows(sum)), "sum"},
      {more(onRows(first)), "first"},
      // x / rows: a number that depends on how many there are.
      {onRows(node("Shape", {"x"}, {"s"}))
           .message(1, node("Cast", {"s"}, {"f"}).message(5, integerAttribute("to", f32)))
           .message(1, node("ReduceMax", {"f"}, {"m"}))
           .message(1, node("Div", {"x", "m"}, {"y"}, "share")),
       "depends on the number of rows"},
      // Every row with every other.
      {onRows(turned).message(1, node("MatMul", {"x", "t"}, {"y"}, "gram")), "gram"}};
  for (const auto &[graph, place] : cases) {
    const Tensors inputs = {{"x", numbers({5, 3})}};
    EXPECT_TRUE(opened(graph).run(inputs)) << place;
    DynamicModel refusing = opened(graph, quick(Buckets::PowersOfTwo));
    Result<Tensors> outputs = refusing.run(inputs);
    ASSERT_FALSE(outputs) << place;
    EXPECT_EQ(outputs.error().code, Error::Code::Unsupported);
    EXPECT_NE(outputs.error().text().find(place), std::string::npos) << outputs.error().text();
    EXPECT_NE(outputs.error().text().find("its batch cannot be padded"), std::string::npos);
    Result<Tensors> again = refusing.run(inputs);
    ASSERT_FALSE(again) << place;
    EXPECT_EQ(again.error().text(), outputs.error().text());
    EXPECT_EQ(refusing.counts().proofs, 1);
  }
  Result<Tensors> fixed =
      opened(layer(3), quick(Buckets::PowersOfTwo)).run({{"x", numbers({3, 3})}});
  ASSERT_FALSE(fixed);
  EXPECT_NE(fixed.error().text().find("no first dimension of its inputs is open"),
            std::string::npos);
}

/// A model of every number of rows.
using Make = std::function<Model(int64_t rows)>;

Tensors inputsOf(const Model &model, int64_t rows) {
  Tensors inputs;
  for (const ModelPort &port : model.ports())
    if (port.role == Role::Input) {
      Tensor tensor(port.type, port.shape);
      const int64_t each = tensor.size() / port.shape[0];
      for (int64_t i = 0; i < tensor.size(); ++i) {
        // Rows beyond `rows` repeat the last one.
        const int64_t at = std::min(i / each, rows - 1) * each + i % each;
        if (port.type == ElementType::F32)
          tensor.as<float>()[i] = std::sin(float(at * 31 % 101));
        else
          tensor.as<int32_t>()[i] = int32_t(at * 7 % 13);
      }
      inputs[port.name] = tensor;
    }
  return inputs;
}

Result<RowStructure> structureFor(const Make &make, int64_t rows, int64_t bucket) {
  const Model few = make(rows), many = make(bucket);
  auto exact = runStages(Stage::Graph, moduleOf(few), {}),
       padded = runStages(Stage::Graph, moduleOf(many), {});
  EXPECT_TRUE(exact && padded);
  return structureOf({**exact, **padded, rows, bucket});
}

/// Compares so many of four numbers of rows; others are no bucket's.
int expectSameBits(const Make &make, std::string_view what, int atLeast) {
  int compared = 0;
  for (const auto &[rows, bucket] :
       std::vector<std::pair<int64_t, int64_t>>{{3, 4}, {5, 8}, {7, 8}, {9, 16}}) {
    Result<RowStructure> structure = structureFor(make, rows, bucket);
    EXPECT_TRUE(structure) << what << ": " << structure.error().text();
    if (!structure || structure->mayRoundOtherwise)
      continue;
    ++compared;
    const Options options{.threads = 1, .cache = false, .tuned = false, .packWeights = false};
    const Model few = make(rows), many = make(bucket);
    Tensors exact = few.compile(options)->run(inputsOf(few, rows)).value(),
            padded = many.compile(options)->run(inputsOf(many, rows)).value();
    for (const auto &[name, value] : exact) {
      EXPECT_TRUE(structure->outputs.contains(name)) << what;
      EXPECT_EQ(structure->outputs[name], 0) << what;
      EXPECT_EQ(std::memcmp(value.data(), padded.at(name).data(), value.bytes()), 0)
          << what << ": " << name << ", " << rows << " rows in " << bucket;
    }
  }
  EXPECT_GE(compared, atLeast) << what;
  return compared;
}

Model built(const std::function<void(Builder &)> &fill) {
  Builder b;
  fill(b);
  return b.finish().value();
}

TEST(Buckets, FamiliesKeepRowsApart) {
  expectSameBits(
      [](int64_t rows) { return *Model::mlp({.layers = {40, 70, 33, 10}, .batch = rows}); }, "mlp",
      3);
  expectSameBits(
      [](int64_t rows) {
        return *Model::gpt({.layers = 1,
                            .heads = 4,
                            .width = 32,
                            .sequence = 24,
                            .vocabulary = 50,
                            .batch = rows});
      },
      "gpt", 3);
}

TEST(Buckets, ConvolutionsKeepImagesApart) {
  expectSameBits(
      [](int64_t rows) {
        return built([&](Builder &b) {
          auto x = b.input("x", ElementType::F32, {rows, 3, 14, 14});
          auto weight = [&](const char *name, Shape shape) {
            return b.parameter(name, shape, Initializer::normal(0.3));
          };
          auto h = b.relu(b.convolution(x, weight("w0", {24, 3, 3, 3}), weight("b0", {24}),
                                        {.low = {1, 1}, .high = {1, 1}}));
          h = b.groupNorm(h, 4, weight("s", {24}), weight("t", {24}));
          h = b.maxPool(h, {.sizes = {2, 2}, .strides = {2, 2}});
          h = b.convolution(h, weight("w1", {24, 1, 3, 3}), weight("b1", {24}), {.groups = 24});
          h = b.convolution(h, weight("w2", {40, 24, 1, 1}), weight("b2", {40}));
          h = b.softmax(b.mean(h, {2, 3}));
          b.output("y", b.linear(h, weight("w3", {10, 40}), weight("b3", {10})));
        });
      },
      "cnn", 2);
}

// Sums of few elements, or for few results, are what kernels walk in ways of their own.
TEST(Buckets, SmallSumsKeepRowsApart) {
  auto input = [](Builder &b, const char *name, Shape shape) {
    return b.input(name, ElementType::F32, std::move(shape));
  };
  auto weight = [](Builder &b, Shape shape) {
    return b.parameter("w", std::move(shape), Initializer::normal(0.3));
  };
  // Up to 16 sums may be made at once, whatever rows they are of.
  auto larger = [](int64_t sums) {
    return std::ranges::count_if(std::array{3, 5, 7, 9},
                                 [&](int rows) { return rows * sums > 16; });
  };
  for (const auto &[channels, side] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 2}, {2, 1}, {2, 3}})
    EXPECT_EQ(expectSameBits(
                  [&](int64_t rows) {
                    return built([&](Builder &b) {
                      b.output("y",
                               b.convolution(input(b, "x", {rows, channels, side, side}),
                                             weight(b, {channels, 1, 3, 3}), Builder::Value(),
                                             {.low = {1, 1}, .high = {1, 1}, .groups = channels}));
                    });
                  },
                  fmt::format("{} channels of side {}", channels, side), 0),
              larger(channels * side * side));
  for (const int64_t kept : {2, 6})
    EXPECT_EQ(expectSameBits(
                  [&](int64_t rows) {
                    return built([&](Builder &b) {
                      auto x = b.transpose(input(b, "x", {rows, 50, kept}), {0, 2, 1}),
                           y = b.transpose(input(b, "y", {rows, 50, kept}), {0, 2, 1});
                      b.output("z", b.sum(b.mul(x, y), {2}));
                    });
                  },
                  fmt::format("{} products of moved factors", kept), 0),
              larger(kept));
  for (const int64_t kept : {2, 6})
    EXPECT_EQ(expectSameBits(
                  [&](int64_t rows) {
                    return built([&](Builder &b) {
                      b.output("z", b.sum(b.mul(b.abs(b.mul(input(b, "x", {rows, kept, 50}),
                                                            weight(b, {kept, 50}))),
                                                input(b, "y", {rows, 1, 50})),
                                          {2}));
                    });
                  },
                  fmt::format("{} products of shared factors", kept), 0),
              larger(kept));
}

TEST(Buckets, LoopsAreNotFollowed) {
  Result<RowStructure> structure = structureFor(
      [](int64_t rows) {
        return built([&](Builder &b) {
          auto x = b.input("x", ElementType::F32, {rows, 4});
          b.output("y", b.loop(3, std::vector{x}, [&](Builder::Value, auto carried) {
            return std::vector{b.tanh(carried[0])};
          })[0]);
        });
      },
      3, 4);
  ASSERT_FALSE(structure);
  EXPECT_NE(structure.error().text().find("rows are not followed into loops"), std::string::npos);
}

} // namespace
} // namespace ingot::test
