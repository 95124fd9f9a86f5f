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

// -----

func.func @runs_less_than_never(%x: tensor<4xf32>) -> tensor<1x4xf32> {
  %n = graph.constant dense<-1> : tensor<i64>
  // expected-error @+1 {{the trip count -1 is negative}}
  %0 = graph.loop %n : tensor<i64> -> (tensor<1x4xf32>) {
  ^bb0(%i: tensor<i64>):
    graph.yield %x : tensor<4xf32>
  }
  return %0 : tensor<1x4xf32>
}

// -----

func.func @runs_too_often(%x: tensor<4xf32>) -> tensor<4xf32> {
  %n = graph.constant dense<5> : tensor<i64>
  // expected-error @+1 {{the trip count 5 is more than 3}}
  %0 = graph.loop %n at_most 3 carry (%x : tensor<4xf32>) : tensor<i64> -> (tensor<4xf32>) {
  ^bb0(%i: tensor<i64>, %v: tensor<4xf32>):
    graph.yield %v : tensor<4xf32>
  }
  return %0 : tensor<4xf32>
}

// -----

func.func @stacks_more_than_has_room(%x: tensor<4xf32>) -> tensor<3x4xf32> {
  %n = graph.constant dense<5> : tensor<i64>
  // expected-error @+1 {{the trip count 5 is more than 3}}
  %0 = graph.loop %n : tensor<i64> -> (tensor<3x4xf32>) {
  ^bb0(%i: tensor<i64>):
    graph.yield %x : tensor<4xf32>
  }
  return %0 : tensor<3x4xf32>
}

// -----

#map = affine_map<(d0) -> (d0)>
func.func @is_linalg_already(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = graph.exp %x : tensor<4xf32>
  // expected-error @+1 {{is no op of the graph dialect, which is all that graph-to-linalg takes}}
  %1 = tensor.empty() : tensor<4xf32>
  %2 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel"]}
      ins(%0 : tensor<4xf32>) outs(%1 : tensor<4xf32>) {
  ^bb0(%in: f32, %out: f32):
    %3 = arith.addf %in, %in : f32
    linalg.yield %3 : f32
  } -> tensor<4xf32>
  return %2 : tensor<4xf32>
}
