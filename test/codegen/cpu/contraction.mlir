// RUN: %ingot-opt %s -split-input-file -schedule-kernels -lower-kernels -canonicalize -cse | FileCheck %s

// A linear layer: grains are blocks of columns; a panel of the weight holds 48 columns and all of
// the depth, and the left operand stays where it lies. The tile of sums is 8 x 48: 24 chains of
// multiply-adds. Finished tiles get the bias, one vector at a time.
// CHECK-LABEL: func.func private @linear.0
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<256x768xf32> {llvm.noalias}, %[[W:[a-z0-9]+]]: memref<3072x768xf32> {llvm.noalias}, %[[BIAS:[a-z0-9]+]]: memref<3072xf32> {llvm.noalias}
// CHECK: %[[PANELS:.*]] = memref.view {{.*}} to memref<73728xf32>
// The span's first panel: the weight's rows turn around in registers.
// CHECK: scf.while
// CHECK: scf.for
// CHECK: memref.prefetch
// CHECK-COUNT-64: vector.shuffle
// CHECK-COUNT-16: vector.store
// Panels of columns, tiles of rows:
// CHECK: scf.for
// CHECK: scf.for {{.*}} step %c8
// CHECK: %[[SUMS:.*]]:24 = scf.for {{.*}} to %c768 step %c10
// CHECK: scf.for
// CHECK-COUNT-3: vector.load %[[PANELS]]
// CHECK-COUNT-3: memref.prefetch %[[PANELS]]
// CHECK: memref.load
// CHECK: vector.broadcast
// CHECK-COUNT-24: vector.fma
// CHECK-NOT: vector.fma
// Every ten depths a line of what is packed after the tile, of the next tile's rows, and of the
// result's place:
// CHECK: scf.if
// CHECK-NEXT: memref.prefetch {{.*}} locality<2>
// CHECK: memref.prefetch {{.*}} locality<3>
// CHECK: scf.if
// CHECK: memref.prefetch {{.*}} locality<2>
// CHECK: scf.yield
// CHECK-COUNT-24: vector.store %[[SUMS]]
// The epilogue, once:
// CHECK: scf.for
// CHECK: scf.for
// CHECK: arith.addf {{.*}} : vector<16xf32>
// CHECK-NOT: arith.addf
// CHECK-NOT: masked
// The tile's share of the next panel:
// CHECK: scf.if
// CHECK: scf.for
// CHECK-COUNT-64: vector.shuffle
// CHECK-COUNT-16: vector.store {{.*}}, %[[PANELS]]
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

// A weight [in, out] lies in vectors: every tile copies lines of the next panel, one every ten
// depths, and asks for the one that is four depths deeper. What is only sums goes from the
// registers to its place.
// CHECK-LABEL: func.func private @forward.0
// CHECK: %[[PANELS:.*]] = memref.view {{.*}} to memref<73728xf32>
// The first panel at once:
// CHECK: scf.for {{.*}} to %c768 step %c8
// CHECK-COUNT-3: vector.store {{.*}}, %[[PANELS]]
// The others in the shadow of the multiply-adds:
// CHECK: scf.for {{.*}} to %c256 step %c8
// CHECK: %[[SUMS:.*]]:24 = scf.for {{.*}} to %c768 step %c10
// CHECK: scf.for
// CHECK-COUNT-3: vector.load %[[PANELS]]
// CHECK-NOT: vector.store
// CHECK-COUNT-24: vector.fma
// CHECK: scf.if
// CHECK: vector.load
// CHECK: vector.store {{.*}}, %[[PANELS]]
// CHECK-NOT: vector.store
// CHECK: addi {{.*}}, %c4
// CHECK: memref.prefetch {{.*}} locality<3>
// CHECK: scf.yield
// CHECK-NEXT: }
// CHECK-COUNT-24: vector.store %[[SUMS]]
// What the tiles have left undone:
// CHECK: scf.for
// CHECK: vector.store {{.*}}, %[[PANELS]]
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
