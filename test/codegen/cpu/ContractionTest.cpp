#include "codegen/cpu/ContractionBlocks.h"
#include "test/codegen/CompiledKernel.h"
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <functional>
#include <gtest/gtest.h>
#include <random>

namespace ingot::test {
namespace {

/// A (possibly batched) matrix multiplication with each operand as it is or transposed.
struct Matmul {
  int64_t batch = 0, rows = 1, columns = 1, depth = 1; ///< batch 0: no batch dimension
  bool lhsTransposed = false, rhsTransposed = false;
  const char *type = "f32";
  const char *resultType = nullptr; ///< null: the operands'

  Shape shape(int64_t a, int64_t b) const { return batch ? Shape{batch, a, b} : Shape{a, b}; }
  Shape lhs() const { return lhsTransposed ? shape(depth, rows) : shape(rows, depth); }
  Shape rhs() const { return rhsTransposed ? shape(columns, depth) : shape(depth, columns); }
  Shape result() const { return shape(rows, columns); }

  std::string tensor(const Shape &shape, std::string_view element) const {
    std::string text = "tensor<";
    for (int64_t size : shape)
      text += fmt::format("{}x", size);
    return text + std::string(element) + ">";
  }
  std::string tensor(const Shape &shape) const { return tensor(shape, type); }

  /// `%c = graph.contract %a, %b …`
  std::string contract() const {
    int64_t base = batch ? 1 : 0;
    const char *batchDims = batch ? "0" : "";
    return fmt::format(
        "%c = graph.contract %a, %b batch [{}] x [{}] over [{}] x [{}] : {}, {} -> {}\n", batchDims,
        batchDims, base + !lhsTransposed, base + rhsTransposed, tensor(lhs()), tensor(rhs()),
        resultTensor());
  }
  std::string resultTensor() const { return tensor(result(), resultType ? resultType : type); }
  std::string kernel() const {
    return fmt::format("func.func private @k(%a: {}, %b: {}) -> {} "
                       "attributes {{graph.kernel = \"contraction\"}} {{\n{} return %c : {}\n}}",
                       tensor(lhs()), tensor(rhs()), resultTensor(), contract(), resultTensor());
  }
  std::string name() const {
    return fmt::format("{}: {} x {}x{}x{} {}{}", type, batch, rows, columns, depth,
                       lhsTransposed ? 'T' : 'N', rhsTransposed ? 'T' : 'N');
  }
  Tensor random(const Shape &shape, uint64_t seed) const {
    return randomTensor(*parseElementType(type), shape, seed);
  }

