/// Divergence, calls, waiting for other lanes, warps and blocks, and what never ends.
#include "test/emulator/Support.h"
#include <bit>
#include <numeric>

namespace ingot::emulator {
namespace {

using test::Device;
using test::header;

/// A kernel `run(.param .u64 data, .param .u64 other)` with the thread's number in %r1 and the
/// addresses of its own element of `data` in %rd1, of `data` in %rd2 and of `other` in %rd3.
std::string kernel(const std::string &body, const std::string &before = {}) {
  return header() + before + R"(
.visible .entry run(.param .u64 data, .param .u64 other)
{
  .reg .pred %p<8>;
  .reg .b32 %r<16>;
  .reg .b64 %rd<8>;
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r1, %tid.x;
  mad.lo.u32 %r1, %r2, %r3, %r1;
  ld.param.u64 %rd2, [data];
  ld.param.u64 %rd3, [other];
  mul.wide.u32 %rd1, %r1, 4;
  add.u64 %rd1, %rd2, %rd1;
)" + body +
         "  ret;\n}\n";
}

std::vector<uint32_t> numbers(size_t count) {
  std::vector<uint32_t> values(count);
  std::iota(values.begin(), values.end(), 0);
  return values;
}

TEST(Control, lanesLeaveLoopsAtDifferentTimesAndMeetAgain) {
  // Collatz steps; then a ballot of all lanes, which needs them together.
  Device device(kernel(R"(
  add.u32 %r4, %r1, 1;
  mov.u32 %r5, 0;
LOOP:
  setp.le.u32 %p1, %r4, 1;
  @%p1 bra DONE;
  and.b32 %r6, %r4, 1;
  setp.eq.u32 %p2, %r6, 0;
  @%p2 bra EVEN;
  mad.lo.u32 %r4, %r4, 3, 1;
  bra NEXT;
EVEN:
  shr.u32 %r4, %r4, 1;
NEXT:
  add.u32 %r5, %r5, 1;
  bra LOOP;
DONE:
  activemask.b32 %r7;
  setp.ne.u32 %p3, %r7, -1;
  @%p3 trap;
  st.global.u32 [%rd1], %r5;
)"));
  const uint64_t data = device.upload(std::vector<uint32_t>(64));
  device.launch("run", {1}, {64}, data, uint64_t(0));
  const auto steps = device.download<uint32_t>(data, 64);
  for (uint32_t i = 0; i < 64; ++i) {
    uint32_t expected = 0;
    for (uint64_t n = i + 1; n > 1; n = n % 2 ? 3 * n + 1 : n / 2)
      ++expected;
    EXPECT_EQ(steps[i], expected) << i;
  }
}

TEST(Control, callsRecursivelyAndThroughRegisters) {
  Device device(kernel(R"(
  { .param .b32 argument; .param .b32 result;
    st.param.b32 [argument], %r1;
    call.uni (result), sum, (argument);
    ld.param.b32 %r4, [result]; }
  and.b32 %r5, %r1, 1;
  mov.u64 %rd4, table;
  mul.wide.u32 %rd5, %r5, 8;
  add.u64 %rd4, %rd4, %rd5;
  ld.global.u64 %rd6, [%rd4];
  { .param .b32 argument; .param .b32 result;
    st.param.b32 [argument], %r4;
    prototype: .callprototype (.param .b32 _) _ (.param .b32 _);
    call (result), %rd6, (argument), prototype;
    ld.param.b32 %r4, [result]; }
  st.global.u32 [%rd1], %r4;
)",
                       R"(
.func (.param .b32 out) twice(.param .b32 in)
{ .reg .b32 %r<2>; ld.param.b32 %r0, [in]; shl.b32 %r1, %r0, 1; st.param.b32 [out], %r1; ret; }
.func (.param .b32 out) next(.param .b32 in)
{ .reg .b32 %r<2>; ld.param.b32 %r0, [in]; add.u32 %r1, %r0, 1; st.param.b32 [out], %r1; ret; }
.global .align 8 .u64 table[2] = {twice, next};
.func (.param .b32 out) sum(.param .b32 in)
{
  .reg .pred %p1;
  .reg .b32 %r<4>;
  ld.param.b32 %r0, [in];
  mov.u32 %r2, 0;
  setp.eq.u32 %p1, %r0, 0;
  @%p1 bra DONE;
  sub.u32 %r1, %r0, 1;
  { .param .b32 argument; .param .b32 result;
    st.param.b32 [argument], %r1;
    call.uni (result), sum, (argument);
    ld.param.b32 %r2, [result]; }
  add.u32 %r2, %r2, %r0;
DONE:
  st.param.b32 [out], %r2;
  ret;
}
)"));
  const uint64_t data = device.upload(std::vector<uint32_t>(40));
  device.launch("run", {1}, {40}, data, uint64_t(0));
  const auto results = device.download<uint32_t>(data, 40);
  for (uint32_t i = 0; i < 40; ++i) {
    const uint32_t sum = i * (i + 1) / 2;
    EXPECT_EQ(results[i], i % 2 ? sum + 1 : 2 * sum) << i;
  }
}

// Constants between a call's parentheses, alone or beside registers, as the parameters' types.
TEST(Control, callsTakeConstants) {
  Device device(kernel(R"(
  .reg .f32 %f<4>;
  .reg .f64 %fd<4>;
  call (%r4), add, (5, %r1);
  call (%r5), add, (-7, 0x10);
  call (%r6), next, (41);
  call (%f1), halves, (1.5, 0d4000000000000000);
  mov.b32 %r7, %f1;
  st.global.u32 [%rd1], %r4;
  st.global.u32 [%rd3], %r5;
  st.global.u32 [%rd3+4], %r6;
  st.global.u32 [%rd3+8], %r7;
)",
                       R"(
.func (.reg .b32 out) add(.reg .b32 a, .reg .b32 b) { add.u32 out, a, b; ret; }
.func (.reg .b32 out) next(.reg .b32 a) { add.u32 out, a, 1; ret; }
.func (.reg .f32 out) halves(.reg .f32 a, .reg .f64 b)
{ .reg .f32 c; cvt.rn.f32.f64 c, b; add.f32 out, a, c; ret; }
)"));
  const uint64_t sums = device.upload(std::vector<uint32_t>(1)),
                 others = device.upload(std::vector<uint32_t>(3));
  device.launch("run", {1}, {1}, sums, others);
  EXPECT_EQ(device.download<uint32_t>(sums, 1)[0], 5u);
  EXPECT_EQ(device.download<uint32_t>(others, 3),
            (std::vector<uint32_t>{9, 42, std::bit_cast<uint32_t>(3.5f)}));
}

TEST(Control, branchesThroughATable) {
  Device device(kernel(R"(
  rem.u32 %r4, %r1, 3;
  targets: .branchtargets ZERO, ONE, TWO;
  brx.idx %r4, targets;
ZERO:
  mov.u32 %r5, 100;
  bra JOIN;
ONE:
  mov.u32 %r5, 200;
  bra JOIN;
TWO:
  exit;
JOIN:
  st.global.u32 [%rd1], %r5;
)"));
  const uint64_t data = device.upload(std::vector<uint32_t>(40, 7));
  device.launch("run", {1}, {40}, data, uint64_t(0));
  const auto results = device.download<uint32_t>(data, 40);
  for (uint32_t i = 0; i < 40; ++i)
    EXPECT_EQ(results[i], i % 3 == 0 ? 100u : i % 3 == 1 ? 200u : 7u) << i;
}

TEST(Control, lanesSpinOnALockThatTheirNeighboursHold) {
  Device device(kernel(R"(
LOCK:
  atom.global.cas.b32 %r4, [%rd3], 0, 1;
  setp.ne.u32 %p1, %r4, 0;
  @%p1 bra LOCK;
  ld.volatile.global.u32 %r5, [%rd2];
  add.u32 %r5, %r5, 1;
  st.volatile.global.u32 [%rd2], %r5;
  membar.gl;
  atom.global.exch.b32 %r4, [%rd3], 0;
)"));
  const uint64_t data = device.upload(std::vector<uint32_t>(512)),
                 lock = device.upload(std::vector<uint32_t>(1));
  device.launch("run", {3}, {64}, data, lock);
  EXPECT_EQ(device.download<uint32_t>(data, 1)[0], 192u);
}

TEST(Control, blocksWaitForBlocksThatHaveNotBegun) {
  // Every block counts itself and polls until all 200 have come.
  Device device(kernel(R"(
  setp.ne.u32 %p1, %r1, %r1;
  mov.u32 %r4, %tid.x;
  setp.ne.u32 %p1, %r4, 0;
  @%p1 bra WAIT;
  atom.global.add.u32 %r5, [%rd3], 1;
WAIT:
  ld.acquire.gpu.global.u32 %r5, [%rd3];
  mov.u32 %r6, %nctaid.x;
  setp.lt.u32 %p2, %r5, %r6;
  @%p2 bra WAIT;
  st.global.u32 [%rd1], %r5;
)"));
  const uint64_t data = device.upload(std::vector<uint32_t>(6400)),
                 counter = device.upload(std::vector<uint32_t>(1));
  device.launch("run", {200}, {32}, data, counter);
  EXPECT_EQ(device.download<uint32_t>(data, 6400), std::vector<uint32_t>(6400, 200));
}

TEST(Control, reportsADeadlockWithTheStateOfEveryWarp) {
  Device device(kernel(R"(
  mov.u32 %r4, %tid.x;
  setp.lt.u32 %p1, %r4, 32;
  @%p1 bra FIRST;
  bar.sync 1, 64;
FIRST:
  bar.sync 0, 64;
)"));
  device.expectFindings = true;
  const LaunchResult result = device.launch("run", {1}, {64}, uint64_t(0), uint64_t(0));
  ASSERT_EQ(result.findings.size(), 1u);
  EXPECT_EQ(result.findings[0].check, "deadlock");
  const std::string &message = result.findings[0].message;
  EXPECT_NE(message.find("warp 0: lanes ffffffff waits at barrier 0 at line 24"), std::string::npos)
      << message;
  EXPECT_NE(message.find("warp 1: lanes ffffffff waits at barrier 1 at line 22"), std::string::npos)
      << message;
}

TEST(Control, reportsABarrierThatHalfAWarpExecutes) {
  Device device(kernel(R"(
  setp.lt.u32 %p1, %r1, 16;
  @%p1 bar.sync 0;
)"));
  device.expectFindings = true;
  const LaunchResult result = device.launch("run", {1}, {32}, uint64_t(0), uint64_t(0));
  ASSERT_FALSE(result.findings.empty());
  EXPECT_EQ(result.findings[0].check, "divergent-barrier");
}

TEST(Control, stopsWhatNeverEnds) {
  Device device(kernel("LOOP:\n  bra LOOP;\n"));
  device.expectFindings = true;
  device.options.instructionLimit = 100'000;
  const LaunchResult result = device.launch("run", {4}, {32}, uint64_t(0), uint64_t(0));
  ASSERT_FALSE(result.findings.empty());
  EXPECT_EQ(result.findings[0].check, "no-end");
}

// Blocks that end within their first slice count, too.
TEST(Control, stopsAfterManyShortBlocks) {
  for (const int threads : {1, 3}) {
    Device device(kernel("  mov.u32 %r1, 1;\n"));
    device.expectFindings = true;
    device.options.threads = threads;
    device.options.instructionLimit = 1000;
    const LaunchResult result = device.launch("run", {1 << 20}, {32}, uint64_t(0), uint64_t(0));
    ASSERT_EQ(result.findings.size(), 1u);
    EXPECT_EQ(result.findings[0].check, "no-end");
    EXPECT_LT(result.warpInstructions, 10'000u);
  }
}

// Up to the largest grid there is; no check needs memory for blocks that have not begun.
TEST(Control, startsGridsOfAnySize) {
  for (const Dim3 grid : {Dim3{2147483647, 1, 1}, Dim3{2147483647, 65535, 65535}}) {
    Device device(kernel("  mov.u32 %r1, 1;\n"));
    device.expectFindings = true;
    device.options.instructionLimit = 1000;
    const LaunchResult result = device.launch("run", grid, {32}, uint64_t(0), uint64_t(0));
    ASSERT_EQ(result.findings.size(), 1u);
    EXPECT_EQ(result.findings[0].check, "no-end");
  }
}

TEST(Control, aLaunchThatHasEndedIsNotStuck) {
  Device device(kernel("  mov.u32 %r1, 1;\n"));
  device.options.instructionLimit = 1;
  EXPECT_TRUE(device.launch("run", {1}, {32}, uint64_t(0), uint64_t(0)).findings.empty());
  // One warp ends, the other never: the latter is named, whatever the order of the two.
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    Device stuck(kernel("  mov.u32 %r1, %tid.x;\n  setp.lt.u32 %p1, %r1, 32;\n  @%p1 bra END;\n"
                        "LOOP:\n  bra LOOP;\nEND:\n"));
    stuck.expectFindings = true;
    stuck.options.instructionLimit = 1;
    stuck.options.seed = seed;
    const LaunchResult result = stuck.launch("run", {1}, {64}, uint64_t(0), uint64_t(0));
    ASSERT_EQ(result.findings.size(), 1u);
    EXPECT_EQ(result.findings[0].check, "no-end");
    EXPECT_EQ(result.findings[0].thread[0], 32u);
  }
}

TEST(Control, reductionBarriersGiveEveryThreadTheResult) {
  Device device(kernel(R"(
  rem.u32 %r4, %r1, 3;
  setp.eq.u32 %p1, %r4, 0;
  bar.red.popc.u32 %r5, 0, %p1;
  bar.red.and.pred %p2, 0, !%p1;
  bar.red.or.pred %p3, 0, %p1;
  selp.b32 %r6, 1000, 0, %p2;
  selp.b32 %r7, 10000, 0, %p3;
  add.u32 %r5, %r5, %r6;
  add.u32 %r5, %r5, %r7;
  st.global.u32 [%rd1], %r5;
)"));
  const uint64_t data = device.upload(std::vector<uint32_t>(100));
  device.launch("run", {1}, {100}, data, uint64_t(0));
  EXPECT_EQ(device.download<uint32_t>(data, 100), std::vector<uint32_t>(100, 10034));
}

TEST(Control, blocksOfAClusterReadEachOthersSharedMemory) {
  Device device(kernel(R"(
  .shared .align 4 .b8 mine[128];
  mov.u32 %r4, %tid.x;
  shl.b32 %r5, %r4, 2;
  mov.u32 %r6, mine;
  add.u32 %r6, %r6, %r5;
  st.shared.u32 [%r6], %r1;
  barrier.cluster.arrive.aligned;
  barrier.cluster.wait.aligned;
  mov.u32 %r7, %cluster_ctarank;
  xor.b32 %r7, %r7, 1;
  mapa.shared::cluster.u32 %r8, %r6, %r7;
  ld.shared::cluster.u32 %r9, [%r8];
  st.global.u32 [%rd1], %r9;
  barrier.cluster.arrive.aligned;
  barrier.cluster.wait.aligned;
)"));
  device.cluster = {2};
  const uint64_t data = device.upload(numbers(128));
  device.launch("run", {4}, {32}, data, uint64_t(0));
  const auto results = device.download<uint32_t>(data, 128);
  for (uint32_t i = 0; i < 128; ++i)
    EXPECT_EQ(results[i], i ^ 32) << i;
}

TEST(Control, refusesWhatItDoesNotKnow) {
  const auto errorOf = [](const std::string &line) {
    GlobalMemory memory;
    auto module = Module::load(kernel("  " + line + "\n"), "k.ptx", memory);
    if (!module)
      return module.error().text();
    auto compiled = (*module)->kernel("run");
    return compiled ? std::string() : compiled.error().text();
  };
  EXPECT_EQ(errorOf("frobnicate.u32 %r1, 2;"),
            "k.ptx:18: kernel 'run': unknown instruction 'frobnicate': frobnicate.u32 %r1, 2");
  EXPECT_EQ(errorOf("add.u32.fast %r1, %r2, 2;"),
            "k.ptx:18: kernel 'run': unknown modifier '.fast': add.u32.fast %r1, %r2, 2");
  EXPECT_NE(errorOf("add.u64 %r1, %r2, 2;").find("'%r1' has 32 bits, .u64 needs 64"),
            std::string::npos);
  EXPECT_NE(errorOf("add.u32 %r1, %r99, 2;").find("'%r99' is not declared"), std::string::npos);
  EXPECT_NE(errorOf("bra NOWHERE;").find("there is no label 'NOWHERE'"), std::string::npos);
  EXPECT_NE(errorOf("add.u32 %r1, %r2;").find("a source operand is missing"), std::string::npos);
  EXPECT_NE(errorOf("add.u32 %r1, %r2, 3, 4;").find("too many operands"), std::string::npos);
  EXPECT_EQ(errorOf("add.u32 %r1, %r2, 3"),
            "k.ptx:18: ';' is missing before 'ret': add.u32 %r1, %r2, 3");
}

} // namespace
} // namespace ingot::emulator
