/// Graphs of many ops: nothing on the way to kernels may grow faster than they do.
#include "test/passes/kernels/LargeGraph.h"
#include "codegen/Compile.h"
#include "frontend/api/ModelModule.h"
#include "frontend/builder/Builder.h"
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

/// A tensor whose slices feed one chain, trained: the gradient joins as many pieces, each of which
/// follows from the next one's.
Model slicedChain(int64_t slices) {
  Builder b;
  Builder::Value x = b.input("x", ElementType::F32, {4, slices, 8});
  Builder::Value z = b.linear(x, b.parameter("w", {8, 8}, Initializer::uniform(0.5)));
  Builder::Value state;
  for (int64_t at = 0; at < slices; ++at) {
    Builder::Value piece = b.reshape(b.slice(z, 1, at, at + 1), {4, 8});
    state = b.tanh(state.valid() ? state + piece : piece);
  }
  b.output("y", state);
  return b.finish().value();
}

/// Ops of all emitted kernels of a training step.
int64_t emittedOps(int64_t slices) {
  CompileOptions options;
  options.training = TrainingOptions{.loss = Loss::Mse};
  Model model = slicedChain(slices);
  auto module = lowerTo(Stage::Loops, moduleOf(model), options);
  EXPECT_TRUE(module) << module.error().text();
  int64_t number = 0;
  if (module)
    (*module)->walk([&](Operation *) { ++number; });
  return number;
}

// Emitted ops are what compiling a kernel costs: with 300 slices it took minutes.
TEST(LargeGraph, KernelsOfManySlicesGrowWithTheirNumber) {
  const int64_t few = emittedOps(20), many = emittedOps(80);
  EXPECT_GT(few, 1000);
  EXPECT_LT(many, 5 * few);
}

} // namespace
} // namespace ingot
