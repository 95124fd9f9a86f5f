#include "InstructionHarness.h"

namespace ingot::emulator::test {
namespace {

constexpr uint64_t kept = 0x1122334455667788;

const std::vector<uint64_t> &boundaries() {
  static const std::vector<uint64_t> values = {0,
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
  return values;
}

std::string kernelOf(const InstructionCase &test) {
  const size_t start = test.text.find(' ') + 1;
  const std::string to = test.text.substr(start, test.text.find(',', start) - start);
  std::string store;
  if (to.ends_with("p"))
    store = "selp.b32 d32, 1, 0, p;\n@!k mov.b32 d32, 0x55667788;\nst.global.b32 [rd], d32;\n";
  else
    store = fmt::format("st.global.b{} [rd], {};\n", to.substr(1), to);
  return header() + fmt::format(R"(
.visible .entry run(.param .u64 pa, .param .u64 pb, .param .u64 pc, .param .u64 pd, .param .u32 n)
{{
  .reg .pred out, k, p, q;
  .reg .b16 a16, b16, c16, d16;
  .reg .b32 a32, b32, c32, d32, t, i, lane;
  .reg .b64 a64, b64, c64, d64, ra, rb, rc, rd, at;
  mov.u32 i, %ctaid.x;
  mov.u32 t, %ntid.x;
  mad.lo.u32 i, i, t, 0;
  mov.u32 t, %tid.x;
  add.u32 i, i, t;
  ld.param.u32 t, [n];
  setp.ge.u32 out, i, t;
  @out exit;
  mul.wide.u32 at, i, 8;
  ld.param.u64 ra, [pa]; add.u64 ra, ra, at;
  ld.param.u64 rb, [pb]; add.u64 rb, rb, at;
  ld.param.u64 rc, [pc]; add.u64 rc, rc, at;
  ld.param.u64 rd, [pd]; add.u64 rd, rd, at;
  ld.global.b16 a16, [ra]; ld.global.b32 a32, [ra]; ld.global.b64 a64, [ra];
  ld.global.b16 b16, [rb]; ld.global.b32 b32, [rb]; ld.global.b64 b64, [rb];
  ld.global.b16 c16, [rc]; ld.global.b32 c32, [rc]; ld.global.b64 c64, [rc];
  ld.global.b16 d16, [rd]; ld.global.b32 d32, [rd]; ld.global.b64 d64, [rd];
  rem.u32 t, i, 7;
  setp.ne.u32 k, t, 3;
  setp.lt.s32 q, c32, 0;
  @k {};
  {}
  ret;
}}
)",
                                test.text, store);
}

int widthOf(const InstructionCase &test) {
  const size_t start = test.text.find(' ') + 1;
  const char kind = test.text[start];
  return kind == 'p' || kind == 'q' ? 32 : std::stoi(test.text.substr(start + 1));
}

} // namespace

void checkInstructions(const std::vector<InstructionCase> &cases) {
  std::mt19937_64 random(freshSeed());
  for (const InstructionCase &test : cases) {
    SCOPED_TRACE(test.text);
    Device device(kernelOf(test));
    std::vector<uint64_t> a, b, c;
    for (uint64_t x : boundaries())
      for (uint64_t y : boundaries()) {
        a.push_back(x);
        b.push_back(y & test.bMask);
        c.push_back(boundaries()[random() % boundaries().size()] & test.cMask);
      }
    while (a.size() < 2000) {
      // Of all magnitudes.
      const auto draw = [&] { return random() >> random() % 64; };
      a.push_back(draw());
      b.push_back(draw() & test.bMask);
      c.push_back(draw() & test.cMask);
    }
    const uint64_t d = device.upload(std::vector<uint64_t>(a.size(), kept));
    device.launch("run", {uint32_t(a.size() + 127) / 128}, {128}, device.upload(a),
                  device.upload(b), device.upload(c), d, uint32_t(a.size()));
    const auto results = device.download<uint64_t>(d, a.size());
    const int width = widthOf(test);
    const uint64_t mask = width == 64 ? ~uint64_t(0) : (uint64_t(1) << width) - 1;
    int wrong = 0;
    for (size_t i = 0; i < a.size() && wrong < 5; ++i) {
      const uint64_t expected = i % 7 == 3 ? kept : test.expected(a[i], b[i], c[i]);
      if ((results[i] & mask) != (expected & mask)) {
        ++wrong;
        ADD_FAILURE() << fmt::format("a {:#x} b {:#x} c {:#x}: {:#x}, expected {:#x}{}", a[i], b[i],
                                     c[i], results[i] & mask, expected & mask,
                                     i % 7 == 3 ? " (guard false)" : "");
      }
    }
  }
}

} // namespace ingot::emulator::test
