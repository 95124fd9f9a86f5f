// Accesses outside of what they may touch, in every space.
#include "test/emulator/checks/planted/PlantedBug.h"

namespace ingot::emulator::test {

namespace {

const std::string tile = "  .shared .align 16 .b8 tile[64];\n";
const std::string table = ".const .align 16 .b32 table[4] = {1, 2, 3, 4};\n";
const std::string leader = "  setp.ne.u32 p1, r1, 0;\n  @p1 bra DONE;\n";

/// Two blocks; PLANT has the address of the other's `tile` in r3. It ends with both alive.
const std::string neighbour = tile + R"(
  mov.u32 r2, tile;
  mov.u32 r4, %cluster_ctarank;
  xor.b32 r4, r4, 1;
  mapa.shared::cluster.u32 r3, r2, r4;
  setp.ne.u32 p1, r1, 0;
  @p1 bra DONE;
  PLANT
DONE:
  barrier.cluster.arrive;
  barrier.cluster.wait;
)";

void divideOut(Device &, uint64_t out, bool) {
  ASSERT_TRUE(emulatedMemory().divide(out, {{0, 128, "weight"}, {256, 128, "gradient"}}));
}

void freeOut(Device &device, uint64_t out, bool bug) {
  if (bug)
    device.free(out);
}

} // namespace

