// RUN: %ingot-opt %s --narrow-operands --cse --split-input-file | FileCheck %s
// RUN: %ingot-opt %s --narrow-operands --add-loss=loss=mse --differentiate --canonicalize --cse --split-input-file | FileCheck %s --check-prefix=GRADIENT

// Queries, keys and values are slices of one tensor, which is rounded once. Attention's result is
// what the next layer multiplies; its sum with the residual stream is f32.
// CHECK-LABEL: func.func @forward(
// CHECK-SAME: %[[X:[a-z0-9_]+]]: tensor<2x4x6xf32>
// CHECK: %[[XN:.+]] = graph.cast %[[X]] : tensor<2x4x6xf32> -> tensor<2x4x6xbf16>
// CHECK: %[[QKV:.+]] = graph.linear %[[XN]], %{{.+}}, %{{.+}} : tensor<2x4x6xbf16>, tensor<18x6xbf16>, tensor<18xf32> -> tensor<2x4x18xf32>
// CHECK: %[[NARROW:.+]] = graph.cast %[[QKV]] : tensor<2x4x18xf32> -> tensor<2x4x18xbf16>
// CHECK-NOT: graph.cast
// CHECK: graph.slice %[[NARROW]] {{.*}} -> tensor<2x4x6xbf16>
// CHECK: %[[Y:.+]], %{{.+}} = graph.attention {{.*}} -> tensor<2x2x4x3xbf16>, tensor<2x2x4xf32>
// CHECK-NOT: f32> -> tensor<2x4x6xbf16>
// CHECK: %[[P:.+]] = graph.linear %{{.+}}, %{{.+}}, %{{.+}} : tensor<2x4x6xbf16>, tensor<6x6xbf16>, tensor<6xf32> -> tensor<2x4x6xf32>
// CHECK-NEXT: graph.add %[[X]], %[[P]] : tensor<2x4x6xf32>

// What the linear layers' weights get is f32, of rounded factors; attention's gradients are joined
// before anything widens them.
// GRADIENT-LABEL: func.func @gradients(
// GRADIENT: %[[DPROJ:.+]] = graph.cast %{{.+}} : tensor<2x4x6xf32> -> tensor<2x4x6xbf16>
// GRADIENT: graph.contract {{.*}} : tensor<8x6xbf16>, tensor<8x6xbf16> -> tensor<6x6xf32>
// GRADIENT: graph.attention_backward {{.*}} -> tensor<2x2x4x3xbf16>, tensor<2x2x4x3xbf16>, tensor<2x2x4x3xbf16>
// GRADIENT-NOT: graph.pad
// GRADIENT: graph.concat {{.*}} : tensor<2x4x6xbf16>, tensor<2x4x6xbf16>, tensor<2x4x6xbf16> -> tensor<2x4x18xbf16>
// GRADIENT: graph.contract {{.*}} : tensor<8x18xbf16>, tensor<8x6xbf16> -> tensor<18x6xf32>
func.func @forward(
    %x: tensor<2x4x6xf32> {graph.name = "x", graph.role = "parameter"},
    %w: tensor<18x6xf32> {graph.name = "w", graph.role = "parameter"},
    %b: tensor<18xf32> {graph.name = "b", graph.role = "parameter"},
    %v: tensor<6x6xf32> {graph.name = "v", graph.role = "parameter"},
    %c: tensor<6xf32> {graph.name = "c", graph.role = "parameter"}) -> (tensor<2x4x6xf32> {graph.name = "y"}) {
  %qkv = graph.linear %x, %w, %b : tensor<2x4x6xf32>, tensor<18x6xf32>, tensor<18xf32> -> tensor<2x4x18xf32>
  %q0 = graph.slice %qkv [0, 0, 0] to [2, 4, 6] by [1, 1, 1] : tensor<2x4x18xf32> -> tensor<2x4x6xf32>
  %k0 = graph.slice %qkv [0, 0, 6] to [2, 4, 12] by [1, 1, 1] : tensor<2x4x18xf32> -> tensor<2x4x6xf32>
  %v0 = graph.slice %qkv [0, 0, 12] to [2, 4, 18] by [1, 1, 1] : tensor<2x4x18xf32> -> tensor<2x4x6xf32>
  %q1 = graph.reshape %q0 : tensor<2x4x6xf32> -> tensor<2x4x2x3xf32>
  %k1 = graph.reshape %k0 : tensor<2x4x6xf32> -> tensor<2x4x2x3xf32>
  %v1 = graph.reshape %v0 : tensor<2x4x6xf32> -> tensor<2x4x2x3xf32>
  %q = graph.transpose %q1 [0, 2, 1, 3] : tensor<2x4x2x3xf32> -> tensor<2x2x4x3xf32>
  %k = graph.transpose %k1 [0, 2, 1, 3] : tensor<2x4x2x3xf32> -> tensor<2x2x4x3xf32>
  %u = graph.transpose %v1 [0, 2, 1, 3] : tensor<2x4x2x3xf32> -> tensor<2x2x4x3xf32>
  %a, %lse = graph.attention %q, %k, %u scale 0.5 causal true : tensor<2x2x4x3xf32>, tensor<2x2x4x3xf32>, tensor<2x2x4x3xf32> -> tensor<2x2x4x3xf32>, tensor<2x2x4xf32>
  %t = graph.transpose %a [0, 2, 1, 3] : tensor<2x2x4x3xf32> -> tensor<2x4x2x3xf32>
  %m = graph.reshape %t : tensor<2x4x2x3xf32> -> tensor<2x4x6xf32>
  %p = graph.linear %m, %v, %c : tensor<2x4x6xf32>, tensor<6x6xf32>, tensor<6xf32> -> tensor<2x4x6xf32>
  %y = graph.add %x, %p : tensor<2x4x6xf32>
  return %y : tensor<2x4x6xf32>
}

