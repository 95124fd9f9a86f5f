// Copies and barriers that go on by themselves: what they do, and what a missing wait does.
#include "runtime/emulator/TensorMap.h"
#include "test/emulator/Support.h"
#include <numeric>

namespace ingot::emulator {
namespace {

using namespace test;

std::string kernel(std::string_view parameters, std::string_view body) {
  return header() + fmt::format(".visible .entry kernel({})\n{{\n.reg .b32 %r<32>;\n.reg .b64 "
                                "%rd<32>;\n.reg .pred %p<8>;\n.reg .b16 %h<4>;\n{}\nret;\n}}\n",
                                parameters, body);
}

/// Whether the text of any finding contains the part.
bool finds(const LaunchResult &result, std::string_view part) {
  for (const Finding &finding : result.findings)
    if (finding.str().find(part) != std::string::npos)
      return true;
  for (const Finding &finding : result.findings)
    std::printf("%s\n", finding.str().c_str());
  return false;
}

std::vector<uint32_t> numbers(size_t count, uint32_t first = 1) {
  std::vector<uint32_t> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}

/// Runs with `seeds` seeds; how many gave `expected`.
template <typename Run> int agreements(int seeds, Run run) {
  int count = 0;
  for (int seed = 0; seed < seeds; ++seed)
    count += run(static_cast<uint64_t>(seed));
  return count;
}

/// Two groups of copies; the first is read after waiting for all but `allowed`.
std::string twoGroups(int allowed) {
  return kernel(".param .u64 from, .param .u64 to", fmt::format(R"(
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
mov.u32 %r4, 0;
st.shared.v4.u32 [%r2], {{%r4, %r4, %r4, %r4}};
cp.async.cg.shared.global [%r2], [%rd1], 16;
cp.async.commit_group;
cp.async.ca.shared.global [%r2+512], [%rd1+512], 16;
cp.async.commit_group;
cp.async.wait_group {};
ld.shared.v4.u32 {{%r5, %r6, %r7, %r8}}, [%r2];
st.global.v4.u32 [%rd2], {{%r5, %r6, %r7, %r8}};
cp.async.wait_all;
)",
                                                                allowed));
}

TEST(Async, copiesLandWhenTheyAreWaitedFor) {
  const std::vector<uint32_t> from = numbers(256);
  const auto right = [&](int allowed) {
    return agreements(32, [&](uint64_t seed) {
      Device device(twoGroups(allowed));
      device.options.seed = seed;
      device.expectFindings = allowed == 2;
      const uint64_t to = device.upload(std::vector<uint32_t>(128));
      device.launch("kernel", {1}, {32}, device.upload(from), to);
      return device.download<uint32_t>(to, 128) == numbers(128);
    });
  };
  EXPECT_EQ(right(1), 32);
  EXPECT_EQ(right(0), 32);
  EXPECT_LT(right(2), 32); // waits for nothing
}

TEST(Async, shortSourcesAreFilledWithZeros) {
  Device device(kernel(".param .u64 from, .param .u64 to", R"(
.shared .align 16 .b8 tile[512];
ld.param.u64 %rd1, [from];
ld.param.u64 %rd2, [to];
mov.u32 %r1, %tid.x;
mul.wide.u32 %rd3, %r1, 16;
add.u64 %rd1, %rd1, %rd3;
add.u64 %rd2, %rd2, %rd3;
mov.u32 %r2, tile;
shl.b32 %r3, %r1, 4;
add.u32 %r2, %r2, %r3;
and.b32 %r4, %r1, 3;
shl.b32 %r4, %r4, 2;
cp.async.cg.shared.global [%r2], [%rd1], 16, %r4;
cp.async.wait_all;
ld.shared.v4.u32 {%r5, %r6, %r7, %r8}, [%r2];
st.global.v4.u32 [%rd2], {%r5, %r6, %r7, %r8};
)"));
  const uint64_t to = device.upload(std::vector<uint32_t>(128));
  device.launch("kernel", {1}, {32}, device.upload(numbers(128)), to);
  const std::vector<uint32_t> out = device.download<uint32_t>(to, 128);
  for (uint32_t i = 0; i < 128; ++i)
    EXPECT_EQ(out[i], i % 4 < i / 4 % 4 ? i + 1 : 0) << i;
}

/// A bulk load of 512 bytes by thread 0; `wait` stands before the others read it.
std::string bulkLoad(std::string_view wait) {
  return kernel(
      ".param .u64 from, .param .u64 to",
      fmt::format(
          R"(
.shared .align 16 .b8 tile[512];
.shared .align 8 .b64 full;
ld.param.u64 %rd1, [from];
ld.param.u64 %rd2, [to];
mov.u32 %r1, %tid.x;
mov.u32 %r2, tile;
mov.u32 %r3, full;
shl.b32 %r4, %r1, 2;
add.u32 %r4, %r4, %r2;
mov.u32 %r5, 0;
st.shared.u32 [%r4], %r5;
setp.ne.u32 %p1, %r1, 0;
@%p1 bra READY;
mbarrier.init.shared::cta.b64 [%r3], 1;
fence.mbarrier_init.release.cluster;
fence.proxy.async.shared::cta;
READY:
bar.sync 0;
@%p1 bra WAIT;
mbarrier.arrive.expect_tx.shared::cta.b64 %rd4, [%r3], 512;
cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%rd1], 512, [%r3];
WAIT:
{}
ld.shared.u32 %r6, [%r4];
mul.wide.u32 %rd5, %r1, 4;
add.u64 %rd2, %rd2, %rd5;
st.global.u32 [%rd2], %r6;
bar.sync 0;
{}
)",
          wait,
          wait.empty()
              ? "LATE: mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r3], 0;\n@!%p2 bra LATE;"
              : ""));
}

