/// The formulas' values against PyTorch's, and the table of formulas in ir/README.md.
#include "ir/formulas/Formulas.h"
#include "test/golden/Formulas.h"
#include "test/ir/Testing.h"
#include "llvm/ADT/StringSet.h"
#include <sstream>

namespace ingot::testing {
namespace {

TEST(Formulas, ValuesAreThoseRecorded) {
  for (const RecordedFormula &recorded : recordedFormulas()) {
    const graph::Formula *formula = graph::findFormula(recorded.name);
    ASSERT_TRUE(formula) << recorded.name;
    ASSERT_EQ(formula->operands, recorded.operands) << recorded.name;
    for (size_t row = 0; row < recorded.value().size(); ++row) {
      std::vector<double> point;
      for (size_t operand = 0; operand < recorded.operands; ++operand)
        point.push_back(recorded.operand(operand)[row]);
      expectRecorded(formula->reference(point, recorded.parameters), recorded.value()[row], 1e-13,
                     recorded.point(row));
    }
  }
}

TEST(Formulas, EachIsRecordedWithItsDefaults) {
  llvm::StringSet<> withDefaults;
  for (const RecordedFormula &recorded : recordedFormulas())
    if (const graph::Formula *formula = graph::findFormula(recorded.name);
        formula && formula->parameters == recorded.parameters)
      withDefaults.insert(recorded.name);
  for (const graph::Formula &formula : graph::allFormulas())
    EXPECT_TRUE(withDefaults.contains(formula.name))
        << formula.name << ": test/golden/record-formulas has no row with its default parameters";
}

/// INGOT_UPDATE=1 writes the table instead of comparing it.
TEST(Formulas, ReadmesTableIsCurrent) {
  std::string path = INGOT_SOURCE_DIR "/ir/README.md";
  std::stringstream file;
  file << std::ifstream(path).rdbuf();
  std::string text = file.str(), expected = "| formula | of | is |\n|---|---|---|\n";
  for (const graph::Formula &formula : graph::allFormulas()) {
    std::string numbers;
    for (double parameter : formula.parameters)
      numbers += fmt::format(", {}", parameter);
    expected += fmt::format("| `{}` | {}{} | `{}` |\n", formula.name,
                            formula.operands == 1 ? "x" : "x, y", numbers, formula.text.str());
  }
  const std::string opening = "<!-- formulas -->\n", closing = "<!-- end of formulas -->";
  size_t begin = text.find(opening) + opening.size(), end = text.find(closing);
  ASSERT_NE(end, std::string::npos);
  if (std::getenv("INGOT_UPDATE"))
    std::ofstream(path) << text.substr(0, begin) << expected << text.substr(end);
  else
    EXPECT_EQ(text.substr(begin, end - begin), expected) << "INGOT_UPDATE=1 writes it";
}

} // namespace
} // namespace ingot::testing
