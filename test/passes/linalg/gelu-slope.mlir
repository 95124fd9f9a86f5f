// RUN: %ingot-opt %s --differentiate --graph-to-linalg --canonicalize --cse --split-input-file | FileCheck %s

// GELU and its slope have the same tangent (or error function): what computes both has it once.
// CHECK-LABEL: func.func @gradients(
// CHECK: math.tanh
// CHECK-NOT: math.tanh
func.func @evaluate(%x: tensor<4x8xf32> {graph.name = "x", graph.role = "parameter"},
    %dy: tensor<4x8xf32> {graph.name = "dy", graph.role = "input"}) -> (tensor<f32> {graph.name = "loss"}) {
  %y = graph.formula "gelu_tanh"(%x) [] : tensor<4x8xf32>
  %p = graph.mul %y, %dy : tensor<4x8xf32>
  %l = graph.reduce sum %p [0, 1] : tensor<4x8xf32> -> tensor<f32>
  return %l : tensor<f32>
}

// -----

// CHECK-LABEL: func.func @gradients(
// CHECK: math.erf
// CHECK-NOT: math.erf
func.func @evaluate(%x: tensor<4x8xf32> {graph.name = "x", graph.role = "parameter"},
    %dy: tensor<4x8xf32> {graph.name = "dy", graph.role = "input"}) -> (tensor<f32> {graph.name = "loss"}) {
  %y = graph.formula "gelu"(%x) [] : tensor<4x8xf32>
  %p = graph.mul %y, %dy : tensor<4x8xf32>
  %l = graph.reduce sum %p [0, 1] : tensor<4x8xf32> -> tensor<f32>
  return %l : tensor<f32>
}
