// Memory and registers that nobody has written, and races.
#include "test/emulator/checks/planted/PlantedBug.h"

namespace ingot::emulator::test {

namespace {

/// The thread's own word of `tile` in r2, its neighbour's in r3; what it reads goes to `out`.
const std::string words = R"(
  .shared .align 4 .b8 tile[256];
  mov.u32 r2, tile; shl.b32 r4, r1, 2;
  xor.b32 r3, r4, 4; add.u32 r3, r2, r3; add.u32 r2, r2, r4;
)";
/// The word of another warp in r3.
const std::string wordsOfWarps = R"(
  .shared .align 4 .b8 tile[256];
  mov.u32 r2, tile; shl.b32 r4, r1, 2;
  xor.b32 r3, r4, 128; add.u32 r3, r2, r3; add.u32 r2, r2, r4;
)";

} // namespace

std::span<const PlantedBug> plantedMemory() {
  static const std::vector<PlantedBug> bugs = {
      {.check = "uninitialised-memory",
       .name = "global",
       .body = "  ld.global.u32 r2, [PLANT];\n",
       .bug = "d5",
       .clean = "d4",
       .buffer = "'out'"},
      {.check = "uninitialised-memory",
       .name = "globalWrittenByHalf",
       .body = "  PLANT [d5], r1;\n  ld.global.u32 r2, [d5];\n",
       .bug = "cvt.u16.u32 h2, r1; st.global.u16 [d5], h2; //",
       .clean = "st.global.u32",
       .buffer = "'out'"},
      {.check = "uninitialised-memory",
       .name = "shared",
       .body = words + "PLANT\n  bar.warp.sync 0xffffffff;\n  ld.shared.u32 r5, [r2];\n",
       .clean = "st.shared.u32 [r2], r1;",
       .buffer = "'tile'"},
      {.check = "uninitialised-memory",
       .name = "atomic",
       .body = "  atom.global.add.u32 r2, [PLANT], 1;\n",
       .bug = "d2",
       .clean = "d1",
       .buffer = "'out'"},
      {.check = "uninitialised-register",
       .name = "onOnePath",
       .body = R"(
  setp.lt.u32 p1, r1, 7;
  @p1 bra SMALL;
  mov.b32 r2, 5;
  bra JOIN;
SMALL:
  PLANT
JOIN:
  add.u32 r3, r2, 1;
  st.global.u32 [d5], r3;
)",
       .clean = "mov.b32 r2, 6;",
       .part = "add.u32 r3, r2, 1"},
      {.check = "uninitialised-register",
       .name = "throughAMove",
       .body = "  PLANT\n  mov.b32 r3, r2;\n  mul.lo.u32 r4, r3, 3;\n  st.global.u32 [d5], r4;\n",
       .clean = "mov.b32 r2, 6;",
       .part = "mul.lo.u32 r4, r3, 3"},
      {.check = "shared-race",
       .name = "missingBarrier",
       .body = wordsOfWarps + R"(
  st.shared.u32 [r2], r1;
  PLANT
  ld.shared.u32 r5, [r3];
)",
       .clean = "bar.sync 0;",
       .buffer = "'tile'",
       .block = {64},
       .others = {"uninitialised-memory"}},
      {.check = "shared-race",
       .name = "missingBarrierBeforeTheNextRound",
       .body = wordsOfWarps + R"(
  mov.u32 r6, 0;
LOOP:
  add.u32 r7, r1, r6;
  st.shared.u32 [r2], r7;
  bar.sync 0;
  ld.shared.u32 r5, [r3];
  PLANT
  add.u32 r6, r6, 1;
  setp.lt.u32 p1, r6, 4;
  @p1 bra LOOP;
)",
       .clean = "bar.sync 0;",
       .buffer = "'tile'",
       .block = {64}},
      {.check = "shared-race",
       .name = "missingSyncOfTheWarp",
       .body = words + "  st.shared.u32 [r2], r1;\n  PLANT\n  ld.shared.u32 r5, [r3];\n",
       .clean = "bar.warp.sync 0xffffffff;",
       .buffer = "'tile'",
       .part = "thread (1, 0, 0) writes"},
      {.check = "shared-race",
       .name = "wrongNamedBarrier",
       .body = wordsOfWarps + R"(
  st.shared.u32 [r2], r1;
  shr.u32 r6, r1, 5;
  PLANT
  ld.shared.u32 r5, [r3];
)",
       .bug = "bar.sync r6, 32;", // each warp meets itself alone
       .clean = "bar.sync 1, 64;",
       .buffer = "'tile'",
       .block = {64},
       .others = {"uninitialised-memory"}},
      {.check = "global-race",
       .name = "betweenBlocks",
       .body = R"(
  mov.u32 r2, %ctaid.x;
  mul.wide.u32 d6, r2, 4;
  add.s64 d6, d1, d6;
  PLANT
)",
       .bug = "st.global.u32 [d6], r2; ld.global.u32 r3, [d6+4];",
       .clean = "st.global.u32 [d6], r2; ld.global.u32 r3, [d6];",
       .buffer = "'in'",
       .grid = {16},
       .block = {1}},
      {.check = "global-race",
       .name = "sumWithoutAnAtomic",
       .body = "PLANT",
       .bug = "ld.global.u32 r2, [d1]; add.u32 r2, r2, 1; st.global.u32 [d1], r2;",
       .clean = "red.global.add.u32 [d1], 1;",
       .buffer = "'in'",
       .grid = {8},
       .block = {1}},
      {.check = "global-race",
       .name = "betweenWarps",
       .body = R"(
  st.global.u32 [d5], r1;
  PLANT
  xor.b32 r2, r1, 32;
  mul.wide.u32 d6, r2, 4; add.s64 d6, d2, d6;
  ld.global.u32 r3, [d6];
)",
       .clean = "bar.sync 0;",
       .buffer = "'out'",
       .block = {64},
       .others = {"uninitialised-memory"}},
  };
  return bugs;
}

} // namespace ingot::emulator::test
