/// The CUDA device over the emulated driver of this process, with all checks on.
#include "runtime/cuda/CudaDevice.h"
#include "runtime/cuda/LoadedCode.h"
#include "runtime/emulator/driver/Driver.h"
#include "test/runtime/TestPrograms.h"
#include <gtest/gtest.h>

namespace ingot {
namespace {

using emulator::emulatedDriver;

class CudaSessionTest : public testing::Test {
protected:
  void SetUp() override { configure({}); }
  /// A new machine, and the device on it.
  void configure(emulator::EmulatedDeviceOptions options) {
    device = nullptr;
    emulator::resetEmulatedDevice();
    options.capability = options.capability == 80 ? 90 : options.capability;
    options.launch.seed = test::freshSeed();
    emulator::configureEmulatedDevice(options);
    auto opened = cuda::openDevice(emulatedDriver(), 0, "cuda:emulated");
    ASSERT_TRUE(opened) << opened.error().text();
    device = std::move(*opened);
  }
  /// The session and the device give everything back.
  void TearDown() override {
    device = nullptr;
    for (const emulator::Finding &finding : emulator::takeEmulatedFindings())
      EXPECT_NE(finding.check, "leak") << finding.str();
    emulator::resetEmulatedDevice();
  }
  std::unique_ptr<Session> load(Program program) {
    auto session = device->load(std::make_shared<Program>(std::move(program)));
    EXPECT_TRUE(session) << session.error().text();
    return session ? std::move(*session) : nullptr;
  }
  std::string loadError(Program program, std::shared_ptr<Store> store = nullptr) {
    auto session = device->load(std::make_shared<Program>(std::move(program)), std::move(store));
    return session ? "" : session.error().text();
  }
  std::unique_ptr<Device> device;
};

/// The emulated driver, which counts what a test asks about.
struct CountingDriver : cuda::Driver {
  static inline int streams = 0, contexts = 0, waits = 0;
  CountingDriver() : cuda::Driver(emulatedDriver()) {
    cuStreamCreate = [](cuda::CUstream *stream, unsigned flags) {
      ++streams;
      return emulatedDriver().cuStreamCreate(stream, flags);
    };
    cuDevicePrimaryCtxRetain = [](cuda::CUcontext *context, cuda::CUdevice gpu) {
      ++contexts;
      return emulatedDriver().cuDevicePrimaryCtxRetain(context, gpu);
    };
    cuStreamSynchronize = [](cuda::CUstream stream) {
      ++waits;
      return emulatedDriver().cuStreamSynchronize(stream);
    };
  }
};
const CountingDriver &countingDriver() {
  static const CountingDriver driver;
  return driver;
}

std::vector<uint8_t> bytesOf(std::string_view text) { return {text.begin(), text.end()}; }

// y = factor * x by 8 x 8 tiles, which the copy engine brings; a cluster is a pair of blocks.
constexpr std::string_view tiles = R"(
.version 8.0
.target sm_90
.address_size 64
.visible .entry scaleTiles(.param .align 64 .b8 map[128], .param .u64 y, .param .f32 factor)
{
  .shared .align 128 .b8 tile[256];
  .shared .align 8 .b64 full;
  .reg .pred %p<3>;
  .reg .b32 %r<10>;
  .reg .f32 %f<4>;
  .reg .b64 %rd<6>;
  mov.b64 %rd1, map;
  cvta.param.u64 %rd1, %rd1;
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, tile;
  mov.u32 %r3, full;
  mov.u32 %r4, 0;
  mov.u32 %r5, %ctaid.x;
  shl.b32 %r5, %r5, 3;
  setp.ne.u32 %p1, %r1, 0;
  @%p1 bra READY;
  mbarrier.init.shared::cta.b64 [%r3], 1;
  fence.mbarrier_init.release.cluster;
  mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r3], 256;
  cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r2], [%rd1, {%r4, %r5}], [%r3];
READY:
  bar.sync 0;
WAIT:
  mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r3], 0;
  @!%p2 bra WAIT;
  shl.b32 %r6, %r1, 2;
  add.u32 %r7, %r2, %r6;
  ld.shared.f32 %f1, [%r7];
  ld.param.f32 %f2, [factor];
  mul.rn.f32 %f3, %f1, %f2;
  ld.param.u64 %rd2, [y];
  mov.u32 %r8, %ctaid.x;
  mad.lo.u32 %r9, %r8, 64, %r1;
  mul.wide.u32 %rd3, %r9, 4;
  add.u64 %rd4, %rd2, %rd3;
  st.global.f32 [%rd4], %f3;
  ret;
}
)";

