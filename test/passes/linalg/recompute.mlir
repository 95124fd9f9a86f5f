// RUN: %ingot-opt %s --recompute | FileCheck %s
// RUN: %ingot-opt %s --recompute="heavy=9 stride=2" | FileCheck %s --check-prefix=HEAVY
// RUN: %ingot-opt %s --recompute="least-bytes=1000000" | FileCheck %s --check-prefix=LEAST
#id = affine_map<(r, c) -> (r, c)>
#sum = affine_map<(r, c) -> ()>

// The activation is computed again from what the layer below gave, once the gradient of the layer
// above is there: its slope and the gradient of the weight read the clone.
// CHECK-LABEL: func.func @gradients(
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<4x8xf32>, %[[V:[a-z0-9]+]]: tensor<32x8xf32>, %[[W:[a-z0-9]+]]: tensor<8x32xf32>
// CHECK: %[[P:.+]] = graph.contract %[[X]], %[[V]]
// CHECK: %[[A:.+]] = linalg.generic {{.*}} ins(%[[P]] :
// CHECK: %[[Y:.+]] = graph.contract %[[A]], %[[W]]
// CHECK: %[[DA:.+]] = graph.contract %{{.+}}, %[[W]] {{.*}} -> tensor<4x32xf32>
// CHECK: %[[LATE:.+]] = graph.after %[[P]], %[[DA]] : tensor<4x32xf32>, tensor<4x32xf32>
// CHECK: %[[AGAIN:.+]] = linalg.generic {{.*}} ins(%[[LATE]] :
// CHECK: math.tanh
// CHECK: graph.contract %{{.+}}, %[[AGAIN]] {{.*}} -> tensor<8x32xf32>
// CHECK: linalg.generic {{.*}} ins(%[[DA]], %[[AGAIN]], %[[LATE]] :

// With contractions, the layer below is computed again too, from the input that is there anyway.
// HEAVY-LABEL: func.func @gradients(
// HEAVY-SAME: %[[X:[a-z0-9]+]]: tensor<4x8xf32>, %[[V:[a-z0-9]+]]: tensor<32x8xf32>
// HEAVY: graph.contract %[[X]], %[[V]]
// HEAVY: %[[P:.+]] = graph.contract %[[X]], %[[V]]
// HEAVY: %[[AGAIN:.+]] = linalg.generic {{.*}} ins(%[[P]] :
// HEAVY: graph.contract %{{.+}}, %[[AGAIN]]

// LEAST-NOT: graph.after
func.func @gradients(%x: tensor<4x8xf32>, %v: tensor<32x8xf32>, %w: tensor<8x32xf32>)
    -> (tensor<f32> {graph.name = "loss"}, tensor<8x32xf32>, tensor<32x8xf32>) {
  %zero = arith.constant dense<0.0> : tensor<f32>
  %e = tensor.empty() : tensor<4x32xf32>
  %e8 = tensor.empty() : tensor<4x8xf32>
  %p = graph.contract %x, %v batch [] x [] over [1] x [1] : tensor<4x8xf32>, tensor<32x8xf32> -> tensor<4x32xf32>
  %a = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%p : tensor<4x32xf32>) outs(%e : tensor<4x32xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.tanh %in : f32
    linalg.yield %0 : f32
  } -> tensor<4x32xf32>
  %y = graph.contract %a, %w batch [] x [] over [1] x [1] : tensor<4x32xf32>, tensor<8x32xf32> -> tensor<4x8xf32>
  %z = graph.contract %y, %y batch [] x [] over [0] x [0] : tensor<4x8xf32>, tensor<4x8xf32> -> tensor<8x8xf32>
  %loss = linalg.generic {indexing_maps = [#id, #sum], iterator_types = ["reduction", "reduction"]}
      ins(%z : tensor<8x8xf32>) outs(%zero : tensor<f32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.addf %in, %out : f32
    linalg.yield %0 : f32
  } -> tensor<f32>
  %dz = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%y : tensor<4x8xf32>) outs(%e8 : tensor<4x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.addf %in, %in : f32
    linalg.yield %0 : f32
  } -> tensor<4x8xf32>
  %h = graph.contract %dz, %dz batch [] x [] over [1] x [1] : tensor<4x8xf32>, tensor<4x8xf32> -> tensor<4x4xf32>
  %dy = graph.contract %h, %dz batch [] x [] over [1] x [0] : tensor<4x4xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
  %da = graph.contract %dy, %w batch [] x [] over [1] x [0] : tensor<4x8xf32>, tensor<8x32xf32> -> tensor<4x32xf32>
  %dw = graph.contract %dy, %a batch [] x [] over [0] x [0] : tensor<4x8xf32>, tensor<4x32xf32> -> tensor<8x32xf32>
  %dp = linalg.generic {indexing_maps = [#id, #id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%da, %a, %p : tensor<4x32xf32>, tensor<4x32xf32>, tensor<4x32xf32>) outs(%e : tensor<4x32xf32>) {
  ^bb0(%in: f32, %t: f32, %q: f32, %out: f32):
    %0 = arith.mulf %t, %q : f32
    %1 = arith.subf %in, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<4x32xf32>
  %dv = graph.contract %dp, %x batch [] x [] over [0] x [0] : tensor<4x32xf32>, tensor<4x8xf32> -> tensor<32x8xf32>
  return %loss, %dw, %dv : tensor<f32>, tensor<8x32xf32>, tensor<32x8xf32>
}
