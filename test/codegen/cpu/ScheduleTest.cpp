/// Schedules under any costs: what changes is how work is cut, never what comes out.
#include "test/codegen/CompiledKernel.h"
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

namespace ingot::test {
namespace {

constexpr const char *softmax = R"mlir(
#both = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
func.func private @softmax(%x: tensor<37x200xf32>) -> tensor<37x200xf32> attributes {graph.kernel = "row"} {
  %zero = arith.constant 0.0 : f32
  %l = tensor.empty() : tensor<37xf32>
  %e = tensor.empty() : tensor<37x200xf32>
  %z = linalg.fill ins(%zero : f32) outs(%l : tensor<37xf32>) -> tensor<37xf32>
  %p = linalg.generic {indexing_maps = [#both, #both], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<37x200xf32>) outs(%e : tensor<37x200xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = math.exp %a : f32
    linalg.yield %1 : f32
  } -> tensor<37x200xf32>
  %s = linalg.generic {indexing_maps = [#both, #row], iterator_types = ["parallel", "reduction"]}
      ins(%p : tensor<37x200xf32>) outs(%z : tensor<37xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = arith.addf %o, %a : f32
    linalg.yield %1 : f32
  } -> tensor<37xf32>
  %0 = linalg.generic {indexing_maps = [#both, #row, #both], iterator_types = ["parallel", "parallel"]}
      ins(%p, %s : tensor<37x200xf32>, tensor<37xf32>) outs(%e : tensor<37x200xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %1 = arith.divf %a, %b : f32
    linalg.yield %1 : f32
  } -> tensor<37x200xf32>
  return %0 : tensor<37x200xf32>
}
)mlir";

constexpr const char *columnSums = R"mlir(
func.func private @sums(%x: tensor<37x200xf32>) -> tensor<200xf32> attributes {graph.kernel = "column"} {
  %zero = arith.constant 0.0 : f32
  %l = tensor.empty() : tensor<200xf32>
  %z = linalg.fill ins(%zero : f32) outs(%l : tensor<200xf32>) -> tensor<200xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>], iterator_types = ["reduction", "parallel"]}
      ins(%x : tensor<37x200xf32>) outs(%z : tensor<200xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = arith.addf %o, %a : f32
    linalg.yield %1 : f32
  } -> tensor<200xf32>
  return %s : tensor<200xf32>
}
)mlir";

constexpr const char *gelu = R"mlir(
func.func private @tanh(%x: tensor<37x200xf32>) -> tensor<37x200xf32> attributes {graph.kernel = "elementwise"} {
  %e = tensor.empty() : tensor<37x200xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<37x200xf32>) outs(%e : tensor<37x200xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = math.tanh %a : f32
    linalg.yield %1 : f32
  } -> tensor<37x200xf32>
  return %p : tensor<37x200xf32>
}
)mlir";

constexpr const char *product = R"mlir(
func.func private @product(%x: tensor<37x200xf32>) -> tensor<37x37xf32> attributes {graph.kernel = "contraction"} {
  %0 = graph.contract %x, %x batch [] x [] over [1] x [1] : tensor<37x200xf32>, tensor<37x200xf32> -> tensor<37x37xf32>
  return %0 : tensor<37x37xf32>
}
)mlir";

/// Costs that no machine has, each in another direction.
std::vector<TargetCosts> absurdCosts() {
  std::vector<TargetCosts> all(4);
  all[0].grainNanoseconds = 1e-6; // every grain is worth handing out
  all[0].mostGrains = 1'000'000;
  all[0].worthKeepingInRow = 0;
  all[1].bytesPerNanosecond = all[1].operationsPerNanosecond = 1e-9; // a machine that stands still
  all[1].contractionsPerNanosecond = all[1].cachedBytesPerNanosecond = 1e-9;
  all[2].bytesPerNanosecond = all[2].operationsPerNanosecond = 1e18; // nothing costs anything
  all[2].contractionsPerNanosecond = all[2].cachedBytesPerNanosecond = 1e18;
  all[2].worthKeepingInRow = 1e18;
  all[3].division = all[3].function = 1e9;
  all[3].mostGrains = 1;
  all[3].scratchBytes = 0;
  return all;
}

TEST(Schedule, AbsurdCostsChangeNoResult) {
  const Tensor x = randomTensor(ElementType::F32, {37, 200}, testSeed());
  for (const char *kernel : {softmax, columnSums, gelu, product}) {
    const Tensor expected = CompiledKernel(kernel).run({x}).front();
    for (const TargetCosts &costs : absurdCosts()) {
      const Tensor found = CompiledKernel(kernel, "cpu", costs).run({x}).front();
      for (int64_t i = 0; i < expected.size(); ++i)
        ASSERT_NEAR(elementAt(found, i), elementAt(expected, i),
                    1e-5 * (1 + std::abs(elementAt(expected, i))))
            << kernel << "\nelement " << i;
    }
  }
}

TEST(Schedule, CostsDecideGrains) {
  const std::vector<TargetCosts> costs = absurdCosts();
  EXPECT_EQ(CompiledKernel(softmax, "cpu", costs[0]).grains.front(), 37);
  EXPECT_EQ(CompiledKernel(softmax, "cpu", costs[2]).grains.front(), 1);
  EXPECT_EQ(CompiledKernel(softmax, "cpu", costs[2]).workspaceBytes, 0) << "nothing is kept";
  EXPECT_GT(CompiledKernel(softmax, "cpu", costs[0]).workspaceBytes, 0);
}

} // namespace
} // namespace ingot::test