Program tilesProgram() {
  constexpr int64_t bytes = 32 * 8 * 4;
  Program program;
  program.target = "cuda:sm_90";
  program.objects = {{CodeObject::Kind::Ptx, "sm_90", bytesOf(tiles)}};
  const float factor = 2.5f;
  uint64_t bits = 0;
  std::memcpy(&bits, &factor, sizeof factor);
  program.kernels = {
      {.name = "scaleTiles",
       .launch = CudaGrid{.grid = {4, 1, 1}, .block = {64, 1, 1}, .cluster = {2, 1, 1}},
       .parameters = {{.kind = KernelParameter::Kind::TensorMap,
                       .bytes = bytes,
                       .access = Access::Read,
                       .map = {.type = ElementType::F32,
                               .sizes = {8, 32},
                               .strides = {32},
                               .box = {8, 8},
                               .steps = {1, 1}}},
                      KernelParameter::buffer(bytes, Access::Write),
                      {.kind = KernelParameter::Kind::Scalar, .bytes = 4, .value = bits}}}};
  program.arenaBytes = 2 * bytes;
  Function forward{.name = "forward", .arenaBytes = program.arenaBytes};
  forward.ports = {{"x", Role::Input, ElementType::F32, {32, 8}, 0},
                   {"y", Role::Output, ElementType::F32, {32, 8}, bytes}};
  forward.steps = {Step{CallStep{0, {0, bytes}, {}, "scale"}}};
  program.functions = {forward};
  return program;
}

TEST_F(CudaSessionTest, encodesTensorMapsScalarsAndClusters) {
  auto session = load(tilesProgram());
  ASSERT_TRUE(session);
  Tensor x(ElementType::F32, {32, 8});
  for (int i = 0; i < 256; ++i)
    x.as<float>()[i] = float(i);
  auto ticket = session->enqueue("forward", std::vector<NamedTensor>{{"x", x}}, {"y"});
  ASSERT_TRUE(ticket) << ticket.error().text();
  auto outputs = session->wait(*ticket);
  ASSERT_TRUE(outputs) << outputs.error().text();
  for (int i = 0; i < 256; ++i)
    ASSERT_EQ((*outputs)[0].value.as<float>()[i], 2.5f * float(i)) << i;
}

// Stores are shared by name, so what two devices of a GPU do must be in one order.
TEST_F(CudaSessionTest, devicesOfAGpuShareItsStreams) {
  CountingDriver::streams = CountingDriver::contexts = 0;
  auto first = cuda::openDevice(countingDriver(), 0, "cuda:emulated");
  auto second = cuda::openDevice(countingDriver(), 0, "cuda:emulated");
  ASSERT_TRUE(first && second);
  EXPECT_EQ(CountingDriver::contexts, 1);
  EXPECT_EQ(CountingDriver::streams, 2) << "one for runs, one for copies";
  first->reset();
  second->reset();
  ASSERT_TRUE(cuda::openDevice(countingDriver(), 0, "cuda:emulated"));
  EXPECT_EQ(CountingDriver::contexts, 2) << "nobody held it any more";
}

TEST(CudaDevice, hasOneNameForTheFirstGpu) {
  auto opened = openDevice("cuda:0", {});
  if (opened)
    EXPECT_EQ((*opened)->name(), "cuda");
  else
    EXPECT_EQ(opened.error().text().find("cuda: "), 0u) << opened.error().text();
}

