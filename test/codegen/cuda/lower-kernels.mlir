// RUN: %ingot-opt %s --schedule-kernels=target=cuda:sm_80 --lower-kernels=target=cuda:sm_80 --canonicalize --cse | FileCheck %s

#id = affine_map<(d0, d1) -> (d0, d1)>
#none = affine_map<(d0, d1) -> ()>
#row = affine_map<(d0, d1) -> (d0)>

// 65 elements as one line: 16 runs of 16 bytes, one a thread, and one element after them.
// CHECK-LABEL: func.func private @scale.0(
// CHECK-SAME:    memref<5x13xf32>, %{{.*}}: memref<f32> {llvm.noalias}, %{{.*}}: memref<5x13xf32>) attributes {kernel.threads = 256 : i64}
// CHECK:       %[[T:.*]] = nvvm.read.ptx.sreg.tid.x range <i32, 0, 256> : i32
// CHECK:       arith.cmpi slt, %[[T]], %c16_i32 : i32
// CHECK:       %[[FIRST:.*]] = arith.muli %[[T]], %c4_i32 : i32
// CHECK:       vector.load {{.*}} {alignment = 16 : i64} : memref<65xf32>, vector<4xf32>
// CHECK:       vector.store {{.*}} {alignment = 16 : i64} : memref<65xf32>, vector<4xf32>
// CHECK:       arith.cmpi slt, %[[T]], %c1_i32 : i32
// CHECK:       memref.store %{{.*}}[%c64]
// CHECK:       func.func private @scale(
// CHECK-SAME:    sharing = [0 with 0 same_point], scratch = 0
// CHECK-SAME:    launches = [pointwise grains 1 flops {{.*}} sizes (blocks = 1, inner = 65, lanes = 4, outer = 1, threads = 256)]
func.func private @scale(%x: tensor<5x13xf32>, %s: tensor<f32>) -> tensor<5x13xf32>
    attributes {graph.kernel = "elementwise"} {
  %empty = tensor.empty() : tensor<5x13xf32>
  %0 = linalg.generic {indexing_maps = [#id, #none, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %s : tensor<5x13xf32>, tensor<f32>) outs(%empty : tensor<5x13xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %1 = arith.mulf %a, %b : f32
    linalg.yield %1 : f32
  } -> tensor<5x13xf32>
  return %0 : tensor<5x13xf32>
}

// A block a row: shuffles in the warps, then their sums in shared memory.
// CHECK-LABEL: func.func private @long.0(
// CHECK-SAME:    memref<64xi8, 3> {llvm.noalias}) attributes {kernel.threads = 256 : i64}
// CHECK:       scf.for {{.*}} iter_args
// CHECK:       nvvm.shfl.sync {{ *}}bfly
// CHECK:       memref.store {{.*}} : memref<8xf32, 3>
// CHECK:       nvvm.barrier
// CHECK-COUNT-8: memref.load {{.*}} : memref<8xf32, 3>
// CHECK:       func.func private @long(
// CHECK-SAME:    scratch = 64, launch_scratch = 0, launches = [rows grains 3 {{.*}} sizes (lanes = 4, rows = 3, threads = 256, threads_per_row = 256)]
func.func private @long(%x: tensor<3x2048xf32>) -> tensor<3xf32> attributes {graph.kernel = "row"} {
  %z = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<3xf32>
  %init = linalg.fill ins(%z : f32) outs(%empty : tensor<3xf32>) -> tensor<3xf32>
  %0 = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<3x2048xf32>) outs(%init : tensor<3xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = arith.addf %o, %a : f32
    linalg.yield %1 : f32
  } -> tensor<3xf32>
  return %0 : tensor<3xf32>
}
