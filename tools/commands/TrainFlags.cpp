#include "tools/commands/TrainFlags.h"
#include "tools/commands/FieldFlags.h"

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

} // namespace ingot
