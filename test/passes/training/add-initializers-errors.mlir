// RUN: not %ingot-opt %s --add-initializers --split-input-file 2>&1 | FileCheck %s

// CHECK: error: the module has no function @forward; the frontend makes it
func.func @other() { return }

// -----

// CHECK: [[@LINE+1]]:20: error: parameter 'a' has no graph.init
func.func @forward(%a: tensor<3xf32> {graph.name = "a", graph.role = "parameter"}) -> tensor<3xf32> {
  return %a : tensor<3xf32>
}

// -----

// CHECK: [[@LINE+1]]:1: error: 'func.func' op graph.init must be normal:STD, uniform:LIMIT, constant:VALUE or file, but is "xavier:1"
func.func @forward(%a: tensor<3xf32> {graph.name = "a", graph.role = "parameter", graph.init = "xavier:1"}) -> tensor<3xf32> {
  return %a : tensor<3xf32>
}

// -----

// CHECK: [[@LINE+1]]:1: error: 'func.func' op graph.init must be normal:STD, uniform:LIMIT, constant:VALUE or file, but is "normal:wide"
func.func @forward(%a: tensor<3xf32> {graph.name = "a", graph.role = "parameter", graph.init = "normal:wide"}) -> tensor<3xf32> {
  return %a : tensor<3xf32>
}
