/// Which parameters of a model a training changes.
#pragma once
#include "frontend/api/Model.h"

namespace ingot {

/// A group that freezes what is not to be trained: parameters that no pattern of `trainOnly` takes
/// (unless there are none), and those that one of `freeze` takes. Patterns are extended regular
/// expressions that match whole names, or `@FILE` with a name on each line. Nothing where all are
/// trained. Usage errors: a pattern or name that takes no parameter.
Result<std::optional<ParameterGroup>> frozenGroup(const Model &model,
                                                  const std::vector<std::string> &trainOnly,
                                                  const std::vector<std::string> &freeze);

} // namespace ingot
