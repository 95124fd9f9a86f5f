// RUN: %ingot-opt %s --graph-to-linalg --contract-arithmetic --canonicalize | FileCheck %s

// Only here the places are found to be constants. The gather remains: a folded one would be a
// graph.constant, which this stage no longer has.
// CHECK-LABEL: func.func @forward
// CHECK-NOT: graph.constant
// CHECK: graph.gather
// CHECK-NOT: graph.constant
func.func @forward() -> tensor<1x2xi64> {
  %table = graph.constant dense<7> : tensor<512xi64>
  %row = graph.iota 0 : tensor<1x2xi64>
  %columns = graph.constant dense<[[0, 1]]> : tensor<1x2xi64>
  %places = graph.add %row, %columns : tensor<1x2xi64>
  %y = graph.gather %table, %places dimension 0 : tensor<512xi64>, tensor<1x2xi64> -> tensor<1x2xi64>
  return %y : tensor<1x2xi64>
}
