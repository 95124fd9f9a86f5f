// RUN: %ingot-opt %s -split-input-file -verify-diagnostics -graph-to-linalg

func.func @dynamic(%x: tensor<?xf32>) -> tensor<?xf32> {
  // expected-error @+1 {{has the type 'tensor<?xf32>', but only tensors of static shape can be compiled}}
  %0 = graph.exp %x : tensor<?xf32>
  return %0 : tensor<?xf32>
}

// -----

func.func @stacks_as_many_as_run(%n: tensor<i64>, %x: tensor<4xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{has the type 'tensor<?x4xf32>', but only tensors of static shape can be compiled}}
  %0 = graph.loop %n : tensor<i64> -> (tensor<?x4xf32>) {
  ^bb0(%i: tensor<i64>):
    graph.yield %x : tensor<4xf32>
  }
  return %0 : tensor<?x4xf32>
}
