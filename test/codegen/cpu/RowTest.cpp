/// Row kernels over a dimension that is not the last, against plain loops: lanes go across rows.
#include "test/codegen/CompiledKernel.h"
#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ingot::test {
namespace {

/// Mean and variance along the middle dimension, in two passes.
std::string variance(int64_t outer, int64_t size, int64_t inner) {
  return fmt::format(R"mlir(
#all = affine_map<(a, b, c) -> (a, c, b)>
#line = affine_map<(a, b, c) -> (a, b)>
#flat = affine_map<(a, b) -> (a, b)>
func.func private @k(%x: {0}) -> ({1}, {1}) attributes {{graph.kernel = "row"}} {{
  %zero = arith.constant 0.0 : f32
  %share = arith.constant {2:e} : f32
  %e = tensor.empty() : {1}
  %z = linalg.fill ins(%zero : f32) outs(%e : {1}) -> {1}
  %sum = linalg.generic {{indexing_maps = [#all, #line], iterator_types = ["parallel", "parallel", "reduction"]}}
      ins(%x : {0}) outs(%z : {1}) {{
  ^bb0(%a: f32, %s: f32):
    %t = arith.addf %s, %a : f32
    linalg.yield %t : f32
  }} -> {1}
  %mean = linalg.generic {{indexing_maps = [#flat, #flat], iterator_types = ["parallel", "parallel"]}}
      ins(%sum : {1}) outs(%e : {1}) {{
  ^bb0(%a: f32, %s: f32):
    %t = arith.mulf %a, %share : f32
    linalg.yield %t : f32
  }} -> {1}
  %squares = linalg.generic {{indexing_maps = [#all, #line, #line], iterator_types = ["parallel", "parallel", "reduction"]}}
      ins(%x, %mean : {0}, {1}) outs(%z : {1}) {{
  ^bb0(%a: f32, %m: f32, %s: f32):
    %d = arith.subf %a, %m : f32
    %t = math.fma %d, %d, %s : f32
    linalg.yield %t : f32
  }} -> {1}
  return %mean, %squares : {1}, {1}
}})mlir",
                     fmt::format("tensor<{}x{}x{}xf32>", outer, size, inner),
                     fmt::format("tensor<{}x{}xf32>", outer, inner), 1.0 / double(size));
}

TEST(Row, LanesGoAcrossRows) {
  for (auto [outer, size, inner] : {std::array<int64_t, 3>{2, 21, 64},
                                    {3, 5, 37},
                                    {1, 9, 16},
                                    {2, 1, 33},
                                    {5, 7, 3},
                                    {1, 130, 70}}) {
    SCOPED_TRACE(fmt::format("{}x{}x{}", outer, size, inner));
    const Tensor x = randomTensor(ElementType::F32, {outer, size, inner}, testSeed());
    const std::vector<Tensor> results = CompiledKernel(variance(outer, size, inner)).run({x});
    for (int64_t line = 0; line < outer * inner; ++line) {
      auto at = [&](int64_t i) {
        return elementAt(x, (line / inner * size + i) * inner + line % inner);
      };
      double mean = 0, squares = 0;
      for (int64_t i = 0; i < size; ++i)
        mean += at(i) / double(size);
      for (int64_t i = 0; i < size; ++i)
        squares += (at(i) - mean) * (at(i) - mean);
      ASSERT_NEAR(elementAt(results[0], line), mean, 1e-6) << line;
      ASSERT_NEAR(elementAt(results[1], line), squares, 1e-5 * (1 + squares)) << line;
    }
  }
}

} // namespace
} // namespace ingot::test
