// What goes on by itself: copies and products that nobody waited for, and fences.
#include "test/emulator/checks/planted/PlantedBug.h"

namespace ingot::emulator::test {

namespace {

/// A bulk load of 256 bytes with an mbarrier. PLANT waits; then every thread reads.
const std::string bulkLoad = R"(
  .shared .align 16 .b8 tile[256];
  .shared .align 8 .b64 full;
  setp.ne.u32 p1, r1, 0;
  mov.u32 r2, full; mov.u32 r3, tile;
  @p1 bra READY;
  mbarrier.init.shared::cta.b64 [r2], 1;
  fence.mbarrier_init.release.cluster;
  mbarrier.arrive.expect_tx.shared::cta.b64 d6, [r2], 256;
  cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [r3], [d1], 256, [r2];
READY:
  bar.sync 0;
  PLANT
  shl.b32 r4, r1, 2; add.u32 r4, r3, r4;
  ld.shared.u32 r5, [r4];
  st.global.u32 [d5], r5;
)";

const std::string bulkLoadOfOneThread = [] {
  const std::string_view barrier = "  bar.sync 0;\n";
  std::string text = bulkLoad;
  return text.erase(text.find(barrier), barrier.size());
}();

std::string waitFor(int parity) {
  return fmt::format("WAIT: mbarrier.try_wait.parity.shared::cta.b64 p2, [r2], {};\n@!p2 bra WAIT;",
                     parity);
}

/// Threads write 256 bytes of `tile`, of which one makes a bulk store.
std::string bulkStore(const std::string &fence, const std::string &end) {
  return R"(
  .shared .align 16 .b8 tile[256];
  mov.u32 r3, tile; shl.b32 r4, r1, 2; add.u32 r4, r3, r4;
  st.shared.u32 [r4], r1;
)" + fence +
         R"(
  bar.sync 0;
  setp.ne.u32 p1, r1, 0;
  @p1 bra DONE;
  cp.async.bulk.global.shared::cta.bulk_group [d2], [r3], 256;
  cp.async.bulk.commit_group;
)" + end +
         "\nDONE:\n";
}

/// Products of ones by a warpgroup: A and B in `tile`, D in f1-f4.
std::string product(const std::string &proxyFence, const std::string &fence,
                    const std::string &end) {
  return R"(
  .shared .align 1024 .b8 tile[4096];
  mov.u32 r2, tile; shl.b32 r3, r1, 4; add.u32 r2, r2, r3;
  mov.b32 r4, 0x3c003c00;
  st.shared.v4.b32 [r2], {r4, r4, r4, r4};
  st.shared.v4.b32 [r2+2048], {r4, r4, r4, r4};
)" + proxyFence +
         R"(
  bar.sync 0;
  mov.u32 r5, tile; shr.u32 r5, r5, 4;
  mov.b32 r6, 0x80000; mov.b32 r7, 0x10;
  or.b32 r5, r5, r6;
  mov.b64 d6, {r5, r7};
  mov.f32 f1, 0f00000000; add.f32 f2, f1, f1; add.f32 f3, f1, f1; add.f32 f4, f1, f1;
)" + fence +
         R"(
  wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {f1, f2, f3, f4}, d6, d6, 1, 1, 1, 0, 0;
  wgmma.commit_group.sync.aligned;
)" + end +
         "\n";
}

const std::string fenceOfProducts = "  wgmma.fence.sync.aligned;\n",
                  fenceOfProxies = "  fence.proxy.async.shared::cta;\n",
                  waitForProducts = "wgmma.wait_group.sync.aligned 0;";

/// The same with A in registers r8 to r11.
const std::string productOfRegisters = R"(
  .shared .align 1024 .b8 tile[2048];
  mov.u32 r2, tile; shl.b32 r3, r1, 4; add.u32 r2, r2, r3;
  mov.b32 r4, 0x3c003c00;
  st.shared.v4.b32 [r2], {r4, r4, r4, r4};
  fence.proxy.async.shared::cta;
  bar.sync 0;
  mov.u32 r5, tile; shr.u32 r5, r5, 4;
  mov.b32 r6, 0x80000; mov.b32 r7, 0x10;
  or.b32 r5, r5, r6;
  mov.b64 d6, {r5, r7};
  mov.b32 r8, r4; mov.b32 r9, r4; mov.b32 r10, r4; mov.b32 r11, r4;
  mov.f32 f1, 0f00000000; mov.f32 f2, f1; mov.f32 f3, f1; mov.f32 f4, f1;
  wgmma.fence.sync.aligned;
  wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {f1, f2, f3, f4}, {r8, r9, r10, r11}, d6, 1, 1, 1, 0;
  wgmma.commit_group.sync.aligned;
  PLANT
  add.u32 r8, r1, 1;
  wgmma.wait_group.sync.aligned 0;
)";

/// cp.async of 16 bytes a thread; each reads its own.
const std::string threadCopy = R"(
  .shared .align 16 .b8 tile[512];
  mov.u32 r2, tile; mad.lo.u32 r2, r1, 16, r2;
  mul.wide.u32 d6, r1, 16; add.s64 d6, d1, d6;
  cp.async.ca.shared.global [r2], [d6], 16;
  PLANT
)";

/// `full` is initialised for 32 arrivals.
const std::string oneBarrier = R"(
  .shared .align 8 .b64 full;
  mov.u32 r2, full;
  setp.ne.u32 p1, r1, 0;
)";
const std::string initialised = oneBarrier + R"(
  @p1 bra READY;
  mbarrier.init.shared::cta.b64 [r2], 32;
READY:
  bar.sync 0;
)";

} // namespace

