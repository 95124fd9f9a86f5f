// RUN: %ingot-opt %s -split-input-file -graph-to-linalg -contract-arithmetic -mlir-print-local-scope | FileCheck %s

// A product that one sum alone needs is fused into it, across ops; no flag is left.
// CHECK-LABEL: func.func @across
// CHECK-NOT: arith.mulf
// CHECK: linalg.generic {{.*}}affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>{{.*}} ins(%arg0, %arg1, %arg2
// CHECK: ^bb0(%[[X:.*]]: f32, %[[S:.*]]: f32, %[[Z:.*]]: f32,
// CHECK: math.fma %[[X]], %[[S]], %[[Z]] : f32
// CHECK-NOT: fastmath
func.func @across(%x: tensor<4x8xf32>, %s: tensor<8xf32>, %z: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = graph.broadcast %s [1] : tensor<8xf32> -> tensor<4x8xf32>
  %1 = graph.mul %x, %0 : tensor<4x8xf32>
  %2 = graph.add %1, %z : tensor<4x8xf32>
  return %2 : tensor<4x8xf32>
}

// -----

// Differences negate what is subtracted.
// CHECK-LABEL: func.func @differences
// CHECK: ^bb0(%[[X:.*]]: f32, %[[Y:.*]]: f32, %[[Z:.*]]: f32,
// CHECK: %[[N:.*]] = arith.negf %[[Z]] : f32
// CHECK: math.fma %[[X]], %[[Y]], %[[N]] : f32
// CHECK: ^bb0(%[[Z:.*]]: f32, %[[X:.*]]: f32, %[[Y:.*]]: f32,
// CHECK: %[[N:.*]] = arith.negf %[[X]] : f32
// CHECK: math.fma %[[N]], %[[Y]], %[[Z]] : f32
func.func @differences(%y: tensor<8xf32>, %z: tensor<8xf32>, %a: tensor<8xf32>, %b: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
  %0 = graph.mul %y, %a : tensor<8xf32>
  %1 = graph.sub %0, %z : tensor<8xf32>
  %2 = graph.mul %a, %b : tensor<8xf32>
  %3 = graph.sub %z, %2 : tensor<8xf32>
  return %1, %3 : tensor<8xf32>, tensor<8xf32>
}

// -----

// Of two products the left one; the other keeps its own rounding.
// CHECK-LABEL: func.func @two
// CHECK: arith.mulf
// CHECK: linalg.generic
// CHECK: math.fma
// CHECK-NOT: math.fma
func.func @two(%a: tensor<8xf32>, %b: tensor<8xf32>, %c: tensor<8xf32>) -> tensor<8xf32> {
  %0 = graph.mul %a, %b : tensor<8xf32>
  %1 = graph.mul %b, %c : tensor<8xf32>
  %2 = graph.add %0, %1 : tensor<8xf32>
  return %2 : tensor<8xf32>
}

// -----

// A product with two uses rounds once for both; equal products are one.
// CHECK-LABEL: func.func @used_twice
// CHECK: arith.mulf
// CHECK-NOT: arith.mulf
// CHECK: arith.addf
// CHECK-NOT: math.fma
func.func @used_twice(%a: tensor<8xf32>, %b: tensor<8xf32>, %c: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
  %0 = graph.mul %a, %b : tensor<8xf32>
  %1 = graph.mul %a, %b : tensor<8xf32>
  %2 = graph.add %0, %c : tensor<8xf32>
  return %1, %2 : tensor<8xf32>, tensor<8xf32>
}

// -----

// A product of one value a row stays one product a row.
// CHECK-LABEL: func.func @of_rows
// CHECK: ins(%arg0, %arg1 : tensor<4xf32>, tensor<4xf32>)
// CHECK: arith.mulf
// CHECK: arith.addf
// CHECK-NOT: math.fma
func.func @of_rows(%a: tensor<4xf32>, %b: tensor<4xf32>, %c: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = graph.mul %a, %b : tensor<4xf32>
  %1 = graph.broadcast %0 [0] : tensor<4xf32> -> tensor<4x8xf32>
  %2 = graph.add %1, %c : tensor<4x8xf32>
  return %2 : tensor<4x8xf32>
}

// -----

// What is rounded to bf16 on the way is no product.
// CHECK-LABEL: func.func @narrow
// CHECK: arith.mulf
// CHECK: arith.truncf
// CHECK: arith.addf
// CHECK-NOT: math.fma
func.func @narrow(%a: tensor<8xbf16>, %b: tensor<8xbf16>, %c: tensor<8xbf16>) -> tensor<8xbf16> {
  %0 = graph.mul %a, %b : tensor<8xbf16>
  %1 = graph.add %0, %c : tensor<8xbf16>
  return %1 : tensor<8xbf16>
}

