// RUN: %ingot-opt %s --keep-rounded --split-input-file | FileCheck %s

// One of a bucket is multiplied in bf16: the update rounds them all, and one rounding is kept. What is
// frozen is never rounded again. Functions share what is kept; the loss reads a parameter as it is.
// CHECK-LABEL: func.func @evaluate(
// CHECK-SAME: %[[N:[a-z0-9]+]]: tensor<8x4xbf16> {graph.name = "rounded.w", graph.role = "derived"}
// CHECK-NOT: graph.cast
// CHECK: graph.linear %{{.+}}, %[[N]]
// CHECK-LABEL: func.func @step(
// CHECK-SAME: %[[W:[a-z0-9]+]]: tensor<8x4xf32> {graph.donated = 0 : i64, graph.name = "w", graph.role = "parameter"}
// CHECK-SAME: %[[N:[a-z0-9]+]]: tensor<8x4xbf16> {graph.donated = 4 : i64, graph.name = "rounded.w", graph.role = "derived"}
// CHECK-SAME: %[[F:[a-z0-9]+]]: tensor<8x8xbf16> {graph.donated = 5 : i64, graph.name = "rounded.frozen", graph.role = "derived"}
// CHECK-SAME: tensor<8x4xbf16> {graph.name = "rounded.w", graph.role = "derived"}
// CHECK-SAME: tensor<8x8xbf16> {graph.name = "rounded.frozen", graph.role = "derived"}
// CHECK-NOT: graph.cast %[[W]]
// CHECK: graph.linear %{{.+}}, %[[N]]
// CHECK: %[[ROWS:.+]] = graph.reduce{{ +}}sum %{{.+}} : tensor<8x8xf32>
// CHECK: %[[U:[a-z]+]]:2, %[[R:[a-z]+]]:2, %[[B:[a-z]+]] = graph.update({{.*}} -> tensor<8x4xf32>, tensor<8xf32> rounded tensor<8x4xbf16>, tensor<8xbf16> beyond tensor<1xi32>
// CHECK: return %[[U]]#0, %[[U]]#1, %{{.+}}, %[[B]], %[[R]]#0, %[[F]]
// CHECK-LABEL: func.func @derive(
// CHECK-SAME: %[[W:[a-z0-9]+]]: tensor<8x4xf32> {graph.name = "w", graph.role = "parameter"}
// CHECK-SAME: tensor<8x4xbf16> {graph.name = "rounded.w", graph.role = "derived"}
// CHECK: graph.cast %[[W]] : tensor<8x4xf32> -> tensor<8x4xbf16>
module {
  func.func @evaluate(%w: tensor<8x4xf32> {graph.name = "w", graph.role = "parameter"},
                      %x: tensor<2x4xbf16> {graph.name = "x", graph.role = "input"}) -> (tensor<2x8xf32> {graph.name = "y"}) {
    %wn = graph.cast %w : tensor<8x4xf32> -> tensor<8x4xbf16>
    %y = graph.linear %x, %wn : tensor<2x4xbf16>, tensor<8x4xbf16> -> tensor<2x8xf32>
    return %y : tensor<2x8xf32>
  }
  func.func @step(%w: tensor<8x4xf32> {graph.name = "w", graph.role = "parameter", graph.donated = 0},
                  %b: tensor<8xf32> {graph.name = "b", graph.role = "parameter", graph.donated = 1},
                  %frozen: tensor<8x8xf32> {graph.name = "frozen", graph.role = "parameter"},
                  %x: tensor<2x4xbf16> {graph.name = "x", graph.role = "input"},
                  %dw: tensor<8x4xf32> {graph.name = "dw", graph.role = "input"})
      -> (tensor<8x4xf32> {graph.name = "w", graph.role = "parameter"}, tensor<8xf32> {graph.name = "b", graph.role = "parameter"},
          tensor<2x8xf32> {graph.name = "y"}, tensor<1xi32> {graph.name = "gradient_beyond.0", graph.members = ["w", "b"]}) {
    %wn = graph.cast %w : tensor<8x4xf32> -> tensor<8x4xbf16>
    %fn = graph.cast %frozen : tensor<8x8xf32> -> tensor<8x8xbf16>
    %h = graph.linear %x, %wn : tensor<2x4xbf16>, tensor<8x4xbf16> -> tensor<2x8xf32>
    %hn = graph.cast %h : tensor<2x8xf32> -> tensor<2x8xbf16>
    %y = graph.linear %hn, %fn : tensor<2x8xbf16>, tensor<8x8xbf16> -> tensor<2x8xf32>
    %rows = graph.reduce sum %frozen [1] : tensor<8x8xf32> -> tensor<8xf32>
    %w1, %b1, %beyond = graph.update(%w, %b) gradients(%dw, %rows) state() scalars() {limit = 1.0 : f64}
        : tensor<8x4xf32>, tensor<8xf32>, tensor<8x4xf32>, tensor<8xf32> -> tensor<8x4xf32>, tensor<8xf32> beyond tensor<1xi32> {
    ^bb0(%parameter: tensor<f32>, %gradient: tensor<f32>):
      %next = graph.sub %parameter, %gradient : tensor<f32>
      graph.yield %next : tensor<f32>
    }
    return %w1, %b1, %y, %beyond : tensor<8x4xf32>, tensor<8xf32>, tensor<2x8xf32>, tensor<1xi32>
  }
}

// -----

// Without a rounding there is nothing to keep.
// CHECK-LABEL: func.func @step(
// CHECK-NOT: derived
// CHECK-NOT: @derive
func.func @step(%w: tensor<8xf32> {graph.name = "w", graph.role = "parameter", graph.donated = 0})
    -> (tensor<8xf32> {graph.name = "w", graph.role = "parameter"}) {
  return %w : tensor<8xf32>
}
