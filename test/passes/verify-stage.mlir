// RUN: split-file-22 %s %t
// RUN: %ingot-opt %t/train.mlir -verify-stage=stage=train
// RUN: %ingot-opt %t/train.mlir -verify-stage=stage=train -graph-to-linalg -contract-arithmetic -verify-stage=stage=linalg -form-kernels -verify-stage=stage=kernels | FileCheck %s

// Each stage's pass leaves what the stage allows.
// CHECK: func.func @forward
// CHECK-NEXT: call @contraction

//--- train.mlir
func.func @forward(%x: tensor<4x16xf32>, %w: tensor<8x16xf32>, %b: tensor<8xf32>, %i: tensor<5xi32>) -> (tensor<4x8xf32>, tensor<5x16xf32>) {
  %0 = graph.linear %x, %w, %b : tensor<4x16xf32>, tensor<8x16xf32>, tensor<8xf32> -> tensor<4x8xf32>
  %1 = graph.softmax %0 dimension 1 : tensor<4x8xf32>
  %2 = graph.embedding %w, %i : tensor<8x16xf32>, tensor<5xi32> -> tensor<5x16xf32>
  return %1, %2 : tensor<4x8xf32>, tensor<5x16xf32>
}
