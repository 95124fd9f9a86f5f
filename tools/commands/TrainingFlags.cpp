#include "tools/commands/TrainingFlags.h"
#include "tools/commands/Suggest.h"

namespace ingot {
namespace {

using Loss = TrainingOptions::Loss;
using Optimizer = TrainingOptions::Optimizer;

constexpr Choice<Loss> losses[] = {
    {"cross_entropy", Loss::CrossEntropy}, {"mse", Loss::Mse}, {"none", Loss::None}};
constexpr Choice<Optimizer> optimizers[] = {{"adamw", Optimizer::AdamW}, {"sgd", Optimizer::Sgd}};

Status requireInside(std::string_view flag, bool inside, std::string_view range) {
  if (inside)
    return {};
  return failure(Error::Code::Usage, std::string(flag), "must be {}", range);
}

} // namespace

void TrainingFlags::declare(CLI::App &app) {
  constexpr const char *group = "Training step";
  app.add_option("--loss", loss,
                 "cross_entropy (default), mse, or none if the model's output is it")
      ->group(group);
  app.add_option("--optimizer", optimizer, "adamw (default) or sgd")->group(group);
  app.add_option("--weight-decay", weightDecay, "default: adamw 0.01, sgd 0")->group(group);
  app.add_option("--beta1", numbers.beta1, "adamw's; default 0.9")->group(group);
  app.add_option("--beta2", numbers.beta2, "adamw's; default 0.999")->group(group);
  app.add_option("--epsilon", numbers.epsilon, "adamw's; default 1e-8")->group(group);
  app.add_option("--momentum", numbers.momentum, "sgd's; default 0")->group(group);
  app.add_option("--clip", numbers.clip, "largest global gradient norm; default off")->group(group);
  app.add_option("--accumulate", numbers.accumulate, "batches whose gradients make one update")
      ->group(group);
}

Result<TrainingOptions> TrainingFlags::options() const {
  TrainingOptions options = numbers;
  INGOT_ASSIGN(options.loss, choose("--loss", loss, losses));
  INGOT_ASSIGN(options.optimizer, choose("--optimizer", optimizer, optimizers));
  options.weightDecay = weightDecay;
  INGOT_TRY(requireInside("--beta1", options.beta1 >= 0 && options.beta1 < 1, "in [0, 1)"));
  INGOT_TRY(requireInside("--beta2", options.beta2 >= 0 && options.beta2 < 1, "in [0, 1)"));
  INGOT_TRY(requireInside("--epsilon", options.epsilon > 0, "above 0"));
  INGOT_TRY(requireInside("--momentum", options.momentum >= 0, "0 or more"));
  INGOT_TRY(requireInside("--clip", options.clip >= 0, "0 or more"));
  INGOT_TRY(requireInside("--accumulate", options.accumulate >= 1, "1 or more"));
  INGOT_TRY(requireInside("--weight-decay", options.decay() >= 0, "0 or more"));
  return options;
}

} // namespace ingot