  double a(const Tensor &lhs, int64_t b, int64_t i, int64_t k) const {
    return elementAt(lhs, b * rows * depth + (lhsTransposed ? k * rows + i : i * depth + k));
  }
  double b(const Tensor &rhs, int64_t b, int64_t j, int64_t k) const {
    return elementAt(rhs, b * columns * depth + (rhsTransposed ? j * depth + k : k * columns + j));
  }
  /// The exact sum and the sum of magnitudes, to which errors are relative.
  std::pair<double, double> sum(const Tensor &lhs, const Tensor &rhs, int64_t n, int64_t i,
                                int64_t j) const {
    double total = 0, size = 0;
    for (int64_t k = 0; k < depth; ++k) {
      double product = a(lhs, n, i, k) * b(rhs, n, j, k);
      total += product;
      size += std::abs(product);
    }
    return {total, size};
  }
};

double epsilon(ElementType type) {
  return type == ElementType::F64 ? 1e-14 : type == ElementType::F32 ? 1e-6 : 8e-3;
}

/// Compares every element with the exact sum, or one in `stride`.
void check(const Matmul &matmul, uint64_t seed, int64_t stride = 1,
           const std::string &target = "cpu") {
  SCOPED_TRACE(matmul.name());
  Tensor lhs = matmul.random(matmul.lhs(), seed), rhs = matmul.random(matmul.rhs(), seed + 1);
  Tensor result = CompiledKernel(matmul.kernel(), target).run({lhs, rhs}).front();
  for (int64_t element = 0; element < result.size(); element += stride) {
    int64_t j = element % matmul.columns, i = element / matmul.columns % matmul.rows;
    int64_t n = element / matmul.columns / matmul.rows;
    auto [exact, size] = matmul.sum(lhs, rhs, n, i, j);
    ASSERT_NEAR(elementAt(result, element), exact, epsilon(result.type()) * (size + 1e-30))
        << "at " << n << ", " << i << ", " << j;
  }
}

TEST(Contraction, EveryTranspositionOfOddShapes) {
  std::mt19937_64 generator(testSeed());
  for (int variant = 0; variant < 4; ++variant) {
    auto size = [&](int64_t most) { return int64_t(1 + generator() % most); };
    bool left = variant & 1, right = variant & 2;
    check({0, size(150), size(150), size(150), left, right}, generator());
    check({3, size(40), size(70), size(50), left, right}, generator());
  }
}

TEST(Contraction, FewRowsOrColumns) {
  std::mt19937_64 generator(testSeed());
  for (bool transposed : {false, true}) {
    check({0, 1, 67, 129, false, transposed}, generator());
    check({0, 7, 100, 33, false, transposed}, generator());
    check({0, 45, 1, 40, false, transposed}, generator());
    check({0, 30, 2, 70, true, transposed}, generator());
    check({0, 1, 1, 1, transposed, transposed}, generator());
  }
}

TEST(Contraction, DepthAndRowsInSeveralBlocks) {
  std::mt19937_64 generator(testSeed());
  check({0, 33, 50, 1500, false, true}, generator());
  check({0, 70, 33, 1111, true, false}, generator());
  check({0, 700, 35, 530, false, false}, generator());
  for (int variant = 0; variant < 4; ++variant) // whole vectors, but no whole panels
    check({0, 40, 208, 320, bool(variant & 1), bool(variant & 2)}, generator());
}

/// Blocks of the left operand that do not fit L2: several spans of rows, several
/// stacks of depth blocks, several passes over columns, and both at once.
TEST(Contraction, MoreThanTheCachesHold) {
  std::mt19937_64 generator(testSeed());
  constexpr int64_t stride = 97;
  check({0, 3301, 70, 131, true, false}, generator(), stride);
  check({0, 410, 115, 1000, false, true}, generator(), stride);
  check({0, 1100, 1050, 260, false, false}, generator(), stride);
  check({2, 1700, 60, 300, true, true}, generator(), stride);
}

/// Sums are chains in order of the depth: neither tiles nor blocks change a bit.
/// Expects the bits of this machine's code from the code for another one.
void expectSameBits(const Matmul &matmul, uint64_t seed, const std::vector<const char *> &targets) {
  SCOPED_TRACE(matmul.name());
  Tensor lhs = matmul.random(matmul.lhs(), seed), rhs = matmul.random(matmul.rhs(), seed + 1);
  Tensor here = CompiledKernel(matmul.kernel()).run({lhs, rhs}).front();
  for (const char *target : targets) {
    Tensor there = CompiledKernel(matmul.kernel(), target).run({lhs, rhs}).front();
    EXPECT_EQ(std::memcmp(here.data(), there.data(), here.bytes()), 0) << target;
  }
}

TEST(Contraction, NarrowVectorsGiveTheSameBits) {
  std::mt19937_64 generator(testSeed());
  for (const Matmul &matmul :
       {Matmul{0, 67, 131, 700, false, false}, Matmul{0, 130, 50, 301, true, true},
        Matmul{0, 7, 100, 1033, false, false}, Matmul{5, 33, 17, 40, false, true}}) {
    check(matmul, generator(), 1, "cpu:x86-64-v3");
    expectSameBits(matmul, generator(), {"cpu:x86-64-v3"});
  }
}

/// Caches that hold all of the depth, one block of it and several, and stacks of blocks: panels are
/// packed ahead across all of them.
TEST(Contraction, EveryMachineGivesTheSameBits) {
  std::mt19937_64 generator(testSeed());
  for (const Matmul &matmul :
       {Matmul{0, 200, 340, 170, false, false}, Matmul{0, 90, 400, 90, true, false},
        Matmul{0, 150, 330, 100, false, true, "bf16"}, Matmul{0, 1, 500, 100, false, false}})
    expectSameBits(matmul, generator(),
                   {"cpu:native,l1=32K,l1_ways=8,l2=1M", "cpu:native,l1=16K,l1_ways=4,l2=128K",
                    "cpu:native,l1=4K,l1_ways=4,l2=32K"});
}

/// What tuning may choose, drawn at random: sizes that fit and sizes that do not.
TEST(Contraction, EveryChoiceOfBlocksGivesTheSameBits) {
  std::mt19937_64 generator(testSeed());
  auto below = [&](int64_t most) { return int64_t(generator() % most); };
  for (const Matmul &matmul :
       {Matmul{0, 67, 131, 700, false, false}, Matmul{0, 130, 50, 301, true, true},
        Matmul{3, 33, 97, 140, false, true}, Matmul{0, 5, 200, 90, true, false},
        Matmul{0, 40, 70, 90, false, false, "bf16"}})
    for (int trial = 0; trial < 6; ++trial) {
      BlockChoice choice;
      auto maybe = [&](BlockChoice::Size &size, int64_t value) {
        if (below(2))
          size = value;
      };
      maybe(choice.tileRows, 1 + below(16));
      maybe(choice.tileColumns, 16 * (1 + below(6)));
      maybe(choice.depth, 1 + below(2 * matmul.depth));
      maybe(choice.rows, 1 + below(2 * matmul.rows));
      maybe(choice.columns, 1 + below(2 * matmul.columns));
      maybe(choice.packLhs, below(2));
      maybe(choice.packRhs, below(2));
      SCOPED_TRACE(matmul.name() + " " + choice.text());
      Tensor lhs = matmul.random(matmul.lhs(), generator()), rhs = matmul.random(matmul.rhs(), 1);
      std::string text = matmul.kernel();
      text.insert(text.find("graph.kernel"), "graph.tuned = \"" + choice.text() + "\", ");
      Tensor derived = CompiledKernel(matmul.kernel()).run({lhs, rhs}).front();
      Tensor tuned = CompiledKernel(text).run({lhs, rhs}).front();
      EXPECT_EQ(std::memcmp(derived.data(), tuned.data(), derived.bytes()), 0);
    }
}

/// One operand as exp(x) * scale + x of an input, with a scale for each of its last elements: a
/// kernel of its own, and the text that makes `%name` of `%name_in`.
struct Prologue {
  const Matmul &matmul;
  Shape shape;
  std::string name;

