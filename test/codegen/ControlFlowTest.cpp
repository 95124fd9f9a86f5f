/// Loops and branches: compiled against the reference, on random modules and in corners.
#include "codegen/Compile.h"
#include "codegen/RunStages.h"
#include "frontend/api/Ingot.h"
#include "runtime/program/Device.h"
#include "test/ir/Testing.h"
#include <fmt/format.h>

namespace ingot::testing {
namespace {

struct Argument {
  std::string name, type;
  ::ingot::Tensor value;
};

class ControlFlowTest : public GraphTest {
protected:
  /// `@forward` of these arguments and results `r0`, `r1`, …
  static std::string forward(const std::vector<Argument> &arguments,
                             const std::vector<std::string> &results, const std::string &body) {
    std::string text = "func.func @forward(";
    for (const Argument &argument : arguments)
      text += fmt::format("{}%{}: {} {{graph.name = \"{}\", graph.role = \"input\"}}",
                          &argument == &arguments[0] ? "" : ", ", argument.name, argument.type,
                          argument.name);
    text += ") -> (";
    for (size_t i = 0; i < results.size(); ++i)
      text += fmt::format("{}{} {{graph.name = \"r{}\"}}", i ? ", " : "", results[i], i);
    return text + ") {\n" + body + "}\n";
  }

  std::map<std::string, ::ingot::Tensor> inputs(const std::vector<Argument> &arguments) {
    std::map<std::string, ::ingot::Tensor> values;
    for (const Argument &argument : arguments)
      values.emplace(argument.name, argument.value);
    return values;
  }

  /// Compiled, from memory that an earlier run has left, against the reference.
  void compare(const std::string &text, const std::vector<Argument> &arguments) {
    SCOPED_TRACE(text);
    auto module = parse(text);
    ASSERT_TRUE(module);
    std::vector<::ingot::Tensor> values;
    for (const Argument &argument : arguments)
      values.push_back(argument.value);
    auto expected = interpret(only(*module), values);
    ASSERT_TRUE(expected) << expected.error().text();
    auto model = Model::parse(text);
    ASSERT_TRUE(model) << model.error().text();
    auto program = model->compile();
    ASSERT_TRUE(program) << program.error().text();
    for (int run = 0; run < 2; ++run) {
      auto outputs = program->run(inputs(arguments));
      ASSERT_TRUE(outputs) << outputs.error().text();
      for (size_t i = 0; i < expected->size(); ++i) {
        SCOPED_TRACE(fmt::format("result {} of run {}", i, run));
        expectClose(outputs->at(fmt::format("r{}", i)), (*expected)[i], 1e-4);
      }
    }
  }

  Argument argument(const std::string &name, const std::string &type) {
    return {name, type, random(type)};
  }
  static Argument count(const std::string &name, int64_t value) {
    return {name, "tensor<i64>", tensor<int64_t>(ElementType::I64, {}, {value})};
  }
};

//===--------------------------------------------------------------------------------------------===//
// Random modules
//===--------------------------------------------------------------------------------------------===//

/// Writes functions of vectors and matrices with loops and branches in each other. Values stay in
/// [-1, 1].
class RandomModule {
public:
  RandomModule(std::mt19937_64 &random) : random(random), n(pick({5, 16, 32})) {
    vector = fmt::format("tensor<{}xf32>", n);
    matrix = fmt::format("tensor<{}x{}xf32>", n, n);
    values.push_back({"x", vector});
    values.push_back({"y", vector});
    values.push_back({"m", matrix});
    counts.push_back("k");
  }

  std::string write() {
    steps(3 + below(4), 0);
    std::string body = text;
    text.clear();
    results = {values[values.size() - 1], values[below(values.size())], values[values.size() / 2]};
    text = body + "  return " + list(results, true) + " : " + list(results, false) + "\n";
    return text;
  }

  std::vector<std::string> resultTypes() const {
    std::vector<std::string> types;
    for (const auto &[name, type] : results)
      types.push_back(type);
    return types;
  }

  std::string vector, matrix;

private:
  using Value = std::pair<std::string, std::string>;

