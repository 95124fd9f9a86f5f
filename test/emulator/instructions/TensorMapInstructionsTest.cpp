/// tensormap.replace, tensormap.cp_fenceproxy and fence.proxy.tensormap: maps that kernels change
/// and make. What each field does to a map is in TensorMapTest.cpp.
#include "runtime/emulator/machine/TensorMap.h"
#include "test/emulator/instructions/InstructionHarness.h"
#include "test/emulator/machine/AsyncSupport.h"

namespace ingot::emulator::test {
namespace {

/// A matrix of 16 x 8 numbers, taken whole.
std::array<uint8_t, 128> matrixAt(uint64_t address) {
  const std::array<uint64_t, 2> dimensions{16, 8};
  const uint64_t stride = 64;
  const std::array<uint32_t, 2> box{16, 8}, steps{1, 1};
  const Result<TensorMap> map = TensorMap::make({.dataType = uint32_t(TensorElement::U32),
                                                 .rank = 2,
                                                 .address = address,
                                                 .dimensions = dimensions.data(),
                                                 .strides = &stride,
                                                 .box = box.data(),
                                                 .elementStrides = steps.data()});
  EXPECT_TRUE(map) << map.error().text();
  std::array<uint8_t, 128> bytes;
  map->encode(bytes.data());
  return bytes;
}

/// A warp that makes a map, loads the matrix with it and stores the numbers. `make` leaves the map
/// in `maps`, global memory: %rd1 is its address, %rd2 that of 128 bytes to begin with, %rd3 the
/// matrix's; %r1 the lane, %r2 the address of 128 bytes of shared memory.
std::string replaceKernel(std::string_view make) {
  return kernel(".param .u64 maps, .param .u64 from, .param .u64 matrix, .param .u64 to",
                fmt::format(R"(
.shared .align 128 .b8 tile[512];
.shared .align 128 .b8 map[128];
.shared .align 8 .b64 full;
ld.param.u64 %rd1, [maps];
ld.param.u64 %rd2, [from];
ld.param.u64 %rd3, [matrix];
ld.param.u64 %rd4, [to];
mov.u32 %r1, %tid.x;
mov.u32 %r2, map;
mov.u32 %r3, tile;
mov.u32 %r4, full;
mul.wide.u32 %rd5, %r1, 4;
setp.eq.u32 %p1, %r1, 0;
@%p1 mbarrier.init.shared::cta.b64 [%r4], 1;
@%p1 fence.mbarrier_init.release.cluster;
{}
@%p1 mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r4], 512;
@%p1 cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r3], [%rd1, {{0, 0}}], [%r4];
WAIT:
mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r4], 0;
@!%p2 bra WAIT;
add.u64 %rd4, %rd4, %rd5;
shl.b32 %r5, %r1, 2;
add.u32 %r5, %r5, %r3;
ld.shared.b32 %r6, [%r5];
st.global.b32 [%rd4], %r6;
ld.shared.b32 %r6, [%r5+128];
st.global.b32 [%rd4+128], %r6;
ld.shared.b32 %r6, [%r5+256];
st.global.b32 [%rd4+256], %r6;
ld.shared.b32 %r6, [%r5+384];
st.global.b32 [%rd4+384], %r6;
)",
                            make));
}

/// Copies the 128 bytes that the kernel is given, to shared memory.
const std::string copyToShared = R"(
add.u64 %rd6, %rd2, %rd5;
ld.global.b32 %r7, [%rd6];
shl.b32 %r8, %r1, 2;
add.u32 %r8, %r8, %r2;
st.shared.b32 [%r8], %r7;
bar.warp.sync 0xffffffff;
)";
const std::string publish = "bar.warp.sync 0xffffffff;\n"
                            "tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release."
                            "gpu.sync.aligned [%rd1], "
                            "[%r2], 128;\n"
                            "fence.proxy.tensormap::generic.acquire.gpu [%rd1], 128;\n";
const std::string copyToGlobal = R"(
add.u64 %rd6, %rd2, %rd5;
ld.global.b32 %r7, [%rd6];
add.u64 %rd7, %rd1, %rd5;
st.global.b32 [%rd7], %r7;
bar.warp.sync 0xffffffff;
)";
const std::string fences = "fence.proxy.tensormap::generic.release.gpu;\n"
                           "bar.warp.sync 0xffffffff;\n"
                           "fence.proxy.tensormap::generic.acquire.gpu [%rd1], 128;\n";
