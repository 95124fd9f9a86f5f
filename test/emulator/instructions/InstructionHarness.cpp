#include "test/emulator/instructions/InstructionHarness.h"

namespace ingot::emulator::test {
namespace {

constexpr uint64_t kept = 0x1122334455667788;

/// Threads touch their own cells alone, and nothing is copied.
constexpr CheckOptions quick{.globalRaces = false, .async = false, .profile = false};

constexpr uint64_t boundaryBits[] = {0,
                                     1,
                                     2,
                                     31,
                                     32,
                                     33,
                                     63,
                                     0x7f,
                                     0x80,
                                     0xff,
                                     0x7fff,
                                     0x8000,
                                     0xffff,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     0x00007fff8000ffff,
                                     0x7fffffffffffffff,
                                     0x8000000000000000,
                                     0xffffffffffffffff};

/// 64 bits full of the format's values.
template <typename Draw> uint64_t fill(FloatType format, Draw draw) {
  const int width = bitWidth(format);
  uint64_t bits = 0;
  for (int at = 0; at < 64; at += width)
    bits |= draw() << at;
  return bits;
}

/// The values of one operand: boundary values and random ones, of a format or any bits.
class Source {
public:
  Source(std::optional<FloatType> format, uint64_t mask, std::mt19937_64 &random)
      : format(format), mask(mask), random(random) {
    if (format)
      values = boundaryValues(*format);
    else
      values.assign(std::begin(boundaryBits), std::end(boundaryBits));
  }
  size_t boundaries() const { return values.size(); }
  uint64_t boundary(size_t index) {
    if (!format)
      return values[index] & mask;
    return fill(*format, [&] { return values[index++ % values.size()]; }) & mask;
  }
  uint64_t draw() {
    if (!format)
      return random() >> random() % 64 & mask; // of all magnitudes
    return fill(*format, [&] { return randomValue(*format, random); }) & mask;
  }

private:
  std::optional<FloatType> format;
  uint64_t mask;
  std::mt19937_64 &random;
  std::vector<uint64_t> values;
};

/// The first operand of the last statement: "d32", "p", …
std::string resultOf(std::string_view text) {
  if (const size_t last = text.rfind("@k"); last != text.npos)
    text = text.substr(last + 3);
  const size_t start = text.find(' ') + 1;
  return std::string(text.substr(start, text.find(',', start) - start));
}
bool isPredicate(std::string_view result) {
  return result.starts_with("p") || result.ends_with("p");
}
int widthOf(std::string_view result) {
  return isPredicate(result) ? 32 : std::stoi(std::string(result.substr(1, 2)));
}

/// Registers that every kernel declares; the loads put operands into them.
constexpr std::string_view declarations = R"(
  .reg .pred out, k, p, q, r;
  .reg .b8 a8, d8;
  .reg .b16 a16, b16, c16, d16, e16;
  .reg .b32 a32, b32, c32, d32, e32, f32, m, t, i, lane, sa;
  .reg .b64 a64, b64, c64, d64, e64, f64, ra, rb, rc, rd, rw, rs, at;
  .reg .b16 v16_<8>, o16_<8>;
  .reg .b32 v32_<4>, o32_<4>;
)";

std::string kernelOf(std::string_view text, bool isWarp) {
  const std::string to = resultOf(text);
  std::string store;
  if (isPredicate(to))
    store = "selp.b32 d32, 1, 0, p;\n@!k mov.b32 d32, 0x55667788;\nst.global.b32 [rd], d32;\n";
  else
    store = fmt::format("st.global.b{} [rd], d{};\n", widthOf(to), widthOf(to));
  // The member mask, or every seventh thread left out.
  const std::string_view guard = isWarp ? R"(
  ld.param.u64 rw, [pw]; shr.u64 at, at, 1; add.u64 rw, rw, at; ld.global.b32 m, [rw];
  mov.u32 lane, %laneid; brev.b32 e32, m; clz.b32 e32, e32;
  shr.u32 t, m, lane; and.b32 t, t, 1; setp.ne.u32 k, t, 0;
)"
                                        : R"(
  shl.b64 at, at, 1; ld.param.u64 rw, [pw]; add.u64 rw, rw, at;
  rem.u32 t, i, 7;
  setp.ne.u32 k, t, 3;
)";
  return fmt::format(R"(
.visible .entry run(.param .u64 pa, .param .u64 pb, .param .u64 pc, .param .u64 pd, .param .u64 pw,
                    .param .u32 n)
{{
  .shared .align 16 .b64 cells[128];
  {}
  mov.u32 t, %tid.x;
  mov.u32 sa, cells;
  mad.lo.u32 sa, t, 8, sa;
  mov.u32 i, %ctaid.x;
  mad.lo.u32 i, i, 128, t;
  ld.param.u32 t, [n];
  setp.ge.u32 out, i, t;
  @out exit;
  mul.wide.u32 at, i, 8;
  ld.param.u64 ra, [pa]; add.u64 ra, ra, at;
  ld.param.u64 rb, [pb]; add.u64 rb, rb, at;
  ld.param.u64 rc, [pc]; add.u64 rc, rc, at;
  ld.param.u64 rd, [pd]; add.u64 rd, rd, at;
  ld.global.b64 a64, [ra]; cvt.u32.u64 a32, a64; cvt.u16.u64 a16, a64;
  ld.global.b8 a8, [ra]; ld.global.b8 d8, [rd];
  ld.global.b64 b64, [rb]; cvt.u32.u64 b32, b64; cvt.u16.u64 b16, b64;
  ld.global.b64 c64, [rc]; cvt.u32.u64 c32, c64; cvt.u16.u64 c16, c64;
  ld.global.b64 d64, [rd]; cvt.u32.u64 d32, d64; cvt.u16.u64 d16, d64;
  st.shared.b64 [sa], a64;
  cvt.u64.u32 rs, sa; cvta.shared.u64 rs, rs;
  setp.lt.s32 q, c32, 0; setp.lt.s32 r, b32, 0;
  {}
  @k {};
  {}
  ret;
}}
)",
                     declarations, guard, text, store);
}

