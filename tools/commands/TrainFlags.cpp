#include "tools/commands/TrainFlags.h"
#include "runtime/support/Print.h"
#include "tools/commands/FieldFlags.h"
#include "tools/commands/Numbers.h"
#include <algorithm>

namespace ingot {

void TrainFlags::declare(CLI::App &app) {
  model.declare(app);
  data.declare(app);
  training.declare(app);
  app.get_option("model")->description(
      "gpt, mlp, a .mlir file, - for one on standard input, or a checkpoint or weights of another "
      "program, whose parameters the training begins with");
  constexpr const char *group = "Run";
  addFields(app, run, group);
  addNumber(app, "--epochs", epochs, Bounds{.least = 1, .most = 1'000'000},
            "passes over the data, in place of --steps")
      ->excludes("--steps")
      ->group(group);
  app.add_flag("--json", json, "one JSON object per line to stdout, a summary last")->group(group);
  app.add_option("--profile", profile,
                 "write a Chrome trace of a few steps, kernel by kernel, to this file")
      ->group(group);
  compile.declare(app);
}

void TrainFlags::completeRate(const CLI::App &app) {
  if (app.get_option("--lr")->count() == 0)
    run.schedule.peak = training.options.defaultRate();
}

std::vector<Circumstance> TrainFlags::circumstances() const {
  std::vector<Circumstance> result = circumstancesOf(model, training, data, compile);
  std::erase(result, Circumstance::CheckpointBatch); // a training may begin with another
  if (run.out.empty())
    result.push_back(Circumstance::NoOutput);
  if (run.schedule.kind == Schedule::Kind::Constant)
    result.push_back(Circumstance::ConstantRate);
  return result;
}

std::string TrainFlags::whyRowsAreLeftOut(const Model &built) const {
  const TrainingOptions &options = training.options;
  if (options.loss == Loss::None)
    return "the model has the loss itself";
  if (options.lossNumbers.reduction == Reduction::BatchMean)
    return "--loss-reduction=batch_mean counts every row";
  if (options.accumulate > 1)
    return "micro-batches count alike";
  if (std::ranges::any_of(built.ports(),
                          [](const ModelPort &port) { return port.role == Role::State; }))
    return "rows that fill it up would change the statistics of batch norm";
  return "";
}

Status TrainFlags::countSteps(const Model &built, const DataSet &data, bool isResumed) {
  const std::vector<ModelPort> ports = built.ports();
  if (epochs > 0) {
    const auto input = std::ranges::find(ports, Role::Input, &ModelPort::role);
    if (input == ports.end() || input->shape.empty() || input->shape[0] < 1)
      return failure(Error::Code::Usage, "--epochs",
                     "the model has no batch: --steps says how many");
    const int64_t batch = input->shape[0] * training.options.accumulate, rows = data.trainingRows(),
                  rest = rows % batch;
    if (rest > 0 && !training.fillsLastBatch() && !isResumed) {
      const std::string reason = whyRowsAreLeftOut(built);
      training.options.lossWeights |= reason.empty();
      if (!reason.empty())
        print(stderr, "note: {} of {} rows fill no batch and are left out of each epoch: {}\n",
              rest, rows, reason);
    }
    run.steps = epochs * (rows / batch + (rest > 0 && training.fillsLastBatch()));
  }
  if (run.schedule.kind == Schedule::Kind::Constant)
    run.schedule.steps = 0; // it has no end, however long the run is
  else if (run.schedule.steps == 0)
    run.schedule.steps = run.steps;
  return {};
}

} // namespace ingot
