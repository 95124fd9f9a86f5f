// RUN: %ingot-opt %s --split-input-file --schedule-kernels=target=cuda:sm_80 --lower-kernels=target=cuda:sm_80 --canonicalize --cse | FileCheck %s

// 64 queries a block; keys and values come 64 at a time, between two barriers.
// CHECK-LABEL: func.func private @forward.0(
// CHECK-SAME:    memref<69632xi8, 3> {llvm.noalias}) attributes {kernel.threads = 256 : i64}
// CHECK:       scf.for {{.*}} step %c64_i32 iter_args
// CHECK:       nvvm.barrier
// CHECK:       scf.for
// CHECK:       nvvm.barrier
// Scores; the maximum of a row through the threads that share it.
// CHECK:       math.fma
// CHECK:       nvvm.shfl.sync {{ *}}bfly
// CHECK:       math.exp
// What only a warp uses, a warp waits for.
// CHECK:       nvvm.bar.warp.sync
// CHECK:       math.fma
// CHECK:       math.log
// CHECK:       return
// CHECK:       scratch = 69632, launch_scratch = 0,
// CHECK-SAME:    launches = [attention grains 384 {{.*}} sizes (across = 16, columns = 64, lanes = [4, 4, 4], rows = 64, threads = 256)]
func.func private @forward(%q: tensor<2x12x1024x64xf32>, %k: tensor<2x12x1024x64xf32>, %v: tensor<2x12x1024x64xf32>)
    -> (tensor<2x12x1024x64xf32>, tensor<2x12x1024xf32>) attributes {graph.kernel = "attention"} {
  %o, %l = graph.attention %q, %k, %v scale 1.25e-01 causal true : tensor<2x12x1024x64xf32>, tensor<2x12x1024x64xf32>, tensor<2x12x1024x64xf32> -> tensor<2x12x1024x64xf32>, tensor<2x12x1024xf32>
  return %o, %l : tensor<2x12x1024x64xf32>, tensor<2x12x1024xf32>
}

// -----

// What the second launch needs of each query is all that it is left: 4 bytes.
// CHECK-LABEL: func.func private @backward.0(
// CHECK:       memref.store {{.*}} : memref<24576xf32>
// CHECK-LABEL: func.func private @backward.1(
// CHECK:       memref.load {{.*}} : memref<24576xf32>
// CHECK:       launch_scratch = 98304, launches = [attention_backward_queries grains 384 {{.*}}, attention_backward_keys grains 384
func.func private @backward(%q: tensor<2x12x1024x64xf32>, %k: tensor<2x12x1024x64xf32>, %v: tensor<2x12x1024x64xf32>,
                            %o: tensor<2x12x1024x64xf32>, %l: tensor<2x12x1024xf32>, %g: tensor<2x12x1024x64xf32>)
    -> (tensor<2x12x1024x64xf32>, tensor<2x12x1024x64xf32>, tensor<2x12x1024x64xf32>) attributes {graph.kernel = "attention_backward"} {
  %dq, %dk, %dv = graph.attention_backward %q, %k, %v, %o, %l, %g scale 1.25e-01 causal true : tensor<2x12x1024x64xf32>, tensor<2x12x1024x64xf32>, tensor<2x12x1024x64xf32>, tensor<2x12x1024x64xf32>, tensor<2x12x1024xf32>, tensor<2x12x1024x64xf32> -> tensor<2x12x1024x64xf32>, tensor<2x12x1024x64xf32>, tensor<2x12x1024x64xf32>
  return %dq, %dk, %dv : tensor<2x12x1024x64xf32>, tensor<2x12x1024x64xf32>, tensor<2x12x1024x64xf32>
}

// -----

// Without queries, zeros.
// CHECK-LABEL: func.func private @nothing.0(
// CHECK-NEXT:    return
// CHECK-LABEL: func.func private @nothing.1(
// CHECK-NOT:   vector.load {{.*}} : memref<1x1x0x16xf32>
// CHECK:       vector.store %cst
// CHECK:       return
func.func private @nothing(%q: tensor<1x1x0x64xf32>, %k: tensor<1x1x16x64xf32>, %v: tensor<1x1x16x64xf32>,
                           %o: tensor<1x1x0x64xf32>, %l: tensor<1x1x0xf32>, %g: tensor<1x1x0x64xf32>)
    -> (tensor<1x1x0x64xf32>, tensor<1x1x16x64xf32>, tensor<1x1x16x64xf32>) attributes {graph.kernel = "attention_backward"} {
  %dq, %dk, %dv = graph.attention_backward %q, %k, %v, %o, %l, %g scale 1.25e-01 causal true : tensor<1x1x0x64xf32>, tensor<1x1x16x64xf32>, tensor<1x1x16x64xf32>, tensor<1x1x0x64xf32>, tensor<1x1x0xf32>, tensor<1x1x0x64xf32> -> tensor<1x1x0x64xf32>, tensor<1x1x16x64xf32>, tensor<1x1x16x64xf32>
  return %dq, %dk, %dv : tensor<1x1x0x64xf32>, tensor<1x1x16x64xf32>, tensor<1x1x16x64xf32>
}