  std::string type() const { return matmul.tensor(shape); }
  std::string scaleType() const { return matmul.tensor({shape.back()}); }
  std::string arguments() const {
    return fmt::format("%{0}_in: {1}, %{0}_scale: {2}", name, type(), scaleType());
  }
  std::string text() const {
    const char *dims = shape.size() == 3 ? "n, i, j" : "i, j";
    return fmt::format(R"mlir(
  %{0}_e = tensor.empty() : {1}
  %{0} = linalg.generic {{indexing_maps = [affine_map<({3}) -> ({3})>, affine_map<({3}) -> (j)>,
      affine_map<({3}) -> ({3})>], iterator_types = [{4}"parallel", "parallel"]}}
      ins(%{0}_in, %{0}_scale : {1}, {2}) outs(%{0}_e : {1}) {{
  ^bb0(%x: {5}, %s: {5}, %o: {5}):
    %0 = math.exp %x : {5}
    %1 = arith.mulf %0, %s : {5}
    %2 = arith.addf %1, %x : {5}
    linalg.yield %2 : {5}
  }} -> {1}
)mlir",
                       name, type(), scaleType(), dims, shape.size() == 3 ? "\"parallel\", " : "",
                       matmul.type);
  }
  Tensor computed(const Tensor &input, const Tensor &scale) const {
    return CompiledKernel(fmt::format("func.func private @p({}) -> {} attributes {{graph.kernel = "
                                      "\"elementwise\"}} {{\n{} return %{} : {}\n}}",
                                      arguments(), type(), text(), name, type()))
        .run({input, scale})
        .front();
  }
};

/// A factor that is computed while it is packed gives the bits of one that was stored.
TEST(Contraction, FactorsMayBeComputed) {
  std::mt19937_64 generator(testSeed());
  std::vector<Matmul> matmuls = {{0, 1, 67, 129},  {0, 7, 100, 33},   {0, 45, 1, 40},
                                 {0, 45, 2, 40},   {0, 67, 131, 700}, {3, 33, 17, 50},
                                 {0, 40, 208, 320}};
  for (Matmul &matmul : matmuls)
    for (int variant = 0; variant < 4; ++variant) {
      matmul.lhsTransposed = variant & 1;
      matmul.rhsTransposed = variant & 2;
      SCOPED_TRACE(matmul.name());
      Prologue left{matmul, matmul.lhs(), "a"}, right{matmul, matmul.rhs(), "b"};
      Tensor lhs = matmul.random(matmul.lhs(), generator()),
             lhsScale = matmul.random({matmul.lhs().back()}, generator()),
             rhs = matmul.random(matmul.rhs(), generator()),
             rhsScale = matmul.random({matmul.rhs().back()}, generator());
      Tensor lhsStored = left.computed(lhs, lhsScale), rhsStored = right.computed(rhs, rhsScale);
      Tensor stored = CompiledKernel(matmul.kernel()).run({lhsStored, rhsStored}).front();
      auto expectStored = [&](const std::string &target, const std::string &arguments,
                              const std::string &text, const std::vector<Tensor> &inputs) {
        std::string kernel = fmt::format(
            "func.func private @k({}) -> {} attributes {{graph.kernel = \"contraction\"}} {{\n{}{} "
            "return %c : {}\n}}",
            arguments, matmul.tensor(matmul.result()), text, matmul.contract(),
            matmul.tensor(matmul.result()));
        Tensor computed = CompiledKernel(kernel, target).run(inputs).front();
        ASSERT_EQ(std::memcmp(stored.data(), computed.data(), stored.bytes()), 0) << target << "\n"
                                                                                  << kernel;
      };
      expectStored("cpu", left.arguments() + ", %b: " + right.type(), left.text(),
                   {lhs, lhsScale, rhsStored});
      expectStored("cpu", "%a: " + left.type() + ", " + right.arguments(), right.text(),
                   {lhsStored, rhs, rhsScale});
      expectStored("cpu:x86-64-v3", left.arguments() + ", " + right.arguments(),
                   left.text() + right.text(), {lhs, lhsScale, rhs, rhsScale});
    }
}

TEST(Contraction, TilesFillTheRegisters) {
  Tile wide = chooseTile(1024, 1056, 4, {64, 48 << 10, 1 << 20});
  EXPECT_EQ(wide.rows * wide.vectors, 24);
  Tile narrow = chooseTile(1024, 1056, 4, {32, 32 << 10, 256 << 10});
  EXPECT_EQ(narrow.rows, 6); // 12 sums, two vectors of a row, a factor: 15 of 16 registers
  EXPECT_EQ(narrow.vectors, 1);
}

TEST(Contraction, NoDepthGivesZeros) {
  std::mt19937_64 generator(testSeed());
  check({0, 5, 20, 0, true, false}, generator());
  check({0, 1, 1, 0, true, false}, generator());
}

TEST(Contraction, NothingToCompute) {
  std::mt19937_64 generator(testSeed());
  check({0, 0, 20, 8, false, false}, generator());
}

TEST(Contraction, OtherElementTypes) {
  std::mt19937_64 generator(testSeed());
  for (const char *type : {"f64", "bf16", "f16"})
    for (bool transposed : {false, true})
      check({0, 37, 53, 61, transposed, !transposed, type}, generator());
}

/// Sums of narrow products that are not rounded: as exact as f32's.
TEST(Contraction, NarrowOperandsWideResults) {
  std::mt19937_64 generator(testSeed());
  for (const char *type : {"bf16", "f16"})
    for (int variant = 0; variant < 4; ++variant) {
      const bool left = variant & 1, right = variant & 2;
      for (const Matmul &matmul : {Matmul{0, 37, 53, 61, left, right, type, "f32"},
                                   Matmul{2, 5, 1, 33, left, right, type, "f32"},
                                   Matmul{0, 70, 131, 700, left, right, type, "f32"},
                                   Matmul{0, 1, 1, 1, left, right, type, "f32"},
                                   Matmul{0, 3, 4, 0, left, right, type, "f32"}})
        for (const char *target : {"cpu", "cpu:x86-64-v3"})
          check(matmul, generator(), 1, target);
    }
}

TEST(Contraction, ManyBatchesShareAGrain) {
  Matmul matmul{40, 16, 16, 16};
  EXPECT_LT(CompiledKernel(matmul.kernel()).grains.front(), 8);
  check(matmul, testSeed());
}

TEST(Contraction, LargeShapesFeedSeveralThreads) {
  EXPECT_GE(CompiledKernel(Matmul{0, 256, 768, 768}.kernel()).grains.front(), 8);
  EXPECT_GE(CompiledKernel(Matmul{0, 2048, 64, 768}.kernel()).grains.front(), 8);
  EXPECT_GE(CompiledKernel(Matmul{0, 1, 768, 3072, false, true}.kernel()).grains.front(), 8);
}

constexpr const char *epilogueMaps =
    "indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, "
    "affine_map<(i, j) -> (i, j)>], iterator_types = [\"parallel\", \"parallel\"]";

TEST(Contraction, EpilogueWithTwoResults) {
  const uint64_t seed = testSeed();
  for (int64_t columns : {64, 43}) {
    Matmul matmul{0, 50, columns, 300, false, true};
    std::string type = matmul.tensor(matmul.result()), row = matmul.tensor({columns});
    CompiledKernel kernel(fmt::format(
        R"mlir(func.func private @k(%a: {0}, %b: {1}, %bias: {2}) -> ({3}, {3})
    attributes {{graph.kernel = "contraction"}} {{
  {4}
  %e = tensor.empty() : {3}
  %sum = linalg.generic {{{5}}} ins(%c, %bias : {3}, {2}) outs(%e : {3}) {{
  ^bb0(%x: f32, %y: f32, %o: f32):
    %0 = arith.addf %x, %y : f32
    linalg.yield %0 : f32
  }} -> {3}
  %square = linalg.generic {{{5}}} ins(%sum, %bias : {3}, {2}) outs(%e : {3}) {{
  ^bb0(%x: f32, %y: f32, %o: f32):
    %0 = arith.mulf %x, %x : f32
    linalg.yield %0 : f32
  }} -> {3}
  return %sum, %square : {3}, {3}
}})mlir",
        matmul.tensor(matmul.lhs()), matmul.tensor(matmul.rhs()), row, type, matmul.contract(),
        epilogueMaps));
    Tensor lhs = matmul.random(matmul.lhs(), seed), rhs = matmul.random(matmul.rhs(), seed + 1),
           bias = matmul.random({columns}, seed + 2);
    std::vector<Tensor> results = kernel.run({lhs, rhs, bias});
    for (int64_t i = 0, element = 0; i < matmul.rows; ++i)
      for (int64_t j = 0; j < columns; ++j, ++element) {
        double sum = matmul.sum(lhs, rhs, 0, i, j).first + elementAt(bias, j);
        ASSERT_NEAR(elementAt(results[0], element), sum, 1e-4);
        ASSERT_NEAR(elementAt(results[1], element), sum * sum, 1e-3);
      }
  }
}

