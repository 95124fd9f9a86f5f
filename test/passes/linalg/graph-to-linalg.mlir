// RUN: %ingot-opt %s -split-input-file -graph-to-linalg -mlir-print-local-scope | FileCheck %s

// A broadcast is an indexing map of its consumer; flags say what contract-arithmetic may fuse.
// CHECK-LABEL: func.func @bias
// CHECK: linalg.generic {{.*}}affine_map<(d0, d1) -> (d1)>{{.*}} ins(%arg0, %arg1 : tensor<4x8xf32>, tensor<8xf32>)
// CHECK: arith.addf {{.*}} fastmath<nsz,arcp,contract> : f32
// CHECK-NOT: linalg.generic
func.func @bias(%x: tensor<4x8xf32>, %b: tensor<8xf32>) -> tensor<4x8xf32> {
  %0 = graph.broadcast %b [1] : tensor<8xf32> -> tensor<4x8xf32>
  %1 = graph.add %x, %0 : tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// -----

// CHECK-LABEL: func.func @transpose
// CHECK: linalg.generic {{.*}}affine_map<(d0, d1) -> (d1, d0)>{{.*}} ins(%arg0, %arg1
// CHECK-NOT: linalg.generic
func.func @transpose(%x: tensor<4x8xf32>, %y: tensor<8x4xf32>) -> tensor<8x4xf32> {
  %0 = graph.transpose %x [1, 0] : tensor<4x8xf32> -> tensor<8x4xf32>
  %1 = graph.mul %0, %y : tensor<8x4xf32>
  return %1 : tensor<8x4xf32>
}

// -----

// NaN goes through a maximum.
// CHECK-LABEL: func.func @reductions
// CHECK: %[[MIN:.*]] = arith.constant 0xFF800000 : f32
// CHECK: %[[ZERO:.*]] = arith.constant 0.0{{.*}} : f32
// CHECK: linalg.fill ins(%[[ZERO]] : f32)
// CHECK: arith.addf {{.*}} fastmath<nsz,arcp,contract>
// CHECK: linalg.fill ins(%[[MIN]] : f32)
// CHECK: arith.maximumf {{.*}} fastmath<nsz,arcp,contract>
func.func @reductions(%x: tensor<4x8xf32>) -> (tensor<4xf32>, tensor<8xf32>) {
  %0 = graph.reduce sum %x [1] : tensor<4x8xf32> -> tensor<4xf32>
  %1 = graph.reduce max %x [0] : tensor<4x8xf32> -> tensor<8xf32>
  return %0, %1 : tensor<4xf32>, tensor<8xf32>
}

// -----

// A reduction over a dimension in the middle runs over rows all the same.
// CHECK-LABEL: func.func @middle
// CHECK: indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2, d1)>, {{.*}}], iterator_types = ["parallel", "parallel", "reduction"]
func.func @middle(%x: tensor<4x8x5xf32>) -> tensor<4x5xf32> {
  %0 = graph.reduce sum %x [1] : tensor<4x8x5xf32> -> tensor<4x5xf32>
  return %0 : tensor<4x5xf32>
}

// -----

// Narrow floats are computed in f32 and rounded once per op.
// CHECK-LABEL: func.func @narrow
// CHECK: arith.extf {{.*}} : bf16 to f32
// CHECK: math.tanh {{.*}} : f32
// CHECK: arith.truncf {{.*}} : f32 to bf16
func.func @narrow(%x: tensor<4xbf16>) -> tensor<4xbf16> {
  %0 = graph.tanh %x : tensor<4xbf16>
  return %0 : tensor<4xbf16>
}

// -----

// Signs live in the ops; the argument remembers.
// CHECK-LABEL: func.func @unsigned(%arg0: tensor<4xi8> {graph.unsigned}, %arg1: tensor<4xi8> {graph.unsigned}) -> (tensor<4xi8> {graph.unsigned}, tensor<4xi1>)
// CHECK: arith.maxui
// CHECK: arith.cmpi ult
func.func @unsigned(%x: tensor<4xui8>, %y: tensor<4xui8>) -> (tensor<4xui8>, tensor<4xi1>) {
  %0 = graph.maximum %x, %y : tensor<4xui8>
  %1 = graph.compare lt %x, %y : tensor<4xui8> -> tensor<4xi1>
  return %0, %1 : tensor<4xui8>, tensor<4xi1>
}

// -----

// A linear layer flattens rows around its contraction; the flattening moves out of the way.
// CHECK-LABEL: func.func @linear
// CHECK-NOT: tensor.collapse_shape
// CHECK: graph.contract %arg0, %arg1 batch [] x [] over [2] x [1] : tensor<4x8x16xf32>, tensor<32x16xf32> -> tensor<4x8x32xf32>
// CHECK-NOT: tensor.expand_shape
func.func @linear(%x: tensor<4x8x16xf32>, %w: tensor<32x16xf32>, %b: tensor<32xf32>) -> tensor<4x8x32xf32> {
  %0 = graph.linear %x, %w, %b : tensor<4x8x16xf32>, tensor<32x16xf32>, tensor<32xf32> -> tensor<4x8x32xf32>
  return %0 : tensor<4x8x32xf32>
}

// -----

// The gradients of slices that cover a tensor are its pieces, end to end.
// CHECK-LABEL: func.func @pieces
// CHECK: tensor.concat dim(1) %arg0, %arg1 : (tensor<4x3xf32>, tensor<4x5xf32>) -> tensor<4x8xf32>
// CHECK-NOT: tensor.pad
func.func @pieces(%x: tensor<4x3xf32>, %y: tensor<4x5xf32>) -> tensor<4x8xf32> {
  %zero = graph.constant dense<0.0> : tensor<f32>
  %0 = graph.pad %x, %zero low [0, 0] high [0, 5] interior [0, 0] : tensor<4x3xf32>, tensor<f32> -> tensor<4x8xf32>
  %1 = graph.pad %y, %zero low [0, 3] high [0, 0] interior [0, 0] : tensor<4x5xf32>, tensor<f32> -> tensor<4x8xf32>
  %2 = graph.add %1, %0 : tensor<4x8xf32>
  return %2 : tensor<4x8xf32>
}

// -----

// Zeros fill what no slice took, and slices that overlap are further tensors of the sum.
// CHECK-LABEL: func.func @scattered_pieces
// CHECK-DAG: tensor.concat dim(0) %arg0, %{{.+}}, %arg2 : (tensor<3xf32>, tensor<2xf32>, tensor<4xf32>) -> tensor<9xf32>
// CHECK-DAG: tensor.concat dim(0) %{{.+}}, %arg1, %arg3, %{{.+}} : (tensor<1xf32>, tensor<5xf32>, tensor<2xf32>, tensor<1xf32>) -> tensor<9xf32>
// CHECK-NOT: tensor.pad
func.func @scattered_pieces(%a: tensor<3xf32>, %b: tensor<5xf32>, %c: tensor<4xf32>, %d: tensor<2xf32>, %rest: tensor<9xf32>) -> tensor<9xf32> {
  %zero = graph.constant dense<0.0> : tensor<f32>
  %0 = graph.pad %a, %zero low [0] high [6] interior [0] : tensor<3xf32>, tensor<f32> -> tensor<9xf32>
  %1 = graph.pad %b, %zero low [1] high [3] interior [0] : tensor<5xf32>, tensor<f32> -> tensor<9xf32>
  %2 = graph.pad %c, %zero low [5] high [0] interior [0] : tensor<4xf32>, tensor<f32> -> tensor<9xf32>
  %3 = graph.pad %d, %zero low [6] high [1] interior [0] : tensor<2xf32>, tensor<f32> -> tensor<9xf32>
  %4 = graph.add %3, %1 : tensor<9xf32>
  %5 = graph.add %4, %rest : tensor<9xf32>
  %6 = graph.add %0, %5 : tensor<9xf32>
  %7 = graph.add %6, %2 : tensor<9xf32>
  return %7 : tensor<9xf32>
}

// -----

// Interior padding is padding in a dimension of its own.
// CHECK-LABEL: func.func @interior
// CHECK: tensor.expand_shape %arg0 {{.*}} tensor<3xf32> into tensor<3x1xf32>
// CHECK: tensor.pad %{{.*}} low[0, 0] high[0, 1]
// CHECK: tensor.collapse_shape {{.*}} tensor<3x2xf32> into tensor<6xf32>
// CHECK: tensor.extract_slice %{{.*}}[0] [5] [1]
// CHECK: tensor.pad %{{.*}} low[1] high[2]
func.func @interior(%x: tensor<3xf32>) -> tensor<8xf32> {
  %zero = graph.constant dense<0.0> : tensor<f32>
  %0 = graph.pad %x, %zero low [1] high [2] interior [1] : tensor<3xf32>, tensor<f32> -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// -----

// A computed value is chosen by a mask: what the region of a tensor.pad yields is no operand.
// CHECK-LABEL: func.func @pad_by_computed_value
// CHECK-DAG: %[[ZERO:.+]] = arith.constant 0.000000e+00 : f32
// CHECK-DAG: %[[MASK:.+]] = arith.constant dense<[false, true, true, true, false, false]>
// CHECK: %[[PADDED:.+]] = tensor.pad %arg0
// CHECK: tensor.yield %[[ZERO]] : f32
// CHECK: linalg.generic {{.*}} ins(%[[MASK]], %[[PADDED]], %arg1 :
// CHECK: arith.select
func.func @pad_by_computed_value(%x: tensor<3xf32>, %v: tensor<f32>) -> tensor<6xf32> {
  %0 = graph.pad %x, %v low [1] high [2] interior [0] : tensor<3xf32>, tensor<f32> -> tensor<6xf32>
  return %0 : tensor<6xf32>
}

// -----

// Integer division never traps: masked lanes hold zeros.
// CHECK-LABEL: func.func @divide
// CHECK: arith.cmpi eq
// CHECK: arith.select
// CHECK: arith.divsi
func.func @divide(%x: tensor<4xi32>, %y: tensor<4xi32>) -> tensor<4xi32> {
  %0 = graph.div %x, %y : tensor<4xi32>
  return %0 : tensor<4xi32>
}

// -----

// Random bits are integer arithmetic on the element's position; no fast-math touches normals.
// CHECK-LABEL: func.func @random
// CHECK: linalg.index 0
// CHECK: arith.xori
// CHECK-NOT: fastmath
// CHECK: linalg.yield
func.func @random(%seed: tensor<i64>, %step: tensor<i64>) -> tensor<5xf32> {
  %0 = graph.random_normal %seed, %step id 3 : tensor<i64>, tensor<i64> -> tensor<5xf32>
  return %0 : tensor<5xf32>
}

// -----

// Transposes of operands are dimensions of the contraction.
// CHECK-LABEL: func.func @contract_transposed
// CHECK: graph.contract %arg0, %arg1 batch [] x [] over [0] x [0]
// CHECK-NOT: linalg.generic
func.func @contract_transposed(%x: tensor<16x4xf32>, %y: tensor<16x5xf32>) -> tensor<4x5xf32> {
  %0 = graph.transpose %x [1, 0] : tensor<16x4xf32> -> tensor<4x16xf32>
  %1 = graph.contract %0, %y batch [] x [] over [1] x [0] : tensor<4x16xf32>, tensor<16x5xf32> -> tensor<4x5xf32>
  return %1 : tensor<4x5xf32>
}
