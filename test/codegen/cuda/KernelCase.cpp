#include "test/codegen/cuda/KernelCase.h"
#include "codegen/Compile.h"
#include "ir/dialect/Elements.h"
#include "ir/reference/Reference.h"
#include "mlir/Parser/Parser.h"
#include "runtime/program/Device.h"
#include "test/codegen/CompiledKernel.h"
#include "test/codegen/cuda/EmulatedProgram.h"
#include <cmath>

namespace ingot::test {

using graph::ElementKind;
using graph::kindOf;

void PrintTo(const Case &one, std::ostream *stream) { *stream << one.name; }

void CudaKernels::SetUp() {
  std::mt19937_64 random(testSeed());
  test = GetParam().drawn ? GetParam().drawn(random) : GetParam();
  context = createContext();
  module = mlir::parseSourceString<mlir::ModuleOp>(test.text, context.get());
  ASSERT_TRUE(module) << test.text;
  function = *module->getOps<mlir::func::FuncOp>().begin();
  CompileOptions options;
  Result<Program> cpu = compile(*module, options);
  ASSERT_TRUE(cpu) << cpu.error().text();
  for (const Port &port : cpu->function("forward")->ports)
    if (port.role != Role::Output)
      names.push_back(port.name), inputs.push_back(draw(port, random));
    else
      results.push_back(port.name);
  onCpu = runOnCpu(std::move(*cpu));
}

Tensor CudaKernels::draw(const Port &port, std::mt19937_64 &random) {
  if (kindOf(port.type) == ElementKind::Float) {
    std::uniform_real_distribution<double> uniform(-1, 1);
    std::vector<double> values(elementCount(port.shape));
    std::ranges::generate(values, [&] { return uniform(random); });
    if (test.change)
      test.change(port.name, values);
    return graph::store(port.type, port.shape, values);
  }
  std::vector<uint64_t> values(elementCount(port.shape));
  std::ranges::generate(
      values, [&] { return test.indexLimit ? random() % uint64_t(test.indexLimit) : random(); });
  return graph::store(port.type, port.shape, values);
}

std::vector<Tensor> CudaKernels::runOnCpu(Program program) {
  auto device = openDevice("cpu", {.threads = 1});
  auto session = (*device)->load(std::make_shared<Program>(std::move(program)));
  for (size_t i = 0; i < names.size(); ++i)
    EXPECT_TRUE((*session)->write("forward", names[i], inputs[i]));
  EXPECT_TRUE((*session)->run("forward"));
  std::vector<Tensor> values;
  for (const std::string &name : results)
    values.push_back(*(*session)->read("forward", name));
  return values;
}

std::vector<Tensor> CudaKernels::runOnGpu(const std::string &target) {
  CompileOptions options;
  options.target = target + test.option;
  Result<Program> program = compile(*module, options);
  EXPECT_TRUE(program) << program.error().text();
  if (!program)
    return {};
  EXPECT_TRUE(test.root.empty() ||
              std::ranges::any_of(program->kernels,
                                  [&](const Kernel &kernel) { return kernel.root == test.root; }))
      << "no kernel has the root " << test.root;
  const std::string ptx(program->objects[0].bytes.begin(), program->objects[0].bytes.end());
  for (const std::string &instruction :
       target == "cuda:sm_90a" ? test.instructions90 : test.instructions)
    EXPECT_NE(ptx.find(instruction), ptx.npos) << instruction;
  if (folder)
    programs.push_back(*program);
  auto loaded = EmulatedProgram::load(std::move(*program), testSeed());
  EXPECT_TRUE(loaded) << loaded.error().text();
  if (!loaded)
    return {};
  for (size_t i = 0; i < names.size(); ++i)
    EXPECT_TRUE((**loaded)->write("forward", names[i], inputs[i]));
  Status ran = (**loaded)->run("forward");
  EXPECT_TRUE(ran) << ran.error().text();
  std::vector<Tensor> values;
  for (const std::string &name : results)
    values.push_back(*(**loaded)->read("forward", name));
  return values;
}

namespace {

/// The largest finite magnitude among a tensor's elements.
double largestOf(const Tensor &tensor) {
  double largest = 1e-30;
  if (kindOf(tensor.type()) == ElementKind::Float)
    for (double value : graph::load<double>(tensor))
      if (std::isfinite(value))
        largest = std::max(largest, std::abs(value));
  return largest;
}

} // namespace

void CudaKernels::compare(const Tensor &found, const Tensor &wanted, double largest) {
  ASSERT_EQ(found.shape(), wanted.shape());
  if (kindOf(wanted.type()) != ElementKind::Float) {
    ASSERT_EQ(graph::load<int64_t>(found), graph::load<int64_t>(wanted));
    return;
  }
  const auto values = graph::load<double>(found), expected = graph::load<double>(wanted);
  for (size_t i = 0; i < expected.size(); ++i)
    if (std::isnan(expected[i]))
      ASSERT_TRUE(std::isnan(values[i])) << "element " << i;
    else if (values[i] != expected[i])
      ASSERT_NEAR(values[i], expected[i], test.tolerance * largest) << "element " << i;
}

void CudaKernels::record(const std::string &kind, const std::vector<std::string> &of,
                         const std::vector<Tensor> &values) {
  for (size_t i = 0; i < values.size(); ++i)
    recorded.tensors[kind + "/" + of[i]] = values[i];
}

void CudaKernels::saveRecord() {
  record("input", names, inputs);
  recorded.options =
      fmt::format(R"({{"tolerance": {}, "bit_equal": {}}})", test.tolerance, test.isBitEqual);
  std::vector<const Program *> all;
  for (const Program &program : programs)
    all.push_back(&program);
  const std::string file = fmt::format("{}/{}", folder, GetParam().name);
  const Status saved = savePrograms(file + ".ingot", all),
               kept = saveCheckpoint(file + ".safetensors", recorded);
  ASSERT_TRUE(saved) << saved.error().text();
  ASSERT_TRUE(kept) << kept.error().text();
}

void CudaKernels::check() {
  SCOPED_TRACE(test.name);
  Result<std::vector<Tensor>> expected = interpret(function, inputs);
  ASSERT_TRUE(expected) << expected.error().text();
  double largestOfAll = 0;
  for (const Tensor &result : *expected)
    largestOfAll = std::max(largestOfAll, largestOf(result));
  for (const char *target : {"cuda:sm_80", "cuda:sm_90a"}) {
    std::vector<Tensor> found = runOnGpu(target);
    ASSERT_EQ(found.size(), expected->size());
    for (size_t r = 0; r < found.size(); ++r) {
      SCOPED_TRACE(fmt::format("{}, result {}", target, r));
      // A gradient that is zero in exact arithmetic is what rounding leaves of terms as large as
      // those of the other results.
      constexpr double roundedAway = 1e-2;
      const double scale = std::max(largestOf((*expected)[r]), roundedAway * largestOfAll);
      ASSERT_NO_FATAL_FAILURE(compare(found[r], (*expected)[r], scale));
      if (test.isBitEqual) {
        ASSERT_EQ(std::memcmp(found[r].data(), onCpu[r].data(), found[r].bytes()), 0)
            << "differs from the CPU's";
      }
    }
    record(target, results, found);
  }
  if (folder) {
    record("reference", results, *expected);
    saveRecord();
  }
}

std::string shape(const std::vector<int64_t> &sizes, const std::string &type) {
  std::string text = "tensor<";
  for (int64_t size : sizes)
    text += std::to_string(size) + "x";
  return text + type + ">";
}

std::string sizesName(const std::vector<int64_t> &sizes) {
  std::string text;
  for (int64_t size : sizes)
    text += "_" + std::to_string(size);
  return text;
}

std::string model(const std::vector<std::string> &types, const std::string &body,
                  const std::string &result) {
  std::string text = "func.func @forward(";
  for (size_t i = 0; i < types.size(); ++i)
    text += fmt::format("{}%{}: {} {{graph.name = \"{}\", graph.role = \"input\"}}", i ? ", " : "",
                        char('a' + i), types[i], char('a' + i));
  return text + ") -> (" + result + " {graph.name = \"result\"}) {\n" + body +
         "  return %result : " + result + "\n}\n";
}

} // namespace ingot::test
