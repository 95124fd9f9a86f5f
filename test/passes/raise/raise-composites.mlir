// RUN: %ingot-opt %s --canonicalize --cse --raise-composites --canonicalize --cse --split-input-file | FileCheck %s

// RaiseCompositesTest.cpp computes every function of this file with and without the pass.

// As torch.onnx writes scaled_dot_product_attention: both factors scaled, keys transposed, NaN made 0.
// CHECK-LABEL: func.func @scaled_factors(
// CHECK-SAME: %[[Q:.+]]: tensor<2x3x5x8xf32>, %[[K:.+]]: tensor<2x3x7x8xf32>, %[[V:.+]]: tensor<2x3x7x4xf32>
// CHECK-NEXT: %[[Y:.+]], %{{.+}} = graph.attention %[[Q]], %[[K]], %[[V]] scale 2.500000e-01 causal false
// CHECK-NEXT: return %[[Y]]
func.func @scaled_factors(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x4xf32>) -> tensor<2x3x5x4xf32> {
  %half = graph.constant dense<0.5> : tensor<f32>
  %zero = graph.constant dense<0.0> : tensor<f32>
  %hq = graph.broadcast %half [] : tensor<f32> -> tensor<2x3x5x8xf32>
  %sq = graph.mul %q, %hq : tensor<2x3x5x8xf32>
  %t = graph.transpose %k [0, 1, 3, 2] : tensor<2x3x7x8xf32> -> tensor<2x3x8x7xf32>
  %hk = graph.broadcast %half [] : tensor<f32> -> tensor<2x3x8x7xf32>
  %sk = graph.mul %t, %hk : tensor<2x3x8x7xf32>
  %s = graph.contract %sq, %sk batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32> -> tensor<2x3x5x7xf32>
  %p = graph.softmax %s dimension 3 : tensor<2x3x5x7xf32>
  %n = graph.compare ne %p, %p : tensor<2x3x5x7xf32> -> tensor<2x3x5x7xi1>
  %z = graph.broadcast %zero [] : tensor<f32> -> tensor<2x3x5x7xf32>
  %g = graph.select %n, %z, %p : tensor<2x3x5x7xi1>, tensor<2x3x5x7xf32>
  %y = graph.contract %g, %v batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x3x5x7xf32>, tensor<2x3x7x4xf32> -> tensor<2x3x5x4xf32>
  return %y : tensor<2x3x5x4xf32>
}

// -----

// Hugging Face's eager attention: divided, an added causal mask of the lowest float, repeated for
// batch and heads; queries, keys and values are views of [batch, sequence, heads · size].
// CHECK-LABEL: func.func @added_mask(
// CHECK: graph.attention %{{.+}}, %{{.+}}, %{{.+}} scale 5.000000e-01 causal true
// CHECK-NOT: graph.softmax
func.func @added_mask(%x: tensor<2x6x12xf32>, %w: tensor<2x6x12xf32>, %u: tensor<2x6x12xf32>) -> tensor<2x6x12xf32> {
  %q0 = graph.reshape %x : tensor<2x6x12xf32> -> tensor<2x6x3x4xf32>
  %k0 = graph.reshape %w : tensor<2x6x12xf32> -> tensor<2x6x3x4xf32>
  %v0 = graph.reshape %u : tensor<2x6x12xf32> -> tensor<2x6x3x4xf32>
  %q = graph.transpose %q0 [0, 2, 1, 3] : tensor<2x6x3x4xf32> -> tensor<2x3x6x4xf32>
  %k = graph.transpose %k0 [0, 2, 3, 1] : tensor<2x6x3x4xf32> -> tensor<2x3x4x6xf32>
  %v = graph.transpose %v0 [0, 2, 1, 3] : tensor<2x6x3x4xf32> -> tensor<2x3x6x4xf32>
  %s = graph.contract %q, %k batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x3x6x4xf32>, tensor<2x3x4x6xf32> -> tensor<2x3x6x6xf32>
  %two = graph.constant dense<2.0> : tensor<2x3x6x6xf32>
  %d = graph.div %s, %two : tensor<2x3x6x6xf32>
  %i = graph.iota 0 : tensor<6x6xi64>
  %j = graph.iota 1 : tensor<6x6xi64>
  %later = graph.compare gt %j, %i : tensor<6x6xi64> -> tensor<6x6xi1>
  %low = graph.constant dense<-3.40282347E+38> : tensor<6x6xf32>
  %none = graph.constant dense<0.0> : tensor<6x6xf32>
  %m0 = graph.select %later, %low, %none : tensor<6x6xi1>, tensor<6x6xf32>
  %m = graph.broadcast %m0 [2, 3] : tensor<6x6xf32> -> tensor<2x3x6x6xf32>
  %a = graph.add %d, %m : tensor<2x3x6x6xf32>
  %p = graph.softmax %a dimension 3 : tensor<2x3x6x6xf32>
  %y0 = graph.contract %p, %v batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x3x6x6xf32>, tensor<2x3x6x4xf32> -> tensor<2x3x6x4xf32>
  %y1 = graph.transpose %y0 [0, 2, 1, 3] : tensor<2x3x6x4xf32> -> tensor<2x6x3x4xf32>
  %y = graph.reshape %y1 : tensor<2x6x3x4xf32> -> tensor<2x6x12xf32>
  return %y : tensor<2x6x12xf32>
}