TEST(Contraction, ResidualMayBeOverwritten) {
  const uint64_t seed = testSeed();
  Matmul matmul{0, 40, 48, 500};
  std::string type = matmul.tensor(matmul.result());
  CompiledKernel kernel(fmt::format(
      R"mlir(func.func private @k(%a: {0}, %b: {1}, %x: {2}) -> {2} attributes {{graph.kernel = "contraction"}} {{
  {3}
  %e = tensor.empty() : {2}
  %sum = linalg.generic {{indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>,
      affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}}
      ins(%c, %x : {2}, {2}) outs(%e : {2}) {{
  ^bb0(%p: f32, %q: f32, %o: f32):
    %0 = arith.addf %p, %q : f32
    linalg.yield %0 : f32
  }} -> {2}
  return %sum : {2}
}})mlir",
      matmul.tensor(matmul.lhs()), matmul.tensor(matmul.rhs()), type, matmul.contract()));
  ASSERT_EQ(kernel.inPlace, (std::vector<std::pair<int64_t, int64_t>>{{0, 2}}));
  Tensor lhs = matmul.random(matmul.lhs(), seed), rhs = matmul.random(matmul.rhs(), seed + 1),
         residual = matmul.random(matmul.result(), seed + 2);
  std::vector<Tensor> apart = kernel.run({lhs, rhs, residual});
  Tensor shared = residual.clone();
  kernel.runIn({lhs, rhs, shared, shared});
  EXPECT_EQ(std::memcmp(apart[0].data(), shared.data(), shared.bytes()), 0);
  for (int64_t i = 0; i < matmul.rows; ++i)
    for (int64_t j = 0; j < matmul.columns; ++j) {
      int64_t element = i * matmul.columns + j;
      ASSERT_NEAR(elementAt(shared, element),
                  matmul.sum(lhs, rhs, 0, i, j).first + elementAt(residual, element), 1e-4);
    }
}

