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

// A loop carries the error word out, the least one of its iterations; a branch that is not taken finds none. Numbers of
// iterations are inside where no more run than there are rows.
// CHECK-LABEL: func.func @inside
// CHECK-SAME: graph.role = "error"
// CHECK: %[[LOOP:.*]]:3 = graph.loop %{{.*}} at_most 9 carry
// CHECK: ^bb0(%{{.*}}: tensor<i64>, %{{.*}}: tensor<8xf32>, %[[BEFORE:.*]]: tensor<i64>):
// CHECK: %[[IF:.*]]:2 = graph.if
// CHECK: graph.compare lt
// CHECK: graph.yield %{{.*}}, %{{.*}} : tensor<1x8xf32>, tensor<i64>
// CHECK: graph.constant
// CHECK: graph.yield %{{.*}}, %{{.*}} : tensor<1x8xf32>, tensor<i64>
// CHECK: %[[LEAST:.*]] = graph.minimum %[[BEFORE]], %[[IF]]#1
// CHECK: graph.yield %{{.*}}, %[[LEAST]], %{{.*}}
// CHECK: return %[[LOOP]]#2, %[[LOOP]]#1
func.func @inside(%table: tensor<9x8xf32> {graph.name = "table", graph.role = "parameter"},
                  %n: tensor<i64> {graph.name = "n", graph.role = "input"},
                  %c: tensor<i1> {graph.name = "c", graph.role = "input"})
    -> (tensor<9x1x8xf32> {graph.name = "y"}) {
  %zero = graph.constant dense<0.0> : tensor<8xf32>
  %last, %y = graph.loop %n at_most 9 carry (%zero : tensor<8xf32>) : tensor<i64> -> (tensor<8xf32>, tensor<9x1x8xf32>) {
  ^bb0(%i: tensor<i64>, %v: tensor<8xf32>):
    %z = graph.if %c : tensor<i1> -> (tensor<1x8xf32>) {
      %j = graph.add %i, %i : tensor<i64>
      %row = graph.dynamic_slice %table, %j dimension 0 size 1 : tensor<9x8xf32>, tensor<i64> -> tensor<1x8xf32>
      graph.yield %row : tensor<1x8xf32>
    } else {
      %row = graph.dynamic_slice %table, %i dimension 0 size 1 : tensor<9x8xf32>, tensor<i64> -> tensor<1x8xf32>
      graph.yield %row : tensor<1x8xf32>
    }
    graph.yield %v, %z : tensor<8xf32>, tensor<1x8xf32>
  }
  return %y : tensor<9x1x8xf32>
}

// An index that a loop makes, whose own word replaces the loop.
// CHECK-LABEL: func.func @from_a_loop
// CHECK: %[[LOOP:.*]]:2 = graph.loop
// CHECK: graph.compare lt %[[LOOP]]#0
// CHECK: graph.compare ge
func.func @from_a_loop(%table: tensor<9x8xf32> {graph.name = "table", graph.role = "parameter"},
                       %next: tensor<9xi64> {graph.name = "next", graph.role = "input"},
                       %n: tensor<i64> {graph.name = "n", graph.role = "input"})
    -> (tensor<1x8xf32> {graph.name = "y"}) {
  %zero = graph.constant dense<0> : tensor<1xi64>
  %at = graph.loop %n at_most 9 carry (%zero : tensor<1xi64>) : tensor<i64> -> (tensor<1xi64>) {
  ^bb0(%i: tensor<i64>, %v: tensor<1xi64>):
    %twice = graph.add %v, %v : tensor<1xi64>
    %w = graph.gather %next, %twice dimension 0 : tensor<9xi64>, tensor<1xi64> -> tensor<1xi64>
    graph.yield %w : tensor<1xi64>
  }
  %y = graph.gather %table, %at dimension 0 : tensor<9x8xf32>, tensor<1xi64> -> tensor<1x8xf32>
  return %y : tensor<1x8xf32>
}

// A divisor that may be 0 sets an error word, before it is repeated; a constant other than 0 needs none.
// CHECK-LABEL: func.func @divides
// CHECK-SAME: tensor<3xi32> {graph.name = "d"
// CHECK-SAME: tensor<i64> {graph.name = "{{.*}}: an integer is divided by zero", graph.role = "error"}
// CHECK: %[[WRONG:.*]] = graph.compare eq
// CHECK: graph.select %[[WRONG]]
// CHECK: graph.reduce min
// CHECK-NOT: graph.compare
// CHECK: return
func.func @divides(%x: tensor<2x3xi32> {graph.name = "x", graph.role = "input"},
                   %d: tensor<3xi32> {graph.name = "d", graph.role = "input"})
    -> (tensor<2x3xi32> {graph.name = "y"}, tensor<2x3xi32> {graph.name = "z"}) {
  %two = graph.constant dense<2> : tensor<2x3xi32>
  %by = graph.broadcast %d [1] : tensor<3xi32> -> tensor<2x3xi32>
  %y = graph.div %x, %by : tensor<2x3xi32>
  %rest = graph.modulo %y, %by : tensor<2x3xi32>
  %z = graph.remainder %rest, %two : tensor<2x3xi32>
  return %y, %z : tensor<2x3xi32>, tensor<2x3xi32>
}
