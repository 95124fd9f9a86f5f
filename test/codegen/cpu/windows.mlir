// RUN: %ingot-opt %s -split-input-file -graph-to-linalg -form-kernels -schedule-kernels -lower-kernels -canonicalize | FileCheck %s

// Neighbouring results read neighbouring elements, or every second one: nothing is gathered.

// CHECK-LABEL: func.func @convolution(
// CHECK-NOT: vector.gather
// Lines behind the last one are not read:
// CHECK: %[[LINE:.*]] = arith.divui %{{.*}}, %c19
// CHECK: arith.minsi %[[LINE]], %c18
// CHECK-NOT: vector.gather
// CHECK: vector.maskedload
// CHECK: vector.fma
// CHECK-NOT: vector.gather
// CHECK: kernel.schedule
func.func @convolution(%x: tensor<1x4x19x19xf32>, %w: tensor<32x4x3x3xf32>) -> tensor<1x32x19x19xf32> {
  %y = graph.convolution %x, %w strides [1, 1] dilations [1, 1] low [1, 1] high [1, 1] groups 1 : tensor<1x4x19x19xf32>, tensor<32x4x3x3xf32> -> tensor<1x32x19x19xf32>
  return %y : tensor<1x32x19x19xf32>
}

// -----

// Few rows are not computed as dot products: a window's depth is not contiguous.
// CHECK-LABEL: func.func @few_channels(
// CHECK-NOT: vector.gather
// CHECK: vector.maskedload
// CHECK: vector.fma
// CHECK-NOT: vector.gather
// CHECK: dot_products = 0
func.func @few_channels(%x: tensor<1x4x19x19xf32>, %w: tensor<3x4x3x3xf32>) -> tensor<1x3x19x19xf32> {
  %y = graph.convolution %x, %w strides [1, 1] dilations [1, 1] low [1, 1] high [1, 1] groups 1 : tensor<1x4x19x19xf32>, tensor<3x4x3x3xf32> -> tensor<1x3x19x19xf32>
  return %y : tensor<1x3x19x19xf32>
}

// -----

// CHECK-LABEL: func.func @strided(
// CHECK-NOT: vector.gather
// CHECK: vector.shuffle
// CHECK-NOT: vector.gather
// CHECK: kernel.schedule
func.func @strided(%x: tensor<1x4x40x40xf32>, %w: tensor<32x4x3x3xf32>) -> tensor<1x32x20x20xf32> {
  %y = graph.convolution %x, %w strides [2, 2] dilations [1, 1] low [1, 1] high [1, 1] groups 1 : tensor<1x4x40x40xf32>, tensor<32x4x3x3xf32> -> tensor<1x32x20x20xf32>
  return %y : tensor<1x32x20x20xf32>
}

// -----

// CHECK-LABEL: func.func @pool(
// CHECK-NOT: vector.gather
// CHECK: vector.shuffle
// CHECK: arith.maximumf {{.*}} : vector<16xf32>
// CHECK-NOT: vector.gather
// CHECK: kernel.schedule
func.func @pool(%x: tensor<1x4x40x40xf32>) -> tensor<1x4x19x19xf32> {
  %w = graph.window %x dimensions [2, 3] sizes [3, 3] strides [2, 2] dilations [1, 1] : tensor<1x4x40x40xf32> -> tensor<1x4x19x19x3x3xf32>
  %y = graph.reduce max %w [4, 5] : tensor<1x4x19x19x3x3xf32> -> tensor<1x4x19x19xf32>
  return %y : tensor<1x4x19x19xf32>
}

// -----

// The phases of a strided convolution's gradient: each element of a run fills two lanes, and which phase a lane is of is known.
// CHECK-LABEL: func.func @interleaved(
// CHECK: %[[PHASES:.*]] = arith.constant dense<[true, false, true, false
// CHECK-NOT: vector.gather
// CHECK: vector.load %{{.*}} : memref<96xf32>, vector<8xf32>
// CHECK: vector.shuffle %{{.*}} [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]
// CHECK: arith.select %[[PHASES]]
// CHECK-NOT: vector.gather
// CHECK: kernel.schedule
func.func @interleaved(%a: tensor<4x24x1xf32>, %b: tensor<4x24x1xf32>) -> tensor<4x24x2xf32> {
  %y = graph.concat %a, %b dimension 2 : tensor<4x24x1xf32>, tensor<4x24x1xf32> -> tensor<4x24x2xf32>
  return %y : tensor<4x24x2xf32>
}
