#include "tools/commands/TrainingFlags.h"
#include "tools/commands/Numbers.h"
#include "tools/commands/Suggest.h"

namespace ingot {
namespace {

using Loss = TrainingOptions::Loss;
using Optimizer = TrainingOptions::Optimizer;

constexpr Choice<Loss> losses[] = {
    {"cross_entropy", Loss::CrossEntropy}, {"mse", Loss::Mse}, {"none", Loss::None}};
constexpr Choice<Optimizer> optimizers[] = {{"adamw", Optimizer::AdamW}, {"sgd", Optimizer::Sgd}};
constexpr Choice<OnNonFinite> reactions[] = {
    {"stop", OnNonFinite::Stop}, {"skip", OnNonFinite::Skip}, {"continue", OnNonFinite::Continue}};

} // namespace

void TrainingFlags::declare(CLI::App &app) {
  constexpr const char *group = "Training step";
  app.add_option("--loss", loss,
                 "cross_entropy (default), mse, or none if the model's output is the loss")
      ->group(group);
  app.add_option("--optimizer", optimizer, "adamw (default) or sgd")->group(group);
  addNumber(app, "--weight-decay", weightDecay, atLeast(0.0), "default: adamw 0.01, sgd 0")
      ->group(group);
  addNumber(app, "--beta1", numbers.beta1, belowOne, "adamw's; default 0.9")->group(group);
  addNumber(app, "--beta2", numbers.beta2, belowOne, "adamw's; default 0.999")->group(group);
  addNumber(app, "--epsilon", numbers.epsilon, positive, "adamw's; default 1e-8")->group(group);
  addNumber(app, "--momentum", numbers.momentum, atLeast(0.0), "sgd's; default 0")->group(group);
  addNumber(app, "--clip", numbers.clip, atLeast(0.0),
            "largest global gradient norm; default 0: off")
      ->group(group);
  addNumber(app, "--accumulate", numbers.accumulate, atLeast(1),
            "micro-batches whose gradients make one update; default 1")
      ->group(group);
  app.add_option(
         "--on-nan", onNan,
         "a loss or gradient that is not finite: stop (default) with an error, skip the step's "
         "update, or continue")
      ->group(group);
}

Result<TrainingOptions> TrainingFlags::options() const {
  TrainingOptions options = numbers;
  INGOT_ASSIGN(options.loss, choose("--loss", loss, losses));
  INGOT_ASSIGN(options.optimizer, choose("--optimizer", optimizer, optimizers));
  INGOT_ASSIGN(options.onNonFinite, choose("--on-nan", onNan, reactions));
  options.weightDecay = weightDecay;
  return options;
}

std::vector<Circumstance> TrainingFlags::circumstances() const {
  return {optimizer == "sgd" ? Circumstance::Sgd : Circumstance::AdamW};
}

} // namespace ingot
