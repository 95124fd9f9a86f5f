#include "tools/commands/TrainingFlags.h"
#include "frontend/api/TrainedParameters.h"
#include "tools/commands/Command.h"
#include "tools/commands/FieldFlags.h"
#include <algorithm>

namespace ingot {

void TrainingFlags::declare(CLI::App &app) {
  constexpr const char *group = "Training step";
  addFields(app, options, group);
  addRepeatable(app, "--train-only", trainOnly,
                "the parameters to train: a regular expression that matches whole names, or "
                "@FILE with a name on each line; may be given several times")
      ->group(group);
  addRepeatable(app, "--freeze", freeze, "parameters to leave as they are, as for --train-only")
      ->group(group);
}

Result<TrainingOptions> TrainingFlags::optionsFor(const Model &model) const {
  TrainingOptions result = options;
  INGOT_ASSIGN(std::optional<ParameterGroup> frozen, frozenGroup(model, trainOnly, freeze));
  // A resumed training has the group already.
  if (frozen && std::ranges::find(result.groups, *frozen) == result.groups.end())
    result.groups.insert(result.groups.begin(), std::move(*frozen));
  return result;
}

std::vector<Circumstance> TrainingFlags::circumstances() const {
  return {Circumstance(int(Circumstance::AdamW) + int(options.optimizer)),
          Circumstance(int(Circumstance::None) + int(options.loss))};
}

} // namespace ingot