std::string moduleOf(std::string_view text, bool isWarp, std::string_view target) {
  return header(target) + kernelOf(text, isWarp);
}

struct Operands {
  std::vector<uint64_t> a, b, c;
};

Operands drawOperands(const InstructionCase &test, std::mt19937_64 &random) {
  Operands operands;
  const bool plain =
      test.text.find(".sat.") == std::string::npos && test.text.find(".ftz.") == std::string::npos;
  const bool unary = test.text.find(" b") == std::string::npos &&
                     test.text.find("[") == std::string::npos &&
                     test.text.find(", c") == std::string::npos;
  Source a(test.formats[0], ~uint64_t(0), random), b(test.formats[1], test.bMask, random),
      c(test.formats[2], test.cMask, random);
  const auto push = [&](uint64_t x, uint64_t y, uint64_t z) {
    operands.a.push_back(x);
    operands.b.push_back(y);
    operands.c.push_back(z);
  };
  if (unary && plain && test.formats[0] && bitWidth(*test.formats[0]) <= 16) {
    for (uint64_t bits = 0; bits < 65536; ++bits)
      push((a.draw() & ~uint64_t(0xffff)) | bits, 0, 0);
    return operands;
  }
  for (size_t i = 0; i < a.boundaries(); ++i)
    for (size_t j = 0; j < b.boundaries(); ++j)
      push(a.boundary(i), b.boundary(j), c.boundary(random() % c.boundaries()));
  for (int i = 0; i < 1000; ++i)
    push(a.draw(), b.draw(), c.draw());
  return operands;
}

uint64_t maskOf(int width) { return width == 64 ? ~uint64_t(0) : (uint64_t(1) << width) - 1; }

} // namespace

std::string kernelAround(std::string_view name, std::string_view statements,
                         std::string_view parameters) {
  return fmt::format(".visible .entry {}({})\n{{\n{}\n{};\nret;\n}}\n", name, parameters,
                     declarations, statements);
}

bool decodes(std::string_view statement, std::string_view target) {
  GlobalMemory memory;
  const auto module =
      Module::load(header(target) + kernelAround("probe", statement), "probe.ptx", memory);
  return module && (*module)->kernel("probe");
}