TEST(Async, bulkLoadsSignalTheirBarrier) {
  const auto right = [&](std::string_view wait) {
    return agreements(32, [&](uint64_t seed) {
      Device device(bulkLoad(wait));
      device.options.seed = seed;
      device.expectFindings = wait.empty();
      const uint64_t to = device.upload(std::vector<uint32_t>(128));
      device.launch("kernel", {1}, {128}, device.upload(numbers(128)), to);
      return device.download<uint32_t>(to, 128) == numbers(128);
    });
  };
  EXPECT_EQ(
      right("AGAIN: mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r3], 0;\n@!%p2 bra AGAIN;"),
      32);
  EXPECT_EQ(
      right("AGAIN: mbarrier.test_wait.parity.shared::cta.b64 %p2, [%r3], 0;\n@!%p2 bra AGAIN;"),
      32);
  EXPECT_LT(right(""), 32);
}

/// A bulk store of 512 bytes by thread 0, which then overwrites its source.
std::string bulkStore(std::string_view wait) {
  return kernel(".param .u64 to", fmt::format(R"(
.shared .align 16 .b8 tile[512];
ld.param.u64 %rd2, [to];
mov.u32 %r1, %tid.x;
mov.u32 %r2, tile;
shl.b32 %r4, %r1, 2;
add.u32 %r4, %r4, %r2;
add.u32 %r5, %r1, 1;
st.shared.u32 [%r4], %r5;
fence.proxy.async.shared::cta;
bar.sync 0;
setp.ne.u32 %p1, %r1, 0;
@%p1 bra DONE;
cp.async.bulk.global.shared::cta.bulk_group [%rd2], [%r2], 512;
cp.async.bulk.commit_group;
{}
mov.u32 %r6, 0;
st.shared.u32 [%r2+40], %r6;
DONE:
)",
                                              wait));
}

TEST(Async, bulkStoresReadTheirSourceLate) {
  const auto right = [&](std::string_view wait, bool finding) {
    return agreements(32, [&](uint64_t seed) {
      Device device(bulkStore(wait));
      device.options.seed = seed;
      device.expectFindings = finding;
      const uint64_t to = device.upload(std::vector<uint32_t>(128));
      const LaunchResult result = device.launch("kernel", {1}, {128}, to);
      EXPECT_EQ(finding, !result.findings.empty());
      return device.download<uint32_t>(to, 128) == numbers(128);
    });
  };
  EXPECT_EQ(right("cp.async.bulk.wait_group.read 0;", false), 32);
  EXPECT_EQ(right("cp.async.bulk.wait_group 0;", false), 32);
  EXPECT_LT(right("", true), 32);
}

TEST(Async, blocksThatEndWhileTheirMemoryIsReadAreFound) {
  int found = 0;
  for (uint64_t seed = 0; seed < 16; ++seed) {
    Device device(bulkStore(""));
    device.options.seed = seed;
    device.expectFindings = true;
    const LaunchResult result = device.launch("kernel", {1}, {128}, device.upload(numbers(128)));
    found += !result.findings.empty();
  }
  EXPECT_GT(found, 0);
}