// Nothing is begun on a GPU to list it, and one that fails says why.
TEST_F(CudaSessionTest, devicesAreListedWithoutBeingUsed) {
  CountingDriver driver;
  driver.cuDeviceGetCount = [](int *count) { return *count = 2, cuda::CUDA_SUCCESS; };
  driver.lastError = [] { return ""; };
  CountingDriver::contexts = 0;
  std::vector<DeviceInfo> devices =
      cuda::listDevices(driver, [](int ordinal) { return fmt::format("gpu {}", ordinal); });
  EXPECT_EQ(CountingDriver::contexts, 0);
  ASSERT_EQ(devices.size(), 2u);
  EXPECT_EQ(devices[0].name, "gpu 0");
  EXPECT_EQ(devices[0].model, "emulated sm_90");
  EXPECT_EQ(devices[0].features, std::vector<std::string>{"sm_90"});
  EXPECT_EQ(devices[0].cores, 132);
  EXPECT_EQ(devices[0].memoryBytes, int64_t(80) << 30);
  EXPECT_EQ(devices[0].error, "");
  EXPECT_EQ(devices[1].name, "gpu 1");
  EXPECT_EQ(devices[1].error,
            "finding the GPU: CUDA_ERROR_INVALID_DEVICE (invalid device ordinal)");

  driver.cuInit = [](unsigned) { return cuda::CUDA_ERROR_UNKNOWN; };
  devices = cuda::listDevices(driver, [](int) { return std::string("gpu"); });
  ASSERT_EQ(devices.size(), 1u);
  EXPECT_EQ(devices[0].error, "starting the driver: CUDA_ERROR_UNKNOWN (unknown error)");
  driver.cuInit = [](unsigned) { return cuda::CUDA_ERROR_NO_DEVICE; };
  EXPECT_TRUE(cuda::listDevices(driver, [](int) { return std::string("gpu"); }).empty());
}

// Ports, constants and buckets are one after the other in the stream, which is waited for once.
TEST_F(CudaSessionTest, loadingWaitsOnceForWhatItFills) {
  device = nullptr;
  auto counting = cuda::openDevice(countingDriver(), 0, "cuda:emulated");
  ASSERT_TRUE(counting);
  const auto waitsOf = [&](int ports) {
    Program program = test::cudaAffineProgram(32);
    program.arenaBytes += 64 * ports;
    program.functions[0].arenaBytes = program.arenaBytes;
    for (int i = 0; i < ports; ++i)
      program.functions[0].ports.push_back({fmt::format("more{}", i),
                                            Role::Input,
                                            ElementType::F32,
                                            {16},
                                            program.arenaBytes - 64 * (i + 1)});
    const int before = CountingDriver::waits;
    auto session = (*counting)->load(std::make_shared<Program>(program));
    EXPECT_TRUE(session) << session.error().text();
    const int waits = CountingDriver::waits - before;
    for (int i = 0; i < ports; ++i)
      EXPECT_EQ((*session)->read("step", fmt::format("more{}", i))->as<float>()[15], 0.0f);
    return waits;
  };
  EXPECT_EQ(waitsOf(9), waitsOf(0));
}

TEST_F(CudaSessionTest, iterationsAreCountedWithoutWaiting) {
  device = nullptr;
  auto counting = cuda::openDevice(countingDriver(), 0, "cuda:emulated");
  ASSERT_TRUE(counting);
  Program program = test::cudaAffineProgram(32);
  program.arenaBytes += 64;
  Function &step = program.functions[0];
  step.arenaBytes = program.arenaBytes;
  step.ports.push_back({"counter", Role::Output, ElementType::I64, {}, program.arenaBytes - 64});
  const Step add = std::get<LoopStep>(step.steps[0].node).body[1];
  for (const bool reverse : {false, true}) {
    step.steps = {Step{LoopStep{
        .trips = 2, .body = {add}, .counter = program.arenaBytes - 64, .reverse = reverse}}};
    auto session = (*counting)->load(std::make_shared<Program>(program));
    ASSERT_TRUE(session) << session.error().text();
    Tensor all(ElementType::I64, {});
    *all.as<int64_t>() = -1; // both words of the number are written
    ASSERT_TRUE((*session)->write("step", "counter", all));
    const int before = CountingDriver::waits;
    auto ticket = (*session)->enqueue("step", {}, {"counter"});
    ASSERT_TRUE(ticket) << ticket.error().text();
    EXPECT_EQ(CountingDriver::waits, before);
    auto outputs = (*session)->wait(*ticket);
    ASSERT_TRUE(outputs) << outputs.error().text();
    EXPECT_EQ(*(*outputs)[0].value.as<int64_t>(), reverse ? 0 : 1);
  }
}

