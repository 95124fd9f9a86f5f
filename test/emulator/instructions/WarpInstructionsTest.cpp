/// Shuffles, votes, matches, reductions and elections against loops over the lanes of the group
/// that a member mask names.
#include "test/emulator/instructions/FloatReference.h"
#include "test/emulator/instructions/InstructionTables.h"
#include <bit>
#include <gtest/gtest-spi.h>

namespace ingot::emulator::test {
namespace {

std::vector<int> lanesOf(uint32_t members) {
  std::vector<int> lanes;
  for (int lane = 0; lane < 32; ++lane)
    if (members >> lane & 1)
      lanes.push_back(lane);
  return lanes;
}

/// The source of a shuffle by the ISA's formulas; the second: whether it lies in the segment.
std::pair<int, bool> shuffled(std::string_view mode, int lane, uint64_t b, uint64_t c) {
  const int amount = b % 32, clamp = c % 32, segment = c / 256 % 32;
  const int highest = (lane & segment) | (clamp & (31 - segment)), lowest = lane & segment;
  int source = 0;
  bool inside = false;
  if (mode == "up") {
    source = lane - amount;
    inside = source >= highest;
  } else if (mode == "down") {
    source = lane + amount;
    inside = source <= highest;
  } else if (mode == "bfly") {
    source = lane ^ amount;
    inside = source <= highest;
  } else {
    source = lowest | (amount & (31 - segment));
    inside = source <= highest;
  }
  return {inside ? source : lane, inside};
}

void addShuffles(std::vector<WarpCase> &cases) {
  for (const std::string_view mode : {"up", "down", "bfly", "idx"})
    for (bool toPredicate : {false, true}) {
      // All lanes take part, so that none reads from one that does not: members are 0xffffffff.
      WarpCase test{
          fmt::format("shfl.sync.{}.b32 {}, a32, b32, c32, 0xffffffff", mode,
                      toPredicate ? "_|p" : "d32|r"),
          [=](const Lanes &a, const Lanes &b, const Lanes &c, uint32_t, int lane) -> uint64_t {
            const auto [source, inside] = shuffled(mode, lane, b[lane], c[lane]);
            return toPredicate ? inside : a[source];
          }};
      test.bMask = 0xff;
      test.cMask = 0x1f1f;
      test.wholeWarps = true;
      cases.push_back(std::move(test));
    }
  // Within the group: every lane reads from the lowest one.
  cases.push_back({"shfl.sync.idx.b32 d32, a32, e32, 31, m",
                   [](const Lanes &a, const Lanes &, const Lanes &, uint32_t members, int) {
                     return a[std::countr_zero(members)];
                   }});
}

bool isNegative(uint64_t c) { return c >> 31 & 1; } // the predicate q

void addVotes(std::vector<WarpCase> &cases) {
  for (bool negated : {false, true})
    for (const std::string_view mode : {"all", "any", "uni", "ballot"}) {
      const bool ballot = mode == "ballot";
      WarpCase test{fmt::format("vote.sync.{}.{}, {}q, m", mode, ballot ? "b32 d32" : "pred p",
                                negated ? "!" : ""),
                    [=](const Lanes &, const Lanes &, const Lanes &c, uint32_t members, int) {
                      uint64_t yes = 0;
                      for (int lane : lanesOf(members))
                        if (isNegative(c[lane]) != negated)
                          yes |= uint64_t(1) << lane;
                      return ballot          ? yes
                             : mode == "all" ? yes == members
                             : mode == "any" ? yes != 0
                                             : yes == members || yes == 0;
                    }};
      test.fewC = true;
      cases.push_back(std::move(test));
    }
}

void addMatches(std::vector<WarpCase> &cases) {
  for (int bits : {32, 64})
    for (const std::string_view to : {"any d32", "all d32", "all d32|r", "all _|p"}) {
      const uint64_t mask = bits == 64 ? ~uint64_t(0) : 0xffffffff;
      cases.push_back(
          {fmt::format("match.{}.sync.b{} {}, a{}, m", to.substr(0, 3), bits, to.substr(4), bits),
           [=](const Lanes &a, const Lanes &, const Lanes &, uint32_t members,
               int lane) -> uint64_t {
             uint32_t same = 0;
             for (int other : lanesOf(members))
               if ((a[other] & mask) == (a[lane] & mask))
                 same |= uint32_t(1) << other;
             if (to == "all _|p")
               return same == members;
             return to.starts_with("any") || same == members ? same : 0;
           }});
    }
}

void addReductions(std::vector<WarpCase> &cases) {
  const auto push = [&](std::string_view op, std::string_view type, auto combine) {
    cases.push_back({fmt::format("redux.sync.{}.{} d32, a32, m", op, type),
                     [=](const Lanes &a, const Lanes &, const Lanes &, uint32_t members, int) {
                       const std::vector<int> lanes = lanesOf(members);
                       uint64_t result = a[lanes[0]];
                       for (size_t i = 1; i < lanes.size(); ++i)
                         result = combine(result, a[lanes[i]]);
                       return result;
                     }});
  };
  for (const std::string_view type : {"u32", "s32"}) {
    const bool isSigned = type == "s32";
    const auto value = [=](uint64_t x) { return isSigned ? int64_t(int32_t(x)) : uint32_t(x); };
    push("add", type, [](uint64_t a, uint64_t b) { return a + b; });
    push("min", type, [=](uint64_t a, uint64_t b) { return value(a) < value(b) ? a : b; });
    push("max", type, [=](uint64_t a, uint64_t b) { return value(a) > value(b) ? a : b; });
  }
  for (const bool largest : {false, true})
    for (const bool magnitudes : {false, true})
      for (const bool nan : {false, true}) {
        WarpCase test{fmt::format("redux.sync.{}{}{}.f32 d32, a32, m", largest ? "max" : "min",
                                  magnitudes ? ".abs" : "", nan ? ".NaN" : ""),
                      [=](const Lanes &a, const Lanes &, const Lanes &, uint32_t members, int) {
                        const uint64_t kept = magnitudes ? 0x7fffffff : 0xffffffff;
                        const std::vector<int> lanes = lanesOf(members);
                        uint64_t result = a[lanes[0]] & kept;
                        for (int lane : lanes)
                          result = referenceExtremum(FloatType::F32, largest, false, nan, false,
                                                     result, a[lane] & kept);
                        return result;
                      }};
        test.format = FloatType::F32;
        test.target = "sm_100a";
        cases.push_back(std::move(test));
      }
  push("and", "b32", [](uint64_t a, uint64_t b) { return a & b; });
  push("or", "b32", [](uint64_t a, uint64_t b) { return a | b; });
  push("xor", "b32", [](uint64_t a, uint64_t b) { return a ^ b; });
}

void addElections(std::vector<WarpCase> &cases) {
  const auto lowest = [](uint32_t members) { return uint64_t(std::countr_zero(members)); };
  cases.push_back({"elect.sync d32|r, m", [=](const Lanes &, const Lanes &, const Lanes &,
                                              uint32_t members, int) { return lowest(members); }});
  cases.push_back(
      {"elect.sync _|p, m", [=](const Lanes &, const Lanes &, const Lanes &, uint32_t members,
                                int lane) { return uint64_t(lowest(members) == uint64_t(lane)); }});
}

} // namespace

std::vector<WarpCase> warpCases() {
  std::vector<WarpCase> cases;
  addShuffles(cases);
  addVotes(cases);
  addMatches(cases);
  addReductions(cases);
  addElections(cases);
  return cases;
}

TEST(WarpInstructions, all) { checkWarpInstructions(warpCases()); }

TEST(WarpInstructions, harnessSeesWrongResults) {
  static bool wrong; // once
  wrong = false;
  EXPECT_NONFATAL_FAILURE(checkWarpInstructions({{"redux.sync.or.b32 d32, a32, m",
                                                  [](const Lanes &a, const Lanes &, const Lanes &,
                                                     uint32_t members, int lane) -> uint64_t {
                                                    uint64_t all = 0;
                                                    for (int other : lanesOf(members))
                                                      all |= a[other];
                                                    if (lane != 9 || wrong)
                                                      return all;
                                                    wrong = true;
                                                    return ~all;
                                                  }}}),
                          "lane 9");
}

// activemask has no member mask: it tells who is here.
TEST(WarpInstructions, activemask) {
  Device device(header() + kernelAround("run",
                                        "mov.u32 lane, %laneid; and.b32 t, lane, 3; "
                                        "setp.ne.u32 k, t, 1; @k activemask.b32 d32;"
                                        "@!k mov.b32 d32, 0; mov.u32 t, %tid.x;"
                                        "ld.param.u64 rd, [to]; mul.wide.u32 at, t, 4;"
                                        "add.u64 rd, rd, at; st.global.b32 [rd], d32",
                                        ".param .u64 to"));
  const uint64_t out = device.upload(std::vector<uint32_t>(48));
  device.launch("run", {1}, {48}, out);
  const auto masks = device.download<uint32_t>(out, 48);
  for (int i = 0; i < 48; ++i)
    EXPECT_EQ(masks[i], i % 4 == 1 ? 0 : i < 32 ? 0xdddddddd : 0xdddd) << i;
}

} // namespace ingot::emulator::test
