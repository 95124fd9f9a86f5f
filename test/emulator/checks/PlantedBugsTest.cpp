// Every check finds what is planted for it, says where, and says nothing of the same kernel without
// it. A check for which nothing is planted is an error of this test.
#include "test/emulator/checks/planted/PlantedBug.h"
#include <set>

namespace ingot::emulator {
namespace {

using namespace test;

std::vector<PlantedBug> allBugs() {
  std::vector<PlantedBug> all;
  for (const auto family : {plantedBounds, plantedMemory, plantedAsync, plantedBarriers,
                            plantedControl, plantedOrdering, plantedProxies})
    for (const PlantedBug &bug : family())
      all.push_back(bug);
  return all;
}

std::string replaced(std::string text, const std::string &plant) {
  for (size_t place = 0; (place = text.find("PLANT", place)) != text.npos; place += plant.size())
    text.replace(place, 5, plant);
  return text;
}

std::string textOf(const PlantedBug &row, bool bug) {
  std::string plant = bug ? row.bug : row.clean, directives = row.directives;
  if (directives == "PLANT")
    directives = bug ? "" : ".maxntid 128, 1, 1";
  return header() + ".file 1 \"model.mlir\"\n" + row.module +
         ".visible .entry k(.param .u64 in, .param .u64 out, .param .u32 n) " + directives + R"(
{
  .reg .b32 r<16>; .reg .b64 d<16>; .reg .b16 h<4>; .reg .f32 f<8>; .reg .pred p<8>;
  .loc 1 7 3
  ld.param.u64 d1, [in]; ld.param.u64 d2, [out];
  mov.u32 r1, %tid.x;
  mul.wide.u32 d3, r1, 4;
  add.s64 d4, d1, d3; add.s64 d5, d2, d3;
)" + replaced(row.body, plant) +
         "\n  ret;\n}\n";
}

std::vector<Finding> findingsOf(const PlantedBug &row, bool bug, uint64_t seed) {
  Device device(textOf(row, bug), "planted.ptx");
  device.options.seed += seed;
  device.options.instructionLimit = row.limit;
  device.cluster = row.cluster;
  device.expectFindings = true;
  std::vector<uint32_t> values(1024, 1);
  const uint64_t in = device.upload(values, "in"), out = device.allocate(4096, "out");
  if (row.prepare)
    row.prepare(device, out, bug);
  return device.launch("k", row.grid, row.block, in, out, uint32_t(1024)).findings;
}

std::string textOf(const std::vector<Finding> &findings) {
  std::string text;
  for (const Finding &finding : findings)
    text += finding.str() + "\n";
  return text;
}

class PlantedBugs : public testing::TestWithParam<PlantedBug> {};

TEST_P(PlantedBugs, areFoundAndTheirCleanTwinIsNot) {
  const PlantedBug &row = GetParam();
  for (uint64_t seed = 0; seed < 6; ++seed) {
    EXPECT_EQ(textOf(findingsOf(row, false, seed)), "") << textOf(row, false);
    const std::vector<Finding> findings = findingsOf(row, true, seed);
    bool found = false;
    for (const Finding &finding : findings) {
      EXPECT_TRUE(finding.check == row.check ||
                  std::count(row.others.begin(), row.others.end(), finding.check))
          << finding.str();
      // Where it is: the same for every check.
      EXPECT_EQ(finding.kernel, "k") << finding.str();
      EXPECT_GT(finding.line, 0) << finding.str();
      EXPECT_NE(textOf(row, true).find(finding.text), std::string::npos) << finding.str();
      EXPECT_FALSE(finding.text.empty()) << finding.str();
      if (finding.kernel == "k" && row.module.find(finding.text) == std::string::npos)
        EXPECT_NE(finding.location.find("model.mlir:7"), std::string::npos) << finding.str();
      EXPECT_LT(finding.block[0], row.grid.x) << finding.str();
      EXPECT_LT(finding.thread[0], row.block.x) << finding.str();
      if (finding.check != row.check || finding.message.find(row.part) == std::string::npos ||
          finding.message.find(row.buffer) == std::string::npos)
        continue;
      found = true;
      EXPECT_TRUE(row.buffer.empty() || finding.address) << finding.str();
    }
    EXPECT_TRUE(found) << "of '" << row.buffer << "' '" << row.part << "', got:\n"
                       << textOf(findings) << textOf(row, true);
    if (HasFailure())
      return; // the same again
  }
}

INSTANTIATE_TEST_SUITE_P(All, PlantedBugs, testing::ValuesIn(allBugs()), [](const auto &info) {
  std::string name = info.param.check + "_" + info.param.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(PlantedBugs, thereIsOneForEveryCheck) {
  std::set<std::string> planted = {
      "leak",         // of no launch: EmulatedDriver.namesWhatTheContextStillHolds
      "launch-race"}; // of several: StreamOrderTest
  for (const PlantedBug &bug : allBugs())
    planted.insert(bug.check);
  for (const CheckRow &row : checkTable)
    EXPECT_EQ(planted.erase(std::string(row.name)), 1u) << "nothing is planted for " << row.name;
  EXPECT_TRUE(planted.empty()) << "there is no check " << *planted.begin();
}

// What is off says nothing, whichever it is.
TEST(PlantedBugs, saysNothingOfWhatIsOff) {
  for (const PlantedBug &row : allBugs()) {
    Device device(textOf(row, true), "planted.ptx");
    device.options.instructionLimit = row.limit;
    device.cluster = row.cluster;
    device.expectFindings = true;
    std::vector<std::string> off = row.others;
    off.push_back(row.check);
    ASSERT_TRUE(turnOff(off, device.checks, device.options));
    const uint64_t in = device.upload(std::vector<uint32_t>(1024, 1), "in"),
                   out = device.allocate(4096, "out");
    if (row.prepare)
      row.prepare(device, out, true);
    const LaunchResult result = device.launch("k", row.grid, row.block, in, out, uint32_t(1024));
    EXPECT_EQ(textOf(result.findings), "") << row.check << " " << row.name;
  }
}

} // namespace
} // namespace ingot::emulator
