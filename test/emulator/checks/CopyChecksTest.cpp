/// Checks of asynchronous and bulk copies: each catches a planted bug, and says nothing without it.
#include "test/emulator/checks/Checked.h"
#include <algorithm>

namespace ingot::emulator {
namespace {

/// cp.async of 16 bytes a thread, then a read of the thread's own bytes.
std::string copyAsync(std::string_view wait) {
  return R"(
.visible .entry k(.param .u64 in, .param .u64 out) {
  .reg .b32 %r<8>; .reg .b64 %rd<8>;
  .shared .align 16 .b8 tile[512];
  mov.u32 %r1, %tid.x; ld.param.u64 %rd1, [in]; ld.param.u64 %rd2, [out];
  mul.wide.u32 %rd3, %r1, 16; add.s64 %rd1, %rd1, %rd3;
  shl.b32 %r2, %r1, 4; mov.u32 %r3, tile; add.u32 %r3, %r3, %r2;
  cp.async.ca.shared.global [%r3], [%rd1], 16;
)" + std::string(wait) +
         R"(
  ld.shared.u32 %r4, [%r3];
  mul.wide.u32 %rd3, %r1, 4; add.s64 %rd2, %rd2, %rd3;
  st.global.u32 [%rd2], %r4;
  ret;
})";
}

TEST(Checks, copiesThatWereNotWaitedFor) {
  const auto run = [](std::string_view wait) {
    Checked kernel(copyAsync(wait));
    return kernel.run({1}, {32}, kernel.buffer(512, "in"), kernel.buffer(128, "out", false));
  };
  expectQuiet(run("  cp.async.commit_group;\n  cp.async.wait_group 0;\n"));
  expectQuiet(run("  cp.async.wait_all;\n"));
  expectOne(run("  cp.async.commit_group;\n  cp.async.wait_group 1;\n"), "async",
            "has not been waited for");
  expectOne(run("  cp.async.wait_group 0;\n"), "async"); // not committed
  expectOne(run(""), "async");
}

// What a copy collides with depends on what is ordered, not on whether it has happened or somebody
// has waited first: with nothing to order the two it is a race, after its issue alone `async`.
TEST(Checks, copiesAreFoundTheSameByEverySeed) {
  const auto kernel = [](std::string_view afterIssue, std::string_view afterWait) {
    return R"(
.visible .entry k(.param .u64 in, .param .u64 out) {
  .reg .b32 %r<8>; .reg .b64 %rd<6>; .reg .pred %p<2>;
  .shared .align 16 .b8 tile[512];
  mov.u32 %r1, %tid.x; ld.param.u64 %rd1, [in]; ld.param.u64 %rd2, [out];
  mov.u32 %r2, tile; and.b32 %r3, %r1, 31; shl.b32 %r4, %r3, 4; add.u32 %r2, %r2, %r4;
  setp.ge.u32 %p1, %r1, 32;
  @!%p1 st.shared.v4.u32 [%r2], {%r1, %r1, %r1, %r1};
  bar.sync 0;
  cvt.u64.u32 %rd3, %r4; add.s64 %rd1, %rd1, %rd3;
  @!%p1 cp.async.ca.shared.global [%r2], [%rd1], 16;
)" + std::string(afterIssue) +
           "  cp.async.wait_all;\n" + std::string(afterWait) + R"(
  @!%p1 bra DONE;
  ld.shared.u32 %r5, [%r2];
  cvt.u64.u32 %rd3, %r3; shl.b64 %rd3, %rd3, 2; add.s64 %rd2, %rd2, %rd3;
  st.global.u32 [%rd2], %r5;
DONE:
  ret;
})";
  };
  const std::string barrier = "  bar.sync 0;\n";
  const std::tuple<std::string, std::string, std::string> cases[] = {
      {"", "", "shared-race"}, {barrier, "", "async"}, {"", barrier, ""}};
  for (const auto &[afterIssue, afterWait, check] : cases)
    for (uint64_t seed = 0; seed < 32; ++seed) {
      Checked checked(kernel(afterIssue, afterWait));
      checked.device.options.seed = seed;
      const auto findings =
          checked.run({1}, {64}, checked.buffer(512, "in"), checked.buffer(128, "out", false));
      if (check.empty())
        expectQuiet(findings);
      else
        expectOne(findings, check);
    }
}

