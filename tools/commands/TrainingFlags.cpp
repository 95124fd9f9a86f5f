#include "tools/commands/TrainingFlags.h"
#include "tools/commands/FieldFlags.h"

namespace ingot {

void TrainingFlags::declare(CLI::App &app) { addFields(app, options, "Training step"); }

std::vector<Circumstance> TrainingFlags::circumstances() const {
  const bool isSgd = options.optimizer == TrainingOptions::Optimizer::Sgd;
  return {isSgd ? Circumstance::Sgd : Circumstance::Adam};
}

} // namespace ingot