/// Images of a convolution: one matrix multiplies several, whose few columns share vectors.
TEST(Contraction, OneMatrixTimesSeveral) {
  std::mt19937_64 generator(testSeed());
  for (int64_t columns : {2, 3, 16, 49, 130, 257})
    for (bool transposed : {false, true}) {
      Matmul matmul{5, 29, columns, 70, false, transposed};
      std::string type = matmul.tensor(matmul.result());
      CompiledKernel kernel(fmt::format(
          R"mlir(func.func private @k(%w: {0}, %b: {1}, %x: {2}) -> {2} attributes {{graph.kernel = "contraction"}} {{
  %e0 = tensor.empty() : {3}
  %a = linalg.generic {{indexing_maps = [affine_map<(n, i, k) -> (i, k)>, affine_map<(n, i, k) -> (n, i, k)>],
      iterator_types = ["parallel", "parallel", "parallel"]}} ins(%w : {0}) outs(%e0 : {3}) {{
  ^bb0(%p: f32, %o: f32):
    linalg.yield %p : f32
  }} -> {3}
  {4}
  %e = tensor.empty() : {2}
  %sum = linalg.generic {{indexing_maps = [affine_map<(n, i, j) -> (n, i, j)>, affine_map<(n, i, j) -> (n, i, j)>,
      affine_map<(n, i, j) -> (n, i, j)>], iterator_types = ["parallel", "parallel", "parallel"]}}
      ins(%c, %x : {2}, {2}) outs(%e : {2}) {{
  ^bb0(%p: f32, %q: f32, %o: f32):
    %0 = arith.addf %p, %q : f32
    linalg.yield %0 : f32
  }} -> {2}
  return %sum : {2}
}})mlir",
          matmul.tensor({matmul.rows, matmul.depth}), matmul.tensor(matmul.rhs()), type,
          matmul.tensor(matmul.lhs()), matmul.contract()));
      SCOPED_TRACE(matmul.name());
      ASSERT_EQ(kernel.inPlace, (std::vector<std::pair<int64_t, int64_t>>{{0, 2}}));
      Tensor weights = matmul.random({matmul.rows, matmul.depth}, generator()),
             rhs = matmul.random(matmul.rhs(), generator()),
             residual = matmul.random(matmul.result(), generator());
      Tensor shared = residual.clone();
      kernel.runIn({weights, rhs, shared, shared});
      for (int64_t element = 0; element < shared.size(); ++element) {
        int64_t j = element % columns, i = element / columns % matmul.rows;
        double sum = elementAt(residual, element);
        for (int64_t k = 0; k < matmul.depth; ++k)
          sum += elementAt(weights, i * matmul.depth + k) *
                 matmul.b(rhs, element / columns / matmul.rows, j, k);
        ASSERT_NEAR(elementAt(shared, element), sum, 1e-4) << "element " << element;
      }
    }
}

