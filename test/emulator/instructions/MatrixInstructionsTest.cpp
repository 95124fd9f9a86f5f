// mma, ldmatrix, stmatrix and wgmma as instructions: operands, waiting, errors. What they compute
// is tested by MatrixMultiplyTest and WarpgroupMultiplyTest.
#include "runtime/emulator/machine/WarpgroupMultiply.h"
#include "test/emulator/Support.h"

namespace ingot::emulator {
namespace {

using namespace test;

std::string_view typeText(MatrixType type) {
  constexpr std::string_view names[] = {"f16",  "bf16", "tf32", "f64", "e4m3",
                                        "e5m2", "s8",   "u8",   "s4",  "u4"};
  return names[static_cast<int>(type)];
}
std::string_view typeText(Accumulator type) {
  constexpr std::string_view names[] = {"f16", "f32", "f64", "s32"};
  return names[static_cast<int>(type)];
}

/// "{%r4, %r5}"; a single register without braces where `braces` is false.
std::string registers(std::string_view prefix, int first, int count) {
  std::string text = "{";
  for (int i = 0; i < count; ++i)
    text += fmt::format("{}{}{}", i ? ", " : "", prefix, first + i);
  return text + "}";
}

/// Loads A, B and C lane by lane, multiplies, stores D.
std::string mmaKernel(const MatrixMultiply &shape) {
  const bool wide = shape.accumulator == Accumulator::F64;
  const std::string_view prefix = wide ? "%rd" : "%r", type = wide ? "b64" : "b32";
  const int bytes = wide ? 8 : 4;
  const int a = shape.registersOfA(), b = shape.registersOfB(), c = shape.registersOfC();
  std::string text =
      header() + fmt::format(R"(.visible .entry kernel(.param .u64 from, .param .u64 to)
{{
.reg .b32 %r<64>;
.reg .b64 %rd<64>;
ld.param.u64 %rd40, [from];
ld.param.u64 %rd41, [to];
mov.u32 %r40, %tid.x;
mul.wide.u32 %rd42, %r40, {};
add.u64 %rd40, %rd40, %rd42;
add.u64 %rd41, %rd41, %rd42;
)",
                             bytes);
  for (int i = 0; i < a + b + c; ++i)
    text += fmt::format("ld.global.{} {}{}, [%rd40+{}];\n", type, prefix, i, 32 * bytes * i);
  std::string kinds = fmt::format("{}.{}.{}.{}", typeText(shape.accumulator), typeText(shape.a),
                                  typeText(shape.b), typeText(shape.accumulator));
  text +=
      fmt::format("mma.sync.aligned.m{}n{}k{}.row.col{}.{} {}, {}, {}, {};\n", shape.m, shape.n,
                  shape.k, shape.saturate ? ".satfinite" : "", kinds, registers(prefix, 30, c),
                  registers(prefix, 0, a), registers(prefix, a, b), registers(prefix, a + b, c));
  for (int i = 0; i < c; ++i)
    text += fmt::format("st.global.{} [%rd41+{}], {}{};\n", type, 32 * bytes * i, prefix, 30 + i);
  return text + "ret;\n}\n";
}

template <typename T> void checkMma(const MatrixMultiply &shape, std::mt19937_64 &random) {
  const int a = shape.registersOfA(), b = shape.registersOfB(), c = shape.registersOfC();
  std::vector<T> values(32 * size_t(a + b + c));
  for (T &value : values)
    if constexpr (sizeof(T) == 8)
      value = std::normal_distribution<double>()(random);
    else // no NaN in any format, so that bits can be compared
      value =
          static_cast<uint32_t>(random()) &
          (shape.a == MatrixType::E4M3 || shape.a == MatrixType::E5M2 ? 0x33333333u : 0x3bff3bffu);
  Device device(mmaKernel(shape));
  const uint64_t to = device.upload(std::vector<T>(32 * size_t(c)));
  device.launch("kernel", {1}, {32}, device.upload(values), to);
  std::vector<T> expected(32 * size_t(c));
  std::vector<T *> d;
  std::vector<const T *> rows;
  for (int i = 0; i < c; ++i)
    d.push_back(&expected[32 * size_t(i)]);
  for (int i = 0; i < a + b + c; ++i)
    rows.push_back(&values[32 * size_t(i)]);
  multiply(shape, d.data(), &rows[0], &rows[size_t(a)], &rows[size_t(a + b)]);
  EXPECT_EQ(device.download<T>(to, expected.size()), expected) << mmaKernel(shape);
}

TEST(MatrixInstructions, everyMma) {
  std::mt19937_64 random(freshSeed());
  for (int a = 0; a <= int(MatrixType::U4); ++a)
    for (int b = 0; b <= int(MatrixType::U4); ++b)
      for (Accumulator accumulator :
           {Accumulator::F16, Accumulator::F32, Accumulator::F64, Accumulator::S32})
        for (int m : {8, 16})
          for (int k : {4, 8, 16, 32, 64}) {
            const MatrixMultiply shape{m, 8, k, MatrixType(a), MatrixType(b), accumulator, false};
            if (!shape.isSupported())
              continue;
            if (accumulator == Accumulator::F64)
              checkMma<double>(shape, random);
            else
              checkMma<uint32_t>(shape, random);
          }
}

// A tile goes from shared memory to fragments and back, transposed twice.
TEST(MatrixInstructions, matricesMoveBothWays) {
  for (const char *trans : {"", ".trans"}) {
    Device device(header() + fmt::format(R"(.visible .entry kernel(.param .u64 from, .param .u64 to)
{{
.reg .b32 %r<32>;
.reg .b64 %rd<16>;
.shared .align 16 .b8 tile[1024];
ld.param.u64 %rd1, [from];
ld.param.u64 %rd2, [to];
mov.u32 %r1, %tid.x;
mul.wide.u32 %rd3, %r1, 16;
add.u64 %rd1, %rd1, %rd3;
add.u64 %rd2, %rd2, %rd3;
mov.u32 %r2, tile;
shl.b32 %r3, %r1, 4;
add.u32 %r2, %r2, %r3;
ld.global.v4.b32 {{%r4, %r5, %r6, %r7}}, [%rd1];
st.shared.v4.b32 [%r2], {{%r4, %r5, %r6, %r7}};
bar.warp.sync -1;
ldmatrix.sync.aligned.m8n8.x4{0}.shared.b16 {{%r8, %r9, %r10, %r11}}, [%r2];
stmatrix.sync.aligned.m8n8.x4{0}.shared.b16 [%r2+512], {{%r8, %r9, %r10, %r11}};
bar.warp.sync -1;
ld.shared.v4.b32 {{%r4, %r5, %r6, %r7}}, [%r2+512];
st.global.v4.b32 [%rd2], {{%r4, %r5, %r6, %r7}};
ret;
}}
)",
                                         trans));
    std::vector<uint16_t> values(256);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<uint16_t>(7 * i + 1);
    const uint64_t to = device.upload(std::vector<uint16_t>(256));
    device.launch("kernel", {1}, {32}, device.upload(values), to);
    EXPECT_EQ(device.download<uint16_t>(to, 256), values);
  }
}

/// One m64n8k16 product of ones by a warpgroup; `wait` stands before D is read.
std::string wgmmaKernel(std::string_view wait, std::string_view end) {
  return header() + fmt::format(R"(.visible .entry kernel(.param .u64 to)
{{
.reg .b32 %r<32>;
.reg .b64 %rd<16>;
.reg .f32 %f<8>;
.shared .align 1024 .b8 tile[4096];
ld.param.u64 %rd2, [to];
mov.u32 %r1, %tid.x;
mov.u32 %r2, tile;
shl.b32 %r3, %r1, 4;
add.u32 %r2, %r2, %r3;
mov.b32 %r4, 0x3c003c00;
st.shared.v4.b32 [%r2], {{%r4, %r4, %r4, %r4}};
st.shared.v4.b32 [%r2+2048], {{%r4, %r4, %r4, %r4}};
fence.proxy.async.shared::cta;
bar.sync 0;
mov.u32 %r5, tile;
shr.u32 %r5, %r5, 4;
mov.b32 %r6, 0x80000;
mov.b32 %r7, 0x10;
or.b32 %r5, %r5, %r6;
mov.b64 %rd3, {{%r5, %r7}};
mov.f32 %f1, 0f00000000;
mov.f32 %f2, %f1;
mov.f32 %f3, %f1;
mov.f32 %f4, %f1;
wgmma.fence.sync.aligned;
wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {{%f1, %f2, %f3, %f4}}, %rd3, %rd3, 1, 1, 1, 0, 0;
wgmma.commit_group.sync.aligned;
{}
mul.wide.u32 %rd4, %r1, 16;
add.u64 %rd2, %rd2, %rd4;
bar.sync 0;
st.global.v4.f32 [%rd2], {{%f1, %f2, %f3, %f4}};
{}
ret;
}}
)",
                                wait, end);
}

TEST(MatrixInstructions, productsLandWhenTheyAreWaitedFor) {
  const auto right = [](std::string_view wait, std::string_view end) {
    int count = 0;
    for (uint64_t seed = 0; seed < 32; ++seed) {
      Device device(wgmmaKernel(wait, end));
      device.options.seed = seed;
      device.expectFindings = !end.empty();
      const uint64_t to = device.upload(std::vector<float>(512));
      device.launch("kernel", {1}, {128}, to);
      count += device.download<float>(to, 512) == std::vector<float>(512, 16.0f);
    }
    return count;
  };
  EXPECT_EQ(right("wgmma.wait_group.sync.aligned 0;", ""), 32);
  EXPECT_LT(right("", "wgmma.wait_group.sync.aligned 0;"), 32);
}

// A sparse product of a warpgroup, A in registers or in shared memory: what it reads from where.
TEST(MatrixInstructions, sparseProductsOfAWarpgroup) {
  std::mt19937_64 random(freshSeed());
  for (const bool inRegisters : {false, true})
    for (const int selector : {0, 1})
      for (const bool negated : {false, true}) { // !p as scale-d
        // Small integers, so that sums are exact. A [64][32] keeps places 1 and 3 or 0 and 2 of 4.
        std::array<std::array<float, 32>, 64> a{};
        std::array<std::array<float, 32>, 8> b{};
        std::vector<uint16_t> stored(64 * 16), image(64 * 16 + 8 * 32);
        std::vector<uint32_t> metadata(128, 0xffffffff), fragments(128 * 4);
        const auto draw = [&] { return float(int(random() % 17) - 8); };
        const auto half = [](float value) { return uint16_t(encode(FloatType::F16, value, {})); };
        // Without swizzle: 8 rows of 16 bytes; 16 bytes further along k is 128 bytes on.
        for (int row = 0; row < 64; ++row)
          for (int group = 0; group < 8; ++group) {
            const bool odd = random() % 2;
            const int lane = row / 16 * 32 + row % 8 * 4 + 2 * selector + group / 4;
            const int shift = row % 16 / 8 * 16 + group % 4 * 4;
            metadata[lane] = (metadata[lane] & ~(15u << shift)) | (odd ? 0b1101u : 0b1000u)
                                                                      << shift;
            for (int i = 0; i < 2; ++i) {
              const float value = draw();
              a[row][4 * group + 2 * i + odd] = value;
              const int k = 2 * group + i;
              stored[row * 16 + k] = half(value);
              image[row / 8 * 128 + k / 8 * 64 + row % 8 * 8 + k % 8] = half(value);
            }
          }
        for (int column = 0; column < 8; ++column)
          for (int k = 0; k < 32; ++k) {
            b[column][k] = draw();
            image[1024 + k / 8 * 64 + column * 8 + k % 8] = half(b[column][k]);
          }
        for (int thread = 0; thread < 128; ++thread)
          for (int index = 0; index < 4; ++index) {
            const int row = thread / 32 * 16 + thread % 32 / 4 + index % 2 * 8;
            const int k = thread % 4 * 2 + index / 2 * 8;
            fragments[4 * thread + index] =
                stored[row * 16 + k] | uint32_t(stored[row * 16 + k + 1]) << 16;
          }
        Device device(header() +
                      fmt::format(R"(.visible .entry kernel(.param .u64 from, .param .u64 meta,
                       .param .u64 fragments, .param .u64 to)
{{
.reg .b32 %r<32>;
.reg .b64 %rd<16>;
.reg .f32 %f<8>;
.reg .pred %p<3>;
.shared .align 1024 .b8 tile[2560];
ld.param.u64 %rd1, [from];
mov.u32 %r1, %tid.x;
mov.u32 %r2, tile;
mov.u32 %r3, %r1;
LOOP:
mul.wide.u32 %rd2, %r3, 4;
add.u64 %rd2, %rd1, %rd2;
ld.global.b32 %r4, [%rd2];
shl.b32 %r5, %r3, 2;
add.u32 %r5, %r2, %r5;
st.shared.b32 [%r5], %r4;
add.u32 %r3, %r3, 128;
setp.lt.u32 %p1, %r3, 640;
@%p1 bra LOOP;
fence.proxy.async.shared::cta;
bar.sync 0;
ld.param.u64 %rd3, [meta];
mul.wide.u32 %rd4, %r1, 4;
add.u64 %rd3, %rd3, %rd4;
ld.global.b32 %r6, [%rd3];
ld.param.u64 %rd5, [fragments];
mul.wide.u32 %rd6, %r1, 16;
add.u64 %rd5, %rd5, %rd6;
ld.global.v4.b32 {{%r10, %r11, %r12, %r13}}, [%rd5];
// Leading 128 bytes, stride 256.
shr.u32 %r7, %r2, 4;
or.b32 %r7, %r7, 0x80000;
mov.b32 %r8, 0x10;
mov.b64 %rd7, {{%r7, %r8}};
add.u32 %r9, %r7, 128;
mov.b64 %rd8, {{%r9, %r8}};
mov.f32 %f1, 0f3f800000;
mov.f32 %f2, %f1;
mov.f32 %f3, %f1;
mov.f32 %f4, %f1;
setp.eq.u32 %p2, 0, 0;
wgmma.fence.sync.aligned;
wgmma.mma_async.sp.sync.aligned.m64n8k32.f32.f16.f16 {{%f1, %f2, %f3, %f4}}, {}, %rd8, %r6, {}, {}%p2, 1, -1, {}0;
wgmma.commit_group.sync.aligned;
wgmma.wait_group.sync.aligned 0;
ld.param.u64 %rd9, [to];
add.u64 %rd9, %rd9, %rd6;
st.global.v4.f32 [%rd9], {{%f1, %f2, %f3, %f4}};
ret;
}}
)",
                                  inRegisters ? "{%r10, %r11, %r12, %r13}" : "%rd7", selector,
                                  negated ? "!" : "", inRegisters ? "" : "0, "));
        const uint64_t to = device.upload(std::vector<float>(512));
        device.launch("kernel", {1}, {128}, device.upload(image), device.upload(metadata),
                      device.upload(fragments), to);
        const std::vector<float> d = device.download<float>(to, 512);
        for (int row = 0; row < 64; ++row)
          for (int column = 0; column < 8; ++column) {
            float sum = negated ? 0 : 1;
            for (int k = 0; k < 32; ++k)
              sum -= a[row][k] * b[column][k];
            const int thread = row / 16 * 32 + row % 8 * 4 + column / 2;
            ASSERT_EQ(d[4 * thread + row % 16 / 8 * 2 + column % 2], sum)
                << "row " << row << " column " << column;
          }
      }
}

