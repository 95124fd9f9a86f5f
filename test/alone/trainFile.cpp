/// Trains steps of a `.ingot` file with the runtime alone: train-file FILE STEPS VOCABULARY SEED.
/// Prints what `ingot train --data=random --json` prints; test/end-to-end/test_alone.py compares.
#include "runtime/data/RandomSource.h"
#include "runtime/training/Progress.h"
#include "runtime/training/Trainer.h"
#include <cstdio>
#include <cstdlib>

using namespace ingot;

namespace {

Status train(const char *path, int64_t steps, int64_t vocabulary, uint64_t seed) {
  INGOT_ASSIGN(Program program, Program::load(path));
  const Function *step = program.function("step");
  if (!step)
    return failure(Error::Code::BadInput, path, "has no function 'step'");
  INGOT_ASSIGN(std::unique_ptr<BatchSource> batches,
               RandomSource::create(batchPorts(*step, vocabulary), seed));
  INGOT_ASSIGN(std::unique_ptr<Device> device, openDevice("cpu", {.threads = 1}));
  INGOT_ASSIGN(std::unique_ptr<Session> session,
               device->load(std::make_shared<Program>(std::move(program))));
  JsonLines lines(stdout);
  RunOptions options;
  options.steps = steps;
  options.seed = seed;
  options.schedule.peak = 1e-3;
  Trainer trainer(*session, *batches, nullptr, options, lines);
  std::atomic<bool> stop = false;
  return trainer.run(stop).map([](const TrainingResult &) {});
}

} // namespace

int main(int count, char **arguments) {
  if (count != 5) {
    std::fprintf(stderr, "usage: train-file FILE STEPS VOCABULARY SEED\n");
    return 2;
  }
  Status status = train(arguments[1], std::atoll(arguments[2]), std::atoll(arguments[3]),
                        std::strtoull(arguments[4], nullptr, 10));
  if (!status)
    std::fprintf(stderr, "%s\n", status.error().text().c_str());
  return status ? 0 : 1;
}