/// The scores of GPT's attention, written as a contraction: queries and keys are slices of one
/// [B, T, 3C] tensor, split into heads and transposed.
TEST(Contraction, OperandsAreStridedViews) {
  const int64_t batch = 2, time = 19, heads = 3, head = 21, width = heads * head;
  CompiledKernel kernel(fmt::format(
      R"mlir(
#in = affine_map<(b, h, t, d) -> (b, t, h, d)>
#out = affine_map<(b, h, t, d) -> (b, h, t, d)>
func.func private @k(%qkv: tensor<{0}x{1}x{4}xf32>) -> tensor<{0}x{2}x{1}x{1}xf32>
    attributes {{graph.kernel = "contraction"}} {{
  %q0 = tensor.extract_slice %qkv[0, 0, 0] [{0}, {1}, {5}] [1, 1, 1] : tensor<{0}x{1}x{4}xf32> to tensor<{0}x{1}x{5}xf32>
  %k0 = tensor.extract_slice %qkv[0, 0, {5}] [{0}, {1}, {5}] [1, 1, 1] : tensor<{0}x{1}x{4}xf32> to tensor<{0}x{1}x{5}xf32>
  %q1 = tensor.expand_shape %q0 [[0], [1], [2, 3]] output_shape [{0}, {1}, {2}, {3}] : tensor<{0}x{1}x{5}xf32> into tensor<{0}x{1}x{2}x{3}xf32>
  %k1 = tensor.expand_shape %k0 [[0], [1], [2, 3]] output_shape [{0}, {1}, {2}, {3}] : tensor<{0}x{1}x{5}xf32> into tensor<{0}x{1}x{2}x{3}xf32>
  %e = tensor.empty() : tensor<{0}x{2}x{1}x{3}xf32>
  %q = linalg.generic {{indexing_maps = [#in, #out], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}}
      ins(%q1 : tensor<{0}x{1}x{2}x{3}xf32>) outs(%e : tensor<{0}x{2}x{1}x{3}xf32>) {{
  ^bb0(%x: f32, %o: f32):
    linalg.yield %x : f32
  }} -> tensor<{0}x{2}x{1}x{3}xf32>
  %k = linalg.generic {{indexing_maps = [#in, #out], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}}
      ins(%k1 : tensor<{0}x{1}x{2}x{3}xf32>) outs(%e : tensor<{0}x{2}x{1}x{3}xf32>) {{
  ^bb0(%x: f32, %o: f32):
    linalg.yield %x : f32
  }} -> tensor<{0}x{2}x{1}x{3}xf32>
  %c = graph.contract %q, %k batch [0, 1] x [0, 1] over [3] x [3] : tensor<{0}x{2}x{1}x{3}xf32>, tensor<{0}x{2}x{1}x{3}xf32> -> tensor<{0}x{2}x{1}x{1}xf32>
  return %c : tensor<{0}x{2}x{1}x{1}xf32>
}})mlir",
      batch, time, heads, head, 3 * width, width));
  Tensor qkv = randomTensor(ElementType::F32, {batch, time, 3 * width}, testSeed());
  Tensor scores = kernel.run({qkv}).front();
  auto at = [&](int64_t part, int64_t b, int64_t h, int64_t t, int64_t d) {
    return elementAt(qkv, (b * time + t) * 3 * width + part * width + h * head + d);
  };
  int64_t element = 0;
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t i = 0; i < time; ++i)
        for (int64_t j = 0; j < time; ++j, ++element) {
          double sum = 0;
          for (int64_t d = 0; d < head; ++d)
            sum += at(0, b, h, i, d) * at(1, b, h, j, d);
          ASSERT_NEAR(elementAt(scores, element), sum, 1e-5);
        }
}

/// dW of a linear layer on [B, T, C]: two summed dimensions, contiguous ones, and a slice that
/// keeps them from being one.
TEST(Contraction, SeveralSummedDimensions) {
  const int64_t batch = 3, time = 17, in = 40, out = 24;
  for (bool sliced : {false, true}) {
    int64_t all = sliced ? time + 2 : time;
    CompiledKernel kernel(fmt::format(
        R"mlir(func.func private @k(%dy: tensor<{0}x{4}x{3}xf32>, %x: tensor<{0}x{1}x{2}xf32>) -> tensor<{3}x{2}xf32>
    attributes {{graph.kernel = "contraction"}} {{
  %s = tensor.extract_slice %dy[0, {5}, 0] [{0}, {1}, {3}] [1, 1, 1] : tensor<{0}x{4}x{3}xf32> to tensor<{0}x{1}x{3}xf32>
  %c = graph.contract %s, %x batch [] x [] over [0, 1] x [0, 1] : tensor<{0}x{1}x{3}xf32>, tensor<{0}x{1}x{2}xf32> -> tensor<{3}x{2}xf32>
  return %c : tensor<{3}x{2}xf32>
}})mlir",
        batch, time, in, out, all, all - time));
    Tensor dy = randomTensor(ElementType::F32, {batch, all, out}, testSeed());
    Tensor x = randomTensor(ElementType::F32, {batch, time, in}, testSeed() + 1);
    Tensor dw = kernel.run({dy, x}).front();
    for (int64_t o = 0; o < out; ++o)
      for (int64_t i = 0; i < in; ++i) {
        double sum = 0;
        for (int64_t b = 0; b < batch; ++b)
          for (int64_t t = 0; t < time; ++t)
            sum += elementAt(dy, (b * all + t + all - time) * out + o) *
                   elementAt(x, (b * time + t) * in + i);
        ASSERT_NEAR(elementAt(dw, o * in + i), sum, 1e-5);
      }
  }
}

/// An operand that no strides express is computed element by element while it is packed.
TEST(Contraction, OperandsMayBeComputed) {
  Matmul matmul{0, 20, 24, 30};
  CompiledKernel kernel(fmt::format(
      R"mlir(func.func private @k(%p: {0}, %b: {1}) -> {2} attributes {{graph.kernel = "contraction"}} {{
  %e = tensor.empty() : {0}
  %a = linalg.generic {{indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]}} ins(%p : {0}) outs(%e : {0}) {{
  ^bb0(%x: f32, %o: f32):
    %0 = arith.mulf %x, %x : f32
    linalg.yield %0 : f32
  }} -> {0}
  {3}
  return %c : {2}
}})mlir",
      matmul.tensor(matmul.lhs()), matmul.tensor(matmul.rhs()), matmul.tensor(matmul.result()),
      matmul.contract()));
  Tensor lhs = matmul.random(matmul.lhs(), testSeed()),
         rhs = matmul.random(matmul.rhs(), testSeed() + 1);
  Tensor result = kernel.run({lhs, rhs}).front();
  for (int64_t i = 0; i < matmul.rows; ++i)
    for (int64_t j = 0; j < matmul.columns; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < matmul.depth; ++k) {
        double a = matmul.a(lhs, 0, i, k);
        sum += a * a * matmul.b(rhs, 0, j, k);
      }
      ASSERT_NEAR(elementAt(result, i * matmul.columns + j), sum, 1e-5);
    }
}

} // namespace
} // namespace ingot::test
