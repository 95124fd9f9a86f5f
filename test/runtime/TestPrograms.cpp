#include "test/runtime/TestPrograms.h"
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

// void f(void *const *arguments [rdi], int64_t lo [rsi], int64_t hi [rdx]), position-independent,
// SSE2 alone. A grain is 64 bytes.
asm(R"(
  .pushsection .rodata
  .balign 16
  ingot_test_image:
  ingot_test_affine:
    mov (%rdi), %rcx
    mov 8(%rdi), %r8
    shl $6, %rsi
    shl $6, %rdx
  1:
    cmp %rdx, %rsi
    jge 2f
    movss (%rcx,%rsi), %xmm0
    addss %xmm0, %xmm0
    addss ingot_test_one(%rip), %xmm0
    movss %xmm0, (%r8,%rsi)
    add $4, %rsi
    jmp 1b
  2:
    ret

  ingot_test_add:
    mov (%rdi), %rcx
    mov 8(%rdi), %r8
    shl $6, %rsi
    shl $6, %rdx
  1:
    cmp %rdx, %rsi
    jge 2f
    movss (%r8,%rsi), %xmm0
    addss (%rcx,%rsi), %xmm0
    movss %xmm0, (%r8,%rsi)
    add $4, %rsi
    jmp 1b
  2:
    ret

  ingot_test_scratch:
    mov (%rdi), %rcx
    mov 8(%rdi), %r8
    mov 16(%rdi), %r9
    shl $6, %rsi
    shl $6, %rdx
  1:
    cmp %rdx, %rsi
    jge 2f
    movss (%rcx,%rsi), %xmm0
    movss %xmm0, (%r9)
    addss (%r9), %xmm0
    movss %xmm0, 60(%r9)
    movss 60(%r9), %xmm0
    addss ingot_test_one(%rip), %xmm0
    movss %xmm0, (%r8,%rsi)
    add $4, %rsi
    jmp 1b
  2:
    ret

  .balign 4
  ingot_test_one:
    .float 1.0
  ingot_test_image_end:
  .popsection
)");
extern "C" const uint8_t ingot_test_image[], ingot_test_image_end[], ingot_test_affine[],
    ingot_test_add[], ingot_test_scratch[];

namespace ingot::test {

Program affineProgram(int64_t elements) {
  const int64_t bytes = elements * 4, aligned = (bytes + 63) / 64 * 64;
  // Large costs, so that the device shares every call among its threads.
  auto kernel = [&](const char *name, const uint8_t *entry, int64_t workspace, Access second) {
    return Kernel{.name = name,
                  .entry = entry - ingot_test_image,
                  .grains = elements / 32, // the loop calls each kernel on both halves
                  .workspace = workspace,
                  .arguments = {{bytes / 2, Access::Read}, {bytes / 2, second}},
                  .flops = 1e9,
                  .bytes = 1e9,
                  .root = "elementwise",
                  .ops = name};
  };
  Program program;
  program.target = "cpu:x86-64";
  program.features = {"sse2"};
  program.code.assign(ingot_test_image, ingot_test_image_end);
  program.kernels = {kernel("affine", ingot_test_affine, 0, Access::Write),
                     kernel("add", ingot_test_add, 0, Access::Update),
                     kernel("scratch", ingot_test_scratch, 64, Access::Write)};
  program.persistentBytes = aligned;
  program.workspaceBytes = 64;
  program.arenaBytes = 3 * aligned + 64;
  const int64_t sum = 0, x = aligned, y = 2 * aligned, condition = 3 * aligned, half = bytes / 2;

  Function step;
  step.name = "step";
  step.arenaBytes = program.arenaBytes;
  const Shape shape = {elements};
  step.ports = {{"sum", BufferKind::State, ElementType::F32, shape, sum},
                {"x", BufferKind::Input, ElementType::F32, shape, x},
                {"condition", BufferKind::Input, ElementType::I1, {}, condition},
                {"y", BufferKind::Output, ElementType::F32, shape, y}};
  auto call = [&](uint32_t index, int64_t from, int64_t to) {
    return Step{CallStep{index, {from, to}, {half, half}, program.kernels[index].name}};
  };
  IfStep branch{.condition = condition,
                .thenBody = {call(AffineKernel, x, y)},
                .elseBody = {call(ScratchKernel, x, y)}};
  step.steps = {Step{LoopStep{2, {Step{branch}, call(AddKernel, y, sum)}}}};
  program.functions = {step};
  return program;
}

namespace {

class RandomProgram {
public:
  explicit RandomProgram(std::mt19937_64 &random) : random(random) {}

