// RUN: %ingot-opt %s --differentiate --split-input-file | FileCheck %s
// RUN: %ingot-opt %s --differentiate --split-input-file --mlir-print-debuginfo | FileCheck %s --check-prefix=LOCATION

// A linear layer gets contractions on rows: dX = dY·W, dW = dYᵀ·X, db = Σ dY. What nobody wants
// (the gradient of the input) is not computed.
// CHECK-LABEL: func.func @gradients(
// CHECK-SAME: %[[W1:[a-z0-9_]+]]: tensor<8x6xf32> {graph.name = "w1"
// CHECK-SAME: %[[B1:[a-z0-9_]+]]: tensor<8xf32> {graph.name = "b1"
// CHECK-SAME: %[[W2:[a-z0-9_]+]]: tensor<3x8xf32> {graph.name = "w2"
// CHECK-SAME: %[[X:[a-z0-9_]+]]: tensor<4x6xf32>
// CHECK-SAME: %[[T:[a-z0-9_]+]]: tensor<4xi32>
// CHECK-SAME: -> (tensor<f32> {graph.name = "loss"}, tensor<8x6xf32> {graph.name = "gradient.w1"}, tensor<8xf32> {graph.name = "gradient.b1"}, tensor<3x8xf32> {graph.name = "gradient.w2"})
// CHECK: %[[H:[a-z0-9_]+]] = graph.linear %[[X]], %[[W1]], %[[B1]]
// CHECK: %[[A:[a-z0-9_]+]] = graph.relu %[[H]]
// CHECK: %[[LOGITS:[a-z0-9_]+]] = graph.linear %[[A]], %[[W2]]
// CHECK: %[[LOSS:[a-z0-9_]+]], %[[LSE:[a-z0-9_]+]] = graph.cross_entropy %[[LOGITS]], %[[T]]
// CHECK: %[[SEED:[a-z0-9_]+]] = graph.constant dense<1.000000e+00> : tensor<f32>
// CHECK: graph.broadcast %[[LSE]] [0]
// CHECK: %[[P:[a-z0-9_]+]] = graph.exp
// CHECK: %[[HIT:[a-z0-9_]+]] = graph.compare eq
// CHECK: %[[MINUS:[a-z0-9_]+]] = graph.sub %[[P]]
// CHECK: %[[ERROR:[a-z0-9_]+]] = graph.select %[[HIT]], %[[MINUS]], %[[P]]
// CHECK: %[[DLOGITS:[a-z0-9_]+]] = graph.mul %[[ERROR]]
// CHECK: %[[DA:[a-z0-9_]+]] = graph.contract %[[DLOGITS]], %[[W2]] batch [] x [] over [1] x [0]
// CHECK: %[[DW2:[a-z0-9_]+]] = graph.contract %[[DLOGITS]], %[[A]] batch [] x [] over [0] x [0]
// CHECK: %[[POSITIVE:[a-z0-9_]+]] = graph.compare gt %[[H]]
// CHECK: %[[DH:[a-z0-9_]+]] = graph.select %[[POSITIVE]], %[[DA]]
// CHECK-NOT: graph.contract %[[DH]], %[[W1]]
// CHECK: %[[DW1:[a-z0-9_]+]] = graph.contract %[[DH]], %[[X]] batch [] x [] over [0] x [0]
// CHECK: %[[DB1:[a-z0-9_]+]] = graph.reduce sum %[[DH]] [0]
// CHECK: return %[[LOSS]], %[[DW1]], %[[DB1]], %[[DW2]]

