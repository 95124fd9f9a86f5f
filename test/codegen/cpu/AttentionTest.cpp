#include "test/codegen/CompiledKernel.h"
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <random>

namespace ingot::test {
namespace {

using Matrix = std::vector<std::vector<double>>;

/// Attention of one pair of batch element and head, and its gradients, in plain loops.
struct Naive {
  Matrix result, queryGradient, keyGradient, valueGradient;
  std::vector<double> lse;

  Naive(const Matrix &query, const Matrix &key, const Matrix &value, double scale, bool causal,
        const Matrix &gradient) {
    size_t queries = query.size(), keys = key.size(), head = query[0].size(),
           valueHead = value[0].size();
    result.assign(queries, std::vector<double>(valueHead));
    queryGradient.assign(queries, std::vector<double>(head));
    keyGradient.assign(keys, std::vector<double>(head));
    valueGradient.assign(keys, std::vector<double>(valueHead));
    for (size_t i = 0; i < queries; ++i) {
      size_t seen = causal ? i + 1 + keys - queries : keys;
      std::vector<double> share(seen), change(seen);
      double total = 0, mean = 0;
      for (size_t j = 0; j < seen; ++j) {
        for (size_t d = 0; d < head; ++d)
          share[j] += query[i][d] * key[j][d];
        share[j] = std::exp(scale * share[j]);
        total += share[j];
      }
      lse.push_back(std::log(total));
      for (size_t j = 0; j < seen; ++j) {
        share[j] /= total;
        for (size_t d = 0; d < valueHead; ++d) {
          result[i][d] += share[j] * value[j][d];
          change[j] += gradient[i][d] * value[j][d];
          valueGradient[j][d] += share[j] * gradient[i][d];
        }
        mean += share[j] * change[j];
      }
      for (size_t j = 0; j < seen; ++j)
        for (size_t d = 0; d < head; ++d) {
          double score = scale * share[j] * (change[j] - mean);
          queryGradient[i][d] += score * key[j][d];
          keyGradient[j][d] += score * query[i][d];
        }
    }
  }
};

struct Case {
  int64_t batch = 1, heads = 1, queries = 1, keys = 1, head = 1, valueHead = 1;
  bool causal = true;
  const char *type = "f32";
  double scale = 0.4;

  Shape shape(int64_t sequence, int64_t width) const { return {batch, heads, sequence, width}; }
  std::string tensor(int64_t sequence, int64_t width) const {
    return fmt::format("tensor<{}x{}x{}x{}x{}>", batch, heads, sequence, width, type);
  }
  std::string lseType() const {
    return fmt::format("tensor<{}x{}x{}x{}>", batch, heads, queries, type);
  }
  ElementType element() const { return *parseElementType(type); }
  std::string name() const {
    return fmt::format("{} x {} pairs, {} queries, {} keys, head {} and {}, {}{}", batch, heads,
                       queries, keys, head, valueHead, type, causal ? ", causal" : "");
  }

  std::string forward() const {
    std::string q = tensor(queries, head), k = tensor(keys, head), v = tensor(keys, valueHead),
                o = tensor(queries, valueHead);
    return fmt::format(R"mlir(func.func private @k(%q: {0}, %k: {1}, %v: {2}) -> ({3}, {4})
    attributes {{graph.kernel = "attention"}} {{
  %o, %l = graph.attention %q, %k, %v scale {5:e} causal {6} : {0}, {1}, {2} -> {3}, {4}
  return %o, %l : {3}, {4}
}})mlir",
                       q, k, v, o, lseType(), scale, causal);
  }
  std::string backward() const {
    std::string q = tensor(queries, head), k = tensor(keys, head), v = tensor(keys, valueHead),
                o = tensor(queries, valueHead);
    return fmt::format(
        R"mlir(func.func private @k(%q: {0}, %k: {1}, %v: {2}, %o: {3}, %l: {4}, %g: {3}) -> ({0}, {1}, {2})
    attributes {{graph.kernel = "attention_backward"}} {{
  %dq, %dk, %dv = graph.attention_backward %q, %k, %v, %o, %l, %g scale {5:e} causal {6} : {0}, {1}, {2}, {3}, {4}, {3} -> {0}, {1}, {2}
  return %dq, %dk, %dv : {0}, {1}, {2}
}})mlir",
        q, k, v, o, lseType(), scale, causal);
  }
};

