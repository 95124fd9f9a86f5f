// RUN: %ingot-opt %s --schedule-kernels | FileCheck %s

#both = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>

// What no load reads may be overwritten, whatever the kernel's root.
// CHECK-LABEL: @unread(
// CHECK-SAME: sharing = [0 with 0 same_point, 0 with 1 same_point]
func.func private @unread(%x: tensor<5x8xf32>, %old: tensor<5x8xf32>) -> tensor<5x8xf32> attributes {graph.kernel = "elementwise"} {
  %0 = linalg.generic {indexing_maps = [#both, #both], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<5x8xf32>) outs(%old : tensor<5x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = arith.addf %a, %a : f32
    linalg.yield %1 : f32
  } -> tensor<5x8xf32>
  return %0 : tensor<5x8xf32>
}

// What a reduction before reads is overwritten row by row.
// CHECK-LABEL: @unreadInRows(
// CHECK-SAME: sharing = [0 with 0 same_row of 8, 0 with 1 same_point]
func.func private @unreadInRows(%x: tensor<5x8xf32>, %old: tensor<5x8xf32>) -> tensor<5x8xf32> attributes {graph.kernel = "row"} {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<5xf32>
  %none = linalg.fill ins(%zero : f32) outs(%empty : tensor<5xf32>) -> tensor<5xf32>
  %sum = linalg.generic {indexing_maps = [#both, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<5x8xf32>) outs(%none : tensor<5xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = arith.addf %o, %a : f32
    linalg.yield %1 : f32
  } -> tensor<5xf32>
  %0 = linalg.generic {indexing_maps = [#both, #row, #both], iterator_types = ["parallel", "parallel"]}
      ins(%x, %sum : tensor<5x8xf32>, tensor<5xf32>) outs(%old : tensor<5x8xf32>) {
  ^bb0(%a: f32, %s: f32, %o: f32):
    %1 = arith.subf %a, %s : f32
    linalg.yield %1 : f32
  } -> tensor<5x8xf32>
  return %0 : tensor<5x8xf32>
}
