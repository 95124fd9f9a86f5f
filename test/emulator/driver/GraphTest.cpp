/// Graphs that are built node by node, as the CUDA device builds them.
#include "runtime/emulator/driver/Driver.h"
#include "test/emulator/Reference.h"
#include <gtest/gtest.h>
#include <set>

namespace ingot::emulator {
namespace {

using namespace cuda;

// One thread; *to = 2 * *from + add.
const char *const kernels = R"(
.version 8.0
.target sm_90
.address_size 64
.visible .entry step(.param .u64 to, .param .u64 from, .param .u32 add)
{
  .reg .b32 %r<4>;
  .reg .b64 %rd<3>;
  ld.param.u64 %rd1, [to];
  ld.param.u64 %rd2, [from];
  ld.param.u32 %r1, [add];
  ld.global.u32 %r2, [%rd2];
  mad.lo.u32 %r3, %r2, 2, %r1;
  st.global.u32 [%rd1], %r3;
  ret;
}
.visible .entry rank(.param .u64 to)
{
  .reg .b32 %r<3>;
  .reg .b64 %rd<4>;
  ld.param.u64 %rd1, [to];
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %cluster_nctaid.x;
  mul.wide.u32 %rd2, %r1, 4;
  add.u64 %rd3, %rd1, %rd2;
  st.global.u32 [%rd3], %r2;
  ret;
}
)";

class GraphTest : public testing::Test {
protected:
  void SetUp() override {
    resetEmulatedDevice();
    EmulatedDeviceOptions options;
    options.capability = 90;
    options.launch.seed = seed = test::freshSeed();
    configureEmulatedDevice(options);
    CUcontext context;
    ASSERT_EQ(driver.cuInit(0), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuDevicePrimaryCtxRetain(&context, 0), CUDA_SUCCESS);
    CUmodule module;
    ASSERT_EQ(driver.cuModuleLoadData(&module, kernels), CUDA_SUCCESS) << lastEmulatedError();
    ASSERT_EQ(driver.cuModuleGetFunction(&step, module, "step"), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuModuleGetFunction(&rank, module, "rank"), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuMemAlloc(&memory, 4 * words), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuMemsetD8(memory, 0, 4 * words), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuCtxSynchronize(), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuGraphCreate(&graph, 0), CUDA_SUCCESS);
  }
  void TearDown() override { resetEmulatedDevice(); }

