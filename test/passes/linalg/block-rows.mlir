// RUN: %ingot-opt %s --block-rows=limit=16000 --cse | FileCheck %s
#id = affine_map<(r, c) -> (r, c)>
#row = affine_map<(r, c) -> (r)>

// A linear layer, a loss on its rows and both gradients: logits exist for four rows at a time. Values with rows
// are joined, the weight gradient is added up; a block waits for all that the block before gave.
// CHECK-LABEL: func.func @loss(
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<8x4xf32>, %[[W:[a-z0-9]+]]: tensor<1000x4xf32>
// CHECK: %[[X0:.+]] = tensor.extract_slice %[[X]][0, 0] [4, 4] [1, 1]
// CHECK: %[[Y0:.+]] = graph.contract %[[X0]], %[[W]] {{.*}} -> tensor<4x1000xf32>
// CHECK: %[[S0:.+]] = linalg.generic {{.*}} ins(%[[Y0]] : tensor<4x1000xf32>) outs(%{{.+}} : tensor<4xf32>)
// CHECK: %[[H0:.+]] = linalg.generic {{.*}} ins(%[[S0]] : tensor<4xf32>)
// CHECK: %[[D0:.+]] = linalg.generic {{.*}} ins(%[[Y0]], %[[S0]] : tensor<4x1000xf32>, tensor<4xf32>)
// CHECK: %[[DX0:.+]] = graph.contract %[[D0]], %[[W]] {{.*}} -> tensor<4x4xf32>
// CHECK: %[[DW0:.+]] = graph.contract %[[D0]], %[[X0]] {{.*}} -> tensor<1000x4xf32>
// CHECK: %[[SLICE:.+]] = tensor.extract_slice %[[X]][4, 0] [4, 4] [1, 1]
// CHECK: %[[X1:.+]] = graph.after %[[SLICE]], %[[H0]], %[[DX0]], %[[DW0]] apart
// CHECK: %[[Y1:.+]] = graph.contract %[[X1]], %[[W]]
// CHECK: %[[H1:.+]] = linalg.generic {{.*}} iterator_types = ["parallel"]} ins(
// CHECK: %[[DX1:.+]] = graph.contract %{{.+}}, %[[W]] {{.*}} -> tensor<4x4xf32>
// CHECK: %[[PART:.+]] = graph.contract %{{.+}}, %[[X1]] {{.*}} -> tensor<1000x4xf32>
// CHECK: %[[DW:.+]] = linalg.generic {{.*}} ins(%[[DW0]], %[[PART]] :
// CHECK-NOT: graph.contract
// CHECK-DAG: %[[H:.+]] = tensor.concat dim(0) %[[H0]], %[[H1]]
// CHECK-DAG: %[[DX:.+]] = tensor.concat dim(0) %[[DX0]], %[[DX1]]
// CHECK: return %[[H]], %[[DX]], %[[DW]]
func.func @loss(%x: tensor<8x4xf32>, %w: tensor<1000x4xf32>) -> (tensor<8xf32>, tensor<8x4xf32>, tensor<1000x4xf32>) {
  %zero = arith.constant dense<0.0> : tensor<8xf32>
  %y = graph.contract %x, %w batch [] x [] over [1] x [1] : tensor<8x4xf32>, tensor<1000x4xf32> -> tensor<8x1000xf32>
  %s = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%y : tensor<8x1000xf32>) outs(%zero : tensor<8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.addf %in, %out : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %e1 = tensor.empty() : tensor<8xf32>
  %h = linalg.generic {indexing_maps = [affine_map<(r) -> (r)>, affine_map<(r) -> (r)>], iterator_types = ["parallel"]}
      ins(%s : tensor<8xf32>) outs(%e1 : tensor<8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.log %in : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %e = tensor.empty() : tensor<8x1000xf32>
  %d = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%y, %s : tensor<8x1000xf32>, tensor<8xf32>) outs(%e : tensor<8x1000xf32>) {
  ^bb0(%in: f32, %sum: f32, %out: f32):
    %0 = arith.subf %in, %sum : f32
    linalg.yield %0 : f32
  } -> tensor<8x1000xf32>
  %dx = graph.contract %d, %w batch [] x [] over [1] x [0] : tensor<8x1000xf32>, tensor<1000x4xf32> -> tensor<8x4xf32>
  %dw = graph.contract %d, %x batch [] x [] over [0] x [0] : tensor<8x1000xf32>, tensor<8x4xf32> -> tensor<1000x4xf32>
  return %h, %dx, %dw : tensor<8xf32>, tensor<8x4xf32>, tensor<1000x4xf32>
}

// What the function returns is stored whole anyway.
// CHECK-LABEL: func.func @returned(
// CHECK-NOT: extract_slice
func.func @returned(%x: tensor<8x4xf32>, %w: tensor<1000x4xf32>) -> tensor<8x1000xf32> {
  %y = graph.contract %x, %w batch [] x [] over [1] x [1] : tensor<8x4xf32>, tensor<1000x4xf32> -> tensor<8x1000xf32>
  return %y : tensor<8x1000xf32>
}

// Every block of rows reads all columns, and every block of columns all rows: no block can run alone.
// CHECK-LABEL: func.func @mixed(
// CHECK-NOT: extract_slice
func.func @mixed(%x: tensor<64x4xf32>, %w: tensor<64x4xf32>) -> tensor<64xf32> {
  %zero = arith.constant dense<0.0> : tensor<64xf32>
  %y = graph.contract %x, %w batch [] x [] over [1] x [1] : tensor<64x4xf32>, tensor<64x4xf32> -> tensor<64x64xf32>
  %t = linalg.generic {indexing_maps = [#id, affine_map<(r, c) -> (c, r)>, #row], iterator_types = ["parallel", "reduction"]}
      ins(%y, %y : tensor<64x64xf32>, tensor<64x64xf32>) outs(%zero : tensor<64xf32>) {
  ^bb0(%in: f32, %turned: f32, %out: f32):
    %0 = arith.mulf %in, %turned : f32
    %1 = arith.addf %0, %out : f32
    linalg.yield %1 : f32
  } -> tensor<64xf32>
  return %t : tensor<64xf32>
}
