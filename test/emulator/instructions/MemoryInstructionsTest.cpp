/// mov, ld, st, cvta and isspacep of every width: what a register holds of memory and back.
#include "test/emulator/instructions/InstructionTables.h"
#include "test/emulator/instructions/IntegerKind.h"

namespace ingot::emulator::test {
namespace {

struct Kind {
  std::string type;
  int bits;
  bool isSigned;
};
std::vector<Kind> kinds() {
  std::vector<Kind> all;
  for (int bits : {8, 16, 32, 64})
    for (char letter : {'b', 'u', 's'})
      all.push_back({fmt::format("{}{}", letter, bits), bits, letter == 's'});
  all.push_back({"f32", 32, false});
  all.push_back({"f64", 64, false});
  return all;
}

/// The cells by their own space and by a generic address.
constexpr std::pair<std::string_view, std::string_view> places[] = {
    {".global", "ra"}, {"", "ra"}, {".shared", "sa"}, {".shared::cta", "sa"}, {"", "rs"}};

TEST(Memory, loadsExtendAndStoresTruncate) {
  std::vector<InstructionCase> cases;
  for (const Kind &kind : kinds())
    for (const auto &[space, at] : places) {
      // Registers may be wider than what is loaded.
      const bool isFloat = kind.type[0] == 'f';
      for (int width = std::max(kind.bits, 16); width <= (isFloat ? kind.bits : 64); width *= 2) {
        cases.push_back({fmt::format("ld{}.{} d{}, [{}]", space, kind.type, width, at),
                         [=](uint64_t a, uint64_t, uint64_t) {
                           return uint64_t(IntegerKind{"", kind.bits, kind.isSigned}.value(a));
                         }});
        cases.push_back({fmt::format("st{0}.{1} [{2}], b{3};\n @k ld{0}.b64 d64, [{2}]", space,
                                     kind.type, at, width),
                         [=](uint64_t a, uint64_t b, uint64_t) {
                           const uint64_t mask =
                               kind.bits == 64 ? ~uint64_t(0) : (uint64_t(1) << kind.bits) - 1;
                           return (a & ~mask) | (b & mask);
                         }});
      }
      if (kind.bits < 64)
        cases.push_back({fmt::format("ld{}.{} d{}, [{}+{}]", space, kind.type,
                                     std::max(kind.bits, 16), at, kind.bits / 8),
                         [=](uint64_t a, uint64_t, uint64_t) {
                           return uint64_t(
                               IntegerKind{"", kind.bits, kind.isSigned}.value(a >> kind.bits));
                         }});
    }
  checkInstructions(cases);
}

TEST(Memory, vectorsAreConsecutiveElements) {
  std::vector<InstructionCase> cases;
  // [rw] holds a, then b.
  const auto a = [](uint64_t a, uint64_t, uint64_t) { return a; };
  const auto b = [](uint64_t, uint64_t b, uint64_t) { return b; };
  const auto upperOfA = [](uint64_t a, uint64_t, uint64_t) { return a >> 32; };
  for (const std::string_view op :
       {"ld.global", "ld", "ld.global.nc", "ld.global.cs", "ldu.global"}) {
    cases.push_back({fmt::format("{}.v2.b64 {{d64, e64}}, [rw];\n @k mov.b64 d64, e64", op), b});
    cases.push_back(
        {fmt::format("{}.v2.u32 {{e32, f32}}, [rw];\n @k mov.b32 d32, f32", op), upperOfA});
    cases.push_back(
        {fmt::format("{}.v4.f32 {{d32, e32, f32, t}}, [rw];\n @k mov.b64 d64, {{f32, t}}", op), b});
  }
  cases.push_back({"ld.global.v4.u16 {v16_0, v16_1, v16_2, v16_3}, [rw];\n"
                   " @k mov.b64 d64, {v16_0, v16_1, v16_2, v16_3}",
                   a});
  cases.push_back({"st.global.v2.b64 [rw], {b64, a64};\n @k ld.global.b64 d64, [rw]", b});
  cases.push_back({"st.global.v2.b32 [ra+0], {b32, c32};\n @k ld.global.b64 d64, [ra]",
                   [](uint64_t, uint64_t b, uint64_t c) { return uint32_t(b) | c << 32; }});
  checkInstructions(cases);
}

TEST(Memory, movesPackAndUnpack) {
  using U = uint64_t;
  std::vector<InstructionCase> cases;
  for (const std::string_view type :
       {"b16", "u16", "s16", "b32", "u32", "s32", "f32", "b64", "u64", "s64", "f64"})
    cases.push_back(
        {fmt::format("mov.{0} d{1}, a{1}", type, type.substr(1)), [](U a, U, U) { return a; }});
  cases.push_back({"mov.pred p, q", [](U, U, U c) { return c >> 31 & 1; }});
  cases.push_back({"mov.pred p, !q", [](U, U, U c) { return ~c >> 31 & 1; }});
  cases.push_back({"mov.b32 d32, {a16, b16}", [](U a, U b, U) { return uint16_t(a) | b << 16; }});
  cases.push_back({"mov.b64 d64, {a32, b32}", [](U a, U b, U) { return uint32_t(a) | b << 32; }});
  cases.push_back({"mov.b64 d64, {a16, b16, c16, a16}", [](U a, U b, U c) {
                     return uint16_t(a) | U(uint16_t(b)) << 16 | U(uint16_t(c)) << 32 | a << 48;
                   }});
  cases.push_back(
      {"mov.b32 {_, d16}, a32;\n @k mov.b16 d16, d16", [](U a, U, U) { return a >> 16; }});
  cases.push_back(
      {"mov.b64 {_, d32}, a64;\n @k mov.b32 d32, d32", [](U a, U, U) { return a >> 32; }});
  cases.push_back({"mov.b64 {v16_0, v16_1, v16_2, v16_3}, a64;\n"
                   " @k mov.b64 d64, {v16_3, v16_2, v16_1, v16_0}",
                   [](U a, U, U) {
                     return a >> 48 | (a >> 16 & 0xffff0000) | (a & 0xffff0000) << 16 | a << 48;
                   }});
  checkInstructions(cases);
}

TEST(Memory, addressesNameTheirSpace) {
  std::vector<InstructionCase> cases;
  const auto is = [&](std::string_view space, std::string_view at, bool holds) {
    cases.push_back({fmt::format("isspacep.{} p, {}", space, at),
                     [=](uint64_t, uint64_t, uint64_t) { return uint64_t(holds); }});
  };
  is("global", "ra", true);
  is("shared", "ra", false);
  is("local", "ra", false);
  is("shared", "rs", true);
  is("shared::cta", "rs", true);
  is("shared::cluster", "rs", true);
  is("global", "rs", false);
  const auto a = [](uint64_t a, uint64_t, uint64_t) { return a; };
  cases.push_back({"cvta.to.shared.u64 rs, rs;\n @k ld.shared.b64 d64, [rs]", a});
  cases.push_back({"cvta.to.global.u64 ra, ra;\n @k ld.global.b64 d64, [ra]", a});
  cases.push_back({"cvta.global.u64 ra, ra;\n @k ld.b64 d64, [ra]", a});
  checkInstructions(cases);
}

TEST(Memory, hintsChangeNothing) {
  std::vector<InstructionCase> cases;
  for (const std::string_view hint :
       {"prefetch.global.L1 [ra]", "prefetch.global.L2 [ra]", "prefetch.L2 [ra]",
        "prefetch.global.L2::evict_last [ra]", "prefetchu.L1 [ra]",
        "createpolicy.fractional.L2::evict_last.b64 e64, 1.0",
        "createpolicy.fractional.L2::evict_first.b64 e64"})
    cases.push_back({fmt::format("{};\n @k ld.global.b64 d64, [ra]", hint),
                     [](uint64_t a, uint64_t, uint64_t) { return a; }});
  checkInstructions(cases);
}

} // namespace
} // namespace ingot::emulator::test
