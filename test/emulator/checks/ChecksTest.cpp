/// Every check catches a planted bug, and says nothing of the same kernel without it.
#include "test/emulator/Support.h"
#include <algorithm>

namespace ingot::emulator {
namespace {

using test::Device;
using test::header;

/// Runs kernels with all checks on.
struct Checked {
  explicit Checked(const std::string &body, std::string_view target = "sm_90a")
      : device(header(target) + body, "checked.ptx") {
    device.expectFindings = true;
  }
  uint64_t buffer(size_t bytes, std::string name, bool written = true) {
    const uint64_t address = device.allocate(bytes, name);
    if (written)
      device.write(address, std::vector<std::byte>(bytes).data(), bytes);
    return address;
  }
  template <typename... T> std::vector<Finding> run(Dim3 grid, Dim3 block, T... parameters) {
    return device.launch("k", grid, block, parameters...).findings;
  }
  Device device;
};

std::string all(const std::vector<Finding> &findings) {
  std::string text;
  for (const Finding &finding : findings)
    text += finding.str() + "\n";
  return text;
}

/// The one finding has this check; its message holds `part`.
void expectOne(const std::vector<Finding> &findings, std::string_view check,
               std::string_view part = "") {
  ASSERT_EQ(findings.size(), 1u) << all(findings);
  EXPECT_EQ(findings[0].check, check) << findings[0].str();
  EXPECT_NE(findings[0].message.find(part), std::string::npos) << findings[0].str();
}
/// There are findings, all of this check, and a message holds `part`.
void expectOnly(const std::vector<Finding> &findings, std::string_view check,
                std::string_view part) {
  bool found = false;
  for (const Finding &finding : findings) {
    EXPECT_EQ(finding.check, check) << finding.str();
    found |= finding.message.find(part) != std::string::npos;
  }
  EXPECT_TRUE(found) << all(findings);
}
void expectQuiet(const std::vector<Finding> &findings) { EXPECT_EQ(all(findings), ""); }

/// Reverses 256 integers of each block in shared memory.
std::string reverse(bool barrier) {
  return R"(
.visible .entry k(.param .u64 in, .param .u64 out) {
  .reg .b32 %r<10>; .reg .b64 %rd<10>;
  .shared .align 4 .b8 tile[1024];
  ld.param.u64 %rd1, [in]; ld.param.u64 %rd2, [out];
  mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x;
  mad.lo.u32 %r3, %r2, 256, %r1;
  mul.wide.u32 %rd3, %r3, 4;
  add.s64 %rd4, %rd1, %rd3;
  ld.global.u32 %r4, [%rd4];
  mov.u32 %r5, tile;
  shl.b32 %r6, %r1, 2;
  add.u32 %r7, %r5, %r6;
  st.shared.u32 [%r7], %r4;
)" + std::string(barrier ? "  bar.sync 0;\n" : "") +
         R"(
  sub.u32 %r8, 1020, %r6;
  add.u32 %r8, %r5, %r8;
  ld.shared.u32 %r9, [%r8];
  add.s64 %rd5, %rd2, %rd3;
  st.global.u32 [%rd5], %r9;
  ret;
})";
}

TEST(Checks, sharedRaceWithoutABarrier) {
  for (const bool barrier : {true, false}) {
    Checked kernel(reverse(barrier));
    const auto findings =
        kernel.run({4}, {256}, kernel.buffer(4096, "in"), kernel.buffer(4096, "out", false));
    if (barrier) {
      expectQuiet(findings);
      continue;
    }
    // Some warps read before, others after the write: both are races, and early reads see nothing.
    bool race = false;
    for (const Finding &finding : findings)
      race |=
          finding.check == "shared-race" && finding.message.find("of 'tile'") != std::string::npos;
    EXPECT_TRUE(race) << all(findings);
  }
}

TEST(Checks, aCheckThatIsOffSaysNothing) {
  Checked kernel(reverse(false));
  ASSERT_TRUE(turnOff({"shared-race", "uninitialised-memory"}, kernel.device.checks,
                      kernel.device.options));
  expectQuiet(kernel.run({4}, {256}, kernel.buffer(4096, "in"), kernel.buffer(4096, "out")));
  const Status unknown = turnOff({"nonsense"}, kernel.device.checks, kernel.device.options);
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().text().find("there is no check 'nonsense'"), std::string::npos);
}

