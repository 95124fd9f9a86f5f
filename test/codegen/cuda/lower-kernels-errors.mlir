// RUN: %ingot-opt %s --lower-kernels=target=cuda:sm_80 --split-input-file --verify-diagnostics

// A schedule of a CPU's.
// expected-error @+1 {{kernel.schedule: a launch of kind "pointwise" has no size 'blocks'}}
func.func private @k(%x: tensor<8xf32>) -> tensor<8xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 8 bytes 64 sizes (chunk = 64, inner = 8, outer = 1, rows = 0, unroll = 1)]>} {
  return %x : tensor<8xf32>
}

// -----

// expected-error @+1 {{kernel.schedule: these nests do not make its results}}
func.func private @k(%x: tensor<8xf32>) -> tensor<8xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 2 flops 8 bytes 64 sizes (blocks = 1, inner = 8, lanes = 4, outer = 1, threads = 256)]>} {
  return %x : tensor<8xf32>
}

// -----

// expected-error @+1 {{kernel.schedule: no GPU has launches of kind "spiral"}}
func.func private @k(%x: tensor<8xf32>) -> tensor<8xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [spiral grains 1 flops 8 bytes 64 sizes (threads = 32)]>} {
  return %x : tensor<8xf32>
}