void checkInstructions(const std::vector<InstructionCase> &cases) {
  std::mt19937_64 random(freshSeed());
  for (const InstructionCase &test : cases) {
    SCOPED_TRACE(test.text);
    Device device(moduleOf(test.text, false, test.target));
    if (!device.kernel("run"))
      continue;
    device.checks = quick;
    const auto [a, b, c] = drawOperands(test, random);
    const size_t count = a.size();
    std::vector<uint64_t> pairs;
    for (size_t i = 0; i < count; ++i)
      pairs.insert(pairs.end(), {a[i], b[i]});
    const uint64_t d = device.upload(std::vector<uint64_t>(count, kept));
    device.launch("run", {uint32_t(count + 127) / 128}, {128}, device.upload(a), device.upload(b),
                  device.upload(c), d, device.upload(pairs), uint32_t(count));
    const auto results = device.download<uint64_t>(d, count);
    const uint64_t mask = maskOf(widthOf(resultOf(test.text)));
    int wrong = 0;
    for (size_t i = 0; i < count && wrong < 5; ++i) {
      const uint64_t result = results[i] & mask;
      const bool leftOut = i % 7 == 3;
      const auto of = [&] {
        return fmt::format("a {:#x} b {:#x} c {:#x}: {:#x}", a[i], b[i], c[i], result);
      };
      if (!leftOut && test.accepts) {
        if (!test.accepts(a[i], b[i], c[i], result)) {
          ++wrong;
          ADD_FAILURE() << of();
        }
        continue;
      }
      const uint64_t expected = leftOut ? kept : test.expected(a[i], b[i], c[i]);
      if (result != (expected & mask)) {
        ++wrong;
        ADD_FAILURE() << fmt::format("{}, expected {:#x}{}", of(), expected & mask,
                                     leftOut ? " (guard false)" : "");
      }
    }
  }
}

void checkWarpInstructions(const std::vector<WarpCase> &cases) {
  constexpr int warps = 64, count = 32 * warps;
  std::mt19937_64 random(freshSeed());
  for (const WarpCase &test : cases) {
    SCOPED_TRACE(test.text);
    Device device(moduleOf(test.text, true, test.target));
    if (!device.kernel("run"))
      continue;
    device.checks = quick;
    Source sourceA(test.format, test.aMask, random), sourceB({}, test.bMask, random),
        sourceC({}, test.cMask, random);
    std::vector<uint64_t> a, b, c;
    std::vector<uint32_t> members;
    for (int warp = 0; warp < warps; ++warp) {
      // The whole warp, or up to three groups and lanes that stay out.
      std::array<uint32_t, 4> groups = {};
      for (int lane = 0; lane < 32; ++lane)
        groups[warp % 4 && !test.wholeWarps ? random() % (warp % 4 + 1) : 1] |= uint32_t(1) << lane;
      // A few values many times, or all different.
      const bool few = warp % 2;
      const uint64_t one = sourceA.draw(), other = sourceA.draw();
      for (int lane = 0; lane < 32; ++lane) {
        uint32_t own = 0;
        for (int group = 1; group < 4; ++group)
          if (groups[group] >> lane & 1)
            own = groups[group];
        members.push_back(own);
        a.push_back(!few ? sourceA.draw() : warp % 8 == 1 || random() % 2 ? one : other);
        b.push_back(sourceB.draw());
        c.push_back(test.fewC && warp % 8 < 4 ? warp % 2 * 0xffffffff : sourceC.draw());
      }
    }
    const uint64_t d = device.upload(std::vector<uint64_t>(count, kept));
    device.launch("run", {count / 128}, {128}, device.upload(a), device.upload(b), device.upload(c),
                  d, device.upload(members), uint32_t(count));
    const auto results = device.download<uint64_t>(d, count);
    const uint64_t mask = maskOf(widthOf(resultOf(test.text)));
    int wrong = 0;
    for (int i = 0; i < count && wrong < 5; ++i) {
      const int warp = i / 32, lane = i % 32;
      Lanes x, y, z;
      std::copy_n(a.begin() + 32 * warp, 32, x.begin());
      std::copy_n(b.begin() + 32 * warp, 32, y.begin());
      std::copy_n(c.begin() + 32 * warp, 32, z.begin());
      const uint64_t expected = members[i] ? test.expected(x, y, z, members[i], lane) : kept;
      if ((results[i] & mask) != (expected & mask)) {
        ++wrong;
        ADD_FAILURE() << fmt::format(
            "lane {} of {:#x}, a {:#x} b {:#x} c {:#x}: {:#x}, expected {:#x}", lane, members[i],
            a[i], b[i], c[i], results[i] & mask, expected & mask);
      }
    }
  }
}

} // namespace ingot::emulator::test