/// A tile is written, read, and written again: the second barrier protects the readers.
std::string twice(bool barrier) {
  return R"(
.visible .entry k(.param .u64 out) {
  .reg .b32 %r<12>; .reg .b64 %rd<6>; .reg .pred %p<2>;
  .shared .align 4 .b8 tile[256];
  mov.u32 %r1, %tid.x; mov.u32 %r2, tile;
  shl.b32 %r3, %r1, 2; add.u32 %r4, %r2, %r3;
  xor.b32 %r5, %r3, 128; add.u32 %r5, %r2, %r5;
  mov.b32 %r6, 0; mov.b32 %r7, 0;
LOOP:
  add.u32 %r8, %r1, %r6;
  st.shared.u32 [%r4], %r8;
  bar.sync 0;
  ld.shared.u32 %r9, [%r5];
  add.u32 %r7, %r7, %r9;
)" + std::string(barrier ? "  bar.sync 0;\n" : "") +
         R"(
  add.u32 %r6, %r6, 1;
  setp.lt.u32 %p1, %r6, 4;
  @%p1 bra LOOP;
  ld.param.u64 %rd1, [out];
  mul.wide.u32 %rd2, %r1, 4; add.s64 %rd1, %rd1, %rd2;
  st.global.u32 [%rd1], %r7;
  ret;
})";
}

TEST(Checks, sharedRaceWithReaders) {
  Checked good(twice(true)), bad(twice(false));
  expectQuiet(good.run({1}, {64}, good.buffer(256, "out", false)));
  expectOnly(bad.run({1}, {64}, bad.buffer(256, "out", false)), "shared-race", "of 'tile'");
}

TEST(Checks, lanesOfAWarpNeedAWarpSync) {
  for (const bool sync : {true, false}) {
    Checked kernel(R"(
.visible .entry k(.param .u64 out) {
  .reg .b32 %r<8>; .reg .b64 %rd<4>;
  .shared .align 4 .b8 s[128];
  mov.u32 %r1, %tid.x; mov.u32 %r2, s; shl.b32 %r3, %r1, 2;
  add.u32 %r4, %r2, %r3; xor.b32 %r5, %r3, 4; add.u32 %r5, %r2, %r5;
  st.shared.u32 [%r4], %r1;
)" + std::string(sync ? "  bar.warp.sync 0xffffffff;\n" : "") +
                   R"(
  ld.shared.u32 %r6, [%r5];
  ld.param.u64 %rd1, [out]; mul.wide.u32 %rd2, %r1, 4; add.s64 %rd1, %rd1, %rd2;
  st.global.u32 [%rd1], %r6;
  ret;
})");
    const auto findings = kernel.run({1}, {32}, kernel.buffer(128, "out", false));
    if (sync)
      expectQuiet(findings);
    else
      expectOne(findings, "shared-race", "thread (1, 0, 0) writes");
  }
}

/// Every block adds to its neighbour's element: without an atomic a race.
std::string neighbours(std::string_view update) {
  return R"(
.visible .entry k(.param .u64 out) {
  .reg .b32 %r<8>; .reg .b64 %rd<4>;
  mov.u32 %r1, %ctaid.x; ld.param.u64 %rd1, [out];
  mul.wide.u32 %rd2, %r1, 4; add.s64 %rd1, %rd1, %rd2;
)" + std::string(update) +
         "  ret;\n}";
}

TEST(Checks, globalRaceBetweenBlocks) {
  Checked bad(neighbours("  st.global.u32 [%rd1], %r1;\n  ld.global.u32 %r2, [%rd1+4];\n"));
  expectOnly(bad.run({16}, {1}, bad.buffer(68, "sums")), "global-race", "of 'sums'");
  Checked atomics(neighbours("  atom.global.add.u32 %r2, [%rd1], 1;\n"
                             "  atom.global.add.u32 %r2, [%rd1+4], 1;\n"));
  expectQuiet(atomics.run({16}, {1}, atomics.buffer(68, "sums")));
  Checked apart(neighbours("  st.global.u32 [%rd1], %r1;\n  ld.global.u32 %r2, [%rd1];\n"));
  expectQuiet(apart.run({16}, {1}, apart.buffer(68, "sums", false)));
}

/// The last block to finish adds up what the others have written: correct with fences.
std::string lastBlock(bool fence) {
  const std::string order = fence ? "  membar.gl;\n" : "";
  return R"(
.visible .entry k(.param .u64 parts, .param .u64 count, .param .u64 out) {
  .reg .b32 %r<12>; .reg .b64 %rd<8>; .reg .pred %p<4>;
  mov.u32 %r1, %ctaid.x; mov.u32 %r2, %nctaid.x;
  ld.param.u64 %rd1, [parts]; ld.param.u64 %rd2, [count]; ld.param.u64 %rd3, [out];
  mul.wide.u32 %rd4, %r1, 4; add.s64 %rd4, %rd1, %rd4;
  st.global.u32 [%rd4], %r1;
)" + order +
         (fence ? "  atom.global.inc.u32 %r3, [%rd2], 1000;\n"
                : "  atom.global.inc.u32 %r3, [%rd2], 1000;\n") +
         order + R"(
  sub.u32 %r4, %r2, 1;
  setp.ne.u32 %p1, %r3, %r4;
  @%p1 bra END;
  mov.b32 %r5, 0; mov.b32 %r6, 0;
LOOP:
  mul.wide.u32 %rd4, %r5, 4; add.s64 %rd4, %rd1, %rd4;
  ld.global.u32 %r7, [%rd4];
  add.u32 %r6, %r6, %r7; add.u32 %r5, %r5, 1;
  setp.lt.u32 %p2, %r5, %r2;
  @%p2 bra LOOP;
  st.global.u32 [%rd3], %r6;
END:
  ret;
})";
}

