/// What the PTX machine takes for a tile, and what each check adds: benchmark-emulator [WORD…]
/// [--row=NAME]
///
/// One host thread. The rows of a kernel take turns; times are medians, and the results of every
/// row are compared: with those of the row without checks bit by bit, and with f64 where it is a
/// product. Words choose kernels by name; --row runs one row once, for counting its instructions
/// (`perf stat`), which no other work on the machine disturbs.
#include "runtime/emulator/arithmetic/Numbers.h"
#include "runtime/emulator/driver/Driver.h"
#include "runtime/support/Result.h"
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>

using namespace ingot;
using namespace ingot::cuda;
using namespace ingot::emulator;

namespace {

constexpr int depth = 4096, rounds = 5;

Status check(CUresult result) {
  return result == CUDA_SUCCESS ? Status()
                                : failure(Error::Code::Internal, "", "{}", lastEmulatedError());
}

const Driver &driver = emulatedDriver();

struct Row {
  const char *name;
  CheckOptions checks;
};

/// No checks, each alone, all.
std::vector<Row> rows() {
  constexpr CheckOptions none = {false, false, false, false, false, false};
  std::vector<Row> result = {{"no checks", none}};
  const auto alone = [&](const char *name, bool CheckOptions::*field) {
    Row row = {name, none};
    row.checks.*field = true;
    result.push_back(row);
  };
  alone("uninitialised-register", &CheckOptions::registers);
  alone("uninitialised-memory", &CheckOptions::memory);
  alone("shared-race", &CheckOptions::sharedRaces);
  alone("global-race", &CheckOptions::globalRaces);
  alone("async, proxy-fence, wgmma-fence", &CheckOptions::async);
  alone("profile", &CheckOptions::profile);
  result.push_back({"all", CheckOptions()});
  return result;
}

struct Launch {
  std::string kernel;
  std::array<unsigned, 2> grid = {1, 1}, block = {32, 1};
  unsigned cluster = 1, shared = 0;
  std::vector<std::vector<std::byte>> arguments = {};
  CUdeviceptr output = 0;
  size_t outputBytes = 0;

  template <typename T> void add(const T &value) {
    arguments.emplace_back(sizeof(T));
    std::memcpy(arguments.back().data(), &value, sizeof(T));
  }
};

struct Bench {
  std::string name;
  double tiles = 0; ///< of 128 x 128 x 4096; 0: what it does is no product
  std::string ptx;
  /// Uploads and names the launch.
  Result<Launch> (*prepare)();
  /// What is wrong with the output; empty if nothing.
  std::string (*examine)(const std::vector<std::byte> &output) = nullptr;
};

Result<CUdeviceptr> upload(const void *data, size_t bytes) {
  CUdeviceptr address = 0;
  INGOT_TRY(check(driver.cuMemAlloc(&address, bytes)));
  INGOT_TRY(check(driver.cuMemcpyHtoD(address, data, bytes)));
  return address;
}

// gelu(A B^T + bias) in bf16.

struct Operands {
  int m, n;
  std::vector<uint16_t> a, b;
  std::vector<float> bias;

  Operands(int m, int n) : m(m), n(n), bias(size_t(n)) {
    std::mt19937_64 random(1);
    std::normal_distribution<double> normal;
    for (int i = 0; i < m * depth; ++i)
      a.push_back(uint16_t(encode(FloatType::BF16, normal(random), {})));
    for (int i = 0; i < n * depth; ++i)
      b.push_back(uint16_t(encode(FloatType::BF16, normal(random) / 64, {})));
    for (float &value : bias)
      value = float(normal(random));
  }

