// RUN: %ingot-opt %s --add-initializers | FileCheck %s

// Results bear the parameters' names; each random parameter draws from the stream of its number.
// CHECK-LABEL: func.func @init(
// CHECK-SAME: %[[SEED:[a-z0-9]+]]: tensor<i64> {graph.name = "seed", graph.role = "scalar"})
// CHECK-SAME: -> (tensor<4x3xf32> {graph.name = "a", graph.role = "parameter"}, tensor<3xf32> {graph.name = "b", graph.role = "parameter"}, tensor<2x2xf32> {graph.name = "c", graph.role = "parameter"})
// CHECK: %[[NORMAL:.+]] = graph.random_normal %[[SEED]], %{{.+}} id 0 : tensor<i64>, tensor<i64> -> tensor<4x3xf32>
// CHECK: %[[STD:.+]] = graph.constant dense<2.000000e-02> : tensor<4x3xf32>
// CHECK: %[[A:.+]] = graph.mul %[[NORMAL]], %[[STD]]
// CHECK: %[[B:.+]] = graph.constant dense<1.000000e+00> : tensor<3xf32>
// CHECK: %[[UNIT:.+]] = graph.random_uniform %[[SEED]], %{{.+}} id 2 : tensor<i64>, tensor<i64> -> tensor<2x2xf32>
// CHECK: %[[WIDTH:.+]] = graph.constant dense<5.000000e-01> : tensor<2x2xf32>
// CHECK: %[[SCALED:.+]] = graph.mul %[[UNIT]], %[[WIDTH]]
// CHECK: %[[LIMIT:.+]] = graph.constant dense<2.500000e-01> : tensor<2x2xf32>
// CHECK: %[[C:.+]] = graph.sub %[[SCALED]], %[[LIMIT]]
// CHECK: return %[[A]], %[[B]], %[[C]]
func.func @forward(
    %a: tensor<4x3xf32> {graph.name = "a", graph.role = "parameter", graph.init = "normal:0.02"},
    %b: tensor<3xf32> {graph.name = "b", graph.role = "parameter", graph.init = "constant:1"},
    %c: tensor<2x2xf32> {graph.name = "c", graph.role = "parameter", graph.init = "uniform:0.25"},
    %x: tensor<4x3xf32> {graph.name = "x", graph.role = "input"}) -> tensor<4x3xf32> {
  return %x : tensor<4x3xf32>
}
