// RUN: %ingot-opt %s --block-rows=limit=65536 --cse | FileCheck %s
#id = affine_map<(r, c) -> (r, c)>
#row = affine_map<(r, c) -> (r)>

// Eight blocks are the iterations of a loop: values with rows are stacked, the weight gradient is carried, from -0 on.
// CHECK-LABEL: func.func @loss(
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<128x16xf32>, %[[W:[a-z0-9]+]]: tensor<1000x16xf32>
// CHECK: %[[START:.+]] = arith.constant dense<-0.000000e+00> : tensor<1000x16xf32>
// CHECK: %[[COUNT:.+]] = arith.constant dense<8> : tensor<i64>
// CHECK: %[[ROWS:.+]] = tensor.expand_shape %[[X]]
// CHECK: %[[LOOP:.+]]:3 = graph.loop %[[COUNT]] carry(%[[START]] : tensor<1000x16xf32>)
// CHECK-NEXT: ^bb0(%[[I:.+]]: tensor<i64>, %[[SUM:.+]]: tensor<1000x16xf32>):
// CHECK: %[[PART:.+]] = graph.dynamic_slice %[[ROWS]], %[[I]] dimension 0 size 1
// CHECK: %[[XI:.+]] = tensor.collapse_shape %[[PART]]
// CHECK: %[[Y:.+]] = graph.contract %[[XI]], %[[W]] {{.*}} -> tensor<16x1000xf32>
// CHECK: %[[S:.+]] = linalg.generic {{.*}} ins(%[[Y]] : tensor<16x1000xf32>)
// CHECK: %[[DX:.+]] = graph.contract %{{.+}}, %[[W]] {{.*}} -> tensor<16x16xf32>
// CHECK: %[[SHARE:.+]] = graph.contract %{{.+}}, %[[XI]] {{.*}} -> tensor<1000x16xf32>
// CHECK: %[[NEXT:.+]] = linalg.generic {{.*}} ins(%[[SUM]], %[[SHARE]] :
// CHECK: graph.yield %[[NEXT]], %[[S]], %[[DX]]
// CHECK-DAG: %[[ALLS:.+]] = tensor.collapse_shape %[[LOOP]]#1
// CHECK-DAG: %[[ALLDX:.+]] = tensor.collapse_shape %[[LOOP]]#2
// CHECK: return %[[ALLS]], %[[ALLDX]], %[[LOOP]]#0
func.func @loss(%x: tensor<128x16xf32>, %w: tensor<1000x16xf32>) -> (tensor<128xf32>, tensor<128x16xf32>, tensor<1000x16xf32>) {
  %zero = arith.constant dense<0.0> : tensor<128xf32>
  %y = graph.contract %x, %w batch [] x [] over [1] x [1] : tensor<128x16xf32>, tensor<1000x16xf32> -> tensor<128x1000xf32>
  %s = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%y : tensor<128x1000xf32>) outs(%zero : tensor<128xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.addf %in, %out : f32
    linalg.yield %0 : f32
  } -> tensor<128xf32>
  %e = tensor.empty() : tensor<128x1000xf32>
  %d = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%y, %s : tensor<128x1000xf32>, tensor<128xf32>) outs(%e : tensor<128x1000xf32>) {
  ^bb0(%in: f32, %sum: f32, %out: f32):
    %0 = arith.subf %in, %sum : f32
    linalg.yield %0 : f32
  } -> tensor<128x1000xf32>
  %dx = graph.contract %d, %w batch [] x [] over [1] x [0] : tensor<128x1000xf32>, tensor<1000x16xf32> -> tensor<128x16xf32>
  %dw = graph.contract %d, %x batch [] x [] over [0] x [0] : tensor<128x1000xf32>, tensor<128x16xf32> -> tensor<1000x16xf32>
  return %s, %dx, %dw : tensor<128xf32>, tensor<128x16xf32>, tensor<1000x16xf32>
}

// Eight blocks of 20 rows would keep the limit, but their sums' pieces are of 80 bytes; those of ten are of 64.
// CHECK-LABEL: func.func @fitting(
// CHECK: arith.constant dense<10> : tensor<i64>
// CHECK: graph.loop
// CHECK: graph.contract {{.*}} -> tensor<16x800xf32>
// CHECK-NOT: graph.contract
func.func @fitting(%x: tensor<160x16xf32>, %w: tensor<800x16xf32>) -> tensor<160xf32> {
  %zero = arith.constant dense<0.0> : tensor<160xf32>
  %y = graph.contract %x, %w batch [] x [] over [1] x [1] : tensor<160x16xf32>, tensor<800x16xf32> -> tensor<160x800xf32>
  %s = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%y : tensor<160x800xf32>) outs(%zero : tensor<160xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.addf %in, %out : f32
    linalg.yield %0 : f32
  } -> tensor<160xf32>
  return %s : tensor<160xf32>
}

// A loop may have more than the 64 blocks that are written out at most.
// CHECK-LABEL: func.func @many(
// CHECK: arith.constant dense<128> : tensor<i64>
// CHECK: graph.loop
// CHECK: graph.contract {{.*}} -> tensor<16x1000xf32>
// CHECK-NOT: graph.contract
func.func @many(%x: tensor<2048x4xf32>, %w: tensor<1000x4xf32>) -> tensor<2048xf32> {
  %zero = arith.constant dense<0.0> : tensor<2048xf32>
  %y = graph.contract %x, %w batch [] x [] over [1] x [1] : tensor<2048x4xf32>, tensor<1000x4xf32> -> tensor<2048x1000xf32>
  %s = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%y : tensor<2048x1000xf32>) outs(%zero : tensor<2048xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.addf %in, %out : f32
    linalg.yield %0 : f32
  } -> tensor<2048xf32>
  return %s : tensor<2048xf32>
}
