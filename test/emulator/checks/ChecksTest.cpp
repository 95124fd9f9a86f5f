/// Every check catches a planted bug, and says nothing of the same kernel without it.
#include "test/emulator/checks/Checked.h"
#include <algorithm>

namespace ingot::emulator {
namespace {

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
  // A vector of halves without the one that nobody reads.
  auto halves = [](std::string_view written, int read) {
    return onePath("", fmt::format("  .reg .b16 %h<4>;\n{}"
                                   "  mov.b32 %r4, {{%h0, %h1}};\n"
                                   "  mov.b32 {{%h2, %h3}}, %r4;\n"
                                   "  cvt.u32.u16 %r3, %h{};\n",
                                   written, read));
  };
  Checked half(halves("  mov.b16 %h0, 7;\n", 2));
  expectQuiet(half.run({1}, {32}, half.buffer(128, "out", false)));
  Checked neither(halves("", 2));
  expectOne(neither.run({1}, {32}, neither.buffer(128, "out", false)), "uninitialised-register",
            "cvt.u32.u16 %r3, %h2");
  Checked sometimes(halves("  @%p1 mov.b16 %h0, 7;\n", 2));
  EXPECT_EQ(sometimes.run({1}, {32}, sometimes.buffer(128, "out", false)).size(), 1u);
  // Bytes of one register, those of the other are not selected.
  for (const auto &[operands, isQuiet] : {std::pair{"%r1, %r2, 0x3322", true},
                                          {"%r2, %r1, 0x7654", true},
                                          {"%r2, %r1, 0x3322", false},
                                          {"%r1, %r2, 0x3724", false},
                                          {"%r1, %r2, %r1", false}}) {
    Checked bytes(onePath("", fmt::format("  prmt.b32 %r3, {};\n", operands)));
    const auto found = bytes.run({1}, {32}, bytes.buffer(128, "out", false));
    if (isQuiet)
      expectQuiet(found);
    else
      expectOne(found, "uninitialised-register", "prmt.b32");
  }
  // Guarded by the same condition as the read: only lanes that have written it read it.
  Checked guarded(onePath("", "  mov.b32 %r3, 0;\n  @!%p1 add.u32 %r3, %r2, 1;\n"));
  expectQuiet(guarded.run({1}, {32}, guarded.buffer(128, "out", false)));
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
