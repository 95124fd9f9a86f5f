// RUN: %ingot-opt --canonicalize --split-input-file %s | FileCheck %s

// Constants are computed by the reference.
// CHECK-LABEL: @constants
// CHECK-NEXT: graph.constant dense<[4.000000e+00, 6.000000e+00]> : tensor<2xf32>
// CHECK-NEXT: return
func.func @constants() -> tensor<2xf32> {
  %a = graph.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %s = graph.reduce sum %a [0] : tensor<2x2xf32> -> tensor<2xf32>
  return %s : tensor<2xf32>
}

// -----

// A splat stays one, however large.
// CHECK-LABEL: @splats
// CHECK-NEXT: graph.constant dense<6.000000e+00> : tensor<1000x1000xf32>
// CHECK-NEXT: return
func.func @splats() -> tensor<1000x1000xf32> {
  %two = graph.constant dense<2.0> : tensor<f32>
  %a = graph.broadcast %two [] : tensor<f32> -> tensor<1000x1000xf32>
  %b = graph.constant dense<3.0> : tensor<1000x1000xf32>
  %c = graph.mul %a, %b : tensor<1000x1000xf32>
  return %c : tensor<1000x1000xf32>
}

// -----

// A result of more than 4096 elements that is larger than its operands is not stored.
// CHECK-LABEL: @large
// CHECK: graph.broadcast
func.func @large() -> tensor<2x4096xf32> {
  %a = graph.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %b = graph.broadcast %a [0] : tensor<2xf32> -> tensor<2x4096xf32>
  return %b : tensor<2x4096xf32>
}

// -----

// An error in the reference is left to be one.
// CHECK-LABEL: @division_by_zero
// CHECK: graph.div
func.func @division_by_zero() -> tensor<2xi32> {
  %a = graph.constant dense<[1, 2]> : tensor<2xi32>
  %b = graph.constant dense<[0, 1]> : tensor<2xi32>
  %c = graph.div %a, %b : tensor<2xi32>
  return %c : tensor<2xi32>
}

// -----

// CHECK-LABEL: @neutral
// CHECK-SAME: (%[[X:.*]]: tensor<4xf32>)
// CHECK-NEXT: return %[[X]]
func.func @neutral(%x: tensor<4xf32>) -> tensor<4xf32> {
  %zero = graph.constant dense<0.0> : tensor<4xf32>
  %one = graph.constant dense<1.0> : tensor<4xf32>
  %a = graph.add %zero, %x : tensor<4xf32>
  %b = graph.mul %one, %a : tensor<4xf32>
  %c = graph.sub %b, %zero : tensor<4xf32>
  %d = graph.div %c, %one : tensor<4xf32>
  %e = graph.pow %d, %one : tensor<4xf32>
  %f = graph.neg %e : tensor<4xf32>
  %g = graph.neg %f : tensor<4xf32>
  %h = graph.maximum %g, %g : tensor<4xf32>
  %i = graph.reduce max %h [] : tensor<4xf32> -> tensor<4xf32>
  return %i : tensor<4xf32>
}

// -----

// CHECK-LABEL: @bits
// CHECK-SAME: (%[[X:.*]]: tensor<4xui8>)
// CHECK-NEXT: return %[[X]]
func.func @bits(%x: tensor<4xui8>) -> tensor<4xui8> {
  %zero = graph.constant dense<0> : tensor<4xui8>
  %ones = graph.constant dense<255> : tensor<4xui8>
  %a = graph.and %x, %ones : tensor<4xui8>
  %b = graph.or %zero, %a : tensor<4xui8>
  %c = graph.xor %b, %zero : tensor<4xui8>
  return %c : tensor<4xui8>
}

// -----

