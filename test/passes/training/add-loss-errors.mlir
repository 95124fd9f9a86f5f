// RUN: not %ingot-opt %s --add-loss --split-input-file 2>&1 | FileCheck %s
// RUN: not %ingot-opt %s --add-loss=loss=none --split-input-file 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not %ingot-opt %s --add-loss=loss=hugh --split-input-file 2>&1 | FileCheck %s --check-prefix=WORD
// RUN: not %ingot-opt %s --add-loss="class-weights=1,2 class-axis=3" --split-input-file 2>&1 | FileCheck %s --check-prefix=NUMBERS

// CHECK: error: the module has no function @forward; the frontend makes it
func.func @other() { return }

// -----

// CHECK: [[@LINE+2]]:1: error: @forward returns 2 values and none is named 'logits'
// NONE: [[@LINE+1]]:1: error: @forward returns 2 values and none is named 'loss'
func.func @forward(%x: tensor<2x3xf32> {graph.name = "x", graph.role = "input"})
    -> (tensor<2x3xf32>, tensor<2x3xf32>) {
  return %x, %x : tensor<2x3xf32>, tensor<2x3xf32>
}

// -----

// CHECK: [[@LINE+1]]:1: error: @forward returns 0 values
func.func @forward(%x: tensor<2x3xf32> {graph.name = "x", graph.role = "input"}) {
  return
}

// -----

// CHECK: [[@LINE+1]]:20: error: the loss needs a tensor of floats, but @forward returns 'tensor<2x3xi32>'
func.func @forward(%x: tensor<2x3xi32> {graph.name = "x", graph.role = "input"}) -> tensor<2x3xi32> {
  return %x : tensor<2x3xi32>
}

// -----

// CHECK: [[@LINE+4]]:8: error: cross_entropy needs [batch…, classes], but @forward returns 'tensor<3xf32>'
// NONE: [[@LINE+3]]:8: error: without a loss, @forward must return a scalar float, but it returns 'tensor<3xf32>'
// WORD: [[@LINE+1]]:1: error: there is no loss 'hugh'
func.func @forward(%x: tensor<3xf32> {graph.name = "x", graph.role = "input"}) -> tensor<3xf32> {
  %0 = graph.exp %x : tensor<3xf32>
  return %0 : tensor<3xf32>
}

// -----

// CHECK: [[@LINE+1]]:20: error: argument 0 of @forward has no graph.role
func.func @forward(%x: tensor<2x3xf32> {graph.name = "x"}) -> tensor<2x3xf32> {
  return %x : tensor<2x3xf32>
}

// -----

// CHECK: [[@LINE+1]]:1: error: 'func.func' op graph.name "x" stands at positions 0 and 1
func.func @forward(%x: tensor<2x3xf32> {graph.name = "x", graph.role = "parameter"},
                   %y: tensor<2x3xf32> {graph.name = "x", graph.role = "input"}) -> tensor<2x3xf32> {
  return %y : tensor<2x3xf32>
}

// -----

// CHECK: [[@LINE+1]]:1: error: 'func.func' op graph.role must be parameter, state, derived, input, target or scalar, but is "weight"
func.func @forward(%x: tensor<2x3xf32> {graph.name = "x", graph.role = "weight"}) -> tensor<2x3xf32> {
  return %x : tensor<2x3xf32>
}

// -----

// CHECK: [[@LINE+2]]:20: error: parameter 'w' follows an argument of role input; the order is parameters, state, derived, inputs, targets, scalars
func.func @forward(%x: tensor<2x3xf32> {graph.name = "x", graph.role = "input"},
                   %w: tensor<2x3xf32> {graph.name = "w", graph.role = "parameter"}) -> tensor<2x3xf32> {
  return %x : tensor<2x3xf32>
}

// -----

// CHECK: [[@LINE+1]]:1: error: an argument of @forward is already named 'targets'
func.func @forward(%x: tensor<2x3xf32> {graph.name = "targets", graph.role = "input"}) -> tensor<2x3xf32> {
  return %x : tensor<2x3xf32>
}

// -----

// CHECK: [[@LINE+1]]:1: error: the module already has an @evaluate
func.func @forward(%x: tensor<2x3xf32> {graph.name = "x", graph.role = "input"}) -> tensor<2x3xf32> {
  return %x : tensor<2x3xf32>
}
func.func @evaluate() { return }

// -----

// CHECK: [[@LINE+1]]:20: error: argument 0 of @forward has no graph.name
func.func @forward(%x: tensor<2x3xf32> {graph.role = "input"}) -> tensor<2x3xf32> {
  return %x : tensor<2x3xf32>
}

// -----

// NUMBERS: [[@LINE+1]]:20: error: class axis 3 is no dimension, but @forward returns 'tensor<2x3xf32>'
func.func @forward(%x: tensor<2x3xf32> {graph.name = "x", graph.role = "input"}) -> tensor<2x3xf32> {
  return %x : tensor<2x3xf32>
}

// -----

// NUMBERS: [[@LINE+1]]:20: error: 2 class weights are not those of 3 classes, but @forward returns 'tensor<1x1x1x3xf32>'
func.func @forward(%x: tensor<1x1x1x3xf32> {graph.name = "x", graph.role = "input"}) -> tensor<1x1x1x3xf32> {
  return %x : tensor<1x1x1x3xf32>
}