TEST(Checks, lastBlockWithFencesIsNoRace) {
  Checked kernel(lastBlock(true));
  const uint64_t parts = kernel.buffer(256, "parts", false), count = kernel.buffer(4, "count"),
                 out = kernel.buffer(4, "out", false);
  expectQuiet(kernel.run({64}, {1}, parts, count, out));
  EXPECT_EQ(kernel.device.download<uint32_t>(out, 1)[0], 63u * 64 / 2);
}

TEST(Checks, memoryThatNobodyHasWritten) {
  const std::string copy =
      neighbours("  ld.global.u32 %r2, [%rd1];\n  st.global.u32 [%rd1], %r2;\n");
  Checked bad(copy), good(copy);
  expectOne(bad.run({4}, {1}, bad.buffer(64, "weights", false)), "uninitialised-memory",
            "'weights'");
  expectQuiet(good.run({4}, {1}, good.buffer(64, "weights")));
  Checked shared(neighbours("  .shared .b32 s; ld.shared.u32 %r2, [s];\n"));
  expectOne(shared.run({1}, {1}, shared.buffer(64, "x")), "uninitialised-memory", "of 's'");
}

/// %r2 is written on one path only.
std::string onePath(std::string_view otherwise, std::string_view use) {
  return R"(
.visible .entry k(.param .u64 out) {
  .reg .b32 %r<8>; .reg .b64 %rd<4>; .reg .pred %p<2>;
  mov.u32 %r1, %tid.x; ld.param.u64 %rd1, [out];
  mul.wide.u32 %rd2, %r1, 4; add.s64 %rd1, %rd1, %rd2;
  setp.lt.u32 %p1, %r1, 7;
  @%p1 bra SMALL;
  mov.b32 %r2, 5;
  bra JOIN;
SMALL:
)" + std::string(otherwise) +
         R"(
JOIN:
)" + std::string(use) +
         "  st.global.u32 [%rd1], %r3;\n  ret;\n}";
}

TEST(Checks, registersThatNobodyHasWritten) {
  Checked bad(onePath("", "  add.u32 %r3, %r2, 1;\n"));
  const auto findings = bad.run({1}, {32}, bad.buffer(128, "out", false));
  expectOne(findings, "uninitialised-register", "add.u32 %r3, %r2, 1");
  EXPECT_EQ(findings[0].thread[0], 0u);
  EXPECT_EQ(findings[0].count, 1);
  Checked good(onePath("  mov.b32 %r2, 6;\n", "  add.u32 %r3, %r2, 1;\n"));
  expectQuiet(good.run({1}, {32}, good.buffer(128, "out", false)));
  // What is moved about and then not used is no bug: compilers do it.
  Checked moved(onePath("", "  mov.b32 %r4, %r2;\n  mov.b32 %r3, 1;\n"));
  expectQuiet(moved.run({1}, {32}, moved.buffer(128, "out", false)));
  Checked movedAndUsed(onePath("", "  mov.b32 %r4, %r2;\n  add.u32 %r3, %r4, 1;\n"));
  expectOne(movedAndUsed.run({1}, {32}, movedAndUsed.buffer(128, "out", false)),
            "uninitialised-register");
  // Guarded by the same condition as the read: only lanes that have written it read it.
  Checked guarded(onePath("", "  mov.b32 %r3, 0;\n  @!%p1 add.u32 %r3, %r2, 1;\n"));
  expectQuiet(guarded.run({1}, {32}, guarded.buffer(128, "out", false)));
}

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

TEST(Checks, divergentBarriersAreFound) {
  Checked kernel(R"(
.visible .entry k(.param .u64 out) {
  .reg .b32 %r<4>; .reg .pred %p<2>;
  mov.u32 %r1, %tid.x; setp.lt.u32 %p1, %r1, 5;
  @%p1 bar.sync 0;
  ret;
})");
  expectOne(kernel.run({1}, {32}, kernel.buffer(4, "out")), "divergent-barrier");
}

/// Threads of several warps store `value` to one word of shared memory, and of global memory.
std::string sameWord(std::string_view value) {
  return R"(
.visible .entry k(.param .u64 out) {
  .reg .b32 %r<8>; .reg .b64 %rd<4>;
  .shared .align 4 .b8 word[4];
  mov.u32 %r1, %tid.x; mov.u32 %r2, word; ld.param.u64 %rd1, [out];
  mov.u32 %r3, )" +
         std::string(value) + R"(;
  st.shared.u32 [%r2], %r3;
  st.global.u32 [%rd1], %r3;
  ret;
})";
}