/// Every field of a map that was zeros.
const std::string everyField = [] {
  std::string text;
  for (const char *field :
       {"global_address.shared::cta.b1024.b64 [%r2], %rd3", "rank.shared::cta.b1024.b32 [%r2], 1",
        "box_dim.shared::cta.b1024.b32 [%r2], 0, 16", "box_dim.shared::cta.b1024.b32 [%r2], 1, 8",
        "global_dim.shared::cta.b1024.b32 [%r2], 0, 16",
        "global_dim.shared::cta.b1024.b32 [%r2], 1, 8",
        "global_stride.shared::cta.b1024.b64 [%r2], 0, 64",
        "element_stride.shared::cta.b1024.b32 [%r2], 0, 1",
        "element_stride.shared::cta.b1024.b32 [%r2], 1, 1",
        "elemtype.shared::cta.b1024.b32 [%r2], 2",
        "interleave_layout.shared::cta.b1024.b32 [%r2], 0",
        "swizzle_mode.shared::cta.b1024.b32 [%r2], 0", "fill_mode.shared::cta.b1024.b32 [%r2], 0"})
    text += fmt::format("@%p1 tensormap.replace.tile.{};\n", field);
  return text;
}();

TEST(TensorMapInstructions, kernelsChangeAndMakeMaps) {
  struct Way {
    std::string make;
    bool fromZeros = false;
  };
  const std::vector<Way> ways = {
      {copyToShared +
       "@%p1 tensormap.replace.tile.global_address.shared::cta.b1024.b64 [%r2], %rd3;\n" + publish},
      {copyToShared + everyField + publish, true},
      {copyToGlobal +
       "@%p1 tensormap.replace.tile.global_address.global.b1024.b64 [%rd1], %rd3;\n" + fences},
      {copyToGlobal + "@%p1 tensormap.replace.tile.global_address.b1024.b64 [%rd1], %rd3;\n" +
       fences},
      {copyToShared +
       "cvt.u64.u32 %rd8, %r2;\ncvta.shared.u64 %rd8, %rd8;\n"
       "@%p1 tensormap.replace.tile.global_address.b1024.b64 [%rd8], %rd3;\n" +
       publish},
  };
  for (const auto &[make, fromZeros] : ways) {
    SCOPED_TRACE(make);
    Device device(replaceKernel(make));
    const uint64_t matrix = device.upload(numbers(128, 1000));
    const uint64_t other = device.upload(numbers(128, 5000));
    const std::array<uint8_t, 128> start = fromZeros ? std::array<uint8_t, 128>{} : matrixAt(other);
    const uint64_t maps = device.upload(std::vector<uint8_t>(128, 0xcc));
    const uint64_t to = device.upload(std::vector<uint32_t>(128));
    device.launch("kernel", {1}, {32}, maps,
                  device.upload(std::vector<uint8_t>(start.begin(), start.end())), matrix, to);
    EXPECT_EQ(device.download<uint32_t>(to, 128), numbers(128, 1000));
  }
}

TEST(TensorMapInstructions, whatIsNoMapIsFound) {
  for (const auto &[make, part] :
       {std::pair(copyToShared +
                      "@%p1 tensormap.replace.tile.rank.shared::cta.b1024.b32 [%r2], 1;\n" +
                      publish,
                  "neither a tensor map nor zeros"),
        {copyToShared + publish, "were not written by cuTensorMapEncode"}}) {
    Device device(replaceKernel(make));
    device.expectFindings = true;
    const uint64_t numbersOf = device.upload(numbers(128));
    const LaunchResult result =
        device.launch("kernel", {1}, {32}, device.upload(std::vector<uint8_t>(128)),
                      device.upload(std::vector<uint8_t>(128, 0x5a)), numbersOf,
                      device.upload(std::vector<uint32_t>(128)));
    EXPECT_TRUE(finds(result, part));
  }
}