// 0·x is 0 for integers alone: floats keep NaN.
// CHECK-LABEL: @zero_times
// CHECK-DAG: %[[ZERO:.*]] = graph.constant dense<0> : tensor<4xi32>
// CHECK-DAG: %[[PRODUCT:.*]] = graph.mul %{{.*}} : tensor<4xf32>
// CHECK: return %[[ZERO]], %[[PRODUCT]]
func.func @zero_times(%i: tensor<4xi32>, %x: tensor<4xf32>) -> (tensor<4xi32>, tensor<4xf32>) {
  %zi = graph.constant dense<0> : tensor<4xi32>
  %zf = graph.constant dense<0.0> : tensor<4xf32>
  %a = graph.mul %i, %zi : tensor<4xi32>
  %b = graph.mul %x, %zf : tensor<4xf32>
  return %a, %b : tensor<4xi32>, tensor<4xf32>
}

// -----

// CHECK-LABEL: @select
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<4xf32>, %[[Y:[a-z0-9]+]]: tensor<4xf32>
// CHECK-NEXT: return %[[X]], %[[Y]], %[[X]]
func.func @select(%c: tensor<4xi1>, %x: tensor<4xf32>, %y: tensor<4xf32>)
    -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %true = graph.constant dense<true> : tensor<4xi1>
  %false = graph.constant dense<false> : tensor<4xi1>
  %a = graph.select %true, %x, %y : tensor<4xi1>, tensor<4xf32>
  %b = graph.select %false, %x, %y : tensor<4xi1>, tensor<4xf32>
  %d = graph.select %c, %x, %x : tensor<4xi1>, tensor<4xf32>
  return %a, %b, %d : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// -----

// A cast and its inverse cancel out only if nothing was rounded in between.
// CHECK-LABEL: @casts
// CHECK-SAME: (%[[X:.*]]: tensor<4xf16>, %[[Y:.*]]: tensor<4xf32>)
// CHECK-NEXT: %[[NARROW:.*]] = graph.cast %[[Y]]
// CHECK-NEXT: %[[WIDE:.*]] = graph.cast %[[NARROW]]
// CHECK-NEXT: return %[[X]], %[[WIDE]]
func.func @casts(%x: tensor<4xf16>, %y: tensor<4xf32>) -> (tensor<4xf16>, tensor<4xf32>) {
  %a = graph.cast %x : tensor<4xf16> -> tensor<4xf32>
  %b = graph.cast %a : tensor<4xf32> -> tensor<4xf16>
  %c = graph.cast %y : tensor<4xf32> -> tensor<4xf16>
  %d = graph.cast %c : tensor<4xf16> -> tensor<4xf32>
  return %b, %d : tensor<4xf16>, tensor<4xf32>
}

// -----

// CHECK-LABEL: @moves_cancel
// CHECK-SAME: (%[[X:.*]]: tensor<2x3x4xf32>)
// CHECK-NEXT: return %[[X]]
func.func @moves_cancel(%x: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
  %zero = graph.constant dense<0.0> : tensor<f32>
  %a = graph.transpose %x [2, 0, 1] : tensor<2x3x4xf32> -> tensor<4x2x3xf32>
  %b = graph.transpose %a [1, 2, 0] : tensor<4x2x3xf32> -> tensor<2x3x4xf32>
  %c = graph.reshape %b : tensor<2x3x4xf32> -> tensor<24xf32>
  %d = graph.reshape %c : tensor<24xf32> -> tensor<2x3x4xf32>
  %e = graph.slice %d [0, 0, 0] to [2, 3, 4] by [1, 1, 1] : tensor<2x3x4xf32> -> tensor<2x3x4xf32>
  %f = graph.concat %e dimension 1 : tensor<2x3x4xf32> -> tensor<2x3x4xf32>
  %g = graph.pad %f, %zero low [0, 0, 0] high [0, 0, 0] interior [0, 0, 0] : tensor<2x3x4xf32>, tensor<f32> -> tensor<2x3x4xf32>
  %h = graph.broadcast %g [0, 1, 2] : tensor<2x3x4xf32> -> tensor<2x3x4xf32>
  return %h : tensor<2x3x4xf32>
}

// -----

