// What orders memory and what does not: releases and acquires of single threads, fences, scopes,
// barriers of clusters.
#include "test/emulator/checks/planted/PlantedBug.h"

namespace ingot::emulator::test {

namespace {

/// Lane 0 of the first of two warps arrives at an mbarrier for one; the second warp waits. `before`
/// is what the first warp does, `behind` what the second does then: tile words at r4 (own), r5
/// (reversed).
std::string handOver(const std::string &before, const std::string &behind) {
  return R"(
  .shared .align 16 .b8 tile[256];
  .shared .align 8 .b64 full;
  mov.u32 r2, full; mov.u32 r3, tile;
  and.b32 r6, r1, 31; shl.b32 r6, r6, 2; add.u32 r4, r3, r6;
  sub.u32 r5, 124, r6; add.u32 r5, r5, r3;
  setp.ne.u32 p1, r1, 0; setp.ge.u32 p3, r1, 32; and.b32 r7, r1, 31; setp.ne.u32 p4, r7, 0;
  @!p1 mbarrier.init.shared::cta.b64 [r2], 1;
  bar.sync 0;
  @p3 bra SECOND;
)" + before +
         R"(
  @!p1 mbarrier.arrive.shared::cta.b64 d6, [r2];
  bra DONE;
SECOND:
)" + behind +
         "\nDONE:\n";
}
const std::string allWait = R"(
WAIT: mbarrier.try_wait.parity.shared::cta.b64 p2, [r2], 0;
  @!p2 bra WAIT;
)",
                  oneWaits = R"(
  @p4 bra WAITED;
WAIT: mbarrier.try_wait.parity.shared::cta.b64 p2, [r2], 0;
  @!p2 bra WAIT;
WAITED:
)",
                  meet = "bar.warp.sync 0xffffffff;";

/// One warp: stores its words of `tile` (r2), PLANT, reads its neighbours' (r3).
const std::string neighbours = R"(
  .shared .align 16 .b8 tile[512];
  mov.u32 r2, tile; shl.b32 r4, r1, 2;
  xor.b32 r3, r4, 4; add.u32 r3, r2, r3; add.u32 r2, r2, r4;
  st.shared.u32 [r2], r1;
  PLANT
  ld.shared.u32 r5, [r3];
)";

/// Block 0 stores 42 to in[0] and 2 to the flag in[64], as `writer` says; block 1 waits for the
/// flag, as `reader` (a load of r4) says, and reads in[0].
std::string flag(const std::string &writer, const std::string &reader,
                 const std::string &behind = "") {
  return R"(
  mov.u32 r2, %ctaid.x; setp.ne.u32 p1, r2, 0;
  mov.u32 r3, 2; mov.u32 r5, 42;
  add.s64 d6, d1, 256;
  @p1 bra READ;
  st.global.u32 [d1], r5;
)" + writer +
         R"(
  bra DONE;
READ:
)" + reader +
         R"(
  setp.ne.u32 p2, r4, 2;
  @p2 bra READ;
)" + behind +
         R"(
  ld.global.u32 r6, [d1];
DONE:
)";
}
const std::string relaxedStore = "  st.relaxed.gpu.global.u32 [d6], r3;\n",
                  relaxedLoad = "  ld.relaxed.gpu.global.u32 r4, [d6];\n",
                  acquiringLoad = "  ld.acquire.gpu.global.u32 r4, [d6];\n",
                  fence = "fence.acq_rel.gpu;";

/// Each block adds one to in[0] under a lock in in[64], which is free at 1.
std::string lock(const std::string &order) {
  return R"(
  add.s64 d6, d1, 256;
LOCK:
  atom.relaxed.gpu.global.cas.b32 r2, [d6], 1, 0;
  setp.ne.u32 p1, r2, 1;
  @p1 bra LOCK;
)" + order +
         R"(
  ld.global.u32 r3, [d1]; add.u32 r3, r3, 1; st.global.u32 [d1], r3;
)" + order +
         R"(
  atom.relaxed.gpu.global.exch.b32 r4, [d6], 1;
)";
}

