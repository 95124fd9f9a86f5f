// What an architecture has for a launch: each limit is refused by name, and what just fits runs.
#include "runtime/emulator/machine/Budget.h"
#include "test/emulator/Support.h"

namespace ingot::emulator {
namespace {

using namespace cuda;
using test::header;

/// A launch that just fits and one that does not.
struct Limit {
  const char *name;
  const char *target = "sm_90a";
  std::string directives = {}; ///< of the kernel
  unsigned grid = 1, block = 32, dynamicShared = 0, cluster = 1;
  // The same, too much:
  std::string tooMuchDirectives = {};
  unsigned tooMuchGrid = 1, tooMuchBlock = 32, tooMuchShared = 0, tooMuchCluster = 1;
  bool cooperative = false;
  CUresult code = CUDA_ERROR_INVALID_VALUE;
  const char *sentence = "";
};

void PrintTo(const Limit &limit, std::ostream *stream) { *stream << limit.name; }

class Budgets : public testing::TestWithParam<Limit> {
protected:
  void SetUp() override {
    resetEmulatedDevice();
    EmulatedDeviceOptions options;
    options.capability = 0;
    options.launch.seed = test::freshSeed();
    configureEmulatedDevice(options);
    CUcontext context;
    ASSERT_EQ(driver.cuInit(0), CUDA_SUCCESS);
    ASSERT_EQ(driver.cuDevicePrimaryCtxRetain(&context, 0), CUDA_SUCCESS);
  }
  void TearDown() override { resetEmulatedDevice(); }

  CUresult launch(const std::string &directives, unsigned grid, unsigned block, unsigned shared,
                  unsigned cluster, bool cooperative) {
    const std::string ptx = header(GetParam().target) +
                            "\n.extern .shared .align 16 .b8 dynamic[];\n.visible .entry k() " +
                            directives +
                            "\n{\n  .reg .b32 %r<2>;\n  mov.u32 %r1, dynamic;\n  ret;\n}\n";
    CUmodule module;
    CUfunction function;
    if (const CUresult loaded = driver.cuModuleLoadData(&module, ptx.c_str()))
      return loaded;
    if (const CUresult found = driver.cuModuleGetFunction(&function, module, "k"))
      return found;
    if (const CUresult set = driver.cuFuncSetAttribute(
            function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, int(shared)))
      return set;
    CUlaunchAttribute attributes[2] = {};
    attributes[0].id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
    attributes[0].value.clusterDim = {cluster, 1, 1};
    attributes[1].id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
    attributes[1].value.cooperative = cooperative;
    const CUlaunchConfig config = {grid, 1, 1, block, 1, 1, shared, nullptr, attributes, 2};
    return driver.cuLaunchKernelEx(&config, function, nullptr, nullptr);
  }

