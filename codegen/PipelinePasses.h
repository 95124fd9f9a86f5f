/// What there is to print after: the names of the pipeline's passes.
#pragma once
#include "passes/Pipeline.h"
#include <string>
#include <vector>

namespace ingot {

/// The names of the passes that lead to a stage, in order, for `CompileOptions::printAfter`. A
/// compilation's last stage is `plan`: what follows runs kernel by kernel.
std::vector<std::string> pipelinePasses(Stage last);

} // namespace ingot