std::span<const PlantedBug> plantedAsync() {
  static const std::vector<PlantedBug> bugs = {
      {.check = "async",
       .name = "threadCopyWithoutAWait",
       .body = threadCopy + "  ld.shared.u32 r4, [r2];\n",
       .clean = "cp.async.wait_all;",
       .buffer = "'tile'"},
      {.check = "async",
       .name = "threadCopyNotCommitted",
       .body = threadCopy + "  cp.async.wait_group 0;\n  ld.shared.u32 r4, [r2];\n",
       .clean = "cp.async.commit_group;",
       .buffer = "'tile'"},
      {.check = "async",
       .name = "threadCopyOfTheWrongGroup",
       .body = threadCopy + "  ld.shared.u32 r4, [r2];\n",
       .bug = "cp.async.commit_group; cp.async.wait_group 1;",
       .clean = "cp.async.commit_group; cp.async.wait_group 0;",
       .buffer = "'tile'"},
      {.check = "async",
       .name = "threadCopyWrittenOver",
       .body = threadCopy + "  st.shared.u32 [r2], r1;\n",
       .clean = "cp.async.wait_all;",
       .buffer = "'tile'"},
      {.check = "async",
       .name = "bulkLoadWithoutAWait",
       .body = bulkLoad,
       .clean = waitFor(0),
       .buffer = "'tile'",
       .block = {64},
       .others = {"uninitialised-memory"}},
      {.check = "async",
       .name = "bulkLoadWithTheWrongParity", // a wait for the phase before: over at once
       .body = bulkLoadOfOneThread,
       .bug = waitFor(1),
       .clean = waitFor(0),
       .buffer = "'tile'",
       .block = {1},
       .others = {"uninitialised-memory"}},
      {.check = "async",
       .name = "sourceOfABulkStoreWrittenOver",
       .body = bulkStore(fenceOfProxies, R"(
  PLANT
  st.shared.u32 [r4], r4;
  cp.async.bulk.wait_group 0;)"),
       .clean = "cp.async.bulk.wait_group.read 0;",
       .buffer = "'tile'",
       .block = {64}},
      {.check = "async",
       .name = "destinationOfABulkStoreRead",
       .body = bulkStore(fenceOfProxies, R"(
  PLANT
  ld.global.u32 r5, [d2];
  cp.async.bulk.wait_group 0;)"),
       .bug = "cp.async.bulk.wait_group.read 0;",
       .clean = "cp.async.bulk.wait_group 0;",
       .buffer = "'out'",
       .block = {64},
       .others = {"uninitialised-memory"}},
      {.check = "async",
       .name = "accumulatorsRead",
       .body = product(fenceOfProxies, fenceOfProducts, "PLANT\n  st.global.f32 [d5], f1;\n") +
               waitForProducts,
       .clean = waitForProducts,
       .block = {128},
       .part = "reads a register that the wgmma of line"},
      {.check = "async",
       .name = "operandWrittenOver",
       .body = product(fenceOfProxies, fenceOfProducts, "PLANT\n  st.shared.b32 [r2], r4;\n") +
               waitForProducts,
       .clean = waitForProducts,
       .buffer = "'tile'",
       .block = {128},
       .others = {"shared-race"}},
      {.check = "async",
       .name = "registersOfAWrittenOver",
       .body = productOfRegisters,
       .clean = waitForProducts,
       .block = {128},
       .part = "writes a register that the wgmma of line"},
      {.check = "proxy-fence",
       .name = "bulkStore",
       .body = bulkStore("PLANT", "cp.async.bulk.wait_group 0;"),
       .clean = fenceOfProxies,
       .buffer = "'tile'",
       .block = {64}},
      {.check = "proxy-fence",
       .name = "product",
       .body = product("PLANT", fenceOfProducts, waitForProducts),
       .clean = fenceOfProxies,
       .buffer = "'tile'",
       .block = {128}},
      {.check = "wgmma-fence",
       .name = "accumulators",
       .body = product(fenceOfProxies, "PLANT", waitForProducts),
       .clean = fenceOfProducts,
       .block = {128},
       .part = "since the last wgmma.fence"},
      {.check = "mbarrier",
       .name = "notInitialised",
       .body = oneBarrier + R"(
  @p1 bra DONE;
  PLANT
  mbarrier.arrive.shared::cta.b64 d6, [r2];
DONE:
)",
       .clean = "mbarrier.init.shared::cta.b64 [r2], 32;",
       .buffer = "'full'",
       .others = {"uninitialised-memory"}},
      {.check = "mbarrier",
       .name = "initialisedTwice",
       .body = oneBarrier + R"(
  @p1 bra DONE;
  mbarrier.init.shared::cta.b64 [r2], 32;
  PLANT
DONE:
)",
       .bug = "mbarrier.init.shared::cta.b64 [r2], 32;",
       .clean = "mbarrier.inval.shared::cta.b64 [r2]; mbarrier.init.shared::cta.b64 [r2], 32;",
       .buffer = "'full'"},
      {.check = "mbarrier",
       .name = "tooManyArrivals",
       .body = initialised + "PLANT",
       .bug = "mbarrier.arrive.shared::cta.b64 d6, [r2], 33;",
       .clean = "mbarrier.arrive.shared::cta.b64 d6, [r2], 1;",
       .buffer = "'full'"},
      {.check = "mbarrier",
       .name = "writtenOver",
       .body = initialised + "PLANT\n  bar.sync 0;\n  mbarrier.arrive.shared::cta.b64 d6, [r2];\n",
       .bug = "@!p1 st.shared.u64 [r2], d1;",
       .buffer = "'full'",
       .others = {"shared-race"}},
  };
  return bugs;
}

} // namespace ingot::emulator::test
