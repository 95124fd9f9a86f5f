/// What the runtime itself costs and how it scales: benchmark-dispatch [FILE.ingot…]
///
/// 1. the time that a session adds to each call of a kernel that does nothing: for calls that wait
///    for each other, for calls that do not, and for calls that all threads share; and what an
///    iteration of a loop adds to its calls, with a trip count from the arena, with its number
///    written there, and with arguments that move;
/// 2. for each file its step on one and on all CPUs, in turns, the part of the threads' time that
///    went into kernels, and how much longer kernels take side by side.
///
/// Times are the fastest of many: what others do on the machine only ever adds.
#include "runtime/cpu/CpuInfo.h"
#include "runtime/data/RandomSource.h"
#include "runtime/program/Device.h"
#include "runtime/program/TaskGraph.h"
#include "runtime/support/Clock.h"
#include "test/runtime/TestPrograms.h"
#include <algorithm>
#include <cstdio>
#include <filesystem>

using namespace ingot;

namespace {

Result<std::unique_ptr<Session>> open(std::shared_ptr<const Program> program, int threads) {
  INGOT_ASSIGN(std::unique_ptr<Device> device, openDevice("cpu", {.threads = threads}));
  return device->load(std::move(program));
}

struct EmptyCalls {
  const char *name;
  bool isChain; ///< each call waits for the one before
  int64_t grains;
};

Program makeProgram(const EmptyCalls &shape, int calls) {
  Program program = test::affineProgram(64);
  Kernel &kernel = program.kernels[test::AffineKernel];
  kernel.launch = CpuRange{shape.grains};
  kernel.flops = shape.grains > 1 ? 1e9 : 0; // as if they were worth sharing
  kernel.parameters = {KernelParameter::buffer(64 * shape.grains, Access::Read),
                       KernelParameter::buffer(64 * shape.grains, Access::Write)};
  test::sealImages(program);
  const int64_t stretch = 64 * std::max<int64_t>(1, shape.grains), start = program.arenaBytes;
  program.arenaBytes += stretch * (calls + 1);
  Function &function = program.functions[0];
  function.arenaBytes = program.arenaBytes;
  function.steps.clear();
  for (int call = 0; call < calls; ++call) {
    const int64_t from = shape.isChain ? call : 0, to = call + 1;
    function.steps.push_back(
        {CallStep{test::AffineKernel, {start + stretch * from, start + stretch * to}, {}, ""}});
  }
  return program;
}

Status measureDispatch(int threads) {
  constexpr int calls = 256, runs = 4000;
  for (const EmptyCalls &shape :
       {EmptyCalls{"one after another", true, 0}, EmptyCalls{"independent", false, 0},
        EmptyCalls{"shared in 8, one after another", true, 8}}) {
    INGOT_ASSIGN(std::unique_ptr<Session> session,
                 open(std::make_shared<Program>(makeProgram(shape, calls)), threads));
    std::vector<double> times;
    for (int run = 0; run < runs; ++run) {
      const double start = steadySeconds();
      INGOT_TRY(session->run("step"));
      times.push_back(steadySeconds() - start);
    }
    std::ranges::sort(times);
    std::printf("empty kernels, %-32s %2d threads %6.0f ns a call (median %.0f)\n", shape.name,
                threads, times[0] / calls * 1e9, times[runs / 2] / calls * 1e9);
  }
  return {};
}

/// What an iteration's body is, and what the loop does besides.
struct Iterations {
  const char *name;
  int calls; ///< an iteration
  bool isCounted, isNumbered, moves;
};

/// As many calls in `trips` iterations, or without a loop where it is 0.
Program makeLoop(const Iterations &shape, int trips, int calls) {
  Program program = makeProgram({"", /*isChain=*/true, 0}, calls);
  Function &function = program.functions[0];
  if (trips == 0)
    return program;
  const int64_t scalars = program.arenaBytes, line = 64;
  const int64_t rows = shape.moves ? trips : 1;
  const int64_t start = scalars + 2 * line;
  LoopStep loop{.trips = trips};
  for (int call = 0; call < shape.calls; ++call) {
    const int64_t from = start + line * rows * call, to = from + line * rows;
    std::vector<int64_t> strides;
    if (shape.moves)
      strides = {line, line};
    loop.body.push_back({CallStep{test::AffineKernel, {from, to}, strides, ""}});
  }
  if (shape.isCounted)
    loop.count = scalars;
  if (shape.isNumbered)
    loop.counter = scalars + line;
  program.arenaBytes = start + line * rows * (shape.calls + 1);
  function.arenaBytes = program.arenaBytes;
  function.steps.clear();
  if (shape.isCounted) { // as the arena holds zeros, a count of none; the port writes it
    Port port = function.ports.front();
    port.name = "trips";
    port.role = Role::Scalar;
    port.type = ElementType::I64;
    port.shape = {};
    port.offset = scalars;
    function.ports.push_back(port);
  }
  function.steps.push_back({std::move(loop)});
  return program;
}

Result<double> fastestRun(Session &session, int runs) {
  double fastest = 1e9;
  for (int run = 0; run < runs; ++run) {
    const double start = steadySeconds();
    INGOT_TRY(session.run("step"));
    fastest = std::min(fastest, steadySeconds() - start);
  }
  return fastest;
}

/// The iteration's time less that of as many calls one after another without a loop.
Status measureLoops(int threads) {
  constexpr int trips = 256, runs = 4000;
  for (const Iterations &shape :
       {Iterations{"1 call", 1, false, false, false}, Iterations{"8 calls", 8, false, false, false},
        Iterations{"1 call, arguments move", 1, false, false, true},
        Iterations{"1 call, its number kept", 1, false, true, false},
        Iterations{"1 call, run-time trip count", 1, true, false, false}}) {
    const int calls = trips * shape.calls;
    INGOT_ASSIGN(std::unique_ptr<Session> plain,
                 open(std::make_shared<Program>(makeLoop(shape, 0, calls)), threads));
    INGOT_ASSIGN(std::unique_ptr<Session> looped,
                 open(std::make_shared<Program>(makeLoop(shape, trips, calls)), threads));
    if (shape.isCounted) {
      Tensor count(ElementType::I64, {});
      count.as<int64_t>()[0] = trips;
      INGOT_TRY(looped->write("step", "trips", count));
    }
    INGOT_ASSIGN(const double without, fastestRun(*plain, runs));
    INGOT_ASSIGN(const double with, fastestRun(*looped, runs));
    std::printf(
        "empty kernels in a loop, %-28s %2d threads %6.0f ns an iteration, %.0f more than its "
        "calls\n",
        shape.name, threads, with / trips * 1e9, (with - without) / trips * 1e9);
  }
  return {};
}

/// A step of one session, the fastest so far.
struct Fastest {
  double seconds = 1e9, inKernels = 0;
};

Status prepare(Session &session) {
  const Function *init = session.program().function("init");
  if (init)
    INGOT_TRY(session.run("init"));
  const Function *step = session.program().function("step");
  if (!step)
    return failure(Error::Code::BadInput, "", "has no function 'step'");
  INGOT_ASSIGN(std::unique_ptr<RandomSource> source,
               RandomSource::create(batchPorts(*step, /*vocabulary=*/2), /*seed=*/0));
  Batch batch = source->makeBatch();
  INGOT_TRY(source->fill(0, batch));
  for (const NamedTensor &tensor : batch)
    INGOT_TRY(session.write("step", tensor.name, tensor.value));
  return session.run("step"); // touches memory for the first time
}

Status runOnce(Session &session, Fastest &fastest) {
  double inKernels = 0;
  session.profile([&](const ProfileSpan &span) { inKernels += span.end - span.start; });
  const double start = steadySeconds();
  INGOT_TRY(session.run("step"));
  const double time = steadySeconds() - start;
  if (time < fastest.seconds)
    fastest = {time, inKernels};
  return {};
}

/// Finds the dependencies of a step's calls, as a session does when it is loaded.
void measureGraph(const Program &program, const char *name) {
  const double start = steadySeconds();
  std::vector<TaskMemory> memory;
  for (const Step &step : program.function("step")->steps)
    if (auto *call = std::get_if<CallStep>(&step.node))
      memory.push_back(memoryOf(program.kernels[call->kernel], *call, /*trips=*/1));
  const TaskGraph graph = buildTaskGraph(memory);
  const double time = steadySeconds() - start;
  size_t edges = 0;
  for (const auto &predecessors : graph.predecessors)
    edges += predecessors.size();
  std::printf("%s: %zu calls, %zu edges between them, found in %.0f µs\n", name, graph.size(),
              edges, time * 1e6);
}

Status measureFile(const char *path, int threads) {
  INGOT_ASSIGN(Program loaded, Program::load(path));
  auto program = std::make_shared<Program>(std::move(loaded));
  INGOT_ASSIGN(std::unique_ptr<Session> one, open(program, 1));
  INGOT_ASSIGN(std::unique_ptr<Session> all, open(program, threads));
  const std::string name = std::filesystem::path(path).stem();
  INGOT_TRY(prepare(*one));
  INGOT_TRY(prepare(*all));
  measureGraph(*program, name.c_str());
  Fastest alone, together;
  const double start = steadySeconds();
  for (int runs = 0; runs < 8 || (runs < 20000 && steadySeconds() - start < 10); ++runs) {
    INGOT_TRY(runOnce(*one, alone));
    INGOT_TRY(runOnce(*all, together));
  }
  std::printf("%s: 1 thread %.3f ms, %d threads %.3f ms (%.2fx); in kernels %.1f %% and %.1f %%; "
              "kernels take %.2fx as long side by side\n",
              name.c_str(), alone.seconds * 1e3, threads, together.seconds * 1e3,
              alone.seconds / together.seconds, alone.inKernels / alone.seconds * 100,
              together.inKernels / together.seconds / threads * 100,
              together.inKernels / alone.inKernels);
  return {};
}

Status measure(int count, char **files) {
  const int threads = usableCpus();
  INGOT_TRY(measureDispatch(1));
  if (threads > 1)
    INGOT_TRY(measureDispatch(threads));
  INGOT_TRY(measureLoops(1));
  if (threads > 1)
    INGOT_TRY(measureLoops(threads));
  for (int i = 0; i < count; ++i) {
    Status status = measureFile(files[i], threads);
    if (!status)
      return failure(status.error().code, files[i], "{}", status.error().text());
  }
  return {};
}

} // namespace

int main(int count, char **arguments) {
  Status status = measure(count - 1, arguments + 1);
  if (!status)
    std::fprintf(stderr, "benchmark-dispatch: %s\n", status.error().text().c_str());
  return status ? 0 : 1;
}
