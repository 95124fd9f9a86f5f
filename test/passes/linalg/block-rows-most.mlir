// RUN: %ingot-opt %s --block-rows=limit=1 | FileCheck %s

// A limit that one row alone exceeds: 64 blocks are what compiling is worth, here of ten rows each.
// CHECK-LABEL: func.func @loss(
// CHECK-COUNT-64: graph.contract {{.*}} -> tensor<10x4xf32>
// CHECK-NOT: graph.contract
func.func @loss(%x: tensor<640x4xf32>, %w: tensor<4x4xf32>) -> tensor<640xf32> {
  %zero = arith.constant dense<0.0> : tensor<640xf32>
  %y = graph.contract %x, %w batch [] x [] over [1] x [1] : tensor<640x4xf32>, tensor<4x4xf32> -> tensor<640x4xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (r)>], iterator_types = ["parallel", "reduction"]}
      ins(%y : tensor<640x4xf32>) outs(%zero : tensor<640xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.addf %in, %out : f32
    linalg.yield %0 : f32
  } -> tensor<640xf32>
  return %s : tensor<640xf32>
}