  size_t below(size_t limit) { return random() % limit; }
  int64_t pick(std::vector<int64_t> of) { return of[below(of.size())]; }
  std::string fresh() { return fmt::format("v{}", next++); }
  template <typename... Args> void line(fmt::format_string<Args...> format, Args &&...args) {
    text += "  " + fmt::format(format, std::forward<Args>(args)...) + "\n";
  }
  static std::string list(const std::vector<Value> &of, bool names) {
    std::string all;
    for (const auto &[name, type] : of)
      all += (all.empty() ? "" : ", ") + (names ? "%" + name : type);
    return all;
  }
  Value any(const std::string &type) {
    std::vector<Value> fitting;
    for (const Value &value : values)
      if (value.second == type)
        fitting.push_back(value);
    return fitting[below(fitting.size())];
  }
  std::string anyType() { return below(3) ? vector : matrix; }
  void add(const std::string &name, const std::string &type) { values.push_back({name, type}); }

  void bounded(const std::string &raw, const std::string &type) {
    std::string name = fresh();
    line("%{} = graph.tanh %{} : {}", name, raw, type);
    add(name, type);
  }

  void elementwise() {
    std::string raw = fresh(), type = anyType();
    const char *ops[] = {"add", "mul", "sub", "maximum"};
    line("%{} = graph.{} %{}, %{} : {}", raw, ops[below(4)], any(type).first, any(type).first,
         type);
    bounded(raw, type);
  }

  void contract() {
    std::string raw = fresh(), type = anyType();
    line("%{} = graph.contract %{}, %{} batch [] x [] over [1] x [0] : {}, {} -> {}", raw,
         any(matrix).first, any(type).first, matrix, type, type);
    bounded(raw, type);
  }

  void rowOf() {
    std::string row = fresh(), name = fresh();
    line("%{} = graph.dynamic_slice %{}, %{} dimension 0 size 1 : {}, tensor<i64> -> "
         "tensor<1x{}xf32>",
         row, any(matrix).first, counts[below(counts.size())], matrix, n);
    line("%{} = graph.reshape %{} : tensor<1x{}xf32> -> {}", name, row, n, vector);
    add(name, vector);
  }

  void replaceRow() {
    std::string row = fresh(), name = fresh();
    line("%{} = graph.reshape %{} : {} -> tensor<1x{}xf32>", row, any(vector).first, vector, n);
    line("%{} = graph.dynamic_update_slice %{}, %{}, %{} dimension 0 : {}, tensor<1x{}xf32>, "
         "tensor<i64>",
         name, any(matrix).first, row, counts[below(counts.size())], matrix, n);
    add(name, matrix);
  }

  void branch(int depth) {
    std::string sum = fresh(), zero = fresh(), condition = fresh(), out = fresh(), type = anyType();
    line("%{} = graph.reduce sum %{} [0] : {} -> tensor<f32>", sum, any(vector).first, vector);
    line("%{} = graph.constant dense<0.0> : tensor<f32>", zero);
    line("%{} = graph.compare lt %{}, %{} : tensor<f32> -> tensor<i1>", condition, sum, zero);
    std::string second = below(2) ? "" : fresh();
    line("%{}{} = graph.if %{} : tensor<i1> -> ({}{}) {{", out,
         second.empty() ? "" : ", %" + second, condition, type,
         second.empty() ? "" : ", " + vector);
    for (int side = 0; side < 2; ++side) {
      auto before = values;
      steps(below(3), depth + 1);
      line("graph.yield %{}{} : {}{}", any(type).first,
           second.empty() ? "" : ", %" + any(vector).first, type,
           second.empty() ? "" : ", " + vector);
      values = before;
      line("{}", side ? "}" : "} else {");
    }
    add(out, type);
    if (!second.empty())
      add(second, vector);
  }