/// The last of the blocks, by the counter in in[1000], reads what the others have stored.
std::string lastBlock(const std::string &order) {
  return R"(
  .shared .align 4 .b8 last[4];
  mov.u32 r2, %ctaid.x; mov.u32 r7, last;
  mad.lo.u32 r3, r2, 64, r1; mul.wide.u32 d6, r3, 4; add.s64 d6, d2, d6;
  st.global.u32 [d6], r3;
)" + order +
         R"(
  bar.sync 0;
  setp.ne.u32 p1, r1, 0;
  @p1 bra COUNTED;
  atom.relaxed.gpu.global.add.u32 r4, [d1+4000], 1;
  st.shared.u32 [r7], r4;
COUNTED:
  bar.sync 0;
  ld.shared.u32 r5, [r7];
  setp.ne.u32 p2, r5, 4;
  @p2 bra DONE;
)" + order +
         R"(
  mul.wide.u32 d7, r1, 4; add.s64 d7, d2, d7;
  ld.global.u32 r6, [d7]; ld.global.u32 r6, [d7+256]; ld.global.u32 r6, [d7+512];
DONE:
)";
}

/// Each of two blocks of a cluster stores its words and reads the other's.
std::string acrossTheCluster(const std::string &between) {
  return R"(
  .shared .align 4 .b8 tile[128];
  mov.u32 r2, tile; shl.b32 r3, r1, 2; add.u32 r2, r2, r3;
  mov.u32 r4, %cluster_ctarank; xor.b32 r4, r4, 1;
  mapa.shared::cluster.u32 r5, r2, r4;
  barrier.cluster.arrive; barrier.cluster.wait;
  st.shared.u32 [r2], r1;
)" + between +
         R"(
  ld.shared::cluster.u32 r6, [r5];
  barrier.cluster.arrive; barrier.cluster.wait;
)";
}

/// Warps of the block take different ways to barriers.
const std::string warps = "  shr.u32 r2, r1, 5; setp.eq.u32 p1, r2, 0; setp.lt.u32 p3, r1, 16;\n";

} // namespace