// CHECK-LABEL: @moves_merge
// CHECK-DAG: graph.broadcast %{{.*}} [2] : tensor<4xf32> -> tensor<2x3x4xf32>
// CHECK-DAG: graph.slice %{{.*}} [3] to [8] by [4] : tensor<10xf32> -> tensor<2xf32>
// CHECK-DAG: graph.broadcast %{{.*}} [1] : tensor<4xf32> -> tensor<3x4xf32>
// CHECK-NOT: graph.reshape
func.func @moves_merge(%x: tensor<4xf32>, %y: tensor<10xf32>)
    -> (tensor<2x3x4xf32>, tensor<2xf32>, tensor<3x4xf32>) {
  %a = graph.broadcast %x [1] : tensor<4xf32> -> tensor<3x4xf32>
  %b = graph.broadcast %a [1, 2] : tensor<3x4xf32> -> tensor<2x3x4xf32>
  %c = graph.slice %y [1] to [10] by [2] : tensor<10xf32> -> tensor<5xf32>
  %d = graph.slice %c [1] to [4] by [2] : tensor<5xf32> -> tensor<2xf32>
  %e = graph.reshape %x : tensor<4xf32> -> tensor<1x4xf32>
  %f = graph.broadcast %e [0, 1] : tensor<1x4xf32> -> tensor<3x4xf32>
  return %b, %d, %f : tensor<2x3x4xf32>, tensor<2xf32>, tensor<3x4xf32>
}

// -----

// CHECK-LABEL: @transpose_of_broadcast
// CHECK: graph.broadcast %{{.*}} [0] : tensor<4xf32> -> tensor<4x3xf32>
// CHECK: graph.broadcast
// CHECK: graph.transpose
func.func @transpose_of_broadcast(%x: tensor<4xf32>, %y: tensor<2x4xf32>) -> (tensor<4x3xf32>, tensor<4x2x3xf32>) {
  %a = graph.broadcast %x [1] : tensor<4xf32> -> tensor<3x4xf32>
  %b = graph.transpose %a [1, 0] : tensor<3x4xf32> -> tensor<4x3xf32>
  %c = graph.broadcast %y [1, 2] : tensor<2x4xf32> -> tensor<3x2x4xf32>
  %d = graph.transpose %c [2, 1, 0] : tensor<3x2x4xf32> -> tensor<4x2x3xf32>
  return %b, %d : tensor<4x3xf32>, tensor<4x2x3xf32>
}

// -----

// CHECK-LABEL: @reduce_tuples_of_units
// CHECK: graph.reshape
// CHECK: graph.reshape
// CHECK-NOT: graph.reduce_tuples
func.func @reduce_tuples_of_units(%x: tensor<1x4x1xf32>, %n: tensor<1x4x1xi32>) -> (tensor<4xf32>, tensor<4xi32>) {
  %most, %number = graph.reduce_tuples "argmax" %x, %n [0, 2] : tensor<1x4x1xf32>, tensor<1x4x1xi32> -> tensor<4xf32>, tensor<4xi32>
  return %most, %number : tensor<4xf32>, tensor<4xi32>
}

