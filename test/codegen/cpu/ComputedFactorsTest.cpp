/// Contractions whose factors are computed while they are packed, against plain loops.
#include "test/codegen/CompiledKernel.h"
#include <gtest/gtest.h>

namespace ingot::test {
namespace {

/// Matrices that are computed and differ, though no load is numbered as they are: pieces of one
/// matrix each, and rows that matrices do not divide.
TEST(ComputedFactors, MatricesOfABatchAreNotTakenForOne) {
  const std::string pieces = R"mlir(
func.func private @k(%a: tensor<1x5x9xf32>, %b: tensor<1x5x9xf32>, %y: tensor<2x9x7xf32>) -> tensor<2x5x7xf32> attributes {graph.kernel = "contraction"} {
  %l = tensor.concat dim(0) %a, %b : (tensor<1x5x9xf32>, tensor<1x5x9xf32>) -> tensor<2x5x9xf32>
  %c = graph.contract %l, %y batch [0] x [0] over [2] x [1] : tensor<2x5x9xf32>, tensor<2x9x7xf32> -> tensor<2x5x7xf32>
  return %c : tensor<2x5x7xf32>
})mlir";
  const std::string reshaped = R"mlir(
#all = affine_map<(i, j) -> (i, j)>
func.func private @k(%a: tensor<10x12xf32>, %y: tensor<4x5x7xf32>) -> tensor<4x6x7xf32> attributes {graph.kernel = "contraction"} {
  %e = tensor.empty() : tensor<10x12xf32>
  %n = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<10x12xf32>) outs(%e : tensor<10x12xf32>) {
  ^bb0(%in: f32, %out: f32):
    %t = arith.negf %in : f32
    linalg.yield %t : f32
  } -> tensor<10x12xf32>
  %f = tensor.collapse_shape %n [[0, 1]] : tensor<10x12xf32> into tensor<120xf32>
  %l = tensor.expand_shape %f [[0, 1, 2]] output_shape [4, 6, 5] : tensor<120xf32> into tensor<4x6x5xf32>
  %c = graph.contract %l, %y batch [0] x [0] over [2] x [1] : tensor<4x6x5xf32>, tensor<4x5x7xf32> -> tensor<4x6x7xf32>
  return %c : tensor<4x6x7xf32>
})mlir";
  auto expectProducts = [](const Tensor &result, auto left, const Tensor &right, int64_t batch,
                           int64_t rows, int64_t depth) {
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < 7; ++j) {
          double sum = 0;
          for (int64_t k = 0; k < depth; ++k)
            sum += left((b * rows + i) * depth + k) * elementAt(right, (b * depth + k) * 7 + j);
          ASSERT_NEAR(elementAt(result, (b * rows + i) * 7 + j), sum, 1e-5) << b << i << j;
        }
  };
  const uint64_t seed = testSeed();
  const Tensor a = randomTensor(ElementType::F32, {1, 5, 9}, seed),
               b = randomTensor(ElementType::F32, {1, 5, 9}, seed + 1),
               y = randomTensor(ElementType::F32, {2, 9, 7}, seed + 2);
  auto joined = [&](int64_t at) { return at < 45 ? elementAt(a, at) : elementAt(b, at - 45); };
  expectProducts(CompiledKernel(pieces).run({a, b, y}).front(), joined, y, 2, 5, 9);
  const Tensor whole = randomTensor(ElementType::F32, {10, 12}, seed + 3),
               z = randomTensor(ElementType::F32, {4, 5, 7}, seed + 4);
  expectProducts(
      CompiledKernel(reshaped).run({whole, z}).front(),
      [&](int64_t at) { return -elementAt(whole, at); }, z, 4, 6, 5);
}

} // namespace
} // namespace ingot::test
