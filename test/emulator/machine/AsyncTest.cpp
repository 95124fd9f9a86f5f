// Copies that go on by themselves: what they do, what a missing wait does, and what the checks
// find.
#include "test/emulator/machine/AsyncSupport.h"

namespace ingot::emulator {
namespace {

using namespace test;

/// Two groups of copies; the first is read after waiting for all but `allowed`.
std::string twoGroups(int allowed) {
  return kernel(".param .u64 from, .param .u64 to", fmt::format(R"(
.shared .align 16 .b8 tile[1024];
ld.param.u64 %rd1, [from];
ld.param.u64 %rd2, [to];
mov.u32 %r1, %tid.x;
mul.wide.u32 %rd3, %r1, 16;
add.u64 %rd1, %rd1, %rd3;
add.u64 %rd2, %rd2, %rd3;
mov.u32 %r2, tile;
shl.b32 %r3, %r1, 4;
add.u32 %r2, %r2, %r3;
mov.u32 %r4, 0;
st.shared.v4.u32 [%r2], {{%r4, %r4, %r4, %r4}};
cp.async.cg.shared.global [%r2], [%rd1], 16;
cp.async.commit_group;
cp.async.ca.shared.global [%r2+512], [%rd1+512], 16;
cp.async.commit_group;
cp.async.wait_group {};
ld.shared.v4.u32 {{%r5, %r6, %r7, %r8}}, [%r2];
st.global.v4.u32 [%rd2], {{%r5, %r6, %r7, %r8}};
cp.async.wait_all;
)",
                                                                allowed));
}

TEST(Async, copiesLandWhenTheyAreWaitedFor) {
  const std::vector<uint32_t> from = numbers(256);
  const auto right = [&](int allowed) {
    return agreements(32, [&](uint64_t seed) {
      Device device(twoGroups(allowed));
      device.options.seed = seed;
      device.expectFindings = allowed == 2;
      const uint64_t to = device.upload(std::vector<uint32_t>(128));
      device.launch("kernel", {1}, {32}, device.upload(from), to);
      return device.download<uint32_t>(to, 128) == numbers(128);
    });
  };
  EXPECT_EQ(right(1), 32);
  EXPECT_EQ(right(0), 32);
  EXPECT_LT(right(2), 32); // waits for nothing
}

TEST(Async, shortSourcesAreFilledWithZeros) {
  Device device(kernel(".param .u64 from, .param .u64 to", R"(
.shared .align 16 .b8 tile[512];
ld.param.u64 %rd1, [from];
ld.param.u64 %rd2, [to];
mov.u32 %r1, %tid.x;
mul.wide.u32 %rd3, %r1, 16;
add.u64 %rd1, %rd1, %rd3;
add.u64 %rd2, %rd2, %rd3;
mov.u32 %r2, tile;
shl.b32 %r3, %r1, 4;
add.u32 %r2, %r2, %r3;
and.b32 %r4, %r1, 3;
shl.b32 %r4, %r4, 2;
cp.async.cg.shared.global [%r2], [%rd1], 16, %r4;
cp.async.wait_all;
ld.shared.v4.u32 {%r5, %r6, %r7, %r8}, [%r2];
st.global.v4.u32 [%rd2], {%r5, %r6, %r7, %r8};
)"));
  const uint64_t to = device.upload(std::vector<uint32_t>(128));
  device.launch("kernel", {1}, {32}, device.upload(numbers(128)), to);
  const std::vector<uint32_t> out = device.download<uint32_t>(to, 128);
  for (uint32_t i = 0; i < 128; ++i)
    EXPECT_EQ(out[i], i % 4 < i / 4 % 4 ? i + 1 : 0) << i;
}

TEST(Async, ignoredSourcesGiveZeros) {
  for (const bool negated : {false, true}) {
    Device device(kernel(".param .u64 from, .param .u64 to", fmt::format(R"(
.shared .align 16 .b8 tile[128];
ld.param.u64 %rd1, [from];
ld.param.u64 %rd2, [to];
mov.u32 %r1, %tid.x;
mul.wide.u32 %rd3, %r1, 4;
add.u64 %rd1, %rd1, %rd3;
add.u64 %rd2, %rd2, %rd3;
mov.u32 %r2, tile;
shl.b32 %r3, %r1, 2;
add.u32 %r2, %r2, %r3;
setp.lt.u32 %p1, %r1, 8;
cp.async.ca.shared.global [%r2], [%rd1], 4, {}%p1;
cp.async.wait_all;
ld.shared.u32 %r5, [%r2];
st.global.u32 [%rd2], %r5;
)",
                                                                         negated ? "!" : "")));
    const uint64_t to = device.upload(std::vector<uint32_t>(32));
    device.launch("kernel", {1}, {32}, device.upload(numbers(32)), to);
    const std::vector<uint32_t> out = device.download<uint32_t>(to, 32);
    for (uint32_t i = 0; i < 32; ++i)
      EXPECT_EQ(out[i], (i < 8) != negated ? 0 : i + 1) << i;
  }
}

/// A bulk load of 512 bytes by thread 0; `wait` stands before the others read it.
std::string bulkLoad(std::string_view wait) {
  return kernel(
      ".param .u64 from, .param .u64 to",
      fmt::format(
          R"(
.shared .align 16 .b8 tile[512];
.shared .align 8 .b64 full;
ld.param.u64 %rd1, [from];
ld.param.u64 %rd2, [to];
mov.u32 %r1, %tid.x;
mov.u32 %r2, tile;
mov.u32 %r3, full;
shl.b32 %r4, %r1, 2;
add.u32 %r4, %r4, %r2;
mov.u32 %r5, 0;
st.shared.u32 [%r4], %r5;
setp.ne.u32 %p1, %r1, 0;
@%p1 bra READY;
mbarrier.init.shared::cta.b64 [%r3], 1;
fence.mbarrier_init.release.cluster;
fence.proxy.async.shared::cta;
READY:
bar.sync 0;
@%p1 bra WAIT;
mbarrier.arrive.expect_tx.shared::cta.b64 %rd4, [%r3], 512;
cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%rd1], 512, [%r3];
WAIT:
{}
ld.shared.u32 %r6, [%r4];
mul.wide.u32 %rd5, %r1, 4;
add.u64 %rd2, %rd2, %rd5;
st.global.u32 [%rd2], %r6;
bar.sync 0;
{}
)",
          wait,
          wait.empty()
              ? "LATE: mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r3], 0;\n@!%p2 bra LATE;"
              : ""));
}

