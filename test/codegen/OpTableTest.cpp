/// ir/README.md's table of ops: what exists for each, with totals.
#include "codegen/Compile.h"
#include "mlir/Parser/Parser.h"
#include "passes/Signature.h"
#include "test/ir/Documentation.h"
#include "llvm/ADT/StringExtras.h"
#include <set>

namespace ingot::testing {
namespace {

//===--------------------------------------------------------------------------------------------===//
// What the sources hold
//===--------------------------------------------------------------------------------------------===//

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

/// The ops of Primitives.def: all have a reference. By class name: whether they have a gradient.
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

//===--------------------------------------------------------------------------------------------===//
// What compiles
//===--------------------------------------------------------------------------------------------===//

/// An example's function as a model's @forward.
void makeForward(mlir::func::FuncOp function) {
  function.setName("forward");
  mlir::OpBuilder builder(function);
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    function.setArgAttr(i, "graph.name", builder.getStringAttr("x" + std::to_string(i)));
    function.setArgAttr(i, "graph.role", builder.getStringAttr("input"));
  }
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    function.setResultAttr(i, "graph.name", builder.getStringAttr("y" + std::to_string(i)));
}

void addOps(mlir::ModuleOp module, std::set<std::string> &names) {
  module.walk([&](mlir::Operation *op) {
    if (op->getDialect() && op->getDialect()->getNamespace() == "graph")
      names.insert(op->getName().stripDialect().str());
  });
}

/// Beside the documentation's examples, whose sizes are known at run time alone.
constexpr const char *others[] = {R"(
func.func @loop(%n: tensor<i64>, %x: tensor<4xf32>) -> tensor<4xf32> {
  %y = graph.loop %n carry (%x : tensor<4xf32>) : tensor<i64> -> (tensor<4xf32>) {
  ^bb0(%i: tensor<i64>, %v: tensor<4xf32>):
    %w = graph.add %v, %v : tensor<4xf32>
    graph.yield %w : tensor<4xf32>
  }
  return %y : tensor<4xf32>
})"};

/// The ops of examples that a target compiles, and what these become on the way.
std::set<std::string> compiledOps(const std::string &target) {
  std::vector<std::string> examples(std::begin(others), std::end(others));
  for (const auto &[name, section] : sections())
    for (const std::string &example : examplesOf(section.text))
      examples.push_back(example);
  std::set<std::string> names;
  CompileOptions options;
  options.target = target;
  options.threads = 1;
  for (const std::string &example : examples) {
    auto context = createContext();
    mlir::ScopedDiagnosticHandler quiet(context.get(), [](mlir::Diagnostic &) {});
    auto module = mlir::parseSourceString<mlir::ModuleOp>(example, context.get());
    if (!module)
      continue;
    auto functions = module->getOps<mlir::func::FuncOp>();
    if (functions.empty())
      continue;
    makeForward(*functions.begin());
    auto scheduled = lowerTo(Stage::Schedule, *module, options);
    if (!scheduled || !compile(*module, options))
      continue;
    addOps(*module, names);
    addOps(**scheduled, names);
  }
  return names;
}

//===--------------------------------------------------------------------------------------------===//
// The table
//===--------------------------------------------------------------------------------------------===//

std::string table() {
  const std::string reference = sources("ir/reference", ""),
                    gradients = sources("passes", "Gradients");
  const std::map<std::string, bool> ofPrimitives = primitives();
  const std::set<std::string> cpu = compiledOps("cpu:x86-64-v3"), cuda = compiledOps("cuda:sm_80");
  const std::regex numbered("\n[0-9]\\. ");
  std::string rows = "| op | what | constraints | reference | gradient | cpu | cuda |\n"
                     "|---|---|---|---|---|---|---|\n";
  std::array<int64_t, 5> totals = {};
  for (const auto &[name, section] : sections()) {
    const std::string op = className(name);
    const auto primitive = ofPrimitives.find(op);
    const bool isPrimitive = primitive != ofPrimitives.end();
    const int64_t constraints =
        std::distance(std::sregex_iterator(section.text.begin(), section.text.end(), numbered), {});
    const std::array<int64_t, 5> has = {constraints, isPrimitive || mentions(reference, op),
                                        isPrimitive ? primitive->second : mentions(gradients, op),
                                        cpu.contains(name), cuda.contains(name)};
    rows += "| `" + name + "` | " + std::regex_replace(section.summary, std::regex("\\|"), "\\|") +
            " |";
    for (size_t column = 0; column < has.size(); ++column) {
      totals[column] += has[column];
      rows += has[column] == 0 ? " |" : column == 0 ? fmt::format(" {} |", has[column]) : " yes |";
    }
    rows += "\n";
  }
  return rows + fmt::format("| {} ops | | {} |\n", sections().size(), fmt::join(totals, " | "));
}

/// INGOT_UPDATE=1 writes the table instead of comparing it.
TEST(OpTable, ReadmesIsCurrent) {
  std::string path = std::string(INGOT_SOURCE_DIR) + "/ir/README.md", text = readFile(path);
  const std::string opening = "<!-- ops -->\n", closing = "<!-- end of ops -->";
  size_t begin = text.find(opening) + opening.size(), end = text.find(closing);
  ASSERT_NE(end, std::string::npos);
  std::string expected = table();
  if (std::getenv("INGOT_UPDATE"))
    std::ofstream(path) << text.substr(0, begin) << expected << text.substr(end);
  else
    EXPECT_EQ(text.substr(begin, end - begin), expected)
        << "run codegen_tests with INGOT_UPDATE=1 to write the table";
}

} // namespace
} // namespace ingot::testing