// -----

// JAX's: einsums on [batch, sequence, heads, size], a condition chooses the score, softmax is
// written out. More keys than queries: the last of both meet.
// CHECK-LABEL: func.func @chosen_scores(
// CHECK-SAME: %[[Q:.+]]: tensor<2x4x3x8xf32>, %[[K:.+]]: tensor<2x6x3x8xf32>, %[[V:.+]]: tensor<2x6x3x8xf32>
// CHECK-DAG: %[[TQ:.+]] = graph.transpose %[[Q]] [0, 2, 1, 3]
// CHECK-DAG: %[[TK:.+]] = graph.transpose %[[K]] [0, 2, 1, 3]
// CHECK-DAG: %[[TV:.+]] = graph.transpose %[[V]] [0, 2, 1, 3]
// CHECK: %[[Y:.+]], %{{.+}} = graph.attention %[[TQ]], %[[TK]], %[[TV]] scale 0.353553384{{[0-9]+}} causal true
// CHECK: return
func.func @chosen_scores(%q: tensor<2x4x3x8xf32>, %k: tensor<2x6x3x8xf32>, %v: tensor<2x6x3x8xf32>) -> tensor<2x4x3x8xf32> {
  %s = graph.contract %q, %k batch [0, 2] x [0, 2] over [3] x [3] : tensor<2x4x3x8xf32>, tensor<2x6x3x8xf32> -> tensor<2x3x4x6xf32>
  %scale = graph.constant dense<0.353553385> : tensor<2x3x4x6xf32>
  %d = graph.mul %s, %scale : tensor<2x3x4x6xf32>
  %i = graph.iota 0 : tensor<4x6xi32>
  %two = graph.constant dense<2> : tensor<4x6xi32>
  %last = graph.add %i, %two : tensor<4x6xi32>
  %j = graph.iota 1 : tensor<4x6xi32>
  %seen = graph.compare le %j, %last : tensor<4x6xi32> -> tensor<4x6xi1>
  %c = graph.broadcast %seen [2, 3] : tensor<4x6xi1> -> tensor<2x3x4x6xi1>
  %low = graph.constant dense<0xFF800000> : tensor<2x3x4x6xf32>
  %a = graph.select %c, %d, %low : tensor<2x3x4x6xi1>, tensor<2x3x4x6xf32>
  %max = graph.reduce max %a [3] : tensor<2x3x4x6xf32> -> tensor<2x3x4xf32>
  %lowest = graph.constant dense<0xFF800000> : tensor<2x3x4xf32>
  %bound = graph.maximum %lowest, %max : tensor<2x3x4xf32>
  %kept = graph.reshape %bound : tensor<2x3x4xf32> -> tensor<2x3x4x1xf32>
  %spread = graph.broadcast %kept [0, 1, 2, 3] : tensor<2x3x4x1xf32> -> tensor<2x3x4x6xf32>
  %below = graph.sub %a, %spread : tensor<2x3x4x6xf32>
  %e = graph.exp %below : tensor<2x3x4x6xf32>
  %sum = graph.reduce sum %e [3] : tensor<2x3x4x6xf32> -> tensor<2x3x4xf32>
  %total = graph.broadcast %sum [0, 1, 2] : tensor<2x3x4xf32> -> tensor<2x3x4x6xf32>
  %p = graph.div %e, %total : tensor<2x3x4x6xf32>
  %y0 = graph.contract %p, %v batch [0, 1] x [0, 2] over [3] x [1] : tensor<2x3x4x6xf32>, tensor<2x6x3x8xf32> -> tensor<2x3x4x8xf32>
  %y = graph.transpose %y0 [0, 2, 1, 3] : tensor<2x3x4x8xf32> -> tensor<2x4x3x8xf32>
  return %y : tensor<2x4x3x8xf32>
}