TEST(Async, bulkLoadsSignalTheirBarrier) {
  const auto right = [&](std::string_view wait) {
    return agreements(32, [&](uint64_t seed) {
      Device device(bulkLoad(wait));
      device.options.seed = seed;
      device.expectFindings = wait.empty();
      const uint64_t to = device.upload(std::vector<uint32_t>(128));
      device.launch("kernel", {1}, {128}, device.upload(numbers(128)), to);
      return device.download<uint32_t>(to, 128) == numbers(128);
    });
  };
  EXPECT_EQ(
      right("AGAIN: mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r3], 0;\n@!%p2 bra AGAIN;"),
      32);
  EXPECT_EQ(
      right("AGAIN: mbarrier.test_wait.parity.shared::cta.b64 %p2, [%r3], 0;\n@!%p2 bra AGAIN;"),
      32);
  EXPECT_LT(right(""), 32);
}

/// A bulk store of 512 bytes by thread 0, which then overwrites its source.
std::string bulkStore(std::string_view wait) {
  return kernel(".param .u64 to", fmt::format(R"(
.shared .align 16 .b8 tile[512];
ld.param.u64 %rd2, [to];
mov.u32 %r1, %tid.x;
mov.u32 %r2, tile;
shl.b32 %r4, %r1, 2;
add.u32 %r4, %r4, %r2;
add.u32 %r5, %r1, 1;
st.shared.u32 [%r4], %r5;
fence.proxy.async.shared::cta;
bar.sync 0;
setp.ne.u32 %p1, %r1, 0;
@%p1 bra DONE;
cp.async.bulk.global.shared::cta.bulk_group [%rd2], [%r2], 512;
cp.async.bulk.commit_group;
{}
mov.u32 %r6, 0;
st.shared.u32 [%r2+40], %r6;
DONE:
)",
                                              wait));
}

TEST(Async, bulkStoresReadTheirSourceLate) {
  const auto right = [&](std::string_view wait, bool finding) {
    return agreements(32, [&](uint64_t seed) {
      Device device(bulkStore(wait));
      device.options.seed = seed;
      device.expectFindings = finding;
      const uint64_t to = device.upload(std::vector<uint32_t>(128));
      const LaunchResult result = device.launch("kernel", {1}, {128}, to);
      EXPECT_EQ(finding, !result.findings.empty());
      return device.download<uint32_t>(to, 128) == numbers(128);
    });
  };
  EXPECT_EQ(right("cp.async.bulk.wait_group.read 0;", false), 32);
  EXPECT_EQ(right("cp.async.bulk.wait_group 0;", false), 32);
  EXPECT_LT(right("", true), 32);
}

TEST(Async, blocksThatEndWhileTheirMemoryIsReadAreFound) {
  int found = 0;
  for (uint64_t seed = 0; seed < 16; ++seed) {
    Device device(bulkStore(""));
    device.options.seed = seed;
    device.expectFindings = true;
    const LaunchResult result = device.launch("kernel", {1}, {128}, device.upload(numbers(128)));
    found += !result.findings.empty();
  }
  EXPECT_GT(found, 0);
}