TEST(MatrixInstructions, checksFindRegistersAndOperandsInUse) {
  const auto findings = [](std::string_view wait) {
    Device device(wgmmaKernel(wait, "wgmma.wait_group.sync.aligned 0;"));
    device.expectFindings = true;
    return device.launch("kernel", {1}, {128}, device.upload(std::vector<float>(512))).findings;
  };
  const std::vector<Finding> quiet = findings("wgmma.wait_group.sync.aligned 0;");
  EXPECT_TRUE(quiet.empty()) << quiet[0].str();
  const std::vector<Finding> early = findings("");
  ASSERT_FALSE(early.empty());
  EXPECT_NE(early[0].message.find("reads a register that the wgmma"), std::string::npos)
      << early[0].str();
  const std::vector<Finding> overwritten =
      findings("st.shared.b32 [%r2], %r4;\nwgmma.wait_group.sync.aligned 0;");
  ASSERT_FALSE(overwritten.empty());
  EXPECT_NE(overwritten[0].message.find("still reads"), std::string::npos) << overwritten[0].str();
}

TEST(MatrixInstructions, productsThatNobodyWaitsForAreFound) {
  int found = 0;
  for (uint64_t seed = 0; seed < 32; ++seed) {
    Device device(wgmmaKernel("", ""));
    device.options.seed = seed;
    device.expectFindings = true;
    const LaunchResult result =
        device.launch("kernel", {1}, {128}, device.upload(std::vector<float>(512)));
    for (const Finding &finding : result.findings)
      found += finding.message.find("wgmma.wait_group is missing") != std::string::npos;
  }
  EXPECT_GT(found, 0);
}

