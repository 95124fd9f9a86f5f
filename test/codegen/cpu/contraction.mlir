// RUN: %ingot-opt %s -split-input-file -schedule-kernels -lower-kernels -canonicalize -cse | FileCheck %s

// A linear layer: grains are blocks of columns; a panel of the weight holds 48 columns, 128 of the
// depth, and the left operand stays where it lies. The tile of sums is 8 x 48: 24 chains of
// multiply-adds. Finished tiles get the bias, one vector at a time.
// CHECK-LABEL: func.func private @linear.0
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<256x768xf32> {llvm.noalias}, %[[W:[a-z0-9]+]]: memref<3072x768xf32> {llvm.noalias}, %[[BIAS:[a-z0-9]+]]: memref<3072xf32> {llvm.noalias}
// Spans, panels of columns, blocks of the depth:
// CHECK: scf.while
// CHECK: scf.for {{.*}} step %c48
// CHECK: scf.for %[[K:.*]] = %c0 to %c768 step %c128
// The weight's rows turn around in registers:
// CHECK: memref.prefetch
// CHECK-COUNT-64: vector.shuffle
// CHECK-COUNT-16: vector.store
// Tiles of rows; the first block of the depth starts at zero:
// CHECK: scf.for {{.*}} step %c8
// CHECK: scf.if %{{.*}} -> (vector<16xf32>
// CHECK: %[[SUMS:.*]]:24 = scf.for
// CHECK-COUNT-3: vector.load
// CHECK: memref.load
// CHECK: vector.broadcast
// CHECK-COUNT-24: vector.fma
// CHECK-NOT: vector.fma
// CHECK-COUNT-24: vector.store %[[SUMS]]
// The epilogue, once:
// CHECK: scf.if
// CHECK: scf.for
// CHECK: scf.for
// CHECK: arith.addf {{.*}} : vector<16xf32>
// CHECK-NOT: arith.addf
// CHECK-NOT: masked
// CHECK: return
// CHECK: grains 64 flops
func.func private @linear(%x: tensor<256x768xf32>, %w: tensor<3072x768xf32>, %bias: tensor<3072xf32>) -> tensor<256x3072xf32>
    attributes {graph.kernel = "contraction"} {
  %0 = graph.contract %x, %w batch [] x [] over [1] x [1] : tensor<256x768xf32>, tensor<3072x768xf32> -> tensor<256x3072xf32>
  %e = tensor.empty() : tensor<256x3072xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%0, %bias : tensor<256x3072xf32>, tensor<3072xf32>) outs(%e : tensor<256x3072xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %2 = arith.addf %a, %b : f32
    linalg.yield %2 : f32
  } -> tensor<256x3072xf32>
  return %1 : tensor<256x3072xf32>
}

// -----

// Few rows by a weight [out, in]: dot products, sixteen at a time, nothing packed.
// CHECK-LABEL: func.func private @one_row.0
// CHECK: scf.for {{.*}} step %c16 iter_args
// CHECK-COUNT-16: vector.fma
// CHECK-NOT: memref.prefetch
// CHECK-COUNT-64: vector.shuffle
// CHECK-COUNT-15: arith.addf
// CHECK: return
func.func private @one_row(%x: tensor<1x768xf32>, %w: tensor<512x768xf32>) -> tensor<1x512xf32>
    attributes {graph.kernel = "contraction"} {
  %0 = graph.contract %x, %w batch [] x [] over [1] x [1] : tensor<1x768xf32>, tensor<512x768xf32> -> tensor<1x512xf32>
  return %0 : tensor<1x512xf32>
}

// -----

// A weight [in, out] lies in vectors: the first tile of rows reads it in place, asks for what comes
// and writes the panel that the other tiles read.
// CHECK-LABEL: func.func private @forward.0
// CHECK: scf.if {{.*}} -> (vector<16xf32>
// CHECK: scf.for
// CHECK-COUNT-3: vector.load %{{.*}} : memref<589824xf32>
// CHECK-COUNT-3: vector.store
// CHECK-COUNT-3: memref.prefetch
// CHECK-COUNT-24: vector.fma
// CHECK: } else {
// CHECK: scf.for
// CHECK-COUNT-3: vector.load
// CHECK-NOT: vector.store
// CHECK-COUNT-24: vector.fma
// CHECK-NOT: vector.fma
// CHECK: return
func.func private @forward(%x: tensor<256x768xf32>, %w: tensor<768x768xf32>) -> tensor<256x768xf32>
    attributes {graph.kernel = "contraction"} {
  %0 = graph.contract %x, %w batch [] x [] over [1] x [0] : tensor<256x768xf32>, tensor<768x768xf32> -> tensor<256x768xf32>
  return %0 : tensor<256x768xf32>
}

// -----

// Odd columns: the same code with masks, no second copy of it.
// CHECK-LABEL: func.func private @odd.0
// CHECK: vector.maskedload
// CHECK: vector.fma
// CHECK: vector.maskedstore
// CHECK-NOT: vector.fma
// CHECK: return
func.func private @odd(%a: tensor<37x20xf32>, %b: tensor<20x45xf32>) -> tensor<37x45xf32> attributes {graph.kernel = "contraction"} {
  %0 = graph.contract %a, %b batch [] x [] over [1] x [0] : tensor<37x20xf32>, tensor<20x45xf32> -> tensor<37x45xf32>
  return %0 : tensor<37x45xf32>
}

// -----

// A residual that is read where the result is written may lend its memory.
// CHECK-LABEL: func.func private @residual.0
// CHECK-SAME: memref<32x48xf32>, %{{[a-z0-9]+}}: memref<32x48xf32>, %{{[a-z0-9]+}}: memref<{{[0-9]+}}xi8> {llvm.noalias}
// CHECK: sharing = [0 with 2 same_point]
func.func private @residual(%a: tensor<32x16xf32>, %b: tensor<16x48xf32>, %x: tensor<32x48xf32>) -> tensor<32x48xf32>
    attributes {graph.kernel = "contraction"} {
  %0 = graph.contract %a, %b batch [] x [] over [1] x [0] : tensor<32x16xf32>, tensor<16x48xf32> -> tensor<32x48xf32>
  %e = tensor.empty() : tensor<32x48xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%0, %x : tensor<32x48xf32>, tensor<32x48xf32>) outs(%e : tensor<32x48xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %2 = arith.addf %p, %q : f32
    linalg.yield %2 : f32
  } -> tensor<32x48xf32>
  return %1 : tensor<32x48xf32>
}