Matrix matrixOf(const Tensor &tensor, int64_t pair) {
  int64_t rows = tensor.shape()[2], columns = tensor.shape()[3];
  Matrix matrix(rows, std::vector<double>(columns));
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      matrix[i][j] = elementAt(tensor, (pair * rows + i) * columns + j);
  return matrix;
}

void expectNear(const Tensor &actual, int64_t pair, const Matrix &expected, double tolerance,
                const char *what) {
  Matrix found = matrixOf(actual, pair);
  for (size_t i = 0; i < expected.size(); ++i)
    for (size_t j = 0; j < expected[i].size(); ++j)
      ASSERT_NEAR(found[i][j], expected[i][j], tolerance * (1 + std::abs(expected[i][j])))
          << what << " of pair " << pair << " at " << i << ", " << j;
}

void setElement(Tensor &tensor, int64_t i, double value) {
  if (tensor.type() == ElementType::F64)
    tensor.as<double>()[i] = value;
  else
    tensor.as<float>()[i] = float(value);
}

void check(const Case &test, uint64_t seed) {
  SCOPED_TRACE(test.name());
  // Errors of scores grow with them, and the exponential turns them into relative ones.
  const double tolerance =
      (test.element() == ElementType::F64 ? 1e-12 : 3e-5) * std::max(1.0, test.scale);
  auto random = [&](int64_t sequence, int64_t width, int i) {
    return randomTensor(test.element(), test.shape(sequence, width), seed + i);
  };
  Tensor query = random(test.queries, test.head, 0), key = random(test.keys, test.head, 1),
         value = random(test.keys, test.valueHead, 2),
         gradient = random(test.queries, test.valueHead, 3);
  std::vector<Tensor> forward = CompiledKernel(test.forward()).run({query, key, value});
  Tensor output(test.element(), test.shape(test.queries, test.valueHead)),
      lse(test.element(), {test.batch, test.heads, test.queries});
  std::vector<Naive> expected;
  for (int64_t pair = 0; pair < test.batch * test.heads; ++pair) {
    expected.emplace_back(matrixOf(query, pair), matrixOf(key, pair), matrixOf(value, pair),
                          test.scale, test.causal, matrixOf(gradient, pair));
    expectNear(forward[0], pair, expected.back().result, tolerance, "result");
    for (int64_t i = 0; i < test.queries; ++i) {
      int64_t row = pair * test.queries + i;
      ASSERT_NEAR(elementAt(forward[1], row), expected.back().lse[i], 10 * tolerance)
          << "lse " << row;
      setElement(lse, row, expected.back().lse[i]);
      for (int64_t d = 0; d < test.valueHead; ++d)
        setElement(output, row * test.valueHead + d, expected.back().result[i][d]);
    }
  }
  // Gradients of query and key are sums of terms that the scale multiplies once more.
  const double scaled = tolerance * std::max(1.0, test.scale);
  std::vector<Tensor> backward =
      CompiledKernel(test.backward()).run({query, key, value, output, lse, gradient});
  for (int64_t pair = 0; pair < test.batch * test.heads; ++pair) {
    expectNear(backward[0], pair, expected[pair].queryGradient, scaled, "query gradient");
    expectNear(backward[1], pair, expected[pair].keyGradient, scaled, "key gradient");
    expectNear(backward[2], pair, expected[pair].valueGradient, tolerance, "value gradient");
  }
}

TEST(Attention, SmallAndOddShapes) {
  std::mt19937_64 generator(testSeed());
  check({1, 1, 1, 1, 1, 1, true}, generator());
  check({2, 3, 17, 17, 5, 5, true}, generator());
  check({1, 2, 5, 33, 24, 24, false}, generator());
  check({1, 1, 5, 33, 16, 7, true}, generator());
  check({1, 1, 64, 64, 64, 64, true}, generator());
}

TEST(Attention, SequencesOfSeveralBlocks) {
  std::mt19937_64 generator(testSeed());
  check({1, 2, 150, 150, 20, 20, false}, generator());
  check({1, 1, 70, 200, 33, 17, true}, generator());
  check({1, 1, int64_t(65 + generator() % 100), 193, 96, 96, true}, generator());
}