// A race that changes nothing is a note, which fails no launch unless that is wanted.
TEST(Checks, storingTheSameValueIsANote) {
  for (const bool strict : {false, true}) {
    Checked same(sameWord("42"));
    same.device.options.strict = strict;
    const auto notes = same.run({2}, {64}, same.buffer(4, "out"));
    ASSERT_EQ(notes.size(), 2u) << all(notes);
    for (const Finding &note : notes) {
      EXPECT_EQ(note.note, !strict) << note.str();
      EXPECT_NE(note.message.find("stores the same value, 0x2a"), std::string::npos) << note.str();
    }
  }
  Checked different(sameWord("%tid.x"));
  const auto findings = different.run({2}, {64}, different.buffer(4, "out"));
  EXPECT_EQ(std::ranges::count(findings, false, &Finding::note), 2) << all(findings);
}

// Blocks on several host threads store to the same words at the same time, four to each: whichever
// store a block meets, its value is there.
TEST(Checks, storesOfOneValueByBlocksThatRunTogether) {
  for (const bool same : {true, false}) {
    Checked kernel(R"(
.visible .entry k(.param .u64 next, .param .u64 out) {
  .reg .b32 %r<8>; .reg .b64 %rd<6>; .reg .pred %p<2>;
  ld.param.u64 %rd1, [next]; ld.param.u64 %rd2, [out];
  mov.u32 %r1, %ctaid.x;
LOOP:
  atom.global.add.u32 %r2, [%rd1], 1;
  shr.u32 %r3, %r2, 2;
  mul.wide.u32 %rd3, %r3, 4; add.s64 %rd4, %rd2, %rd3;
  )" + std::string(same ? "add.u32 %r4, %r3, 1" : "add.u32 %r4, %r3, %r1") +
                   R"(;
  st.global.u32 [%rd4], %r4;
  setp.lt.u32 %p1, %r2, 131000;
  @%p1 bra LOOP;
  ret;
})");
    kernel.device.options.threads = 4;
    const auto findings =
        kernel.run({4}, {1}, kernel.buffer(4, "next"), kernel.buffer(1 << 17, "out"));
    ASSERT_FALSE(findings.empty());
    EXPECT_EQ(std::ranges::all_of(findings, &Finding::note), same) << all(findings);
  }
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

TEST(Profile, countsSectorsAndWavefronts) {
  // Column-wise access to a tile of 32 x 32 words: 32 wavefronts; padded: 1.
  const auto run = [](int stride) {
    Checked kernel(fmt::format(R"(
.visible .entry k(.param .u64 out) {{
  .reg .b32 %r<8>; .reg .b64 %rd<8>;
  .shared .align 4 .b8 tile[8192];
  mov.u32 %r1, %tid.x; mov.u32 %r2, tile; mul.lo.u32 %r3, %r1, {0};
  add.u32 %r2, %r2, %r3;
  st.shared.u32 [%r2], %r1;
  ld.param.u64 %rd1, [out]; mul.wide.u32 %rd2, %r1, {0}; add.s64 %rd1, %rd1, %rd2;
  st.global.u32 [%rd1], %r1;
  ret;
}})",
                               stride));
    expectQuiet(kernel.run({1}, {32}, kernel.buffer(8192, "out")));
    return kernel.device.counters;
  };
  const MemoryCounters column = run(128), padded = run(132), row = run(4);
  EXPECT_EQ(column.sharedWavefronts, 32u);
  EXPECT_EQ(padded.sharedWavefronts, 1u);
  EXPECT_EQ(row.sharedWavefronts, 1u);
  EXPECT_EQ(column.globalSectors, 32u);
  EXPECT_EQ(row.globalSectors, 4u);
  EXPECT_EQ(row.leastSectors, 4u);
  EXPECT_EQ(row.globalWritten, 128u);
  EXPECT_EQ(row.sharedWritten, 128u);
  // A warp that reads one word needs one sector, not the four of 32 different words.
  Checked broadcast(R"(
.visible .entry k(.param .u64 in) {
  .reg .b32 %r1; .reg .b64 %rd1;
  ld.param.u64 %rd1, [in]; ld.global.u32 %r1, [%rd1];
  ret;
})");
  const uint64_t in = broadcast.buffer(4, "in");
  expectQuiet(broadcast.run({1}, {32}, in));
  EXPECT_EQ(broadcast.device.counters.globalSectors, 1u);
  EXPECT_EQ(broadcast.device.counters.leastSectors, 1u);
}

} // namespace
} // namespace ingot::emulator
