// RUN: %ingot-opt %s -split-input-file -schedule-kernels -lower-kernels -canonicalize -cse | FileCheck %s

// A grain is a few blocks of 128 queries. The keys pass in blocks of 64; scores exist as
// [key, query] in the workspace, whose size does not depend on the sequence.
// CHECK-LABEL: func.func private @forward.0
// CHECK-SAME: %[[Q:[a-z0-9]+]]: memref<2x12x1024x64xf32>
// Queries are transposed once:
// CHECK-COUNT-64: vector.shuffle
// CHECK-NOT: vector.shuffle
// Blocks of keys; scores by fused multiply-adds:
// CHECK: scf.for {{.*}} step %c64{{ }}
// CHECK: vector.fma
// The running maximum goes down the keys, those of the diagonal with the causal mask:
// CHECK-NOT: vector.create_mask
// CHECK: arith.cmpf ogt
// CHECK: vector.create_mask
// CHECK: arith.cmpf ogt
// Then probabilities and their sum, likewise:
// CHECK-NOT: vector.create_mask
// CHECK: math.exp
// CHECK: vector.create_mask
// CHECK: arith.select
// The old sums fade by exp(old maximum - new maximum):
// CHECK: math.exp
// CHECK: vector.fma
// CHECK: math.log
// CHECK: return
// CHECK: grains 96 flops
func.func private @forward(%q: tensor<2x12x1024x64xf32>, %k: tensor<2x12x1024x64xf32>, %v: tensor<2x12x1024x64xf32>)
    -> (tensor<2x12x1024x64xf32>, tensor<2x12x1024xf32>) attributes {graph.kernel = "attention"} {
  %o, %l = graph.attention %q, %k, %v scale 1.25e-01 causal true : tensor<2x12x1024x64xf32>, tensor<2x12x1024x64xf32>, tensor<2x12x1024x64xf32> -> tensor<2x12x1024x64xf32>, tensor<2x12x1024xf32>
  return %o, %l : tensor<2x12x1024x64xf32>, tensor<2x12x1024xf32>
}

// -----

// Backward: a grain is whole heads, and five products make a block: scores, their gradients, and
// what they add to the gradients of values, keys and queries.
// CHECK-LABEL: func.func private @backward.0
// CHECK: vector.fma
// Of keys that all queries see, then of those at the diagonal:
// CHECK: math.exp
// CHECK: math.exp
// CHECK: vector.create_mask
// CHECK-NOT: math.exp
// CHECK: return
// CHECK: grains 24 flops
func.func private @backward(%q: tensor<2x12x256x64xf32>, %k: tensor<2x12x256x64xf32>, %v: tensor<2x12x256x64xf32>,
                            %o: tensor<2x12x256x64xf32>, %l: tensor<2x12x256xf32>, %g: tensor<2x12x256x64xf32>)
    -> (tensor<2x12x256x64xf32>, tensor<2x12x256x64xf32>, tensor<2x12x256x64xf32>) attributes {graph.kernel = "attention_backward"} {
  %dq, %dk, %dv = graph.attention_backward %q, %k, %v, %o, %l, %g scale 1.25e-01 causal true : tensor<2x12x256x64xf32>, tensor<2x12x256x64xf32>, tensor<2x12x256x64xf32>, tensor<2x12x256x64xf32>, tensor<2x12x256xf32>, tensor<2x12x256x64xf32> -> tensor<2x12x256x64xf32>, tensor<2x12x256x64xf32>, tensor<2x12x256x64xf32>
  return %dq, %dk, %dv : tensor<2x12x256x64xf32>, tensor<2x12x256x64xf32>, tensor<2x12x256x64xf32>
}

// -----

// A mask that is the same for all queries takes a line of keys beside the scores, not a block of them.
// CHECK-LABEL: func.func private @masked.0
// CHECK: memref.view {{.*}} to memref<64xf32>
func.func private @masked(%q: tensor<1x2x64x64xf32>, %k: tensor<1x2x48x64xf32>, %v: tensor<1x2x48x64xf32>, %m: tensor<1x1x1x48xf32>)
    -> (tensor<1x2x64x64xf32>, tensor<1x2x64xf32>) attributes {graph.kernel = "attention"} {
  %o, %l = graph.attention %q, %k, %v mask %m scale 1.25e-01 causal false : tensor<1x2x64x64xf32>, tensor<1x2x48x64xf32>, tensor<1x2x48x64xf32>, tensor<1x1x1x48xf32> -> tensor<1x2x64x64xf32>, tensor<1x2x64xf32>
  return %o, %l : tensor<1x2x64x64xf32>, tensor<1x2x64xf32>
}