TEST(Async, bulkReductionsAddUp) {
  Device device(kernel(".param .u64 to, .param .u64 sums", R"(
.shared .align 16 .b8 tile[512];
ld.param.u64 %rd2, [to];
ld.param.u64 %rd3, [sums];
mov.u32 %r1, %tid.x;
mov.u32 %r2, tile;
shl.b32 %r4, %r1, 2;
add.u32 %r4, %r4, %r2;
shl.b32 %r5, %r1, 16;
or.b32 %r5, %r5, 0x3f800000;
st.shared.b32 [%r4], %r5;
fence.proxy.async.shared::cta;
bar.sync 0;
setp.ne.u32 %p1, %r1, 0;
@%p1 bra DONE;
cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%rd2], [%r2], 512;
cp.reduce.async.bulk.global.shared::cta.bulk_group.max.u32 [%rd3], [%r2], 512;
cp.async.bulk.commit_group;
cp.async.bulk.wait_group 0;
DONE:
)"));
  const uint64_t to = device.upload(std::vector<float>(128)),
                 most = device.upload(std::vector<uint32_t>(128));
  device.launch("kernel", {10}, {128}, to, most);
  const std::vector<float> sums = device.download<float>(to, 128),
                           maxima = device.download<float>(most, 128);
  for (int i = 0; i < 128; ++i) {
    const float value = 1 + i / 128.0f; // the bits that the threads put together
    EXPECT_EQ(sums[i], 10 * value);
    EXPECT_EQ(maxima[i], value);
  }
}

// Every block's first thread sends 256 bytes to both blocks of the cluster and arrives at the other
// one's barrier by hand.
TEST(Async, multicastAndRemoteArrivals) {
  const std::string text = kernel(".param .u64 from, .param .u64 to", R"(
.shared .align 128 .b8 tile[512];
.shared .align 8 .b64 full;
ld.param.u64 %rd1, [from];
ld.param.u64 %rd2, [to];
mov.u32 %r1, %tid.x;
mov.u32 %r2, %cluster_ctarank;
mov.u32 %r3, tile;
mov.u32 %r4, full;
setp.ne.u32 %p1, %r1, 0;
@%p1 bra READY;
mbarrier.init.shared::cta.b64 [%r4], 2;
fence.mbarrier_init.release.cluster;
READY:
barrier.cluster.arrive.aligned;
barrier.cluster.wait.aligned;
@%p1 bra WAIT;
mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r4], 512;
xor.b32 %r5, %r2, 1;
mapa.shared::cluster.u32 %r6, %r4, %r5;
mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r6];
mul.wide.u32 %rd3, %r2, 256;
add.u64 %rd1, %rd1, %rd3;
shl.b32 %r7, %r2, 8;
add.u32 %r7, %r7, %r3;
mov.b16 %h1, 3;
cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%r7], [%rd1], 256, [%r4], %h1;
WAIT:
mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r4], 0;
@!%p2 bra WAIT;
shl.b32 %r8, %r1, 2;
add.u32 %r8, %r8, %r3;
ld.shared.u32 %r9, [%r8];
mov.u32 %r10, %ctaid.x;
shl.b32 %r10, %r10, 7;
add.u32 %r10, %r10, %r1;
mul.wide.u32 %rd5, %r10, 4;
add.u64 %rd2, %rd2, %rd5;
st.global.u32 [%rd2], %r9;
barrier.cluster.arrive.aligned;
barrier.cluster.wait.aligned;
)");
  EXPECT_EQ(agreements(16,
                       [&](uint64_t seed) {
                         Device device(text);
                         device.options.seed = seed;
                         device.cluster = {2};
                         const uint64_t to = device.upload(std::vector<uint32_t>(512));
                         device.launch("kernel", {4}, {128}, device.upload(numbers(128)), to);
                         const std::vector<uint32_t> out = device.download<uint32_t>(to, 512);
                         for (uint32_t i = 0; i < 512; ++i)
                           EXPECT_EQ(out[i], i % 128 + 1);
                         return true;
                       }),
            16);
}