std::span<const PlantedBug> plantedBounds() {
  static const std::vector<PlantedBug> bugs = {
      {.check = "out-of-bounds",
       .name = "global",
       .body = "PLANT",
       .bug = "ld.global.u32 r2, [d1+4096];",
       .clean = "ld.global.u32 r2, [d1+4092];",
       .buffer = "'in'"},
      {.check = "out-of-bounds",
       .name = "globalVectorOverTheEnd",
       .body = "PLANT",
       .bug = "st.global.v4.u32 [d2+4096], {r1, r1, r1, r1};",
       .clean = "st.global.v4.u32 [d2+4080], {r1, r1, r1, r1};",
       .buffer = "'out'",
       .block = {1}},
      {.check = "out-of-bounds",
       .name = "atomic",
       .body = "PLANT",
       .bug = "atom.global.add.u32 r2, [d1+-4], 1;",
       .clean = "atom.global.add.u32 r2, [d1], 1;",
       .buffer = "4 bytes before 'in'"},
      {.check = "out-of-bounds",
       .name = "betweenThePartsOfAnArena",
       .body = leader + "PLANT\nDONE:",
       .bug = "st.global.u32 [d2+128], r1;",
       .clean = "st.global.u32 [d2+256], r1;",
       .buffer = "0 bytes behind the end of 'weight'",
       .prepare = divideOut},
      {.check = "out-of-bounds",
       .name = "overTheEndOfAPart",
       .body = leader + "PLANT\nDONE:",
       .bug = "st.global.v2.u32 [d2+376], {r1, r1}; st.global.u64 [d2+384], d1;",
       .clean = "st.global.v2.u32 [d2+376], {r1, r1};",
       .buffer = "'gradient'",
       .prepare = divideOut},
      {.check = "out-of-bounds",
       .name = "shared",
       .body = tile + leader + "PLANT\nDONE:",
       .bug = "st.shared.u32 [tile+64], r1;",
       .clean = "st.shared.u32 [tile+60], r1;",
       .buffer = "behind the end of 'tile' (64 bytes)"},
      {.check = "out-of-bounds",
       .name = "sharedOfTheCluster",
       .body = neighbour,
       .bug = "st.shared::cluster.u32 [r3+64], r1;",
       .clean = "st.shared::cluster.u32 [r3+60], r1;",
       .buffer = "'tile'",
       .grid = {2},
       .cluster = {2}},
      {.check = "out-of-bounds",
       .name = "noSuchBlockInTheCluster",
       .body = neighbour,
       .bug = "add.u32 r3, r3, 0x2000000; st.shared::cluster.u32 [r3], r1;",
       .clean = "st.shared::cluster.u32 [r3], r1;",
       .grid = {2},
       .cluster = {2},
       .part = "not in this block's shared memory"},
      {.check = "out-of-bounds",
       .name = "anotherBlocksSharedMemory",
       .body = neighbour,
       .bug = "st.shared.u32 [r3], r1;",
       .clean = "st.shared::cluster.u32 [r3], r1;",
       .grid = {2},
       .cluster = {2},
       .part = "not in this block's shared memory"},
      {.check = "out-of-bounds",
       .name = "local",
       .body = "  .local .align 4 .b8 stack[16];\n  PLANT",
       .bug = "st.local.u32 [stack+16], r1;",
       .clean = "st.local.u32 [stack+12], r1;",
       .buffer = "'stack'"},
      {.check = "out-of-bounds",
       .name = "param",
       .body = "  mov.b64 d6, n;\n  cvta.param.u64 d6, d6;\n  PLANT",
       .bug = "ld.u32 r2, [d6+4];",
       .clean = "ld.u32 r2, [d6];",
       .buffer = "'n'"},
      {.check = "out-of-bounds",
       .name = "const",
       .body = "  mov.u64 d6, table;\n  PLANT",
       .bug = "ld.const.u32 r2, [d6+16];",
       .clean = "ld.const.u32 r2, [d6+12];",
       .buffer = "'table'",
       .module = table},
      {.check = "out-of-bounds",
       .name = "writeToConst",
       .body = "  mov.u64 d6, table;\n  cvta.const.u64 d6, d6;\n  PLANT",
       .bug = "st.u32 [d6], r1;",
       .clean = "ld.u32 r2, [d6];",
       .buffer = "'table'",
       .module = table},
      {.check = "out-of-bounds",
       .name = "sourceOfACopy",
       .body =
           "  .shared .align 16 .b8 tile[512];\n  mov.u32 r2, tile; mad.lo.u32 r2, r1, 16, r2;\n"
           "  PLANT\n  cp.async.wait_all;",
       .bug = "cp.async.ca.shared.global [r2], [d1+4096], 16;",
       .clean = "cp.async.ca.shared.global [r2], [d1+4080], 16;",
       .buffer = "'in'"},
      {.check = "out-of-bounds",
       .name = "destinationOfACopy",
       .body =
           "  .shared .align 16 .b8 tile[512];\n  mov.u32 r2, tile; mad.lo.u32 r2, r1, 16, r2;\n"
           "  PLANT\n  cp.async.wait_all;",
       .bug = "cp.async.ca.shared.global [r2+16], [d1], 16;",
       .clean = "cp.async.ca.shared.global [r2], [d1], 16;",
       .buffer = "'tile'"},
      {.check = "misaligned",
       .name = "global",
       .body = "PLANT",
       .bug = "ld.global.u32 r2, [d1+2];",
       .clean = "ld.global.u16 h2, [d1+2];",
       .buffer = "'in'"},
      {.check = "misaligned",
       .name = "globalVector",
       .body = "PLANT",
       .bug = "ld.global.v4.u32 {r2, r3, r4, r5}, [d1+8];",
       .clean = "ld.global.v2.u32 {r2, r3}, [d1+8];",
       .buffer = "'in'"},
      {.check = "misaligned",
       .name = "shared",
       .body = tile + leader + "PLANT\nDONE:",
       .bug = "st.shared.u64 [tile+4], d1;",
       .clean = "st.shared.u64 [tile+8], d1;",
       .buffer = "'tile'"},
      {.check = "misaligned",
       .name = "sharedOfTheCluster",
       .body = neighbour,
       .bug = "st.shared::cluster.u32 [r3+1], r1;",
       .clean = "st.shared::cluster.u32 [r3+4], r1;",
       .buffer = "'tile'",
       .grid = {2},
       .cluster = {2}},
      {.check = "misaligned",
       .name = "local",
       .body = "  .local .align 8 .b8 stack[16];\n  PLANT",
       .bug = "st.local.u32 [stack+2], r1;",
       .clean = "st.local.u32 [stack+4], r1;",
       .buffer = "'stack'"},
      {.check = "misaligned",
       .name = "param",
       .body = "  mov.b64 d6, out;\n  cvta.param.u64 d6, d6;\n  PLANT",
       .bug = "ld.u64 d7, [d6+4];",
       .clean = "ld.u64 d7, [d6];",
       .buffer = "'out'"},
      {.check = "misaligned",
       .name = "const",
       .body = "  mov.u64 d6, table;\n  PLANT",
       .bug = "ld.const.u64 d7, [d6+4];",
       .clean = "ld.const.u64 d7, [d6+8];",
       .buffer = "'table'",
       .module = table},
      {.check = "misaligned",
       .name = "atomic",
       .body = "PLANT",
       .bug = "atom.global.add.u32 r2, [d1+1], 1;",
       .clean = "atom.global.add.u32 r2, [d1+4], 1;",
       .buffer = "'in'"},
      {.check = "misaligned",
       .name = "copy",
       .body =
           "  .shared .align 16 .b8 tile[512];\n  mov.u32 r2, tile; mad.lo.u32 r2, r1, 16, r2;\n"
           "  PLANT\n  cp.async.wait_all;",
       .bug = "cp.async.ca.shared.global [r2], [d1+8], 16;",
       .clean = "cp.async.ca.shared.global [r2], [d1+16], 16;",
       .buffer = "'in'"},
      {.check = "use-after-free",
       .name = "store",
       .body = "  st.global.u32 [d5], r1;\n",
       .buffer = "'out'",
       .prepare = freeOut},
      {.check = "use-after-free",
       .name = "copy",
       .body = "  .shared .align 16 .b8 tile[64];\n" + leader + R"(
  st.shared.u32 [tile], r1; st.shared.u32 [tile+4], r1;
  st.shared.u32 [tile+8], r1; st.shared.u32 [tile+12], r1;
  fence.proxy.async.shared::cta;
  mov.u32 r2, tile;
  cp.async.bulk.global.shared::cta.bulk_group [d2], [r2], 16;
  cp.async.bulk.commit_group;
  cp.async.bulk.wait_group 0;
DONE:)",
       .buffer = "'out'",
       .prepare = freeOut},
      {.check = "ended-block", // the first block takes its time
       .name = "store",
       .body = tile + R"(
  mov.u32 r4, %cluster_ctarank;
  setp.ne.u32 p2, r4, 0;
  @p2 bra DONE;
  mov.u32 r2, tile;
  mapa.shared::cluster.u32 r3, r2, 1;
  mov.u32 r5, 0;
LOOP:
  add.u32 r5, r5, 1;
  setp.lt.u32 p1, r5, 20000;
  @p1 bra LOOP;
  setp.ne.u32 p1, r1, 0;
  @p1 bra DONE;
  st.shared::cluster.u32 [r3], r1;
DONE:
  PLANT)",
       .clean = "barrier.cluster.arrive; barrier.cluster.wait;",
       .buffer = "'tile'",
       .grid = {2},
       .cluster = {2}},
  };
  return bugs;
}

} // namespace ingot::emulator::test
