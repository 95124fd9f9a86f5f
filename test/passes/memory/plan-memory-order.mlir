// RUN: %ingot-opt --plan-memory %s | FileCheck %s
// A launch with a large result waits for its first reader if what it reads is smaller; if that is larger,
// it stays.
module {
  func.func private @large(%x: memref<16xf32>, %out: memref<1024xf32>, %lo: index, %hi: index)
      attributes {graph.kernel = "elementwise", graph.grains = 1 : i64} {
    return
  }
  func.func private @work(%x: memref<16xf32>, %out: memref<1024xf32>, %lo: index, %hi: index)
      attributes {graph.kernel = "elementwise", graph.grains = 1 : i64} {
    return
  }
  func.func private @small(%x: memref<1024xf32>, %out: memref<16xf32>, %lo: index, %hi: index)
      attributes {graph.kernel = "elementwise", graph.grains = 1 : i64} {
    return
  }
  func.func private @same(%x: memref<1024xf32>, %out: memref<1024xf32>, %lo: index, %hi: index)
      attributes {graph.kernel = "elementwise", graph.grains = 1 : i64} {
    return
  }
  func.func private @both(%x: memref<1024xf32>, %y: memref<16xf32>, %out: memref<f32>, %lo: index, %hi: index)
      attributes {graph.kernel = "elementwise", graph.grains = 1 : i64} {
    return
  }
  // CHECK-LABEL: func.func @waits(%{{.*}}: memref<4224xi8>
  // CHECK: call @work
  // CHECK: call @small
  // CHECK: call @large
  // CHECK: call @both
  func.func @waits(%x: tensor<16xf32> {graph.name = "x"}) -> (tensor<f32> {graph.name = "y"}) {
    %l = graph.launch @large(%x) : (tensor<16xf32>) -> tensor<1024xf32>
    %w = graph.launch @work(%x) : (tensor<16xf32>) -> tensor<1024xf32>
    %s = graph.launch @small(%w) : (tensor<1024xf32>) -> tensor<16xf32>
    %y = graph.launch @both(%l, %s) : (tensor<1024xf32>, tensor<16xf32>) -> tensor<f32>
    return %y : tensor<f32>
  }
  // CHECK-LABEL: func.func @stays(
  // CHECK: call @large
  // CHECK: call @same
  // CHECK: call @work
  func.func @stays(%x: tensor<16xf32> {graph.name = "x"}) -> (tensor<f32> {graph.name = "y"}) {
    %0 = graph.launch @large(%x) : (tensor<16xf32>) -> tensor<1024xf32>
    %l = graph.launch @same(%0) : (tensor<1024xf32>) -> tensor<1024xf32>
    %w = graph.launch @work(%x) : (tensor<16xf32>) -> tensor<1024xf32>
    %s = graph.launch @small(%w) : (tensor<1024xf32>) -> tensor<16xf32>
    %y = graph.launch @both(%l, %s) : (tensor<1024xf32>, tensor<16xf32>) -> tensor<f32>
    return %y : tensor<f32>
  }
}
