/// Whole small kernels, as nvcc writes them.
#include "test/emulator/Support.h"
#include <numeric>

namespace ingot::emulator {
namespace {

using test::Device;
using test::header;

const std::string vectorAdd = header() + R"(
.visible .entry vadd(
	.param .u64 vadd_param_0,
	.param .u64 vadd_param_1,
	.param .u64 vadd_param_2,
	.param .u32 vadd_param_3
)
{
	.reg .pred 	%p<2>;
	.reg .f32 	%f<4>;
	.reg .b32 	%r<6>;
	.reg .b64 	%rd<11>;

	ld.param.u64 	%rd1, [vadd_param_0];
	ld.param.u64 	%rd2, [vadd_param_1];
	ld.param.u64 	%rd3, [vadd_param_2];
	ld.param.u32 	%r2, [vadd_param_3];
	mov.u32 	%r3, %ctaid.x;
	mov.u32 	%r4, %ntid.x;
	mov.u32 	%r5, %tid.x;
	mad.lo.s32 	%r1, %r3, %r4, %r5;
	setp.ge.s32 	%p1, %r1, %r2;
	@%p1 bra 	$L__BB0_2;

	cvta.to.global.u64 	%rd4, %rd1;
	mul.wide.s32 	%rd5, %r1, 4;
	add.s64 	%rd6, %rd4, %rd5;
	cvta.to.global.u64 	%rd7, %rd2;
	add.s64 	%rd8, %rd7, %rd5;
	ld.global.f32 	%f1, [%rd8];
	ld.global.f32 	%f2, [%rd6];
	add.f32 	%f3, %f2, %f1;
	cvta.to.global.u64 	%rd9, %rd3;
	add.s64 	%rd10, %rd9, %rd5;
	st.global.f32 	[%rd10], %f3;

$L__BB0_2:
	ret;
}
)";

std::vector<float> randomFloats(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<float> distribution(-1, 1);
  std::vector<float> values(count);
  for (float &value : values)
    value = distribution(random);
  return values;
}

TEST(Machine, addsVectors) {
  Device device(vectorAdd);
  const int count = 1000;
  const auto a = randomFloats(count, test::freshSeed()),
             b = randomFloats(count, test::freshSeed() + 1);
  const uint64_t pa = device.upload(a), pb = device.upload(b),
                 pc = device.upload(std::vector<float>(count));
  const LaunchResult result = device.launch("vadd", {8}, {128}, pa, pb, pc, count);
  EXPECT_GT(result.warpInstructions, 0u);
  const auto c = device.download<float>(pc, count);
  for (int i = 0; i < count; ++i)
    ASSERT_EQ(c[i], a[i] + b[i]) << i;
}

TEST(Machine, namesWhatWasReadBehindItsEnd) {
  Device device(vectorAdd);
  device.expectFindings = true;
  const int count = 1000;
  const auto a = randomFloats(count, 1);
  const uint64_t pa = device.upload(a, "a"), pb = device.upload(std::vector<float>(count - 3), "b"),
                 pc = device.upload(std::vector<float>(count), "c");
  const LaunchResult result = device.launch("vadd", {8}, {128}, pa, pb, pc, count);
  ASSERT_EQ(result.findings.size(), 1u);
  const Finding &finding = result.findings[0];
  EXPECT_EQ(finding.check, "out-of-bounds");
  EXPECT_EQ(finding.line, 33);
  EXPECT_EQ(finding.text, "ld.global.f32 \t%f1, [%rd8]");
  EXPECT_EQ(finding.kernel, "vadd");
  EXPECT_EQ(finding.block[0], 7u);
  EXPECT_EQ(finding.thread[0], uint32_t(count - 3 - 7 * 128));
  EXPECT_NE(finding.message.find("0 bytes behind the end of 'b'"), std::string::npos)
      << finding.message;
}

// The tree in shared memory, then shuffles, then one atomic addition.
const std::string reduction = header() + R"(
.visible .entry reduce(.param .u64 p0, .param .u64 p1, .param .u32 p2)
{
	.reg .pred 	%p<8>;
	.reg .b32 	%r<20>;
	.reg .b64 	%rd<8>;
	.shared .align 4 .b8 s[1024];
	ld.param.u64 	%rd1, [p0];
	ld.param.u64 	%rd2, [p1];
	ld.param.u32 	%r1, [p2];
	mov.u32 %r2, %tid.x;
	mov.u32 %r3, %ctaid.x;
	shl.b32 %r4, %r3, 8;
	add.u32 %r4, %r4, %r2;
	mov.b32 %r5, 0;
LOOP:
	setp.ge.u32 %p1, %r4, %r1;
	@%p1 bra DONE;
	mul.wide.u32 %rd3, %r4, 4;
	add.s64 %rd3, %rd1, %rd3;
	ld.global.nc.u32 %r6, [%rd3];
	add.u32 %r5, %r5, %r6;
	mov.u32 %r7, %nctaid.x;
	mad.lo.u32 %r4, %r7, 256, %r4;
	bra.uni LOOP;
DONE:
	mov.u32 %r8, s;
	mad.lo.u32 %r9, %r2, 4, %r8;
	st.shared.u32 [%r9], %r5;
	bar.sync 0;
	mov.u32 %r10, 128;
TREE:
	setp.ge.u32 %p2, %r2, %r10;
	@%p2 bra SKIP;
	shl.b32 %r11, %r10, 2;
	add.u32 %r11, %r9, %r11;
	ld.shared.u32 %r12, [%r11];
	ld.shared.u32 %r13, [%r9];
	add.u32 %r13, %r13, %r12;
	st.shared.u32 [%r9], %r13;
SKIP:
	bar.sync 0;
	shr.u32 %r10, %r10, 1;
	setp.ge.u32 %p3, %r10, 32;
	@%p3 bra TREE;
	setp.gt.u32 %p4, %r2, 31;
	@%p4 ret;
	ld.shared.u32 %r14, [%r9];
	shfl.sync.down.b32 %r15|%p5, %r14, 16, 31, -1;
	add.u32 %r14, %r14, %r15;
	shfl.sync.bfly.b32 %r15, %r14, 8, 31, 0xffffffff;
	add.u32 %r14, %r14, %r15;
	shfl.sync.bfly.b32 %r15, %r14, 4, 31, -1;
	add.u32 %r14, %r14, %r15;
	shfl.sync.bfly.b32 %r15, %r14, 2, 31, -1;
	add.u32 %r14, %r14, %r15;
	shfl.sync.bfly.b32 %r15, %r14, 1, 31, -1;
	add.u32 %r14, %r14, %r15;
	setp.ne.u32 %p6, %r2, 0;
	@%p6 ret;
	red.global.add.u32 [%rd2], %r14;
	ret;
}
)";

TEST(Machine, reducesThroughSharedMemory) {
  Device device(reduction);
  std::mt19937_64 random(test::freshSeed());
  std::vector<uint32_t> values(10'007);
  for (uint32_t &value : values)
    value = uint32_t(random());
  const uint64_t from = device.upload(values), to = device.upload(std::vector<uint32_t>(1));
  device.launch("reduce", {5}, {256}, from, to, uint32_t(values.size()));
  EXPECT_EQ(device.download<uint32_t>(to, 1)[0],
            std::accumulate(values.begin(), values.end(), uint32_t(0)));
}

} // namespace
} // namespace ingot::emulator
