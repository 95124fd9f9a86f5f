/// Generated kernels with one barrier or wait taken out, each in turn: the PTX machine must find
/// what that breaks. A barrier that nothing misses is one too many, or a check sees nothing.
#include "codegen/Compile.h"
#include "mlir/Parser/Parser.h"
#include "test/codegen/CompiledKernel.h"
#include "test/codegen/cuda/EmulatedProgram.h"
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ingot::test {
namespace {

struct Case {
  const char *name;
  const char *text;     ///< a model of stage `graph`
  int blockBarriers;    ///< that the code must have at least
  int warpBarriers = 0; ///< 0: none, or none of which the test knows that they are needed
  int waits = 0;        ///< for copies
  const char *target = "cuda:sm_80";
};

void PrintTo(const Case &one, std::ostream *stream) { *stream << one.name; }

class CudaMutation : public testing::TestWithParam<Case> {
protected:
  void SetUp() override {
    context = createContext();
    module = mlir::parseSourceString<mlir::ModuleOp>(GetParam().text, context.get());
    ASSERT_TRUE(module);
  }

  Program compiled() {
    CompileOptions options;
    options.target = GetParam().target;
    Result<Program> program = compile(*module, options);
    EXPECT_TRUE(program) << program.error().text();
    return std::move(*program);
  }

  static std::string textOf(const Program &program) {
    return {program.objects[0].bytes.begin(), program.objects[0].bytes.end()};
  }

  struct Outcome {
    Tensor result;
    emulator::MemoryCounters memory;
  };

  static Result<Outcome> run(Program program) {
    const std::vector<Port> ports = program.function("forward")->ports;
    INGOT_ASSIGN(auto loaded, EmulatedProgram::load(std::move(program), testSeed()));
    for (const Port &port : ports)
      if (port.role == Role::Input)
        INGOT_TRY((*loaded)->write("forward", port.name,
                                   randomTensor(port.type, port.shape, testSeed())));
    INGOT_TRY((*loaded)->run("forward"));
    INGOT_ASSIGN(Tensor result, (*loaded)->read("forward", ports.back().name));
    return Outcome{std::move(result), loaded->memory()};
  }

  /// Places of an instruction in the text.
  static std::vector<size_t> placesOf(const std::string &text, const std::string &instruction) {
    std::vector<size_t> places;
    for (size_t at = text.find(instruction); at != std::string::npos;
         at = text.find(instruction, at + 1))
      places.push_back(at);
    return places;
  }

  void expectFound(const std::string &instruction, int least) {
    const Program whole = compiled();
    const std::string text = textOf(whole);
    const std::vector<size_t> places = placesOf(text, instruction);
    EXPECT_GE(int(places.size()), least) << text;
    for (size_t at : places) {
      std::string mutated = text;
      const size_t end = mutated.find('\n', at);
      mutated.replace(at, end - at, end - at, ' ');
      Program program = whole;
      program.objects[0].bytes.assign(mutated.begin(), mutated.end());
      Result<Outcome> ran = run(std::move(program));
      const size_t line = std::count(text.begin(), text.begin() + at, '\n') + 1;
      ASSERT_FALSE(ran) << "nothing is found without line " << line << " of\n" << text;
      const std::string found = ran.error().text(); // the first one of the launch
      EXPECT_TRUE(found.find("shared-race: ") != found.npos ||
                  found.find("async: ") != found.npos ||
                  found.find("uninitialised-memory: ") != found.npos)
          << found;
      EXPECT_NE(found.find("\n  from "), found.npos) << "no op is named\n" << found;
    }
  }

  std::unique_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

TEST_P(CudaMutation, EveryBarrierIsMissed) {
  Result<Outcome> whole = run(compiled());
  ASSERT_TRUE(whole) << whole.error().text();
  expectFound("bar.sync", GetParam().blockBarriers);
  if (GetParam().warpBarriers)
    expectFound("bar.warp.sync", GetParam().warpBarriers);
  if (GetParam().waits)
    expectFound("cp.async.wait_group", GetParam().waits);
}

constexpr const char *row = R"mlir(
func.func @forward(%x: tensor<3x2048xf32> {graph.name = "x", graph.role = "input"})
    -> (tensor<3x2048xf32> {graph.name = "y"}) {
  %y = graph.softmax %x dimension 1 : tensor<3x2048xf32>
  return %y : tensor<3x2048xf32>
})mlir";

constexpr const char *column = R"mlir(
func.func @forward(%x: tensor<700x40xf32> {graph.name = "x", graph.role = "input"})
    -> (tensor<40xf32> {graph.name = "y"}) {
  %y = graph.reduce sum %x [0] : tensor<700x40xf32> -> tensor<40xf32>
  return %y : tensor<40xf32>
})mlir";

constexpr const char *contraction = R"mlir(
func.func @forward(%a: tensor<40x70xf32> {graph.name = "a", graph.role = "input"},
                   %b: tensor<70x36xf32> {graph.name = "b", graph.role = "input"})
    -> (tensor<40x36xf32> {graph.name = "y"}) {
  %y = graph.contract %a, %b batch [] x [] over [1] x [0] : tensor<40x70xf32>, tensor<70x36xf32> -> tensor<40x36xf32>
  return %y : tensor<40x36xf32>
})mlir";

