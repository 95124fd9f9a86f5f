/// Row kernels against plain loops: rows over a dimension that is not the last, where lanes go
/// across rows, and rows of windows, which are walked line by line.
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

/// The gradient of a filter for each channel: windows of x, as large as dy, times dy.
std::string filterGradient(int64_t images, int64_t channels, Shape size, Shape taps) {
  return fmt::format(R"mlir(
#windows = affine_map<(c, i, j, n, y, x) -> (n, c, y + i, x + j)>
#image = affine_map<(c, i, j, n, y, x) -> (n, c, y, x)>
#filter = affine_map<(c, i, j, n, y, x) -> (c, i, j)>
func.func private @k(%x: {0}, %dy: {1}) -> {2} attributes {{graph.kernel = "row"}} {{
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : {2}
  %z = linalg.fill ins(%zero : f32) outs(%e : {2}) -> {2}
  %sum = linalg.generic {{indexing_maps = [#windows, #image, #filter],
      iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]}}
      ins(%x, %dy : {0}, {1}) outs(%z : {2}) {{
  ^bb0(%a: f32, %b: f32, %s: f32):
    %t = math.fma %a, %b, %s : f32
    linalg.yield %t : f32
  }} -> {2}
  return %sum : {2}
}})mlir",
                     fmt::format("tensor<{}x{}x{}x{}xf32>", images, channels, size[0] + taps[0] - 1,
                                 size[1] + taps[1] - 1),
                     fmt::format("tensor<{}x{}x{}x{}xf32>", images, channels, size[0], size[1]),
                     fmt::format("tensor<{}x{}x{}xf32>", channels, taps[0], taps[1]));
}

TEST(Row, WindowsAreWalkedLineByLine) {
  struct Case {
    int64_t images, channels;
    Shape size, taps;
  };
  for (const Case &sizes :
       {Case{2, 3, {14, 14}, {3, 3}}, Case{1, 2, {5, 40}, {3, 3}}, Case{3, 1, {7, 7}, {3, 3}},
        Case{2, 2, {9, 16}, {5, 5}}, Case{1, 4, {3, 100}, {2, 2}}, Case{3, 2, {1, 33}, {1, 4}},
        Case{4, 2, {6, 1}, {3, 1}}, Case{1, 1, {2, 130}, {4, 4}}}) {
    const auto &[images, channels, size, taps] = sizes;
    SCOPED_TRACE(fmt::format("{} images of {} channels, {}x{}, {}x{} taps", images, channels,
                             size[0], size[1], taps[0], taps[1]));
    const Shape whole = {size[0] + taps[0] - 1, size[1] + taps[1] - 1};
    const Tensor x =
        randomTensor(ElementType::F32, {images, channels, whole[0], whole[1]}, testSeed());
    const Tensor dy =
        randomTensor(ElementType::F32, {images, channels, size[0], size[1]}, testSeed() + 1);
    const Tensor filter =
        CompiledKernel(filterGradient(images, channels, size, taps)).run({x, dy}).front();
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t i = 0; i < taps[0]; ++i)
        for (int64_t j = 0; j < taps[1]; ++j) {
          double sum = 0, terms = 0;
          for (int64_t n = 0; n < images; ++n)
            for (int64_t row = 0; row < size[0]; ++row)
              for (int64_t column = 0; column < size[1]; ++column) {
                const int64_t image = n * channels + c;
                const double term =
                    elementAt(x, (image * whole[0] + row + i) * whole[1] + column + j) *
                    elementAt(dy, (image * size[0] + row) * size[1] + column);
                sum += term, terms += std::abs(term);
              }
          ASSERT_NEAR(elementAt(filter, (c * taps[0] + i) * taps[1] + j), sum, 1e-5 * terms)
              << c << " " << i << " " << j;
        }
  }
}

} // namespace
} // namespace ingot::test