// Every thread sends a pair to the other block, adds to it, and reads what the other block got.
TEST(Async, storesAndReadsAcrossTheCluster) {
  const std::string text = kernel(".param .u64 to", R"(
.shared .align 8 .b8 tile[256];
.shared .align 8 .b64 full;
ld.param.u64 %rd2, [to];
mov.u32 %r1, %tid.x;
mov.u32 %r2, %cluster_ctarank;
xor.b32 %r3, %r2, 1;
mov.u32 %r4, tile;
mov.u32 %r5, full;
shl.b32 %r6, %r1, 3;
add.u32 %r6, %r6, %r4;
mov.u32 %r7, 0;
st.shared.v2.u32 [%r6], {%r7, %r7};
setp.ne.u32 %p1, %r1, 0;
@%p1 bra READY;
mbarrier.init.shared::cta.b64 [%r5], 1;
fence.mbarrier_init.release.cluster;
mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r5], 384;
READY:
barrier.cluster.arrive.aligned;
barrier.cluster.wait.aligned;
mapa.shared::cluster.u32 %r8, %r6, %r3;
mapa.shared::cluster.u32 %r9, %r5, %r3;
mad.lo.u32 %r10, %r2, 100, %r1;
add.u32 %r11, %r10, 1000;
st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v2.u32 [%r8], {%r10, %r11}, [%r9];
WAIT:
mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r5], 0, 20;
@!%p2 bra WAIT;
barrier.cluster.arrive.aligned;
barrier.cluster.wait.aligned;
ld.shared::cluster.v2.u32 {%r12, %r13}, [%r8];
ld.shared.v2.u32 {%r14, %r15}, [%r6];
mul.wide.u32 %rd3, %r1, 16;
add.u64 %rd2, %rd2, %rd3;
mul.wide.u32 %rd3, %r2, 512;
add.u64 %rd2, %rd2, %rd3;
st.global.v4.u32 [%rd2], {%r12, %r13, %r14, %r15};
barrier.cluster.arrive.aligned;
barrier.cluster.wait.aligned;
)");
  // 256 bytes come by the stores, the rest of the 384 by additions of zero, in any order.
  const std::string_view add = "red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::"
                               "bytes.add.u32 [%r8+4], %r7, [%r9];\n";
  std::string whole = text;
  whole.insert(whole.find("WAIT:"), add);
  for (uint64_t seed = 0; seed < 8; ++seed) {
    Device device(whole);
    device.checks.async =
        false; // adding zero to what is being stored is a race that changes nothing
    device.options.seed = seed;
    device.cluster = {2};
    const uint64_t to = device.upload(std::vector<uint32_t>(256));
    device.launch("kernel", {2}, {32}, to);
    const std::vector<uint32_t> out = device.download<uint32_t>(to, 256);
    for (uint32_t rank = 0; rank < 2; ++rank)
      for (uint32_t thread = 0; thread < 32; ++thread) {
        const uint32_t *values = &out[rank * 128 + thread * 4];
        EXPECT_EQ(values[0], rank * 100 + thread);
        EXPECT_EQ(values[1], rank * 100 + thread + 1000);
        EXPECT_EQ(values[2], (1 - rank) * 100 + thread);
        EXPECT_EQ(values[3], (1 - rank) * 100 + thread + 1000);
      }
  }
}

/// A kernel of 32 threads with one mbarrier that counts 4; thread 0 runs `body`.
LaunchResult withBarrier(std::string_view body, std::vector<uint64_t> *out = nullptr) {
  Device device(kernel(".param .u64 to", fmt::format(R"(
.shared .align 8 .b64 barrier;
ld.param.u64 %rd20, [to];
mov.u32 %r1, %tid.x;
mov.u32 %r20, barrier;
setp.ne.u32 %p1, %r1, 0;
@%p1 bra DONE;
mbarrier.init.shared::cta.b64 [%r20], 4;
{}
DONE:
)",
                                                     body)));
  device.expectFindings = true;
  const uint64_t to = device.upload(std::vector<uint64_t>(8));
  LaunchResult result = device.launch("kernel", {1}, {32}, to);
  if (out)
    *out = device.download<uint64_t>(to, 8);
  return result;
}

