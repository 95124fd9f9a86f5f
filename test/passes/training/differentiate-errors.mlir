// RUN: not %ingot-opt %s --differentiate --split-input-file 2>&1 | FileCheck %s

// CHECK: error: the module has no function @evaluate; the pass add-loss makes it
func.func @forward() { return }

// -----

// CHECK: [[@LINE+1]]:1: error: @evaluate must return one scalar of floats, the loss
func.func @evaluate(%w: tensor<4xf32> {graph.name = "w", graph.role = "parameter"}) -> tensor<4xf32> {
  return %w : tensor<4xf32>
}

// -----

// CHECK: [[@LINE+1]]:1: error: the model has no parameters to train
func.func @evaluate(%x: tensor<f32> {graph.name = "x", graph.role = "input"}) -> tensor<f32> {
  return %x : tensor<f32>
}

// -----

// An op without a rule, on the path.
func.func @evaluate(
    // CHECK: [[@LINE+5]]:8: error: 'graph.unbucket' cannot be differentiated
    // CHECK: [[@LINE+2]]:5: note: it cuts parameter 'second' off from the loss
    %first: tensor<32xf32> {graph.name = "first", graph.role = "parameter"},
    %second: tensor<32xf32> {graph.name = "second", graph.role = "parameter"}) -> tensor<f32> {
  %1 = graph.exp %second : tensor<32xf32>
  %2 = graph.unbucket %1 : tensor<32xf32> -> tensor<32xf32>
  %3 = graph.add %2, %first : tensor<32xf32>
  %loss = graph.reduce sum %3 [0] : tensor<32xf32> -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// The only path leads through an integer.
func.func @evaluate(
    // CHECK: [[@LINE+5]]:8: error: 'graph.cast' cannot be differentiated
    // CHECK: [[@LINE+2]]:5: note: it cuts parameter 'table' off from the loss
    %w: tensor<4xf32> {graph.name = "w", graph.role = "parameter"},
    %table: tensor<4xf32> {graph.name = "table", graph.role = "parameter"}) -> tensor<f32> {
  %1 = graph.exp %table : tensor<4xf32>
  %2 = graph.cast %1 : tensor<4xf32> -> tensor<4xi32>
  %3 = graph.gather %w, %2 dimension 0 : tensor<4xf32>, tensor<4xi32> -> tensor<4xf32>
  %loss = graph.reduce sum %3 [0] : tensor<4xf32> -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// The only path leads through a staircase.
func.func @evaluate(
    // CHECK: [[@LINE+3]]:8: error: 'graph.floor' cannot be differentiated
    // CHECK: [[@LINE+1]]:5: note: it cuts parameter 'w' off from the loss
    %w: tensor<4xf32> {graph.name = "w", graph.role = "parameter"}) -> tensor<f32> {
  %1 = graph.floor %w : tensor<4xf32>
  %loss = graph.reduce sum %1 [0] : tensor<4xf32> -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// An op inside a region is found as well.
func.func @evaluate(
    // CHECK: [[@LINE+5]]:10: error: 'graph.unbucket' cannot be differentiated
    // CHECK: [[@LINE+1]]:5: note: it cuts parameter 'w' off from the loss
    %w: tensor<32xf32> {graph.name = "w", graph.role = "parameter"},
    %c: tensor<i1> {graph.name = "c", graph.role = "input"}) -> tensor<f32> {
  %0 = graph.if %c : tensor<i1> -> (tensor<32xf32>) {
    %1 = graph.unbucket %w : tensor<32xf32> -> tensor<32xf32>
    graph.yield %1 : tensor<32xf32>
  } else {
    graph.yield %w : tensor<32xf32>
  }
  %loss = graph.reduce sum %0 [0] : tensor<32xf32> -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

func.func @evaluate(
    %w: tensor<4xf32> {graph.name = "w", graph.role = "parameter"},
    %n: tensor<i64> {graph.name = "n", graph.role = "input"}) -> tensor<f32> {
  // CHECK: [[@LINE+1]]:8: error: a loop is differentiated only if its trip count is a constant or at_most bounds it
  %0 = graph.loop %n carry(%w : tensor<4xf32>) : tensor<i64> -> (tensor<4xf32>) {
  ^bb0(%i: tensor<i64>, %x: tensor<4xf32>):
    %1 = graph.exp %x : tensor<4xf32>
    graph.yield %1 : tensor<4xf32>
  }
  %loss = graph.reduce sum %0 [0] : tensor<4xf32> -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

func.func @evaluate(
    %w: tensor<?xf32> {graph.name = "w", graph.role = "parameter"}) -> tensor<f32> {
  // CHECK: [[@LINE+1]]:8: error: its shape is not known yet: specialise the model to its inputs' shapes before differentiating
  %0 = graph.exp %w : tensor<?xf32>
  %loss = graph.reduce sum %0 [0] : tensor<?xf32> -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// CHECK: [[@LINE+3]]:5: warning: parameter 'unused' does not reach the loss and is not trained
func.func @evaluate(
    %w: tensor<4xf32> {graph.name = "w", graph.role = "parameter"},
    %unused: tensor<4xf32> {graph.name = "unused", graph.role = "parameter"}) -> tensor<f32> {
  %loss = graph.reduce sum %w [0] : tensor<4xf32> -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

func.func @evaluate(
    %q: tensor<1x1x3x4xf32> {graph.name = "q", graph.role = "parameter"}) -> tensor<f32> {
  // CHECK: [[@LINE+1]]:12: error: the log-sum-exp of attention cannot be differentiated
  %y, %l = graph.attention %q, %q, %q scale 0.5 causal true : tensor<1x1x3x4xf32>, tensor<1x1x3x4xf32>, tensor<1x1x3x4xf32> -> tensor<1x1x3x4xf32>, tensor<1x1x3xf32>
  %loss = graph.reduce sum %l [0, 1, 2] : tensor<1x1x3xf32> -> tensor<f32>
  return %loss : tensor<f32>
}