/// Two tiles, copied one after the other, each with its mbarrier that the copies' threads make
/// arrive. The barrier of the second may be first to hear of both copies.
std::string copyWithBarriers(bool waitForSecond) {
  return R"(
.visible .entry k(.param .u64 in, .param .u64 out) {
  .reg .b32 %r<12>; .reg .b64 %rd<8>; .reg .pred %p<4>;
  .shared .align 16 .b8 tiles[1024];
  .shared .align 8 .b64 bars[2];
  mov.u32 %r1, %tid.x; ld.param.u64 %rd1, [in]; ld.param.u64 %rd2, [out];
  mov.u32 %r2, bars; mov.u32 %r3, tiles;
  setp.ne.u32 %p1, %r1, 0;
  @%p1 bra READY;
  mbarrier.init.shared::cta.b64 [%r2], 32;
  mbarrier.init.shared::cta.b64 [%r2+8], 32;
READY:
  bar.sync 0;
  mul.wide.u32 %rd3, %r1, 16; add.s64 %rd1, %rd1, %rd3;
  shl.b32 %r4, %r1, 4; add.u32 %r3, %r3, %r4;
  cp.async.ca.shared.global [%r3], [%rd1], 16;
  cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%r2];
  cp.async.ca.shared.global [%r3+512], [%rd1+512], 16;
  cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%r2+8];
FIRST:
  mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r2], 0;
  @!%p2 bra FIRST;
  ld.shared.u32 %r5, [%r3];
)" +
         std::string(waitForSecond ? R"(
SECOND:
  mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r2+8], 0;
  @!%p2 bra SECOND;
)"
                                   : "") +
         R"(
  ld.shared.u32 %r6, [%r3+512];
  add.u32 %r5, %r5, %r6;
  mul.wide.u32 %rd3, %r1, 4; add.s64 %rd2, %rd2, %rd3;
  st.global.u32 [%rd2], %r5;
  ret;
})";
}

// The arrivals of one thread come in any order; a phase that is over tells of all copies before
// its arrival, whatever another phase has told before.
TEST(Checks, copiesThatSignalSeveralBarriers) {
  for (int i = 0; i < 64; ++i) {
    Checked good(copyWithBarriers(true)), bad(copyWithBarriers(false));
    good.device.options.seed += i;
    bad.device.options.seed += i;
    expectQuiet(good.run({1}, {32}, good.buffer(1024, "in"), good.buffer(128, "out", false)));
    expectOne(bad.run({1}, {32}, bad.buffer(1024, "in"), bad.buffer(128, "out", false)), "async",
              "has not been waited for");
  }
}

/// One bulk copy with an mbarrier; all threads read.
std::string copyBulk(bool wait) {
  return R"(
.visible .entry k(.param .u64 in, .param .u64 out) {
  .reg .b32 %r<8>; .reg .b64 %rd<8>; .reg .pred %p<4>;
  .shared .align 16 .b8 tile[256];
  .shared .align 8 .b64 bar;
  mov.u32 %r1, %tid.x; ld.param.u64 %rd1, [in]; ld.param.u64 %rd2, [out];
  setp.ne.u32 %p1, %r1, 0;
  mov.u32 %r2, bar; mov.u32 %r3, tile;
  @%p1 bra READY;
  mbarrier.init.shared::cta.b64 [%r2], 1;
  fence.mbarrier_init.release.cluster;
  mbarrier.arrive.expect_tx.shared::cta.b64 %rd4, [%r2], 256;
  cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r3], [%rd1], 256, [%r2];
READY:
  bar.sync 0;
)" +
         std::string(wait ? R"(
WAIT:
  mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r2], 0;
  @!%p2 bra WAIT;
)"
                          : "") +
         R"(
  mul.wide.u32 %rd3, %r1, 4; add.s64 %rd2, %rd2, %rd3;
  shl.b32 %r4, %r1, 2; add.u32 %r4, %r3, %r4;
  ld.shared.u32 %r5, [%r4];
  st.global.u32 [%rd2], %r5;
  ret;
})";
}

TEST(Checks, bulkCopiesThatWereNotWaitedFor) {
  Checked good(copyBulk(true)), bad(copyBulk(false));
  expectQuiet(good.run({1}, {64}, good.buffer(256, "in"), good.buffer(256, "out")));
  bool found = false;
  const auto findings = bad.run({1}, {64}, bad.buffer(256, "in"), bad.buffer(256, "out"));
  for (const Finding &finding : findings)
    found |= finding.check == "async";
  EXPECT_TRUE(found) << all(findings);
}

