// RUN: %ingot-opt %s -form-kernels -schedule-kernels -lower-kernels -canonicalize | FileCheck %s

// In the gradient of a filter windows lie along the sums: its taps are computed side by side, line by line of the image.
// CHECK-LABEL: func.func @filter_gradient(
// CHECK-NOT: vector.gather
// CHECK: vector.maskedload
// CHECK-NOT: vector.gather
// CHECK: graph.kernel = "row"
// CHECK-SAME: line = [14, 1], rows = 72, rows_at_once = 9
#windows = affine_map<(c, i, j, y, x) -> (c, y + i, x + j)>
#image = affine_map<(c, i, j, y, x) -> (c, y, x)>
#filter = affine_map<(c, i, j, y, x) -> (c, i, j)>
func.func @filter_gradient(%x: tensor<8x16x16xf32>, %dy: tensor<8x14x14xf32>) -> tensor<8x3x3xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x3x3xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<8x3x3xf32>) -> tensor<8x3x3xf32>
  %y = linalg.generic {indexing_maps = [#windows, #image, #filter], iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %dy : tensor<8x16x16xf32>, tensor<8x14x14xf32>) outs(%z : tensor<8x3x3xf32>) {
  ^bb0(%a: f32, %b: f32, %s: f32):
    %t = math.fma %a, %b, %s : f32
    linalg.yield %t : f32
  } -> tensor<8x3x3xf32>
  return %y : tensor<8x3x3xf32>
}