  std::string examine(const std::vector<std::byte> &output) const {
    for (int sample = 0; sample < 64; ++sample) {
      const int row = sample * 37 % m, column = sample * 53 % n;
      double x = bias[size_t(column)];
      for (int k = 0; k < depth; ++k)
        x += decode(FloatType::BF16, a[size_t(row) * depth + k]) *
             decode(FloatType::BF16, b[size_t(column) * depth + k]);
      const double expected = 0.5 * x * (1 + std::tanh(0.7978845608 * (x + 0.044715 * x * x * x)));
      uint16_t bits;
      std::memcpy(&bits, output.data() + 2 * (size_t(row) * n + column), 2);
      const double value = decode(FloatType::BF16, bits);
      if (!(std::abs(value - expected) <= 0x1p-8 * std::abs(expected) + 4e-3))
        return fmt::format("element ({}, {}) is {}, expected {}", row, column, value, expected);
    }
    return {};
  }
};

const Operands &small() {
  static const Operands operands(128, 128);
  return operands;
}
const Operands &large() {
  static const Operands operands(256, 256);
  return operands;
}

std::string readKernel(const char *name) {
  std::ifstream file(std::string(INGOT_SOURCE_DIR "/test/emulator/programs/kernels/") + name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void replaceAll(std::string &text, std::string_view from, std::string_view to) {
  for (size_t place = text.find(from); place != text.npos; place = text.find(from, place))
    text.replace(place, from.size(), to);
}

/// The kernel for a depth of 256, made one for 4096: rows are 8192 bytes apart, and there are 128
/// slices of 32.
std::string deepGemm() {
  std::string text = readKernel("gemm-sm80.ptx");
  for (const char *shift : {"%rd34, %rd10, ", "%rd42, %rd38, ", "%rd47, %rd44, ", "%rd51, %rd49, "})
    replaceAll(text, std::string(shift) + "9;", std::string(shift) + "13;");
  replaceAll(text, "%rd64, %rd63, 7;", "%rd64, %rd63, 127;");
  replaceAll(text, "%p1, %rd108, 8;", "%p1, %rd108, 128;");
  return text;
}

Result<Launch> prepareSm80() {
  const Operands &operands = small();
  Launch launch{.kernel = "gemm", .grid = {2, 2}, .block = {128, 1}};
  INGOT_ASSIGN(const CUdeviceptr a, upload(operands.a.data(), operands.a.size() * 2));
  INGOT_ASSIGN(const CUdeviceptr b, upload(operands.b.data(), operands.b.size() * 2));
  INGOT_ASSIGN(const CUdeviceptr bias, upload(operands.bias.data(), operands.bias.size() * 4));
  launch.outputBytes = size_t(operands.m) * operands.n * 2;
  INGOT_TRY(check(driver.cuMemAlloc(&launch.output, launch.outputBytes)));
  launch.add(a);
  launch.add(b);
  launch.add(launch.output);
  launch.add(bias);
  return launch;
}

Result<CUtensorMap> mapOf(const std::vector<uint16_t> &values, int rowsOfMatrix) {
  INGOT_ASSIGN(const CUdeviceptr address, upload(values.data(), values.size() * 2));
  const uint64_t dimensions[] = {depth, uint64_t(rowsOfMatrix)}, strides[] = {depth * 2};
  const uint32_t box[] = {64, 128}, steps[] = {1, 1};
  CUtensorMap map;
  constexpr int bf16 = 9, swizzle128 = 3;
  INGOT_TRY(
      check(driver.cuTensorMapEncodeTiled(&map, bf16, 2, reinterpret_cast<void *>(address),
                                          dimensions, strides, box, steps, 0, swizzle128, 0, 0)));
  return map;
}

Result<Launch> prepareSm90() {
  const Operands &operands = large();
  Launch launch{
      .kernel = "gemm_h100", .grid = {2, 1}, .block = {384, 1}, .cluster = 2, .shared = 131136};
  INGOT_ASSIGN(const CUtensorMap a, mapOf(operands.a, operands.m));
  INGOT_ASSIGN(const CUtensorMap b, mapOf(operands.b, operands.n));
  INGOT_ASSIGN(const CUdeviceptr bias, upload(operands.bias.data(), operands.bias.size() * 4));
  launch.outputBytes = size_t(operands.m) * operands.n * 2;
  INGOT_TRY(check(driver.cuMemAlloc(&launch.output, launch.outputBytes)));
  launch.add(a);
  launch.add(b);
  launch.add(launch.output);
  launch.add(bias);
  for (const int size : {operands.m, operands.n, depth})
    launch.add(size);
  return launch;
}

// What most kernels of a step do: registers and global memory, no tensor cores.

constexpr char loops[] = R"(
.version 8.0
.target sm_80
.address_size 64
.visible .entry loops(.param .u64 out) {
  .reg .b32 %r<12>; .reg .f32 %f<8>; .reg .b64 %rd<4>; .reg .pred %p<2>;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x;
  mad.lo.u32 %r4, %r2, %r3, %r1;
  cvt.rn.f32.u32 %f1, %r4;
  mov.f32 %f2, 0f3F800000; mov.f32 %f3, 0f3F000000;
  mov.u32 %r5, 0; mov.u32 %r6, %r4;
LOOP:
  fma.rn.f32 %f2, %f2, %f3, %f1;
  mul.f32 %f4, %f2, %f3;
  add.f32 %f2, %f2, %f4;
  mad.lo.u32 %r6, %r6, 1664525, 1013904223;
  shr.u32 %r7, %r6, 7;
  xor.b32 %r6, %r6, %r7;
  add.u32 %r5, %r5, 1;
  setp.lt.u32 %p1, %r5, 1000;
  @%p1 bra LOOP;
  mov.b32 %r8, %f2;
  xor.b32 %r8, %r8, %r6;
  mul.wide.u32 %rd2, %r4, 4; add.s64 %rd1, %rd1, %rd2;
  st.global.u32 [%rd1], %r8;
  ret;
})";

Result<Launch> prepareLoops() {
  Launch launch{.kernel = "loops", .grid = {16, 1}, .block = {256, 1}};
  launch.outputBytes = 16 * 256 * 4;
  INGOT_TRY(check(driver.cuMemAlloc(&launch.output, launch.outputBytes)));
  launch.add(launch.output);
  return launch;
}

constexpr char sums[] = R"(
.version 8.0
.target sm_80
.address_size 64
.visible .entry sums(.param .u64 out, .param .u64 in) {
  .reg .b32 %r<12>; .reg .f32 %f<8>; .reg .b64 %rd<6>; .reg .pred %p<2>;
  .shared .align 4 .f32 part[256];
  ld.param.u64 %rd1, [out]; ld.param.u64 %rd2, [in];
  mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x;
  mad.lo.u32 %r3, %r2, 16384, %r1;
  mul.wide.u32 %rd3, %r3, 4; add.s64 %rd2, %rd2, %rd3;
  mov.f32 %f1, 0f00000000; mov.u32 %r4, 0;
LOOP:
  ld.global.f32 %f2, [%rd2];
  add.f32 %f1, %f1, %f2;
  add.s64 %rd2, %rd2, 1024;
  add.u32 %r4, %r4, 1;
  setp.lt.u32 %p1, %r4, 64;
  @%p1 bra LOOP;
  mov.u32 %r5, part; mad.lo.u32 %r6, %r1, 4, %r5;
  st.shared.f32 [%r6], %f1;
  mov.u32 %r7, 128;
TREE:
  bar.sync 0;
  setp.ge.u32 %p1, %r1, %r7;
  @%p1 bra NEXT;
  mad.lo.u32 %r8, %r7, 4, %r6;
  ld.shared.f32 %f2, [%r8];
  add.f32 %f1, %f1, %f2;
  st.shared.f32 [%r6], %f1;
NEXT:
  shr.u32 %r7, %r7, 1;
  setp.ne.u32 %p1, %r7, 0;
  @%p1 bra TREE;
  mul.wide.u32 %rd4, %r3, 4; add.s64 %rd1, %rd1, %rd4;
  st.global.f32 [%rd1], %f1;
  ret;
})";

Result<Launch> prepareSums() {
  Launch launch{.kernel = "sums", .grid = {32, 1}, .block = {256, 1}};
  launch.outputBytes = 32 * 16384 * 4;
  INGOT_TRY(check(driver.cuMemAlloc(&launch.output, launch.outputBytes)));
  INGOT_TRY(check(driver.cuMemsetD8(launch.output, 0, launch.outputBytes)));
  const std::vector<float> values(32 * 16384, 1.5f);
  INGOT_ASSIGN(const CUdeviceptr in, upload(values.data(), values.size() * 4));
  launch.add(launch.output);
  launch.add(in);
  return launch;
}

// c = a b of 512 x 512 in f32: 16 x 16 tiles in shared memory, a product of tiles unrolled, as nvcc
// writes it.

constexpr int size = 512, tile = 16;

std::string tiledProduct() {
  std::string text = R"(
.version 8.0
.target sm_80
.address_size 64
.visible .entry tiled(.param .u64 a, .param .u64 b, .param .u64 c) {
  .reg .b32 %r<16>; .reg .f32 %f<8>; .reg .b64 %rd<8>; .reg .pred %p<2>;
  .shared .align 4 .f32 left[256]; .shared .align 4 .f32 right[256];
  ld.param.u64 %rd1, [a]; ld.param.u64 %rd2, [b]; ld.param.u64 %rd3, [c];
  mov.u32 %r1, %tid.x; mov.u32 %r2, %tid.y; mov.u32 %r3, %ctaid.x; mov.u32 %r4, %ctaid.y;
  mad.lo.u32 %r5, %r4, 16, %r2;
  mad.lo.u32 %r6, %r3, 16, %r1;
  mad.lo.u32 %r7, %r5, 512, %r1;
  mul.wide.u32 %rd4, %r7, 4; add.s64 %rd1, %rd1, %rd4;
  mad.lo.u32 %r8, %r2, 512, %r6;
  mul.wide.u32 %rd4, %r8, 4; add.s64 %rd2, %rd2, %rd4;
  mov.u32 %r9, left; mad.lo.u32 %r9, %r2, 64, %r9; mad.lo.u32 %r10, %r1, 4, %r9;
  mov.u32 %r11, right; mad.lo.u32 %r11, %r1, 4, %r11; mad.lo.u32 %r12, %r2, 64, %r11;
  mov.f32 %f1, 0f00000000; mov.u32 %r13, 0;
LOOP:
  ld.global.f32 %f2, [%rd1]; st.shared.f32 [%r10], %f2;
  ld.global.f32 %f3, [%rd2]; st.shared.f32 [%r12], %f3;
  bar.sync 0;
)";
  for (int k = 0; k < tile; ++k)
    text += fmt::format("  ld.shared.f32 %f4, [%r11+{}]; ld.shared.f32 %f5, [%r9+{}];\n"
                        "  fma.rn.f32 %f1, %f5, %f4, %f1;\n",
                        64 * k, 4 * k);
  return text + R"(
  bar.sync 0;
  add.s64 %rd1, %rd1, 64; add.s64 %rd2, %rd2, 32768;
  add.u32 %r13, %r13, 16;
  setp.lt.u32 %p1, %r13, 512;
  @%p1 bra LOOP;
  mad.lo.u32 %r5, %r5, 512, %r6;
  mul.wide.u32 %rd4, %r5, 4; add.s64 %rd3, %rd3, %rd4;
  st.global.f32 [%rd3], %f1;
  ret;
})";
}

