// RUN: not %ingot-opt %s --add-optimizer="beta1=1.5" --split-input-file 2>&1 | FileCheck %s --check-prefix=BETA
// RUN: not %ingot-opt %s --add-optimizer="clip=-1" --split-input-file 2>&1 | FileCheck %s --check-prefix=CLIP
// RUN: not %ingot-opt %s --add-optimizer="optimizer=sdg" --split-input-file 2>&1 | FileCheck %s --check-prefix=NAME
// RUN: not %ingot-opt %s --add-optimizer="accumulate=0" --split-input-file 2>&1 | FileCheck %s --check-prefix=ZERO
// RUN: not %ingot-opt %s --add-optimizer="accumulate=2000000000" --split-input-file 2>&1 | FileCheck %s --check-prefix=MANY
// RUN: not %ingot-opt %s --add-optimizer="accumulate=2" --split-input-file 2>&1 | FileCheck %s

// CHECK: [[@LINE+7]]:5: error: 'x' has no batch dimension to split into micro-batches
// NAME: [[@LINE+4]]:1: error: there is no optimizer 'sdg'
// BETA: [[@LINE+3]]:1: error: beta1 must be in [0, 1), but is 1.5
// CLIP: [[@LINE+2]]:1: error: clip must not be negative, but is -1
// ZERO: [[@LINE+1]]:1: error: accumulate must be at least 1, but is 0
func.func @gradients(
    %w: tensor<f32> {graph.name = "w", graph.role = "parameter"},
    %x: tensor<f32> {graph.name = "x", graph.role = "input"})
    -> (tensor<f32> {graph.name = "loss"}, tensor<f32> {graph.name = "gradient.w"}) {
  %loss = graph.mul %w, %x : tensor<f32>
  return %loss, %x : tensor<f32>, tensor<f32>
}

// -----

// MANY: [[@LINE+1]]:1: error: accumulate: 2000000000 micro-batches of 2 rows are more than 2147483647 rows
func.func @gradients(
    %w: tensor<2xf32> {graph.name = "w", graph.role = "parameter"},
    %x: tensor<2xf32> {graph.name = "x", graph.role = "input"})
    -> (tensor<f32> {graph.name = "loss"}, tensor<2xf32> {graph.name = "gradient.w"}) {
  %y = graph.mul %w, %x : tensor<2xf32>
  %loss = graph.reduce sum %y [0] : tensor<2xf32> -> tensor<f32>
  return %loss, %x : tensor<f32>, tensor<2xf32>
}

// -----

// CHECK: error: the module has no function @gradients; the pass differentiate makes it
func.func @evaluate() { return }

// -----

// CHECK: [[@LINE+1]]:1: error: @gradients returns no gradients
func.func @gradients(%w: tensor<f32> {graph.name = "w", graph.role = "parameter"})
    -> (tensor<f32> {graph.name = "loss"}) {
  return %w : tensor<f32>
}
