// RUN: %ingot-opt --plan-memory %s | FileCheck %s
// A gradient that gets its last part by scatter_add is updated where it will stand: inside its bucket,
// beside a neighbour that is written before and read after.
module {
  func.func private @first() -> (tensor<32xf32>, tensor<32xf32>)
      attributes {graph.kernel = "elementwise", kernel.schedule = #kernel.schedule<arguments = [write, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}
  func.func private @scatter(tensor<32xf32>) -> tensor<32xf32>
      attributes {graph.kernel = "scatter", kernel.schedule = #kernel.schedule<arguments = [read, write], sharing = [0 with 0 same_point], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}
  func.func private @sum(tensor<64xf32>) -> tensor<f32>
      attributes {graph.kernel = "row", kernel.schedule = #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}
  // CHECK-LABEL: func.func @step(%{{.*}}: memref<320xi8>
  // CHECK-SAME: {bytes = 256 : i64, {{.*}}offset = 0 : i64}, {bytes = 4 : i64
  // CHECK:      kernel.call @first(%[[BASE:.*]], %{{.*}},
  // CHECK:      memref.view %{{.*}}[%c128{{.*}}][] : memref<320xi8> to memref<32xf32>
  // CHECK:      memref.view %{{.*}}[%c128{{.*}}][] : memref<320xi8> to memref<32xf32>
  // CHECK:      kernel.call @scatter
  func.func @step() -> (tensor<f32> {graph.name = "norm"}) {
    %g:2 = call @first() : () -> (tensor<32xf32>, tensor<32xf32>)
    %s = call @scatter(%g#0) : (tensor<32xf32>) -> tensor<32xf32>
    %d = graph.bucket %g#1, %s : tensor<32xf32>, tensor<32xf32> -> tensor<64xf32>
    %n = call @sum(%d) : (tensor<64xf32>) -> tensor<f32>
    return %n : tensor<f32>
  }
}
