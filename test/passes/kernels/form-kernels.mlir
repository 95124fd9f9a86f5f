// RUN: %ingot-opt %s -split-input-file -graph-to-linalg -form-kernels | FileCheck %s

// A linear layer with its bias and activation is one kernel; the pre-activation stays inside.
// CHECK-LABEL: func.func @linear_gelu
// CHECK-NEXT: %[[Y:.*]] = call @contraction_{{[0-9a-f]+}}(%arg0, %arg1, %arg2)
// CHECK-NEXT: return %[[Y]]
// CHECK: func.func private @contraction_{{.*}} attributes {graph.kernel = "contraction", graph.ops = "fc, gelu"}
// CHECK: graph.contract %arg0, %arg1 batch [] x [] over [2] x [1]
// CHECK: math.tanh
func.func @linear_gelu(%x: tensor<4x8x16xf32>, %w: tensor<32x16xf32>, %b: tensor<32xf32>) -> tensor<4x8x32xf32> {
  %0 = graph.linear %x, %w, %b : tensor<4x8x16xf32>, tensor<32x16xf32>, tensor<32xf32> -> tensor<4x8x32xf32> loc("fc")
  %1 = graph.formula "gelu_tanh"(%0) [] : tensor<4x8x32xf32> loc("gelu")
  return %1 : tensor<4x8x32xf32>
}

// -----

// A residual sum joins the contraction before it; layer norm is a row kernel of one result.
// CHECK-LABEL: func.func @block
// CHECK-NEXT: %[[S:.*]] = call @contraction_{{[0-9a-f]+}}(%arg0, %arg1, %arg2)
// CHECK-NEXT: %[[N:.*]] = call @row_{{[0-9a-f]+}}(%[[S]], %arg2)
// CHECK-NEXT: return %[[N]], %[[S]]
func.func @block(%x: tensor<4x8x16xf32>, %w: tensor<16x16xf32>, %b: tensor<16xf32>) -> (tensor<4x8x16xf32>, tensor<4x8x16xf32>) {
  %0 = graph.linear %x, %w, %b : tensor<4x8x16xf32>, tensor<16x16xf32>, tensor<16xf32> -> tensor<4x8x16xf32>
  %1 = graph.add %x, %0 : tensor<4x8x16xf32>
  %2, %mean, %rstd = graph.layer_norm %1, %b, %b epsilon 1.0e-5 : tensor<4x8x16xf32>, tensor<16xf32>, tensor<16xf32> -> tensor<4x8x16xf32>, tensor<4x8xf32>, tensor<4x8xf32>
  return %2, %1 : tensor<4x8x16xf32>, tensor<4x8x16xf32>
}

// -----

// The loss over classes: rows, then the mean.
// CHECK-LABEL: func.func @cross_entropy
// CHECK-NEXT: %[[ROWS:.*]] = call @row_{{[0-9a-f]+}}(%arg0, %arg1) : (tensor<64x100xf32>, tensor<64xi32>) -> tensor<64xf32>
// CHECK-NEXT: %[[MEAN:.*]] = call @row_{{[0-9a-f]+}}(%[[ROWS]]) : (tensor<64xf32>) -> tensor<f32>
// CHECK-NEXT: return %[[MEAN]]
func.func @cross_entropy(%logits: tensor<64x100xf32>, %targets: tensor<64xi32>) -> tensor<f32> {
  %loss, %lse = graph.cross_entropy %logits, %targets : tensor<64x100xf32>, tensor<64xi32> -> tensor<f32>, tensor<64xf32>
  return %loss : tensor<f32>
}

// -----

// Sums over rows of one shape are one column kernel; what they sum is computed inside.
// CHECK-LABEL: func.func @columns
// CHECK-NEXT: %[[C:.*]]:2 = call @column_{{[0-9a-f]+}}(%arg0, %arg1)
// CHECK-NEXT: return %[[C]]#0, %[[C]]#1
func.func @columns(%x: tensor<64x16xf32>, %y: tensor<64x16xf32>) -> (tensor<16xf32>, tensor<16xf32>) {
  %0 = graph.mul %x, %y : tensor<64x16xf32>
  %1 = graph.reduce sum %0 [0] : tensor<64x16xf32> -> tensor<16xf32>
  %2 = graph.reduce sum %x [0] : tensor<64x16xf32> -> tensor<16xf32>
  return %1, %2 : tensor<16xf32>, tensor<16xf32>
}

// -----

