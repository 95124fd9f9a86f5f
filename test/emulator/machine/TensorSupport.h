/// Kernels that copy one tile of a tensor.
#pragma once
#include "test/emulator/machine/AsyncSupport.h"

namespace ingot::emulator::test {

/// "{%r10, %r11}": the coordinates of a tile in the kernels below.
inline std::string coordinateList(int count) {
  std::string text = "{";
  for (int i = 0; i < count; ++i)
    text += fmt::format("{}%r{}", i ? ", " : "", 10 + i);
  return text + "}";
}

/// What such a kernel is given: the map, a buffer for the tile's bytes, the coordinates, three
/// offsets for %h1 to %h3 and the number of bytes.
struct TileParameters {
  std::array<uint8_t, 128> map;
  uint64_t buffer;
  std::array<int32_t, 5> at;
  std::array<uint16_t, 3> offsets{};
  uint16_t unused = 0;
  uint32_t bytes;
};

/// A kernel for one thread that executes `copy`, an instruction with the tile at [%r2], the map at
/// %rd1, coordinates from %r10 on and the barrier [%r3]. A load goes on to the buffer, a store
/// begins there.
inline std::string tileKernel(bool loads, std::string_view copy,
                              std::string_view target = "sm_90a") {
  std::string body = R"(
.shared .align 1024 .b8 tile[32768];
.shared .align 8 .b64 full;
mov.b64 %rd1, map;
cvta.param.u64 %rd1, %rd1;
ld.param.u64 %rd2, [buffer];
mov.u32 %r1, %tid.x;
mov.u32 %r2, tile;
mov.u32 %r3, full;
)";
  for (int i = 0; i < 5; ++i)
    body += fmt::format("ld.param.b32 %r{}, [at+{}];\n", 10 + i, 4 * i);
  for (int i = 0; i < 3; ++i)
    body += fmt::format("ld.param.b16 %h{}, [offsets+{}];\n", 1 + i, 2 * i);
  // Copies `bytes` of the buffer to shared memory or back.
  const std::string_view move = loads ? "ld.shared.b16 %h1, [%r5];\nst.global.b16 [%rd3], %h1;"
                                      : "ld.global.b16 %h1, [%rd3];\nst.shared.b16 [%r5], %h1;";
  const std::string loop = fmt::format(R"(
ld.param.b32 %r4, [bytes];
mov.u32 %r6, 0;
LOOP:
add.u32 %r5, %r2, %r6;
mul.wide.u32 %rd4, %r6, 1;
add.u64 %rd3, %rd2, %rd4;
{}
add.u32 %r6, %r6, 2;
setp.lt.u32 %p3, %r6, %r4;
@%p3 bra LOOP;
)",
                                       move);
  if (loads)
    body += fmt::format(R"(
mbarrier.init.shared::cta.b64 [%r3], 1;
fence.mbarrier_init.release.cluster;
ld.param.b32 %r4, [bytes];
mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r3], %r4;
{};
WAIT:
mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r3], 0;
@!%p1 bra WAIT;
{})",
                        copy, loop);
  else
    body += fmt::format(R"({}
fence.proxy.async.shared::cta;
{};
cp.async.bulk.commit_group;
cp.async.bulk.wait_group 0;
)",
                        loop, copy);
  std::string text =
      kernel(".param .align 64 .b8 map[128], .param .u64 buffer, .param .align 4 .b8 at[20], "
             ".param .align 2 .b8 offsets[8], .param .u32 bytes",
             body);
  const std::string_view usual = ".target sm_90a";
  return text.replace(text.find(usual), usual.size(), fmt::format(".target {}", target));
}

/// The load of a tile; `mode` is a modifier, `rest` what follows the barrier.
inline std::string tileLoad(int rank, std::string_view mode, int coordinates,
                            std::string_view rest = "") {
  return fmt::format(
      "cp.async.bulk.tensor.{}d.shared::cluster.global.{}.mbarrier::complete_tx::bytes"
      " [%r2], [%rd1, {}], [%r3]{}",
      rank, mode, coordinateList(coordinates), rest);
}
/// The store of a tile, or its reduction: `.add`.
inline std::string tileStore(int rank, std::string_view mode, int coordinates,
                             std::string_view reduction = "") {
  return fmt::format(
      "cp{}.async.bulk.tensor.{}d.global.shared::cta{}.{}.bulk_group [%rd1, {}], [%r2]",
      reduction.empty() ? "" : ".reduce", rank, reduction, mode, coordinateList(coordinates));
}

} // namespace ingot::emulator::test
