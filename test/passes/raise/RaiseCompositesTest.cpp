/// Every function of the lit tests of raise-composites, computed by the reference as it is written
/// and as the pass leaves it.
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"
#include "test/ir/Testing.h"
#include <fstream>
#include <sys/resource.h>

namespace ingot::testing {
namespace {

using namespace mlir;

class RaiseComposites : public GraphTest, public ::testing::WithParamInterface<const char *> {};

std::vector<std::string> partsOf(const std::string &name) {
  std::ifstream file(std::string(INGOT_SOURCE_DIR) + "/test/passes/raise/" + name);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::vector<std::string> parts;
  for (size_t at = 0; at != std::string::npos;) {
    const std::string mark = "// -----";
    const size_t end = text.find(mark, at);
    parts.push_back(text.substr(at, end == std::string::npos ? end : end - at));
    at = end == std::string::npos ? end : end + mark.size();
  }
  return parts;
}

TEST_P(RaiseComposites, ChangeNoResult) {
  const std::vector<std::string> parts = partsOf(GetParam());
  EXPECT_GE(parts.size(), 10u);
  for (const std::string &text : parts) {
    auto module = parse(text);
    ASSERT_TRUE(module);
    func::FuncOp function = only(*module);
    SCOPED_TRACE(function.getName().str());
    Tensors arguments;
    for (Type type : function.getArgumentTypes()) {
      std::string spelled;
      llvm::raw_string_ostream(spelled) << type;
      arguments.push_back(random(spelled));
    }
    const Tensors expected = run(*module, arguments);
    PassManager passes(&context);
    passes.addPass(createCanonicalizerPass());
    passes.addPass(createCSEPass());
    passes.addPass(createRaiseComposites());
    ASSERT_TRUE(succeeded(passes.run(*module)));
    const Tensors actual = run(*module, arguments);
    ASSERT_EQ(actual.size(), expected.size());
    for (size_t i = 0; i < actual.size(); ++i)
      expectClose(actual[i], expected[i], 4e-6);
  }
}

const char *const files[] = {"raise-composites.mlir", "raise-composites-masks.mlir",
                             "raise-composites-kept.mlir"};
const char *const names[] = {"Raised", "Masks", "Kept"};

INSTANTIATE_TEST_SUITE_P(Forms, RaiseComposites, ::testing::ValuesIn(files),
                         [](const auto &info) { return names[info.index]; });

class RaisedMasks : public GraphTest {
protected:
  void raise(ModuleOp module) {
    PassManager passes(&context);
    passes.addPass(createRaiseComposites());
    ASSERT_TRUE(succeeded(passes.run(module)));
    ASSERT_EQ(count<graph::AttentionOp>(module), 1);
    ASSERT_EQ(count<graph::SoftmaxOp>(module), 0);
  }
  template <typename Op> static int count(ModuleOp module) {
    int number = 0;
    module.walk([&](Op) { ++number; });
    return number;
  }
};

/// Causal by a known mask and padded on the left by the model's data, both with the lowest float:
/// queries that see a token keep their results, and a query of the padding has one of its window.
TEST_F(RaisedMasks, AWindowHidesWhateverOtherMasksAdd) {
  auto module = parse(R"mlir(
func.func @forward(%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x4x8xf32>, %v: tensor<2x3x4x8xf32>, %missing: tensor<2x4xf32>) -> tensor<2x3x4x8xf32> {
  %s = graph.contract %q, %k batch [0, 1] x [0, 1] over [3] x [3] : tensor<2x3x4x8xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x4xf32>
  %i = graph.iota 0 : tensor<4x4xi32>
  %j = graph.iota 1 : tensor<4x4xi32>
  %hides = graph.compare gt %j, %i : tensor<4x4xi32> -> tensor<4x4xi1>
  %low = graph.constant dense<-3.40282347E+38> : tensor<4x4xf32>
  %none = graph.constant dense<0.0> : tensor<4x4xf32>
  %m0 = graph.select %hides, %low, %none : tensor<4x4xi1>, tensor<4x4xf32>
  %m = graph.broadcast %m0 [2, 3] : tensor<4x4xf32> -> tensor<2x3x4x4xf32>
  %a = graph.add %s, %m : tensor<2x3x4x4xf32>
  %n = graph.broadcast %missing [0, 3] : tensor<2x4xf32> -> tensor<2x3x4x4xf32>
  %b = graph.add %a, %n : tensor<2x3x4x4xf32>
  %p = graph.softmax %b dimension 3 : tensor<2x3x4x4xf32>
  %y = graph.contract %p, %v batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x3x4x4xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x8xf32>
  return %y : tensor<2x3x4x8xf32>
})mlir");
  ASSERT_TRUE(module);
  const double low = -3.40282347E+38;
  const std::string type = "tensor<2x3x4x8xf32>";
  const Tensors arguments = {random(type), random(type), random(type),
                             tensor(ElementType::F32, {2, 4}, {low, low, 0, 0, 0, 0, 0, 0})};
  const auto expected = graph::load<double>(run(*module, arguments)[0]);
  raise(*module);
  module->walk([](graph::AttentionOp op) { EXPECT_TRUE(op.getCausal()); });
  const auto actual = graph::load<double>(run(*module, arguments)[0]),
             value = graph::load<double>(arguments[2]);
  for (int64_t row = 0; row < 2 * 3 * 4; ++row)
    for (int64_t i = 0; i < 8; ++i) {
      const int64_t query = row % 4, at = row * 8 + i;
      const bool isPadding = row < 3 * 4 && query < 2;
      const double own =
          query == 0 ? value[size_t(at)] : (value[size_t(at)] + value[size_t(at - 8)]) / 2;
      EXPECT_NEAR(actual[size_t(at)], isPadding ? own : expected[size_t(at)], 1e-5)
          << "row " << row;
    }
}

/// That a bias hides keys of its own accord is looked up in the bias, not in all the scores.
TEST_F(RaisedMasks, ABiasOfALongSequenceTakesNoMemory) {
  auto module = parse(R"mlir(
func.func @forward(%q: tensor<1x32768x1xf32>, %k: tensor<1x32768x1xf32>, %v: tensor<1x32768x1xf32>) -> tensor<1x32768x1xf32> {
  %s = graph.contract %q, %k batch [0] x [0] over [2] x [2] : tensor<1x32768x1xf32>, tensor<1x32768x1xf32> -> tensor<1x32768x32768xf32>
  %i = graph.iota 0 : tensor<32768xf32>
  %low = graph.constant dense<-1.0e+10> : tensor<32768xf32>
  %m0 = graph.mul %i, %low : tensor<32768xf32>
  %m = graph.broadcast %m0 [2] : tensor<32768xf32> -> tensor<1x32768x32768xf32>
  %a = graph.add %s, %m : tensor<1x32768x32768xf32>
  %p = graph.softmax %a dimension 2 : tensor<1x32768x32768xf32>
  %y = graph.contract %p, %v batch [0] x [0] over [2] x [1] : tensor<1x32768x32768xf32>, tensor<1x32768x1xf32> -> tensor<1x32768x1xf32>
  return %y : tensor<1x32768x1xf32>
})mlir");
  ASSERT_TRUE(module);
  auto kilobytes = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  const long before = kilobytes();
  raise(*module);
  EXPECT_LT(kilobytes() - before, 1 << 20);
  module->walk([](graph::AttentionOp op) { EXPECT_TRUE(op.getMask()); });
}

} // namespace
} // namespace ingot::testing