// Gradient ops are found by their forward op's name.
// LOCATION-LABEL: func.func @gradients(
// LOCATION: graph.contract {{.*}} over [1] x [0] {{.*}} loc(#[[BACKWARD:.+]])
// LOCATION: #[[BACKWARD]] = loc("fc2.backward"
func.func @evaluate(
    %w1: tensor<8x6xf32> {graph.name = "w1", graph.role = "parameter"},
    %b1: tensor<8xf32> {graph.name = "b1", graph.role = "parameter"},
    %w2: tensor<3x8xf32> {graph.name = "w2", graph.role = "parameter"},
    %x: tensor<4x6xf32> {graph.name = "x", graph.role = "input"},
    %targets: tensor<4xi32> {graph.name = "targets", graph.role = "target"}) -> (tensor<f32> {graph.name = "loss"}) {
  %0 = graph.linear %x, %w1, %b1 : tensor<4x6xf32>, tensor<8x6xf32>, tensor<8xf32> -> tensor<4x8xf32>
  %1 = graph.relu %0 : tensor<4x8xf32>
  %2 = graph.linear %1, %w2 : tensor<4x8xf32>, tensor<3x8xf32> -> tensor<4x3xf32> loc("fc2")
  %loss, %lse = graph.cross_entropy %2, %targets : tensor<4x3xf32>, tensor<4xi32> -> tensor<f32>, tensor<4xf32>
  return %loss : tensor<f32>
}

// -----

// A value used twice (a tied table) sums its cotangents; attention has its own backward op, which
// gets the saved log-sum-exp.
// CHECK-LABEL: func.func @gradients(
// CHECK-SAME: %[[T:[a-z0-9_]+]]: tensor<7x4xf32> {graph.name = "table"
// CHECK: %[[OUT:[a-z0-9_]+]], %[[LSE:[a-z0-9_]+]] = graph.attention %[[Q:[a-z0-9_]+]], %[[Q]], %[[Q]] scale 5.000000e-01 causal true
// CHECK: graph.attention_backward %[[Q]], %[[Q]], %[[Q]], %[[OUT]], %[[LSE]], %{{.+}} scale 5.000000e-01 causal true
// CHECK: graph.add
// CHECK: graph.scatter_add
// CHECK: %[[SUM:[a-z0-9_]+]] = graph.add
// CHECK: return %{{.+}}, %[[SUM]]
func.func @evaluate(
    %table: tensor<7x4xf32> {graph.name = "table", graph.role = "parameter"},
    %tokens: tensor<1x3xi32> {graph.name = "tokens", graph.role = "input"},
    %targets: tensor<1x3xi32> {graph.name = "targets", graph.role = "target"}) -> (tensor<f32> {graph.name = "loss"}) {
  %x = graph.embedding %table, %tokens : tensor<7x4xf32>, tensor<1x3xi32> -> tensor<1x3x4xf32>
  %q = graph.reshape %x : tensor<1x3x4xf32> -> tensor<1x1x3x4xf32>
  %y, %l = graph.attention %q, %q, %q scale 0.5 causal true : tensor<1x1x3x4xf32>, tensor<1x1x3x4xf32>, tensor<1x1x3x4xf32> -> tensor<1x1x3x4xf32>, tensor<1x1x3xf32>
  %z = graph.reshape %y : tensor<1x1x3x4xf32> -> tensor<1x3x4xf32>
  %logits = graph.linear %z, %table : tensor<1x3x4xf32>, tensor<7x4xf32> -> tensor<1x3x7xf32>
  %loss, %lse = graph.cross_entropy %logits, %targets : tensor<1x3x7xf32>, tensor<1x3xi32> -> tensor<f32>, tensor<1x3xf32>
  return %loss : tensor<f32>
}

// -----

// Integers carry no gradient, and that is no error as long as another path does.
// CHECK-LABEL: func.func @gradients(
// CHECK-SAME: %[[W:[a-z0-9_]+]]: tensor<4xf32>
// CHECK: %[[MASK:[a-z0-9_]+]] = graph.compare gt %[[W]]
// CHECK: graph.select %[[MASK]]
// CHECK: %[[DW:[a-z0-9_]+]] = graph.select %[[MASK]]
// CHECK: return %{{.+}}, %[[DW]] : tensor<f32>, tensor<4xf32>
func.func @evaluate(
    %w: tensor<4xf32> {graph.name = "w", graph.role = "parameter"},
    %x: tensor<4xf32> {graph.name = "x", graph.role = "input"}) -> (tensor<f32> {graph.name = "loss"}) {
  %mask = graph.compare gt %w, %x : tensor<4xf32> -> tensor<4xi1>
  %0 = graph.select %mask, %w, %x : tensor<4xi1>, tensor<4xf32>
  %loss = graph.reduce sum %0 [0] : tensor<4xf32> -> tensor<f32>
  return %loss : tensor<f32>
}
