// RUN: %ingot-opt %s -pack-weights=target=cpu:x86-64-v4 | FileCheck %s

// What a kernel would pack at each run is packed where the parameter lies; its kernel reads it through kernel.unpack.
// What some function writes, or another reader needs plain, stays as it is, and so does the kernel that reads it.
// CHECK-LABEL: func.func private @product_packed(
// CHECK-SAME: %[[W:[a-z0-9]+]]: tensor<13520xf32>)
// CHECK: %[[U:[a-z0-9]+]] = kernel.unpack %[[W]] <tensor<200x64xf32>, matrices = 1, rows = 200, depth = 64, depth_last = true> : tensor<13520xf32> -> tensor<200x64xf32>
// CHECK: graph.contract %{{.*}}, %[[U]]
// CHECK-LABEL: func.func private @product(
// CHECK-SAME: %{{.*}}: tensor<200x64xf32>
func.func private @product(%x: tensor<512x64xf32>, %w: tensor<200x64xf32>) -> tensor<512x200xf32>
    attributes {graph.kernel = "contraction"} {
  %0 = graph.contract %x, %w batch [] x [] over [1] x [1] : tensor<512x64xf32>, tensor<200x64xf32> -> tensor<512x200xf32>
  return %0 : tensor<512x200xf32>
}

// CHECK-LABEL: func.func @forward
// CHECK-SAME: %[[READ:[a-z0-9]+]]: tensor<13520xf32> {graph.name = "read", graph.role = "parameter", kernel.layout = #kernel.panels<tensor<200x64xf32>, matrices = 1, rows = 200, depth = 64, depth_last = true>}
// CHECK-SAME: %[[WRITTEN:[a-z0-9]+]]: tensor<200x64xf32> {graph.name = "written"
// CHECK-SAME: %[[RETURNED:[a-z0-9]+]]: tensor<200x64xf32> {graph.name = "returned"
// CHECK: call @product_packed(%{{.*}}, %[[READ]])
// CHECK: call @product(%{{.*}}, %[[WRITTEN]])
// CHECK: call @product(%{{.*}}, %[[RETURNED]])
func.func @forward(%read: tensor<200x64xf32> {graph.name = "read", graph.role = "parameter"},
                   %written: tensor<200x64xf32> {graph.name = "written", graph.role = "parameter"},
                   %returned: tensor<200x64xf32> {graph.name = "returned", graph.role = "parameter"},
                   %x: tensor<512x64xf32> {graph.name = "x", graph.role = "input"})
    -> (tensor<512x200xf32>, tensor<512x200xf32>, tensor<512x200xf32>, tensor<200x64xf32>) {
  %0 = call @product(%x, %read) : (tensor<512x64xf32>, tensor<200x64xf32>) -> tensor<512x200xf32>
  %1 = call @product(%x, %written) : (tensor<512x64xf32>, tensor<200x64xf32>) -> tensor<512x200xf32>
  %2 = call @product(%x, %returned) : (tensor<512x64xf32>, tensor<200x64xf32>) -> tensor<512x200xf32>
  return %0, %1, %2, %returned : tensor<512x200xf32>, tensor<512x200xf32>, tensor<512x200xf32>, tensor<200x64xf32>
}
func.func private @zeros() -> tensor<200x64xf32> attributes {graph.kernel = "elementwise"}
// CHECK-LABEL: func.func @init
func.func @init() -> (tensor<200x64xf32> {graph.name = "written", graph.role = "parameter"}) {
  %0 = call @zeros() : () -> tensor<200x64xf32>
  return %0 : tensor<200x64xf32>
}