// As often as a graph holds, and beyond that walked by the host: nested loops whose calls move.
TEST_F(CudaSessionTest, loopsOfAnyLengthRun) {
  for (int64_t trips : {0, 1, 7, 9000}) {
    Program program = test::cudaAffineProgram(32);
    std::vector<Step> &steps = program.functions[0].steps;
    const Step add = std::get<LoopStep>(steps[0].node).body[1];
    steps = {Step{LoopStep{trips, {Step{LoopStep{2, {add}}}}}}};
    if (trips == 9000) // more calls than are unrolled
      std::get<LoopStep>(steps[0].node).body = {Step{LoopStep{2, {add, add, add, add}}}};
    emulator::CheckOptions quick; // only the order matters here
    quick.registers = quick.memory = quick.sharedRaces = quick.globalRaces = quick.async =
        quick.profile = false;
    configure({.launch = {.threads = 1}, .checks = quick});
    auto session = load(program);
    Tensor y(ElementType::F32, {32});
    std::fill_n(y.as<float>(), 32, 1.0f);
    ASSERT_TRUE(session->write("step", "y", y));
    ASSERT_TRUE(session->run("step"));
    const float expected = float(trips == 9000 ? 4 * trips : trips);
    EXPECT_EQ(session->read("step", "sum")->as<float>()[31], expected);
    EXPECT_EQ(session->read("step", "sum")->as<float>()[0], expected);
  }
}

TEST_F(CudaSessionTest, loadingNamesWhatIsWrong) {
  EXPECT_EQ(
      loadError(test::affineProgram(64)),
      "cuda:emulated: the program is for cpu:x86-64: its kernel 'affine' runs on a CPU alone");
  Program program = test::cudaAffineProgram(64);
  program.target = "cuda:sm_100a";
  program.objects[0].architecture = "sm_100a";
  EXPECT_EQ(loadError(program),
            "cuda:emulated: the program is for cuda:sm_100a: its code of kernel 'affine' (ptx for "
            "sm_100a) does not run on emulated sm_90, which is sm_90");
  program = test::cudaAffineProgram(64);
  program.objects[0].bytes = bytesOf(".version 8.0\n.target sm_80\n.visible .entry affine(\n");
  EXPECT_NE(loadError(program).find("cuda:emulated: loading ptx for sm_80: CUDA_ERROR_INVALID_PTX"),
            std::string::npos)
      << loadError(program);
  program = test::cudaAffineProgram(64);
  program.kernels[0].name = "affin";
  EXPECT_NE(loadError(program).find("cuda:emulated: kernel 'affin': CUDA_ERROR_NOT_FOUND"),
            std::string::npos)
      << loadError(program);
  auto other = openDevice("cpu", {.threads = 1});
  EXPECT_EQ(loadError(test::cudaAffineProgram(64), (*other)->makeStore()),
            "the store lies in the memory of cpu, not of cuda:emulated");
  auto none = cuda::openDevice(emulatedDriver(), 3, "cuda:3");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().text(), "cuda:3: there is no such GPU: 1 is found, counted from 0");
}

