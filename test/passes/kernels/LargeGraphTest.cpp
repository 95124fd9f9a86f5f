/// Graphs of many ops: nothing on the way to kernels may grow faster than they do.
#include "test/passes/kernels/LargeGraph.h"
#include "codegen/Compile.h"
#include "frontend/api/ModelModule.h"
#include "ir/dialect/GraphBuilder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <gtest/gtest.h>

using namespace mlir;

namespace ingot {
namespace {

/// Ops of the graph dialect and calls of kernels in @forward.
int64_t count(ModuleOp module, bool calls) {
  int64_t number = 0;
  module.lookupSymbol<func::FuncOp>("forward").walk([&](Operation *op) {
    number += calls ? isa<func::CallOp>(op) : isa<graph::GraphDialect>(op->getDialect());
  });
  return number;
}

// No time is measured: what is quadratic in 20,000 ops takes minutes, and the test's own limit ends
// it.
TEST(LargeGraph, TwentyThousandOpsBecomeKernels) {
  Model model = largeGraph(20'000);
  EXPECT_GE(count(moduleOf(model), /*calls=*/false), 20'000);
  auto kernels = lowerTo(Stage::Kernels, moduleOf(model), {});
  ASSERT_TRUE(kernels) << kernels.error().text();
  EXPECT_GT(count(**kernels, /*calls=*/true), 1000);
}

} // namespace
} // namespace ingot
