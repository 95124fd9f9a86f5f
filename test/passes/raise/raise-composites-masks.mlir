// RUN: %ingot-opt %s --canonicalize --cse --raise-composites --canonicalize --cse --split-input-file | FileCheck %s

// RaiseCompositesTest.cpp computes every function of this file with and without the pass.

// A mask that lowers scores, but not to where they are surely 0, is added.
// CHECK-LABEL: func.func @weak_mask(
// CHECK: graph.attention %{{.+}}, %{{.+}}, %{{.+}} mask %{{.+}} scale 1.000000e+00 causal false{{.*}}tensor<1x1x4x4xf32>
// CHECK-NOT: graph.softmax
func.func @weak_mask(%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x4x8xf32>, %v: tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32> {
  %s = graph.contract %q, %k batch [0, 1] x [0, 1] over [3] x [3] : tensor<2x3x4x8xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x4xf32>
  %i = graph.iota 0 : tensor<4x4xi32>
  %j = graph.iota 1 : tensor<4x4xi32>
  %hides = graph.compare gt %j, %i : tensor<4x4xi32> -> tensor<4x4xi1>
  %low = graph.constant dense<-1.0e+4> : tensor<4x4xf32>
  %none = graph.constant dense<0.0> : tensor<4x4xf32>
  %m0 = graph.select %hides, %low, %none : tensor<4x4xi1>, tensor<4x4xf32>
  %m = graph.broadcast %m0 [2, 3] : tensor<4x4xf32> -> tensor<2x3x4x4xf32>
  %a = graph.add %s, %m : tensor<2x3x4x4xf32>
  %p = graph.softmax %a dimension 3 : tensor<2x3x4x4xf32>
  %y = graph.contract %p, %v batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x3x4x4xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x8xf32>
  return %y : tensor<2x3x4x8xf32>
}

// -----

// Causal from the first key on, with more keys than queries: the first query is at the first key.
// CHECK-LABEL: func.func @first_keys(
// CHECK: %[[O:.+]] = graph.constant dense<0> : tensor<i64>
// CHECK: graph.attention %{{.+}}, %{{.+}}, %{{.+}} offset %[[O]] scale 1.000000e+00 causal true
// CHECK-NOT: graph.softmax
func.func @first_keys(%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x6x8xf32>, %v: tensor<2x3x6x8xf32>) -> tensor<2x3x4x8xf32> {
  %s = graph.contract %q, %k batch [0, 1] x [0, 1] over [3] x [3] : tensor<2x3x4x8xf32>, tensor<2x3x6x8xf32> -> tensor<2x3x4x6xf32>
  %i = graph.iota 0 : tensor<4x6xi32>
  %j = graph.iota 1 : tensor<4x6xi32>
  %hides = graph.compare gt %j, %i : tensor<4x6xi32> -> tensor<4x6xi1>
  %low = graph.constant dense<-1.0e+30> : tensor<4x6xf32>
  %none = graph.constant dense<0.0> : tensor<4x6xf32>
  %m0 = graph.select %hides, %low, %none : tensor<4x6xi1>, tensor<4x6xf32>
  %m = graph.broadcast %m0 [2, 3] : tensor<4x6xf32> -> tensor<2x3x4x6xf32>
  %a = graph.add %s, %m : tensor<2x3x4x6xf32>
  %p = graph.softmax %a dimension 3 : tensor<2x3x4x6xf32>
  %y = graph.contract %p, %v batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x3x4x6xf32>, tensor<2x3x6x8xf32> -> tensor<2x3x4x8xf32>
  return %y : tensor<2x3x4x8xf32>
}

// -----

// A query does not see its own key: the first one sees none, and all that is hidden is alike.
// CHECK-LABEL: func.func @strictly_causal(
// CHECK: graph.attention %{{.+}}, %{{.+}}, %{{.+}} mask %{{.+}} scale 1.000000e+00 causal false
// CHECK-NOT: graph.softmax
func.func @strictly_causal(%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x4x8xf32>, %v: tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32> {
  %s = graph.contract %q, %k batch [0, 1] x [0, 1] over [3] x [3] : tensor<2x3x4x8xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x4xf32>
  %i = graph.iota 0 : tensor<4x4xi32>
  %j = graph.iota 1 : tensor<4x4xi32>
  %hides = graph.compare ge %j, %i : tensor<4x4xi32> -> tensor<4x4xi1>
  %low = graph.constant dense<-1.0e+30> : tensor<4x4xf32>
  %none = graph.constant dense<0.0> : tensor<4x4xf32>
  %m0 = graph.select %hides, %low, %none : tensor<4x4xi1>, tensor<4x4xf32>
  %m = graph.broadcast %m0 [2, 3] : tensor<4x4xf32> -> tensor<2x3x4x4xf32>
  %a = graph.add %s, %m : tensor<2x3x4x4xf32>
  %p = graph.softmax %a dimension 3 : tensor<2x3x4x4xf32>
  %y = graph.contract %p, %v batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x3x4x4xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x8xf32>
  return %y : tensor<2x3x4x8xf32>
}

// -----

// A window hides more than what comes after the query.
// CHECK-LABEL: func.func @window(
// CHECK: graph.attention %{{.+}}, %{{.+}}, %{{.+}} scale 1.000000e+00 causal true before 0
// CHECK-NOT: graph.softmax
func.func @window(%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x4x8xf32>, %v: tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32> {
  %s = graph.contract %q, %k batch [0, 1] x [0, 1] over [3] x [3] : tensor<2x3x4x8xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x4xf32>
  %i = graph.iota 0 : tensor<4x4xi32>
  %j = graph.iota 1 : tensor<4x4xi32>
  %hides = graph.compare ne %j, %i : tensor<4x4xi32> -> tensor<4x4xi1>
  %low = graph.constant dense<-1.0e+30> : tensor<4x4xf32>
  %none = graph.constant dense<0.0> : tensor<4x4xf32>
  %m0 = graph.select %hides, %low, %none : tensor<4x4xi1>, tensor<4x4xf32>
  %m = graph.broadcast %m0 [2, 3] : tensor<4x4xf32> -> tensor<2x3x4x4xf32>
  %a = graph.add %s, %m : tensor<2x3x4x4xf32>
  %p = graph.softmax %a dimension 3 : tensor<2x3x4x4xf32>
  %y = graph.contract %p, %v batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x3x4x4xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x8xf32>
  return %y : tensor<2x3x4x8xf32>
}

// -----

// Numbers that are added to scores, for each head the same.
// CHECK-LABEL: func.func @bias(
// CHECK: graph.attention %{{.+}}, %{{.+}}, %{{.+}} mask %{{.+}} scale 1.000000e+00 causal false
// CHECK-NOT: graph.softmax
func.func @bias(%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x4x8xf32>, %v: tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32> {
  %s = graph.contract %q, %k batch [0, 1] x [0, 1] over [3] x [3] : tensor<2x3x4x8xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x4xf32>
  %b = graph.constant dense<[[[0.0, -1.0, -2.0, -3.0]]]> : tensor<1x1x4xf32>
  %m = graph.broadcast %b [1, 2, 3] : tensor<1x1x4xf32> -> tensor<2x3x4x4xf32>
  %a = graph.add %s, %m : tensor<2x3x4x4xf32>
  %p = graph.softmax %a dimension 3 : tensor<2x3x4x4xf32>
  %y = graph.contract %p, %v batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x3x4x4xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x8xf32>
  return %y : tensor<2x3x4x8xf32>
}

// -----

// A mask that the model is given: what it repeats is not stored.
// CHECK-LABEL: func.func @mask_of_data(
// CHECK: graph.attention %{{.+}}, %{{.+}}, %{{.+}} mask %{{.+}} scale 1.000000e+00 causal false{{.*}}tensor<1x1x4x4xf32>
// CHECK-NOT: graph.softmax
func.func @mask_of_data(%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x4x8xf32>, %v: tensor<2x3x4x8xf32>, %mask: tensor<4x4xf32>) -> tensor<2x3x4x8xf32> {
  %s = graph.contract %q, %k batch [0, 1] x [0, 1] over [3] x [3] : tensor<2x3x4x8xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x4xf32>
  %m = graph.broadcast %mask [2, 3] : tensor<4x4xf32> -> tensor<2x3x4x4xf32>
  %a = graph.add %s, %m : tensor<2x3x4x4xf32>
  %p = graph.softmax %a dimension 3 : tensor<2x3x4x4xf32>
  %y = graph.contract %p, %v batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x3x4x4xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x8xf32>
  return %y : tensor<2x3x4x8xf32>
}

// -----

// Heads see different keys.
// CHECK-LABEL: func.func @mask_by_head(
// CHECK: graph.attention %{{.+}}, %{{.+}}, %{{.+}} mask %{{.+}} scale 1.000000e+00 causal false
// CHECK-NOT: graph.softmax
func.func @mask_by_head(%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x4x8xf32>, %v: tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32> {
  %s = graph.contract %q, %k batch [0, 1] x [0, 1] over [3] x [3] : tensor<2x3x4x8xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x4xf32>
  %b = graph.constant dense<[[[0.0, 0.0, 0.0, -1.0e+30]], [[0.0, 0.0, -1.0e+30, -1.0e+30]], [[0.0, 0.0, 0.0, 0.0]]]> : tensor<3x1x4xf32>
  %m = graph.broadcast %b [1, 2, 3] : tensor<3x1x4xf32> -> tensor<2x3x4x4xf32>
  %a = graph.add %s, %m : tensor<2x3x4x4xf32>
  %p = graph.softmax %a dimension 3 : tensor<2x3x4x4xf32>
  %y = graph.contract %p, %v batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x3x4x4xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x8xf32>
  return %y : tensor<2x3x4x8xf32>
}

// -----

// BERT's: numbers made of which tokens there are, repeated for heads and queries.
// CHECK-LABEL: func.func @padding(
// CHECK: graph.attention %{{.+}}, %{{.+}}, %{{.+}} mask %{{.+}} scale 5.000000e-01 causal false : tensor<2x3x4x8xf32>, tensor<2x3x4x8xf32>, tensor<2x3x4x8xf32>, tensor<2x1x1x4xf32>
// CHECK-NOT: graph.softmax
func.func @padding(%q: tensor<2x3x4x8xf32>, %k: tensor<2x3x4x8xf32>, %v: tensor<2x3x4x8xf32>, %tokens: tensor<2x4xi1>) -> tensor<2x3x4x8xf32> {
  %there = graph.cast %tokens : tensor<2x4xi1> -> tensor<2x4xf32>
  %one = graph.constant dense<1.0> : tensor<2x4xf32>
  %missing = graph.sub %one, %there : tensor<2x4xf32>
  %low = graph.constant dense<-3.40282347E+38> : tensor<2x4xf32>
  %lows = graph.mul %missing, %low : tensor<2x4xf32>
  %m0 = graph.reshape %lows : tensor<2x4xf32> -> tensor<2x1x1x4xf32>
  %m = graph.broadcast %m0 [0, 1, 2, 3] : tensor<2x1x1x4xf32> -> tensor<2x3x4x4xf32>
  %s = graph.contract %q, %k batch [0, 1] x [0, 1] over [3] x [3] : tensor<2x3x4x8xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x4xf32>
  %half = graph.constant dense<0.5> : tensor<2x3x4x4xf32>
  %d = graph.mul %s, %half : tensor<2x3x4x4xf32>
  %a = graph.add %m, %d : tensor<2x3x4x4xf32>
  %p = graph.softmax %a dimension 3 : tensor<2x3x4x4xf32>
  %y = graph.contract %p, %v batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x3x4x4xf32>, tensor<2x3x4x8xf32> -> tensor<2x3x4x8xf32>
  return %y : tensor<2x3x4x8xf32>
}

// -----

// GPT-2's: a known condition chooses the score, then what is missing is added; Gemma's soft cap before both, and queries that are
// grouped beside their keys.
// CHECK-LABEL: func.func @capped_and_masked_twice(
// CHECK: graph.attention %{{.+}}, %{{.+}}, %{{.+}} mask %{{.+}} scale 2.500000e-01 causal true soft_cap 3.000000e+00 before 1 : tensor<2x4x5x8xf32>, tensor<2x2x5x8xf32>, tensor<2x2x5x8xf32>, tensor<2x1x1x5xf32>
// CHECK-NOT: graph.softmax
func.func @capped_and_masked_twice(%q: tensor<2x2x2x5x8xf32>, %k: tensor<2x2x5x8xf32>, %v: tensor<2x2x5x8xf32>, %missing: tensor<2x5xf32>) -> tensor<2x2x2x5x8xf32> {
  %s = graph.contract %q, %k batch [0, 1] x [0, 1] over [4] x [3] : tensor<2x2x2x5x8xf32>, tensor<2x2x5x8xf32> -> tensor<2x2x2x5x5xf32>
  %scale = graph.constant dense<0.25> : tensor<2x2x2x5x5xf32>
  %cap = graph.constant dense<3.0> : tensor<2x2x2x5x5xf32>
  %scaled = graph.mul %s, %scale : tensor<2x2x2x5x5xf32>
  %part = graph.div %scaled, %cap : tensor<2x2x2x5x5xf32>
  %bent = graph.tanh %part : tensor<2x2x2x5x5xf32>
  %capped = graph.mul %bent, %cap : tensor<2x2x2x5x5xf32>
  %i = graph.iota 0 : tensor<5x5xi32>
  %j = graph.iota 1 : tensor<5x5xi32>
  %two = graph.constant dense<2> : tensor<5x5xi32>
  %end = graph.add %j, %two : tensor<5x5xi32>
  %behind = graph.compare le %j, %i : tensor<5x5xi32> -> tensor<5x5xi1>
  %near = graph.compare gt %end, %i : tensor<5x5xi32> -> tensor<5x5xi1>
  %shown = graph.and %behind, %near : tensor<5x5xi1>
  %c = graph.broadcast %shown [3, 4] : tensor<5x5xi1> -> tensor<2x2x2x5x5xi1>
  %low = graph.constant dense<-3.40282347E+38> : tensor<2x2x2x5x5xf32>
  %chosen = graph.select %c, %capped, %low : tensor<2x2x2x5x5xi1>, tensor<2x2x2x5x5xf32>
  %m = graph.broadcast %missing [0, 4] : tensor<2x5xf32> -> tensor<2x2x2x5x5xf32>
  %a = graph.add %chosen, %m : tensor<2x2x2x5x5xf32>
  %p = graph.softmax %a dimension 4 : tensor<2x2x2x5x5xf32>
  %y = graph.contract %p, %v batch [0, 1] x [0, 1] over [4] x [2] : tensor<2x2x2x5x5xf32>, tensor<2x2x5x8xf32> -> tensor<2x2x2x5x8xf32>
  return %y : tensor<2x2x2x5x8xf32>
}

// -----

// Conditions of the model's data, and a bias by head in two dimensions of heads.
// CHECK-LABEL: func.func @condition_and_bias(
// CHECK: graph.attention %{{.+}}, %{{.+}}, %{{.+}} mask %{{.+}} scale 1.000000e+00 causal false : {{.*}}, tensor<2x4x4x4xf32>
// CHECK-NOT: graph.softmax
func.func @condition_and_bias(%q: tensor<2x2x2x4x8xf32>, %k: tensor<2x2x4x8xf32>, %v: tensor<2x2x4x8xf32>, %c0: tensor<2x4x4xi1>, %bias: tensor<2x4xf32>) -> tensor<2x2x2x4x8xf32> {
  %s = graph.contract %q, %k batch [0, 1] x [0, 1] over [4] x [3] : tensor<2x2x2x4x8xf32>, tensor<2x2x4x8xf32> -> tensor<2x2x2x4x4xf32>
  %c = graph.broadcast %c0 [0, 3, 4] : tensor<2x4x4xi1> -> tensor<2x2x2x4x4xi1>
  %low = graph.constant dense<-1.0e+30> : tensor<2x2x2x4x4xf32>
  %chosen = graph.select %c, %low, %s : tensor<2x2x2x4x4xi1>, tensor<2x2x2x4x4xf32>
  %m = graph.broadcast %bias [2, 4] : tensor<2x4xf32> -> tensor<2x2x2x4x4xf32>
  %a = graph.add %chosen, %m : tensor<2x2x2x4x4xf32>
  %p = graph.softmax %a dimension 4 : tensor<2x2x2x4x4xf32>
  %y = graph.contract %p, %v batch [0, 1] x [0, 1] over [4] x [2] : tensor<2x2x2x4x4xf32>, tensor<2x2x4x8xf32> -> tensor<2x2x2x4x8xf32>
  return %y : tensor<2x2x2x4x8xf32>
}

// -----

// The first query sees no key: its scores are equal, as large as they were. The others see one.
// CHECK-LABEL: func.func @hidden_query(
// CHECK: graph.attention %{{.+}}, %{{.+}}, %{{.+}} mask %{{.+}} scale 1.000000e+02 causal false
// CHECK-NOT: graph.softmax
func.func @hidden_query(%q: tensor<1x2x3x8xf32>, %k: tensor<1x2x4x8xf32>, %v: tensor<1x2x4x8xf32>) -> tensor<1x2x3x8xf32> {
  %c = graph.constant dense<[[false, false, false, false], [false, false, true, false], [true, false, false, false]]> : tensor<3x4xi1>
  %low = graph.constant dense<-1.0e+09> : tensor<1x2x3x4xf32>
  %hundred = graph.constant dense<1.0e+02> : tensor<1x2x3x4xf32>
  %s = graph.contract %q, %k batch [0, 1] x [0, 1] over [3] x [3] : tensor<1x2x3x8xf32>, tensor<1x2x4x8xf32> -> tensor<1x2x3x4xf32>
  %d = graph.mul %s, %hundred : tensor<1x2x3x4xf32>
  %b = graph.broadcast %c [2, 3] : tensor<3x4xi1> -> tensor<1x2x3x4xi1>
  %m = graph.select %b, %d, %low : tensor<1x2x3x4xi1>, tensor<1x2x3x4xf32>
  %p = graph.softmax %m dimension 3 : tensor<1x2x3x4xf32>
  %y = graph.contract %p, %v batch [0, 1] x [0, 1] over [3] x [2] : tensor<1x2x3x4xf32>, tensor<1x2x4x8xf32> -> tensor<1x2x3x8xf32>
  return %y : tensor<1x2x3x8xf32>
}

// -----

// In f64 scores near 100 would not vanish beside -1e9 at all.
// CHECK-LABEL: func.func @hidden_query_of_f64(
// CHECK: graph.attention %{{.+}}, %{{.+}}, %{{.+}} mask %{{.+}} scale 1.000000e+02 causal false
// CHECK-NOT: graph.softmax
func.func @hidden_query_of_f64(%q: tensor<1x2x3x8xf64>, %k: tensor<1x2x4x8xf64>, %v: tensor<1x2x4x8xf64>) -> tensor<1x2x3x8xf64> {
  %c = graph.constant dense<[[false, false, false, false], [false, true, true, false], [true, true, true, true]]> : tensor<3x4xi1>
  %low = graph.constant dense<-1.0e+09> : tensor<1x2x3x4xf64>
  %hundred = graph.constant dense<1.0e+02> : tensor<1x2x3x4xf64>
  %s = graph.contract %q, %k batch [0, 1] x [0, 1] over [3] x [3] : tensor<1x2x3x8xf64>, tensor<1x2x4x8xf64> -> tensor<1x2x3x4xf64>
  %d = graph.mul %s, %hundred : tensor<1x2x3x4xf64>
  %b = graph.broadcast %c [2, 3] : tensor<3x4xi1> -> tensor<1x2x3x4xi1>
  %m = graph.select %b, %d, %low : tensor<1x2x3x4xi1>, tensor<1x2x3x4xf64>
  %p = graph.softmax %m dimension 3 : tensor<1x2x3x4xf64>
  %y = graph.contract %p, %v batch [0, 1] x [0, 1] over [3] x [2] : tensor<1x2x3x4xf64>, tensor<1x2x4x8xf64> -> tensor<1x2x3x8xf64>
  return %y : tensor<1x2x3x8xf64>
}

// -----

// The outer selection replaces what the inner one and the numbers inside it leave, of a query that sees
// no key too.
// CHECK-LABEL: func.func @selections(
// CHECK: graph.attention %{{.+}}, %{{.+}}, %{{.+}} mask %{{.+}} scale 1.000000e+00 causal false
// CHECK-NOT: graph.softmax
func.func @selections(%q: tensor<2x3x4x8xf64>, %k: tensor<2x3x4x8xf64>, %v: tensor<2x3x4x8xf64>, %bias: tensor<4x4xf64>) -> tensor<2x3x4x8xf64> {
  %c = graph.constant dense<[[true, true, false, false], [false, true, true, false], [false, true, true, false], [true, true, true, true]]> : tensor<4x4xi1>
  %d = graph.constant dense<[[false, false, true, true], [false, true, false, true], [true, true, true, false], [true, true, false, true]]> : tensor<4x4xi1>
  %low = graph.constant dense<-1.0e+09> : tensor<2x3x4x4xf64>
  %s = graph.contract %q, %k batch [0, 1] x [0, 1] over [3] x [3] : tensor<2x3x4x8xf64>, tensor<2x3x4x8xf64> -> tensor<2x3x4x4xf64>
  %e = graph.broadcast %bias [2, 3] : tensor<4x4xf64> -> tensor<2x3x4x4xf64>
  %a = graph.add %s, %e : tensor<2x3x4x4xf64>
  %f = graph.broadcast %c [2, 3] : tensor<4x4xi1> -> tensor<2x3x4x4xi1>
  %m = graph.select %f, %a, %low : tensor<2x3x4x4xi1>, tensor<2x3x4x4xf64>
  %g = graph.broadcast %d [2, 3] : tensor<4x4xi1> -> tensor<2x3x4x4xi1>
  %n = graph.select %g, %m, %low : tensor<2x3x4x4xi1>, tensor<2x3x4x4xf64>
  %p = graph.softmax %n dimension 3 : tensor<2x3x4x4xf64>
  %y = graph.contract %p, %v batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x3x4x4xf64>, tensor<2x3x4x8xf64> -> tensor<2x3x4x8xf64>
  return %y : tensor<2x3x4x8xf64>
}