// Columns of several widths over the same rows are one launch.
// CHECK-LABEL: func.func @widths
// CHECK-NEXT: %[[C:.*]]:2 = call @column_{{[0-9a-f]+}}(%arg0, %arg1) : (tensor<64x16xf32>, tensor<64x24xf32>) -> (tensor<16xf32>, tensor<24xf32>)
// CHECK-NEXT: return %[[C]]#0, %[[C]]#1
func.func @widths(%x: tensor<64x16xf32>, %y: tensor<64x24xf32>) -> (tensor<16xf32>, tensor<24xf32>) {
  %0 = graph.reduce sum %x [0] : tensor<64x16xf32> -> tensor<16xf32>
  %1 = graph.reduce sum %y [0] : tensor<64x24xf32> -> tensor<24xf32>
  return %0, %1 : tensor<16xf32>, tensor<24xf32>
}

// -----

// A gathered embedding and a position, added at the point: no table of gathered rows in between.
// CHECK-LABEL: func.func @embedding
// CHECK-NEXT: %[[E:.*]] = call @elementwise_{{[0-9a-f]+}}(%arg0, %arg1, %arg2)
// CHECK-NEXT: return %[[E]]
// CHECK: graph.gather
func.func @embedding(%table: tensor<50x16xf32>, %tokens: tensor<4x8xi32>, %positions: tensor<8x16xf32>) -> tensor<4x8x16xf32> {
  %0 = graph.gather %table, %tokens dimension 0 : tensor<50x16xf32>, tensor<4x8xi32> -> tensor<4x8x16xf32>
  %1 = graph.broadcast %positions [1, 2] : tensor<8x16xf32> -> tensor<4x8x16xf32>
  %2 = graph.add %0, %1 : tensor<4x8x16xf32>
  return %2 : tensor<4x8x16xf32>
}

// -----

// Queries, keys and values are read where the projection left them, the result is written as the
// next projection reads it.
// CHECK-LABEL: func.func @attention
// CHECK-NEXT: %[[A:.*]] = call @attention_{{[0-9a-f]+}}(%arg0) : (tensor<2x8x48xf32>) -> tensor<2x8x4x4xf32>
// CHECK-NEXT: %[[V:.*]] = tensor.collapse_shape %[[A]]
// CHECK-NEXT: return %[[V]]
// CHECK: func.func private @attention
// CHECK: tensor.extract_slice
// CHECK: graph.attention
func.func @attention(%qkv: tensor<2x8x48xf32>) -> tensor<2x8x16xf32> {
  %0 = graph.slice %qkv [0, 0, 0] to [2, 8, 16] by [1, 1, 1] : tensor<2x8x48xf32> -> tensor<2x8x16xf32>
  %1 = graph.slice %qkv [0, 0, 16] to [2, 8, 32] by [1, 1, 1] : tensor<2x8x48xf32> -> tensor<2x8x16xf32>
  %2 = graph.slice %qkv [0, 0, 32] to [2, 8, 48] by [1, 1, 1] : tensor<2x8x48xf32> -> tensor<2x8x16xf32>
  %3 = graph.reshape %0 : tensor<2x8x16xf32> -> tensor<2x8x4x4xf32>
  %4 = graph.reshape %1 : tensor<2x8x16xf32> -> tensor<2x8x4x4xf32>
  %5 = graph.reshape %2 : tensor<2x8x16xf32> -> tensor<2x8x4x4xf32>
  %q = graph.transpose %3 [0, 2, 1, 3] : tensor<2x8x4x4xf32> -> tensor<2x4x8x4xf32>
  %k = graph.transpose %4 [0, 2, 1, 3] : tensor<2x8x4x4xf32> -> tensor<2x4x8x4xf32>
  %v = graph.transpose %5 [0, 2, 1, 3] : tensor<2x8x4x4xf32> -> tensor<2x4x8x4xf32>
  %6, %lse = graph.attention %q, %k, %v scale 0.5 causal true : tensor<2x4x8x4xf32>, tensor<2x4x8x4xf32>, tensor<2x4x8x4xf32> -> tensor<2x4x8x4xf32>, tensor<2x4x8xf32>
  %7 = graph.transpose %6 [0, 2, 1, 3] : tensor<2x4x8x4xf32> -> tensor<2x8x4x4xf32>
  %8 = graph.reshape %7 : tensor<2x8x4x4xf32> -> tensor<2x8x16xf32>
  return %8 : tensor<2x8x16xf32>
}

// -----