TEST(MatrixInstructions, missingLanesAreFound) {
  Device device(mmaKernel({}));
  device.expectFindings = true;
  const uint64_t memory = device.upload(std::vector<uint32_t>(32 * 16));
  const LaunchResult result = device.launch("kernel", {1}, {31}, memory, memory);
  ASSERT_EQ(result.findings.size(), 1u);
  EXPECT_EQ(result.findings[0].check, "divergence");
}

// What the ISA does not have is an error with its line, never a guess.
TEST(MatrixInstructions, unknownFormsAreErrors) {
  GlobalMemory memory;
  for (const char *text :
       {"mma.sync.aligned.m16n8k16.row.col.f32.f16.bf16.f32 {%f1,%f2,%f3,%f4}, {%r1,%r2,%r3,%r4}, "
        "{%r5,%r6}, {%f1,%f2,%f3,%f4};",
        "mma.sync.aligned.m16n8k16.col.col.f32.f16.f16.f32 {%f1,%f2,%f3,%f4}, {%r1,%r2,%r3,%r4}, "
        "{%r5,%r6}, {%f1,%f2,%f3,%f4};",
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f1,%f2,%f3,%f4}, {%r1,%r2,%r3}, "
        "{%r5,%r6}, {%f1,%f2,%f3,%f4};",
        "ldmatrix.sync.aligned.m8n8.x3.shared.b16 {%r1}, [%r2];",
        "wgmma.mma_async.sync.aligned.m64n12k16.f32.f16.f16 {%f1}, %rd1, %rd1, 1, 1, 1, 0, 0;",
        "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%f1,%f2,%f3,%f4}, %rd1, %rd1, 1, 2, 1, "
        "0, 0;",
        "wgmma.mma_async.sp.sync.aligned.m64n8k16.f32.f16.f16 {%f1,%f2,%f3,%f4}, %rd1, %rd1, %r1, "
        "0, "
        "1, 1, 1, 0, 0;",
        "wgmma.mma_async.sp.sync.aligned.m64n8k32.f32.f16.f16 {%f1,%f2,%f3,%f4}, %rd1, %rd1, %r1, "
        "2, "
        "1, 1, 1, 0, 0;",
        "wgmma.mma_async.sp.sync.aligned.m64n8k32.f32.f16.f16 {%f1,%f2,%f3,%f4}, %rd1, %rd1, %r1, "
        "%r2, 1, 1, 1, 0, 0;",
        "wgmma.mma_async.sp.sync.aligned.m64n8k64.f32.e4m3.e4m3 {%f1,%f2,%f3,%f4}, %rd1, %rd1, "
        "%r1, "
        "1, 1, 1, 1;",
        "wgmma.mma_async.sp.sync.aligned.m64n40k64.s32.s8.s8 {%r1,%r2,%r3,%r4,%r1,%r2,%r3,%r4,%r1,"
        "%r2,%r3,%r4,%r1,%r2,%r3,%r4,%r1,%r2,%r3,%r4}, %rd1, %rd1, %r1, 0, 1;",
        "setmaxnreg.inc.sync.aligned.u32 233;", "cp.async.cg.shared.global [%r1], [%rd1], 8;",
        "cp.async.bulk.tensor.2d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [%r1], "
        "[%rd1, {%r1, %r2}], [%r3];",
        "mbarrier.frobnicate.b64 [%r1];"}) {
    auto module = Module::load(
        header() + fmt::format(".visible .entry kernel()\n{{\n.reg .b32 %r<8>;\n.reg .b64 "
                               "%rd<4>;\n.reg .f32 %f<8>;\n{}\nret;\n}}\n",
                               text),
        "wrong.ptx", memory);
    ASSERT_TRUE(module) << module.error().text();
    const auto kernel = (*module)->kernel("kernel");
    ASSERT_FALSE(kernel) << text;
    EXPECT_NE(kernel.error().text().find("wrong.ptx:9"), std::string::npos)
        << kernel.error().text();
  }
}

} // namespace
} // namespace ingot::emulator
