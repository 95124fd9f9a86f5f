// RUN: %ingot-opt %s -split-input-file -schedule-kernels -lower-kernels -canonicalize -cse -verify-diagnostics | FileCheck %s

// Sizes that were chosen go before those that are derived; those that were taken are in the schedule.
// CHECK-LABEL: func.func private @derived.0
// CHECK: %[[SUMS:.*]]:24 = scf.for {{.*}} to %c768
// CHECK: columns = 48, depth = 768, dot_products = 0, pack_ahead = 1, pack_lhs = 0, pack_rhs = 1, {{.*}}rows = 256, {{.*}}tile_columns = 48, tile_rows = 8,
func.func private @derived(%x: tensor<256x768xf32>, %w: tensor<3072x768xf32>) -> tensor<256x3072xf32>
    attributes {graph.kernel = "contraction"} {
  %0 = graph.contract %x, %w batch [] x [] over [1] x [1] : tensor<256x768xf32>, tensor<3072x768xf32> -> tensor<256x3072xf32>
  return %0 : tensor<256x3072xf32>
}

// -----

// CHECK-LABEL: func.func private @tuned.0
// CHECK: scf.for {{.*}} to %c768 step %c384
// CHECK: scf.for {{.*}} step %c5
// CHECK: %[[SUMS:.*]]:20 = scf.for
// CHECK: graph.tuned = "tile_rows=5 tile_columns=64 depth=384 rows=128 pack_lhs=1 pack_rhs=0"
// CHECK-SAME: columns = 128, depth = 384, dot_products = 0, pack_ahead = 1, pack_lhs = 1, pack_rhs = 1, {{.*}}rows = 130, {{.*}}tile_columns = 64, tile_rows = 5,
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
