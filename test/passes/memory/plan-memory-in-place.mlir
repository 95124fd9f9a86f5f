// RUN: %ingot-opt --plan-memory %s | FileCheck %s
// A gradient that gets its last part by scatter_add is updated where it will stand: inside its bucket,
// beside a neighbour that is written before and read after.
module {
  func.func private @first(%out: memref<16xf32>, %other: memref<16xf32>, %lo: index, %hi: index)
      attributes {graph.kernel = "elementwise", graph.grains = 1 : i64} {
    return
  }
  func.func private @scatter(%base: memref<16xf32>, %out: memref<16xf32>, %lo: index, %hi: index)
      attributes {graph.kernel = "indexing", graph.grains = 1 : i64, graph.in_place = [[0, 0]]} {
    return
  }
  func.func private @sum(%g: memref<32xf32>, %out: memref<f32>, %lo: index, %hi: index)
      attributes {graph.kernel = "row", graph.grains = 1 : i64} {
    return
  }
  // CHECK-LABEL: func.func @step(%{{.*}}: memref<192xi8>
  // CHECK-SAME: {bytes = 128 : i64, {{.*}}offset = 0 : i64}, {bytes = 4 : i64
  // CHECK:      call @first(%[[BASE:.*]], %{{.*}},
  // CHECK:      memref.view %{{.*}}[%c64{{.*}}][] : memref<192xi8> to memref<16xf32>
  // CHECK:      memref.view %{{.*}}[%c64{{.*}}][] : memref<192xi8> to memref<16xf32>
  // CHECK:      call @scatter
  func.func @step() -> (tensor<f32> {graph.name = "norm"}) {
    %g:2 = graph.launch @first() : () -> (tensor<16xf32>, tensor<16xf32>)
    %s = graph.launch @scatter(%g#0) : (tensor<16xf32>) -> tensor<16xf32>
    %d = graph.bucket %g#1, %s : tensor<16xf32>, tensor<16xf32> -> tensor<32xf32>
    %n = graph.launch @sum(%d) : (tensor<32xf32>) -> tensor<f32>
    return %n : tensor<f32>
  }
}