// -----

// Keys and values repeated for groups of heads, before the transpose and after it.
// CHECK-LABEL: func.func @repeated_heads(
// CHECK-SAME: %[[Q:.+]]: tensor<2x6x5x8xf32>, %[[K:.+]]: tensor<2x3x5x8xf32>, %[[V:.+]]: tensor<2x3x5x8xf32>
// CHECK-NEXT: graph.attention %[[Q]], %[[K]], %[[V]] scale 1.000000e+00 causal false
func.func @repeated_heads(%q: tensor<2x6x5x8xf32>, %k: tensor<2x3x5x8xf32>, %v: tensor<2x3x5x8xf32>) -> tensor<2x6x5x8xf32> {
  %k1 = graph.reshape %k : tensor<2x3x5x8xf32> -> tensor<2x3x1x5x8xf32>
  %k2 = graph.broadcast %k1 [0, 1, 2, 3, 4] : tensor<2x3x1x5x8xf32> -> tensor<2x3x2x5x8xf32>
  %k3 = graph.reshape %k2 : tensor<2x3x2x5x8xf32> -> tensor<2x6x5x8xf32>
  %kt = graph.transpose %k3 [0, 1, 3, 2] : tensor<2x6x5x8xf32> -> tensor<2x6x8x5xf32>
  %v2 = graph.broadcast %v [0, 1, 3, 4] : tensor<2x3x5x8xf32> -> tensor<2x3x2x5x8xf32>
  %v3 = graph.reshape %v2 : tensor<2x3x2x5x8xf32> -> tensor<2x6x5x8xf32>
  %s = graph.contract %q, %kt batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x6x5x8xf32>, tensor<2x6x8x5xf32> -> tensor<2x6x5x5xf32>
  %p = graph.softmax %s dimension 3 : tensor<2x6x5x5xf32>
  %y = graph.contract %p, %v3 batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x6x5x5xf32>, tensor<2x6x5x8xf32> -> tensor<2x6x5x8xf32>
  return %y : tensor<2x6x5x8xf32>
}

// -----

// Queries grouped beside the keys that they share, values on the left, a mask that hides nothing.
// CHECK-LABEL: func.func @grouped_queries(
// CHECK: graph.attention %{{.+}}, %{{.+}}, %{{.+}} scale 1.000000e+00 causal false{{.*}} : tensor<2x6x5x8xf32>, tensor<2x3x7x8xf32>, tensor<2x3x7x4xf32>
// CHECK-NOT: graph.contract
func.func @grouped_queries(%q: tensor<2x3x2x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x4xf32>) -> tensor<2x3x4x2x5xf32> {
  %s = graph.contract %q, %k batch [0, 1] x [0, 1] over [4] x [3] : tensor<2x3x2x5x8xf32>, tensor<2x3x7x8xf32> -> tensor<2x3x2x5x7xf32>
  %zeros = graph.constant dense<0.0> : tensor<1x1x1x7xf32>
  %m = graph.broadcast %zeros [1, 2, 3, 4] : tensor<1x1x1x7xf32> -> tensor<2x3x2x5x7xf32>
  %a = graph.add %s, %m : tensor<2x3x2x5x7xf32>
  %p = graph.softmax %a dimension 4 : tensor<2x3x2x5x7xf32>
  %y = graph.contract %v, %p batch [0, 1] x [0, 1] over [2] x [4] : tensor<2x3x7x4xf32>, tensor<2x3x2x5x7xf32> -> tensor<2x3x4x2x5xf32>
  return %y : tensor<2x3x4x2x5xf32>
}

