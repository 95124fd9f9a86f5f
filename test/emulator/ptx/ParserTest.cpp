/// What the parser makes of texts, beyond what the kernels of the other tests show.
#include "runtime/emulator/ptx/Ptx.h"
#include "test/emulator/Support.h"

namespace ingot::emulator::test {
namespace {

// h is inlined into g, which is inlined into f, which is inlined into the kernel.
TEST(Parser, inlinedLocationsKnowAllTheirCallers) {
  const auto module = ptx::parse(header() + R"(
.file 1 "a.cu"
.visible .entry k()
{
.reg .b32 r;
.loc 1 10 1
mov.u32 r, 1;
.loc 1 20 2, function_name f, inlined_at 1 10 1
mov.u32 r, 2;
.loc 1 30 3, function_name g, inlined_at 1 20 2
mov.u32 r, 3;
.loc 1 40 4, function_name h, inlined_at 1 30 3
mov.u32 r, 4;
.loc 1 11 1
mov.u32 r, 5;
.loc 1 20 2, function_name f, inlined_at 1 11 1
mov.u32 r, 6;
.loc 1 30 3, function_name g, inlined_at 1 20 2
mov.u32 r, 7;
ret;
}
)",
                                 "inlined.ptx");
  ASSERT_TRUE(module) << module.error().text();
  const ptx::Function &function = *module->function("k");
  const auto linesFrom = [&](size_t instruction) {
    std::vector<int> lines;
    for (int at = function.instructions[instruction].location; at >= 0;
         at = function.locations[size_t(at)].caller)
      lines.push_back(function.locations[size_t(at)].line);
    return lines;
  };
  EXPECT_EQ(linesFrom(0), (std::vector<int>{10}));
  EXPECT_EQ(linesFrom(1), (std::vector<int>{20, 10}));
  EXPECT_EQ(linesFrom(2), (std::vector<int>{30, 20, 10}));
  EXPECT_EQ(linesFrom(3), (std::vector<int>{40, 30, 20, 10}));
  EXPECT_EQ(linesFrom(4), (std::vector<int>{11}));
  EXPECT_EQ(linesFrom(6), (std::vector<int>{30, 20, 11})); // the latest inlining there
}

// Debug sections are read over, whatever their size; the kernel behind them has no parameters.
TEST(Parser, debugSectionsAreSkipped) {
  std::string text = header() + ".section .debug_info\n{\n";
  for (int i = 0; i < 20000; ++i)
    text += ".b8 1, 2, 3\n.b32 .debug_abbrev\n.b64 k+12\n";
  Device device(text + "}\n.visible .entry k() { .reg .b32 r; mov.u32 r, 1; ret; }\n");
  EXPECT_TRUE(device.launch("k", {1}, {32}).findings.empty());
}

} // namespace
} // namespace ingot::emulator::test
