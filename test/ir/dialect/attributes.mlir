// RUN: %ingot-opt %s | %ingot-opt | FileCheck %s

// Attributes of a training program, symbols of `?` dimensions, and the types that exist for import.

// CHECK: module attributes {graph.metadata = "{\22family\22: \22mlp\22}"}
module attributes {graph.metadata = "{\"family\": \"mlp\"}"} {
  // CHECK: @step(%{{.*}}: tensor<4xf32> {graph.donated = 0 : i64, graph.init = "uniform:0.5", graph.name = "w", graph.role = "parameter"}
  func.func @step(%w: tensor<4xf32> {graph.name = "w", graph.role = "parameter", graph.init = "uniform:0.5", graph.donated = 0 : i64},
                  %m: tensor<4xf32> {graph.name = "sgd.momentum.w", graph.role = "state", graph.donated = 1 : i64},
                  %lr: tensor<f32> {graph.name = "learning_rate", graph.role = "scalar"})
      -> (tensor<4xf32> {graph.name = "w", graph.role = "parameter"}, tensor<4xf32> {graph.name = "sgd.momentum.w", graph.role = "state"}) {
    return %w, %m : tensor<4xf32>, tensor<4xf32>
  }
  // CHECK: @symbols(%{{.*}}: tensor<?x?x8xf32> {graph.symbols = ["batch", "sequence"]})
  func.func @symbols(%x: tensor<?x?x8xf32> {graph.symbols = ["batch", "sequence"]}) -> tensor<?x?x8xf32> {
    %y = graph.softmax %x dimension 2 : tensor<?x?x8xf32>
    return %y : tensor<?x?x8xf32>
  }
  // CHECK: @import_types(%{{.*}}: !graph.sequence<tensor<?xf32>>, %{{.*}}: !graph.optional<!graph.sequence<tensor<4xi64>>>
  func.func @import_types(%s: !graph.sequence<tensor<?xf32>>, %o: !graph.optional<!graph.sequence<tensor<4xi64>>>,
                          %c: tensor<i1>) -> !graph.sequence<tensor<?xf32>> {
    %r = graph.if %c : tensor<i1> -> (!graph.sequence<tensor<?xf32>>) {
      graph.yield %s : !graph.sequence<tensor<?xf32>>
    } else {
      graph.yield %s : !graph.sequence<tensor<?xf32>>
    }
    return %r : !graph.sequence<tensor<?xf32>>
  }
}
