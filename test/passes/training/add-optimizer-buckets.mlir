// RUN: %ingot-opt %s --add-optimizer=optimizer=sgd | FileCheck %s
// The biases of large layers share one bucket; each weight is updated as soon as its gradient is there.
// CHECK: %[[G1:.+]] = graph.contract {{.*}} -> tensor<512x512xf32>
// CHECK: graph.update(%{{[a-z0-9]+}}) gradients(%[[G1]])
// CHECK: %[[G0:.+]] = graph.contract {{.*}} -> tensor<512x512xf32>
// CHECK: graph.update(%{{[a-z0-9]+}}) gradients(%[[G0]])
// CHECK: graph.update(%{{[a-z0-9]+}}, %{{[a-z0-9]+}}) gradients(%{{[a-z0-9]+}}, %{{[a-z0-9]+}})
func.func @gradients(
    %w0: tensor<512x512xf32> {graph.name = "h.0.w", graph.role = "parameter"},
    %b0: tensor<512xf32> {graph.name = "h.0.b", graph.role = "parameter"},
    %w1: tensor<512x512xf32> {graph.name = "h.1.w", graph.role = "parameter"},
    %b1: tensor<512xf32> {graph.name = "h.1.b", graph.role = "parameter"},
    %x: tensor<4x512xf32> {graph.name = "x", graph.role = "input"})
    -> (tensor<f32> {graph.name = "loss"}, tensor<512x512xf32> {graph.name = "gradient.h.0.w"},
        tensor<512xf32> {graph.name = "gradient.h.0.b"}, tensor<512x512xf32> {graph.name = "gradient.h.1.w"},
        tensor<512xf32> {graph.name = "gradient.h.1.b"}) {
  %h = graph.linear %x, %w0, %b0 : tensor<4x512xf32>, tensor<512x512xf32>, tensor<512xf32> -> tensor<4x512xf32>
  %y = graph.linear %h, %w1, %b1 : tensor<4x512xf32>, tensor<512x512xf32>, tensor<512xf32> -> tensor<4x512xf32>
  %loss = graph.reduce sum %y [0, 1] : tensor<4x512xf32> -> tensor<f32>
  %dy = graph.constant dense<1.0> : tensor<4x512xf32>
  %dw1 = graph.contract %dy, %h batch [] x [] over [0] x [0] : tensor<4x512xf32>, tensor<4x512xf32> -> tensor<512x512xf32>
  %db1 = graph.reduce sum %dy [0] : tensor<4x512xf32> -> tensor<512xf32>
  %dh = graph.contract %dy, %w1 batch [] x [] over [1] x [0] : tensor<4x512xf32>, tensor<512x512xf32> -> tensor<4x512xf32>
  %dw0 = graph.contract %dh, %x batch [] x [] over [0] x [0] : tensor<4x512xf32>, tensor<4x512xf32> -> tensor<512x512xf32>
  %db0 = graph.reduce sum %dh [0] : tensor<4x512xf32> -> tensor<512xf32>
  return %loss, %dw0, %db0, %dw1, %db1 : tensor<f32>, tensor<512x512xf32>, tensor<512xf32>, tensor<512x512xf32>, tensor<512xf32>
}
