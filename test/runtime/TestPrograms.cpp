#include "test/runtime/TestPrograms.h"
#include "runtime/program/CpuImage.h"
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>

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
  auto kernel = [&](const char *name, int64_t scratch, Access second) {
    Kernel kernel{.name = name,
                  .launch = CpuRange{elements / 32}, // the loop calls each kernel on both halves
                  .parameters = {KernelParameter::buffer(bytes / 2, Access::Read),
                                 KernelParameter::buffer(bytes / 2, second)},
                  .flops = 1e9,
                  .bytes = 1e9,
                  .root = "elementwise",
                  .ops = name};
    if (scratch)
      kernel.parameters.push_back(KernelParameter::scratch(scratch));
    return kernel;
  };
  Program program;
  program.target = "cpu:x86-64";
  program.features = {"sse2"};
  program.objects = {{CodeObject::Kind::CpuImage, "cpu:x86-64", {}}};
  program.objects[0].bytes.assign(ingot_test_image, ingot_test_image_end);
  program.kernels = {kernel("affine", 0, Access::Write), kernel("add", 0, Access::Update),
                     kernel("scratch", 64, Access::Write)};
  appendEntries(
      program.objects[0].bytes,
      std::vector<ImageEntry>{
          {"affine", ingot_test_affine - ingot_test_image, interfaceOf(program.kernels[0])},
          {"add", ingot_test_add - ingot_test_image, interfaceOf(program.kernels[1])},
          {"scratch", ingot_test_scratch - ingot_test_image, interfaceOf(program.kernels[2])}});
  program.persistentBytes = aligned;
  program.workspaceBytes = 64;
  program.arenaBytes = 3 * aligned + 64;
  const int64_t sum = 0, x = aligned, y = 2 * aligned, condition = 3 * aligned, half = bytes / 2;

  Function step;
  step.name = "step";
  step.arenaBytes = program.arenaBytes;
  const Shape shape = {elements};
  step.ports = {{"sum", Role::State, ElementType::F32, shape, sum},
                {"x", Role::Input, ElementType::F32, shape, x},
                {"condition", Role::Input, ElementType::I1, {}, condition},
                {"y", Role::Output, ElementType::F32, shape, y}};
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

// One thread an element; the scratch memory has as many elements as the call.
constexpr const char *cudaKernels = R"(
.version 7.0
.target sm_80
.address_size 64
.visible .entry affine(.param .u64 x, .param .u64 y)
{
  .reg .b32 %r<4>;
  .reg .f32 %f<3>;
  .reg .b64 %rd<6>;
  ld.param.u64 %rd1, [x];
  ld.param.u64 %rd2, [y];
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, %ctaid.x;
  mad.lo.u32 %r3, %r2, 16, %r1;
  mul.wide.u32 %rd3, %r3, 4;
  add.u64 %rd4, %rd1, %rd3;
  add.u64 %rd5, %rd2, %rd3;
  ld.global.f32 %f1, [%rd4];
  fma.rn.f32 %f2, %f1, 0f40000000, 0f3F800000;
  st.global.f32 [%rd5], %f2;
  ret;
}
.visible .entry add(.param .u64 x, .param .u64 y)
{
  .reg .b32 %r<4>;
  .reg .f32 %f<3>;
  .reg .b64 %rd<6>;
  ld.param.u64 %rd1, [x];
  ld.param.u64 %rd2, [y];
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, %ctaid.x;
  mad.lo.u32 %r3, %r2, 16, %r1;
  mul.wide.u32 %rd3, %r3, 4;
  add.u64 %rd4, %rd1, %rd3;
  add.u64 %rd5, %rd2, %rd3;
  ld.global.f32 %f1, [%rd4];
  ld.global.f32 %f2, [%rd5];
  add.rn.f32 %f2, %f2, %f1;
  st.global.f32 [%rd5], %f2;
  ret;
}
.visible .entry scratch(.param .u64 x, .param .u64 y, .param .u64 workspace)
{
  .reg .b32 %r<4>;
  .reg .f32 %f<3>;
  .reg .b64 %rd<8>;
  ld.param.u64 %rd1, [x];
  ld.param.u64 %rd2, [y];
  ld.param.u64 %rd6, [workspace];
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, %ctaid.x;
  mad.lo.u32 %r3, %r2, 16, %r1;
  mul.wide.u32 %rd3, %r3, 4;
  add.u64 %rd4, %rd1, %rd3;
  add.u64 %rd5, %rd2, %rd3;
  add.u64 %rd7, %rd6, %rd3;
  ld.global.f32 %f1, [%rd4];
  st.global.f32 [%rd7], %f1;
  ld.global.f32 %f1, [%rd7];
  fma.rn.f32 %f2, %f1, 0f40000000, 0f3F800000;
  st.global.f32 [%rd5], %f2;
  ret;
}
)";

Program cudaAffineProgram(int64_t elements) {
  Program program = affineProgram(elements);
  program.target = "cuda:sm_80";
  program.features.clear();
  program.objects = {{CodeObject::Kind::Ptx, "sm_80", {}}};
  program.objects[0].bytes.assign(cudaKernels, cudaKernels + std::strlen(cudaKernels));
  program.workspaceBytes = elements * 2;
  for (Kernel &kernel : program.kernels) {
    kernel.launch = CudaGrid{.grid = {kernel.grains(), 1, 1}, .block = {16, 1, 1}};
    for (KernelParameter &parameter : kernel.parameters)
      if (parameter.kind == KernelParameter::Kind::Scratch)
        parameter.bytes = program.workspaceBytes;
  }
  return program;
}

