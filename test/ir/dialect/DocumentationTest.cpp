/// The documentation that TableGen generates, and ir/README.md: examples parse and survive a round
/// trip, and every op has one.
#include "test/ir/Documentation.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "test/ir/Testing.h"
#include "llvm/Support/MemoryBuffer.h"

namespace ingot::testing {
namespace {

class DocumentationTest : public GraphTest {
protected:
  DocumentationTest() {
    context.allowUnregisteredDialects(false);
    context.loadDialect<mlir::arith::ArithDialect>(); // bodies of later stages
  }

  std::string print(mlir::ModuleOp module) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    module.print(stream);
    return text;
  }

  std::vector<std::string> opNames() {
    std::vector<std::string> names;
    for (mlir::RegisteredOperationName name : context.getRegisteredOperationsByDialect("graph"))
      names.push_back(name.stripDialect().str());
    return names;
  }
};

TEST_F(DocumentationTest, EveryOpHasAnExampleThatRoundTrips) {
  auto documented = sections();
  for (const std::string &name : opNames()) {
    SCOPED_TRACE("graph." + name);
    ASSERT_TRUE(documented.count(name));
    std::vector<std::string> examples = examplesOf(documented[name].text);
    ASSERT_FALSE(examples.empty());
    for (const std::string &example : examples) {
      EXPECT_NE(example.find("graph." + name), std::string::npos);
      auto module = parse(example);
      ASSERT_TRUE(module);
      std::string printed = print(*module);
      auto again = parse(printed);
      ASSERT_TRUE(again);
      EXPECT_EQ(print(*again), printed);
    }
  }
}

TEST_F(DocumentationTest, EveryNumberedConstraintHasAnErrorTest) {
  std::string errors = readFile(std::string(INGOT_SOURCE_DIR) + "/test/ir/dialect/ops-errors.mlir");
  std::regex numbered("\n([0-9])\\. ");
  for (const auto &[name, section] : sections())
    for (auto match = std::sregex_iterator(section.text.begin(), section.text.end(), numbered);
         match != std::sregex_iterator(); ++match)
      EXPECT_NE(errors.find("@" + name + "_" + match->str(1)), std::string::npos)
          << "no test of graph." << name << "'s constraint " << match->str(1);
}

TEST_F(DocumentationTest, ReadmesExamplesParse) {
  std::vector<std::string> examples =
      examplesOf(readFile(std::string(INGOT_SOURCE_DIR) + "/ir/README.md"));
  EXPECT_FALSE(examples.empty());
  for (const std::string &example : examples)
    parse(example);
}

} // namespace
} // namespace ingot::testing