  CUdeviceptr word(uint32_t index) const { return memory + 4 * index; }
  CUgraphNode addStep(uint32_t to, uint32_t from, uint32_t add, std::vector<CUgraphNode> after) {
    CUdeviceptr target = word(to), source = word(from);
    void *values[] = {&target, &source, &add};
    CUDA_KERNEL_NODE_PARAMS node = {};
    node.func = step;
    node.gridDimX = node.gridDimY = node.gridDimZ = 1;
    node.blockDimX = node.blockDimY = node.blockDimZ = 1;
    node.kernelParams = values;
    CUgraphNode made = nullptr;
    EXPECT_EQ(driver.cuGraphAddKernelNode(&made, graph, after.data(), after.size(), &node),
              CUDA_SUCCESS)
        << lastEmulatedError();
    return made;
  }
  CUgraphNode addCopy(uint32_t to, uint32_t from, std::vector<CUgraphNode> after) {
    CUDA_MEMCPY3D copy = {};
    copy.srcMemoryType = copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    copy.srcDevice = word(from);
    copy.dstDevice = word(to);
    copy.WidthInBytes = 4;
    copy.Height = copy.Depth = 1;
    CUgraphNode made = nullptr;
    EXPECT_EQ(driver.cuGraphAddMemcpyNode(&made, graph, after.data(), after.size(), &copy, nullptr),
              CUDA_SUCCESS)
        << lastEmulatedError();
    return made;
  }
  CUgraphExec instantiate(CUgraph of) {
    CUgraphExec executable = nullptr;
    EXPECT_EQ(driver.cuGraphInstantiate(&executable, of, 0), CUDA_SUCCESS);
    return executable;
  }
  CUresult launch() { return driver.cuGraphLaunch(instantiate(graph), nullptr); }
  CUstream makeStream() {
    CUstream stream = nullptr;
    EXPECT_EQ(driver.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
    return stream;
  }
  uint32_t read(uint32_t index) {
    uint32_t value = 0;
    EXPECT_EQ(driver.cuMemcpyDtoH(&value, word(index), 4), CUDA_SUCCESS);
    return value;
  }

  static constexpr uint32_t words = 64;
  const Driver &driver = emulatedDriver();
  CUfunction step = nullptr, rank = nullptr;
  CUdeviceptr memory = 0;
  CUgraph graph = nullptr;
  uint64_t seed = 0;
};

TEST_F(GraphTest, nodesRunAfterThoseThatTheyWaitFor) {
  CUgraphNode first = addStep(1, 0, 3, {});      // 3
  CUgraphNode copy = addCopy(2, 1, {first});     // 3
  CUgraphNode left = addStep(3, 2, 1, {copy});   // 7
  CUgraphNode right = addStep(4, 1, 0, {first}); // 6
  CUgraphNode late = addStep(5, 4, 5, {left});   // 17, when it waits for `right`, too
  ASSERT_EQ(driver.cuGraphAddDependencies(graph, &right, &late, 1), CUDA_SUCCESS);
  ASSERT_EQ(launch(), CUDA_SUCCESS) << lastEmulatedError();
  EXPECT_EQ(read(3), 7u);
  EXPECT_EQ(read(5), 17u);
}

TEST_F(GraphTest, independentNodesTakeTurnsAsTheSeedDraws) {
  // Each node stores its number to the same word: the last one stays.
  for (uint32_t node = 0; node < 8; ++node)
    addStep(9, 0, node, {});
  EmulatedDeviceOptions options;
  options.capability = 90;
  options.findingsAreErrors = false; // nothing orders the stores
  options.launch.seed = seed;
  configureEmulatedDevice(options);
  std::set<uint32_t> lasts;
  for (int run = 0; run < 60; ++run) {
    ASSERT_EQ(launch(), CUDA_SUCCESS) << lastEmulatedError();
    lasts.insert(read(9));
  }
  EXPECT_GT(lasts.size(), 3u);
}

TEST_F(GraphTest, kernelNodesHaveClusters) {
  CUdeviceptr to = word(0);
  void *values[] = {&to};
  CUDA_KERNEL_NODE_PARAMS node = {};
  node.func = rank;
  node.gridDimX = 8;
  node.gridDimY = node.gridDimZ = node.blockDimX = node.blockDimY = node.blockDimZ = 1;
  node.kernelParams = values;
  CUgraphNode made;
  ASSERT_EQ(driver.cuGraphAddKernelNode(&made, graph, nullptr, 0, &node), CUDA_SUCCESS);
  CUlaunchAttributeValue cluster = {};
  cluster.clusterDim = {3, 1, 1};
  EXPECT_EQ(
      driver.cuGraphKernelNodeSetAttribute(made, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, &cluster),
      CUDA_ERROR_INVALID_VALUE)
      << "a grid of 8 is not made of clusters of 3";
  cluster.clusterDim = {4, 1, 1};
  ASSERT_EQ(
      driver.cuGraphKernelNodeSetAttribute(made, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, &cluster),
      CUDA_SUCCESS)
      << lastEmulatedError();
  ASSERT_EQ(launch(), CUDA_SUCCESS) << lastEmulatedError();
  EXPECT_EQ(read(7), 4u);
}

TEST_F(GraphTest, refusesWhatIsNoGraph) {
  CUgraphNode first = addStep(1, 0, 0, {}), second = addStep(2, 1, 0, {first});
  EXPECT_EQ(driver.cuGraphAddDependencies(graph, &second, &first, 1), CUDA_ERROR_INVALID_VALUE)
      << "a cycle";
  EXPECT_EQ(driver.cuGraphAddDependencies(graph, &first, &second, 1), CUDA_ERROR_INVALID_VALUE)
      << "there already";
  EXPECT_EQ(driver.cuGraphAddDependencies(graph, nullptr, &second, 1), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(driver.cuGraphAddDependencies(graph, &first, nullptr, 1), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(driver.cuGraphAddDependencies(graph, nullptr, nullptr, 0), CUDA_SUCCESS);
  CUgraphNode twice[] = {first, first};
  CUDA_MEMCPY3D copy = {};
  copy.Height = copy.Depth = 1;
  CUgraphNode made;
  EXPECT_EQ(driver.cuGraphAddMemcpyNode(&made, graph, twice, 2, &copy, nullptr),
            CUDA_ERROR_INVALID_VALUE);
  CUgraph other;
  ASSERT_EQ(driver.cuGraphCreate(&other, 0), CUDA_SUCCESS);
  EXPECT_EQ(driver.cuGraphAddMemcpyNode(&made, other, &first, 1, &copy, nullptr),
            CUDA_ERROR_INVALID_VALUE)
      << "a node of another graph";
  ASSERT_EQ(driver.cuGraphDestroy(graph), CUDA_SUCCESS);
  EXPECT_EQ(driver.cuGraphAddMemcpyNode(&made, graph, nullptr, 0, &copy, nullptr),
            CUDA_ERROR_INVALID_HANDLE);
}

// Two branches that meet again. Without any one of the edges two nodes are unordered, whichever
// order the seed draws; with all of them nothing is found.
TEST_F(GraphTest, everyMissingEdgeIsFound) {
  constexpr std::pair<size_t, size_t> edges[] = {{0, 1}, {0, 2}, {1, 3}, {2, 3}, {3, 4}};
  for (size_t missing = 0; missing <= std::size(edges); ++missing)
    for (uint64_t order = 0; order < 8; ++order) {
      resetEmulatedDevice();
      SetUp();
      EmulatedDeviceOptions options;
      options.capability = 90;
      options.launch.seed = order;
      configureEmulatedDevice(options);
      std::vector<CUgraphNode> nodes;
      const auto after = [&] {
        std::vector<CUgraphNode> list;
        for (size_t edge = 0; edge < std::size(edges); ++edge)
          if (edges[edge].second == nodes.size() && edge != missing)
            list.push_back(nodes[edges[edge].first]);
        return list;
      };
      nodes.push_back(addStep(1, 0, 3, after()));
      nodes.push_back(addStep(2, 1, 1, after())); // reads what 0 has written
      nodes.push_back(addCopy(3, 1, after()));    // so does this one
      CUgraphNode meeting = addStep(4, 2, 0, after());
      nodes.push_back(meeting);
      nodes.push_back(addCopy(3, 4, after())); // writes what 2 has written, reads what 3 has
      const CUresult result = launch();
      std::string text;
      for (const Finding &finding : takeEmulatedFindings()) {
        EXPECT_EQ(finding.check, "launch-race") << finding.str();
        text += finding.str();
      }
      const bool isWhole = missing == std::size(edges);
      EXPECT_EQ(result, isWhole ? CUDA_SUCCESS : CUDA_ERROR_LAUNCH_FAILED) << missing << text;
      EXPECT_EQ(text.empty(), isWhole) << text;
      if (missing == 0)
        EXPECT_TRUE(text.find("kernel 'step' reads") != text.npos ||
                    text.find("kernel 'step' writes") != text.npos)
            << text;
    }
}

// A graph runs once at a time, in whatever streams it is launched; its copies do not wait for it.
TEST_F(GraphTest, launchesOfAnExecutableFollowEachOther) {
  addStep(1, 1, 3, {});
  const CUgraphExec first = instantiate(graph), second = instantiate(graph);
  EXPECT_EQ(driver.cuGraphLaunch(first, makeStream()), CUDA_SUCCESS) << lastEmulatedError();
  EXPECT_EQ(driver.cuGraphLaunch(first, makeStream()), CUDA_SUCCESS) << lastEmulatedError();
  EXPECT_EQ(driver.cuGraphLaunch(second, makeStream()), CUDA_ERROR_LAUNCH_FAILED);
}

// A graph within a graph has its own edges, and those of the node that it is.
TEST_F(GraphTest, edgesWithinGraphsWithinGraphsCount) {
  const CUstream stream = makeStream();
  for (const bool innerEdge : {false, true}) {
    ASSERT_EQ(driver.cuGraphCreate(&graph, 0), CUDA_SUCCESS);
    CUgraphNode first = addStep(1, 0, 3, {});
    addStep(2, 0, 1, {});
    addStep(3, 1, 1, innerEdge ? std::vector{first} : std::vector<CUgraphNode>());
    const CUgraphExec inner = instantiate(graph);
    ASSERT_EQ(driver.cuGraphCreate(&graph, 0), CUDA_SUCCESS);
    const CUgraphExec empty = instantiate(graph);
    CUgraph outer = nullptr;
    ASSERT_EQ(driver.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuMemsetD32Async(word(0), 5, 1, stream), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuGraphLaunch(empty, stream), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuGraphLaunch(inner, stream), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuMemcpyDtoDAsync(word(4), word(2), 8, stream), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuStreamEndCapture(stream, &outer), CUDA_SUCCESS);
    const CUgraphExec whole = instantiate(outer);
    for (int run = 0; run < 4; ++run)
      EXPECT_EQ(driver.cuGraphLaunch(whole, stream),
                innerEdge ? CUDA_SUCCESS : CUDA_ERROR_LAUNCH_FAILED)
          << lastEmulatedError();
    if (!innerEdge)
      continue;
    ASSERT_EQ(driver.cuStreamSynchronize(stream), CUDA_SUCCESS);
    EXPECT_EQ(read(4), 11u);
    EXPECT_EQ(read(5), 27u);
  }
}

} // namespace
} // namespace ingot::emulator