// What the assembler refuses.
TEST(TensorMapInstructions, refusals) {
  for (const char *text : {
           "tensormap.replace.tile.global_address.shared.b1024.b64 [ra], c64",
           "tensormap.replace.tile.global_address.shared::cta.b1024.b32 [a32], b32",
           "tensormap.replace.tile.rank.shared::cta.b1024.b64 [a32], b64",
           "tensormap.replace.tile.box_dim.shared::cta.b1024.b32 [a32], b32, c32",
           "tensormap.replace.tile.box_dim.shared::cta.b1024.b32 [a32], 5, c32",
           "tensormap.replace.tile.box_dim.shared::cta.b1024.b32 [a32], c32",
           "tensormap.replace.tile.global_stride.shared::cta.b1024.b32 [a32], 1, c32",
           "tensormap.replace.tile.elemtype.shared::cta.b1024.b32 [a32], c32",
           "tensormap.replace.tile.elemtype.shared::cta.b1024.b32 [a32], 13",
           "tensormap.replace.tile.interleave_layout.shared::cta.b1024.b32 [a32], 3",
           "tensormap.replace.tile.swizzle_mode.shared::cta.b1024.b32 [a32], 4",
           "tensormap.replace.tile.swizzle_atomicity.shared::cta.b1024.b32 [a32], 0",
           "tensormap.replace.tile.fill_mode.shared::cta.b1024.b32 [a32], 2",
           "tensormap.replace.im2col.rank.shared::cta.b1024.b32 [a32], 2",
           "tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.gpu.sync.aligned "
           "[ra], [a32], 64",
           "tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.acquire.gpu.sync.aligned "
           "[ra], [a32], 128",
           "tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.gpu [ra], [a32], "
           "128",
           "tensormap.cp_fenceproxy.global.shared.tensormap::generic.release.gpu.sync.aligned "
           "[ra], "
           "[a32], 128",
           "fence.proxy.tensormap::generic.acquire.gpu [ra], 64",
           "fence.proxy.tensormap::generic.acquire.gpu",
           "fence.proxy.tensormap::generic.release.gpu [ra], 128",
           "fence.proxy.tensormap::generic.acquire.gpu [ra], b32",
           "fence.proxy.tensormap",
       })
    EXPECT_FALSE(decodes(text)) << text;
  const char *replace = "tensormap.replace.tile.rank.shared::cta.b1024.b32 [a32], b32";
  EXPECT_TRUE(decodes(replace, "sm_90a"));
  EXPECT_TRUE(decodes(replace, "sm_120f"));
  EXPECT_FALSE(decodes(replace, "sm_90"));
  EXPECT_FALSE(decodes(replace, "sm_100"));
  const char *fence = "fence.proxy.tensormap::generic.release.sys";
  EXPECT_TRUE(decodes(fence, "sm_90"));
  EXPECT_FALSE(decodes(fence, "sm_80"));
  // Modes of tensor copies, by chip.
  const char *gather = "cp.async.bulk.tensor.2d.shared::cluster.global.tile::gather4.mbarrier::"
                       "complete_tx::bytes [a32], [ra, {b32, b32, b32, b32, b32}], [c32]";
  const char *ownGather = "cp.async.bulk.tensor.2d.shared::cta.global.tile::gather4.mbarrier::"
                          "complete_tx::bytes [a32], [ra, {b32, b32, b32, b32, b32}], [c32]";
  const char *scatter = "cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.tile::scatter4."
                        "bulk_group [ra, {b32, b32, b32, b32, b32}], [a32]";
  EXPECT_TRUE(decodes(gather, "sm_100a") && decodes(gather, "sm_103f"));
  EXPECT_FALSE(decodes(gather, "sm_100") || decodes(gather, "sm_90a") ||
               decodes(gather, "sm_120a"));
  EXPECT_TRUE(decodes(ownGather, "sm_100") && decodes(ownGather, "sm_120a"));
  EXPECT_FALSE(decodes(ownGather, "sm_90a"));
  EXPECT_TRUE(decodes(scatter, "sm_110a"));
  EXPECT_FALSE(decodes(scatter, "sm_90a"));
  for (const char *text : {
           "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes "
           "[a32], "
           "[ra, {b32, b32, b32, b32}], [c32]",
           "cp.async.bulk.tensor.2d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes "
           "[a32], "
           "[ra, {b32, b32}], [c32], {a16}",
           "cp.async.bulk.tensor.3d.global.shared::cta.im2col.bulk_group [ra, {b32, b32, b32}], "
           "[a32]",
           "cp.async.bulk.tensor.3d.shared::cluster.global.tile::gather4.mbarrier::complete_tx::"
           "bytes "
           "[a32], [ra, {b32, b32, b32, b32, b32}], [c32]",
       })
    EXPECT_FALSE(decodes(text, "sm_100a")) << text;
}

} // namespace
} // namespace ingot::emulator::test
