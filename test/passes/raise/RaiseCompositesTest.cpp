/// Every function of the lit tests of raise-composites, computed by the reference as it is written
/// and as the pass leaves it.
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"
#include "test/ir/Testing.h"
#include <fstream>

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

INSTANTIATE_TEST_SUITE_P(Forms, RaiseComposites,
                         ::testing::Values("raise-composites.mlir", "raise-composites-kept.mlir"),
                         [](const auto &info) { return info.index ? "Kept" : "Raised"; });

} // namespace
} // namespace ingot::testing
