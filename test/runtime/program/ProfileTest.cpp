#include "runtime/program/Profile.h"
#include "runtime/support/File.h"
#include "runtime/support/Json.h"
#include "test/runtime/TestPrograms.h"
#include <gtest/gtest.h>

namespace ingot {
namespace {

Kernel kernel(const char *name, double flops) {
  return {.name = name,
          .launch = CpuRange{4},
          .flops = flops,
          .bytes = 4e6,
          .root = "row",
          .ops = "h.0.ln_1"};
}

/// 1e12 operations a second; 1e10 bytes a second where more than 1e6 bytes are touched.
MachineLimits machine() {
  return {.flops = 1e12, .levels = {{"L2", 1000000, 1e12}, {"memory", 1ll << 60, 1e10}}};
}

TEST(Profile, AddsUpByKernelAndTakesTheMedianOfRuns) {
  const Kernel fast = kernel("fast", 1e9), slow = kernel("slow", 2e9);
  Program program;
  Profile profile(program, machine());
  const CallStep a{0, {}, {}, "a"}, b{0, {}, {}, "b"}, c{0, {}, {}, "c"};
  for (double slowness : {1.0, 1.25, 7.0}) {
    profile.beginRun();
    profile.add({&fast, &a, 0, 4, 1.0, 1.001});
    profile.add({&slow, &b, 0, 1, 1.001, 1.001 + 0.001 * slowness}); // a call in two parts
    profile.add({&slow, &b, 1, 3, 1.001, 1.001 + 0.002 * slowness});
    profile.add({&slow, &c, 0, 4, 2, 2 + 0.005 * slowness});
  }
  const std::vector<Profile::Row> rows = profile.rows();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].kernel, &slow);
  EXPECT_EQ(rows[0].ops, "h.*.ln_1");
  EXPECT_EQ(rows[0].launches, 2);
  EXPECT_NEAR(rows[0].seconds, 0.010, 1e-9);
  EXPECT_NEAR(rows[0].gflops, 400, 1e-6);
  EXPECT_NEAR(rows[0].gigabytes, 0.8, 1e-6);
  EXPECT_NEAR(rows[0].share, 10.0 / 11, 1e-6);
  EXPECT_NEAR(rows[0].limitSeconds, 2 * 2e-3, 1e-9); // 2e9 operations take longer than 4e6 bytes
  EXPECT_EQ(rows[0].boundBy, "FMA");
  EXPECT_NEAR(rows[0].ofLimit(), 0.4, 1e-6);
  EXPECT_EQ(rows[1].ops, "h.0.ln_1"); // always the same op
  const std::string table = profile.table();
  EXPECT_LT(table.find("slow: h.*.ln_1"), table.find("fast: h.0.ln_1"));
  EXPECT_NE(table.find("all 2 kernels"), std::string::npos) << table;
  EXPECT_NE(profile.table(1).find("1 more kernels"), std::string::npos);
  const nlohmann::json json = profile.json();
  ASSERT_EQ(json.size(), 2u);
  EXPECT_EQ(json[0]["bound_by"], "FMA");
  EXPECT_EQ(json[1]["launches"], 1);
}

// Two threads that work for a millisecond each are one millisecond of a step.
TEST(Profile, ListsOfOpsAreCutBetweenNames) {
  EXPECT_EQ(firstOps("h.0.mlp, h.0.attn", 17), "h.0.mlp, h.0.attn");
  EXPECT_EQ(firstOps("h.0.mlp, h.0.attn", 16), "h.0.mlp, …");
  EXPECT_EQ(firstOps("a name alone", 5), "a name alone");
}

TEST(Profile, SharesTimeAmongThreads) {
  const Kernel half = kernel("half", 1e9);
  const CallStep call;
  Program program;
  MachineLimits two = machine();
  two.threads = 2;
  Profile profile(program, two);
  profile.add({&half, &call, 0, 2, 0, 2e-3});
  profile.add({&half, &call, 1, 2, 0, 2e-3});
  const Profile::Row row = profile.rows()[0];
  EXPECT_EQ(row.launches, 1);
  EXPECT_NEAR(row.seconds, 2e-3, 1e-12);
  EXPECT_NEAR(row.ofLimit(), 0.5, 1e-9);
  test::TemporaryFolder folder;
  ASSERT_TRUE(profile.writeTrace(folder / "trace.json"));
  const auto events = parseJson(*readFile(folder / "trace.json"), "trace")->at("traceEvents");
  for (int thread = 0; thread < 2; ++thread) {
    EXPECT_EQ(events[thread]["tid"], thread + 1);
    EXPECT_EQ(events[thread]["args"]["grains"], "2 of 4");
    EXPECT_NEAR(events[thread]["args"]["of_roofline"].get<double>(), 0.5, 1e-9);
  }
}

TEST(Profile, UpdatesAreBoundByWhereAllStateLies) {
  const Kernel row = {.name = "row", .bytes = 5e5, .root = "row"};
  const Kernel update = {.name = "update", .bytes = 5e5, .root = "update"};
  Program program;
  program.persistentBytes = 1 << 30;
  Profile profile(program, machine());
  const CallStep call;
  profile.add({&row, &call, 0, 1, 0, 1e-3});
  profile.add({&update, &call, 0, 1, 0, 2e-3});
  EXPECT_EQ(profile.rows()[0].boundBy, "memory");
  EXPECT_EQ(profile.rows()[1].boundBy, "L2");
}

TEST(Profile, writesAChromeTrace) {
  test::TemporaryFolder folder;
  auto device = openDevice("cpu", {.threads = 1});
  auto session = (*device)->load(std::make_shared<Program>(test::affineProgram(64)));
  ASSERT_TRUE(session);
  Profile profile((*session)->program(), machine());
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
    EXPECT_EQ(event["args"]["bound_by"], "memory");
    EXPECT_GT(event["args"]["of_roofline"], 0);
  }
  EXPECT_EQ(events[0]["args"]["kernel"], "scratch");
  EXPECT_EQ(events[1]["name"], "add");
}

TEST(Profile, ofNothing) {
  Program program;
  Profile profile(program, machine());
  EXPECT_TRUE(profile.rows().empty());
  EXPECT_NE(profile.table().find("all 0 kernels"), std::string::npos);
}

} // namespace
} // namespace ingot
