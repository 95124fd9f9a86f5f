// RUN: %ingot-opt %s --canonicalize --cse --raise-composites --canonicalize --cse --split-input-file | FileCheck %s --implicit-check-not=graph.attention --implicit-check-not=graph.layer_norm --implicit-check-not=graph.formula --implicit-check-not=graph.cross_entropy

// Near misses: what only looks like a composite stays as it is. RaiseCompositesTest.cpp computes these too.

// Scores of two products are added up.
// CHECK-LABEL: func.func @two_products(
func.func @two_products(%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x4x8xf32>, %v: tensor<2x3x4x8xf32>, %r: tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32> {
  %s = graph.contract %q, %k batch [0, 1] x [0, 1] over [3] x [3] : tensor<2x3x4x8xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x4xf32>
  %t = graph.contract %q, %r batch [0, 1] x [0, 1] over [3] x [3] : tensor<2x3x4x8xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x4xf32>
  %a = graph.add %s, %t : tensor<2x3x4x4xf32>
  %p = graph.softmax %a dimension 3 : tensor<2x3x4x4xf32>
  %y = graph.contract %p, %v batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x3x4x4xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x8xf32>
  return %y : tensor<2x3x4x8xf32>
}
// -----

// A mask before the soft cap.
// CHECK-LABEL: func.func @mask_before_cap(
func.func @mask_before_cap(%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x4x8xf32>, %v: tensor<2x3x4x8xf32>, %mask: tensor<4x4xf32>) -> tensor<2x3x4x8xf32> {
  %s = graph.contract %q, %k batch [0, 1] x [0, 1] over [3] x [3] : tensor<2x3x4x8xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x4xf32>
  %m = graph.broadcast %mask [2, 3] : tensor<4x4xf32> -> tensor<2x3x4x4xf32>
  %a = graph.add %s, %m : tensor<2x3x4x4xf32>
  %t = graph.tanh %a : tensor<2x3x4x4xf32>
  %p = graph.softmax %t dimension 3 : tensor<2x3x4x4xf32>
  %y = graph.contract %p, %v batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x3x4x4xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x8xf32>
  return %y : tensor<2x3x4x8xf32>
}
// -----

// The probabilities are a result too.
// CHECK-LABEL: func.func @returned(
func.func @returned(%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x4x8xf32>, %v: tensor<2x3x4x8xf32>) -> (tensor<2x3x4x8xf32>, tensor<2x3x4x4xf32>) {
  %s = graph.contract %q, %k batch [0, 1] x [0, 1] over [3] x [3] : tensor<2x3x4x8xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x4xf32>
  %p = graph.softmax %s dimension 3 : tensor<2x3x4x4xf32>
  %y = graph.contract %p, %v batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x3x4x4xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x8xf32>
  return %y, %p : tensor<2x3x4x8xf32>, tensor<2x3x4x4xf32>
}
// -----

// Softmax over queries.
// CHECK-LABEL: func.func @over_queries(
func.func @over_queries(%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x4x8xf32>, %v: tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32> {
  %s = graph.contract %q, %k batch [0, 1] x [0, 1] over [3] x [3] : tensor<2x3x4x8xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x4xf32>
  %p = graph.softmax %s dimension 2 : tensor<2x3x4x4xf32>
  %y = graph.contract %p, %v batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x3x4x4xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x8xf32>
  return %y : tensor<2x3x4x8xf32>
}
// -----

// Values are summed over queries.
// CHECK-LABEL: func.func @wrong_product(
func.func @wrong_product(%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x4x8xf32>, %v: tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32> {
  %s = graph.contract %q, %k batch [0, 1] x [0, 1] over [3] x [3] : tensor<2x3x4x8xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x4xf32>
  %p = graph.softmax %s dimension 3 : tensor<2x3x4x4xf32>
  %y = graph.contract %p, %v batch [0, 1] x [0, 1] over [2] x [2] : tensor<2x3x4x4xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x8xf32>
  return %y : tensor<2x3x4x8xf32>
}

// -----

// What is narrow is rounded between the ops.
// CHECK-LABEL: func.func @narrow(
func.func @narrow(%q: tensor<2x4x8xbf16>, %k: tensor<2x4x8xbf16>, %v: tensor<2x4x8xbf16>) -> tensor<2x4x8xbf16> {
  %s = graph.contract %q, %k batch [0] x [0] over [2] x [2] : tensor<2x4x8xbf16>, tensor<2x4x8xbf16> -> tensor<2x4x4xbf16>
  %p = graph.softmax %s dimension 2 : tensor<2x4x4xbf16>
  %y = graph.contract %p, %v batch [0] x [0] over [2] x [1] : tensor<2x4x4xbf16>, tensor<2x4x8xbf16> -> tensor<2x4x8xbf16>
  return %y : tensor<2x4x8xbf16>
}

// -----

// Another cubic term, a tangent of something else, a number that is off, a clamp far away.
// CHECK-LABEL: func.func @functions(
func.func @functions(%x: tensor<9xf32>, %y: tensor<9xf32>) -> (tensor<9xf32>, tensor<9xf32>, tensor<9xf32>, tensor<9xf32>) {
  %cubic = graph.constant dense<4.470000e-02> : tensor<9xf32>
  %scale = graph.constant dense<0.797884583> : tensor<9xf32>
  %inverse = graph.constant dense<0.707106769> : tensor<9xf32>
  %off = graph.constant dense<0.7071> : tensor<9xf32>
  %one = graph.constant dense<1.0> : tensor<9xf32>
  %half = graph.constant dense<0.5> : tensor<9xf32>
  %far = graph.constant dense<1.0e+4> : tensor<9xf32>
  %x0 = graph.mul %x, %x : tensor<9xf32>
  %x1 = graph.mul %x0, %x : tensor<9xf32>
  %x2 = graph.mul %x1, %cubic : tensor<9xf32>
  %x3 = graph.add %x, %x2 : tensor<9xf32>
  %x4 = graph.mul %x3, %scale : tensor<9xf32>
  %x5 = graph.tanh %x4 : tensor<9xf32>
  %x6 = graph.add %x5, %one : tensor<9xf32>
  %x7 = graph.mul %x, %x6 : tensor<9xf32>
  %a = graph.mul %x7, %half : tensor<9xf32>
  %b0 = graph.mul %y, %inverse : tensor<9xf32>
  %b1 = graph.erf %b0 : tensor<9xf32>
  %b2 = graph.add %b1, %one : tensor<9xf32>
  %b3 = graph.mul %x, %b2 : tensor<9xf32>
  %b = graph.mul %b3, %half : tensor<9xf32>
  %c0 = graph.mul %x, %off : tensor<9xf32>
  %c1 = graph.erf %c0 : tensor<9xf32>
  %c2 = graph.add %c1, %one : tensor<9xf32>
  %c3 = graph.mul %x, %c2 : tensor<9xf32>
  %c = graph.mul %c3, %half : tensor<9xf32>
  %d0 = graph.sigmoid %x : tensor<9xf32>
  %d1 = graph.minimum %x, %far : tensor<9xf32>
  %d = graph.mul %d1, %d0 : tensor<9xf32>
  return %a, %b, %c, %d : tensor<9xf32>, tensor<9xf32>, tensor<9xf32>, tensor<9xf32>
}

// -----

// The maximum of columns, the sum of columns, no maximum.
// CHECK-LABEL: func.func @softmax(
// CHECK-NOT: graph.softmax
func.func @softmax(%x: tensor<8x8xf32>) -> (tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>) {
  %max = graph.reduce max %x [1] : tensor<8x8xf32> -> tensor<8xf32>
  %rows = graph.broadcast %max [0] : tensor<8xf32> -> tensor<8x8xf32>
  %columns = graph.broadcast %max [1] : tensor<8xf32> -> tensor<8x8xf32>
  %a0 = graph.sub %x, %columns : tensor<8x8xf32>
  %a1 = graph.exp %a0 : tensor<8x8xf32>
  %a2 = graph.reduce sum %a1 [1] : tensor<8x8xf32> -> tensor<8xf32>
  %a3 = graph.broadcast %a2 [0] : tensor<8xf32> -> tensor<8x8xf32>
  %a = graph.div %a1, %a3 : tensor<8x8xf32>
  %b0 = graph.sub %x, %rows : tensor<8x8xf32>
  %b1 = graph.exp %b0 : tensor<8x8xf32>
  %b2 = graph.reduce sum %b1 [1] : tensor<8x8xf32> -> tensor<8xf32>
  %b3 = graph.broadcast %b2 [1] : tensor<8xf32> -> tensor<8x8xf32>
  %b = graph.div %b1, %b3 : tensor<8x8xf32>
  %c1 = graph.exp %x : tensor<8x8xf32>
  %c2 = graph.reduce sum %c1 [1] : tensor<8x8xf32> -> tensor<8xf32>
  %c3 = graph.broadcast %c2 [0] : tensor<8xf32> -> tensor<8x8xf32>
  %c = graph.div %c1, %c3 : tensor<8x8xf32>
  return %a, %b, %c : tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>
}

// -----

// The divisor n - 1, ε outside of the root, the root of columns, the variance of something else.
// CHECK-LABEL: func.func @norms(
func.func @norms(%x: tensor<8x8xf32>) -> (tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>) {
  %n = graph.constant dense<8.0> : tensor<8xf32>
  %less = graph.constant dense<7.0> : tensor<8xf32>
  %epsilon = graph.constant dense<1.0e-3> : tensor<8xf32>
  %sum = graph.reduce sum %x [1] : tensor<8x8xf32> -> tensor<8xf32>
  %mean = graph.div %sum, %n : tensor<8xf32>
  %spread = graph.broadcast %mean [0] : tensor<8xf32> -> tensor<8x8xf32>
  %c = graph.sub %x, %spread : tensor<8x8xf32>
  %square = graph.mul %c, %c : tensor<8x8xf32>
  %sum1 = graph.reduce sum %square [1] : tensor<8x8xf32> -> tensor<8xf32>
  %a0 = graph.div %sum1, %less : tensor<8xf32>
  %a1 = graph.add %a0, %epsilon : tensor<8xf32>
  %a2 = graph.sqrt %a1 : tensor<8xf32>
  %a3 = graph.broadcast %a2 [0] : tensor<8xf32> -> tensor<8x8xf32>
  %a = graph.div %c, %a3 : tensor<8x8xf32>
  %b0 = graph.div %sum1, %n : tensor<8xf32>
  %b1 = graph.sqrt %b0 : tensor<8xf32>
  %b2 = graph.add %b1, %epsilon : tensor<8xf32>
  %b3 = graph.broadcast %b2 [0] : tensor<8xf32> -> tensor<8x8xf32>
  %b = graph.div %c, %b3 : tensor<8x8xf32>
  %d1 = graph.add %b0, %epsilon : tensor<8xf32>
  %d2 = graph.sqrt %d1 : tensor<8xf32>
  %d3 = graph.broadcast %d2 [1] : tensor<8xf32> -> tensor<8x8xf32>
  %d = graph.div %c, %d3 : tensor<8x8xf32>
  %e0 = graph.mul %x, %x : tensor<8x8xf32>
  %e1 = graph.reduce sum %e0 [1] : tensor<8x8xf32> -> tensor<8xf32>
  %e2 = graph.div %e1, %n : tensor<8xf32>
  %e3 = graph.add %e2, %epsilon : tensor<8xf32>
  %e4 = graph.rsqrt %e3 : tensor<8xf32>
  %e5 = graph.broadcast %e4 [0] : tensor<8xf32> -> tensor<8x8xf32>
  %e = graph.mul %c, %e5 : tensor<8x8xf32>
  return %a, %b, %d, %e : tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>
}

// -----

// A sum instead of a mean, the wrong sign, a one-hot form: its target may be out of range.
// CHECK-LABEL: func.func @losses(
func.func @losses(%x: tensor<4x8xf32>, %t: tensor<4xi32>) -> (tensor<f32>, tensor<f32>, tensor<f32>) {
  %n = graph.constant dense<4.0> : tensor<f32>
  %zeros = graph.constant dense<0.0> : tensor<4x8xf32>
  %l = graph.log_softmax %x dimension 1 : tensor<4x8xf32>
  %p = graph.pick %l, %t dimension 1 : tensor<4x8xf32>, tensor<4xi32> -> tensor<4xf32>
  %s = graph.reduce sum %p [0] : tensor<4xf32> -> tensor<f32>
  %a = graph.neg %s : tensor<f32>
  %b = graph.div %s, %n : tensor<f32>
  %i = graph.iota 1 : tensor<4x8xi32>
  %r = graph.broadcast %t [0] : tensor<4xi32> -> tensor<4x8xi32>
  %h = graph.compare eq %i, %r : tensor<4x8xi32> -> tensor<4x8xi1>
  %g = graph.select %h, %l, %zeros : tensor<4x8xi1>, tensor<4x8xf32>
  %w = graph.reduce sum %g [0, 1] : tensor<4x8xf32> -> tensor<f32>
  %c0 = graph.div %w, %n : tensor<f32>
  %c = graph.neg %c0 : tensor<f32>
  return %a, %b, %c : tensor<f32>, tensor<f32>, tensor<f32>
}