// -----

// Sums over products take them in as they come.
// CHECK-LABEL: func.func @squares
// CHECK: iterator_types = ["parallel", "reduction"]
// CHECK: ^bb0(%[[X:.*]]: f32, %[[Y:.*]]: f32, %[[SUM:.*]]: f32):
// CHECK-NEXT: math.fma %[[X]], %[[Y]], %[[SUM]] : f32
func.func @squares(%x: tensor<4x8xf32>, %y: tensor<4x8xf32>) -> tensor<4xf32> {
  %0 = graph.mul %x, %y : tensor<4x8xf32>
  %1 = graph.reduce sum %0 [1] : tensor<4x8xf32> -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// -----

// One reciprocal a row, shared by what divides by the row's value; a maximum keeps nsz.
// CHECK-LABEL: func.func @quotients
// CHECK: linalg.generic {{.*}} ins(%arg1 : tensor<4xf32>)
// CHECK: arith.divf %{{.*}}, %{{.*}} : f32
// CHECK-NOT: arith.divf
// CHECK: arith.maximumf {{.*}} fastmath<nsz>
func.func @quotients(%x: tensor<4x8xf32>, %s: tensor<4xf32>, %z: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %0 = graph.broadcast %s [0] : tensor<4xf32> -> tensor<4x8xf32>
  %1 = graph.div %x, %0 : tensor<4x8xf32>
  %2 = graph.div %z, %0 : tensor<4x8xf32>
  %3 = graph.maximum %2, %x : tensor<4x8xf32>
  return %1, %3 : tensor<4x8xf32>, tensor<4x8xf32>
}

// -----

// Of bf16 the reciprocal is f32; quotients of a value a point each stay.
// CHECK-LABEL: func.func @quotients_kept
// CHECK: linalg.generic {{.*}} ins(%arg1 : tensor<4xbf16>)
// CHECK: %[[WIDE:.*]] = arith.extf
// CHECK: arith.divf %{{.*}}, %[[WIDE]] : f32
// CHECK: -> tensor<4xf32>
// CHECK: arith.mulf
// CHECK: arith.divf
func.func @quotients_kept(%x: tensor<4x8xbf16>, %s: tensor<4xbf16>, %y: tensor<4x8xbf16>) -> tensor<4x8xbf16> {
  %0 = graph.broadcast %s [0] : tensor<4xbf16> -> tensor<4x8xbf16>
  %1 = graph.div %x, %0 : tensor<4x8xbf16>
  %2 = graph.div %1, %y : tensor<4x8xbf16>
  return %2 : tensor<4x8xbf16>
}

// -----

// Constants: 1/3 is rounded here; 1/1e-39 would overflow.
// CHECK-LABEL: func.func @constants
// CHECK: arith.constant 0.333333343 : f32
// CHECK: arith.mulf
// CHECK: arith.divf
func.func @constants(%x: tensor<8xf32>) -> tensor<8xf32> {
  %three = graph.constant dense<3.0> : tensor<8xf32>
  %tiny = graph.constant dense<1.0e-39> : tensor<8xf32>
  %0 = graph.div %x, %three : tensor<8xf32>
  %1 = graph.div %0, %tiny : tensor<8xf32>
  return %1 : tensor<8xf32>
}

// -----

// The sum orders its loops differently from its product: they are fused all the same, and no
// tensor of products is left.
// CHECK-LABEL: func.func @of_windows
// CHECK: %[[SUM:.*]] = linalg.generic
// CHECK-SAME: iterator_types = ["parallel", "parallel", "reduction"]
// CHECK-NOT: arith.mulf
// CHECK: math.fma
// CHECK: -> tensor<4x3xf32>
func.func @of_windows(%x: tensor<4x10xf32>, %dy: tensor<4x8xf32>) -> tensor<4x3xf32> {
  %w = graph.window %x dimensions [1] sizes [3] strides [1] dilations [1] : tensor<4x10xf32> -> tensor<4x8x3xf32>
  %b = graph.broadcast %dy [0, 1] : tensor<4x8xf32> -> tensor<4x8x3xf32>
  %p = graph.mul %w, %b : tensor<4x8x3xf32>
  %s = graph.reduce sum %p [1] : tensor<4x8x3xf32> -> tensor<4x3xf32>
  return %s : tensor<4x3xf32>
}
