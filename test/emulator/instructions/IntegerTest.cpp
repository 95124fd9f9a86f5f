/// Integer arithmetic against arithmetic in 128 bits.
#include "test/emulator/instructions/InstructionTables.h"
#include "test/emulator/instructions/IntegerKind.h"
#include <gtest/gtest-spi.h>

namespace ingot::emulator::test {
namespace {

std::vector<InstructionCase> arithmetic() {
  std::vector<InstructionCase> cases;
  for (const IntegerKind &k : integerKinds) {
    const auto binary = [&](std::string op, auto f) {
      cases.push_back({fmt::format("{}.{} d{}, a{}, b{}", op, k.name, k.bits, k.bits, k.bits),
                       [k, f](uint64_t a, uint64_t b, uint64_t) {
                         return uint64_t(f(k.value(a), k.value(b)));
                       }});
    };
    const auto ternary = [&](std::string op, auto f) {
      cases.push_back(
          {fmt::format("{}.{} d{}, a{}, b{}, c{}", op, k.name, k.bits, k.bits, k.bits, k.bits),
           [k, f](uint64_t a, uint64_t b, uint64_t c) {
             return uint64_t(f(k.value(a), k.value(b), k.value(c)));
           }});
    };
    const auto high = [k](Wide a, Wide b) {
      if (k.bits < 64)
        return a * b >> k.bits;
      // Schoolbook by halves of 32 bits, since 128 bits do not hold an unsigned 64 x 64 shifted.
      if (!k.isSigned)
        return Wide((unsigned __int128)(a) * (unsigned __int128)(b) >> 64);
      return a * b >> 64;
    };
    binary("add", [](Wide a, Wide b) { return a + b; });
    binary("sub", [](Wide a, Wide b) { return a - b; });
    binary("mul.lo", [](Wide a, Wide b) { return Wide(uint64_t(a) * uint64_t(b)); });
    binary("mul.hi", high);
    binary("min", [](Wide a, Wide b) { return a < b ? a : b; });
    binary("max", [](Wide a, Wide b) { return a > b ? a : b; });
    binary("div", [](Wide a, Wide b) { return b == 0 ? Wide(-1) : a / b; });
    binary("rem", [](Wide a, Wide b) { return b == 0 ? a : a % b; });
    ternary("mad.lo",
            [](Wide a, Wide b, Wide c) { return Wide(uint64_t(a) * uint64_t(b) + uint64_t(c)); });
    ternary("mad.hi", [high](Wide a, Wide b, Wide c) { return high(a, b) + c; });
    ternary("sad", [](Wide a, Wide b, Wide c) { return c + (a > b ? a - b : b - a); });
    const auto unary = [&](std::string op, auto f) {
      cases.push_back({fmt::format("{}.{} d{}, a{}", op, k.name, k.bits, k.bits),
                       [k, f](uint64_t a, uint64_t, uint64_t) { return uint64_t(f(k.value(a))); }});
    };
    if (k.isSigned) {
      unary("abs", [](Wide a) { return a < 0 ? -a : a; });
      unary("neg", [](Wide a) { return -a; });
    }
    if (k.bits < 64) {
      cases.push_back(
          {fmt::format("mul.wide.{} d{}, a{}, b{}", k.name, 2 * k.bits, k.bits, k.bits),
           [k](uint64_t a, uint64_t b, uint64_t) { return uint64_t(k.value(a) * k.value(b)); }});
      cases.push_back({fmt::format("mad.wide.{} d{}, a{}, b{}, c{}", k.name, 2 * k.bits, k.bits,
                                   k.bits, 2 * k.bits),
                       [k](uint64_t a, uint64_t b, uint64_t c) {
                         return uint64_t(k.value(a) * k.value(b)) + c;
                       }});
    }
  }
  return cases;
}

Wide low24(uint64_t x, bool isSigned) {
  Wide v = x & 0xffffff;
  return isSigned && v >> 23 ? v - (1 << 24) : v;
}

std::vector<InstructionCase> saturates() {
  const IntegerKind s32{"s32", 32, true};
  const auto clamp = [=](Wide v) {
    return uint64_t(v > s32.largest() ? s32.largest() : v < s32.smallest() ? s32.smallest() : v);
  };
  const auto f = [=](auto op) {
    return [=](uint64_t a, uint64_t b, uint64_t c) {
      return clamp(op(s32.value(a), s32.value(b), s32.value(c)));
    };
  };
  return {
      {"add.sat.s32 d32, a32, b32", f([](Wide a, Wide b, Wide) { return a + b; })},
      {"sub.sat.s32 d32, a32, b32", f([](Wide a, Wide b, Wide) { return a - b; })},
      {"mad.hi.sat.s32 d32, a32, b32, c32",
       f([](Wide a, Wide b, Wide c) { return (a * b >> 32) + c; })},
      {"mad24.hi.sat.s32 d32, a32, b32, c32", f([](Wide a, Wide b, Wide c) {
         return (low24(uint64_t(a), true) * low24(uint64_t(b), true) >> 16) + c;
       })},
      {"min.relu.s32 d32, a32, b32",
       f([](Wide a, Wide b, Wide) { return std::max<Wide>(0, std::min(a, b)); })},
      {"max.relu.s32 d32, a32, b32",
       f([](Wide a, Wide b, Wide) { return std::max<Wide>(0, std::max(a, b)); })},
  };
}

std::vector<InstructionCase> multiplies24Bits() {
  std::vector<InstructionCase> cases;
  for (bool isSigned : {false, true}) {
    const std::string t = isSigned ? "s32" : "u32";
    const auto product = [=](uint64_t a, uint64_t b) {
      return low24(a, isSigned) * low24(b, isSigned);
    };
    cases.push_back({"mul24.lo." + t + " d32, a32, b32",
                     [=](uint64_t a, uint64_t b, uint64_t) { return uint64_t(product(a, b)); }});
    cases.push_back({"mul24.hi." + t + " d32, a32, b32", [=](uint64_t a, uint64_t b, uint64_t) {
                       return uint64_t(product(a, b) >> 16);
                     }});
    cases.push_back(
        {"mad24.lo." + t + " d32, a32, b32, c32",
         [=](uint64_t a, uint64_t b, uint64_t c) { return uint64_t(product(a, b)) + c; }});
    cases.push_back(
        {"mad24.hi." + t + " d32, a32, b32, c32",
         [=](uint64_t a, uint64_t b, uint64_t c) { return uint64_t(product(a, b) >> 16) + c; }});
  }
  return cases;
}

std::vector<InstructionCase> packedHalves() {
  const auto halves = [](bool isSigned, auto f) {
    return [=](uint64_t a, uint64_t b, uint64_t) {
      const IntegerKind k{"", 16, isSigned};
      const auto low = uint16_t(f(k.value(a), k.value(b)));
      const auto high = uint16_t(f(k.value(a >> 16), k.value(b >> 16)));
      return uint64_t(low) | uint64_t(high) << 16;
    };
  };
  const auto add = [](Wide a, Wide b) { return a + b; };
  const auto min = [](Wide a, Wide b) { return std::min(a, b); };
  const auto max = [](Wide a, Wide b) { return std::max(a, b); };
  return {{"add.u16x2 d32, a32, b32", halves(false, add)},
          {"add.s16x2 d32, a32, b32", halves(true, add)},
          {"min.u16x2 d32, a32, b32", halves(false, min)},
          {"min.s16x2 d32, a32, b32", halves(true, min)},
          {"min.relu.s16x2 d32, a32, b32",
           halves(true, [=](Wide a, Wide b) { return max(min(a, b), 0); })},
          {"max.relu.s16x2 d32, a32, b32",
           halves(true, [=](Wide a, Wide b) { return max(max(a, b), 0); })},
          {"max.u16x2 d32, a32, b32", halves(false, max)},
          {"max.s16x2 d32, a32, b32", halves(true, max)}};
}

std::vector<InstructionCase> dotProducts() {
  std::vector<InstructionCase> cases;
  for (bool sa : {false, true})
    for (bool sb : {false, true}) {
      const auto byte = [](uint64_t x, int i, bool s) {
        return s ? int64_t(int8_t(x >> 8 * i)) : int64_t(uint8_t(x >> 8 * i));
      };
      const auto half = [](uint64_t x, int i, bool s) {
        return s ? int64_t(int16_t(x >> 16 * i)) : int64_t(uint16_t(x >> 16 * i));
      };
      const std::string types = fmt::format("{}.{}", sa ? "s32" : "u32", sb ? "s32" : "u32");
      cases.push_back(
          {"dp4a." + types + " d32, a32, b32, c32", [=](uint64_t a, uint64_t b, uint64_t c) {
             for (int i = 0; i < 4; ++i)
               c += uint64_t(byte(a, i, sa) * byte(b, i, sb));
             return c;
           }});
      for (int part : {0, 1})
        cases.push_back({fmt::format("dp2a.{}.{} d32, a32, b32, c32", part ? "hi" : "lo", types),
                         [=](uint64_t a, uint64_t b, uint64_t c) {
                           for (int i = 0; i < 2; ++i)
                             c += uint64_t(half(a, i, sa) * byte(b, 2 * part + i, sb));
                           return c;
                         }});
    }
  return cases;
}

/// One link: a sum of the width and its carry.
struct Link {
  uint64_t value;
  bool carry;
};

std::vector<InstructionCase> carryChains() {
  std::vector<InstructionCase> cases;
  for (const IntegerKind &k : integerKinds) {
    if (k.bits < 32)
      continue;
    const Wide base = Wide(1) << k.bits;
    const IntegerKind plain{"", k.bits, false};
    const auto add = [=](uint64_t a, uint64_t b, bool carry) {
      const Wide sum = plain.value(a) + plain.value(b) + carry;
      return Link{uint64_t(sum), sum >= base};
    };
    const auto subtract = [=](uint64_t a, uint64_t b, bool borrow) {
      const Wide difference = plain.value(a) - plain.value(b) - borrow;
      return Link{uint64_t(difference), difference < 0};
    };
    const auto low = [](uint64_t a, uint64_t b) { return a * b; };
    const auto high = [k](uint64_t a, uint64_t b) {
      if (k.bits == 64 && !k.isSigned)
        return uint64_t((unsigned __int128)(a)*b >> 64);
      return uint64_t(k.value(a) * k.value(b) >> k.bits);
    };
    // "OP a, b" with registers of the width.
    const auto link = [&](std::string op, std::string_view operands) {
      std::string text = fmt::format("{}.{} d{}", op, k.name, k.bits);
      for (char operand : operands)
        text += operand == '0' ? ", 0" : fmt::format(", {}{}", operand, k.bits);
      return text;
    };
    const auto chain = [&](std::initializer_list<std::string> links, auto expected) {
      cases.push_back({fmt::format("{}", fmt::join(links, ";\n @k ")), expected});
    };
    using U = uint64_t;
    chain({link("add.cc", "ab")}, [=](U a, U b, U) { return a + b; });
    chain({link("sub.cc", "ab")}, [=](U a, U b, U) { return a - b; });
    chain({link("add.cc", "ab"), link("addc", "bc")},
          [=](U a, U b, U c) { return add(b, c, add(a, b, false).carry).value; });
    chain({link("add.cc", "ab"), link("addc.cc", "bc"), link("addc", "a0")},
          [=](U a, U b, U c) { return a + add(b, c, add(a, b, false).carry).carry; });
    chain({link("sub.cc", "ab"), link("subc", "bc")},
          [=](U a, U b, U c) { return subtract(b, c, subtract(a, b, false).carry).value; });
    chain({link("sub.cc", "ab"), link("subc.cc", "bc"), link("subc", "a0")},
          [=](U a, U b, U c) { return a - subtract(b, c, subtract(a, b, false).carry).carry; });
    for (bool isHigh : {false, true}) {
      const std::string part = isHigh ? ".hi" : ".lo";
      const auto product = [=](U a, U b) { return isHigh ? high(a, b) : low(a, b); };
      chain({link("mad" + part + ".cc", "abc")}, [=](U a, U b, U c) { return product(a, b) + c; });
      chain({link("mad" + part + ".cc", "abc"), link("addc", "00")},
            [=](U a, U b, U c) { return add(product(a, b), c, false).carry; });
      chain({link("add.cc", "ab"), link("madc" + part, "bca")},
            [=](U a, U b, U c) { return add(product(b, c), a, add(a, b, false).carry).value; });
      chain({link("add.cc", "ab"), link("madc" + part + ".cc", "bca"), link("addc", "00")},
            [=](U a, U b, U c) { return add(product(b, c), a, add(a, b, false).carry).carry; });
    }
  }
  return cases;
}

} // namespace

std::vector<InstructionCase> integerCases() {
  std::vector<InstructionCase> all;
  for (const auto table :
       {arithmetic, saturates, multiplies24Bits, packedHalves, dotProducts, carryChains})
    for (InstructionCase &test : table())
      all.push_back(std::move(test));
  return all;
}

TEST(Integer, instructions) { checkInstructions(integerCases()); }

TEST(Integer, harnessSeesWrongResults) {
  EXPECT_NONFATAL_FAILURE(checkInstructions({{"add.u32 d32, a32, b32",
                                              [](uint64_t a, uint64_t b, uint64_t) {
                                                return a + b +
                                                       (uint32_t(a) == 0x80000000 && b == 33);
                                              }}}),
                          "expected 0x80000022");
}

} // namespace ingot::emulator::test
