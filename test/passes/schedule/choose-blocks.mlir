// RUN: %ingot-opt %s -choose-blocks="choices='a:tile_rows=14 tile_columns=32,absent:depth=64,entry:depth=64'" | FileCheck %s

// Kernels hear their sizes by name; what is no kernel of the module is passed over.
// CHECK-LABEL: func.func @entry
// CHECK-NOT: graph.tuned
// CHECK: func.func private @a
// CHECK-SAME: graph.tuned = "tile_rows=14 tile_columns=32"
// CHECK: func.func private @b
// CHECK-NOT: graph.tuned
func.func @entry(%x: tensor<8x8xf32>) -> tensor<8x8xf32> {
  %0 = call @a(%x) : (tensor<8x8xf32>) -> tensor<8x8xf32>
  %1 = call @b(%0) : (tensor<8x8xf32>) -> tensor<8x8xf32>
  return %1 : tensor<8x8xf32>
}
func.func private @a(%x: tensor<8x8xf32>) -> tensor<8x8xf32> attributes {graph.kernel = "contraction"} {
  %0 = graph.contract %x, %x batch [] x [] over [1] x [0] : tensor<8x8xf32>, tensor<8x8xf32> -> tensor<8x8xf32>
  return %0 : tensor<8x8xf32>
}
func.func private @b(%x: tensor<8x8xf32>) -> tensor<8x8xf32> attributes {graph.kernel = "contraction"} {
  %0 = graph.contract %x, %x batch [] x [] over [0] x [0] : tensor<8x8xf32>, tensor<8x8xf32> -> tensor<8x8xf32>
  return %0 : tensor<8x8xf32>
}