const std::vector<float> &squares() {
  static const std::vector<float> values = [] {
    std::mt19937_64 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> made(2 * size * size);
    for (float &value : made)
      value = normal(random);
    return made;
  }();
  return values;
}

Result<Launch> prepareTiled() {
  constexpr unsigned tiles = size / tile;
  Launch launch{.kernel = "tiled", .grid = {tiles, tiles}, .block = {tile, tile}};
  const size_t bytes = size_t(size) * size * sizeof(float);
  INGOT_ASSIGN(const CUdeviceptr a, upload(squares().data(), bytes));
  INGOT_ASSIGN(const CUdeviceptr b, upload(squares().data() + size * size, bytes));
  launch.outputBytes = bytes;
  INGOT_TRY(check(driver.cuMemAlloc(&launch.output, bytes)));
  launch.add(a);
  launch.add(b);
  launch.add(launch.output);
  return launch;
}

std::string examineTiled(const std::vector<std::byte> &output) {
  for (int sample = 0; sample < 64; ++sample) {
    const int row = sample * 37 % size, column = sample * 53 % size;
    double expected = 0;
    for (int k = 0; k < size; ++k)
      expected += double(squares()[size_t(row) * size + k]) *
                  double(squares()[size_t(size) * size + size_t(k) * size + column]);
    float value;
    std::memcpy(&value, output.data() + 4 * (size_t(row) * size + column), 4);
    if (!(std::abs(value - expected) <= 1e-3))
      return fmt::format("element ({}, {}) is {}, expected {}", row, column, value, expected);
  }
  return {};
}

