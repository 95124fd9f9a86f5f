// RUN: %ingot-opt --plan-memory %s | FileCheck %s
// What the launches of a call share is a buffer of the arena that lives for the call alone: the first one lies
// where the second result comes later, the second one where the first operand was.
module {
  func.func private @split(tensor<64x32xf32>) -> tensor<32xf32>
      attributes {graph.kernel = "column", kernel.schedule = #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 1024, launches = [columns grains 4 flops 0 bytes 0 sizes (), columns grains 1 flops 0 bytes 0 sizes ()]>}
  // CHECK-LABEL: func.func @forward(%{{.*}}: memref<17536xi8>)
  // CHECK-SAME: {bytes = 1024 : i64, first = 0 : i64, kind = "workspace", last = 0 : i64, name = "launch scratch", offset = 16384 : i64}
  // CHECK-SAME: {bytes = 1024 : i64, first = 1 : i64, kind = "workspace", last = 1 : i64, name = "launch scratch", offset = 0 : i64}
  // CHECK: kernel.call @split(%{{.*}}, %{{.*}}, %{{.*}}) : memref<64x32xf32>, memref<32xf32>, memref<1024xi8>
  // CHECK: kernel.call @split
  func.func @forward(%x: tensor<64x32xf32> {graph.name = "x"}, %y: tensor<64x32xf32> {graph.name = "y"})
      -> (tensor<32xf32> {graph.name = "a"}, tensor<32xf32> {graph.name = "b"}) {
    %0 = call @split(%x) : (tensor<64x32xf32>) -> tensor<32xf32>
    %1 = call @split(%y) : (tensor<64x32xf32>) -> tensor<32xf32>
    return %0, %1 : tensor<32xf32>, tensor<32xf32>
  }
}