/// A tile is written by threads, then stored by a bulk copy.
std::string storeBulk(bool fence, bool wait) {
  return R"(
.visible .entry k(.param .u64 out) {
  .reg .b32 %r<8>; .reg .b64 %rd<8>; .reg .pred %p<4>;
  .shared .align 16 .b8 tile[256];
  mov.u32 %r1, %tid.x; ld.param.u64 %rd1, [out];
  mov.u32 %r3, tile; shl.b32 %r4, %r1, 2; add.u32 %r4, %r3, %r4;
  st.shared.u32 [%r4], %r1;
)" + std::string(fence ? "  fence.proxy.async.shared::cta;\n" : "") +
         R"(
  bar.sync 0;
  setp.ne.u32 %p1, %r1, 0;
  @%p1 bra DONE;
  cp.async.bulk.global.shared::cta.bulk_group [%rd1], [%r3], 256;
  cp.async.bulk.commit_group;
)" + std::string(wait ? "  cp.async.bulk.wait_group.read 0;\n" : "") +
         R"(
  st.shared.u32 [%r4], %r1;
  cp.async.bulk.wait_group 0;
DONE:
  ret;
})";
}

TEST(Checks, bulkStoresNeedAProxyFenceAndTheirSource) {
  Checked good(storeBulk(true, true)), unfenced(storeBulk(false, true)),
      overwritten(storeBulk(true, false));
  expectQuiet(good.run({1}, {64}, good.buffer(256, "out")));
  expectOne(unfenced.run({1}, {64}, unfenced.buffer(256, "out")), "proxy-fence");
  expectOnly(overwritten.run({1}, {64}, overwritten.buffer(256, "out")), "async", "reads");
}

// All lanes issue the same bulk store: the same.
TEST(Checks, storingTheSameRangeIsANote) {
  for (const bool same : {true, false}) {
    Checked kernel(
        R"(
.visible .entry k(.param .u64 out) {
  .reg .b32 %r<8>; .reg .b64 %rd<4>;
  .shared .align 16 .b8 tile[1024];
  mov.u32 %r1, %tid.x; ld.param.u64 %rd1, [out];
  mov.u32 %r2, tile; shl.b32 %r3, %r1, 2; add.u32 %r4, %r2, %r3;
  st.shared.u32 [%r4], %r1; st.shared.u32 [%r4+128], %r3;
  fence.proxy.async.shared::cta;
  bar.sync 0;
)" +
        std::string(same ? ""
                         : "  and.b32 %r5, %r1, 1; shl.b32 %r5, %r5, 7; add.u32 %r2, %r2, %r5;\n") +
        R"(
  cp.async.bulk.global.shared::cta.bulk_group [%rd1], [%r2], 128;
  cp.async.bulk.commit_group;
  cp.async.bulk.wait_group 0;
  ret;
})");
    const auto findings = kernel.run({1}, {32}, kernel.buffer(128, "out"));
    ASSERT_FALSE(findings.empty());
    EXPECT_EQ(std::ranges::all_of(findings, [](const Finding &f) { return f.note; }), same)
        << all(findings);
  }
}

// A bulk store that happens long before its wait was waited for all the same.
TEST(Checks, bulkStoresMayHappenBeforeTheirWait) {
  for (uint64_t seed = 0; seed < 16; ++seed) {
    Checked kernel(R"(
.visible .entry k(.param .u64 out) {
  .reg .b32 %r<10>; .reg .b64 %rd<4>; .reg .pred %p<4>;
  .shared .align 16 .b8 tile[256];
  mov.u32 %r1, %tid.x; ld.param.u64 %rd1, [out];
  mov.u32 %r2, tile; shl.b32 %r3, %r1, 2; add.u32 %r4, %r2, %r3;
  setp.ne.u32 %p1, %r1, 0; mov.u32 %r5, 0;
LOOP:
  cp.async.bulk.wait_group.read 0;
  bar.sync 0;
  add.u32 %r6, %r1, %r5;
  st.shared.u32 [%r4], %r6;
  fence.proxy.async.shared::cta;
  bar.sync 0;
  @%p1 bra STORED;
  cp.async.bulk.global.shared::cta.bulk_group [%rd1], [%r2], 256;
  cp.async.bulk.commit_group;
STORED:
  add.s64 %rd1, %rd1, 256; mov.u32 %r7, 0;
SPIN:
  add.u32 %r7, %r7, 1; setp.lt.u32 %p2, %r7, 4000;
  @%p2 bra SPIN;
  add.u32 %r5, %r5, 1; setp.lt.u32 %p3, %r5, 4;
  @%p3 bra LOOP;
  cp.async.bulk.wait_group 0;
  ret;
})");
    kernel.device.options.seed = seed;
    const uint64_t out = kernel.buffer(1024, "out", false);
    expectQuiet(kernel.run({1}, {64}, out));
    EXPECT_EQ(kernel.device.download<uint32_t>(out, 256)[255], 63u + 3);
  }
}

} // namespace
} // namespace ingot::emulator