  void loop(int depth) {
    // Rows 0 … 4 of every matrix are there.
    const int64_t trips = pick({0, 1, 2, 3, 5});
    const bool isConstant = below(3), stacks = isConstant && below(2);
    std::string number = counts[0];
    if (isConstant) {
      number = fresh();
      line("%{} = graph.constant dense<{}> : tensor<i64>", number, trips);
    }
    std::vector<Value> carried, outs;
    for (size_t i = below(4); i > 0; --i)
      carried.push_back(any(anyType()));
    std::vector<std::string> stacked;
    if (stacks || carried.empty())
      for (size_t i = 1 + below(2); i > 0; --i)
        stacked.push_back(anyType());
    const int64_t rows = isConstant ? trips : 5;
    for (const auto &[name, type] : carried)
      outs.push_back({fresh(), type});
    for (const std::string &type : stacked)
      outs.push_back({fresh(), fmt::format("tensor<{}x{}", rows, type.substr(7))});
    std::string counter = fresh(), arguments;
    std::vector<Value> inner;
    for (const auto &[name, type] : carried) {
      inner.push_back({fresh(), type});
      arguments += fmt::format(", %{}: {}", inner.back().first, type);
    }
    std::string carry;
    if (!carried.empty())
      carry = fmt::format("carry ({} : {}) ", list(carried, true), list(carried, false));
    line("{} = graph.loop %{} {}{}{}: tensor<i64> -> ({}) {{", list(outs, true), number,
         isConstant ? "" : "at_most 5 ", below(3) ? "" : "reverse ", carry, list(outs, false));
    line("^bb0(%{}: tensor<i64>{}):", counter, arguments);
    auto before = values;
    auto countsBefore = counts;
    counts.push_back(counter);
    for (const Value &value : inner) {
      values.push_back(value);
      values.push_back(value);
      values.push_back(value); // most likely used
    }
    steps(1 + below(3), depth + 1);
    std::vector<Value> yields;
    for (const auto &[name, type] : carried)
      yields.push_back(any(type));
    for (const std::string &type : stacked)
      yields.push_back(any(type));
    line("graph.yield {} : {}", list(yields, true), list(yields, false));
    line("}}");
    values = before;
    counts = countsBefore;
    for (size_t i = 0; i < outs.size(); ++i) {
      if (i < carried.size()) {
        values.push_back(outs[i]);
        continue;
      }
      std::string raw = fresh(), type = stacked[i - carried.size()];
      line("%{} = graph.reduce sum %{} [0] : {} -> {}", raw, outs[i].first, outs[i].second, type);
      bounded(raw, type);
    }
  }

  void steps(size_t amount, int depth) {
    for (; amount > 0; --amount)
      switch (below(depth > 2 ? 5 : 8)) {
      case 0:
      case 1:
        elementwise();
        break;
      case 2:
        contract();
        break;
      case 3:
        rowOf();
        break;
      case 4:
        replaceRow();
        break;
      case 5:
        branch(depth);
        break;
      default:
        loop(depth);
      }
  }

