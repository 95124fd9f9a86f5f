/// What the runtime itself costs and how it scales: benchmark-dispatch [FILE.ingot…]
///
/// 1. the time that a session adds to each call of a kernel that does nothing, for calls that wait
///    for each other and for calls that do not;
/// 2. what this machine gives on all its CPUs at once beside one: multiply-adds and memory copies;
/// 3. for each file its step on one and on all CPUs, in turns, the shares of thread time that went
///    into kernels, and how much longer kernels take when they run side by side.
///
/// Times are the fastest of many: what others do on the machine only ever adds.
#include "runtime/Device.h"
#include "runtime/cpu/CpuInfo.h"
#include "runtime/cpu/MachineLimits.h"
#include "runtime/data/RandomSource.h"
#include "test/runtime/TestPrograms.h"
#include <algorithm>
#include <chrono>
#include <cstdio>

using namespace ingot;

namespace {

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Result<std::unique_ptr<Session>> open(std::shared_ptr<const Program> program, int threads) {
  INGOT_ASSIGN(std::unique_ptr<Device> device, openDevice("cpu", {.threads = threads}));
  return device->load(std::move(program));
}

/// `calls` calls of a kernel without grains; each waits for the one before, or none for any.
Program emptyCalls(int calls, bool isChain) {
  Program program = test::affineProgram(64);
  Kernel &kernel = program.kernels[test::AffineKernel];
  kernel.grains = 0;
  kernel.arguments = {{4, Access::Read}, {4, Access::Write}};
  const int64_t start = program.arenaBytes;
  program.arenaBytes += 64 * int64_t(calls + 1);
  Function &function = program.functions[0];
  function.arenaBytes = program.arenaBytes;
  function.steps.clear();
  for (int call = 0; call < calls; ++call)
    function.steps.push_back({CallStep{
        test::AffineKernel, {start + 64 * (isChain ? call : 0), start + 64 * (call + 1)}, {}, ""}});
  return program;
}

Status measureDispatch(int threads) {
  constexpr int calls = 256, runs = 4000;
  for (bool isChain : {true, false}) {
    INGOT_ASSIGN(std::unique_ptr<Session> session,
                 open(std::make_shared<Program>(emptyCalls(calls, isChain)), threads));
    std::vector<double> times;
    for (int run = 0; run < runs; ++run) {
      const double start = seconds();
      INGOT_TRY(session->run("step"));
      times.push_back(seconds() - start);
    }
    std::ranges::sort(times);
    std::printf("%-34s %2d threads %8.0f ns a call (median %.0f)\n",
                isChain ? "empty kernels, each after another" : "empty kernels, independent",
                threads, times[0] / calls * 1e9, times[runs / 2] / calls * 1e9);
  }
  return {};
}

void measureScalingOfTheMachine(int threads) {
  const MachineLimits one = measureMachine(1), all = measureMachine(threads);
  std::printf(
      "machine: multiply-adds %.0f → %.0f GFLOP/s (%.2fx), copies %.1f → %.1f GB/s (%.2fx)\n",
      one.flops / 1e9, all.flops / 1e9, all.flops / one.flops, one.copyBandwidth / 1e9,
      all.copyBandwidth / 1e9, all.copyBandwidth / one.copyBandwidth);
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
  const double start = seconds();
  INGOT_TRY(session.run("step"));
  const double time = seconds() - start;
  if (time < fastest.seconds)
    fastest = {time, inKernels};
  return {};
}

Status measureFile(const char *path, int threads) {
  INGOT_ASSIGN(Program loaded, Program::load(path));
  auto program = std::make_shared<Program>(std::move(loaded));
  INGOT_ASSIGN(std::unique_ptr<Session> one, open(program, 1));
  INGOT_ASSIGN(std::unique_ptr<Session> all, open(program, threads));
  INGOT_TRY(prepare(*one));
  INGOT_TRY(prepare(*all));
  Fastest alone, together;
  const double start = seconds();
  for (int runs = 0; runs < 8 || (runs < 20000 && seconds() - start < 10); ++runs) {
    INGOT_TRY(runOnce(*one, alone));
    INGOT_TRY(runOnce(*all, together));
  }
  std::printf("%s: 1 thread %.3f ms, %d threads %.3f ms (%.2fx); in kernels %.1f %% and %.1f %%; "
              "kernels take %.2fx as long side by side\n",
              path, alone.seconds * 1e3, threads, together.seconds * 1e3,
              alone.seconds / together.seconds, alone.inKernels / alone.seconds * 100,
              together.inKernels / together.seconds / threads * 100,
              together.inKernels / alone.inKernels);
  return {};
}

Status measure(int count, char **files) {
  const int threads = usableCpus();
  INGOT_TRY(measureDispatch(1));
  if (threads > 1) {
    INGOT_TRY(measureDispatch(threads));
    measureScalingOfTheMachine(threads);
  }
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
