#include "tools/commands/TrainFlags.h"
#include "tools/commands/Numbers.h"
#include "tools/commands/Suggest.h"

namespace ingot {

void TrainFlags::declare(CLI::App &app) {
  model.declare(app);
  data.declare(app);
  training.declare(app);
  app.get_option("model")->description(
      "gpt, mlp, a .mlir file, - for one on standard input, or a checkpoint or weights of another "
      "program, whose parameters the training begins with");
  constexpr const char *group = "Run";
  trainer.steps = 100;
  addNumber(app, "--steps", trainer.steps, atLeast<int64_t>(0),
            "updates in all, a resumed run's included; default 100")
      ->group(group);
  addNumber(app, "--seed", trainer.seed, Range<uint64_t>(), "of initial weights and data order")
      ->group(group);
  // The step takes the rate as an f32.
  addNumber(app, "--lr", learningRate, between(0.0, double(std::numeric_limits<float>::max())),
            "learning rate; default 1e-3")
      ->group(group);
  app.add_option("--schedule", schedule, "constant (default), linear or cosine")->group(group);
  addNumber(app, "--warmup", warmup, atLeast<int64_t>(0), "steps of linear warm-up")->group(group);
  addNumber(app, "--decay-steps", decaySteps, atLeast<int64_t>(1),
            "step at which linear and cosine end; default: --steps")
      ->group(group);
  app.add_option("--out", trainer.out, "directory for checkpoints and loss curves")->group(group);
  app.add_flag("--resume", trainer.resume,
               "continue from the newest checkpoint in --out, with its options")
      ->group(group);
  addNumber(app, "--eval-every", trainer.evaluateEvery, atLeast<int64_t>(0),
            "steps; default: at start and end")
      ->group(group);
  addNumber(app, "--eval-batches", trainer.evaluationBatches, atLeast<int64_t>(1),
            "batches of an evaluation; default 8")
      ->group(group);
  addNumber(app, "--save-every", trainer.saveEvery, atLeast<int64_t>(0),
            "steps; default: at the end")
      ->group(group);
  addNumber(app, "--keep", trainer.keep, atLeast(1), "checkpoints to keep; default 3")
      ->group(group);
  app.add_flag("--json", json, "one JSON object per line to stdout, a summary last")->group(group);
  app.add_option("--profile", profile,
                 "write a Chrome trace of a few steps, kernel by kernel, to this file")
      ->group(group);
  compile.declare(app);
}

std::vector<Circumstance> TrainFlags::circumstances() const {
  std::vector<Circumstance> result = circumstancesOf(model, training, data, compile);
  std::erase(result, Circumstance::CheckpointBatch); // a training may begin with another
  if (trainer.out.empty())
    result.push_back(Circumstance::NoOutput);
  if (schedule == "constant")
    result.push_back(Circumstance::ConstantRate);
  return result;
}

Result<Schedule> TrainFlags::learningRates() const {
  constexpr Choice<Schedule::Kind> kinds[] = {{"constant", Schedule::Kind::Constant},
                                              {"linear", Schedule::Kind::Linear},
                                              {"cosine", Schedule::Kind::Cosine}};
  Schedule result;
  INGOT_ASSIGN(result.kind, choose("--schedule", schedule, kinds));
  result.peak = learningRate;
  result.warmup = warmup;
  if (result.kind != Schedule::Kind::Constant) // else it has no end, however long the run is
    result.steps = decaySteps.value_or(trainer.steps);
  return result;
}

} // namespace ingot
