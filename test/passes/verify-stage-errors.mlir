// RUN: split-file-22 %s %t
// RUN: %ingot-opt %t/graph.mlir -split-input-file -verify-diagnostics -verify-stage=stage=graph
// RUN: %ingot-opt %t/linalg.mlir -split-input-file -verify-diagnostics -verify-stage=stage=linalg
// RUN: %ingot-opt %t/kernels.mlir -split-input-file -verify-diagnostics -verify-stage=stage=kernels
// RUN: %ingot-opt %t/plan.mlir -split-input-file -verify-diagnostics -verify-stage=stage=plan

//--- graph.mlir
func.func @linalg_too_early(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{'tensor.empty' op may not remain at stage graph}}
  %0 = tensor.empty() : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

func.func @bucket_too_early(%x: tensor<4xf32>) -> tensor<32xf32> {
  // expected-error @+1 {{'graph.bucket' op may not remain at stage graph}}
  %0 = graph.bucket %x : tensor<4xf32> -> tensor<32xf32>
  return %0 : tensor<32xf32>
}

// -----

// expected-error @+1 {{is a kernel, but kernels are formed after stage graph}}
func.func private @k(%x: tensor<4xf32>) -> tensor<4xf32> attributes {graph.kernel = "row"} {
  return %x : tensor<4xf32>
}

//--- linalg.mlir
func.func @flags(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{may not carry fastmath<nsz,contract> at stage linalg: contract-arithmetic decides what is fused}}
  %0 = arith.addf %x, %x fastmath<contract,nsz> : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

func.func @elementwise_left(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{'graph.exp' op may not remain at stage linalg}}
  %0 = graph.exp %x : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

func.func @dynamic(%x: tensor<?x4xf32>) -> tensor<?xf32> {
  // expected-error @+1 {{may not use the type 'tensor<?x4xf32>' at stage linalg: shapes are static by then}}
  %0 = tensor.collapse_shape %x [[0, 1]] : tensor<?x4xf32> into tensor<?xf32>
  return %0 : tensor<?xf32>
}

//--- kernels.mlir
func.func @computes(%x: tensor<4x8xf32>, %y: tensor<8x4xf32>) -> tensor<4x4xf32> {
  // expected-error @+1 {{'graph.contract' op may not remain at stage kernels}}
  %0 = graph.contract %x, %y batch [] x [] over [1] x [0] : tensor<4x8xf32>, tensor<8x4xf32> -> tensor<4x4xf32>
  return %0 : tensor<4x4xf32>
}

// -----

func.func private @wrong_root(%x: tensor<4x8xf32>, %y: tensor<8x4xf32>) -> tensor<4x4xf32> attributes {graph.kernel = "row"} {
  // expected-error @+1 {{'graph.contract' op may not be in a kernel of root 'row'}}
  %0 = graph.contract %x, %y batch [] x [] over [1] x [0] : tensor<4x8xf32>, tensor<8x4xf32> -> tensor<4x4xf32>
  return %0 : tensor<4x4xf32>
}

// -----

// expected-error @+1 {{a kernel of root 'contraction' holds one op of that root}}
func.func private @no_root(%x: tensor<4xf32>) -> tensor<4xf32> attributes {graph.kernel = "contraction"} {
  return %x : tensor<4xf32>
}

// -----

// expected-error @+1 {{there is no kernel root 'diagonal'}}
func.func private @unknown_root(%x: tensor<4xf32>) -> tensor<4xf32> attributes {graph.kernel = "diagonal"} {
  return %x : tensor<4xf32>
}

// -----

func.func private @update_left(%x: tensor<4xf32>) -> tensor<4xf32> attributes {graph.kernel = "elementwise"} {
  // expected-error @+1 {{'graph.exp' op may not remain at stage kernels in a kernel}}
  %0 = graph.exp %x : tensor<4xf32>
  return %0 : tensor<4xf32>
}

//--- plan.mlir
func.func @tensors(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{'tensor.expand_shape' op may not remain at stage plan}}
  %0 = tensor.expand_shape %x [[0, 1]] output_shape [2, 2] : tensor<4xf32> into tensor<2x2xf32>
  %1 = tensor.collapse_shape %0 [[0, 1]] : tensor<2x2xf32> into tensor<4xf32>
  return %1 : tensor<4xf32>
}
