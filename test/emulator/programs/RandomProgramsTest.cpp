// Random kernels through NVRTC and the emulator, beside the host's interpreter of the same trees.
#include "test/emulator/Gpu.h"
#include "test/emulator/programs/RandomProgram.h"
#include <cstdlib>

namespace ingot::emulator::test {
namespace {

class RandomPrograms : public GpuTest, public testing::WithParamInterface<Configuration> {
protected:
  void SetUp() override {
    if (const std::string missing = GetParam().missing(); !missing.empty())
      GTEST_SKIP() << missing;
  }
};
INSTANTIATE_TEST_SUITE_P(All, RandomPrograms, testing::ValuesIn(configurations()), nameOf);

TEST_P(RandomPrograms, agreeWithTheHost) {
  // A program of its own costs NVRTC 23 ms before its kernels: many share one.
  constexpr int batch = 25;
  const int batches = std::getenv("INGOT_LONG_TESTS") ? 12 : 1;
  for (int b = 0; b < batches; ++b) {
    std::vector<RandomProgram> programs;
    std::string source = RandomProgram::prelude();
    for (int i = 0; i < batch; ++i) {
      programs.emplace_back(random(), fmt::format("random{}", i));
      source += programs.back().source();
    }
    const auto ptx = compileSource(source, "random.cu", GetParam());
    ASSERT_TRUE(ptx) << ptx.error().text();
    device.load(*ptx);
    for (const RandomProgram &program : programs) {
      const auto in = randomBits<uint64_t>(RandomProgram::threads * RandomProgram::inputs);
      const auto deviceIn = upload(in);
      const auto out = empty<uint64_t>(RandomProgram::threads * program.outputs());
      launch(program.name(), {.grid = {1}, .block = {RandomProgram::threads}}, deviceIn, out);
      const auto expected = program.evaluate(in), actual = out.read();
      for (size_t i = 0; i < expected.size(); ++i)
        ASSERT_EQ(expected[i], actual[i]) << "output " << i % program.outputs() << " of thread "
                                          << i / program.outputs() << " of\n"
                                          << program.source();
    }
  }
}

} // namespace
} // namespace ingot::emulator::test
