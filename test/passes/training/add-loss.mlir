// RUN: %ingot-opt %s --add-loss | FileCheck %s
// RUN: %ingot-opt %s --add-loss=loss=mse | FileCheck %s --check-prefix=MSE
// RUN: %ingot-opt %s --add-loss=loss=none | FileCheck %s --check-prefix=NONE
// RUN: %ingot-opt %s --add-loss="class-axis=1 ignore-index=2 reduction=sum weights=true" | FileCheck %s --check-prefix=CLASSES
// RUN: %ingot-opt %s --add-loss="loss=huber delta=0.5 weights=true" | FileCheck %s --check-prefix=HUBER

// @forward stays as it is; @evaluate takes targets behind the inputs and returns the loss alone.
// CHECK-LABEL: func.func @forward
// CHECK-SAME: -> (tensor<2x4x5xf32> {graph.name = "logits"}, tensor<f32>
// CHECK-LABEL: func.func @evaluate
// CHECK-SAME: %[[W:[a-z0-9_]+]]: tensor<5x3xf32> {graph.init = "normal:0.02", graph.name = "w", graph.role = "parameter"}
// CHECK-SAME: %[[X:[a-z0-9_]+]]: tensor<2x4x3xf32> {graph.name = "x", graph.role = "input"}
// CHECK-SAME: %[[TARGETS:[a-z0-9_]+]]: tensor<2x4xi32> {graph.name = "targets", graph.role = "target"}
// CHECK-SAME: %[[SCALE:[a-z0-9_]+]]: tensor<f32> {graph.name = "scale", graph.role = "scalar"}
// CHECK-SAME: -> (tensor<f32> {graph.name = "loss"})
// CHECK: %[[LOGITS:[a-z0-9_]+]] = graph.linear %[[X]], %[[W]]
// CHECK: %[[LOSS:[a-z0-9_]+]], %{{.+}} = graph.cross_entropy %[[LOGITS]], %[[TARGETS]]
// CHECK: return %[[LOSS]] : tensor<f32>

// MSE-LABEL: func.func @evaluate
// MSE-SAME: %[[TARGETS:[a-z0-9_]+]]: tensor<2x4x5xf32> {graph.name = "targets", graph.role = "target"}
// MSE: %[[LOGITS:[a-z0-9_]+]] = graph.linear
// MSE: %[[LOSS:[a-z0-9_]+]] = graph.mse %[[LOGITS]], %[[TARGETS]]
// MSE: return %[[LOSS]] : tensor<f32>

// An ignored target picks class 0, and its loss is not chosen; the classes' dimension is no dimension of the targets.
// CLASSES-LABEL: func.func @evaluate
// CLASSES-SAME: %[[TARGETS:[a-z0-9_]+]]: tensor<2x5xi32> {graph.name = "targets", graph.role = "target"}
// CLASSES-SAME: %[[WEIGHTS:[a-z0-9_]+]]: tensor<2x5xf32> {graph.name = "weights", graph.role = "target"}
// CLASSES: %[[LOGS:[a-z0-9_]+]] = graph.log_softmax %{{.+}} dimension 1
// CLASSES: %[[COUNTS:[a-z0-9_]+]] = graph.compare ne %[[TARGETS]]
// CLASSES: %[[INDEX:[a-z0-9_]+]] = graph.select %[[COUNTS]], %[[TARGETS]]
// CLASSES: %[[PICKED:[a-z0-9_]+]] = graph.pick %[[LOGS]], %[[INDEX]] dimension 1
// CLASSES: %[[ALL:[a-z0-9_]+]] = graph.neg %[[PICKED]]
// CLASSES: %[[LOSSES:[a-z0-9_]+]] = graph.select %[[COUNTS]], %[[ALL]]
// CLASSES: graph.mul %[[LOSSES]], %[[WEIGHTS]]
// CLASSES: graph.reduce sum

// Without classes a weight is a row's.
// HUBER-LABEL: func.func @evaluate
// HUBER-SAME: tensor<2x4x5xf32> {graph.name = "targets", graph.role = "target"}
// HUBER-SAME: tensor<2xf32> {graph.name = "weights", graph.role = "target"}
// HUBER: graph.formula "huber"({{.*}}) [5.000000e-01]

// NONE-LABEL: func.func @evaluate
// NONE-NOT: targets
// NONE-SAME: -> (tensor<f32> {graph.name = "loss"})
// NONE: %[[LOSS:[a-z0-9_]+]] = graph.mul
// NONE: return %[[LOSS]] : tensor<f32>
func.func @forward(
    %w: tensor<5x3xf32> {graph.name = "w", graph.role = "parameter", graph.init = "normal:0.02"},
    %x: tensor<2x4x3xf32> {graph.name = "x", graph.role = "input"},
    %scale: tensor<f32> {graph.name = "scale", graph.role = "scalar"})
    -> (tensor<2x4x5xf32> {graph.name = "logits"}, tensor<f32> {graph.name = "loss"}) {
  %logits = graph.linear %x, %w : tensor<2x4x3xf32>, tensor<5x3xf32> -> tensor<2x4x5xf32>
  %own = graph.mul %scale, %scale : tensor<f32>
  return %logits, %own : tensor<2x4x5xf32>, tensor<f32>
}