TEST(Async, barriersCountPhases) {
  std::vector<uint64_t> out;
  const LaunchResult result = withBarrier(R"(
mbarrier.arrive.shared::cta.b64 %rd1, [%r20];
mbarrier.arrive.noComplete.release.cta.shared::cta.b64 %rd2, [%r20], 2;
mbarrier.pending_count.b64 %r2, %rd2;
mov.u32 %r3, 0;
mov.b64 %rd3, {%r2, %r3};
st.global.u64 [%rd20], %rd3;
mbarrier.test_wait.shared::cta.b64 %p2, [%r20], %rd1;
selp.u64 %rd4, 1, 0, %p2;
st.global.u64 [%rd20+8], %rd4;
mbarrier.arrive_drop.shared::cta.b64 %rd5, [%r20];
mbarrier.test_wait.shared::cta.b64 %p2, [%r20], %rd1;
selp.u64 %rd4, 1, 0, %p2;
st.global.u64 [%rd20+16], %rd4;
mbarrier.arrive.shared::cta.b64 %rd6, [%r20], 3;
mbarrier.test_wait.shared::cta.b64 %p2, [%r20], %rd6;
selp.u64 %rd4, 1, 0, %p2;
st.global.u64 [%rd20+24], %rd4;
mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%r20], 64;
mbarrier.arrive.shared::cta.b64 %rd7, [%r20], 3;
mbarrier.test_wait.shared::cta.b64 %p2, [%r20], %rd7;
selp.u64 %rd4, 1, 0, %p2;
st.global.u64 [%rd20+32], %rd4;
mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%r20], 64;
mbarrier.test_wait.shared::cta.b64 %p2, [%r20], %rd7;
selp.u64 %rd4, 1, 0, %p2;
st.global.u64 [%rd20+40], %rd4;
mbarrier.test_wait.parity.shared::cta.b64 %p2, [%r20], 1;
selp.u64 %rd4, 1, 0, %p2;
st.global.u64 [%rd20+48], %rd4;
mbarrier.inval.shared::cta.b64 [%r20];
)",
                                          &out);
  EXPECT_TRUE(result.findings.empty()) << result.findings.front().str();
  // Pending before the second arrival; phase 0 open; over; phase 1 of 3 over; waits for bytes;
  // phase 2 over; the barrier is in phase 3: parity 1 has not come.
  EXPECT_EQ(out, (std::vector<uint64_t>{3, 0, 1, 1, 0, 1, 0, 0}));
}

TEST(Async, misusedBarriersAreFound) {
  EXPECT_TRUE(finds(withBarrier("mbarrier.arrive.shared::cta.b64 %rd1, [%r20], 5;"), "5 arrivals"));
  EXPECT_TRUE(finds(
      withBarrier(
          "mbarrier.inval.shared::cta.b64 [%r20];\nmbarrier.arrive.shared::cta.b64 %rd1, [%r20];"),
      "no initialised mbarrier"));
  EXPECT_TRUE(finds(withBarrier("mov.u64 %rd1, 7;\nst.shared.u64 [%r20], "
                                "%rd1;\nmbarrier.arrive.shared::cta.b64 %rd1, [%r20];"),
                    "written over"));
  EXPECT_TRUE(finds(withBarrier("mbarrier.init.shared::cta.b64 [%r20], 4;"), "initialised twice"));
  EXPECT_TRUE(
      finds(withBarrier("add.u32 %r20, %r20, 4;\nmbarrier.arrive.shared::cta.b64 %rd1, [%r20];"),
            "aligned"));
  EXPECT_TRUE(finds(withBarrier("mbarrier.arrive.noComplete.shared::cta.b64 %rd1, [%r20], 4;"),
                    "noComplete"));
  EXPECT_TRUE(finds(withBarrier("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%r20], 2000000;"),
                    "bytes"));
}

// Nobody arrives any more: found, not hung on; the state says what is missing.
TEST(Async, waitingForNobodyIsADeadlock) {
  const LaunchResult result = withBarrier("mbarrier.arrive.shared::cta.b64 %rd1, [%r20];\nAGAIN: "
                                          "mbarrier.try_wait.shared::cta.b64 %p2, [%r20], "
                                          "%rd1;\n@!%p2 bra AGAIN;");
  EXPECT_TRUE(finds(result, "deadlock"));
  EXPECT_TRUE(finds(result, "phase 0 waits for 3 of 4 arrivals"));
}

// A consumer that asks once, does something the producer needs, and only then waits.
TEST(Async, pollingTimesOut) {
  const LaunchResult result =
      withBarrier("mbarrier.arrive.shared::cta.b64 %rd1, "
                  "[%r20];\nmbarrier.try_wait.shared::cta.b64 %p2, [%r20], %rd1;\n"
                  "mbarrier.arrive.shared::cta.b64 %rd2, [%r20], 3;\nAGAIN: "
                  "mbarrier.try_wait.shared::cta.b64 %p2, [%r20], "
                  "%rd1;\n@!%p2 bra AGAIN;");
  EXPECT_TRUE(result.findings.empty());
}