struct Measured {
  std::vector<double> seconds;
  uint64_t instructions = 0; ///< of warps
};

/// One launch: its output is compared with `expected`, or kept there if that is empty.
Status runOnce(CUfunction function, const Launch &launch, const CheckOptions &checks,
               Measured &measured, std::vector<std::byte> &expected) {
  EmulatedDeviceOptions device;
  device.capability = 0;
  device.checks = checks;
  device.launch.threads = 1;
  device.launch.seed = 1;
  device.launched = [&](const LaunchRequest &, const LaunchResult &result, const MemoryCounters &) {
    measured.instructions = result.warpInstructions;
  };
  configureEmulatedDevice(std::move(device));
  CUlaunchAttribute attribute = {};
  attribute.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
  attribute.value.clusterDim = {launch.cluster, 1, 1};
  const CUlaunchConfig config = {launch.grid[0],
                                 launch.grid[1],
                                 1,
                                 launch.block[0],
                                 launch.block[1],
                                 1,
                                 launch.shared,
                                 nullptr,
                                 &attribute,
                                 launch.cluster > 1 ? 1u : 0u};
  std::vector<void *> parameters;
  for (const std::vector<std::byte> &argument : launch.arguments)
    parameters.push_back(const_cast<std::byte *>(argument.data()));
  const auto start = std::chrono::steady_clock::now();
  INGOT_TRY(check(driver.cuLaunchKernelEx(&config, function, parameters.data(), nullptr)));
  measured.seconds.push_back(
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  std::vector<std::byte> output(launch.outputBytes);
  INGOT_TRY(check(driver.cuMemcpyDtoH(output.data(), launch.output, output.size())));
  if (expected.empty())
    expected = output;
  return output == expected
             ? Status()
             : failure(Error::Code::Mismatch, launch.kernel, "the results of two rows differ");
}

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + values.size() / 2);
  return values[values.size() / 2];
}