TEST(Attention, LargeHeads) { check({1, 1, 40, 70, 256, 200, false}, testSeed()); }

TEST(Attention, DoublePrecision) {
  check({1, 2, 30, 30, 19, 19, true, "f64"}, testSeed());
  check({1, 1, 70, 90, 32, 32, false, "f64"}, testSeed());
}

TEST(Attention, LargeScoresDoNotOverflow) {
  check({1, 1, 80, 80, 64, 64, true, "f32", 30.0}, testSeed());
}

/// What a causal mask hides is not multiplied by 0: NaN and infinity in it reach nothing.
TEST(Attention, HiddenKeysContributeNothing) {
  const uint64_t seed = testSeed();
  for (const Case &test : {Case{1, 2, 9, 9, 4, 4}, Case{1, 1, 100, 100, 20, 33},
                           Case{1, 1, 24, 24, 8, 8, true, "f64"}}) {
    SCOPED_TRACE(test.name());
    auto random = [&](int64_t width, int i) {
      return randomTensor(test.element(), test.shape(test.keys, width), seed + i);
    };
    Tensor query = random(test.head, 0), key = random(test.head, 1),
           value = random(test.valueHead, 2), gradient = random(test.valueHead, 3);
    const CompiledKernel forward(test.forward()), backward(test.backward());
    const std::vector<Tensor> sums = forward.run({query, key, value});
    const std::vector<Tensor> slopes =
        backward.run({query, key, value, sums[0], sums[1], gradient});
    // The last key, which the last query alone sees, and the first query, which sees one key.
    const int64_t last = test.keys - 1, width = test.valueHead;
    for (int64_t pair = 0; pair < test.batch * test.heads; ++pair) {
      setElement(key, (pair * test.keys + last) * test.head, NAN);
      setElement(value, (pair * test.keys + last) * width, INFINITY);
      setElement(gradient, pair * test.queries * width, -INFINITY);
    }
    const std::vector<Tensor> spoiled = forward.run({query, key, value});
    const std::vector<Tensor> spoiledSlopes =
        backward.run({query, key, value, sums[0], sums[1], gradient});
    auto expectSame = [&](const Tensor &a, const Tensor &b, int64_t first, int64_t end,
                          int64_t columns) {
      for (int64_t pair = 0; pair < test.batch * test.heads; ++pair)
        for (int64_t i = first * columns; i < end * columns; ++i) {
          const int64_t at = pair * test.keys * columns + i;
          ASSERT_EQ(elementAt(a, at), elementAt(b, at)) << "row " << i / columns;
        }
    };
    expectSame(spoiled[0], sums[0], 0, last, width);
    expectSame(spoiled[1], sums[1], 0, last, 1);
    expectSame(spoiledSlopes[0], slopes[0], 1, last, test.head);
    expectSame(spoiledSlopes[1], slopes[1], 1, last, test.head);
    expectSame(spoiledSlopes[2], slopes[2], 1, last, width);
  }
}