/// Findings of the check of asynchronous work, whatever the seed did to the results.
std::vector<Finding> checked(const std::string &text, Dim3 block, uint64_t seed,
                             const std::vector<std::vector<uint32_t>> &buffers) {
  Device device(text);
  device.expectFindings = true;
  device.options.seed = seed;
  LaunchResult result;
  if (buffers.size() == 1)
    result = device.launch("kernel", {1}, block, device.upload(buffers[0]));
  else
    result =
        device.launch("kernel", {1}, block, device.upload(buffers[0]), device.upload(buffers[1]));
  return result.findings;
}

void expectCheck(const std::vector<Finding> &findings, std::string_view check,
                 std::string_view part) {
  ASSERT_FALSE(findings.empty()) << part;
  EXPECT_EQ(findings[0].check, check);
  EXPECT_NE(findings[0].message.find(part), std::string::npos) << findings[0].str();
}

constexpr std::string_view untilFull =
    "AGAIN: mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r3], 0;\n@!%p2 bra AGAIN;";

TEST(Async, checksFindWhatNobodyWaitedFor) {
  const std::vector<std::vector<uint32_t>> two{numbers(256), numbers(256)};
  for (uint64_t seed = 0; seed < 8; ++seed) {
    EXPECT_TRUE(checked(twoGroups(1), {32}, seed, two).empty());
    EXPECT_TRUE(checked(twoGroups(0), {32}, seed, two).empty());
    expectCheck(checked(twoGroups(2), {32}, seed, two), "async", "has not been waited for");
    EXPECT_TRUE(checked(bulkLoad(untilFull), {128}, seed, two).empty());
    expectCheck(checked(bulkLoad(""), {128}, seed, two), "async", "reads shared address");
    EXPECT_TRUE(checked(bulkStore("cp.async.bulk.wait_group.read 0;"), {128}, seed, {numbers(128)})
                    .empty());
    EXPECT_TRUE(
        checked(bulkStore("cp.async.bulk.wait_group 0;"), {128}, seed, {numbers(128)}).empty());
    expectCheck(checked(bulkStore(""), {128}, seed, {numbers(128)}), "async", "still reads");
    // The destination is read back: waiting for the reading is not enough.
    const std::string readsBack = "{}\nld.global.u32 %r7, [%rd2];";
    expectCheck(
        checked(bulkStore(fmt::format(fmt::runtime(readsBack), "cp.async.bulk.wait_group.read 0;")),
                {128}, seed, {numbers(128)}),
        "async", "still writes");
    EXPECT_TRUE(
        checked(bulkStore(fmt::format(fmt::runtime(readsBack), "cp.async.bulk.wait_group 0;")),
                {128}, seed, {numbers(128)})
            .empty());
  }
}

TEST(Async, checksFindMissingProxyFences) {
  std::string text = bulkStore("cp.async.bulk.wait_group 0;");
  EXPECT_TRUE(checked(text, {128}, 1, {numbers(128)}).empty());
  const std::string_view fence = "fence.proxy.async.shared::cta;\n";
  const size_t place = text.find(fence);
  ASSERT_NE(place, std::string::npos);
  std::string without = text, later = text;
  without.erase(place, fence.size());
  expectCheck(checked(without, {128}, 1, {numbers(128)}), "proxy-fence",
              "without a fence.proxy.async");
  // By the issuing thread after the barrier is as good.
  later.erase(place, fence.size());
  later.insert(later.find("cp.async.bulk.global"), fence);
  EXPECT_TRUE(checked(later, {128}, 1, {numbers(128)}).empty());
}

struct Tile {
  std::array<uint64_t, 5> dimensions{1, 1, 1, 1, 1}, strides{};
  std::array<uint32_t, 5> box{1, 1, 1, 1, 1}, steps{1, 1, 1, 1, 1};
  std::array<int32_t, 5> at{};
  uint32_t rank = 1;
  Swizzle swizzle = Swizzle::None;
  std::vector<uint16_t> tensor;

