#include "runtime/program/CpuImage.h"
#include "test/runtime/TestPrograms.h"
#include <functional>
#include <gtest/gtest.h>

namespace ingot {
namespace {

struct Unsound {
  const char *name;
  std::function<void(Program &)> damage;
  const char *message; ///< a part of it
};

LoopStep &firstLoop(Program &program) {
  return std::get<LoopStep>(program.functions[0].steps[0].node);
}

CallStep &firstCall(Program &program) {
  return std::get<CallStep>(firstLoop(program).body[1].node);
}

constexpr int64_t huge = INT64_MAX;
using Kind = KernelParameter::Kind;

KernelParameter map(int64_t rows, int64_t bytes, int64_t stride = 32) {
  return {Kind::TensorMap,
          bytes,
          Access::Read,
          0,
          {ElementType::U8, {16, rows}, {stride}, {16, 1}, {1, 1}}};
}

/// The first kernel as one of a GPU.
std::function<void(Program &)> gpu(void (*damage)(Kernel &, CudaGrid &)) {
  return [=](Program &p) {
    p.objects.push_back({CodeObject::Kind::Ptx, "sm_80", {'/', '/'}});
    p.kernels[0].object = 1;
    CudaGrid grid;
    damage(p.kernels[0], grid);
    p.kernels[0].launch = grid;
  };
}

const Unsound unsound[] = {
    {"negativeArena", [](Program &p) { p.arenaBytes = -1; }, "an arena of -1 bytes"},
    {"absurdArena", [](Program &p) { p.arenaBytes = huge; }, "an arena of"},
    {"absurdWorkspace", [](Program &p) { p.workspaceBytes = huge; }, "a workspace of"},
    {"persistentPartTooLarge", [](Program &p) { p.persistentBytes = p.arenaBytes + 1; },
     "persistent bytes in an arena"},
    {"noSuchObject", [](Program &p) { p.kernels[0].object = 1; }, "is in code object 1 of 1"},
    {"noSuchEntry", [](Program &p) { p.kernels[0].name = "affin"; },
     "kernel 'affin' is no entry of its code"},
    {"anotherKernelsEntry", [](Program &p) { p.kernels[0].name = "scratch"; },
     "is declared with other parameters or grains"},
    {"otherGrains", [](Program &p) { p.kernels[0].launch = CpuRange{3}; },
     "is declared with other parameters or grains"},
    {"otherAccess", [](Program &p) { p.kernels[0].parameters[1].access = Access::Read; },
     "is declared with other parameters or grains"},
    {"noTableOfEntries", [](Program &p) { p.objects[0].bytes.pop_back(); },
     "its code's table of entries is missing"},
    {"damagedTableOfEntries", [](Program &p) { p.objects[0].bytes.end()[-40] ^= 1; },
     "its code's table of entries is damaged"},
    {"entryOutside",
     [](Program &p) {
       appendEntries(p.objects[0].bytes, std::vector<ImageEntry>{{"affine", 1 << 20, 0}});
     },
     "table of entries leads outside the code"},
    {"entryTwice",
     [](Program &p) {
       appendEntries(p.objects[0].bytes, std::vector<ImageEntry>{{"a", 0, 0}, {"a", 1, 0}});
     },
     "table of entries has 'a' twice"},
    {"negativeGrains", [](Program &p) { p.kernels[1].launch = CpuRange{-1}; }, "has -1 grains"},
    {"workspaceTooLarge", [](Program &p) { p.kernels[2].parameters[2].bytes = 65; },
     "needs 65 bytes of workspace"},
    {"scratchNotLast",
     [](Program &p) { std::swap(p.kernels[2].parameters[1], p.kernels[2].parameters[2]); },
     "takes a scratch as parameter 1"},
    {"scalarOnACpu", [](Program &p) { p.kernels[1].parameters[1] = {Kind::Scalar, 4}; },
     "takes a scalar as parameter 1"},
    {"oddScalar", [](Program &p) { p.kernels[1].parameters[1] = {Kind::Scalar, 3}; },
     "a scalar of 3 bytes"},
    {"gridOnACpu", [](Program &p) { p.kernels[0].launch = CudaGrid{}; },
     "is launched on a GPU, but its code is cpu_image"},
    {"rangeOnAGpu", [](Program &p) { p.objects[0].kind = CodeObject::Kind::Ptx; },
     "is launched on a CPU, but its code is ptx"},
    {"blockTooLarge", gpu([](Kernel &, CudaGrid &g) { g.block = {1024, 2, 1}; }),
     "which no GPU does"},
    {"noBlocks", gpu([](Kernel &, CudaGrid &g) { g.grid = {0, 1, 1}; }), "which no GPU does"},
    {"sharedTooLarge", gpu([](Kernel &, CudaGrid &g) { g.sharedBytes = 1 << 20; }),
     "which no GPU does"},
    {"unevenClusters", gpu([](Kernel &, CudaGrid &g) { g.grid[0] = 3, g.cluster[0] = 2; }),
     "that clusters of 2x1x1 do not divide"},
    {"mapOutside", gpu([](Kernel &k, CudaGrid &) { k.parameters[0] = map(4, 64); }),
     "tensor map of 16x4 with strides 32"},
    {"mapMisaligned", gpu([](Kernel &k, CudaGrid &) { k.parameters[0] = map(2, 64, 24); }),
     "tensor map of 16x2 with strides 24"},
    {"infiniteCost", [](Program &p) { p.kernels[0].flops = HUGE_VAL; }, "counts inf operations"},
    {"functionTwice", [](Program &p) { p.functions.push_back(p.functions[0]); },
     "function 'step' is there twice"},
    {"functionTooLarge", [](Program &p) { p.functions[0].arenaBytes = p.arenaBytes + 64; },
     "function 'step' uses"},
    {"portTwice", [](Program &p) { p.functions[0].ports[1].name = "y"; }, "has two ports 'y'"},
    {"portMisaligned", [](Program &p) { p.functions[0].ports[1].offset += 4; }, "port 'x'"},
    {"portDerivedByNothing", [](Program &p) { p.functions[0].ports[0].role = Role::Derived; },
     "port 'sum' of function 'step' is derived, and no function 'derive' computes it"},
    {"portOutside", [](Program &p) { p.functions[0].ports[3].offset = p.arenaBytes; }, "port 'y'"},
    {"portNegative", [](Program &p) { p.functions[0].ports[3].offset = -64; }, "port 'y'"},
    {"shapeOverflows", [](Program &p) { p.functions[0].ports[1].shape = {huge, huge, 4}; },
     "port 'x'"},
    {"shapeNegative", [](Program &p) { p.functions[0].ports[1].shape = {-1, -1}; }, "port 'x'"},
    {"memberUnknown", [](Program &p) { p.functions[0].ports[3].members = {"sum", "w"}; },
     "port 'y' of function 'step' tells of 'w', which it does not keep"},
    {"memberNotKept", [](Program &p) { p.functions[0].ports[3].members = {"x"}; },
     "port 'y' of function 'step' tells of 'x', which it does not keep"},
    {"membersUneven",
     [](Program &p) {
       p.functions[0].ports[3].members = {"sum"};
       p.functions[0].ports[3].shape = {48};
     },
     "port 'y' of function 'step' has 48 elements for 64"},
    {"membersOfNothing",
     [](Program &p) {
       p.functions[0].ports[3].members = {"sum"};
       p.functions[0].ports[3].shape = {0};
     },
     "port 'y' of function 'step' has 0 elements for 64"},
    {"countUnknown", [](Program &p) { p.functions[0].ports[3].count = "n"; },
     "port 'y' of function 'step' is counted by 'n' in dimension 0, which cannot be"},
    {"countOfFloats", [](Program &p) { p.functions[0].ports[3].count = "y"; },
     "port 'y' of function 'step' is counted by 'y' in dimension 0, which cannot be"},
    {"stateNotPersistent", [](Program &p) { p.functions[0].ports[0].offset = p.persistentBytes; },
     "port 'sum'"},
    {"stateMoves",
     [](Program &p) {
       p.functions.push_back(p.functions[0]);
       p.functions[1].name = "other";
       p.functions[1].ports[0].shape = {32};
     },
     "'sum' of function 'other' (32 f32, plain, at byte 0) differs"},
    {"statesOverlap",
     [](Program &p) {
       p.functions[0].ports.push_back({"m", Role::State, ElementType::F32, {1}, 64});
     },
     "'sum' and 'm' overlap"},
    {"constantOverlaps", [](Program &p) { p.constants = {{128, Tensor(ElementType::F32, {4})}}; },
     "'sum' and 'constant at 128' overlap"},
    {"constantOutside",
     [](Program &p) { p.constants = {{p.persistentBytes, Tensor(ElementType::F32, {4})}}; },
     "a constant of 4 f32"},
    {"constantWithoutValue",
     [](Program &p) {
       p.functions[0].ports.erase(p.functions[0].ports.begin());
       p.constants = {{0, Tensor(ElementType::F32, {4}, nullptr)}};
     },
     "has no value"},
    {"unknownKernel", [](Program &p) { firstCall(p).kernel = 3; }, "calls kernel 3 of 3"},
    {"argumentMissing", [](Program &p) { firstCall(p).arguments.pop_back(); },
     "has 1 arguments instead of 2"},
    {"argumentNegativeBytes", [](Program &p) { p.kernels[1].parameters[0].bytes = -1; },
     "kernel 'add' has an argument of -1 bytes"},
    {"argumentTooLong",
     [](Program &p) {
       p.kernels[1].parameters[0].bytes = p.arenaBytes;
       test::sealImages(p);
     },
     "argument 0 of a call of kernel 'add'"},
    {"argumentOutside", [](Program &p) { firstCall(p).arguments[0] = p.arenaBytes + 1; },
     "argument 0 of a call of kernel 'add'"},
    {"argumentNegative", [](Program &p) { firstCall(p).arguments[1] = -64; }, "argument 1"},
    {"strideLeaves", [](Program &p) { firstCall(p).strides[0] = p.arenaBytes; }, "argument 0"},
    {"strideOverflows", [](Program &p) { firstCall(p).strides[1] = huge; }, "argument 1"},
    {"strideMissing", [](Program &p) { firstCall(p).strides.pop_back(); },
     "has 1 strides for 2 arguments"},
    {"strideOutsideLoop", [](Program &p) { p.functions[0].steps.push_back({firstCall(p)}); },
     "outside a loop"},
    {"negativeTrips", [](Program &p) { firstLoop(p).trips = -1; }, "loops -1 times"},
    {"countOutside", [](Program &p) { firstLoop(p).count = p.arenaBytes; }, "loop's trip count"},
    {"countUnaligned", [](Program &p) { firstLoop(p).count = 4; }, "loop's trip count"},
    {"counterOutside", [](Program &p) { firstLoop(p).counter = p.arenaBytes - 4; },
     "counts a loop's iterations"},
    {"counterInPersistentMemory", [](Program &p) { firstLoop(p).counter = 0; },
     "counts a loop's iterations"},
    {"conditionOutside",
     [](Program &p) { p.functions[0].steps = {{IfStep{p.arenaBytes, {}, {}}}}; }, "branches on"},
    {"bufferOutside",
     [](Program &p) { p.functions[0].buffers = {{"b", Role::Activation, p.arenaBytes, 1, 0, 0}}; },
     "buffer 'b'"},
    {"bufferDiesBeforeItLives",
     [](Program &p) { p.functions[0].buffers = {{"b", Role::Activation, 0, 1, 1, 0}}; },
     "buffer 'b'"},
    {"tooDeep",
     [](Program &p) {
       for (int i = 0; i < 100; ++i)
         p.functions[0].steps = {{LoopStep{1, std::move(p.functions[0].steps)}}};
     },
     "nests steps deeper than 64"},
};

class UnsoundProgram : public testing::TestWithParam<Unsound> {};
INSTANTIATE_TEST_SUITE_P(Program, UnsoundProgram, testing::ValuesIn(unsound),
                         [](const auto &info) { return std::string(info.param.name); });

TEST_P(UnsoundProgram, isRefused) {
  Program program = test::affineProgram(64);
  ASSERT_TRUE(program.validate());
  GetParam().damage(program);
  Status status = program.validate();
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().text().find(GetParam().message), std::string::npos)
      << status.error().text();
}

TEST(Program, randomProgramsAreSound) {
  std::mt19937_64 random(test::freshSeed());
  for (int i = 0; i < 100; ++i) {
    Status status = test::randomProgram(random).validate();
    ASSERT_TRUE(status) << status.error().text();
  }
}

TEST(Program, findsFunctionsAndPorts) {
  Program program = test::affineProgram(64);
  ASSERT_NE(program.function("step"), nullptr);
  EXPECT_EQ(program.function("forward"), nullptr);
  EXPECT_EQ(program.function("step")->port("x")->bytes(), 256u);
  EXPECT_EQ(program.function("step")->port("z"), nullptr);
}

} // namespace
} // namespace ingot