/// Tiles in every stage, and the first stage a second time.
constexpr const char *matrices = R"mlir(
func.func @forward(%a: tensor<96x320xbf16> {graph.name = "a", graph.role = "input"},
                   %b: tensor<320x64xbf16> {graph.name = "b", graph.role = "input"})
    -> (tensor<96x64xbf16> {graph.name = "y"}) {
  %y = graph.contract %a, %b batch [] x [] over [1] x [0] : tensor<96x320xbf16>, tensor<320x64xbf16> -> tensor<96x64xbf16>
  return %y : tensor<96x64xbf16>
})mlir";

/// Several tiles of keys and of queries.
constexpr const char *attention = R"mlir(
func.func @forward(%q: tensor<1x1x70x16xf32> {graph.name = "q", graph.role = "input"},
                   %k: tensor<1x1x70x16xf32> {graph.name = "k", graph.role = "input"},
                   %v: tensor<1x1x70x16xf32> {graph.name = "v", graph.role = "input"},
                   %d: tensor<1x1x70x16xf32> {graph.name = "d", graph.role = "input"})
    -> (tensor<1x1x70x16xf32> {graph.name = "dq"}, tensor<1x1x70x16xf32> {graph.name = "dk"},
        tensor<1x1x70x16xf32> {graph.name = "dv"}) {
  %o, %l = graph.attention %q, %k, %v scale 2.5e-01 causal false
    : tensor<1x1x70x16xf32>, tensor<1x1x70x16xf32>, tensor<1x1x70x16xf32> -> tensor<1x1x70x16xf32>, tensor<1x1x70xf32>
  %dq, %dk, %dv = graph.attention_backward %q, %k, %v, %o, %l, %d scale 2.5e-01 causal false
    : tensor<1x1x70x16xf32>, tensor<1x1x70x16xf32>, tensor<1x1x70x16xf32>, tensor<1x1x70x16xf32>, tensor<1x1x70xf32>, tensor<1x1x70x16xf32>
    -> tensor<1x1x70x16xf32>, tensor<1x1x70x16xf32>, tensor<1x1x70x16xf32>
  return %dq, %dk, %dv : tensor<1x1x70x16xf32>, tensor<1x1x70x16xf32>, tensor<1x1x70x16xf32>
})mlir";

INSTANTIATE_TEST_SUITE_P(Roots, CudaMutation,
                         testing::Values(Case{"row", row, 2}, Case{"column", column, 1},
                                         Case{"contraction", contraction, 2},
                                         Case{"matrices", matrices, 3, 1, 2},
                                         Case{"attention", attention, 6, 5}),
                         [](const auto &info) { return std::string(info.param.name); });

class CudaSwizzle : public CudaMutation {};

/// Where elements of a tile lie is one exchange of address bits for those who write and one for
/// those who read: with another one of either, results are others, or banks conflict.
TEST_P(CudaSwizzle, EveryExchangeIsMissed) {
  const Program whole = compiled();
  Result<Outcome> expected = run(whole);
  ASSERT_TRUE(expected) << expected.error().text();
  EXPECT_EQ(expected->memory.sharedWavefronts, expected->memory.leastWavefronts);
  const std::string text = textOf(whole);
  const std::vector<size_t> places = placesOf(text, "xor.b32");
  EXPECT_GE(places.size(), 4u) << text;
  for (size_t at : places) {
    std::string mutated = text;
    mutated.replace(at, 7, "or.b32 ");
    Program program = whole;
    program.objects[0].bytes.assign(mutated.begin(), mutated.end());
    Result<Outcome> ran = run(std::move(program));
    const bool isFound =
        !ran || std::memcmp(ran->result.data(), expected->result.data(), ran->result.bytes()) ||
        ran->memory.sharedWavefronts > ran->memory.leastWavefronts;
    EXPECT_TRUE(isFound) << "nothing is found with another line "
                         << std::count(text.begin(), text.begin() + at, '\n') + 1 << " of\n"
                         << text;
  }
}