// -----

// A table that is looked up and multiplied is rounded where it is multiplied alone. A hidden layer
// is rounded before its activation, in the form in which it is computed; a matrix product that is
// added to is not.
// CHECK-LABEL: func.func @forward(
// CHECK-SAME: %[[T:[a-z0-9_]+]]: tensor<7x4xf32>
// CHECK: graph.embedding %[[T]], %{{.+}} : tensor<7x4xf32>
// CHECK: %[[NARROW:.+]] = graph.cast %[[T]] : tensor<7x4xf32> -> tensor<7x4xbf16>
// CHECK: %[[H:.+]] = graph.contract {{.*}} : tensor<3x4xbf16>, tensor<7x4xbf16> -> tensor<3x7xf32>
// CHECK: %[[ROUNDED:.+]] = graph.cast %[[H]] : tensor<3x7xf32> -> tensor<3x7xbf16>
// CHECK: %[[WIDE:.+]] = graph.cast %[[ROUNDED]] : tensor<3x7xbf16> -> tensor<3x7xf32>
// CHECK: %[[R:.+]] = graph.reshape %[[WIDE]]
// CHECK: graph.formula "gelu"(%[[R]])
// CHECK: %[[S:.+]] = graph.contract {{.*}} -> tensor<3x4xf32>
// CHECK-NOT: graph.cast %[[S]]
// CHECK: graph.add %[[S]]

// The table's two gradients are f32 when they meet.
// GRADIENT-LABEL: func.func @gradients(
// GRADIENT: %[[DT:.+]] = graph.contract {{.*}} : tensor<3x7xbf16>, tensor<3x4xbf16> -> tensor<7x4xf32>
// GRADIENT: graph.scatter_add {{.*}} : tensor<7x4xf32>
func.func @forward(
    %table: tensor<7x4xf32> {graph.name = "table", graph.role = "parameter"},
    %tokens: tensor<3xi32> {graph.name = "tokens", graph.role = "input"}) -> (tensor<3x4xf32> {graph.name = "y"}) {
  %x = graph.embedding %table, %tokens : tensor<7x4xf32>, tensor<3xi32> -> tensor<3x4xf32>
  %h = graph.contract %x, %table batch [] x [] over [1] x [1] : tensor<3x4xf32>, tensor<7x4xf32> -> tensor<3x7xf32>
  %r = graph.reshape %h : tensor<3x7xf32> -> tensor<21xf32>
  %g = graph.formula "gelu"(%r) [] : tensor<21xf32>
  %f = graph.reshape %g : tensor<21xf32> -> tensor<3x7xf32>
  %s = graph.contract %f, %table batch [] x [] over [1] x [0] : tensor<3x7xf32>, tensor<7x4xf32> -> tensor<3x4xf32>
  %y = graph.add %s, %x : tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// -----

// What is no f32 stays what it is, and so do convolutions.
// CHECK-LABEL: func.func @forward(
// CHECK-NOT: graph.cast
// CHECK: return
// GRADIENT-LABEL: func.func @gradients(
func.func @forward(
    %w: tensor<6x3x3xf32> {graph.name = "w", graph.role = "parameter"},
    %u: tensor<4x4xf64> {graph.name = "u", graph.role = "input"},
    %x: tensor<2x3x8xf32> {graph.name = "x", graph.role = "input"})
    -> (tensor<2x6x6xf32> {graph.name = "logits"}, tensor<4x4xf64> {graph.name = "square"}) {
  %y = graph.convolution %x, %w strides [1] dilations [1] low [0] high [0] groups 1 : tensor<2x3x8xf32>, tensor<6x3x3xf32> -> tensor<2x6x6xf32>
  %s = graph.contract %u, %u batch [] x [] over [1] x [0] : tensor<4x4xf64>, tensor<4x4xf64> -> tensor<4x4xf64>
  return %y, %s : tensor<2x6x6xf32>, tensor<4x4xf64>
}