  explicit Tile(std::mt19937_64 &random) {
    rank = 1 + random() % 5;
    swizzle = static_cast<Swizzle>(random() % 4);
    uint64_t stride = 0;
    for (uint32_t i = 0; i < rank; ++i) {
      dimensions[i] = 1 + random() % (i ? 5 : 80);
      box[i] = i                          ? 1 + random() % 4
               : swizzle == Swizzle::None ? 8 * (1 + random() % 8)
                                          : swizzleSpan(swizzle) / 2;
      steps[i] = i ? 1 + random() % 2 : 1;
      at[i] = int32_t(random() % (dimensions[i] + box[i])) - int32_t(box[i] / 2);
      stride = i ? stride * dimensions[i - 1] : 0;
      if (i == 1)
        stride = (dimensions[0] * 2 + 15) / 16 * 16;
      strides[i] = stride;
    }
    tensor.resize(std::max<uint64_t>(
        rank == 1 ? dimensions[0] : strides[rank - 1] * dimensions[rank - 1] / 2, 1));
    for (size_t i = 0; i < tensor.size(); ++i)
      tensor[i] = static_cast<uint16_t>(i + 1);
  }

  std::array<uint8_t, 128> map(uint64_t address) const {
    const Result<TensorMap> map = TensorMap::make({.dataType = uint32_t(TensorElement::U16),
                                                   .rank = rank,
                                                   .address = address,
                                                   .dimensions = dimensions.data(),
                                                   .strides = strides.data() + 1,
                                                   .box = box.data(),
                                                   .elementStrides = steps.data(),
                                                   .swizzle = uint32_t(swizzle)});
    EXPECT_TRUE(map) << map.error().text();
    std::array<uint8_t, 128> bytes;
    map->encode(bytes.data());
    return bytes;
  }

  /// Calls `visit(index in the tile's shared memory, index in the tensor or -1)`.
  template <typename Visit> void forElements(Visit visit) const {
    std::array<uint32_t, 5> extent;
    for (int i = 0; i < 5; ++i)
      extent[i] = (box[i] + steps[i] - 1) / steps[i];
    uint32_t linear = 0;
    for (uint32_t e = 0; e < extent[4]; ++e)
      for (uint32_t d = 0; d < extent[3]; ++d)
        for (uint32_t c = 0; c < extent[2]; ++c)
          for (uint32_t b = 0; b < extent[1]; ++b)
            for (uint32_t a = 0; a < extent[0]; ++a, ++linear) {
              const uint32_t index[] = {a, b, c, d, e};
              int64_t place = 0;
              for (uint32_t i = 0; i < rank; ++i) {
                const int64_t x = at[i] + int64_t(index[i]) * steps[i];
                if (x < 0 || x >= int64_t(dimensions[i])) {
                  place = -1;
                  break;
                }
                place += i ? x * int64_t(strides[i]) / 2 : x;
              }
              // 16-byte chunks change places with the number of their 128-byte line.
              const uint32_t chunk = linear / 8, line = chunk / 8;
              const uint32_t moved = chunk ^ (line % (swizzleSpan(swizzle) / 16));
              visit(moved * 8 + linear % 8, place);
            }
  }
  uint32_t elements() const {
    uint32_t count = 0;
    forElements([&](uint32_t, int64_t) { ++count; });
    return count;
  }
};

std::string tileKernel(uint32_t rank, bool loads, std::string_view reduction = {}) {
  std::string coordinates;
  std::string body = R"(
.shared .align 1024 .b8 tile[32768];
.shared .align 8 .b64 full;
mov.b64 %rd1, map;
cvta.param.u64 %rd1, %rd1;
ld.param.u64 %rd2, [buffer];
mov.u32 %r1, %tid.x;
mov.u32 %r2, tile;
mov.u32 %r3, full;
)";
  for (uint32_t i = 0; i < rank; ++i) {
    body += fmt::format("ld.param.b32 %r{}, [at+{}];\n", 10 + i, 4 * i);
    coordinates += fmt::format("{}%r{}", i ? ", " : "", 10 + i);
  }
  // Copies `bytes` of the buffer to shared memory or back.
  const std::string_view move = loads ? "ld.shared.b16 %h1, [%r5];\nst.global.b16 [%rd3], %h1;"
                                      : "ld.global.b16 %h1, [%rd3];\nst.shared.b16 [%r5], %h1;";
  const std::string loop = fmt::format(R"(
ld.param.b32 %r4, [bytes];
mov.u32 %r6, 0;
LOOP:
add.u32 %r5, %r2, %r6;
mul.wide.u32 %rd4, %r6, 1;
add.u64 %rd3, %rd2, %rd4;
{}
add.u32 %r6, %r6, 2;
setp.lt.u32 %p3, %r6, %r4;
@%p3 bra LOOP;
)",
                                       move);
  if (loads)
    body += fmt::format(R"(
mbarrier.init.shared::cta.b64 [%r3], 1;
fence.mbarrier_init.release.cluster;
ld.param.b32 %r4, [bytes];
mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r3], %r4;
cp.async.bulk.tensor.{}d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r2], [%rd1, {{{}}}], [%r3];
WAIT:
mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r3], 0;
@!%p1 bra WAIT;
{})",
                        rank, coordinates, loop);
  else if (reduction.empty())
    body += fmt::format(R"({}
fence.proxy.async.shared::cta;
cp.async.bulk.tensor.{}d.global.shared::cta.tile.bulk_group [%rd1, {{{}}}], [%r2];
cp.async.bulk.commit_group;
cp.async.bulk.wait_group 0;
)",
                        loop, rank, coordinates);
  else
    body += fmt::format(R"({}
fence.proxy.async.shared::cta;
cp.reduce.async.bulk.tensor.{}d.global.shared::cta.{}.tile.bulk_group [%rd1, {{{}}}], [%r2];
cp.async.bulk.commit_group;
cp.async.bulk.wait_group 0;
)",
                        loop, rank, reduction, coordinates);
  return kernel(".param .align 64 .b8 map[128], .param .u64 buffer, .param .align 4 .b8 at[20], "
                ".param .u32 bytes",
                body);
}