/// Nor does what a window hides, or what comes after the length, in whatever block it is.
TEST(Attention, WhatAPlaceHidesContributesNothing) {
  const uint64_t seed = testSeed();
  constexpr int64_t heads = 2, queries = 70, keys = 150, head = 20, length = 100, offset = 40,
                    before = 9, after = 3;
  const std::string q = fmt::format("tensor<1x{}x{}x{}xf32>", heads, queries, head),
                    k = fmt::format("tensor<1x{}x{}x{}xf32>", heads, keys, head),
                    l = fmt::format("tensor<1x{}x{}xf32>", heads, queries);
  const std::string options =
      fmt::format("offset %p length %n scale 0.4 causal false before {} after {}", before, after);
  const CompiledKernel forward(fmt::format(
      R"mlir(func.func private @k(%q: {0}, %k: {1}, %v: {1}, %p: tensor<i64>, %n: tensor<1xi32>) -> ({0}, {2})
    attributes {{graph.kernel = "attention"}} {{
  %o, %l = graph.attention %q, %k, %v {3} : {0}, {1}, {1}, tensor<i64>, tensor<1xi32> -> {0}, {2}
  return %o, %l : {0}, {2}
}})mlir",
      q, k, l, options));
  const CompiledKernel backward(fmt::format(
      R"mlir(func.func private @k(%q: {0}, %k: {1}, %v: {1}, %o: {0}, %l: {2}, %g: {0}, %p: tensor<i64>, %n: tensor<1xi32>)
    -> ({0}, {1}, {1}) attributes {{graph.kernel = "attention_backward"}} {{
  %dq, %dk, %dv = graph.attention_backward %q, %k, %v, %o, %l, %g {3} : {0}, {1}, {1}, {0}, {2}, {0}, tensor<i64>, tensor<1xi32> -> {0}, {1}, {1}
  return %dq, %dk, %dv : {0}, {1}, {1}
}})mlir",
      q, k, l, options));
  auto random = [&](int64_t rows, int i) {
    return randomTensor(ElementType::F32, {1, heads, rows, head}, seed + i);
  };
  Tensor query = random(queries, 0), key = random(keys, 1), value = random(keys, 2),
         gradient = random(queries, 3), place(ElementType::I64, {}), count(ElementType::I32, {1});
  place.as<int64_t>()[0] = offset;
  count.as<int32_t>()[0] = length;
  const std::vector<Tensor> sums = forward.run({query, key, value, place, count});
  const std::vector<Tensor> slopes =
      backward.run({query, key, value, sums[0], sums[1], gradient, place, count});
  // Keys that no query sees, before all and after the length, and one that some see.
  constexpr int64_t some = 60;
  for (int64_t pair = 0; pair < heads; ++pair)
    for (int64_t j : {int64_t(0), int64_t(30), some, length, length + 3, keys - 1}) {
      setElement(key, (pair * keys + j) * head, NAN);
      setElement(value, (pair * keys + j) * head, INFINITY);
    }
  const std::vector<Tensor> spoiled = forward.run({query, key, value, place, count});
  const std::vector<Tensor> spoiledSlopes =
      backward.run({query, key, value, sums[0], sums[1], gradient, place, count});
  for (int64_t pair = 0; pair < heads; ++pair) {
    for (int64_t i = 0; i < queries; ++i)
      for (int64_t c = 0; c < head; ++c) {
        const int64_t at = (pair * queries + i) * head + c, distance = some - (i + offset);
        if (distance < -before || distance > after) {
          ASSERT_EQ(elementAt(spoiled[0], at), elementAt(sums[0], at)) << "query " << i;
          ASSERT_EQ(elementAt(spoiledSlopes[0], at), elementAt(slopes[0], at)) << "query " << i;
        } else {
          ASSERT_TRUE(std::isnan(elementAt(spoiled[0], at))) << "query " << i;
        }
      }
    for (int64_t j = 0; j < keys; ++j)
      for (int64_t c = 0; c < head; ++c)
        for (int of : {1, 2}) {
          const int64_t at = (pair * keys + j) * head + c;
          if (j != some) {
            ASSERT_EQ(elementAt(spoiledSlopes[of], at), elementAt(slopes[of], at)) << "key " << j;
          }
          if (j < offset - before || j >= length) {
            ASSERT_EQ(elementAt(slopes[of], at), 0) << "key " << j;
          }
        }
  }
}

TEST(Attention, NoMoreThanABlockOfScores) {
  auto workspace = [](int64_t sequence) {
    Case test{1, 1, sequence, sequence, 64, 64};
    return std::pair(CompiledKernel(test.forward()).workspaceBytes,
                     CompiledKernel(test.backward()).workspaceBytes);
  };
  auto [forwardShort, backwardShort] = workspace(512);
  auto [forwardLong, backwardLong] = workspace(1024);
  EXPECT_EQ(forwardShort, forwardLong);
  EXPECT_LT(backwardLong, 2.2 * backwardShort);
}