// One update kernel runs over a bucket's flat storage: 3 and 20 elements lie in 32 + 32.
// CHECK-LABEL: func.func @update
// CHECK-COUNT-3: graph.bucket
// CHECK: %[[U:.*]]:2 = call @update_{{[0-9a-f]+}}({{.*}}) : (tensor<64xf32>, tensor<64xf32>, tensor<64xf32>, tensor<f32>, tensor<f32>) -> (tensor<64xf32>, tensor<64xf32>)
// CHECK-NEXT: graph.unbucket %[[U]]#0 : tensor<64xf32> -> tensor<3xf32>, tensor<4x5xf32>
// CHECK-NEXT: graph.unbucket %[[U]]#1 : tensor<64xf32> -> tensor<3xf32>, tensor<4x5xf32>
func.func @update(%p: tensor<3xf32>, %q: tensor<4x5xf32>, %gp: tensor<3xf32>, %gq: tensor<4x5xf32>, %bp: tensor<3xf32>, %bq: tensor<4x5xf32>, %lr: tensor<f32>, %scale: tensor<f32>) -> (tensor<3xf32>, tensor<4x5xf32>, tensor<3xf32>, tensor<4x5xf32>) {
  %0, %1, %2, %3 = graph.update (%p, %q) gradients (%gp, %gq) state (%bp, %bq) scalars (%lr, %scale)
      : tensor<3xf32>, tensor<4x5xf32>, tensor<3xf32>, tensor<4x5xf32>, tensor<3xf32>, tensor<4x5xf32>, tensor<f32>, tensor<f32>
      -> tensor<3xf32>, tensor<4x5xf32>, tensor<3xf32>, tensor<4x5xf32> {
  ^bb0(%x: tensor<f32>, %g: tensor<f32>, %b: tensor<f32>, %rate: tensor<f32>, %s: tensor<f32>):
    %scaled = graph.mul %g, %s : tensor<f32>
    %sum = graph.add %b, %scaled : tensor<f32>
    %step = graph.mul %sum, %rate : tensor<f32>
    %new = graph.sub %x, %step : tensor<f32>
    graph.yield %new, %sum : tensor<f32>, tensor<f32>
  }
  return %0, %1, %2, %3 : tensor<3xf32>, tensor<4x5xf32>, tensor<3xf32>, tensor<4x5xf32>
}

// -----

// Scatter-add takes memory that is already there.
// CHECK-LABEL: func.func @scatter
// CHECK-NEXT: %[[Z:.*]] = call @elementwise_{{[0-9a-f]+}}() : () -> tensor<10x4xf32>
// CHECK-NEXT: call @scatter_{{[0-9a-f]+}}(%[[Z]], %arg0, %arg1)
func.func @scatter(%indices: tensor<6xi32>, %updates: tensor<6x4xf32>) -> tensor<10x4xf32> {
  %zeros = graph.constant dense<0.0> : tensor<10x4xf32>
  %0 = graph.scatter_add %zeros, %indices, %updates dimension 0 : tensor<10x4xf32>, tensor<6xi32>, tensor<6x4xf32>
  return %0 : tensor<10x4xf32>
}

// -----

// A large sum adds chunks first.
// CHECK-LABEL: func.func @sum
// CHECK-NEXT: %[[R:.*]] = call @row_{{[0-9a-f]+}}(%arg0) : (tensor<128x100xf32>) -> tensor<128xf32>
// CHECK-NEXT: call @row_{{[0-9a-f]+}}(%[[R]]) : (tensor<128xf32>) -> tensor<f32>
func.func @sum(%x: tensor<128x100xf32>) -> tensor<f32> {
  %0 = graph.reduce sum %x [0, 1] : tensor<128x100xf32> -> tensor<f32>
  return %0 : tensor<f32>
}

// -----

// The same kernel twice is one function.
// CHECK-LABEL: func.func @twice
// CHECK: call @contraction_[[HASH:[0-9a-f]+]](%arg0, %arg1)
// CHECK: call @contraction_[[HASH]](%{{.*}}, %arg1)
// CHECK-COUNT-1: func.func private
// CHECK-NOT: func.func private
func.func @twice(%x: tensor<8x4xf32>, %w: tensor<4x4xf32>) -> tensor<8x4xf32> {
  %0 = graph.linear %x, %w : tensor<8x4xf32>, tensor<4x4xf32> -> tensor<8x4xf32>
  %1 = graph.linear %0, %w : tensor<8x4xf32>, tensor<4x4xf32> -> tensor<8x4xf32>
  return %1 : tensor<8x4xf32>
}
// -----

// A sum of a prime number of elements adds chunks that end with zeros.
// CHECK-LABEL: func.func @long_sum
// CHECK-NEXT: call @row_{{[0-9a-f]+}}(%arg0) : (tensor<10007xf32>) -> tensor<10xf32>
// CHECK: tensor.pad
func.func @long_sum(%x: tensor<10007xf32>) -> tensor<f32> {
  %0 = graph.reduce sum %x [0] : tensor<10007xf32> -> tensor<f32>
  return %0 : tensor<f32>
}

// -----

