/// Every pass of the pipeline: see Passes.td for what each does, Pipeline.cpp for their order.
#pragma once
#include "ir/Graph.h"
#include "mlir/Pass/Pass.h"

namespace ingot {

#define GEN_PASS_DECL
#include "passes/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

} // namespace ingot