TEST(Async, tensorTilesOfEveryRankAndSwizzle) {
  std::mt19937_64 random(freshSeed());
  for (int round = 0; round < 60; ++round) {
    const Tile tile(random);
    const uint32_t count = tile.elements();
    Device device(tileKernel(tile.rank, true));
    const uint64_t tensor = device.upload(tile.tensor);
    const uint64_t to = device.upload(std::vector<uint16_t>(count, 0xffff));
    // The machine's layout of parameters: 128, 8, 20 and 4 bytes without gaps.
    struct {
      std::array<uint8_t, 128> map;
      uint64_t buffer;
      std::array<int32_t, 5> at;
      uint32_t bytes;
    } parameters{tile.map(tensor), to, tile.at, count * 2};
    device.launch("kernel", {1}, {1}, parameters);
    const std::vector<uint16_t> out = device.download<uint16_t>(to, count);
    tile.forElements([&](uint32_t shared, int64_t place) {
      ASSERT_EQ(out[shared], place < 0 ? 0 : tile.tensor[place])
          << "rank " << tile.rank << " swizzle " << int(tile.swizzle) << " element " << shared;
    });
    if (HasFatalFailure())
      return;
  }
}

TEST(Async, tensorStoresAndReductionsStayInBounds) {
  std::mt19937_64 random(freshSeed());
  for (int round = 0; round < 40; ++round) {
    const Tile tile(random);
    const uint32_t count = tile.elements();
    Device device(tileKernel(tile.rank, false));
    const uint64_t tensor = device.upload(tile.tensor);
    std::vector<uint16_t> values(count);
    for (uint16_t &value : values)
      value = static_cast<uint16_t>(random());
    struct {
      std::array<uint8_t, 128> map;
      uint64_t buffer;
      std::array<int32_t, 5> at;
      uint32_t bytes;
    } parameters{tile.map(tensor), device.upload(values), tile.at, count * 2};
    device.launch("kernel", {1}, {1}, parameters);
    std::vector<uint16_t> expected = tile.tensor;
    tile.forElements([&](uint32_t shared, int64_t place) {
      if (place >= 0)
        expected[place] = values[shared];
    });
    ASSERT_EQ(device.download<uint16_t>(tensor, tile.tensor.size()), expected)
        << "rank " << tile.rank;
  }
}

TEST(Async, tilesOutsideOfTheBufferAreFound) {
  std::mt19937_64 random(freshSeed());
  Tile tile(random);
  tile.rank = 2;
  tile.swizzle = Swizzle::None;
  tile.dimensions = {64, 64, 1, 1, 1}; // the tensor is smaller
  tile.strides = {0, 128, 0, 0, 0};
  tile.box = {64, 8, 1, 1, 1};
  tile.at = {0, 40, 0, 0, 0};
  Device device(tileKernel(2, true));
  device.expectFindings = true;
  struct {
    std::array<uint8_t, 128> map;
    uint64_t buffer;
    std::array<int32_t, 5> at;
    uint32_t bytes;
  } parameters{tile.map(device.upload(std::vector<uint16_t>(64 * 32))),
               device.upload(std::vector<uint16_t>(512)), tile.at, 1024};
  EXPECT_TRUE(finds(device.launch("kernel", {1}, {1}, parameters), "out-of-bounds"));
}

} // namespace
} // namespace ingot::emulator