// CHECK-LABEL: @reduce_of_units
// CHECK-NEXT: graph.reshape %{{.*}} : tensor<1x4x1xf32> -> tensor<4xf32>
// CHECK-NEXT: return
func.func @reduce_of_units(%x: tensor<1x4x1xf32>) -> tensor<4xf32> {
  %y = graph.reduce sum %x [0, 2] : tensor<1x4x1xf32> -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// The gradient of a table that is also used otherwise.
// CHECK-LABEL: @add_into_scatter
// CHECK-SAME: (%[[X:.*]]: tensor<5x2xf32>, %[[I:.*]]: tensor<3xi32>, %[[U:.*]]: tensor<3x2xf32>)
// CHECK-NEXT: %[[SUM:.*]] = graph.scatter_add %[[X]], %[[I]], %[[U]] dimension 0
// CHECK-NEXT: return %[[SUM]]
func.func @add_into_scatter(%x: tensor<5x2xf32>, %i: tensor<3xi32>, %u: tensor<3x2xf32>) -> tensor<5x2xf32> {
  %zero = graph.constant dense<0.0> : tensor<5x2xf32>
  %s = graph.scatter_add %zero, %i, %u dimension 0 : tensor<5x2xf32>, tensor<3xi32>, tensor<3x2xf32>
  %y = graph.add %x, %s : tensor<5x2xf32>
  return %y : tensor<5x2xf32>
}

// -----

// CHECK-LABEL: @add_of_used_scatter
// CHECK: graph.add
func.func @add_of_used_scatter(%x: tensor<5xf32>, %i: tensor<3xi32>, %u: tensor<3xf32>) -> (tensor<5xf32>, tensor<5xf32>) {
  %zero = graph.constant dense<0.0> : tensor<5xf32>
  %s = graph.scatter_add %zero, %i, %u dimension 0 : tensor<5xf32>, tensor<3xi32>, tensor<3xf32>
  %y = graph.add %x, %s : tensor<5xf32>
  return %y, %s : tensor<5xf32>, tensor<5xf32>
}

// -----

// The gradients of q, k and v, slices of one tensor.
// CHECK-LABEL: @gradient_of_slices
// CHECK-SAME: (%[[Q:.*]]: tensor<2x4xf32>, %[[K:.*]]: tensor<2x4xf32>, %[[V:.*]]: tensor<2x4xf32>)
// CHECK-NEXT: %[[ALL:.*]] = graph.concat %[[Q]], %[[K]], %[[V]] dimension 1
// CHECK-NEXT: return %[[ALL]]
func.func @gradient_of_slices(%q: tensor<2x4xf32>, %k: tensor<2x4xf32>, %v: tensor<2x4xf32>) -> tensor<2x12xf32> {
  %zero = graph.constant dense<0.0> : tensor<f32>
  %a = graph.pad %v, %zero low [0, 8] high [0, 0] interior [0, 0] : tensor<2x4xf32>, tensor<f32> -> tensor<2x12xf32>
  %b = graph.pad %k, %zero low [0, 4] high [0, 4] interior [0, 0] : tensor<2x4xf32>, tensor<f32> -> tensor<2x12xf32>
  %c = graph.pad %q, %zero low [0, 0] high [0, 8] interior [0, 0] : tensor<2x4xf32>, tensor<f32> -> tensor<2x12xf32>
  %d = graph.add %a, %b : tensor<2x12xf32>
  %e = graph.add %d, %c : tensor<2x12xf32>
  return %e : tensor<2x12xf32>
}

// -----

// The same where they are bf16, and what is added up f32.
// CHECK-LABEL: @widened_gradient_of_slices
// CHECK-SAME: (%[[Q:.*]]: tensor<2x4xbf16>, %[[K:.*]]: tensor<2x4xbf16>, %[[V:.*]]: tensor<2x4xbf16>)
// CHECK-NEXT: %[[ALL:.*]] = graph.concat %[[Q]], %[[K]], %[[V]] dimension 1 : {{.*}} -> tensor<2x12xbf16>
// CHECK-NEXT: return %[[ALL]]
func.func @widened_gradient_of_slices(%q: tensor<2x4xbf16>, %k: tensor<2x4xbf16>, %v: tensor<2x4xbf16>) -> tensor<2x12xbf16> {
  %zero = graph.constant dense<0.0> : tensor<bf16>
  %a = graph.pad %v, %zero low [0, 8] high [0, 0] interior [0, 0] : tensor<2x4xbf16>, tensor<bf16> -> tensor<2x12xbf16>
  %b = graph.pad %k, %zero low [0, 4] high [0, 4] interior [0, 0] : tensor<2x4xbf16>, tensor<bf16> -> tensor<2x12xbf16>
  %c = graph.pad %q, %zero low [0, 0] high [0, 8] interior [0, 0] : tensor<2x4xbf16>, tensor<bf16> -> tensor<2x12xbf16>
  %wa = graph.cast %a : tensor<2x12xbf16> -> tensor<2x12xf32>
  %wb = graph.cast %b : tensor<2x12xbf16> -> tensor<2x12xf32>
  %wc = graph.cast %c : tensor<2x12xbf16> -> tensor<2x12xf32>
  %d = graph.add %wa, %wb : tensor<2x12xf32>
  %e = graph.add %d, %wc : tensor<2x12xf32>
  %n = graph.cast %e : tensor<2x12xf32> -> tensor<2x12xbf16>
  return %n : tensor<2x12xbf16>
}

// -----

// One is rounded before it is widened, the other is not.
// CHECK-LABEL: @pads_of_two_types
// CHECK: graph.add
func.func @pads_of_two_types(%x: tensor<4xbf16>, %y: tensor<3xf32>) -> tensor<7xf32> {
  %zero = graph.constant dense<0.0> : tensor<bf16>
  %wide = graph.constant dense<0.0> : tensor<f32>
  %a = graph.pad %x, %zero low [0] high [3] interior [0] : tensor<4xbf16>, tensor<bf16> -> tensor<7xbf16>
  %b = graph.pad %y, %wide low [4] high [0] interior [0] : tensor<3xf32>, tensor<f32> -> tensor<7xf32>
  %c = graph.cast %a : tensor<7xbf16> -> tensor<7xf32>
  %d = graph.add %b, %c : tensor<7xf32>
  return %d : tensor<7xf32>
}

// -----

// CHECK-LABEL: @overlapping_pads
// CHECK: graph.add
func.func @overlapping_pads(%x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<7xf32> {
  %zero = graph.constant dense<0.0> : tensor<f32>
  %a = graph.pad %x, %zero low [0] high [3] interior [0] : tensor<4xf32>, tensor<f32> -> tensor<7xf32>
  %b = graph.pad %y, %zero low [3] high [0] interior [0] : tensor<4xf32>, tensor<f32> -> tensor<7xf32>
  %c = graph.add %a, %b : tensor<7xf32>
  return %c : tensor<7xf32>
}

// -----

// CHECK-LABEL: @slice_of_concat
// CHECK-SAME: (%[[X:.*]]: tensor<2x4xf32>, %[[Y:.*]]: tensor<2x6xf32>)
// CHECK-NEXT: graph.slice %[[Y]] [0, 1] to [2, 5] by [1, 2]
// CHECK-NEXT: return %[[X]]
func.func @slice_of_concat(%x: tensor<2x4xf32>, %y: tensor<2x6xf32>) -> (tensor<2x4xf32>, tensor<2x2xf32>) {
  %c = graph.concat %x, %y dimension 1 : tensor<2x4xf32>, tensor<2x6xf32> -> tensor<2x10xf32>
  %a = graph.slice %c [0, 0] to [2, 4] by [1, 1] : tensor<2x10xf32> -> tensor<2x4xf32>
  %b = graph.slice %c [0, 5] to [2, 9] by [1, 2] : tensor<2x10xf32> -> tensor<2x2xf32>
  return %a, %b : tensor<2x4xf32>, tensor<2x2xf32>
}

// -----

// CHECK-LABEL: @concat_of_concat
// CHECK-NEXT: graph.concat %{{.*}}, %{{.*}}, %{{.*}} dimension 0 : tensor<2xf32>, tensor<3xf32>, tensor<2xf32> -> tensor<7xf32>
// CHECK-NEXT: return
func.func @concat_of_concat(%x: tensor<2xf32>, %y: tensor<3xf32>, %empty: tensor<0xf32>) -> tensor<7xf32> {
  %a = graph.concat %x, %y, %empty dimension 0 : tensor<2xf32>, tensor<3xf32>, tensor<0xf32> -> tensor<5xf32>
  %b = graph.concat %a, %x dimension 0 : tensor<5xf32>, tensor<2xf32> -> tensor<7xf32>
  return %b : tensor<7xf32>
}

// -----

// Ops are pure: what nobody uses goes. Random numbers are not stored as constants.
// CHECK-LABEL: @dead_and_random
// CHECK-NOT: graph.exp
// CHECK: graph.random_uniform
func.func @dead_and_random(%x: tensor<4xf32>) -> tensor<4xf32> {
  %seed = graph.constant dense<1> : tensor<i64>
  %dead = graph.exp %x : tensor<4xf32>
  %r = graph.random_uniform %seed, %seed id 0 : tensor<i64>, tensor<i64> -> tensor<4xf32>
  return %r : tensor<4xf32>
}
