// RUN: %ingot-opt --plan-memory --split-input-file --verify-diagnostics %s

func.func private @k(tensor<4x4xf32>) -> tensor<4x4xf32>
      attributes {graph.kernel = "row", kernel.schedule = #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}
// A kernel that cannot work in place may not overwrite what it reads.
func.func @step(%w: tensor<4x4xf32> {graph.name = "w", graph.role = "parameter", graph.donated = 0 : i64})
    -> tensor<4x4xf32> {
  // expected-error @below {{overwrites memory that is still read: its result 0}}
  %0 = call @k(%w) : (tensor<4x4xf32>) -> tensor<4x4xf32>
  return %0 : tensor<4x4xf32>
}

// -----

func.func private @k(tensor<4x2xf32>) -> tensor<4x2xf32>
      attributes {graph.kernel = "row", kernel.schedule = #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}
func.func @forward(%x: tensor<4x4xf32>) -> tensor<4x2xf32> {
  // expected-error @below {{is not contiguous and must lie inside a kernel}}
  %0 = tensor.extract_slice %x[0, 1] [4, 2] [1, 1] : tensor<4x4xf32> to tensor<4x2xf32>
  %1 = call @k(%0) : (tensor<4x2xf32>) -> tensor<4x2xf32>
  return %1 : tensor<4x2xf32>
}

// -----

func.func @forward(%x: tensor<4xf32>, %y: tensor<4xf32>) -> (tensor<64xf32>, tensor<64xf32>) {
  %0 = graph.bucket %x, %y : tensor<4xf32>, tensor<4xf32> -> tensor<64xf32>
  // expected-error @below {{asks for one tensor at two places; a copy is missing}}
  %1 = graph.bucket %y, %x : tensor<4xf32>, tensor<4xf32> -> tensor<64xf32>
  return %0, %1 : tensor<64xf32>, tensor<64xf32>
}

// -----

func.func @forward(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @below {{cannot be planned: only kernels and views remain at this stage}}
  %0 = graph.neg %x : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

func.func private @k(tensor<4xf32>) -> tensor<4xf32> attributes {graph.kernel = "row"}
func.func @forward(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @below {{cannot be planned: 'k' has no schedule}}
  %0 = call @k(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

func.func @forward(%x: tensor<4xf32>, %n: tensor<i64>) -> tensor<4xf32> {
  // expected-error @below {{cannot be planned: a block of it calls no kernel}}
  %0 = graph.loop %n carry (%x : tensor<4xf32>) : tensor<i64> -> (tensor<4xf32>) {
  ^bb0(%i: tensor<i64>, %v: tensor<4xf32>):
    graph.yield %v : tensor<4xf32>
  }
  return %0 : tensor<4xf32>
}

// -----

func.func private @k(tensor<4xf32>) -> tensor<4xf32>
      attributes {graph.kernel = "row", kernel.schedule = #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}
func.func @forward(%x: tensor<4xf32>, %n: tensor<i64>) -> tensor<4xf32> {
  // expected-error @below {{must begin and end with copies of its own}}
  %0 = graph.loop %n carry (%x : tensor<4xf32>) : tensor<i64> -> (tensor<4xf32>) {
  ^bb0(%i: tensor<i64>, %v: tensor<4xf32>):
    %1 = func.call @k(%v) : (tensor<4xf32>) -> tensor<4xf32>
    graph.yield %1 : tensor<4xf32>
  }
  return %0 : tensor<4xf32>
}
