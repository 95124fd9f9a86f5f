// RUN: %ingot-opt %s -pack-weights=target=cpu:x86-64-v3 | FileCheck %s

// Both factors would be packed at each run, and either could be the weight: it is the one that is packed once.
// Of two weights in one call the first is.
// CHECK-LABEL: func.func @forward
// CHECK-SAME: %[[W:[a-z0-9]+]]: tensor<{{[0-9]+}}xf32> {graph.name = "left", graph.role = "parameter", kernel.layout = #kernel.panels<tensor<256x64xf32>
// CHECK-SAME: %[[V:[a-z0-9]+]]: tensor<{{[0-9]+}}xf32> {graph.name = "right", graph.role = "parameter", kernel.layout = #kernel.panels<tensor<64x49xf32>
// CHECK-SAME: %[[A:[a-z0-9]+]]: tensor<{{[0-9]+}}xf32> {graph.name = "one", graph.role = "parameter", kernel.layout
// CHECK-SAME: %[[B:[a-z0-9]+]]: tensor<64x49xf32> {graph.name = "two"
func.func private @product(%w: tensor<256x64xf32>, %x: tensor<64x49xf32>) -> tensor<256x49xf32>
    attributes {graph.kernel = "contraction"} {
  %0 = graph.contract %w, %x batch [] x [] over [1] x [0] : tensor<256x64xf32>, tensor<64x49xf32> -> tensor<256x49xf32>
  return %0 : tensor<256x49xf32>
}
func.func @forward(%left: tensor<256x64xf32> {graph.name = "left", graph.role = "parameter"},
                   %right: tensor<64x49xf32> {graph.name = "right", graph.role = "parameter"},
                   %one: tensor<256x64xf32> {graph.name = "one", graph.role = "parameter"},
                   %two: tensor<64x49xf32> {graph.name = "two", graph.role = "parameter"},
                   %x: tensor<64x49xf32> {graph.name = "x", graph.role = "input"},
                   %y: tensor<256x64xf32> {graph.name = "y", graph.role = "input"})
    -> (tensor<256x49xf32>, tensor<256x49xf32>, tensor<256x49xf32>) {
  %0 = call @product(%left, %x) : (tensor<256x64xf32>, tensor<64x49xf32>) -> tensor<256x49xf32>
  %1 = call @product(%y, %right) : (tensor<256x64xf32>, tensor<64x49xf32>) -> tensor<256x49xf32>
  %2 = call @product(%one, %two) : (tensor<256x64xf32>, tensor<64x49xf32>) -> tensor<256x49xf32>
  return %0, %1, %2 : tensor<256x49xf32>, tensor<256x49xf32>, tensor<256x49xf32>
}
