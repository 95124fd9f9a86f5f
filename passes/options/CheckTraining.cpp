#include "passes/options/CheckTraining.h"
#include "llvm/Support/Regex.h"
#include <cmath>

namespace ingot {

Status checkTraining(const TrainingOptions &options) {
  auto require = [](bool holds, std::string_view field, double value,
                    std::string_view allowed) -> Status {
    if (holds && std::isfinite(value))
      return {};
    return failure(Error::Code::Usage, std::string(field), "{} is not {}", value, allowed);
  };
  const bool isAdamW = options.optimizer == TrainingOptions::Optimizer::AdamW;
  if (isAdamW) {
    INGOT_TRY(require(options.beta1 >= 0 && options.beta1 < 1, "AdamW::beta1", options.beta1,
                      "from 0 to below 1"));
    INGOT_TRY(require(options.beta2 >= 0 && options.beta2 < 1, "AdamW::beta2", options.beta2,
                      "from 0 to below 1"));
    INGOT_TRY(require(options.epsilon > 0, "AdamW::epsilon", options.epsilon, "a number above 0"));
  } else {
    INGOT_TRY(
        require(options.momentum >= 0, "Sgd::momentum", options.momentum, "a number, 0 or more"));
  }
  INGOT_TRY(require(options.decay() >= 0, isAdamW ? "AdamW::weightDecay" : "Sgd::weightDecay",
                    options.decay(), "a number, 0 or more"));
  INGOT_TRY(
      require(options.clip >= 0, "ModelTrainerOptions::clip", options.clip, "a number, 0 or more"));
  for (const ParameterGroup &group : options.groups) {
    std::string why;
    if (group.pattern.find(';') != std::string::npos)
      why = "a ';' occurs in no parameter's name";
    if (!why.empty() || !llvm::Regex(group.pattern).isValid(why))
      return failure(Error::Code::Usage, "ParameterGroup::pattern",
                     "'{}' is no regular expression: {}", group.pattern, why);
    INGOT_TRY(require(group.rateFactor >= 0, "ParameterGroup::rateFactor", group.rateFactor,
                      "a number, 0 or more"));
    INGOT_TRY(require(group.weightDecay.value_or(0) >= 0, "ParameterGroup::weightDecay",
                      group.weightDecay.value_or(0), "a number, 0 or more"));
  }
  return require(options.accumulate >= 1, "ModelTrainerOptions::accumulate", options.accumulate,
                 "1 or more");
}

} // namespace ingot