// What two kernels need and is cheap is computed in both; what is dear is stored.
// CHECK-LABEL: func.func @recompute
// CHECK-NEXT: %[[R:.*]]:2 = call @row_{{[0-9a-f]+}}(%arg0)
// CHECK-NEXT: call @column_{{[0-9a-f]+}}(%arg0, %[[R]]#
func.func @recompute(%x: tensor<64x32xf32>) -> (tensor<64x32xf32>, tensor<32xf32>) {
  %0 = graph.softmax %x dimension 1 : tensor<64x32xf32>
  %1 = graph.reduce max %x [1] : tensor<64x32xf32> -> tensor<64xf32>
  %2 = graph.broadcast %1 [0] : tensor<64xf32> -> tensor<64x32xf32>
  %3 = graph.sub %x, %2 : tensor<64x32xf32>
  %4 = graph.reduce sum %3 [0] : tensor<64x32xf32> -> tensor<32xf32>
  return %0, %4 : tensor<64x32xf32>, tensor<32xf32>
}

// -----

// One value under two names is computed once and copied; an argument that is returned is copied.
// CHECK-LABEL: func.func @names
// CHECK-NEXT: %[[E:.*]]:2 = call @elementwise_{{[0-9a-f]+}}(%arg0) : (tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>)
// CHECK-NEXT: %[[C:.*]] = call @elementwise_{{[0-9a-f]+}}(%arg0) : (tensor<8xf32>) -> tensor<8xf32>
// CHECK-NEXT: return %[[E]]#0, %[[E]]#1, %[[C]]
func.func @names(%x: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) {
  %0 = graph.exp %x : tensor<8xf32>
  return %0, %0, %x : tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
}

// -----

// Empty tensors and single elements are tensors like others.
// CHECK-LABEL: func.func @extremes
// CHECK: call @{{.*}} : (tensor<0x4xf32>) -> tensor<0x4xf32>
// CHECK: call @row_{{.*}} : (tensor<1x1xf32>) -> tensor<1x1xf32>
func.func @extremes(%x: tensor<0x4xf32>, %y: tensor<1x1xf32>) -> (tensor<0x4xf32>, tensor<1x1xf32>) {
  %0 = graph.exp %x : tensor<0x4xf32>
  %1 = graph.softmax %y dimension 1 : tensor<1x1xf32>
  return %0, %1 : tensor<0x4xf32>, tensor<1x1xf32>
}

// -----

// Sums that are added up, as for the norm of all gradients, are one kernel per shape; a sum of its
// own stays apart.
// CHECK-LABEL: func.func @norm
// CHECK-NEXT: %[[V:.*]]:2 = call @row_{{[0-9a-f]+}}(%arg0, %arg2) : (tensor<64xf32>, tensor<64xf32>) -> (tensor<f32>, tensor<f32>)
// CHECK-NEXT: %[[P:.*]]:2 = call @row_{{[0-9a-f]+}}(%arg1, %arg3) : {{.*}} -> (tensor<512xf32>, tensor<512xf32>)
// CHECK-NEXT: %[[N:.*]] = call @row_{{[0-9a-f]+}}(%[[P]]#0, %[[V]]#0, %[[V]]#1, %[[P]]#1)
// CHECK-NEXT: %[[O:.*]] = call @row_{{[0-9a-f]+}}(%arg4) : (tensor<64xf32>) -> tensor<f32>
// CHECK-NEXT: return %[[N]], %[[O]]
func.func @norm(%a: tensor<64xf32>, %w: tensor<512x512xf32>, %b: tensor<64xf32>, %v: tensor<512x512xf32>,
                %other: tensor<64xf32>) -> (tensor<f32>, tensor<f32>) {
  %0 = graph.mul %a, %a : tensor<64xf32>
  %1 = graph.reduce sum %0 [0] : tensor<64xf32> -> tensor<f32>
  %2 = graph.mul %w, %w : tensor<512x512xf32>
  %3 = graph.reduce sum %2 [0, 1] : tensor<512x512xf32> -> tensor<f32>
  %4 = graph.add %1, %3 : tensor<f32>
  %5 = graph.mul %b, %b : tensor<64xf32>
  %6 = graph.reduce sum %5 [0] : tensor<64xf32> -> tensor<f32>
  %7 = graph.add %4, %6 : tensor<f32>
  %8 = graph.mul %v, %v : tensor<512x512xf32>
  %9 = graph.reduce sum %8 [0, 1] : tensor<512x512xf32> -> tensor<f32>
  %10 = graph.add %7, %9 : tensor<f32>
  %11 = graph.sqrt %10 : tensor<f32>
  %12 = graph.mul %other, %other : tensor<64xf32>
  %13 = graph.reduce sum %12 [0] : tensor<64xf32> -> tensor<f32>
  return %11, %13 : tensor<f32>, tensor<f32>
}