TEST_F(CudaSessionTest, memoryThatIsMissingIsBrokenDown) {
  configure({.memoryBytes = 1 << 20});
  Program program = test::cudaAffineProgram(1 << 18);
  program.functions[0].buffers = {{"h", Role::Activation, program.persistentBytes, 1 << 20, 0, 0}};
  EXPECT_EQ(
      loadError(program),
      "cuda:emulated: not enough memory: the program takes 3.7 MB of cuda:emulated's 1.0 MB, of "
      "which 1.0 MB are free: state 1.0 MB, activation 1.0 MB, scratch 524.3 kB, the most in @step "
      "at step 0 (affine)");
}

TEST_F(CudaSessionTest, aFailedLaunchNamesKernelAndOp) {
  // What the GPU does not have is refused when the code is loaded, or when the graph is made.
  configure({.capability = 86});
  Program program = test::cudaAffineProgram(64);
  std::vector<Step> &body = std::get<LoopStep>(program.functions[0].steps[0].node).body;
  body = {std::get<IfStep>(body[0].node).elseBody[0]};
  std::get<CudaGrid>(program.kernels[2].launch).sharedBytes = 128 << 10;
  EXPECT_NE(loadError(program).find("cuda:emulated: kernel 'scratch' with 131072 bytes of shared "
                                    "memory: CUDA_ERROR_INVALID_VALUE"),
            std::string::npos)
      << loadError(program);
  std::get<CudaGrid>(program.kernels[2].launch) = {
      .grid = {2, 1, 1}, .block = {16, 1, 1}, .cluster = {2, 1, 1}};
  auto session = load(program);
  ASSERT_TRUE(session);
  const Status refused = session->run("step");
  ASSERT_FALSE(refused);
  EXPECT_EQ(
      refused.error().text().find("cuda:emulated: launching kernel 'scratch' (scratch) as 2 x "
                                  "1 x 1 blocks of 16 x 1 x 1 threads: CUDA_ERROR_"),
      0u)
      << refused.error().text();
  std::get<CudaGrid>(program.kernels[2].launch).cluster = {1, 1, 1};

  // What only the run shows is the kernel's finding, and an error of `wait`, not of `enqueue`.
  std::string code(program.objects[0].bytes.begin(), program.objects[0].bytes.end());
  for (size_t at; (at = code.find("[%rd5], %f2;")) != code.npos;)
    code.replace(at, 6, "[%rd3]"); // an address without its base
  program.objects[0].bytes = bytesOf(code);
  for (bool profiled : {false, true}) {
    session = load(program);
    if (profiled)
      session->profile([](const ProfileSpan &) {});
    auto ticket = session->enqueue("step", {}, {"y"});
    ASSERT_TRUE(ticket) << ticket.error().text();
    auto outputs = session->wait(*ticket);
    ASSERT_FALSE(outputs);
    const std::string text = outputs.error().text();
    EXPECT_EQ(text.find(profiled ? "cuda:emulated: launching kernel 'scratch' (scratch) as"
                                 : "cuda:emulated: running a graph: CUDA_ERROR_ILLEGAL_ADDRESS"),
              0u)
        << text;
    EXPECT_NE(text.find("kernel scratch, line"), std::string::npos) << text;
  }
}

/// A driver that forgets one of the calls that order things.
struct Forgetful {
  static inline size_t edgeToDrop, edges, waitToDrop, waits;
  static constexpr size_t none = SIZE_MAX;

  static cuda::CUresult addKernelNode(cuda::CUgraphNode *node, cuda::CUgraph graph,
                                      const cuda::CUgraphNode *after, size_t count,
                                      const cuda::CUDA_KERNEL_NODE_PARAMS *parameters) {
    std::vector<cuda::CUgraphNode> kept;
    for (size_t i = 0; i < count; ++i)
      if (edges++ != edgeToDrop)
        kept.push_back(after[i]);
    return emulatedDriver().cuGraphAddKernelNode(node, graph, kept.data(), kept.size(), parameters);
  }
  static cuda::CUresult waitEvent(cuda::CUstream stream, cuda::CUevent event, unsigned flags) {
    return waits++ == waitToDrop ? cuda::CUDA_SUCCESS
                                 : emulatedDriver().cuStreamWaitEvent(stream, event, flags);
  }
  static cuda::Driver driver() {
    cuda::Driver table = emulatedDriver();
    table.cuGraphAddKernelNode = addKernelNode;
    table.cuStreamWaitEvent = waitEvent;
    edges = waits = 0;
    edgeToDrop = waitToDrop = none;
    return table;
  }
};

