/// No instruction without a test: what the emulator takes has a row in the tables of instruction
/// tests, or a test of its own that is named here.
#include "runtime/emulator/machine/InstructionSet.h"
#include "runtime/emulator/machine/Module.h"
#include "test/emulator/instructions/InstructionTables.h"
#include <algorithm>
#include <map>
#include <set>

namespace ingot::emulator::test {
namespace {

struct Elsewhere {
  std::string_view opcode, test; ///< "Suite.name", or "Suite.*"
};
constexpr Elsewhere elsewhere[] = {
    {"activemask", "WarpInstructions.activemask"},
    {"applypriority", "Memory.hintsChangeNothing"},
    {"bar", "Control.*"},
    {"barrier", "Control.*"},
    {"bra", "Control.*"},
    {"brkpt", "Control.*"},
    {"brx", "Control.*"},
    {"call", "Control.*"},
    {"cp", "Async.*"},
    {"createpolicy", "Memory.hintsChangeNothing"},
    {"cvta", "Memory.*"},
    {"discard", "Memory.hintsChangeNothing"},
    {"exit", "Control.*"},
    {"fence", "Checks.*"},
    {"getctarank", "Control.*"},
    {"griddepcontrol", "Control.*"},
    {"isspacep", "Memory.*"},
    {"ld", "Memory.*"},
    {"ldmatrix", "MatrixInstructions.*"},
    {"ldu", "Memory.*"},
    {"mapa", "Control.*"},
    {"mbarrier", "Async.*"},
    {"membar", "Checks.*"},
    {"mma", "MatrixInstructions.*"},
    {"mov", "Memory.*"},
    {"nanosleep", "Control.*"},
    {"pmevent", "Control.*"},
    {"prefetch", "Memory.hintsChangeNothing"},
    {"prefetchu", "Memory.hintsChangeNothing"},
    {"ret", "Control.*"},
    {"setmaxnreg", "MatrixInstructions.*"},
    {"st", "Memory.*"},
    {"stmatrix", "MatrixInstructions.*"},
    {"tensormap", "TensorMapInstructions.*"},
    {"trap", "Control.*"},
    {"wgmma", "MatrixInstructions.*"},
    {"wmma", "All/TensorKernels.*"},
};

/// One instruction's text: opcode with modifiers, and the rest.
struct Statement {
  std::vector<std::string> parts; ///< "add", "rn", "f32"
  std::string operands;
  std::string text() const { return fmt::format("{} {}", fmt::join(parts, "."), operands); }
  /// Modifiers that are no types stand in any order.
  std::string form() const {
    std::vector<std::string> flags, types;
    for (size_t i = 1; i < parts.size(); ++i)
      (parseType(parts[i]) ? types : flags).push_back(parts[i]);
    std::ranges::sort(flags);
    return fmt::format("{} {} {}", parts[0], fmt::join(flags, "."), fmt::join(types, "."));
  }
};

std::vector<Statement> statementsOf(std::string_view text) {
  std::vector<Statement> all;
  while (!text.empty()) {
    const size_t end = std::min(text.find(';'), text.size());
    std::string_view one = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (one.starts_with(' ') || one.starts_with('\n') || one.starts_with("@k"))
      one.remove_prefix(one.starts_with("@k") ? 2 : 1);
    const size_t space = one.find(' ');
    Statement statement;
    std::string_view head = one.substr(0, space);
    while (!head.empty()) {
      const size_t dot = std::min(head.find('.'), head.size());
      statement.parts.emplace_back(head.substr(0, dot));
      head.remove_prefix(std::min(dot + 1, head.size()));
    }
    statement.operands = space == one.npos ? "" : std::string(one.substr(space + 1));
    all.push_back(std::move(statement));
  }
  return all;
}

std::vector<Statement> testedStatements() {
  std::vector<std::string> texts;
  for (const auto table :
       {integerCases, bitCases, compareCases, floatCases, convertCases, videoCases, atomicCases})
    for (const InstructionCase &test : table())
      texts.push_back(test.text);
  for (const WarpCase &test : warpCases())
    texts.push_back(test.text);
  texts.push_back("activemask.b32 d32"); // WarpInstructions.activemask
  std::map<std::string, Statement> byForm;
  for (const std::string &text : texts)
    for (const Statement &statement : statementsOf(text))
      byForm.try_emplace(statement.form(), statement);
  std::vector<Statement> all;
  for (auto &[form, statement] : byForm)
    all.push_back(std::move(statement));
  return all;
}

bool isElsewhere(std::string_view opcode) {
  return std::ranges::any_of(elsewhere, [&](const Elsewhere &e) { return e.opcode == opcode; });
}

TEST(InstructionCoverage, everyOpcodeHasATest) {
  std::set<std::string> tested;
  for (const Statement &statement : testedStatements())
    tested.insert(statement.parts[0]);
  for (const std::string_view opcode : opcodes())
    EXPECT_TRUE(tested.contains(std::string(opcode)) || isElsewhere(opcode))
        << opcode << " has neither a row in a table of instruction tests nor a test named here";
}

TEST(InstructionCoverage, namedTestsExist) {
  std::set<std::string> tests;
  const auto &unit = *testing::UnitTest::GetInstance();
  for (int i = 0; i < unit.total_test_suite_count(); ++i) {
    const auto &suite = *unit.GetTestSuite(i);
    tests.insert(fmt::format("{}.*", suite.name()));
    for (int j = 0; j < suite.total_test_count(); ++j)
      tests.insert(fmt::format("{}.{}", suite.name(), suite.GetTestInfo(j)->name()));
  }
  for (const Elsewhere &e : elsewhere) {
    EXPECT_TRUE(tests.contains(std::string(e.test))) << e.test << " does not exist";
    EXPECT_FALSE(rowsOf(e.opcode).empty()) << e.opcode << " is no instruction";
  }
}

/// Registers of another width: "a32" becomes "a64".
std::string rewidthed(std::string operands, int from, int to) {
  const std::string old = std::to_string(from);
  for (size_t at = 0; (at = operands.find(old, at)) != std::string::npos; ++at)
    if (at && std::string_view("abcdef").find(operands[at - 1]) != std::string_view::npos)
      operands.replace(at, old.size(), std::to_string(to));
  return operands;
}

/// What differs from a tested instruction by one modifier.
std::vector<Statement> neighbours(const Statement &tested, const std::set<std::string> &flags) {
  std::vector<Statement> all;
  for (size_t i = 1; i < tested.parts.size(); ++i) {
    const auto type = parseType(tested.parts[i]);
    if (!type) { // one left out
      Statement shorter = tested;
      shorter.parts.erase(shorter.parts.begin() + i);
      all.push_back(shorter);
      continue;
    }
    for (int t = int(Type::None) + 1; t < int(Type::Pred); ++t) {
      Statement other = tested;
      other.parts[i] = typeName(Type(t));
      all.push_back(other);
      const int from = bitsOf(*type), to = std::max(bitsOf(Type(t)), 16);
      if (from != to && from >= 16 && to <= 64) {
        other.operands = rewidthed(tested.operands, from, to);
        all.push_back(other);
        // Or one operand alone: the first, or the others.
        const size_t comma = std::min(tested.operands.find(','), tested.operands.size());
        const std::string first = tested.operands.substr(0, comma),
                          rest = tested.operands.substr(comma);
        other.operands = rewidthed(first, from, to) + rest;
        all.push_back(other);
        other.operands = first + rewidthed(rest, from, to);
        all.push_back(other);
      }
    }
  }
  for (const std::string &flag : flags) { // one more
    if (std::ranges::find(tested.parts, flag) != tested.parts.end())
      continue;
    Statement longer = tested;
    longer.parts.insert(longer.parts.begin() + 1, flag);
    all.push_back(std::move(longer));
  }
  return all;
}

/// Relations, their combinations and roundings of cvt are alike for all types: one of each kind is
/// varied.
bool isRepresentative(const Statement &statement) {
  if (statement.parts[0] == "cvt")
    return std::ranges::none_of(statement.parts, [](const std::string &part) {
      return part == "rm" || part == "rp" || part == "rmi" || part == "rpi" || part == "rzi";
    });
  if (statement.parts[0] != "setp" && statement.parts[0] != "set")
    return true;
  const std::set<std::string> kept{"lt", "ltu", "lo", "and"};
  return std::ranges::all_of(statement.parts.begin() + 1, statement.parts.end(),
                             [&](const std::string &part) {
                               return parseType(part) || part == "ftz" || kept.contains(part);
                             });
}

// From every tested form, one modifier more, less or different: what the emulator takes must be
// tested, too.
TEST(InstructionCoverage, everyFormThatDecodesHasARow) {
  const std::vector<Statement> tested = testedStatements();
  std::set<std::string> forms,
      flags{"oob", "noftz", "cc", "sat", "ftz", "relu", "NaN", "satfinite", "abs"};
  std::map<std::string, std::set<std::string>> flagsOf; // of an opcode
  for (const Statement &statement : tested) {
    forms.insert(statement.form());
    for (size_t i = 1; i < statement.parts.size(); ++i)
      if (!parseType(statement.parts[i]) && !isElsewhere(statement.parts[0]))
        flagsOf[statement.parts[0]].insert(statement.parts[i]);
  }
  std::map<std::string, std::vector<Statement>> untested; // by form
  for (const Statement &statement : tested) {
    if (isElsewhere(statement.parts[0]) || !isRepresentative(statement))
      continue;
    std::set<std::string> more = flags;
    more.merge(std::set(flagsOf[statement.parts[0]]));
    for (Statement &other : neighbours(statement, more))
      if (!forms.contains(other.form())) {
        auto &candidates = untested[other.form()];
        if (candidates.size() < 6)
          candidates.push_back(std::move(other));
      }
  }
  std::vector<std::string> texts;
  for (const auto &[form, candidates] : untested)
    for (const Statement &candidate : candidates)
      texts.push_back(candidate.text());
  constexpr size_t batch = 1000;
  for (size_t first = 0; first < texts.size(); first += batch) {
    const size_t last = std::min(first + batch, texts.size());
    std::string module = header("sm_100a");
    for (size_t i = first; i < last; ++i)
      module += kernelAround(fmt::format("k{}", i), texts[i]);
    GlobalMemory memory;
    const auto loaded = Module::load(std::move(module), "probe.ptx", memory);
    ASSERT_TRUE(loaded) << loaded.error().text();
    for (size_t i = first; i < last; ++i)
      if ((*loaded)->kernel(fmt::format("k{}", i)))
        ADD_FAILURE() << "no test has the form of: " << texts[i];
  }
  RecordProperty("probed", int(texts.size()));
  EXPECT_GT(texts.size(), 1000u);
}

} // namespace
} // namespace ingot::emulator::test
