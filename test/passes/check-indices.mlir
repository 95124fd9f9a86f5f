// RUN: %ingot-opt --check-indices %s | FileCheck %s

// An index that enters gets its limit there, the smaller one of two; what moves it on does not matter.
// CHECK-LABEL: func.func @enters
// CHECK-SAME: %[[T:.*]]: tensor<65x8xf32> {graph.name = "table"
// CHECK-SAME: %[[I:.*]]: tensor<2x3xi32> {graph.limit = 40 : i64, graph.name = "i"
// CHECK-NOT: graph.compare
// CHECK: return
func.func @enters(%table: tensor<65x8xf32> {graph.name = "table", graph.role = "parameter"},
                  %small: tensor<40x8xf32> {graph.name = "small", graph.role = "parameter"},
                  %i: tensor<2x3xi32> {graph.name = "i", graph.role = "input"})
    -> (tensor<6x8xf32> {graph.name = "y"}, tensor<6x8xf32> {graph.name = "z"}) {
  %flat = graph.reshape %i : tensor<2x3xi32> -> tensor<6xi32>
  %wide = graph.cast %flat : tensor<6xi32> -> tensor<6xi64>
  %y = graph.gather %table, %wide dimension 0 : tensor<65x8xf32>, tensor<6xi64> -> tensor<6x8xf32>
  %z = graph.gather %small, %flat dimension 0 : tensor<40x8xf32>, tensor<6xi32> -> tensor<6x8xf32>
  return %y, %z : tensor<6x8xf32>, tensor<6x8xf32>
}

// A computed index sets an error word; the transpose of the gather needs no second one.
// CHECK-LABEL: func.func @computed
// CHECK-SAME: tensor<4xi32> {graph.name = "i"
// CHECK-SAME: tensor<i64> {graph.name = "{{.*}}: an index is outside [0, 65)", graph.role = "error"}
// CHECK: graph.compare lt
// CHECK: graph.compare ge
// CHECK: %[[BAD:.*]] = graph.reduce min
// CHECK-NOT: graph.compare
// CHECK: return {{.*}}, %[[BAD]]
func.func @computed(%table: tensor<65x8xf32> {graph.name = "table", graph.role = "parameter"},
                    %i: tensor<4xi32> {graph.name = "i", graph.role = "input"})
    -> (tensor<4x8xf32> {graph.name = "y"}, tensor<65x8xf32> {graph.name = "z"}) {
  %j = graph.add %i, %i : tensor<4xi32>
  %y = graph.gather %table, %j dimension 0 : tensor<65x8xf32>, tensor<4xi32> -> tensor<4x8xf32>
  %z = graph.scatter_add %table, %j, %y dimension 0 : tensor<65x8xf32>, tensor<4xi32>, tensor<4x8xf32>
  return %y, %z : tensor<4x8xf32>, tensor<65x8xf32>
}

// What is known to be inside is not checked.
// CHECK-LABEL: func.func @known
// CHECK-NOT: graph.compare
// CHECK: return
func.func @known(%table: tensor<65x8xf32> {graph.name = "table", graph.role = "parameter"})
    -> (tensor<9x8xf32> {graph.name = "y"}, tensor<2x8xf32> {graph.name = "z"}) {
  %i = graph.iota 0 : tensor<9xi32>
  %c = graph.constant dense<[3, 64]> : tensor<2xi32>
  %y = graph.gather %table, %i dimension 0 : tensor<65x8xf32>, tensor<9xi32> -> tensor<9x8xf32>
  %z = graph.gather %table, %c dimension 0 : tensor<65x8xf32>, tensor<2xi32> -> tensor<2x8xf32>
  return %y, %z : tensor<9x8xf32>, tensor<2x8xf32>
}