// Three runs ahead of each other of a step whose calls depend on inputs, outputs, state and
// scratch. Without any edge of its graph or any wait of its streams that comes into play, the
// machine finds a race at every seed; with all of them it finds nothing.
TEST_F(CudaSessionTest, everyEdgeAndEveryWaitIsNeeded) {
  Program program = test::cudaAffineProgram(64);
  std::vector<Step> &steps = program.functions[0].steps;
  auto &body = std::get<LoopStep>(steps[0].node).body;
  const IfStep branch = std::get<IfStep>(body[0].node);
  body = {branch.elseBody[0], body[1], branch.thenBody[0], body[1]};

  const auto works = [&](size_t edge, size_t wait) {
    configure({});
    cuda::Driver driver = Forgetful::driver();
    Forgetful::edgeToDrop = edge;
    Forgetful::waitToDrop = wait;
    auto opened = cuda::openDevice(driver, 0, "cuda:emulated");
    EXPECT_TRUE(opened);
    auto session = (*opened)->load(std::make_shared<Program>(program));
    EXPECT_TRUE(session) << session.error().text();
    Tensor x(ElementType::F32, {64});
    std::vector<Ticket> tickets;
    for (int run = 0; run < 4; ++run)
      tickets.push_back(
          *(*session)->enqueue("step", std::vector<NamedTensor>{{"x", x}}, {"y", "sum"}));
    std::string problems;
    for (Ticket ticket : tickets)
      if (auto outputs = (*session)->wait(ticket); !outputs)
        problems += outputs.error().text() + "\n";
    EXPECT_TRUE(problems.empty() || problems.find("launch-race") != problems.npos) << problems;
    session->reset();
    opened->reset();
    return problems.empty();
  };
  EXPECT_TRUE(works(Forgetful::none, Forgetful::none));
  const size_t edges = Forgetful::edges, waits = Forgetful::waits;
  ASSERT_GE(edges, 7u);
  for (size_t edge = 0; edge < edges; ++edge)
    for (int seed = 0; seed < 3; ++seed)
      EXPECT_FALSE(works(edge, Forgetful::none)) << "edge " << edge << " of " << edges;
  // Each run waits for the slot of its inputs, which the first two find unused, and for the inputs;
  // the host waits for nothing in between.
  ASSERT_EQ(waits, 8u);
  for (size_t wait = 0; wait < waits; ++wait)
    EXPECT_EQ(works(Forgetful::none, wait), wait == 0 || wait == 2) << "wait " << wait;
}

TEST(CudaCode, runsWhereItsArchitectureSays) {
  using enum CodeObject::Kind;
  struct Row {
    int capability;
    CodeObject::Kind kind;
    std::string_view architecture;
    bool runs;
  };
  for (const Row &row :
       {Row{80, Ptx, "sm_80", true}, Row{90, Ptx, "sm_80", true}, Row{120, Ptx, "sm_80", true},
        Row{75, Ptx, "sm_80", false}, Row{90, Ptx, "sm_90a", true}, Row{100, Ptx, "sm_90a", false},
        Row{103, Ptx, "sm_100f", true}, Row{120, Ptx, "sm_100f", false},
        Row{86, Cubin, "sm_80", true}, Row{90, Cubin, "sm_80", false},
        Row{80, Cubin, "sm_86", false}, Row{90, Cubin, "sm_90a", true},
        Row{90, Ptx, "cpu:znver4", false}, Row{90, Ptx, "sm_", false},
        Row{90, CpuImage, "sm_80", false}})
    EXPECT_EQ(cuda::runsOn(row.capability, row.kind, row.architecture), row.runs)
        << row.capability << " " << row.architecture;
}

} // namespace
} // namespace ingot