void sealImages(Program &program) {
  for (size_t number = 0; number < program.objects.size(); ++number) {
    CodeObject &object = program.objects[number];
    if (object.kind != CodeObject::Kind::CpuImage)
      continue;
    std::map<std::string, int64_t> offsets;
    if (auto listed = entriesOf(object.bytes)) {
      for (const ImageEntry &entry : *listed)
        offsets[entry.symbol] = entry.offset;
      uint64_t tableBytes = 0;
      std::memcpy(&tableBytes, &object.bytes[object.bytes.size() - 32], 8);
      object.bytes.resize(object.bytes.size() - 32 - tableBytes);
    }
    std::vector<ImageEntry> entries;
    for (const Kernel &kernel : program.kernels)
      if (kernel.object == number)
        entries.push_back({kernel.name, offsets[kernel.name], interfaceOf(kernel)});
    appendEntries(object.bytes, entries);
  }
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
    for (int64_t i = 1 + below(3); i > 0; --i) {
      CodeObject object{static_cast<CodeObject::Kind>(below(3)), text(), {}};
      object.bytes.resize(1 + static_cast<size_t>(below(300)));
      for (uint8_t &byte : object.bytes)
        byte = static_cast<uint8_t>(random());
      program.objects.push_back(std::move(object));
    }
    addKernels();
    addConstants();
    for (int64_t i = below(4); i > 0; --i)
      addFunction(i);
    sealImages(program);
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

  KernelParameter parameter() {
    // On either side of the end of the persistent part, so that a place for it can be found.
    const int64_t transient = program.arenaBytes - program.persistentBytes;
    return KernelParameter::buffer(below(std::max<int64_t>(1, transient)),
                                   static_cast<Access>(below(3)));
  }

  KernelParameter gpuParameter() {
    switch (below(4)) {
    case 0:
      return KernelParameter::scratch(below(program.workspaceBytes + 1));
    case 1:
      return {.kind = KernelParameter::Kind::Scalar,
              .bytes = int64_t(1) << below(4),
              .value = random()};
    case 2:
      return {.kind = KernelParameter::Kind::TensorMap,
              .bytes = 64,
              .access = static_cast<Access>(below(3)),
              .map = {.type = ElementType::U8,
                      .sizes = {16, 1 + below(4)},
                      .strides = {16},
                      .box = {1 + below(256), 1 + below(256)},
                      .steps = {1, 1 + below(8)},
                      .swizzle = int64_t(32) << below(3),
                      .promotion = int64_t(64) << below(3)}};
    default:
      return parameter();
    }
  }

  void addKernels() {
    for (int64_t i = 1 + below(5); i > 0; --i) {
      Kernel kernel{.name = fmt::format("k{}{}", i, text()),
                    .object = uint32_t(below(int64_t(program.objects.size()))),
                    .flops = real(),
                    .bytes = real(),
                    .root = text(),
                    .ops = text()};
      const bool onCpu = program.objects[kernel.object].kind == CodeObject::Kind::CpuImage;
      for (int64_t count = below(5); count > 0; --count)
        kernel.parameters.push_back(onCpu ? parameter() : gpuParameter());
      if (onCpu) {
        kernel.launch = CpuRange{below(1000)};
        if (below(2))
          kernel.parameters.push_back(KernelParameter::scratch(below(program.workspaceBytes + 1)));
      } else {
        const int64_t cluster = 1 + below(4);
        kernel.launch = CudaGrid{.grid = {cluster * (1 + below(100)), 1 + below(9), 1},
                                 .block = {32 * (1 + below(8)), 1 + below(4), 1},
                                 .cluster = {cluster, 1, 1},
                                 .sharedBytes = below(100000)};
      }
      program.kernels.push_back(std::move(kernel));
    }
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

  /// Anywhere in the persistent part, if the bytes fit, or in what follows it.
  int64_t place(const Function &function, int64_t bytes) {
    if (bytes <= program.persistentBytes && below(2))
      return below(program.persistentBytes - bytes + 1);
    return program.persistentBytes +
           below(function.arenaBytes - program.persistentBytes - bytes + 1);
  }

  Step step(const Function &function, int depth, bool inLoop) {
    switch (depth > 3 ? 0 : below(4)) {
    case 1: {
      LoopStep loop{below(9), steps(function, depth + 1, true)};
      if (below(2))
        loop.count = 8 * below(function.arenaBytes / 8);
      if (below(2))
        loop.counter = program.persistentBytes;
      loop.reverse = below(2);
      loop.op = text();
      return {loop};
    }
    case 2:
      return {IfStep{below(function.arenaBytes), steps(function, depth + 1, inLoop),
                     steps(function, depth + 1, inLoop)}};
    default:
      CallStep call;
      call.kernel = uint32_t(below(int64_t(program.kernels.size())));
      call.op = text();
      for (const KernelParameter *parameter : program.kernels[call.kernel].placed())
        call.arguments.push_back(place(function, parameter->bytes));
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
      const Role kind = below(2) ? Role::Input : Role::Output;
      function.ports.push_back({fmt::format("p{}{}", i, text()),
                                kind,
                                static_cast<ElementType>(below(17)),
                                {below(3), 1, below(3)},
                                offset});
      function.buffers.push_back({text(), Role::Activation, offset, 64, i, i + below(5)});
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
