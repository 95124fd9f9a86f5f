// Barriers, instructions of whole warps, and what waits for ever.
#include "test/emulator/checks/planted/PlantedBug.h"

namespace ingot::emulator::test {

namespace {

const std::string half = "  setp.lt.u32 p1, r1, 16;\n";
/// The warp's number in r2, whether it is the first in p1.
const std::string warps = "  shr.u32 r2, r1, 5;\n  setp.eq.u32 p1, r2, 0;\n";

} // namespace

std::span<const PlantedBug> plantedBarriers() {
  static const std::vector<PlantedBug> bugs = {
      {.check = "divergent-barrier",
       .name = "halfAWarp",
       .body = half + "  PLANT bar.sync 0;\n",
       .bug = "@p1",
       .part = "only lanes 0000ffff"},
      {.check = "divergent-barrier",
       .name = "lanesWithDifferentBarriers",
       .body = "  and.b32 r2, r1, PLANT;\n  barrier.sync r2, 32;\n",
       .bug = "1",
       .clean = "0",
       .others = {"deadlock", "bad-barrier"},
       .part = "different barriers"},
      {.check = "bad-barrier",
       .name = "thereAreSixteen",
       .body = "  mov.u32 r2, PLANT;\n  bar.sync r2, 32;\n",
       .bug = "16",
       .clean = "15",
       .part = "barrier 16; there are 16"},
      {.check = "bad-barrier",
       .name = "countOfThreads",
       .body = "  mov.u32 r2, PLANT;\n  bar.sync 1, r2;\n",
       .bug = "33",
       .clean = "32",
       .part = "33 threads"},
      {.check = "bad-barrier",
       .name = "differentCounts",
       .body = warps + "  mov.u32 r3, 64;\n  PLANT\n  bar.sync 1, r3;\n",
       .bug = "@p1 mov.u32 r3, 96;",
       .block = {64},
       .others = {"deadlock"},
       .part = "with 64"},
      {.check = "cluster-barrier",
       .name = "arrivesTwice",
       .body = "  barrier.cluster.arrive;\n  PLANT\n  barrier.cluster.wait;\n",
       .bug = "barrier.cluster.arrive;",
       .grid = {2},
       .cluster = {2},
       .others = {"deadlock"},
       .part = "arrives twice"},
      {.check = "cluster-barrier",
       .name = "waitsWithoutArriving",
       .body = "  PLANT\n  barrier.cluster.wait;\n",
       .clean = "barrier.cluster.arrive;",
       .grid = {2},
       .cluster = {2},
       .part = "without having arrived"},
      {.check = "divergence",
       .name = "halfAWarpLoadsMatrices",
       .body = R"(
  .shared .align 16 .b8 tile[512];
  mov.u32 r2, tile; mad.lo.u32 r2, r1, 16, r2;
  st.shared.v4.u32 [r2], {r1, r1, r1, r1};
  bar.warp.sync 0xffffffff;
)" + half + "  PLANT ldmatrix.sync.aligned.m8n8.x4.shared.b16 {r3, r4, r5, r6}, [r2];\n",
       .bug = "@p1",
       .part = "all 32 lanes"},
      {.check = "divergent-uniform",
       .name = "someLanes",
       .body = half + "  PLANT bra.uni DONE;\n  st.global.u32 [d5], r1;\nDONE:\n",
       .bug = "@p1",
       .part = "bra.uni"},
      {.check = "member-mask",
       .name = "doesNotNameItself",
       .body = half + "  @!p1 bra DONE;\n  shfl.sync.idx.b32 r2, r1, 0, 31, PLANT;\nDONE:\n",
       .bug = "0x7fff",
       .clean = "0xffff",
       .part = "00007fff"},
      {.check = "member-mask",
       .name = "namesALaneWhoseGuardIsFalse",
       .body = half + "  PLANT shfl.sync.idx.b32 r2, r1, 0, 31, 0xffffffff;\n",
       .bug = "@p1",
       .others = {"shuffle-inactive"},
       .part = "guard is false"},
      {.check = "shuffle-inactive",
       .name = "readsAnAbsentLane",
       .body = half + "  @!p1 bra DONE;\n  shfl.sync.idx.b32 r2, r1, PLANT, 31, 0xffff;\nDONE:\n",
       .bug = "16",
       .clean = "15",
       .part = "lanes that do not take part"},
      {.check = "sparse-metadata",
       .name = "namesAPlaceTwice",
       .body = R"(
  mov.b32 r2, 0x3c003c00; mov.f32 f0, 0f00000000; mov.b32 r3, PLANT;
  mma.sp.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {f0, f1, f2, f3}, {r2, r2}, {r2, r2},
    {f0, f0, f0, f0}, r3, 0;
)",
       .bug = "0x44444440",
       .clean = "0x44444444",
       .part = "names a place twice"},
      {.check = "register-budget",
       .name = "noStatedCount",
       .body = "  setmaxnreg.dec.sync.aligned.u32 40;\n",
       .directives = "PLANT",
       .part = "the assembler ignores it"},
      {.check = "register-budget",
       .name = "wrongWay",
       .body = "  setmaxnreg.PLANT.sync.aligned.u32 40;\n",
       .bug = "inc",
       .clean = "dec",
       .directives = ".maxnreg 64",
       .part = "setmaxnreg.inc to 40 registers by a warp that has 64"},
      {.check = "deadlock",
       .name = "nobodyGivesRegisters",
       .body = warps + R"(
  @p1 bra FIRST;
  setmaxnreg.inc.sync.aligned.u32 96;
  bra DONE;
FIRST:
  PLANT
DONE:
)",
       .bug = "setmaxnreg.dec.sync.aligned.u32 40;",
       .clean = "setmaxnreg.dec.sync.aligned.u32 32;",
       .directives = ".maxnreg 64",
       .block = {64},
       .part = "waits for registers of the block at line"},
      {.check = "deadlock",
       .name = "differentBarriers",
       .body = warps + "  PLANT\n  bar.sync r2, 64;\n",
       .clean = "mov.u32 r2, 1;",
       .block = {64},
       .part = "warp 1: lanes ffffffff waits at barrier 1 at line"},
      {.check = "deadlock",
       .name = "phaseThatNobodyCompletes",
       .body = R"(
  .shared .align 8 .b64 full;
  mov.u32 r2, full;
  setp.ne.u32 p1, r1, 0;
  @p1 bra READY;
  mbarrier.init.shared::cta.b64 [r2], PLANT;
READY:
  bar.sync 0;
  mbarrier.arrive.shared::cta.b64 d6, [r2];
WAIT:
  mbarrier.try_wait.shared::cta.b64 p2, [r2], d6;
  @!p2 bra WAIT;
)",
       .bug = "33",
       .clean = "32",
       .part = "(byte 0 of 'full'): phase 0 waits for 1 of 33 arrivals"},
  };
  return bugs;
}

} // namespace ingot::emulator::test
