// RUN: %ingot-opt --plan-memory %s | FileCheck %s
// A call with a large result waits for its first reader if what it reads is smaller; if that is larger,
// it stays.
module {
  func.func private @large(tensor<16xf32>) -> tensor<1024xf32>
      attributes {graph.kernel = "elementwise", kernel.schedule = #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}
  func.func private @work(tensor<16xf32>) -> tensor<1024xf32>
      attributes {graph.kernel = "elementwise", kernel.schedule = #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}
  func.func private @small(tensor<1024xf32>) -> tensor<16xf32>
      attributes {graph.kernel = "elementwise", kernel.schedule = #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}
  func.func private @same(tensor<1024xf32>) -> tensor<1024xf32>
      attributes {graph.kernel = "elementwise", kernel.schedule = #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}
  func.func private @both(tensor<1024xf32>, tensor<16xf32>) -> tensor<f32>
      attributes {graph.kernel = "elementwise", kernel.schedule = #kernel.schedule<arguments = [read, read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}
  // CHECK-LABEL: func.func @waits(%{{.*}}: memref<4224xi8>
  // CHECK: kernel.call @work
  // CHECK: kernel.call @small
  // CHECK: kernel.call @large
  // CHECK: kernel.call @both
  func.func @waits(%x: tensor<16xf32> {graph.name = "x"}) -> (tensor<f32> {graph.name = "y"}) {
    %l = call @large(%x) : (tensor<16xf32>) -> tensor<1024xf32>
    %w = call @work(%x) : (tensor<16xf32>) -> tensor<1024xf32>
    %s = call @small(%w) : (tensor<1024xf32>) -> tensor<16xf32>
    %y = call @both(%l, %s) : (tensor<1024xf32>, tensor<16xf32>) -> tensor<f32>
    return %y : tensor<f32>
  }
  // CHECK-LABEL: func.func @stays(
  // CHECK: kernel.call @large
  // CHECK: kernel.call @same
  // CHECK: kernel.call @work
  func.func @stays(%x: tensor<16xf32> {graph.name = "x"}) -> (tensor<f32> {graph.name = "y"}) {
    %0 = call @large(%x) : (tensor<16xf32>) -> tensor<1024xf32>
    %l = call @same(%0) : (tensor<1024xf32>) -> tensor<1024xf32>
    %w = call @work(%x) : (tensor<16xf32>) -> tensor<1024xf32>
    %s = call @small(%w) : (tensor<1024xf32>) -> tensor<16xf32>
    %y = call @both(%l, %s) : (tensor<1024xf32>, tensor<16xf32>) -> tensor<f32>
    return %y : tensor<f32>
  }
}
