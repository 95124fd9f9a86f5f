/// StableHLO's text as a model: what `jax.jit(f).lower(…).as_text()` prints.
#pragma once
#include "frontend/api/Model.h"

namespace ingot::stablehlo {

bool isStablehlo(std::string_view text);

/// Arguments of @main are inputs, called as their locations say, else `arg0`, `arg1`, …; float
/// constants of one dimension or more in @main are parameters `constant0`, … with the file's
/// values. All ops that cannot be imported are one error.
Result<Model> parseModel(std::string_view text, const std::string &place);

} // namespace ingot::stablehlo