  Program make() {
    program.target = text();
    program.metadata = text();
    program.features = {text(), text()};
    program.persistentBytes = 64 * below(100);
    program.arenaBytes = program.persistentBytes + 64 * (1 + below(100));
    program.workspaceBytes = below(10000);
    program.code.resize(1 + static_cast<size_t>(below(300)));
    for (uint8_t &byte : program.code)
      byte = static_cast<uint8_t>(random());
    addKernels();
    addConstants();
    for (int64_t i = below(4); i > 0; --i)
      addFunction(i);
    return std::move(program);
  }

private:
  int64_t below(int64_t limit) { return static_cast<int64_t>(random() % uint64_t(limit)); }
  double real() { return std::ldexp(double(random()), static_cast<int>(below(60)) - 90); }

  std::string text() {
    static constexpr const char *pieces[] = {"h.0", "\"", "\\", "é", "\n", "w", "{}", ""};
    std::string result;
    for (int64_t i = below(5); i > 0; --i)
      result += pieces[below(8)];
    return result;
  }

  std::vector<KernelArgument> arguments() {
    std::vector<KernelArgument> result;
    for (int64_t i = below(5); i > 0; --i)
      result.push_back({below(program.arenaBytes), static_cast<Access>(below(3))});
    return result;
  }

  void addKernels() {
    for (int64_t i = 1 + below(5); i > 0; --i)
      program.kernels.push_back({.name = text(),
                                 .entry = below(static_cast<int64_t>(program.code.size())),
                                 .grains = below(1000),
                                 .workspace = below(program.workspaceBytes + 1),
                                 .arguments = arguments(),
                                 .flops = real(),
                                 .bytes = real(),
                                 .root = text(),
                                 .ops = text()});
  }

  void addConstants() {
    for (int64_t offset = 64 * below(3); offset + 64 <= program.persistentBytes;
         offset += 64 * (1 + below(40))) {
      Tensor value(static_cast<ElementType>(below(17)), {below(3), 1 + below(4)});
      for (size_t i = 0; i < value.bytes(); ++i)
        value.as<uint8_t>()[i] = static_cast<uint8_t>(random());
      program.constants.push_back({offset, value});
    }
  }

  Step step(const Function &function, int depth, bool inLoop) {
    switch (depth > 3 ? 0 : below(4)) {
    case 1:
      return {LoopStep{below(9), steps(function, depth + 1, true)}};
    case 2:
      return {IfStep{below(function.arenaBytes), steps(function, depth + 1, inLoop),
                     steps(function, depth + 1, inLoop)}};
    default:
      CallStep call;
      call.kernel = uint32_t(below(int64_t(program.kernels.size())));
      call.op = text();
      for (const KernelArgument &argument : program.kernels[call.kernel].arguments)
        call.arguments.push_back(below(function.arenaBytes - argument.bytes));
      if (inLoop && below(2))
        call.strides.assign(call.arguments.size(), 0);
      return {call};
    }
  }

  std::vector<Step> steps(const Function &function, int depth, bool inLoop) {
    std::vector<Step> result;
    for (int64_t i = below(4); i > 0; --i)
      result.push_back(step(function, depth, inLoop));
    return result;
  }

  void addFunction(int64_t number) {
    Function function;
    function.name = fmt::format("f{}{}", number, text());
    function.arenaBytes = program.arenaBytes;
    for (int64_t i = below(5); i > 0; --i) {
      const int64_t offset = 64 * below(function.arenaBytes / 64);
      const BufferKind kind = below(2) ? BufferKind::Input : BufferKind::Output;
      function.ports.push_back({fmt::format("p{}{}", i, text()),
                                kind,
                                static_cast<ElementType>(below(17)),
                                {below(3), 1, below(3)},
                                offset});
      function.buffers.push_back({text(), BufferKind::Activation, offset, 64, i, i + below(5)});
    }
    function.steps = steps(function, 0, false);
    program.functions.push_back(std::move(function));
  }

  std::mt19937_64 &random;
  Program program;
};

} // namespace

Program randomProgram(std::mt19937_64 &random) { return RandomProgram(random).make(); }

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "ingot-test-XXXXXX").string();
  path = ::mkdtemp(pattern.data());
}

TemporaryFolder::~TemporaryFolder() { std::filesystem::remove_all(path); }

void writeQuickly(const std::string &path, std::string_view bytes) {
  // A truncated file would be flushed to disk when it is closed; a new one is not.
  std::filesystem::remove(path);
  std::ofstream(path, std::ios::binary) << bytes;
}

uint64_t freshSeed() {
  uint64_t seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  return seed;
}

} // namespace ingot::test
