// mbarriers: phases, misuse, and signals across a cluster.
#include "test/emulator/machine/AsyncSupport.h"

namespace ingot::emulator {
namespace {

using namespace test;

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

} // namespace
} // namespace ingot::emulator
