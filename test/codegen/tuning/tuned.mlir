// RUN: %ingot-opt %s -split-input-file -lower-kernels -canonicalize -cse -verify-diagnostics | FileCheck %s

// Sizes that were chosen go before those that are derived; those that were taken are written down.
// CHECK-LABEL: func.func private @derived
// CHECK-SAME: graph.blocks = "tile_rows=8 tile_columns=48 depth=128 rows=256 columns=48 pack_lhs=0 pack_rhs=1"
// CHECK-NOT: graph.tuned
// CHECK: scf.for {{.*}} step %c48
// CHECK: %[[SUMS:.*]]:24 = scf.for
func.func private @derived(%x: tensor<256x768xf32>, %w: tensor<3072x768xf32>) -> tensor<256x3072xf32>
    attributes {graph.kernel = "contraction"} {
  %0 = graph.contract %x, %w batch [] x [] over [1] x [1] : tensor<256x768xf32>, tensor<3072x768xf32> -> tensor<256x3072xf32>
  return %0 : tensor<256x3072xf32>
}

// -----

// CHECK-LABEL: func.func private @tuned
// CHECK-SAME: graph.blocks = "tile_rows=5 tile_columns=64 depth=384 rows=130 columns=128 pack_lhs=1 pack_rhs=1"
// CHECK-SAME: graph.tuned = "tile_rows=5 tile_columns=64 depth=384 rows=128 pack_lhs=1 pack_rhs=0"
// CHECK: scf.for {{.*}} step %c64
// CHECK: scf.for {{.*}} step %c384
// CHECK: %[[SUMS:.*]]:20 = scf.for
func.func private @tuned(%x: tensor<256x768xf32>, %w: tensor<3072x768xf32>) -> tensor<256x3072xf32>
    attributes {graph.kernel = "contraction", graph.tuned = "tile_rows=5 tile_columns=64 depth=384 rows=128 pack_lhs=1 pack_rhs=0"} {
  %0 = graph.contract %x, %w batch [] x [] over [1] x [1] : tensor<256x768xf32>, tensor<3072x768xf32> -> tensor<256x3072xf32>
  return %0 : tensor<256x3072xf32>
}

// -----

// expected-error@+1 {{graph.tuned: no block has a size 'height'}}
func.func private @unknown(%x: tensor<8x8xf32>) -> tensor<8x8xf32>
    attributes {graph.kernel = "contraction", graph.tuned = "height=3"} {
  %0 = graph.contract %x, %x batch [] x [] over [1] x [0] : tensor<8x8xf32>, tensor<8x8xf32> -> tensor<8x8xf32>
  return %0 : tensor<8x8xf32>
}
