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