std::span<const PlantedBug> plantedOrdering() {
  static const std::vector<PlantedBug> bugs = {
      // Releases and acquires are each thread's own.
      {.check = "shared-race",
       .name = "arrivalOfOneLaneForItsWarp",
       .body = handOver("  st.shared.u32 [r4], r1;\n  PLANT\n",
                        allWait + "  ld.shared.u32 r8, [r5];\n"),
       .clean = meet,
       .buffer = "'tile'",
       .block = {64}},
      {.check = "shared-race",
       .name = "waitOfOneLaneForItsWarp",
       .body = handOver("  st.shared.u32 [r4], r1;\n  " + meet + "\n",
                        oneWaits + "  PLANT\n  ld.shared.u32 r8, [r5];\n"),
       .clean = meet,
       .buffer = "'tile'",
       .block = {64},
       .others = {"uninitialised-memory"}},
      {.check = "shared-race",
       .name = "readsReleasedByOneLane",
       .body = handOver("  st.shared.u32 [r4], r1;\n  " + meet +
                            "\n  ld.shared.u32 r8, [r5];\n  PLANT\n",
                        allWait + "  st.shared.u32 [r4], r1;\n"),
       .clean = meet,
       .buffer = "'tile'",
       .block = {64},
       .part = "reads"},
      {.check = "shared-race",
       .name = "relaxedArrival",
       .body = handOver("  st.shared.u32 [r4], r1;\n  " + meet + R"(
  @p1 bra DONE;
  mbarrier.arrive.PLANT.shared::cta.b64 d6, [r2];
  bra DONE;
)",
                        allWait + "  ld.shared.u32 r8, [r5];\n"),
       .bug = "relaxed.cta",
       .clean = "release.cta",
       .buffer = "'tile'",
       .block = {64}},
      {.check = "shared-race",
       .name = "copyOverWhatAnotherWarpHasCopied",
       .body = R"(
  .shared .align 16 .b8 tile[128];
  .shared .align 4 .b8 flag[4];
  mov.u32 r2, tile; and.b32 r3, r1, 31; shl.b32 r3, r3, 2; add.u32 r2, r2, r3;
  mov.u32 r4, flag; mov.u32 r5, 0; mov.u32 r6, 1;
  setp.eq.u32 p1, r1, 0; setp.ge.u32 p2, r1, 32;
  @p1 st.shared.u32 [r4], r5;
  bar.sync 0;
  @p2 bra SECOND;
  cp.async.ca.shared.global [r2], [d4], 4; cp.async.wait_all;
  bar.warp.sync 0xffffffff;
  PLANT
  st.relaxed.cta.shared.u32 [r4], r6;
  bra DONE;
SECOND:
  ld.relaxed.cta.shared.u32 r5, [r4]; setp.ne.u32 p3, r5, 1;
  @p3 bra SECOND;
  PLANT
  cp.async.ca.shared.global [r2], [d4], 4; cp.async.wait_all;
DONE:
)",
       .clean = "fence.acq_rel.cta;",
       .buffer = "'tile'",
       .block = {64}},
      // .sync is no order of memory.
      {.check = "shared-race",
       .name = "shuffleBetween",
       .body = neighbours,
       .bug = "shfl.sync.idx.b32 r6, r1, 0, 31, 0xffffffff;",
       .clean = "bar.warp.sync 0xffffffff;",
       .buffer = "'tile'"},
      {.check = "shared-race",
       .name = "voteBetween",
       .body = neighbours,
       .bug = "setp.eq.u32 p1, r1, 0; vote.sync.ballot.b32 r6, p1, 0xffffffff;",
       .clean = "bar.warp.sync 0xffffffff;",
       .buffer = "'tile'"},
      {.check = "shared-race",
       .name = "matchAndReduxBetween",
       .body = neighbours,
       .bug = "match.any.sync.b32 r6, r1, 0xffffffff; redux.sync.add.u32 r6, r1, 0xffffffff;",
       .clean = "bar.warp.sync 0xffffffff;",
       .buffer = "'tile'"},
      {.check = "shared-race",
       .name = "halfOfTheWarpMeets",
       .body = neighbours,
       .bug = "xor.b32 r6, r1, 1; setp.lt.u32 p1, r1, 16; @p1 bar.warp.sync 0xffff;",
       .clean = "bar.warp.sync 0xffffffff;",
       .buffer = "'tile'"},
      {.check = "shared-race",
       .name = "matricesLoadedAtOnce",
       .body = R"(
  .shared .align 16 .b8 tile[512];
  mov.u32 r2, tile; mad.lo.u32 r2, r1, 16, r2;
  st.shared.v4.u32 [r2], {r1, r1, r1, r1};
  PLANT
  ldmatrix.sync.aligned.m8n8.x4.shared.b16 {r3, r4, r5, r6}, [r2];
)",
       .clean = "bar.warp.sync 0xffffffff;",
       .buffer = "'tile'"},
      {.check = "shared-race",
       .name = "fragmentStoredThenRead",
       .body = R"(
  .shared .align 32 .b8 tile[1024];
  mov.u32 r2, tile; mov.f32 f0, 0f00000000; shl.b32 r3, r1, 2; add.u32 r3, r2, r3; mov.u32 r4, 16;
  wmma.store.d.sync.aligned.row.m16n16k16.shared.f32 [r2], {f0, f0, f0, f0, f0, f0, f0, f0}, r4;
  PLANT
  ld.shared.u32 r5, [r3];
)",
       .clean = "bar.warp.sync 0xffffffff;",
       .buffer = "'tile'"},
      {.check = "shared-race",
       .name = "lanesOfOneStoreDiffer",
       .body = R"(
  .shared .align 4 .b8 tile[128];
  mov.u32 r2, tile; shl.b32 r3, r1, 2; PLANT; add.u32 r2, r2, r3;
  st.shared.u32 [r2], r1;
)",
       .bug = "and.b32 r3, r3, 60",
       .clean = "and.b32 r3, r3, 124",
       .buffer = "'tile'"},
      // Flags between blocks.
      {.check = "global-race",
       .name = "flagWithoutARelease",
       .body = flag("  PLANT\n" + relaxedStore, acquiringLoad),
       .clean = fence,
       .buffer = "'in'",
       .grid = {2},
       .block = {1}},
      {.check = "global-race",
       .name = "flagWithoutAnAcquire",
       .body = flag("  st.release.gpu.global.u32 [d6], r3;\n", relaxedLoad, "  PLANT\n"),
       .clean = fence,
       .buffer = "'in'",
       .grid = {2},
       .block = {1}},
      {.check = "global-race",
       .name = "volatileFlag",
       .body = flag("  PLANT\n  st.volatile.global.u32 [d6], r3;\n",
                    "  ld.volatile.global.u32 r4, [d6];\n", "  membar.gl;\n"),
       .clean = "membar.gl;",
       .buffer = "'in'",
       .grid = {2},
       .block = {1}},
      {.check = "global-race",
       .name = "weakFlag",
       .body = flag("  " + fence + "\n  st.PLANT.global.u32 [d6], r3;\n", acquiringLoad),
       .bug = "weak",
       .clean = "relaxed.gpu",
       .buffer = "'in'",
       .grid = {2},
       .block = {1}},
      {.check = "global-race",
       .name = "fenceOfTheBlock",
       .body = flag("  fence.acq_rel.PLANT;\n" + relaxedStore, acquiringLoad),
       .bug = "cta",
       .clean = "gpu",
       .buffer = "'in'",
       .grid = {2},
       .block = {1}},
      {.check = "global-race",
       .name = "acquireOfTheBlock",
       .body = flag("  " + fence + "\n" + relaxedStore, relaxedLoad, "  fence.acq_rel.PLANT;\n"),
       .bug = "cta",
       .clean = "gpu",
       .buffer = "'in'",
       .grid = {2},
       .block = {1}},
      {.check = "global-race",
       .name = "releaseOfTheBlock",
       .body = flag("  st.release.PLANT.global.u32 [d6], r3;\n", acquiringLoad),
       .bug = "cta",
       .clean = "gpu",
       .buffer = "'in'",
       .grid = {2},
       .block = {1}},
      {.check = "global-race",
       .name = "fenceBehindTheFlag",
       .body = flag("  PLANT\n  " + fence + "\n", "  atom.relaxed.gpu.global.or.b32 r4, [d6], 0;\n",
                    "  " + fence + "\n"),
       .bug = "atom.relaxed.gpu.global.exch.b32 r7, [d6], r3;",
       .clean = fence + " atom.relaxed.gpu.global.exch.b32 r7, [d6], r3;",
       .buffer = "'in'",
       .grid = {2},
       .block = {1}},
      {.check = "global-race",
       .name = "fenceThatOnlyAcquires",
       .body = flag("  PLANT\n" + relaxedStore, acquiringLoad),
       .bug = "fence.acquire.sync_restrict::shared::cluster.cluster;",
       .clean = "fence.acq_rel.gpu;",
       .buffer = "'in'",
       .grid = {2},
       .block = {1}},
      {.check = "global-race",
       .name = "lockWithoutAFence",
       .body = lock("  PLANT\n"),
       .bug = "",
       .clean = "membar.gl;",
       .buffer = "'in'",
       .grid = {4},
       .block = {1}},
      {.check = "global-race",
       .name = "lastBlockWithoutAFence",
       .body = lastBlock("  PLANT\n"),
       .clean = "membar.gl;",
       .buffer = "'out'",
       .grid = {4},
       .block = {64}},
      {.check = "global-race",
       .name = "unrelatedAtomic",
       .body = R"(
  mov.u32 r2, %ctaid.x; setp.ne.u32 p1, r2, 0;
  @!p1 st.global.u32 [d1], r2;
  atom.global.add.u32 r3, [d1+256], 1;
  @p1 ld.global.u32 r4, [PLANT];
)",
       .bug = "d1",
       .clean = "d1+4",
       .buffer = "'in'",
       .grid = {2},
       .block = {1}},
      {.check = "global-race",
       .name = "atomicsOfTheBlock",
       .body = "  red.relaxed.PLANT.global.add.u32 [d1], 1;\n",
       .bug = "cta",
       .clean = "gpu",
       .buffer = "'in'",
       .grid = {4},
       .block = {1}},
      {.check = "global-race",
       .name = "plainResetOfACounter",
       .body = R"(
  mov.u32 r2, %ctaid.x; setp.eq.u32 p1, r2, 0; mov.u32 r3, 0;
  @p1 st.PLANTglobal.u32 [d1], r3;
  red.global.add.u32 [d1], 1;
)",
       .clean = "relaxed.gpu.",
       .buffer = "'in'",
       .grid = {4},
       .block = {1}},
      {.check = "shared-race",
       .name = "plainReadOfACounter",
       .body = R"(
  .shared .align 4 .b8 bins[64];
  mov.u32 r2, bins; and.b32 r3, r1, 15; shl.b32 r3, r3, 2; add.u32 r2, r2, r3; mov.u32 r4, 0;
  setp.lt.u32 p1, r1, 16;
  @p1 st.shared.u32 [r2], r4;
  bar.sync 0;
  red.shared.add.u32 [r2], 1;
  PLANT
  ld.shared.u32 r5, [r2];
)",
       .clean = "bar.sync 0;",
       .buffer = "'bins'",
       .block = {64}},
      // Clusters.
      {.check = "shared-race",
       .name = "otherBlockReadsTooEarly",
       .body = acrossTheCluster("  PLANT\n"),
       .bug = "bar.sync 0;",
       .clean = "barrier.cluster.arrive; barrier.cluster.wait;",
       .buffer = "'tile'",
       .grid = {2},
       .cluster = {2},
       .others = {"uninitialised-memory"}},
      {.check = "shared-race",
       .name = "relaxedArrivalAtTheCluster",
       .body = acrossTheCluster("  barrier.cluster.arrive.PLANT; barrier.cluster.wait;\n"),
       .bug = "relaxed",
       .clean = "release",
       .buffer = "'tile'",
       .grid = {2},
       .cluster = {2}},
      // Barriers that not everybody executes.
      {.check = "divergent-barrier",
       .name = "aWarpHasEnded",
       .body = warps + "  PLANT ret;\n  bar.sync 0;\n",
       .bug = "@p1",
       .clean = "//",
       .block = {64},
       .part = "32 of the block's 64 threads have ended"},
      {.check = "divergent-barrier",
       .name = "lanesHaveEnded",
       .body = warps + "  PLANT ret;\n  bar.sync 0;\n",
       .bug = "@p3",
       .clean = "//",
       .part = "lanes 0000ffff of the warp have ended"},
      {.check = "divergent-barrier",
       .name = "lanesHaveEndedBeforeACountedOne",
       .body = warps + "  PLANT ret;\n  bar.sync 1, 32;\n",
       .bug = "@p3",
       .clean = "//",
       .part = "lanes 0000ffff of the warp have ended"},
      {.check = "divergent-barrier",
       .name = "differentBarriersOfOneNumber",
       .body = warps + "  @p1 bra FIRST;\nSAME:\n  bar.sync 0;\n  bra DONE;\nFIRST:\n  PLANT\n"
                       "DONE:\n",
       .bug = "bar.sync 0;",
       .clean = "bra SAME;",
       .block = {64},
       .part = "different ways"},
      {.check = "divergent-barrier",
       .name = "alignedInTwoHalves",
       .body = warps + "  PLANT\n  barrier.sync.aligned 1, 32;\n",
       .bug = "@p3 barrier.sync.aligned 2, 32; @!p3 barrier.sync.aligned 2, 32;",
       .clean = "@p3 barrier.sync 2, 32; @!p3 barrier.sync 2, 32;",
       .others = {"deadlock"},
       .part = "only lanes 0000ffff of the warp's ffffffff"},
      {.check = "divergent-barrier",
       .name = "alignedOfTheClusterInTwoHalves",
       .body = warps + "  @p3 barrier.cluster.arrivePLANT; @!p3 barrier.cluster.arrivePLANT;\n"
                       "  barrier.cluster.wait.aligned;\n",
       .bug = ".aligned",
       .grid = {2},
       .cluster = {2},
       .part = "only lanes 0000ffff of the warp's ffffffff"},
      {.check = "divergent-barrier",
       .name = "alignedOfTheClusterWithLanesThatHaveEnded",
       .body = warps + "  @p3 ret;\n  barrier.cluster.arrivePLANT; barrier.cluster.wait;\n",
       .bug = ".aligned",
       .grid = {2},
       .cluster = {2},
       .part = "lanes 0000ffff of the warp have ended"},
      // mbarriers in use.
      {.check = "mbarrier",
       .name = "reusedWithoutInval",
       .body = R"(
  .shared .align 8 .b64 full;
  mov.u32 r2, full; setp.ne.u32 p1, r1, 0;
  @!p1 mbarrier.init.shared::cta.b64 [r2], 32;
  bar.sync 0;
  mbarrier.arrive.shared::cta.b64 d6, [r2];
WAIT: mbarrier.try_wait.shared::cta.b64 p2, [r2], d6;
  @!p2 bra WAIT;
  bar.sync 0;
  PLANT
  @!p1 st.shared.u32 [r2], r1;
)",
       .clean = "@!p1 mbarrier.inval.shared::cta.b64 [r2];",
       .buffer = "'full'",
       .part = "mbarrier.inval is missing"},
  };
  return bugs;
}

} // namespace ingot::emulator::test