  std::mt19937_64 &random;
  int64_t n;
  int next = 0;
  std::string text;
  std::vector<Value> values, results;
  std::vector<std::string> counts; ///< i64 scalars in [0, 4]
};

TEST_F(ControlFlowTest, RandomModulesAgreeWithTheReference) {
  const char *wanted = std::getenv("INGOT_TEST_MODULES");
  for (int i = 0; i < (wanted ? std::atoi(wanted) : 40) && !HasFailure(); ++i) {
    RandomModule module(generator);
    std::string body = module.write();
    std::vector<Argument> arguments = {argument("x", module.vector), argument("y", module.vector),
                                       argument("m", module.matrix), count("k", between(0, 4))};
    compare(forward(arguments, module.resultTypes(), body), arguments);
  }
}

/// The results of a module that was printed at some stage.
std::vector<::ingot::Tensor> runText(const std::string &text,
                                     const std::vector<Argument> &arguments) {
  auto context = createContext();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, context.get());
  EXPECT_TRUE(module) << text;
  Result<Program> program = ingot::compile(*module, CompileOptions());
  EXPECT_TRUE(program) << program.error().text();
  auto device = openDevice("cpu", {.threads = 2});
  auto session = (*device)->load(std::make_shared<Program>(std::move(*program)));
  EXPECT_TRUE(session) << session.error().text();
  for (const Argument &argument : arguments)
    EXPECT_TRUE((*session)->write("forward", argument.name, argument.value));
  EXPECT_TRUE((*session)->run("forward"));
  std::vector<::ingot::Tensor> results;
  for (const char *name : {"r0", "r1", "r2"})
    results.push_back(*(*session)->read("forward", name));
  return results;
}

// What every stage prints, parsed and compiled, gives the same bits.
TEST_F(ControlFlowTest, EveryStageParsesBackToTheSameBits) {
  for (int i = 0; i < 4; ++i) {
    RandomModule random(generator);
    std::string body = random.write();
    std::vector<Argument> arguments = {argument("x", random.vector), argument("y", random.vector),
                                       argument("m", random.matrix), count("k", between(0, 4))};
    std::string text = forward(arguments, random.resultTypes(), body);
    SCOPED_TRACE(text);
    std::vector<::ingot::Tensor> expected = runText(text, arguments);
    for (Stage stage : {Stage::Graph, Stage::Train, Stage::Linalg, Stage::Kernels, Stage::Schedule,
                        Stage::Plan, Stage::Loops}) {
      SCOPED_TRACE(std::string(enumName(stage)));
      auto context = createContext();
      auto module = mlir::parseSourceString<mlir::ModuleOp>(text, context.get());
      Result<std::string> printed = printStage(stage, *module, CompileOptions());
      ASSERT_TRUE(printed) << printed.error().text();
      std::vector<::ingot::Tensor> results = runText(*printed, arguments);
      for (size_t result = 0; result < expected.size(); ++result)
        EXPECT_EQ(
            std::memcmp(results[result].data(), expected[result].data(), expected[result].bytes()),
            0);
    }
  }
}

//===--------------------------------------------------------------------------------------------===//
// Corners
//===--------------------------------------------------------------------------------------------===//

TEST_F(ControlFlowTest, CarriedValuesMayChangePlaces) {
  for (int64_t trips : {0, 1, 2, 3, 8}) {
    std::vector<Argument> arguments = {argument("x", "tensor<7xf32>"),
                                       argument("y", "tensor<7xf32>"),
                                       argument("z", "tensor<7xf32>"), count("n", trips)};
    compare(forward(arguments, {"tensor<7xf32>", "tensor<7xf32>", "tensor<7xf32>"}, R"(
      %a, %b, %c = graph.loop %n carry (%x, %y, %z : tensor<7xf32>, tensor<7xf32>, tensor<7xf32>)
          : tensor<i64> -> (tensor<7xf32>, tensor<7xf32>, tensor<7xf32>) {
      ^bb0(%i: tensor<i64>, %u: tensor<7xf32>, %v: tensor<7xf32>, %w: tensor<7xf32>):
        graph.yield %v, %w, %u : tensor<7xf32>, tensor<7xf32>, tensor<7xf32>
      }
      return %a, %b, %c : tensor<7xf32>, tensor<7xf32>, tensor<7xf32>
    )"),
            arguments);
  }
}

TEST_F(ControlFlowTest, OneValueMayBeCarriedTwiceAndReadAfterwards) {
  std::vector<Argument> arguments = {argument("x", "tensor<16xf32>"), count("n", 3)};
  compare(forward(arguments, {"tensor<16xf32>", "tensor<16xf32>", "tensor<16xf32>"}, R"(
    %t = graph.add %x, %x : tensor<16xf32>
    %a, %b = graph.loop %n carry (%t, %t : tensor<16xf32>, tensor<16xf32>)
        : tensor<i64> -> (tensor<16xf32>, tensor<16xf32>) {
    ^bb0(%i: tensor<i64>, %u: tensor<16xf32>, %v: tensor<16xf32>):
      %s = graph.sub %u, %x : tensor<16xf32>
      graph.yield %s, %s : tensor<16xf32>, tensor<16xf32>
    }
    %c = graph.add %a, %t : tensor<16xf32>
    return %a, %b, %c : tensor<16xf32>, tensor<16xf32>, tensor<16xf32>
  )"),
          arguments);
}

// A part smaller than 64 bytes, and rows of iterations that do not run.
TEST_F(ControlFlowTest, StacksWhatTheIterationsYield) {
  for (int64_t trips : {0, 1, 4, 6}) {
    std::vector<Argument> arguments = {argument("x", "tensor<3xf32>"), count("n", trips)};
    compare(forward(arguments, {"tensor<6x3xf32>", "tensor<6xi64>"}, R"(
      %a, %b, %i6 = graph.loop %n carry (%x : tensor<3xf32>)
          : tensor<i64> -> (tensor<3xf32>, tensor<6x3xf32>, tensor<6xi64>) {
      ^bb0(%i: tensor<i64>, %v: tensor<3xf32>):
        %w = graph.add %v, %v : tensor<3xf32>
        graph.yield %w, %v, %i : tensor<3xf32>, tensor<3xf32>, tensor<i64>
      }
      return %b, %i6 : tensor<6x3xf32>, tensor<6xi64>
    )"),
            arguments);
  }
}

TEST_F(ControlFlowTest, WrongTripCountsAreErrors) {
  std::vector<Argument> arguments = {argument("x", "tensor<3xf32>"), count("n", 1)};
  std::string text = forward(arguments, {"tensor<3xf32>"}, R"(
    %a = graph.loop %n at_most 6 carry (%x : tensor<3xf32>) : tensor<i64> -> (tensor<3xf32>) {
    ^bb0(%i: tensor<i64>, %v: tensor<3xf32>):
      %w = graph.add %v, %v : tensor<3xf32>
      graph.yield %w : tensor<3xf32>
    } loc("rows")
    return %a : tensor<3xf32>
  )");
  auto model = Model::parse(text);
  ASSERT_TRUE(model) << model.error().text();
  for (const char *device : {"cpu", "reference"}) {
    Options options;
    options.device = device;
    auto program = model->compile(options);
    ASSERT_TRUE(program) << program.error().text();
    for (auto [trips, why] : {std::pair(int64_t(-1), "-1 is negative"),
                              std::pair(int64_t(7), "the trip count 7 is more than 6")}) {
      arguments[1] = count("n", trips);
      auto outputs = program->run(inputs(arguments));
      ASSERT_FALSE(outputs);
      EXPECT_NE(outputs.error().text().find(why), std::string::npos) << outputs.error().text();
      EXPECT_NE(outputs.error().text().find("rows"), std::string::npos) << outputs.error().text();
    }
  }
}

// Wrong indices inside loops and branches fail the run, where the iteration runs that reads them.
TEST_F(ControlFlowTest, ComputedIndicesAreCheckedInLoops) {
  std::vector<Argument> arguments = {argument("x", "tensor<4x16xf32>"), count("n", 1)};
  std::string text = forward(arguments, {"tensor<16xf32>"}, R"(
    %zero = graph.constant dense<0.0> : tensor<16xf32>
    %two = graph.constant dense<2> : tensor<i64>
    %a = graph.loop %n at_most 6 carry (%zero : tensor<16xf32>) : tensor<i64> -> (tensor<16xf32>) {
    ^bb0(%i: tensor<i64>, %v: tensor<16xf32>):
      %late = graph.compare ge %i, %two : tensor<i64> -> tensor<i1>
      %w = graph.if %late : tensor<i1> -> (tensor<16xf32>) {
        %j = graph.add %i, %two : tensor<i64>
        %row = graph.dynamic_slice %x, %j dimension 0 size 1 : tensor<4x16xf32>, tensor<i64> -> tensor<1x16xf32> loc("late")
        %r = graph.reshape %row : tensor<1x16xf32> -> tensor<16xf32>
        graph.yield %r : tensor<16xf32>
      } else {
        %row = graph.dynamic_slice %x, %i dimension 0 size 1 : tensor<4x16xf32>, tensor<i64> -> tensor<1x16xf32>
        %r = graph.reshape %row : tensor<1x16xf32> -> tensor<16xf32>
        graph.yield %r : tensor<16xf32>
      }
      graph.yield %w : tensor<16xf32>
    }
    return %a : tensor<16xf32>
  )");
  for (int64_t trips : {0, 1, 2}) {
    arguments[1] = count("n", trips);
    compare(text, arguments);
  }
  auto model = Model::parse(text);
  ASSERT_TRUE(model) << model.error().text();
  for (const char *device : {"cpu", "reference"}) {
    Options options;
    options.device = device;
    auto program = model->compile(options);
    ASSERT_TRUE(program) << program.error().text();
    for (int64_t trips : {3, 5}) {
      arguments[1] = count("n", trips);
      auto outputs = program->run(inputs(arguments));
      ASSERT_FALSE(outputs);
      EXPECT_NE(outputs.error().text().find("late"), std::string::npos) << outputs.error().text();
    }
  }
}

TEST_F(ControlFlowTest, IterationsAreCountedInTheTypeOfTheTripCount) {
  std::vector<Argument> arguments = {
      {"n", "tensor<i32>", tensor<int64_t>(ElementType::I32, {}, {5})}};
  compare(forward(arguments, {"tensor<i32>"}, R"(
    %zero = graph.constant dense<0> : tensor<i32>
    %a = graph.loop %n carry (%zero : tensor<i32>) : tensor<i32> -> (tensor<i32>) {
    ^bb0(%i: tensor<i32>, %v: tensor<i32>):
      %w = graph.add %v, %i : tensor<i32>
      graph.yield %w : tensor<i32>
    }
    return %a : tensor<i32>
  )"),
          arguments);
}

} // namespace
} // namespace ingot::testing
