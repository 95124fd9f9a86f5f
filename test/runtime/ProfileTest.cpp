#include "runtime/Profile.h"
#include "runtime/File.h"
#include "runtime/Json.h"
#include "test/runtime/TestPrograms.h"
#include <gtest/gtest.h>

namespace ingot {
namespace {

Kernel kernel(const char *name, double flops) {
  return {.name = name, .flops = flops, .bytes = 4e6, .root = "row", .ops = "h.0.ln_1"};
}

TEST(Profile, addsUpByKernel) {
  const Kernel fast = kernel("fast", 1e9), slow = kernel("slow", 2e9);
  Profile profile;
  profile.add(fast, CallStep{0, {}, {}, "a"}, 1.0, 1.001);
  profile.add(slow, CallStep{0, {}, {}, "b"}, 1.001, 1.004);
  profile.add(slow, CallStep{0, {}, {}, "c"}, 1.004, 1.009);
  const std::vector<Profile::Row> rows = profile.rows();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].kernel, &slow);
  EXPECT_EQ(rows[0].calls, 2);
  EXPECT_NEAR(rows[0].seconds, 0.008, 1e-9);
  EXPECT_NEAR(rows[0].gflops, 500, 1e-6);
  EXPECT_NEAR(rows[0].gigabytes, 1, 1e-6);
  EXPECT_NEAR(rows[0].share, 8.0 / 9, 1e-6);
  EXPECT_NEAR(profile.kernelSeconds(), 0.009, 1e-9);
  const std::string table = profile.table();
  EXPECT_LT(table.find("slow: h.0.ln_1"), table.find("fast: h.0.ln_1"));
  EXPECT_NE(table.find("9.000 ms in 3 calls of 2 kernels"), std::string::npos) << table;
  EXPECT_NE(profile.table(1).find("and 1 kernels more"), std::string::npos);
}

TEST(Profile, writesAChromeTrace) {
  test::TemporaryFolder folder;
  auto device = openDevice("cpu", {.threads = 1});
  auto session = (*device)->load(std::make_shared<Program>(test::affineProgram(64)));
  ASSERT_TRUE(session);
  Profile profile;
  (*session)->profile(profile.sink());
  ASSERT_TRUE((*session)->run("step"));
  ASSERT_TRUE(profile.writeTrace(folder / "trace.json"));
  const auto trace = parseJson(*readFile(folder / "trace.json"), "trace");
  ASSERT_TRUE(trace) << trace.error().text();
  const auto &events = trace->at("traceEvents");
  ASSERT_EQ(events.size(), 4u);
  double end = 0;
  for (const auto &event : events) {
    EXPECT_EQ(event["ph"], "X");
    EXPECT_GE(event["ts"].get<double>(), end);
    end = event["ts"].get<double>() + event["dur"].get<double>() * 0.999;
    EXPECT_EQ(event["args"]["flops"], 1e9);
    EXPECT_EQ(event["args"]["bytes"], 1e9);
  }
  EXPECT_EQ(events[0]["args"]["kernel"], "scratch");
  EXPECT_EQ(events[1]["name"], "add");
}

TEST(Profile, ofNothing) {
  Profile profile;
  EXPECT_TRUE(profile.rows().empty());
  EXPECT_NE(profile.table().find("0 calls"), std::string::npos);
}

} // namespace
} // namespace ingot