  const Driver &driver = emulatedDriver();
};

TEST_P(Budgets, areKept) {
  const Limit &limit = GetParam();
  EXPECT_EQ(launch(limit.directives, limit.grid, limit.block, limit.dynamicShared, limit.cluster,
                   limit.cooperative),
            CUDA_SUCCESS)
      << lastEmulatedError();
  EXPECT_EQ(launch(limit.tooMuchDirectives, limit.tooMuchGrid, limit.tooMuchBlock,
                   limit.tooMuchShared, limit.tooMuchCluster, limit.cooperative),
            limit.code)
      << lastEmulatedError();
  EXPECT_NE(lastEmulatedError().find(limit.sentence), std::string::npos) << lastEmulatedError();
  EXPECT_NE(lastEmulatedError().find('k'), std::string::npos) << "names the kernel";
}

const Limit limits[] = {
    {.name = "threadsOfABlock",
     .block = 1024,
     .tooMuchBlock = 1025,
     .sentence = "a block of 1025 x 1 x 1 threads; 1024 are possible"},
    {.name = "maxntid",
     .directives = ".maxntid 64, 1, 1",
     .block = 64,
     .tooMuchDirectives = ".maxntid 64, 1, 1",
     .tooMuchBlock = 96,
     .sentence = ".maxntid allows 64 threads, the launch has 96"},
    {.name = "reqntid",
     .directives = ".reqntid 64, 1, 1",
     .block = 64,
     .tooMuchDirectives = ".reqntid 64, 1, 1",
     .tooMuchBlock = 32,
     .sentence = ".reqntid demands 64 x 1 x 1 threads, the launch has 32 x 1 x 1"},
    {.name = "registers",
     .directives = ".maxnreg 64",
     .block = 1024,
     .tooMuchDirectives = ".maxnreg 72",
     .tooMuchBlock = 1024,
     .code = CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES,
     .sentence = "72 registers a thread (.maxnreg) for 32 warps are 73728; sm_90 has 65536"},
    {.name = "sharedMemoryOfSm80",
     .target = "sm_80",
     .dynamicShared = 163 * 1024,
     .tooMuchShared = 163 * 1024 + 1,
     .sentence = "sm_80 has 166912"},
    {.name = "sharedMemoryOfSm86",
     .target = "sm_86",
     .dynamicShared = 99 * 1024,
     .tooMuchShared = 99 * 1024 + 1,
     .sentence = "sm_86 has 101376"},
    {.name = "sharedMemoryOfSm90",
     .dynamicShared = 227 * 1024,
     .tooMuchShared = 227 * 1024 + 1,
     .sentence = "sm_90 has 232448"},
    {.name = "clusterThatIsNotPortable",
     .grid = 8,
     .cluster = 8,
     .tooMuchGrid = 16,
     .tooMuchCluster = 16,
     .code = CUDA_ERROR_INVALID_CLUSTER_SIZE,
     .sentence = "a cluster of 16 blocks; 8 are portable"},
    {.name = "largestCluster",
     .grid = 8,
     .cluster = 8,
     .tooMuchGrid = 17,
     .tooMuchCluster = 17,
     .sentence = "clusters of 17 x 1 x 1 blocks: up to 16 that divide the grid"},
    {.name = "clusterThatDoesNotDivideTheGrid",
     .grid = 8,
     .cluster = 4,
     .tooMuchGrid = 9,
     .tooMuchCluster = 4,
     .sentence = "clusters of 4 x 1 x 1 blocks"},
    {.name = "clustersNeedSm90",
     .target = "sm_80",
     .tooMuchGrid = 2,
     .tooMuchCluster = 2,
     .code = CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES,
     .sentence = "clusters need sm_90, this is sm_80"},
    {.name = "cooperativeLaunch", // two blocks of 1024 threads a multiprocessor
     .target = "sm_80",
     .grid = 216,
     .block = 1024,
     .tooMuchGrid = 217,
     .tooMuchBlock = 1024,
     .cooperative = true,
     .code = CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE,
     .sentence = "217 blocks; 216 can be resident together"},
};

INSTANTIATE_TEST_SUITE_P(All, Budgets, testing::ValuesIn(limits),
                         [](const auto &info) { return info.param.name; });

// What the assembler would refuse is refused when the module is loaded.
TEST(Budget, ofWhatTheAssemblerTakes) {
  const Driver &driver = emulatedDriver();
  resetEmulatedDevice();
  ASSERT_EQ(driver.cuInit(0), CUDA_SUCCESS);
  const auto load = [&](const std::string &variable) {
    CUmodule module;
    return driver.cuModuleLoadData(
        &module,
        (header("sm_80") + ".visible .entry k()\n{\n  " + variable + "\n  ret;\n}\n").c_str());
  };
  EXPECT_EQ(load(".shared .b8 tile[49152]; .reg .b32 a; mov.u32 a, tile;"), CUDA_SUCCESS)
      << lastEmulatedError();
  EXPECT_EQ(load(".shared .b8 tile[49153]; .reg .b32 a; mov.u32 a, tile;"), CUDA_ERROR_INVALID_PTX);
  EXPECT_EQ(lastEmulatedError(), "module:4: kernel 'k' has 49153 bytes of static shared memory, "
                                 "the assembler takes 49152");
  EXPECT_EQ(load(".local .b8 much[524288];"), CUDA_SUCCESS) << lastEmulatedError();
  EXPECT_EQ(load(".local .b8 much[524304];"), CUDA_ERROR_INVALID_PTX);
  EXPECT_NE(lastEmulatedError().find("524304 bytes of local memory, a thread has 524288"),
            std::string::npos)
      << lastEmulatedError();
  resetEmulatedDevice();
}

} // namespace
} // namespace ingot::emulator
