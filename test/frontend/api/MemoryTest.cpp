/// What the planner promises of memory: linear in the sequence, and what the process then really
/// uses.
#include "codegen/EmitProgram.h"
#include "codegen/ReleaseMemory.h"
#include "codegen/Target.h"
#include "frontend/api/ModelModule.h"
#include "frontend/builder/Builder.h"
#include "frontend/families/Models.h"
#include "runtime/program/Device.h"
#include <fstream>
#include <gtest/gtest.h>

namespace ingot {
namespace {

Program trainingProgram(const GptSizes &sizes) {
  CompileOptions options;
  options.training = TrainingOptions{};
  Result<Model> model = buildGpt(sizes);
  Result<Program> program = compile(moduleOf(*model), options);
  EXPECT_TRUE(program) << program.error().text();
  return std::move(*program);
}

/// Bytes of the arena behind parameters and state; nothing is compiled for it.
int64_t plannedBytes(const GptSizes &sizes, const MemoryOptions &memory = {}) {
  CompileOptions options;
  options.training = TrainingOptions{};
  options.memory = memory;
  Result<Model> model = buildGpt(sizes);
  auto planned = lowerTo(Stage::Plan, moduleOf(*model), options);
  EXPECT_TRUE(planned) << planned.error().text();
  Program program = *emitProgram(**planned, **parseTarget(options.target));
  return program.arenaBytes - program.persistentBytes;
}

/// Resident bytes of this process.
int64_t residentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * 4096;
}

/// The same of an attention with every option, trained.
int64_t plannedBytesOfAttention(int64_t sequence) {
  Builder b;
  auto x = b.input("x", ElementType::F32, {2, 4, sequence, 32});
  auto project = [&](const char *name) {
    return b.linear(x, b.parameter(name, {32, 32}, Initializer::normal(0.1)));
  };
  AttentionOptions how{.causal = true,
                       .mask = b.input("tokens", ElementType::I1, {2, 1, 1, sequence}),
                       .offset = b.input("offset", ElementType::I64, {2}),
                       .length = b.input("length", ElementType::I32, {}),
                       .softCap = 20,
                       .window = 48};
  b.output("y", b.attention(project("q"), project("k"), project("v"), how));
  auto model = b.finish();
  EXPECT_TRUE(model) << model.error().text();
  CompileOptions options;
  options.training = TrainingOptions{.loss = Loss::Mse};
  auto planned = lowerTo(Stage::Plan, moduleOf(*model), options);
  EXPECT_TRUE(planned) << planned.error().text();
  Program program = *emitProgram(**planned, **parseTarget(options.target));
  return program.arenaBytes - program.persistentBytes;
}

/// Attention as exporters write it: heads in products, scores beside numbers made of which tokens
/// there are, and a window of keys. The model alone.
int64_t plannedBytesOfSpelledAttention(int64_t sequence) {
  Builder b;
  const Shape heads = {2, 4, sequence, 32};
  auto q = b.input("q", ElementType::F32, heads), k = b.input("k", ElementType::F32, heads),
       v = b.input("v", ElementType::F32, heads);
  auto tokens = b.input("tokens", ElementType::F32, {2, 1, 1, sequence});
  auto missing = (b.scalar(1) - tokens) * b.scalar(-1e30);
  auto distance = b.iota({sequence, sequence}, 1, ElementType::I32) -
                  b.iota({sequence, sequence}, 0, ElementType::I32);
  auto near = b.bitAnd(b.compare(Comparison::LessEqual, distance, b.scalar(0, ElementType::I32)),
                       b.compare(Comparison::Greater, distance, b.scalar(-64, ElementType::I32)));
  auto scores = b.matmul(q, b.transpose(k, {0, 1, 3, 2})) * b.scalar(0.2) + missing;
  b.output("y", b.matmul(b.softmax(b.select(near, scores, b.scalar(-1e30)), 3), v));
  auto model = b.finish();
  EXPECT_TRUE(model) << model.error().text();
  CompileOptions options;
  auto planned = lowerTo(Stage::Plan, moduleOf(*model), options);
  EXPECT_TRUE(planned) << planned.error().text();
  Program program = *emitProgram(**planned, **parseTarget(options.target));
  return program.arenaBytes - program.persistentBytes;
}

TEST(Memory, OfAttentionAsExportersWriteItGrowsLinearlyWithTheSequence) {
  double before = double(plannedBytesOfSpelledAttention(256));
  for (int64_t sequence : {512, 1024}) {
    const auto now = double(plannedBytesOfSpelledAttention(sequence));
    EXPECT_LT(now / before, 2.1) << sequence << " positions";
    before = now;
  }
}

TEST(Memory, OfAttentionWithOptionsGrowsLinearlyWithTheSequence) {
  double before = double(plannedBytesOfAttention(256));
  for (int64_t sequence : {512, 1024, 2048}) {
    const auto now = double(plannedBytesOfAttention(sequence));
    EXPECT_LT(now / before, 2.1) << sequence << " positions";
    before = now;
  }
}

TEST(Memory, GrowsLinearlyWithTheSequence) {
  auto bytes = [](int64_t sequence) {
    return double(plannedBytes({.layers = 1,
                                .heads = 2,
                                .width = 32,
                                .sequence = sequence,
                                .vocabulary = 32,
                                .batch = 1}));
  };
  // Twice the tokens, twice the bytes; scores kept whole would make it four times.
  double before = bytes(256);
  for (int64_t sequence : {512, 1024, 2048, 4096}) {
    double now = bytes(sequence);
    EXPECT_LT(now / before, 2.1) << sequence << " tokens";
    before = now;
  }
}

/// With its layers recomputed, a model one layer deeper needs little more than one more
/// checkpoint: nothing else of the layers lives between the passes, and what is recomputed for
/// one layer does not live before the gradient gets there.
TEST(Memory, LayersComputedAgainLeaveTheirCheckpoints) {
  constexpr int64_t width = 32, sequence = 2048;
  MemoryOptions again;
  again.leastRecomputed = 1;
  again.heavyRecomputed = 1000;
  auto bytesOfLayer = [&](const MemoryOptions &memory) {
    auto bytes = [&](int64_t layers) {
      return plannedBytes({.layers = layers,
                           .heads = 2,
                           .width = width,
                           .sequence = sequence,
                           .vocabulary = 64,
                           .batch = 1},
                          memory);
    };
    return (bytes(8) - bytes(4)) / 4;
  };
  constexpr int64_t residual = width * sequence * 4;
  EXPECT_GT(bytesOfLayer({}), 8 * residual); // what the layers hold by default
  again.checkpointStride = 1;
  EXPECT_LT(bytesOfLayer(again), 2.4 * residual);
  again.checkpointStride = 2;
  EXPECT_LT(bytesOfLayer(again), 1.4 * residual);
}

/// The whole arena under a bound; 0: none.
Result<int64_t> arenaBytes(const Model &model, int64_t budget) {
  CompileOptions options;
  options.training = TrainingOptions{};
  options.memory.budget = budget;
  INGOT_ASSIGN(auto planned, lowerTo(Stage::Plan, moduleOf(model), options));
  INGOT_ASSIGN(Program program, emitProgram(*planned, **parseTarget(options.target)));
  return program.arenaBytes;
}

/// However much is recomputed, between whichever checkpoints, the clones find an order: no
/// kernel waits for another that waits for it.
TEST(Memory, EveryChoiceOfWhatIsComputedAgainCanBePlanned) {
  CompileOptions options;
  options.training = TrainingOptions{};
  options.training->accumulate = 2;
  options.training->clip = 1;
  Result<Model> model = buildGpt(
      {.layers = 2, .heads = 2, .width = 16, .sequence = 32, .vocabulary = 48, .batch = 2});
  ASSERT_TRUE(model);
  auto trained = lowerTo(Stage::Train, moduleOf(*model), options);
  ASSERT_TRUE(trained) << trained.error().text();
  options.memory.leastRecomputed = options.memory.smallestRecomputed = 1;
  options.memory.largestTensor = 2048; // the logits in blocks
  for (int64_t stride : {1, 2, 4})
    for (int64_t heavy : {1, 3, 8, 21}) {
      options.memory.checkpointStride = stride;
      options.memory.heavyRecomputed = heavy;
      auto planned = lowerTo(Stage::Plan, **trained, options);
      ASSERT_TRUE(planned) << stride << ", " << heavy << ": " << planned.error().text();
    }
}

TEST(Memory, AnyBoundDownToTheSmallestPlanIsKept) {
  Result<Model> model = buildGpt(
      {.layers = 4, .heads = 2, .width = 64, .sequence = 256, .vocabulary = 64, .batch = 2});
  ASSERT_TRUE(model);
  int64_t unbounded = *arenaBytes(*model, 0), smallest = unbounded;
  for (double share : {0.9, 0.8, 0.7, 0.6}) {
    auto budget = int64_t(share * double(unbounded));
    Result<int64_t> bytes = arenaBytes(*model, budget);
    if (!bytes) {
      EXPECT_NE(bytes.error().text().find("the smallest plan found needs"), std::string::npos);
      break;
    }
    EXPECT_LE(*bytes, budget);
    smallest = *bytes;
  }
  EXPECT_LT(double(smallest), 0.85 * double(unbounded));
  EXPECT_FALSE(arenaBytes(*model, 1000));
}

/// What compiling leaves behind goes back to the system, and the compiler still works.
TEST(Memory, TheCompilersMemoryIsGivenBack) {
  Result<Model> model = buildMlp({.layers = {32, 16, 8}, .batch = 4});
  ASSERT_TRUE(model);
  Result<Program> first = compile(moduleOf(*model), {});
  ASSERT_TRUE(first) << first.error().text();
  int64_t before = residentBytes();
  releaseCompilerMemory();
  int64_t after = residentBytes();
  EXPECT_LT(after, before - (20 << 20)) << "the pages of LLVM's and MLIR's code alone are more";
  Result<Program> again = compile(moduleOf(*model), {});
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(again->objects[0].bytes, first->objects[0].bytes);
}

TEST(Memory, ThePlanIsWhatTheProcessUses) {
  auto program = std::make_shared<Program>(trainingProgram(
      {.layers = 2, .heads = 4, .width = 512, .sequence = 128, .vocabulary = 4096, .batch = 4}));
  auto device = openDevice("cpu", {.threads = 1});
  ASSERT_TRUE(device);
  int64_t before = residentBytes();
  Result<std::unique_ptr<Session>> session = (*device)->load(program);
  ASSERT_TRUE(session) << session.error().text();
  ASSERT_TRUE((*session)->run("init"));
  ASSERT_TRUE((*session)->run("step"));
  double used = residentBytes() - before;
  double planned = program->arenaBytes + program->workspaceBytes + program->codeBytes();
  EXPECT_NEAR(used / planned, 1, 0.03) << used << " used, " << planned << " planned";
}

} // namespace
} // namespace ingot
