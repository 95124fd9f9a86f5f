// RUN: %ingot-opt %s --schedule-kernels --split-input-file --verify-diagnostics

// expected-error @+1 {{no CPU runs kernels of root 'fourier'}}
func.func private @unknown(%x: tensor<4xf32>) -> tensor<4xf32> attributes {graph.kernel = "fourier"} {
  return %x : tensor<4xf32>
}

// -----

// expected-error @+1 {{a kernel takes and returns tensors of static shape alone}}
func.func private @dynamic(%x: tensor<?xf32>) -> tensor<?xf32> attributes {graph.kernel = "elementwise"} {
  return %x : tensor<?xf32>
}

// -----

// expected-error @+1 {{a scatter kernel returns one scatter_add}}
func.func private @scatter(%x: tensor<4xf32>) -> tensor<4xf32> attributes {graph.kernel = "scatter"} {
  return %x : tensor<4xf32>
}

// -----

func.func private @foreign(%x: tensor<4x4xf32>) -> tensor<4x4xf32> attributes {graph.kernel = "elementwise"} {
  // expected-error @+1 {{'graph.softmax' has no value at a point of a kernel}}
  %0 = graph.softmax %x dimension 1 : tensor<4x4xf32>
  return %0 : tensor<4x4xf32>
}

// -----

func.func private @unpacked(%x: tensor<64x33xf32>, %w: tensor<1008xf32>) -> tensor<64x20xf32> attributes {graph.kernel = "contraction"} {
  // expected-error @+1 {{is not packed as the contraction reads it}}
  %0 = kernel.unpack %w <tensor<20x33xf32>, matrices = 1, rows = 33, depth = 20, depth_last = false> : tensor<1008xf32> -> tensor<20x33xf32>
  %1 = graph.contract %x, %0 batch [] x [] over [1] x [1] : tensor<64x33xf32>, tensor<20x33xf32> -> tensor<64x20xf32>
  return %1 : tensor<64x20xf32>
}
