// RUN: %ingot-opt %s --schedule-kernels --lower-kernels --canonicalize --cse | FileCheck %s

#id = affine_map<(d0) -> (d0)>
#both = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>

// One line of 40 elements: two full blocks and a masked tail. The product is fused, the flags are gone.
// CHECK-LABEL: func.func private @scale.0(
// CHECK-SAME:    %[[X:.*]]: memref<5x8xf32>, %[[S:.*]]: memref<f32> {llvm.noalias}, %[[OUT:.*]]: memref<5x8xf32>, %[[LO:.*]]: index, %[[HI:.*]]: index)
// CHECK-DAG:   %[[MASK:.*]] = arith.constant dense<[true, true, true, true, true, true, true, true, false
// CHECK:       scf.for %[[I:.*]] = %c0 to %c32 step %c
// CHECK:         %[[A:.*]] = vector.load %{{.*}}[%[[I]]] : memref<40xf32>, vector<16xf32>
// CHECK:         %[[B:.*]] = vector.broadcast %{{.*}} : f32 to vector<16xf32>
// CHECK:         %[[R:.*]] = math.fma %[[A]], %[[B]], %[[A]] : vector<16xf32>
// CHECK:         vector.store %[[R]]
// CHECK:       vector.maskedload %{{.*}}[%c32], %[[MASK]]
// CHECK:       vector.maskedstore %{{.*}}[%c32], %[[MASK]]
// CHECK-NOT:   fastmath
// CHECK:       func.func private @scale(tensor<5x8xf32>, tensor<f32>) -> tensor<5x8xf32>
// CHECK-SAME:    arguments = [read, read, write], sharing = [0 with 0 same_point], scratch = 0, launch_scratch = 0
// CHECK-SAME:    launches = [pointwise grains 1
func.func private @scale(%x: tensor<5x8xf32>, %s: tensor<f32>) -> tensor<5x8xf32> attributes {graph.kernel = "elementwise"} {
  %e = tensor.empty() : tensor<5x8xf32>
  %0 = linalg.generic {indexing_maps = [#both, affine_map<(d0, d1) -> ()>, #both], iterator_types = ["parallel", "parallel"]}
      ins(%x, %s : tensor<5x8xf32>, tensor<f32>) outs(%e : tensor<5x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %1 = math.fma %a, %b, %a : f32
    linalg.yield %1 : f32
  } -> tensor<5x8xf32>
  return %0 : tensor<5x8xf32>
}

// The exponentials are needed by the sum and by the result: they are kept in the workspace.
// CHECK-LABEL: func.func private @normalise.0(
// CHECK-SAME:    %[[X:.*]]: memref<3x32xf32>, %[[OUT:.*]]: memref<3x32xf32>, %[[WORK:.*]]: memref<128xi8> {llvm.noalias}, %{{.*}}: index, %{{.*}}: index)
// CHECK:       %[[KEPT:.*]] = memref.view %[[WORK]]
// CHECK:       scf.for
// CHECK-COUNT-2: math.exp
// CHECK-NOT:   math.exp
// CHECK:       vector.load %[[KEPT]]
// CHECK:       return
// CHECK:       func.func private @normalise(
// CHECK-SAME:    sharing = [0 with 0 same_row of 32], scratch = 128
// CHECK-SAME:    kept = 4, kept_in = 0, line = [32, 32], rows = 3
func.func private @normalise(%x: tensor<3x32xf32>) -> tensor<3x32xf32> attributes {graph.kernel = "row"} {
  %zero = arith.constant 0.0 : f32
  %l = tensor.empty() : tensor<3xf32>
  %e = tensor.empty() : tensor<3x32xf32>
  %z = linalg.fill ins(%zero : f32) outs(%l : tensor<3xf32>) -> tensor<3xf32>
  %p = linalg.generic {indexing_maps = [#both, #both], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<3x32xf32>) outs(%e : tensor<3x32xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = math.exp %a : f32
    linalg.yield %1 : f32
  } -> tensor<3x32xf32>
  %s = linalg.generic {indexing_maps = [#both, #row], iterator_types = ["parallel", "reduction"]}
      ins(%p : tensor<3x32xf32>) outs(%z : tensor<3xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = arith.addf %o, %a : f32
    linalg.yield %1 : f32
  } -> tensor<3xf32>
  %0 = linalg.generic {indexing_maps = [#both, #row, #both], iterator_types = ["parallel", "parallel"]}
      ins(%p, %s : tensor<3x32xf32>, tensor<3xf32>) outs(%e : tensor<3x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %1 = arith.divf %a, %b : f32
    linalg.yield %1 : f32
  } -> tensor<3x32xf32>
  return %0 : tensor<3x32xf32>
}

// i1 is a byte in memory; a large result is cut into several grains.
// CHECK-LABEL: func.func private @sign.0(
// CHECK-SAME:    memref<1000000xf32>{{.*}}memref<1000000xi8>
// CHECK:       arith.extui %{{.*}} : vector<16xi1> to vector<16xi8>
// CHECK:       launches = [pointwise grains 20
func.func private @sign(%x: tensor<1000000xf32>) -> tensor<1000000xi1> attributes {graph.kernel = "elementwise"} {
  %e = tensor.empty() : tensor<1000000xi1>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<1000000xf32>) outs(%e : tensor<1000000xi1>) {
  ^bb0(%a: f32, %o: i1):
    %zero = arith.constant 0.0 : f32
    %1 = arith.cmpf olt, %a, %zero : f32
    linalg.yield %1 : i1
  } -> tensor<1000000xi1>
  return %0 : tensor<1000000xi1>
}

// Rows of another length than the tensor's own: what is split and joined again is read in order.
// CHECK-LABEL: func.func private @regrouped.0
// CHECK-NOT:   vector.gather
// CHECK:       vector.load
// CHECK-NOT:   vector.gather
// CHECK:       return
func.func private @regrouped(%x: tensor<29x768xf32>) -> tensor<12xf32> attributes {graph.kernel = "row"} {
  %e = tensor.empty() : tensor<29x768xf32>
  %squares = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]} ins(%x : tensor<29x768xf32>) outs(%e : tensor<29x768xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.mulf %a, %a : f32
    linalg.yield %s : f32
  } -> tensor<29x768xf32>
  %flat = tensor.collapse_shape %squares [[0, 1]] : tensor<29x768xf32> into tensor<22272xf32>
  %rows = tensor.expand_shape %flat [[0, 1]] output_shape [12, 1856] : tensor<22272xf32> into tensor<12x1856xf32>
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<12xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<12xf32>) -> tensor<12xf32>
  %sums = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
      iterator_types = ["parallel", "reduction"]} ins(%rows : tensor<12x1856xf32>) outs(%init : tensor<12xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.addf %a, %o : f32
    linalg.yield %s : f32
  } -> tensor<12xf32>
  return %sums : tensor<12xf32>
}