// -----

// Batch and heads in one dimension, keys on the left of the scores; and without any.
// CHECK-LABEL: func.func @one_batch(
// CHECK: graph.attention {{.+}} : tensor<1x6x5x8xf32>, tensor<1x6x7x8xf32>, tensor<1x6x7x8xf32>
// CHECK: graph.attention {{.+}} : tensor<1x1x4x8xf32>, tensor<1x1x7x8xf32>, tensor<1x1x7x3xf32>
// CHECK-NOT: graph.contract
func.func @one_batch(%q: tensor<6x5x8xf32>, %k: tensor<6x7x8xf32>, %v: tensor<6x7x8xf32>,
    %a: tensor<4x8xf32>, %b: tensor<7x8xf32>, %c: tensor<7x3xf32>) -> (tensor<6x5x8xf32>, tensor<4x3xf32>) {
  %s = graph.contract %k, %q batch [0] x [0] over [2] x [2] : tensor<6x7x8xf32>, tensor<6x5x8xf32> -> tensor<6x7x5xf32>
  %p = graph.softmax %s dimension 1 : tensor<6x7x5xf32>
  %y = graph.contract %p, %v batch [0] x [0] over [1] x [1] : tensor<6x7x5xf32>, tensor<6x7x8xf32> -> tensor<6x5x8xf32>
  %t = graph.contract %a, %b batch [] x [] over [1] x [1] : tensor<4x8xf32>, tensor<7x8xf32> -> tensor<4x7xf32>
  %o = graph.softmax %t dimension 1 : tensor<4x7xf32>
  %z = graph.contract %o, %c batch [] x [] over [1] x [0] : tensor<4x7xf32>, tensor<7x3xf32> -> tensor<4x3xf32>
  return %y, %z : tensor<6x5x8xf32>, tensor<4x3xf32>
}

// -----

