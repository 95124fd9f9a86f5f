//===- Passes.td - every pass of the pipeline, in pipeline order ---------------------------------===//
#ifndef INGOT_PASSES
#define INGOT_PASSES

include "mlir/Pass/PassBase.td"

#endif
