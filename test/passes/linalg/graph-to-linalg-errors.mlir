// RUN: %ingot-opt %s -split-input-file -verify-diagnostics -graph-to-linalg

func.func @dynamic(%x: tensor<?xf32>) -> tensor<?xf32> {
  // expected-error @+1 {{has the type 'tensor<?xf32>', but only tensors of static shape can be compiled}}
  %0 = graph.exp %x : tensor<?xf32>
  return %0 : tensor<?xf32>
}

// -----

func.func @condition(%c: tensor<i1>, %x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{control flow cannot be compiled yet; only its reference can run it}}
  %0 = graph.if %c : tensor<i1> -> (tensor<4xf32>) {
    graph.yield %x : tensor<4xf32>
  } else {
    graph.yield %x : tensor<4xf32>
  }
  return %0 : tensor<4xf32>
}