// A query that sees no key would be 0 (the builder's attention with masks); here each sees one.
// CHECK-LABEL: func.func @guarded(
// CHECK-NEXT: graph.attention {{.+}} causal true
// CHECK-NEXT: return
func.func @guarded(%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x4x8xf32>, %v: tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32> {
  %s = graph.contract %q, %k batch [0, 1] x [0, 1] over [3] x [3] : tensor<2x3x4x8xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x4xf32>
  %m = graph.constant dense<[[true, false, false, false], [true, true, false, false], [true, true, true, false], [true, true, true, true]]> : tensor<4x4xi1>
  %c = graph.broadcast %m [2, 3] : tensor<4x4xi1> -> tensor<2x3x4x4xi1>
  %low = graph.constant dense<0xFF800000> : tensor<2x3x4x4xf32>
  %a = graph.select %c, %s, %low : tensor<2x3x4x4xi1>, tensor<2x3x4x4xf32>
  %max = graph.reduce max %a [3] : tensor<2x3x4x4xf32> -> tensor<2x3x4xf32>
  %kept = graph.reshape %max : tensor<2x3x4xf32> -> tensor<2x3x4x1xf32>
  %lowest = graph.constant dense<0xFF800000> : tensor<2x3x4x1xf32>
  %sees = graph.compare ne %kept, %lowest : tensor<2x3x4x1xf32> -> tensor<2x3x4x1xi1>
  %all = graph.broadcast %sees [0, 1, 2, 3] : tensor<2x3x4x1xi1> -> tensor<2x3x4x4xi1>
  %zero = graph.constant dense<0.0> : tensor<2x3x4x4xf32>
  %safe = graph.select %all, %a, %zero : tensor<2x3x4x4xi1>, tensor<2x3x4x4xf32>
  %p = graph.softmax %safe dimension 3 : tensor<2x3x4x4xf32>
  %g = graph.select %all, %p, %zero : tensor<2x3x4x4xi1>, tensor<2x3x4x4xf32>
  %y = graph.contract %g, %v batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x3x4x4xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x8xf32>
  return %y : tensor<2x3x4x8xf32>
}

// -----

// GELU in three spellings.
// CHECK-LABEL: func.func @gelu(
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<4x8xf32>, %[[Y:[a-z0-9]+]]: tensor<4x8xf32>, %[[Z:[a-z0-9]+]]: tensor<4x8xf32>
// CHECK-NEXT: graph.formula "gelu"(%[[X]])
// CHECK-NEXT: graph.formula "gelu"(%[[Y]])
// CHECK-NEXT: graph.formula "gelu"(%[[Z]])
// CHECK-NEXT: return
func.func @gelu(%x: tensor<4x8xf32>, %y: tensor<4x8xf32>, %z: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) {
  %root = graph.constant dense<1.41421354> : tensor<4x8xf32>
  %inverse = graph.constant dense<0.707106769> : tensor<4x8xf32>
  %one = graph.constant dense<1.0> : tensor<4x8xf32>
  %half = graph.constant dense<0.5> : tensor<4x8xf32>
  %x0 = graph.div %x, %root : tensor<4x8xf32>
  %x1 = graph.erf %x0 : tensor<4x8xf32>
  %x2 = graph.add %x1, %one : tensor<4x8xf32>
  %x3 = graph.mul %x, %x2 : tensor<4x8xf32>
  %x4 = graph.mul %x3, %half : tensor<4x8xf32>
  %y0 = graph.mul %y, %inverse : tensor<4x8xf32>
  %y1 = graph.erf %y0 : tensor<4x8xf32>
  %y2 = graph.mul %y1, %half : tensor<4x8xf32>
  %y3 = graph.add %y2, %half : tensor<4x8xf32>
  %y4 = graph.mul %y3, %y : tensor<4x8xf32>
  %z0 = graph.mul %z, %half : tensor<4x8xf32>
  %z1 = graph.mul %inverse, %z : tensor<4x8xf32>
  %z2 = graph.erf %z1 : tensor<4x8xf32>
  %z3 = graph.mul %z0, %z2 : tensor<4x8xf32>
  %z4 = graph.add %z3, %z0 : tensor<4x8xf32>
  return %x4, %y4, %z4 : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>
}

// -----

// GPT-2's GELU with a power, and with products.
// CHECK-LABEL: func.func @gelu_tanh(
// CHECK-NEXT: graph.formula "gelu_tanh"
// CHECK-NEXT: graph.formula "gelu_tanh"
// CHECK-NEXT: return
func.func @gelu_tanh(%x: tensor<4x8xf32>, %y: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %three = graph.constant dense<3.0> : tensor<4x8xf32>
  %cubic = graph.constant dense<4.471500e-02> : tensor<4x8xf32>
  %scale = graph.constant dense<0.797884583> : tensor<4x8xf32>
  %one = graph.constant dense<1.0> : tensor<4x8xf32>
  %half = graph.constant dense<0.5> : tensor<4x8xf32>
  %x0 = graph.pow %x, %three : tensor<4x8xf32>
  %x1 = graph.mul %x0, %cubic : tensor<4x8xf32>
  %x2 = graph.add %x, %x1 : tensor<4x8xf32>
  %x3 = graph.mul %x2, %scale : tensor<4x8xf32>
  %x4 = graph.tanh %x3 : tensor<4x8xf32>
  %x5 = graph.add %x4, %one : tensor<4x8xf32>
  %x6 = graph.mul %x, %half : tensor<4x8xf32>
  %x7 = graph.mul %x6, %x5 : tensor<4x8xf32>
  %y0 = graph.mul %y, %scale : tensor<4x8xf32>
  %y1 = graph.mul %y, %cubic : tensor<4x8xf32>
  %y2 = graph.mul %y1, %y : tensor<4x8xf32>
  %y3 = graph.add %y2, %one : tensor<4x8xf32>
  %y4 = graph.mul %y0, %y3 : tensor<4x8xf32>
  %y5 = graph.tanh %y4 : tensor<4x8xf32>
  %y6 = graph.add %y5, %one : tensor<4x8xf32>
  %y7 = graph.mul %y6, %half : tensor<4x8xf32>
  %y8 = graph.mul %y, %y7 : tensor<4x8xf32>
  return %x7, %y8 : tensor<4x8xf32>, tensor<4x8xf32>
}

// -----

// SiLU with a sigmoid and without, the sigmoid of a tanh, CLIP's GELU and Mish.
// CHECK-LABEL: func.func @sigmoids(
// CHECK-NEXT: %[[SILU:.+]] = graph.formula "silu"
// CHECK-NEXT: graph.sigmoid
// CHECK-NEXT: graph.formula "quick_gelu"
// CHECK-NEXT: graph.formula "mish"
// CHECK-NEXT: return %[[SILU]], %[[SILU]]
func.func @sigmoids(%x: tensor<9xf32>) -> (tensor<9xf32>, tensor<9xf32>, tensor<9xf32>, tensor<9xf32>, tensor<9xf32>) {
  %one = graph.constant dense<1.0> : tensor<9xf32>
  %half = graph.constant dense<0.5> : tensor<9xf32>
  %quick = graph.constant dense<1.702> : tensor<9xf32>
  %a0 = graph.sigmoid %x : tensor<9xf32>
  %a = graph.mul %x, %a0 : tensor<9xf32>
  %b0 = graph.neg %x : tensor<9xf32>
  %b1 = graph.exp %b0 : tensor<9xf32>
  %b2 = graph.add %b1, %one : tensor<9xf32>
  %b = graph.div %x, %b2 : tensor<9xf32>
  %c0 = graph.mul %x, %half : tensor<9xf32>
  %c1 = graph.tanh %c0 : tensor<9xf32>
  %c2 = graph.mul %c1, %half : tensor<9xf32>
  %c = graph.add %c2, %half : tensor<9xf32>
  %d0 = graph.mul %x, %quick : tensor<9xf32>
  %d1 = graph.sigmoid %d0 : tensor<9xf32>
  %d = graph.mul %d1, %x : tensor<9xf32>
  %e0 = graph.exp %x : tensor<9xf32>
  %e1 = graph.log1p %e0 : tensor<9xf32>
  %e2 = graph.tanh %e1 : tensor<9xf32>
  %e = graph.mul %x, %e2 : tensor<9xf32>
  return %a, %b, %c, %d, %e : tensor<9xf32>, tensor<9xf32>, tensor<9xf32>, tensor<9xf32>, tensor<9xf32>
}

// -----

// Softmax over a middle dimension, and the logarithm of one.
// CHECK-LABEL: func.func @softmax(
// CHECK-DAG: graph.softmax %{{.+}} dimension 1
// CHECK-DAG: graph.log_softmax %{{.+}} dimension 2
// CHECK-NOT: graph.exp
func.func @softmax(%x: tensor<4x8x3xf32>, %y: tensor<4x8x3xf32>) -> (tensor<4x8x3xf32>, tensor<4x8x3xf32>) {
  %max = graph.reduce max %x [1] : tensor<4x8x3xf32> -> tensor<4x3xf32>
  %spread = graph.broadcast %max [0, 2] : tensor<4x3xf32> -> tensor<4x8x3xf32>
  %below = graph.sub %x, %spread : tensor<4x8x3xf32>
  %e = graph.exp %below : tensor<4x8x3xf32>
  %sum = graph.reduce sum %e [1] : tensor<4x8x3xf32> -> tensor<4x3xf32>
  %factor = graph.reciprocal %sum : tensor<4x3xf32>
  %all = graph.broadcast %factor [0, 2] : tensor<4x3xf32> -> tensor<4x8x3xf32>
  %p = graph.mul %all, %e : tensor<4x8x3xf32>
  %max1 = graph.reduce max %y [2] : tensor<4x8x3xf32> -> tensor<4x8xf32>
  %spread1 = graph.broadcast %max1 [0, 1] : tensor<4x8xf32> -> tensor<4x8x3xf32>
  %below1 = graph.sub %y, %spread1 : tensor<4x8x3xf32>
  %e1 = graph.exp %below1 : tensor<4x8x3xf32>
  %sum1 = graph.reduce sum %e1 [2] : tensor<4x8x3xf32> -> tensor<4x8xf32>
  %kept1 = graph.reshape %sum1 : tensor<4x8xf32> -> tensor<4x8x1xf32>
  %log1 = graph.log %kept1 : tensor<4x8x1xf32>
  %all1 = graph.broadcast %log1 [0, 1, 2] : tensor<4x8x1xf32> -> tensor<4x8x3xf32>
  %l = graph.sub %below1, %all1 : tensor<4x8x3xf32>
  return %p, %l : tensor<4x8x3xf32>, tensor<4x8x3xf32>
}

// -----

// Layer norm as torch.onnx wrote it before opset 17, with scale and bias.
// CHECK-LABEL: func.func @layer_norm(
// CHECK-SAME: %[[X:.+]]: tensor<2x4x8xf32>, %[[S:.+]]: tensor<8xf32>, %[[B:.+]]: tensor<8xf32>
// CHECK-NEXT: %[[Y:.+]], %{{.+}}, %{{.+}} = graph.layer_norm %[[X]], %[[S]], %[[B]] epsilon 9.99999974{{.+}}E-6
// CHECK-NEXT: return %[[Y]]
func.func @layer_norm(%x: tensor<2x4x8xf32>, %s: tensor<8xf32>, %b: tensor<8xf32>) -> tensor<2x4x8xf32> {
  %n = graph.constant dense<8.0> : tensor<2x4x1xf32>
  %two = graph.constant dense<2.0> : tensor<2x4x8xf32>
  %epsilon = graph.constant dense<1.0e-5> : tensor<2x4x1xf32>
  %sum = graph.reduce sum %x [2] : tensor<2x4x8xf32> -> tensor<2x4xf32>
  %kept = graph.reshape %sum : tensor<2x4xf32> -> tensor<2x4x1xf32>
  %mean = graph.div %kept, %n : tensor<2x4x1xf32>
  %spread = graph.broadcast %mean [0, 1, 2] : tensor<2x4x1xf32> -> tensor<2x4x8xf32>
  %c = graph.sub %x, %spread : tensor<2x4x8xf32>
  %square = graph.pow %c, %two : tensor<2x4x8xf32>
  %sum1 = graph.reduce sum %square [2] : tensor<2x4x8xf32> -> tensor<2x4xf32>
  %kept1 = graph.reshape %sum1 : tensor<2x4xf32> -> tensor<2x4x1xf32>
  %variance = graph.div %kept1, %n : tensor<2x4x1xf32>
  %more = graph.add %variance, %epsilon : tensor<2x4x1xf32>
  %root = graph.sqrt %more : tensor<2x4x1xf32>
  %all = graph.broadcast %root [0, 1, 2] : tensor<2x4x1xf32> -> tensor<2x4x8xf32>
  %normal = graph.div %c, %all : tensor<2x4x8xf32>
  %scale = graph.broadcast %s [2] : tensor<8xf32> -> tensor<2x4x8xf32>
  %scaled = graph.mul %normal, %scale : tensor<2x4x8xf32>
  %bias = graph.broadcast %b [2] : tensor<8xf32> -> tensor<2x4x8xf32>
  %y = graph.add %scaled, %bias : tensor<2x4x8xf32>
  return %y : tensor<2x4x8xf32>
}

// -----

// Without scale and bias, by a reciprocal root, of a square matrix: rows are normalised, not columns.
// CHECK-LABEL: func.func @plain_norm(
// CHECK: graph.layer_norm
// CHECK-NOT: graph.rsqrt
func.func @plain_norm(%x: tensor<8x8xf32>) -> tensor<8x8xf32> {
  %eighth = graph.constant dense<0.125> : tensor<8xf32>
  %epsilon = graph.constant dense<1.0e-3> : tensor<8xf32>
  %sum = graph.reduce sum %x [1] : tensor<8x8xf32> -> tensor<8xf32>
  %mean = graph.mul %sum, %eighth : tensor<8xf32>
  %spread = graph.broadcast %mean [0] : tensor<8xf32> -> tensor<8x8xf32>
  %c = graph.sub %x, %spread : tensor<8x8xf32>
  %square = graph.mul %c, %c : tensor<8x8xf32>
  %sum1 = graph.reduce sum %square [1] : tensor<8x8xf32> -> tensor<8xf32>
  %variance = graph.mul %sum1, %eighth : tensor<8xf32>
  %more = graph.add %variance, %epsilon : tensor<8xf32>
  %root = graph.rsqrt %more : tensor<8xf32>
  %all = graph.broadcast %root [0] : tensor<8xf32> -> tensor<8x8xf32>
  %y = graph.mul %c, %all : tensor<8x8xf32>
  return %y : tensor<8x8xf32>
}

// -----

// The loss of a classifier.
// CHECK-LABEL: func.func @cross_entropy(
// CHECK-SAME: %[[X:.+]]: tensor<4x8xf32>, %[[T:.+]]: tensor<4xi32>
// CHECK-NEXT: %[[L:.+]], %{{.+}} = graph.cross_entropy %[[X]], %[[T]]
// CHECK-NEXT: return %[[L]]
func.func @cross_entropy(%x: tensor<4x8xf32>, %t: tensor<4xi32>) -> tensor<f32> {
  %n = graph.constant dense<4.0> : tensor<f32>
  %l = graph.log_softmax %x dimension 1 : tensor<4x8xf32>
  %p = graph.pick %l, %t dimension 1 : tensor<4x8xf32>, tensor<4xi32> -> tensor<4xf32>
  %m = graph.neg %p : tensor<4xf32>
  %s = graph.reduce sum %m [0] : tensor<4xf32> -> tensor<f32>
  %y = graph.div %s, %n : tensor<f32>
  return %y : tensor<f32>
}

// -----

// Scale after bias is no layer norm's, nor is a scale of rows: the plain norm is raised alone. Heads that
// are repeated as a whole are read repeated.
// CHECK-LABEL: func.func @partly(
// CHECK: graph.layer_norm %{{.+}}, %[[ONE:.+]], %[[B:.+]] epsilon
// CHECK: graph.mul
// CHECK: graph.mul
// CHECK: graph.attention {{.+}} : tensor<2x6x5x8xf32>, tensor<2x6x5x8xf32>, tensor<2x6x5x8xf32>
func.func @partly(%x: tensor<8x8xf32>, %s: tensor<8xf32>, %b: tensor<8xf32>,
    %q: tensor<2x6x5x8xf32>, %k: tensor<2x3x5x8xf32>) -> (tensor<8x8xf32>, tensor<2x6x5x8xf32>) {
  %n = graph.constant dense<8.0> : tensor<8xf32>
  %epsilon = graph.constant dense<1.0e-3> : tensor<8xf32>
  %sum = graph.reduce sum %x [1] : tensor<8x8xf32> -> tensor<8xf32>
  %mean = graph.div %sum, %n : tensor<8xf32>
  %spread = graph.broadcast %mean [0] : tensor<8xf32> -> tensor<8x8xf32>
  %c = graph.sub %x, %spread : tensor<8x8xf32>
  %square = graph.mul %c, %c : tensor<8x8xf32>
  %sum1 = graph.reduce sum %square [1] : tensor<8x8xf32> -> tensor<8xf32>
  %variance = graph.div %sum1, %n : tensor<8xf32>
  %more = graph.add %variance, %epsilon : tensor<8xf32>
  %root = graph.rsqrt %more : tensor<8xf32>
  %all = graph.broadcast %root [0] : tensor<8xf32> -> tensor<8x8xf32>
  %normal = graph.mul %all, %c : tensor<8x8xf32>
  %bias = graph.broadcast %b [1] : tensor<8xf32> -> tensor<8x8xf32>
  %sum2 = graph.add %bias, %normal : tensor<8x8xf32>
  %scale = graph.broadcast %s [1] : tensor<8xf32> -> tensor<8x8xf32>
  %scaled = graph.mul %sum2, %scale : tensor<8x8xf32>
  %rows = graph.broadcast %s [0] : tensor<8xf32> -> tensor<8x8xf32>
  %y = graph.mul %scaled, %rows : tensor<8x8xf32>
  %k2 = graph.broadcast %k [0, 2, 3, 4] : tensor<2x3x5x8xf32> -> tensor<2x2x3x5x8xf32>
  %k3 = graph.reshape %k2 : tensor<2x2x3x5x8xf32> -> tensor<2x6x5x8xf32>
  %t = graph.contract %q, %k3 batch [0, 1] x [0, 1] over [3] x [3] : tensor<2x6x5x8xf32>, tensor<2x6x5x8xf32> -> tensor<2x6x5x5xf32>
  %p = graph.softmax %t dimension 3 : tensor<2x6x5x5xf32>
  %z = graph.contract %p, %k3 batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x6x5x5xf32>, tensor<2x6x5x8xf32> -> tensor<2x6x5x8xf32>
  return %y, %z : tensor<8x8xf32>, tensor<2x6x5x8xf32>
}