/// GPT's own way in and out: queries, keys and values are slices of [B, T, 3C], the result is
/// [B, T, C], and the gradients join into [B, T, 3C].
struct Gpt {
  int64_t batch = 2, time = 37, heads = 3, head = 12;
  int64_t width() const { return heads * head; }
  std::string flat(int64_t columns) const {
    return fmt::format("tensor<{}x{}x{}xf32>", batch, time, columns);
  }
  std::string split() const {
    return fmt::format("tensor<{}x{}x{}x{}xf32>", batch, time, heads, head);
  }
  std::string byHead() const {
    return fmt::format("tensor<{}x{}x{}x{}xf32>", batch, heads, time, head);
  }
  std::string lse() const { return fmt::format("tensor<{}x{}x{}xf32>", batch, heads, time); }

  std::string permute(const char *to, const char *from, const std::string &fromType,
                      const std::string &toType) const {
    return fmt::format(R"mlir(  %{0}_e = tensor.empty() : {3}
  %{0} = linalg.generic {{indexing_maps = [affine_map<(a, b, c, d) -> (a, c, b, d)>, affine_map<(a, b, c, d) -> (a, b, c, d)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}} ins(%{1} : {2}) outs(%{0}_e : {3}) {{
  ^bb0(%x: f32, %y: f32):
    linalg.yield %x : f32
  }} -> {3}
)mlir",
                       to, from, fromType, toType);
  }
  /// %NAME = heads of `columns` of %SOURCE from `offset`.
  std::string splitHeads(const char *name, const char *source, int64_t columns,
                         int64_t offset) const {
    return fmt::format(
               R"mlir(  %{0}_s = tensor.extract_slice %{1}[0, 0, {2}] [{3}, {4}, {5}] [1, 1, 1] : {6} to {7}
  %{0}_h = tensor.expand_shape %{0}_s [[0], [1], [2, 3]] output_shape [{3}, {4}, {8}, {9}] : {7} into {10}
)mlir",
               name, source, offset, batch, time, width(), flat(columns), flat(width()), heads,
               head, split()) +
           permute(name, fmt::format("{}_h", name).c_str(), split(), byHead());
  }
  std::string joinHeads(const char *name, const char *source) const {
    return permute(fmt::format("{}_t", name).c_str(), source, byHead(), split()) +
           fmt::format("  %{0} = tensor.collapse_shape %{0}_t [[0], [1], [2, 3]] : {1} into {2}\n",
                       name, split(), flat(width()));
  }
  std::string qkv() const {
    return splitHeads("q", "qkv", 3 * width(), 0) + splitHeads("k", "qkv", 3 * width(), width()) +
           splitHeads("v", "qkv", 3 * width(), 2 * width());
  }
};