INSTANTIATE_TEST_SUITE_P(Roots, CudaSwizzle, testing::Values(Case{"matrices", matrices, 0}),
                         [](const auto &info) { return std::string(info.param.name); });

/// One instruction by another, at each of its places in turn.
struct Change {
  const char *from, *to; ///< `to`: instead of all of the line; empty: nothing
  int least;             ///< places that the code has at least
  bool isHang = false;   ///< those that wait for it never go on
};

/// What a block of sm_90a does to bring factors into shared memory and to multiply them there: each
/// wait that does not wait, each arrival that is missing, and lines in another order.
class WarpgroupMutation : public CudaMutation {
protected:
  void expectFound(const Program &whole, const Tensor &expected, const Change &change) {
    const std::string text = textOf(whole);
    const std::vector<size_t> places = placesOf(text, change.from);
    EXPECT_GE(int(places.size()), change.least) << change.from << text;
    for (size_t at : places) {
      std::string mutated = text;
      mutated.replace(at, mutated.find('\n', at) - at, change.to);
      Program program = whole;
      program.objects[0].bytes.assign(mutated.begin(), mutated.end());
      Result<Outcome> ran = run(std::move(program));
      const size_t line = std::count(text.begin(), text.begin() + at, '\n') + 1;
      EXPECT_TRUE(!ran || std::memcmp(ran->result.data(), expected.data(), expected.bytes()))
          << "nothing is found with another line " << line << ", " << change.from << " of\n"
          << text;
      if (!ran && change.isHang)
        EXPECT_NE(ran.error().text().find("deadlock"), std::string::npos) << ran.error().text();
    }
  }
};

TEST_P(WarpgroupMutation, EveryWaitIsMissed) {
  const Program whole = compiled();
  Result<Outcome> expected = run(whole);
  ASSERT_TRUE(expected) << expected.error().text();
  EXPECT_EQ(expected->memory.sharedWavefronts, expected->memory.leastWavefronts);
  for (const Change &change : {
           Change{"mbarrier.try_wait.parity", "setp.eq.u32 P1, 0, 0;", 2},
           Change{"wgmma.wait_group", "", 2},
           Change{"mbarrier.arrive.shared", "", 1, true},
           Change{"mbarrier.arrive.expect_tx", "", 1, true},
           Change{"bar.sync", "", 1},
           Change{"bar.warp.sync", "", 1},
           Change{"wgmma.fence", "", 1},
       })
    expectFound(whole, expected->result, change);
  // Boxes as they lie in memory, where products expect lines with exchanged runs.
  for (size_t number = 0; number < whole.kernels[0].parameters.size(); ++number) {
    Program program = whole;
    KernelParameter &parameter = program.kernels[0].parameters[number];
    if (parameter.kind != KernelParameter::Kind::TensorMap)
      continue;
    parameter.map.swizzle = 0;
    Result<Outcome> ran = run(std::move(program));
    EXPECT_TRUE(!ran ||
                std::memcmp(ran->result.data(), expected->result.data(), ran->result.bytes()))
        << "parameter " << number;
  }
}

/// More steps along the depth than stages; the left factor's lines lie along it, the right one's
/// beside it.
constexpr const char *warpgroups = R"mlir(
func.func @forward(%a: tensor<40x584xbf16> {graph.name = "a", graph.role = "input"},
                   %b: tensor<584x64xbf16> {graph.name = "b", graph.role = "input"})
    -> (tensor<40x64xbf16> {graph.name = "y"}) {
  %y = graph.contract %a, %b batch [] x [] over [1] x [0] : tensor<40x584xbf16>, tensor<584x64xbf16> -> tensor<40x64xbf16>
  return %y : tensor<40x64xbf16>
})mlir";

INSTANTIATE_TEST_SUITE_P(Roots, WarpgroupMutation,
                         testing::Values(Case{"warpgroups", warpgroups, 0, 0, 0, "cuda:sm_90a"}),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
} // namespace ingot::test
