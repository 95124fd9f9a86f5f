/// Integer instructions against arithmetic in 128 bits, bit loops and tables.
#include "InstructionHarness.h"
#include <bitset>
#include <gtest/gtest-spi.h>

namespace ingot::emulator {
namespace {

using test::checkInstructions;
using test::InstructionCase;
using Wide = __int128;

struct IntegerKind {
  std::string name; ///< "s32"
  int bits;
  bool isSigned;
  /// The value of a register.
  Wide value(uint64_t x) const {
    Wide v = bits == 64 ? Wide(x) : Wide(x & ((uint64_t(1) << bits) - 1));
    if (isSigned && v >> (bits - 1) & 1)
      v -= Wide(1) << bits;
    return v;
  }
  Wide largest() const { return (Wide(1) << (bits - isSigned)) - 1; }
  Wide smallest() const { return isSigned ? -(Wide(1) << (bits - 1)) : 0; }
};
const std::vector<IntegerKind> kinds = {{"u16", 16, false}, {"s16", 16, true},  {"u32", 32, false},
                                        {"s32", 32, true},  {"u64", 64, false}, {"s64", 64, true}};

TEST(Integer, harnessSeesWrongResults) {
  EXPECT_NONFATAL_FAILURE(checkInstructions({{"add.u32 d32, a32, b32",
                                              [](uint64_t a, uint64_t b, uint64_t) {
                                                return a + b +
                                                       (uint32_t(a) == 0x80000000 && b == 33);
                                              }}}),
                          "expected 0x80000022");
}

TEST(Integer, arithmetic) {
  std::vector<InstructionCase> cases;
  for (const IntegerKind &k : kinds) {
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
  checkInstructions(cases);
}

TEST(Integer, saturates) {
  const IntegerKind s32{"s32", 32, true};
  const auto clamp = [=](Wide v) {
    return uint64_t(v > s32.largest() ? s32.largest() : v < s32.smallest() ? s32.smallest() : v);
  };
  const auto f = [=](auto op) {
    return [=](uint64_t a, uint64_t b, uint64_t c) {
      return clamp(op(s32.value(a), s32.value(b), s32.value(c)));
    };
  };
  checkInstructions({
      {"add.sat.s32 d32, a32, b32", f([](Wide a, Wide b, Wide) { return a + b; })},
      {"sub.sat.s32 d32, a32, b32", f([](Wide a, Wide b, Wide) { return a - b; })},
      {"mad.hi.sat.s32 d32, a32, b32, c32",
       f([](Wide a, Wide b, Wide c) { return (a * b >> 32) + c; })},
      {"min.relu.s32 d32, a32, b32",
       f([](Wide a, Wide b, Wide) { return std::max<Wide>(0, std::min(a, b)); })},
      {"max.relu.s32 d32, a32, b32",
       f([](Wide a, Wide b, Wide) { return std::max<Wide>(0, std::max(a, b)); })},
  });
}

Wide low24(uint64_t x, bool isSigned) {
  Wide v = x & 0xffffff;
  return isSigned && v >> 23 ? v - (1 << 24) : v;
}

TEST(Integer, multiplies24Bits) {
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
  checkInstructions(cases);
}

TEST(Integer, packedHalves) {
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
  checkInstructions({{"add.u16x2 d32, a32, b32", halves(false, add)},
                     {"add.s16x2 d32, a32, b32", halves(true, add)},
                     {"min.u16x2 d32, a32, b32", halves(false, min)},
                     {"min.s16x2 d32, a32, b32", halves(true, min)},
                     {"max.u16x2 d32, a32, b32", halves(false, max)},
                     {"max.s16x2 d32, a32, b32", halves(true, max)}});
}

TEST(Integer, dotProducts) {
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
  checkInstructions(cases);
}

TEST(Integer, carryChains) {
  using U = unsigned __int128;
  // 128 bits in two steps; d64 is the upper half.
  const auto chain = [](auto f) {
    return [f](uint64_t a, uint64_t b, uint64_t c) { return uint64_t(f(U(a), U(b), U(c)) >> 64); };
  };
  checkInstructions({
      {"add.cc.u64 d64, a64, b64;\n @k addc.u64 d64, b64, c64",
       [](uint64_t a, uint64_t b, uint64_t c) { return b + c + (a + b < a); }},
      {"sub.cc.u64 d64, a64, b64;\n @k subc.u64 d64, b64, c64",
       [](uint64_t a, uint64_t b, uint64_t c) { return b - c - (a < b); }},
      {"mad.lo.cc.u64 d64, a64, b64, c64;\n @k madc.hi.u64 d64, a64, b64, 0",
       chain([](U a, U b, U c) { return a * b + c; })},
      {"add.cc.u32 d32, a32, b32;\n @k addc.cc.u32 d32, b32, b32;\n @k addc.u32 d32, 0, 0",
       [](uint64_t a, uint64_t b, uint64_t) {
         const uint64_t x = uint32_t(a), y = uint32_t(b);
         return (((x + y) >> 32) + y + y) >> 32;
       }},
  });
}

TEST(Integer, bits) {
  const auto bit = [](uint64_t x, int i) { return x >> i & 1; };
  std::vector<InstructionCase> cases = {
      {"and.b32 d32, a32, b32", [](uint64_t a, uint64_t b, uint64_t) { return a & b; }},
      {"or.b64 d64, a64, b64", [](uint64_t a, uint64_t b, uint64_t) { return a | b; }},
      {"xor.b16 d16, a16, b16", [](uint64_t a, uint64_t b, uint64_t) { return a ^ b; }},
      {"not.b64 d64, a64", [](uint64_t a, uint64_t, uint64_t) { return ~a; }},
      {"cnot.b32 d32, a32",
       [](uint64_t a, uint64_t, uint64_t) { return uint64_t(uint32_t(a) == 0); }},
      {"popc.b32 d32, a32",
       [](uint64_t a, uint64_t, uint64_t) { return std::bitset<32>(uint32_t(a)).count(); }},
      {"popc.b64 d32, a64",
       [](uint64_t a, uint64_t, uint64_t) { return std::bitset<64>(a).count(); }},
  };
  for (int n : {32, 64}) {
    cases.push_back({fmt::format("clz.b{} d32, a{}", n, n), [=](uint64_t a, uint64_t, uint64_t) {
                       int i = 0;
                       while (i < n && !bit(a, n - 1 - i))
                         ++i;
                       return uint64_t(i);
                     }});
    cases.push_back(
        {fmt::format("brev.b{} d{}, a{}", n, n, n), [=](uint64_t a, uint64_t, uint64_t) {
           uint64_t r = 0;
           for (int i = 0; i < n; ++i)
             r |= bit(a, i) << (n - 1 - i);
           return r;
         }});
    for (bool s : {false, true}) {
      const auto find = [=](uint64_t a) {
        const uint64_t sign = s ? bit(a, n - 1) : 0;
        for (int i = n - 1; i >= 0; --i)
          if (bit(a, i) != sign)
            return i;
        return -1;
      };
      const std::string t = fmt::format("{}{}", s ? "s" : "u", n);
      cases.push_back({fmt::format("bfind.{} d32, a{}", t, n),
                       [=](uint64_t a, uint64_t, uint64_t) { return uint64_t(int64_t(find(a))); }});
      cases.push_back(
          {fmt::format("bfind.shiftamt.{} d32, a{}", t, n), [=](uint64_t a, uint64_t, uint64_t) {
             const int i = find(a);
             return uint64_t(int64_t(i < 0 ? -1 : n - 1 - i));
           }});
      cases.push_back({fmt::format("bfe.{} d{}, a{}, b32, c32", t, n, n),
                       [=](uint64_t a, uint64_t b, uint64_t c) {
                         const int pos = b & 0xff, len = c & 0xff;
                         const uint64_t sign =
                             !s || !len ? 0 : bit(a, std::min(pos + len - 1, n - 1));
                         uint64_t r = 0;
                         for (int i = 0; i < n; ++i)
                           r |= (i < len && pos + i < n ? bit(a, pos + i) : sign) << i;
                         return r;
                       }});
      cases.back().bMask = cases.back().cMask = 0x7f;
      cases.push_back(
          {fmt::format("shr.{} d{}, a{}, b32", t, n, n), [=](uint64_t a, uint64_t b, uint64_t) {
             const IntegerKind k{"", n, s};
             return uint64_t(k.value(a) >> std::min<uint64_t>(uint32_t(b), 100));
           }});
      cases.back().bMask = 0xff;
    }
    cases.push_back(
        {fmt::format("shl.b{} d{}, a{}, b32", n, n, n), [=](uint64_t a, uint64_t b, uint64_t) {
           return uint32_t(b) >= uint32_t(n) ? 0 : a << b;
         }});
    cases.back().bMask = 0x7f;
    cases.push_back({fmt::format("bfi.b{} d{}, a{}, b{}, c32, 9", n, n, n, n),
                     [=](uint64_t a, uint64_t b, uint64_t c) {
                       const int pos = c & 0xff;
                       for (int i = 0; i < 9 && pos + i < n; ++i)
                         b = (b & ~(uint64_t(1) << (pos + i))) | bit(a, i) << (pos + i);
                       return b;
                     }});
    cases.back().cMask = 0x7f;
  }
  checkInstructions(cases);
}

TEST(Integer, funnelsMasksAndPermutations) {
  const auto funnel = [](bool left, bool clamp) {
    return [=](uint64_t a, uint64_t b, uint64_t c) {
      const uint64_t both = uint32_t(b) * (uint64_t(1) << 32) + uint32_t(a);
      const int n = clamp ? int(std::min<uint64_t>(uint32_t(c), 32)) : int(c & 31);
      return left ? uint64_t((unsigned __int128)(both) << n >> 32) : both >> n;
    };
  };
  const auto byteOf = [](uint64_t a, uint64_t b, int i) {
    return (i < 4 ? a >> 8 * i : b >> 8 * (i - 4)) & 0xff;
  };
  const auto permuted = [=](uint64_t a, uint64_t b, std::array<int, 4> from) {
    uint64_t r = 0;
    for (int i = 0; i < 4; ++i)
      r |= byteOf(a, b, from[i]) << 8 * i;
    return r;
  };
  const auto mask = [](bool clamp) {
    return [=](uint64_t a, uint64_t b, uint64_t) {
      uint64_t pos = uint32_t(a), len = uint32_t(b);
      if (!clamp)
        pos &= 31, len &= 31;
      uint64_t r = 0;
      for (uint64_t i = pos; i < std::min<uint64_t>(pos + len, 32); ++i)
        r |= uint64_t(1) << i;
      return r;
    };
  };
  const auto extend = [](bool s, bool clamp) {
    return [=](uint64_t a, uint64_t b, uint64_t) -> uint64_t {
      const int n = clamp ? int(std::min<uint64_t>(uint32_t(b), 32)) : int(b & 31);
      return n ? uint64_t(IntegerKind{"", n, s}.value(a)) : 0;
    };
  };
  std::vector<InstructionCase> cases = {
      {"shf.l.clamp.b32 d32, a32, b32, c32", funnel(true, true)},
      {"shf.l.wrap.b32 d32, a32, b32, c32", funnel(true, false)},
      {"shf.r.clamp.b32 d32, a32, b32, c32", funnel(false, true)},
      {"shf.r.wrap.b32 d32, a32, b32, c32", funnel(false, false)},
      {"bmsk.clamp.b32 d32, a32, b32", mask(true)},
      {"bmsk.wrap.b32 d32, a32, b32", mask(false)},
      {"szext.clamp.s32 d32, a32, b32", extend(true, true)},
      {"szext.wrap.s32 d32, a32, b32", extend(true, false)},
      {"szext.clamp.u32 d32, a32, b32", extend(false, true)},
      {"szext.wrap.u32 d32, a32, b32", extend(false, false)},
      {"prmt.b32 d32, a32, b32, c32",
       [=](uint64_t a, uint64_t b, uint64_t c) {
         uint64_t r = 0;
         for (int i = 0; i < 4; ++i) {
           const int s = c >> 4 * i & 15;
           const uint64_t byte = byteOf(a, b, s & 7);
           r |= (s & 8 ? (byte & 0x80 ? 0xff : 0) : byte) << 8 * i;
         }
         return r;
       }},
      {"prmt.b32.f4e d32, a32, b32, c32",
       [=](uint64_t a, uint64_t b, uint64_t c) {
         const int n = c & 3;
         return permuted(a, b, {n, n + 1, n + 2, n + 3});
       }},
      {"prmt.b32.b4e d32, a32, b32, c32",
       [=](uint64_t a, uint64_t b, uint64_t c) {
         const int n = c & 3;
         return permuted(a, b, {n, (n + 7) % 8, (n + 6) % 8, (n + 5) % 8});
       }},
      {"prmt.b32.rc8 d32, a32, b32, c32",
       [=](uint64_t a, uint64_t b, uint64_t c) {
         const int n = c & 3;
         return permuted(a, b, {n, n, n, n});
       }},
      {"prmt.b32.ecl d32, a32, b32, c32",
       [=](uint64_t a, uint64_t b, uint64_t c) {
         const int n = c & 3;
         return permuted(a, b, {std::max(n, 0), std::max(n, 1), std::max(n, 2), 3});
       }},
      {"prmt.b32.ecr d32, a32, b32, c32",
       [=](uint64_t a, uint64_t b, uint64_t c) {
         const int n = c & 3;
         return permuted(a, b, {0, std::min(n, 1), std::min(n, 2), n});
       }},
      {"prmt.b32.rc16 d32, a32, b32, c32",
       [=](uint64_t a, uint64_t b, uint64_t c) {
         const int n = c & 1;
         return permuted(a, b, {2 * n, 2 * n + 1, 2 * n, 2 * n + 1});
       }},
      {"fns.b32 d32, a32, b32, c32",
       [](uint64_t a, uint64_t b, uint64_t c) {
         const int base = int(b & 31), offset = int32_t(c);
         if (offset == 0)
           return a >> base & 1 ? uint64_t(base) : ~uint64_t(0);
         std::vector<int> set;
         for (int i = base; i >= 0 && i < 32; i += offset > 0 ? 1 : -1)
           if (a >> i & 1)
             set.push_back(i);
         const uint64_t n = offset > 0 ? uint64_t(offset) : uint64_t(-int64_t(offset));
         return n <= set.size() ? uint64_t(set[n - 1]) : ~uint64_t(0);
       },
       ~uint64_t(0), 31},
  };
  for (int table : {0x00, 0x96, 0xe8, 0xca, 0x3c, 0x80, 0xfe, 0xff})
    cases.push_back(
        {fmt::format("lop3.b32 d32, a32, b32, c32, {}", table),
         [=](uint64_t a, uint64_t b, uint64_t c) {
           uint64_t r = 0;
           for (int i = 0; i < 32; ++i)
             r |= uint64_t(table >> ((a >> i & 1) * 4 + (b >> i & 1) * 2 + (c >> i & 1)) & 1) << i;
           return r;
         }});
  checkInstructions(cases);
}

TEST(Integer, compares) {
  std::vector<InstructionCase> cases;
  const std::vector<std::pair<std::string, std::function<bool(Wide, Wide)>>> relations = {
      {"eq", [](Wide a, Wide b) { return a == b; }}, {"ne", [](Wide a, Wide b) { return a != b; }},
      {"lt", [](Wide a, Wide b) { return a < b; }},  {"le", [](Wide a, Wide b) { return a <= b; }},
      {"gt", [](Wide a, Wide b) { return a > b; }},  {"ge", [](Wide a, Wide b) { return a >= b; }}};
  for (const IntegerKind &k : kinds)
    for (const auto &[name, holds] : relations) {
      cases.push_back({fmt::format("setp.{}.{} p, a{}, b{}", name, k.name, k.bits, k.bits),
                       [k, holds = holds](uint64_t a, uint64_t b, uint64_t) {
                         return uint64_t(holds(k.value(a), k.value(b)));
                       }});
      cases.push_back({fmt::format("set.{}.u32.{} d32, a{}, b{}", name, k.name, k.bits, k.bits),
                       [k, holds = holds](uint64_t a, uint64_t b, uint64_t) {
                         return holds(k.value(a), k.value(b)) ? ~uint64_t(0) : 0;
                       }});
    }
  const IntegerKind s32{"", 32, true}, u32{"", 32, false};
  // q is (c < 0)
  cases.push_back({"setp.lt.and.s32 p, a32, b32, q", [=](uint64_t a, uint64_t b, uint64_t c) {
                     return uint64_t(s32.value(a) < s32.value(b) && s32.value(c) < 0);
                   }});
  cases.push_back({"setp.lt.or.s32 p, a32, b32, !q", [=](uint64_t a, uint64_t b, uint64_t c) {
                     return uint64_t(s32.value(a) < s32.value(b) || s32.value(c) >= 0);
                   }});
  cases.push_back({"setp.hi.xor.u32 p, a32, b32, q", [=](uint64_t a, uint64_t b, uint64_t c) {
                     return uint64_t((u32.value(a) > u32.value(b)) != (s32.value(c) < 0));
                   }});
  cases.push_back({"setp.lt.and.s32 q|p, a32, b32, q", [=](uint64_t a, uint64_t b, uint64_t c) {
                     return uint64_t(!(s32.value(a) < s32.value(b)) && s32.value(c) < 0);
                   }});
  cases.push_back(
      {"set.lo.and.f32.u32 d32, a32, b32, q", [=](uint64_t a, uint64_t b, uint64_t c) -> uint64_t {
         return u32.value(a) < u32.value(b) && s32.value(c) < 0 ? 0x3f800000 : 0;
       }});
  cases.push_back({"selp.b64 d64, a64, b64, q",
                   [=](uint64_t a, uint64_t b, uint64_t c) { return s32.value(c) < 0 ? a : b; }});
  cases.push_back({"slct.b32.s32 d32, a32, b32, c32",
                   [=](uint64_t a, uint64_t b, uint64_t c) { return s32.value(c) >= 0 ? a : b; }});
  checkInstructions(cases);
}

TEST(Integer, converts) {
  std::vector<InstructionCase> cases;
  const std::vector<IntegerKind> all = {{"u8", 8, false},   {"s8", 8, true},    {"u16", 16, false},
                                        {"s16", 16, true},  {"u32", 32, false}, {"s32", 32, true},
                                        {"u64", 64, false}, {"s64", 64, true}};
  for (const IntegerKind &to : all)
    for (const IntegerKind &from : all)
      for (bool saturate : {false, true}) {
        // The destination register may be wider than the type.
        const int width = std::max(to.bits, 32);
        cases.push_back({fmt::format("cvt.{}{}.{} d{}, a{}", saturate ? "sat." : "", to.name,
                                     from.name, width, std::max(from.bits, 16)),
                         [=](uint64_t a, uint64_t, uint64_t) {
                           Wide v = from.value(a);
                           if (saturate)
                             v = std::clamp(v, to.smallest(), to.largest());
                           return uint64_t(to.value(uint64_t(v)));
                         }});
      }
  checkInstructions(cases);
}

} // namespace
} // namespace ingot::emulator
