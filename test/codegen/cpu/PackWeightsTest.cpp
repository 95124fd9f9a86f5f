/// Programs whose weights are packed before they run give the bits of those that pack them at each
/// run.
#include "codegen/Compile.h"
#include "frontend/api/ModelModule.h"
#include "frontend/builder/Builder.h"
#include "runtime/program/Device.h"
#include "test/codegen/CompiledKernel.h"
#include <gtest/gtest.h>
#include <map>
#include <random>

namespace ingot::test {
namespace {

using Values = std::map<std::string, Tensor>;

/// The outputs of @forward on random values.
Values run(const Model &model, const std::string &target, bool packWeights, uint64_t seed,
           int64_t &packed) {
  CompileOptions options;
  options.target = target;
  options.memory.packWeights = packWeights;
  Result<Program> program = compile(moduleOf(model), options);
  if (!program) {
    ADD_FAILURE() << program.error().text();
    return {};
  }
  const Function forward = *program->function("forward");
  auto device = openDevice("cpu", {.threads = 2});
  auto session = (*device)->load(std::make_shared<Program>(std::move(*program)));
  EXPECT_TRUE(session) << session.error().text();
  std::map<std::string, uint64_t> seeds;
  for (const Port &port : forward.ports)
    seeds.emplace(port.name, seed + seeds.size());
  packed = 0;
  for (const Port &port : forward.ports) {
    packed += !port.layout.isPlain();
    if (port.role != Role::Output)
      EXPECT_TRUE((*session)->write("forward", port.name,
                                    randomTensor(port.type, port.shape, seeds[port.name])));
  }
  Values values;
  for (int repeat = 0; repeat < 2; ++repeat)
    EXPECT_TRUE((*session)->run("forward"));
  for (const Port &port : forward.ports)
    if (port.role == Role::Output)
      values.emplace(port.name, *(*session)->read("forward", port.name));
  return values;
}

/// How many weights are packed.
int64_t expectSameBits(const Model &model) {
  int64_t packed = 0, none = 0;
  const uint64_t seed = testSeed();
  for (const char *target : {"cpu", "cpu:x86-64-v3,l2=256K"}) {
    SCOPED_TRACE(target);
    const Values plain = run(model, target, false, seed, none);
    const Values values = run(model, target, true, seed, packed);
    EXPECT_EQ(none, 0);
    for (const auto &[name, value] : plain)
      EXPECT_EQ(std::memcmp(value.data(), values.at(name).data(), value.bytes()), 0) << name;
  }
  return packed;
}

Builder::Value weight(Builder &b, const char *name, Shape shape) {
  return b.parameter(name, std::move(shape), Initializer::normal(0.1));
}

struct Conv {
  int64_t in, out, size, kernel = 1, stride = 1, groups = 1, batch = 1;
  bool isPacked = true;
  bool residual = false;
};

Model convolution(const Conv &conv) {
  Builder b;
  const int64_t pad = conv.kernel / 2;
  auto x = b.input("x", ElementType::F32, {conv.batch, conv.in, conv.size, conv.size});
  auto y =
      b.convolution(x, weight(b, "w", {conv.out, conv.in / conv.groups, conv.kernel, conv.kernel}),
                    weight(b, "b", {conv.out}),
                    {.strides = {conv.stride, conv.stride},
                     .low = {pad, pad},
                     .high = {pad, pad},
                     .groups = conv.groups});
  if (conv.residual)
    y = y + b.input("r", ElementType::F32, {conv.batch, conv.out, conv.size, conv.size});
  b.output("y", b.relu(y));
  return b.finish().value();
}

TEST(PackWeights, convolutionsOfFewPositions) {
  for (const Conv &conv :
       {Conv{64, 96, 7, 3}, Conv{512, 128, 7}, Conv{40, 33, 14, 3}, Conv{64, 80, 14, 3, 2},
        Conv{96, 200, 10, 1, 2}, Conv{300, 72, 5, 3, 1, 1, 1, true, true}, Conv{700, 64, 7, 3},
        Conv{96, 96, 7, 3, 1, 2}, Conv{64, 20, 14, 3, 1, 1, 1, false},
        Conv{64, 64, 40, 3, 1, 1, 1, false}, Conv{64, 96, 7, 3, 1, 1, 4, false}}) {
    SCOPED_TRACE(testing::Message() << conv.in << " to " << conv.out << " of " << conv.size
                                    << ", kernel " << conv.kernel << ", stride " << conv.stride
                                    << ", groups " << conv.groups << ", batch " << conv.batch);
    EXPECT_EQ(expectSameBits(convolution(conv)), conv.isPacked);
  }
}

TEST(PackWeights, linearLayers) {
  struct Linear {
    int64_t rows, in, out;
    bool isPacked = true;
  };
  for (const Linear &linear : {Linear{197, 96, 300}, Linear{130, 1500, 200}, Linear{512, 64, 1000},
                               Linear{333, 130, 1601}, Linear{4, 256, 256, false}}) {
    SCOPED_TRACE(testing::Message()
                 << linear.rows << " rows, " << linear.in << " to " << linear.out);
    Builder b;
    auto x = b.input("x", ElementType::F32, {linear.rows, linear.in});
    b.output("y", b.gelu(b.linear(x, weight(b, "w", {linear.out, linear.in}),
                                  weight(b, "b", {linear.out}))));
    EXPECT_EQ(expectSameBits(b.finish().value()), linear.isPacked);
  }
}

TEST(PackWeights, sharedWeightsArePackedWhereAllReadersWantThemAlike) {
  Builder b;
  auto x = b.input("x", ElementType::F32, {256, 200}),
       z = b.input("z", ElementType::F32, {300, 200});
  auto both = weight(b, "both", {320, 200}), twice = weight(b, "twice", {200, 200});
  b.output("y", b.linear(x, both));
  b.output("w", b.linear(z, both)); // another kernel
  b.output("u", b.linear(x, twice));
  b.output("v", b.relu(b.linear(z, b.transpose(twice, {1, 0}))));
  EXPECT_EQ(expectSameBits(b.finish().value()), 1);
}

} // namespace
} // namespace ingot::test
