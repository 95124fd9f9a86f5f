// What other proxies do not see, and bulk stores that are not waited for.
#include "runtime/emulator/machine/TensorMap.h"
#include "test/emulator/checks/planted/PlantedBug.h"

namespace ingot::emulator::test {

namespace {

/// A bulk load of 256 bytes of `out`, which the block has just written there.
std::string bulkLoadOfWritten(const std::string &order) {
  return R"(
  .shared .align 16 .b8 tile[256];
  .shared .align 8 .b64 full;
  mov.u32 r2, full; mov.u32 r3, tile;
  st.global.u32 [d5], r1;
)" + order +
         R"(
  bar.sync 0;
  setp.ne.u32 p1, r1, 0;
  @p1 bra DONE;
  mbarrier.init.shared::cta.b64 [r2], 1;
  mbarrier.arrive.expect_tx.shared::cta.b64 d6, [r2], 256;
  cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [r3], [d2], 256, [r2];
WAIT: mbarrier.try_wait.parity.shared::cta.b64 p2, [r2], 0;
  @!p2 bra WAIT;
DONE:
)";
}

/// Copies the tensor map at out[0] to out + 1024 and loads a tile with it; `behind` comes then,
/// before the wait.
std::string tensorMap(const std::string &order, const std::string &behind = "") {
  return R"(
  .shared .align 128 .b8 tile[128];
  .shared .align 8 .b64 full;
  mov.u32 r2, full; mov.u32 r3, tile; mov.u32 r5, 0;
  ld.global.u32 r4, [d5]; st.global.u32 [d5+1024], r4;
  add.s64 d6, d2, 1024;
)" + order +
         R"(
  bar.warp.sync 0xffffffff;
  setp.ne.u32 p1, r1, 0;
  @p1 bra DONE;
  mbarrier.init.shared::cta.b64 [r2], 1;
  mbarrier.arrive.expect_tx.shared::cta.b64 d7, [r2], 128;
  cp.async.bulk.tensor.1d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [r3], [d6, {r5}], [r2];
)" + behind +
         R"(
WAIT: mbarrier.try_wait.parity.shared::cta.b64 p2, [r2], 0;
  @!p2 bra WAIT;
DONE:
)";
}
const std::string mapFences =
    "fence.proxy.tensormap::generic.release.gpu; fence.proxy.tensormap::generic.acquire.gpu [d6], "
    "128;";
void encodeMap(Device &device, uint64_t out, bool) {
  TensorMap map;
  map.element = TensorElement::U32;
  map.rank = 1;
  map.address = out + 2048;
  map.dimensions[0] = 32;
  map.strides[0] = 4;
  map.box[0] = 32;
  map.elementStrides[0] = 1;
  std::vector<uint32_t> values(256, 1);
  device.write(out + 2048, values.data(), 1024);
  std::array<uint8_t, TensorMap::encodedBytes> bytes{};
  map.encode(bytes.data());
  device.write(out, bytes.data(), bytes.size());
}

/// A bulk store by one thread of the first warp; `behind` is the thread's, then all read.
std::string bulkStore(const std::string &behind, const std::string &then) {
  return R"(
  .shared .align 16 .b8 tile[256];
  mov.u32 r3, tile; shl.b32 r4, r1, 2; add.u32 r4, r3, r4;
  st.shared.u32 [r4], r1;
  fence.proxy.async.shared::cta;
  bar.sync 0;
  setp.ne.u32 p1, r1, 0;
  @p1 bra STORED;
  cp.async.bulk.global.shared::cta.bulk_group [d2], [r3], 256;
  cp.async.bulk.commit_group;
  mov.u32 r5, 0;
SPIN: add.u32 r5, r5, 1; setp.lt.u32 p2, r5, 3000; @p2 bra SPIN;
)" + behind +
         "\nSTORED:\n" + then + "\n";
}

} // namespace

std::span<const PlantedBug> plantedProxies() {
  static const std::vector<PlantedBug> bugs = {
      // Other proxies.
      {.check = "proxy-fence",
       .name = "bulkLoadOfWrittenGlobalMemory",
       .body = bulkLoadOfWritten("  PLANT\n"),
       .clean = "fence.proxy.async;",
       .buffer = "'out'",
       .block = {64}},
      {.check = "tensormap-fence",
       .name = "writtenMap",
       .body = tensorMap("  PLANT\n"),
       .clean = mapFences,
       .buffer = "'out'",
       .others = {"uninitialised-memory"},
       .prepare = encodeMap},
      {.check = "async",
       .name = "tensorMapChangedInFlight",
       .body = tensorMap("  " + mapFences, "  PLANT st.global.u32 [d6+124], r1;"),
       .clean = "//",
       .buffer = "'out'",
       .others = {"uninitialised-memory"},
       .prepare = encodeMap},
      {.check = "non-coherent",
       .name = "writtenLater",
       .body = "  ld.global.PLANTu32 r2, [d4]; bar.warp.sync 0xffffffff;\n"
               "  add.u32 r2, r2, 1; st.global.u32 [d4], r2;\n",
       .bug = "nc.",
       .buffer = "'in'"},
      {.check = "non-coherent",
       .name = "writtenBefore",
       .body = "  st.global.u32 [d5], r1;\n  ld.global.PLANTu32 r2, [d5];\n",
       .bug = "nc.",
       .buffer = "'out'"},
      // Bulk stores.
      {.check = "async",
       .name = "bulkStoreThatNobodyWaitsFor",
       .body = bulkStore("  PLANT", ""),
       .clean = "cp.async.bulk.wait_group.read 0;",
       .block = {64},
       .part = "wait_group.read is missing"},
      {.check = "shared-race",
       .name = "sourceOverwrittenByThoseWhoDidNotWait",
       .body =
           bulkStore("  cp.async.bulk.wait_group.read 0;", "  PLANT\n  st.shared.u32 [r4], r4;"),
       .clean = "bar.sync 0;",
       .buffer = "'tile'",
       .block = {64},
       .others = {"async"}},
      {.check = "async",
       .name = "twoBulkStoresToOnePlace",
       .body = bulkStore(R"(
  PLANT
  cp.async.bulk.global.shared::cta.bulk_group [d2], [r3], 256;
  cp.async.bulk.commit_group;
  cp.async.bulk.wait_group 0;)",
                         ""),
       .clean = "cp.async.bulk.wait_group 0;",
       .buffer = "'out'",
       .block = {64}},
  };
  return bugs;
}

} // namespace ingot::emulator::test
