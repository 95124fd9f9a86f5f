// RUN: %ingot-opt %s --schedule-kernels=target=cuda:sm_80 --split-input-file --verify-diagnostics

// A row of each of three matrices, and more, in shared memory.
// expected-error @+1 {{needs 162560 bytes of shared memory in a block, and cuda:sm_80 has 101376}}
func.func private @k(%q: tensor<1x1x8x1000xf32>, %k: tensor<1x1x8x1000xf32>, %v: tensor<1x1x8x1000xf32>)
    -> (tensor<1x1x8x1000xf32>, tensor<1x1x8xf32>) attributes {graph.kernel = "attention"} {
  %o, %l = graph.attention %q, %k, %v scale 1.25e-01 causal true : tensor<1x1x8x1000xf32>, tensor<1x1x8x1000xf32>, tensor<1x1x8x1000xf32> -> tensor<1x1x8x1000xf32>, tensor<1x1x8xf32>
  return %o, %l : tensor<1x1x8x1000xf32>, tensor<1x1x8xf32>
}

// -----

// expected-error @+1 {{a kernel of this root holds one graph.attention, this one 0}}
func.func private @k(%q: tensor<1x1x8x16xf32>) -> tensor<1x1x8x16xf32> attributes {graph.kernel = "attention"} {
  return %q : tensor<1x1x8x16xf32>
}
