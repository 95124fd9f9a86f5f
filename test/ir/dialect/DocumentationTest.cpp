/// The documentation that TableGen generates, and ir/README.md: examples parse and survive a round
/// trip, every op has one, and the README's table of ops is current.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "test/ir/Testing.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>

namespace ingot::testing {
namespace {

std::string readFile(const std::filesystem::path &path) {
  std::ifstream stream(path);
  EXPECT_TRUE(stream) << path;
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::vector<std::string> examplesOf(const std::string &text) {
  std::vector<std::string> examples;
  const std::string opening = "```mlir\n";
  for (size_t at = text.find(opening); at != std::string::npos; at = text.find(opening, at)) {
    at += opening.size();
    examples.push_back(text.substr(at, text.find("```", at) - at));
  }
  return examples;
}

/// One op's section of the generated documentation.
struct Section {
  std::string summary, text;
};

std::map<std::string, Section> sections() {
  std::map<std::string, Section> result;
  std::string text = readFile(INGOT_GRAPH_DOCUMENTATION);
  std::regex heading("### `graph\\.([a-z_0-9]+)`[^\n]*\n\n_([^\n]*)_\n");
  auto end = std::sregex_iterator();
  for (auto match = std::sregex_iterator(text.begin(), text.end(), heading); match != end;
       ++match) {
    auto next = std::next(match);
    size_t begin = match->position(), stop = next == end ? text.size() : size_t(next->position());
    result[match->str(1)] = {match->str(2), text.substr(begin, stop - begin)};
  }
  return result;
}

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

/// The text of every source file of `folder` whose name starts with `prefix`.
std::string sources(const std::string &folder, const std::string &prefix) {
  std::string text;
  for (const auto &entry :
       std::filesystem::recursive_directory_iterator(std::string(INGOT_SOURCE_DIR) + "/" + folder))
    if (entry.path().extension() == ".cpp" && entry.path().filename().string().starts_with(prefix))
      text += readFile(entry.path());
  return text;
}

/// `layer_norm` → `LayerNormOp`.
std::string className(const std::string &mnemonic) {
  std::string name;
  bool upper = true;
  for (char letter : mnemonic) {
    if (letter != '_')
      name += upper ? llvm::toUpper(letter) : letter;
    upper = letter == '_';
  }
  return name + "Op";
}

/// The ops of Primitives.def: all have a reference and a lowering. By class name: whether they have
/// a gradient.
std::map<std::string, bool> primitives() {
  std::map<std::string, bool> found;
  std::string text = readFile(std::string(INGOT_SOURCE_DIR) + "/ir/formulas/Primitives.def");
  std::regex row("\nINGOT_(UNARY|BINARY)\\(\\w+, (\\w+),([^#]*?)\\)(?=\n(INGOT|\n))");
  for (auto match = std::sregex_iterator(text.begin(), text.end(), row);
       match != std::sregex_iterator(); ++match)
    found[match->str(2)] = match->str(3).find("none") == std::string::npos;
  return found;
}

bool mentions(const std::string &text, const std::string &name) {
  // Not another dialect's op of that name.
  return std::regex_search(text, std::regex("(graph::|[^:\\w])" + name + "\\b"));
}

/// What exists for each op, from the sources: a row is true as long as the code is.
std::string table() {
  std::string reference = sources("ir/reference", ""), gradients = sources("passes", "Gradients");
  // Stage `linalg` names control flow only to refuse it.
  std::string control = sources("codegen", "") + sources("passes/memory", ""), lowering = control;
  for (const char *room : {"passes/linalg", "passes/kernels", "passes/schedule"})
    lowering += sources(room, "");
  std::string composites = sources("ir", "Decompose");
  const std::map<std::string, bool> table = primitives();
  std::string rows = "| op | what | reference | gradient | lowering |\n|---|---|---|---|---|\n";
  for (const auto &[name, section] : sections()) {
    std::string op = className(name);
    auto mark = [&](const std::string &text) { return mentions(text, op) ? " yes |" : " |"; };
    std::string summary = std::regex_replace(section.summary, std::regex("\\|"), "\\|");
    if (auto primitive = table.find(op); primitive != table.end()) {
      rows += "| `" + name + "` | " + summary + " | yes |" + (primitive->second ? " yes |" : " |") +
              " yes |\n";
      continue;
    }
    bool isControl = name == "loop" || name == "if" || name == "yield";
    std::string lowered = mentions(isControl ? control : lowering, op) ? " yes |"
                          : mentions(composites, op + "::decompose") ? " decomposed |"
                                                                     : " |";
    rows +=
        "| `" + name + "` | " + summary + " |" + mark(reference) + mark(gradients) + lowered + "\n";
  }
  return rows;
}

/// INGOT_UPDATE=1 writes the table instead of comparing it.
TEST_F(DocumentationTest, ReadmesTableOfOpsIsCurrent) {
  std::string path = std::string(INGOT_SOURCE_DIR) + "/ir/README.md", text = readFile(path);
  const std::string opening = "<!-- ops -->\n", closing = "<!-- end of ops -->";
  size_t begin = text.find(opening) + opening.size(), end = text.find(closing);
  ASSERT_NE(end, std::string::npos);
  std::string expected = table();
  if (std::getenv("INGOT_UPDATE"))
    std::ofstream(path) << text.substr(0, begin) << expected << text.substr(end);
  else
    EXPECT_EQ(text.substr(begin, end - begin), expected)
        << "run ir_tests with INGOT_UPDATE=1 to write the table";
}

} // namespace
} // namespace ingot::testing