void checkGpt(const Gpt &gpt) {
  const std::string heads = gpt.byHead();
  CompiledKernel forward(
      fmt::format("func.func private @k(%qkv: {}) -> ({}, {}) attributes {{graph.kernel = "
                  "\"attention\"}} {{\n",
                  gpt.flat(3 * gpt.width()), gpt.flat(gpt.width()), gpt.lse()) +
      gpt.qkv() +
      fmt::format("  %o, %l = graph.attention %q, %k, %v scale 5.0e-01 causal true : {0}, {0}, {0} "
                  "-> {0}, {1}\n",
                  heads, gpt.lse()) +
      gpt.joinHeads("r", "o") +
      fmt::format("  return %r, %l : {}, {}\n}}\n", gpt.flat(gpt.width()), gpt.lse()));
  CompiledKernel backward(
      fmt::format(
          "func.func private @k(%qkv: {0}, %out: {1}, %l: {2}, %grad: {1}) -> {0} attributes "
          "{{graph.kernel = \"attention_backward\"}} {{\n",
          gpt.flat(3 * gpt.width()), gpt.flat(gpt.width()), gpt.lse()) +
      gpt.qkv() + gpt.splitHeads("o", "out", gpt.width(), 0) +
      gpt.splitHeads("g", "grad", gpt.width(), 0) +
      fmt::format("  %dq, %dk, %dv = graph.attention_backward %q, %k, %v, %o, %l, %g scale 5.0e-01 "
                  "causal true : "
                  "{0}, {0}, {0}, {0}, {1}, {0} -> {0}, {0}, {0}\n",
                  heads, gpt.lse()) +
      gpt.joinHeads("rq", "dq") + gpt.joinHeads("rk", "dk") + gpt.joinHeads("rv", "dv") +
      fmt::format("  %d = tensor.concat dim(2) %rq, %rk, %rv : ({0}, {0}, {0}) -> {1}\n  return %d "
                  ": {1}\n}}\n",
                  gpt.flat(gpt.width()), gpt.flat(3 * gpt.width())));

  Tensor qkv = randomTensor(ElementType::F32, {gpt.batch, gpt.time, 3 * gpt.width()}, testSeed());
  Tensor gradient =
      randomTensor(ElementType::F32, {gpt.batch, gpt.time, gpt.width()}, testSeed() + 1);
  std::vector<Tensor> results = forward.run({qkv});
  Tensor qkvGradient = backward.run({qkv, results[0], results[1], gradient}).front();

  auto head = [&](const Tensor &tensor, int64_t part, int64_t b, int64_t h) {
    Matrix matrix(gpt.time, std::vector<double>(gpt.head));
    for (int64_t t = 0; t < gpt.time; ++t)
      for (int64_t d = 0; d < gpt.head; ++d)
        matrix[t][d] = elementAt(tensor, (b * gpt.time + t) * tensor.shape()[2] +
                                             part * gpt.width() + h * gpt.head + d);
    return matrix;
  };
  auto expectEqual = [](const Matrix &actual, const Matrix &expected) {
    for (size_t t = 0; t < expected.size(); ++t)
      for (size_t d = 0; d < expected[t].size(); ++d)
        ASSERT_NEAR(actual[t][d], expected[t][d], 2e-5);
  };
  for (int64_t b = 0; b < gpt.batch; ++b)
    for (int64_t h = 0; h < gpt.heads; ++h) {
      Naive expected(head(qkv, 0, b, h), head(qkv, 1, b, h), head(qkv, 2, b, h), 0.5, true,
                     head(gradient, 0, b, h));
      expectEqual(head(results[0], 0, b, h), expected.result);
      expectEqual(head(qkvGradient, 0, b, h), expected.queryGradient);
      expectEqual(head(qkvGradient, 1, b, h), expected.keyGradient);
      expectEqual(head(qkvGradient, 2, b, h), expected.valueGradient);
    }
}

TEST(Attention, GptReadsSlicesAndWritesRows) { checkGpt({}); }

/// Blocks of rows that are copied because heads lie side by side.
TEST(Attention, HeadsSideBySideOfSeveralBlocks) {
  checkGpt({2, 64, 3, 64});
  checkGpt({1, 150, 2, 20});
  checkGpt({1, 300, 2, 16});
}

/// Tuning moves the borders between blocks of queries, not what is added up.
TEST(Attention, EveryBlockOfQueriesGivesTheSameBits) {
  const uint64_t seed = testSeed();
  for (const Case &test : {Case{1, 2, 100, 100, 16, 16}, Case{2, 1, 40, 150, 20, 8},
                           Case{1, 1, 300, 300, 32, 32}, Case{1, 2, 90, 70, 16, 16, false}}) {
    auto random = [&](int64_t sequence, int64_t width, int i) {
      return randomTensor(test.element(), test.shape(sequence, width), seed + i);
    };
    const Tensor query = random(test.queries, test.head, 0), key = random(test.keys, test.head, 1),
                 value = random(test.keys, test.valueHead, 2),
                 gradient = random(test.queries, test.valueHead, 3);
    auto compute = [&](const std::string &attribute) {
      auto with = [&](std::string text) {
        return CompiledKernel(text.insert(text.find("graph.kernel"), attribute));
      };
      std::vector<Tensor> all = with(test.forward()).run({query, key, value});
      for (Tensor &tensor :
           with(test.backward()).run({query, key, value, all[0], all[1], gradient}))
        all.push_back(tensor);
      return all;
    };
    const std::vector<Tensor> derived = compute("");
    for (int queries : {1, 64, 96, 1000}) {
      SCOPED_TRACE(fmt::format("{}, blocks of {}", test.name(), queries));
      const auto tuned = compute(fmt::format("graph.tuned = \"queries={}\", ", queries));
      for (size_t i = 0; i < derived.size(); ++i)
        EXPECT_EQ(std::memcmp(derived[i].data(), tuned[i].data(), derived[i].bytes()), 0)
            << "result " << i;
    }
  }
}

} // namespace
} // namespace ingot::test
