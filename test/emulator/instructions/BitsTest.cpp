/// Logic, shifts and bit fields against loops over bits.
#include "test/emulator/instructions/InstructionTables.h"
#include "test/emulator/instructions/IntegerKind.h"
#include <bitset>

namespace ingot::emulator::test {
namespace {

std::vector<InstructionCase> bits() {
  const auto bit = [](uint64_t x, int i) { return x >> i & 1; };
  std::vector<InstructionCase> cases = {
      {"popc.b32 d32, a32",
       [](uint64_t a, uint64_t, uint64_t) { return std::bitset<32>(uint32_t(a)).count(); }},
      {"popc.b64 d32, a64",
       [](uint64_t a, uint64_t, uint64_t) { return std::bitset<64>(a).count(); }},
  };
  const std::vector<std::pair<std::string, uint64_t (*)(uint64_t, uint64_t)>> logic = {
      {"and", [](uint64_t a, uint64_t b) { return a & b; }},
      {"or", [](uint64_t a, uint64_t b) { return a | b; }},
      {"xor", [](uint64_t a, uint64_t b) { return a ^ b; }}};
  const auto isNegative = [](uint64_t x) { return uint64_t(int32_t(x) < 0); };
  for (const uint64_t notQ : {0, 1}) {
    const char *q = notQ ? "!q" : "q";
    for (const uint64_t notR : {0, 1})
      for (const auto &[name, f] : logic)
        cases.push_back({fmt::format("{}.pred p, {}, {}", name, q, notR ? "!r" : "r"),
                         [=, f = f](uint64_t, uint64_t b, uint64_t c) {
                           return f(isNegative(c) ^ notQ, isNegative(b) ^ notR);
                         }});
    cases.push_back({fmt::format("not.pred p, {}", q),
                     [=](uint64_t, uint64_t, uint64_t c) { return !isNegative(c) ^ notQ; }});
  }
  for (int n : {16, 32, 64}) {
    const uint64_t mask = n == 64 ? ~uint64_t(0) : (uint64_t(1) << n) - 1;
    for (const auto &[name, f] : logic)
      cases.push_back({fmt::format("{0}.b{1} d{1}, a{1}, b{1}", name, n),
                       [f = f](uint64_t a, uint64_t b, uint64_t) { return f(a, b); }});
    cases.push_back(
        {fmt::format("not.b{0} d{0}, a{0}", n), [](uint64_t a, uint64_t, uint64_t) { return ~a; }});
    cases.push_back({fmt::format("cnot.b{0} d{0}, a{0}", n),
                     [=](uint64_t a, uint64_t, uint64_t) { return uint64_t((a & mask) == 0); }});
    // Counts at and beyond the width, too.
    for (const char kind : {'b', 'u', 's'}) {
      cases.push_back({fmt::format("shr.{0}{1} d{1}, a{1}, b32", kind, n),
                       [=](uint64_t a, uint64_t b, uint64_t) {
                         const IntegerKind k{"", n, kind == 's'};
                         return uint64_t(k.value(a) >> std::min<uint64_t>(uint32_t(b), 100));
                       }});
      InstructionCase small = cases.back();
      small.bMask = 0xff;
      cases.push_back(small);
    }
    cases.push_back(
        {fmt::format("shl.b{0} d{0}, a{0}, b32", n), [=](uint64_t a, uint64_t b, uint64_t) {
           return uint32_t(b) >= uint32_t(n) ? 0 : a << uint32_t(b);
         }});
    InstructionCase small = cases.back();
    small.bMask = 0x7f;
    cases.push_back(small);
  }
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
    }
    cases.push_back({fmt::format("bfi.b{} d{}, a{}, b{}, c32, 9", n, n, n, n),
                     [=](uint64_t a, uint64_t b, uint64_t c) {
                       const int pos = c & 0xff;
                       for (int i = 0; i < 9 && pos + i < n; ++i)
                         b = (b & ~(uint64_t(1) << (pos + i))) | bit(a, i) << (pos + i);
                       return b;
                     }});
    cases.back().cMask = 0x7f;
  }
  return cases;
}

std::vector<InstructionCase> funnelsMasksAndPermutations() {
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
  for (bool isOr : {false, true})
    for (const std::string_view to : {"d32|r", "_|p"})
      for (const bool negated : {false, true})
        cases.push_back({fmt::format("lop3.{}.b32 {}, a32, b32, c32, 0xe8, {}q",
                                     isOr ? "or" : "and", to, negated ? "!" : ""),
                         [=](uint64_t a, uint64_t b, uint64_t c) -> uint64_t {
                           const uint64_t majority = (a & b) | (b & c) | (a & c);
                           const bool any = uint32_t(majority), q = (int32_t(c) < 0) != negated;
                           return to == "_|p" ? (isOr ? any || q : any && q) : majority;
                         }});
  for (int table : {0x00, 0x96, 0xe8, 0xca, 0x3c, 0x80, 0xfe, 0xff})
    cases.push_back(
        {fmt::format("lop3.b32 d32, a32, b32, c32, {}", table),
         [=](uint64_t a, uint64_t b, uint64_t c) {
           uint64_t r = 0;
           for (int i = 0; i < 32; ++i)
             r |= uint64_t(table >> ((a >> i & 1) * 4 + (b >> i & 1) * 2 + (c >> i & 1)) & 1) << i;
           return r;
         }});
  return cases;
}

} // namespace

std::vector<InstructionCase> bitCases() {
  std::vector<InstructionCase> all = bits();
  for (InstructionCase &test : funnelsMasksAndPermutations())
    all.push_back(std::move(test));
  return all;
}

TEST(Bits, instructions) { checkInstructions(bitCases()); }

} // namespace ingot::emulator::test