Status measure(const Bench &bench, std::string_view only) {
  resetEmulatedDevice();
  EmulatedDeviceOptions device;
  device.capability = 0;
  configureEmulatedDevice(std::move(device));
  CUcontext context;
  CUmodule module;
  CUfunction function;
  INGOT_TRY(check(driver.cuInit(0)));
  INGOT_TRY(check(driver.cuDevicePrimaryCtxRetain(&context, 0)));
  INGOT_TRY(check(driver.cuModuleLoadData(&module, bench.ptx.c_str())));
  INGOT_ASSIGN(const Launch launch, bench.prepare());
  INGOT_TRY(check(driver.cuModuleGetFunction(&function, module, launch.kernel.c_str())));
  if (launch.shared)
    INGOT_TRY(check(driver.cuFuncSetAttribute(
        function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, int(launch.shared))));
  std::vector<Row> all = rows();
  if (!only.empty())
    std::erase_if(all, [&](const Row &row) { return row.name != only; });
  if (all.empty())
    return failure(Error::Code::Usage, "--row", "there is no row '{}'", only);
  std::vector<Measured> measured(all.size());
  std::vector<std::byte> output;
  for (int round = 0; round < (only.empty() ? rounds : 1); ++round)
    for (size_t i = 0; i < all.size(); ++i)
      INGOT_TRY(runOnce(function, launch, all[i].checks, measured[i], output));
  if (bench.examine)
    if (const std::string wrong = bench.examine(output); !wrong.empty())
      return failure(Error::Code::Mismatch, bench.name, "{}", wrong);
  std::printf("%s: %.2f M warp instructions\n", bench.name.c_str(),
              double(measured[0].instructions) / 1e6);
  const double without = median(measured[0].seconds);
  for (size_t i = 0; i < all.size(); ++i) {
    const double seconds = median(measured[i].seconds);
    const double rate = double(measured[i].instructions) / seconds;
    std::printf("  %-32s %8.2f ms %6.2fx %8.2f M warp instructions/s %8.1f M of threads",
                all[i].name, seconds * 1e3, seconds / without, rate / 1e6, rate * 32 / 1e6);
    if (bench.tiles > 0)
      std::printf("  %.3f s a tile", seconds / bench.tiles);
    std::printf("\n");
  }
  resetEmulatedDevice();
  return {};
}

} // namespace

int main(int count, char **words) {
  const Bench benches[] = {
      {"mma.sync 128x128x4096 bf16 (sm_80)", 1, deepGemm(), prepareSm80,
       [](const std::vector<std::byte> &output) { return small().examine(output); }},
      {"wgmma 256x256x4096 bf16 (sm_90a)", 4, readKernel("gemm-sm90.ptx"), prepareSm90,
       [](const std::vector<std::byte> &output) { return large().examine(output); }},
      {"loops of arithmetic", 0, loops, prepareLoops},
      {"sums of global memory", 0, sums, prepareSums},
      {"tiled 512x512x512 f32", 0, tiledProduct(), prepareTiled, examineTiled},
  };
  std::printf("one host thread; medians of %d, in turns\n", rounds);
  std::vector<std::string_view> chosen(words + 1, words + count);
  std::string_view only;
  std::erase_if(chosen, [&](std::string_view word) {
    if (!word.starts_with("--row="))
      return false;
    only = word.substr(6);
    return true;
  });
  for (const Bench &bench : benches) {
    if (!chosen.empty() && std::ranges::none_of(chosen, [&](std::string_view word) {
          return bench.name.find(word) != bench.name.npos;
        }))
      continue;
    if (const Status status = measure(bench, only); !status) {
      std::fprintf(stderr, "%s: %s\n", bench.name.c_str(), status.error().text().c_str());
      return 1;
    }
  }
  return 0;
}
