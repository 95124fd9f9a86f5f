// RUN: %ingot-opt --plan-memory %s | FileCheck %s

func.func private @copy(tensor<16xf32>) -> tensor<16xf32> attributes {graph.kernel = "elementwise", graph.copy,
    kernel.schedule = #kernel.schedule<arguments = [read, write], sharing = [0 with 0 same_point], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}
func.func private @twice(tensor<16xf32>) -> tensor<16xf32> attributes {graph.kernel = "elementwise",
    kernel.schedule = #kernel.schedule<arguments = [read, write], sharing = [0 with 0 same_point], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}
func.func private @mixed(tensor<16xf32>) -> tensor<16xf32> attributes {graph.kernel = "row",
    kernel.schedule = #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}

// Updated in place, in the place of the result: but for the copy of the argument, none is made.
// CHECK-LABEL: func.func @in_place(
// CHECK: kernel.call @copy
// CHECK: kernel.loop 5 {
// CHECK-COUNT-1: kernel.call @twice
// CHECK-NOT: kernel.call
// CHECK: return
func.func @in_place(%x: tensor<16xf32>) -> tensor<16xf32> {
  %n = arith.constant dense<5> : tensor<i64>
  %0 = call @copy(%x) : (tensor<16xf32>) -> tensor<16xf32>
  %1 = graph.loop %n carry (%0 : tensor<16xf32>) : tensor<i64> -> (tensor<16xf32>) {
  ^bb0(%i: tensor<i64>, %v: tensor<16xf32>):
    %2 = func.call @twice(%v) : (tensor<16xf32>) -> tensor<16xf32>
    %3 = func.call @copy(%2) : (tensor<16xf32>) -> tensor<16xf32>
    graph.yield %3 : tensor<16xf32>
  }
  %4 = call @copy(%1) : (tensor<16xf32>) -> tensor<16xf32>
  return %4 : tensor<16xf32>
}

// Its kernel reads the old value whole: the new one is made where it is stacked, and copied. Rows of x are read where they lie.
// CHECK-LABEL: func.func @stacked(
// CHECK: kernel.loop 3 reverse {
// CHECK: kernel.call @mixed{{.*}} moving [0, 64]
// CHECK: kernel.call @copy{{.*}} moving [64, 0]
// CHECK: kernel.call @twice{{.*}} moving [64, 64]
// CHECK-NOT: kernel.call
// CHECK: return
func.func @stacked(%x: tensor<3x16xf32>, %h: tensor<16xf32>) -> (tensor<3x16xf32>, tensor<3x16xf32>) {
  %n = arith.constant dense<3> : tensor<i64>
  %0 = call @copy(%h) : (tensor<16xf32>) -> tensor<16xf32>
  %1, %all, %rows = graph.loop %n reverse carry (%0 : tensor<16xf32>) : tensor<i64> -> (tensor<16xf32>, tensor<3x16xf32>, tensor<3x16xf32>) {
  ^bb0(%i: tensor<i64>, %v: tensor<16xf32>):
    %2 = func.call @mixed(%v) : (tensor<16xf32>) -> tensor<16xf32>
    %row = graph.dynamic_slice %x, %i dimension 0 size 1 : tensor<3x16xf32>, tensor<i64> -> tensor<1x16xf32>
    %flat = tensor.collapse_shape %row [[0, 1]] : tensor<1x16xf32> into tensor<16xf32>
    %3 = func.call @copy(%2) : (tensor<16xf32>) -> tensor<16xf32>
    %4 = func.call @copy(%2) : (tensor<16xf32>) -> tensor<16xf32>
    %5 = func.call @twice(%flat) : (tensor<16xf32>) -> tensor<16xf32>
    %6 = func.call @copy(%5) : (tensor<16xf32>) -> tensor<16xf32>
    graph.yield %4, %3, %6 : tensor<16xf32>, tensor<16xf32>, tensor<16xf32>
  }
  return %all, %rows : tensor<3x16xf32>, tensor<3x16xf32>
}

// The runtime numbers the iterations and reads the trip count and the condition.
// CHECK-LABEL: func.func @counted(
// CHECK: kernel.loop 9 count(%{{.*}} : memref<i64>) {
// CHECK: kernel.if %{{.*}} : memref<i8> {
// CHECK: kernel.call @twice
// CHECK: } else {
// CHECK: kernel.call @mixed
// CHECK: }
func.func @counted(%c: tensor<i1>, %n: tensor<i64>, %x: tensor<16xf32>) -> tensor<16xf32> {
  %0 = call @copy(%x) : (tensor<16xf32>) -> tensor<16xf32>
  %1 = graph.loop %n at_most 9 carry (%0 : tensor<16xf32>) : tensor<i64> -> (tensor<16xf32>) {
  ^bb0(%i: tensor<i64>, %v: tensor<16xf32>):
    %2 = graph.if %c : tensor<i1> -> (tensor<16xf32>) {
      %3 = func.call @twice(%v) : (tensor<16xf32>) -> tensor<16xf32>
      %4 = func.call @copy(%3) : (tensor<16xf32>) -> tensor<16xf32>
      graph.yield %4 : tensor<16xf32>
    } else {
      %3 = func.call @mixed(%v) : (tensor<16xf32>) -> tensor<16xf32>
      %4 = func.call @copy(%3) : (tensor<16xf32>) -> tensor<16xf32>
      graph.yield %4 : tensor<16xf32>
    }
    %5 = func.call @copy(%2) : (tensor<16xf32>) -> tensor<16xf32>
    graph.yield %5 : tensor<16xf32>
  }
  %6 = call @copy(%1) : (tensor<16xf32>) -> tensor<16xf32>
  return %6 : tensor<16xf32>
}