TEST(Async, bulkReductionsAddUp) {
  Device device(kernel(".param .u64 to, .param .u64 sums", R"(
.shared .align 16 .b8 tile[512];
ld.param.u64 %rd2, [to];
ld.param.u64 %rd3, [sums];
mov.u32 %r1, %tid.x;
mov.u32 %r2, tile;
shl.b32 %r4, %r1, 2;
add.u32 %r4, %r4, %r2;
shl.b32 %r5, %r1, 16;
or.b32 %r5, %r5, 0x3f800000;
st.shared.b32 [%r4], %r5;
fence.proxy.async.shared::cta;
bar.sync 0;
setp.ne.u32 %p1, %r1, 0;
@%p1 bra DONE;
cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%rd2], [%r2], 512;
cp.reduce.async.bulk.global.shared::cta.bulk_group.max.u32 [%rd3], [%r2], 512;
cp.async.bulk.commit_group;
cp.async.bulk.wait_group 0;
DONE:
)"));
  const uint64_t to = device.upload(std::vector<float>(128)),
                 most = device.upload(std::vector<uint32_t>(128));
  device.launch("kernel", {10}, {128}, to, most);
  const std::vector<float> sums = device.download<float>(to, 128),
                           maxima = device.download<float>(most, 128);
  for (int i = 0; i < 128; ++i) {
    const float value = 1 + i / 128.0f; // the bits that the threads put together
    EXPECT_EQ(sums[i], 10 * value);
    EXPECT_EQ(maxima[i], value);
  }
}

/// Findings of the check of asynchronous work, whatever the seed did to the results.
std::vector<Finding> checked(const std::string &text, Dim3 block, uint64_t seed,
                             const std::vector<std::vector<uint32_t>> &buffers) {
  Device device(text);
  device.expectFindings = true;
  device.options.seed = seed;
  LaunchResult result;
  if (buffers.size() == 1)
    result = device.launch("kernel", {1}, block, device.upload(buffers[0]));
  else
    result =
        device.launch("kernel", {1}, block, device.upload(buffers[0]), device.upload(buffers[1]));
  return result.findings;
}

void expectCheck(const std::vector<Finding> &findings, std::string_view check,
                 std::string_view part) {
  std::string all;
  bool found = false;
  for (const Finding &finding : findings) {
    all += finding.str() + "\n";
    found |= finding.check == check && finding.message.find(part) != std::string::npos;
  }
  EXPECT_TRUE(found) << check << " " << part << ", got:\n" << all;
}

constexpr std::string_view untilFull =
    "AGAIN: mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r3], 0;\n@!%p2 bra AGAIN;";

TEST(Async, checksFindWhatNobodyWaitedFor) {
  const std::vector<std::vector<uint32_t>> two{numbers(256), numbers(256)};
  for (uint64_t seed = 0; seed < 8; ++seed) {
    EXPECT_TRUE(checked(twoGroups(1), {32}, seed, two).empty());
    EXPECT_TRUE(checked(twoGroups(0), {32}, seed, two).empty());
    expectCheck(checked(twoGroups(2), {32}, seed, two), "async", "has not been waited for");
    EXPECT_TRUE(checked(bulkLoad(untilFull), {128}, seed, two).empty());
    expectCheck(checked(bulkLoad(""), {128}, seed, two), "async", "reads shared address");
    EXPECT_TRUE(checked(bulkStore("cp.async.bulk.wait_group.read 0;"), {128}, seed, {numbers(128)})
                    .empty());
    EXPECT_TRUE(
        checked(bulkStore("cp.async.bulk.wait_group 0;"), {128}, seed, {numbers(128)}).empty());
    expectCheck(checked(bulkStore(""), {128}, seed, {numbers(128)}), "async", "still reads");
    // The destination is read back: waiting for the reading is not enough.
    const std::string readsBack = "{}\nld.global.u32 %r7, [%rd2];";
    expectCheck(
        checked(bulkStore(fmt::format(fmt::runtime(readsBack), "cp.async.bulk.wait_group.read 0;")),
                {128}, seed, {numbers(128)}),
        "async", "still writes");
    EXPECT_TRUE(
        checked(bulkStore(fmt::format(fmt::runtime(readsBack), "cp.async.bulk.wait_group 0;")),
                {128}, seed, {numbers(128)})
            .empty());
  }
}

TEST(Async, checksFindMissingProxyFences) {
  std::string text = bulkStore("cp.async.bulk.wait_group 0;");
  EXPECT_TRUE(checked(text, {128}, 1, {numbers(128)}).empty());
  const std::string_view fence = "fence.proxy.async.shared::cta;\n";
  const size_t place = text.find(fence);
  ASSERT_NE(place, std::string::npos);
  std::string without = text, later = text;
  without.erase(place, fence.size());
  expectCheck(checked(without, {128}, 1, {numbers(128)}), "proxy-fence",
              "without a fence.proxy.async");
  // By the issuing thread after the barrier is as good.
  later.erase(place, fence.size());
  later.insert(later.find("cp.async.bulk.global"), fence);
  EXPECT_TRUE(checked(later, {128}, 1, {numbers(128)}).empty());
}

} // namespace
} // namespace ingot::emulator
