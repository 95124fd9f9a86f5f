// RUN: %ingot-opt %s --add-optimizer | FileCheck %s
// RUN: %ingot-opt %s --add-optimizer="optimizer=sgd weight-decay=0" | FileCheck %s --check-prefix=SGD
// RUN: %ingot-opt %s --add-optimizer="optimizer=sgd momentum=0.9" | FileCheck %s --check-prefix=MOMENTUM
// RUN: %ingot-opt %s --add-optimizer="optimizer=lamb" | FileCheck %s --check-prefix=LAMB
// RUN: %ingot-opt %s --add-optimizer="optimizer=adafactor" | FileCheck %s --check-prefix=ADAFACTOR
// RUN: %ingot-opt %s --add-optimizer="optimizer=muon momentum=0.95" | FileCheck %s --check-prefix=MUON
// RUN: %ingot-opt %s --add-optimizer="watch" | FileCheck %s --check-prefix=WATCH
// RUN: %ingot-opt %s --add-optimizer="watch clip=0.5" | FileCheck %s --check-prefix=WATCH-NORM
// RUN: %ingot-opt %s --add-optimizer="clip=0.5" | FileCheck %s --check-prefix=CLIP
// RUN: %ingot-opt %s --add-optimizer="skip-non-finite" | FileCheck %s --check-prefix=SKIP
// RUN: %ingot-opt %s --add-optimizer="groups=h.0.*;frozen,.*;0.5;0" | FileCheck %s --check-prefix=GROUPS
// RUN: %ingot-opt %s --add-optimizer="return-gradients accumulate=2" | FileCheck %s --check-prefix=RETURN
// RUN: %ingot-opt %s --add-optimizer="accumulate=2" | FileCheck %s --check-prefix=ACCUMULATE
// RUN: %ingot-opt %s --add-optimizer="accumulate=6" | FileCheck %s --check-prefix=LOOP

// Parameters and state are donated to results of the same name; corrections are computed in f64.
// Layer 1 is a bucket of its own (its weight has 1 MB) and is updated behind the last use of its
// weight, before the first layer's gradient is made; an untrained parameter passes through.
// CHECK-NOT: @gradients
// CHECK-LABEL: func.func @step(
// CHECK-SAME: %[[W0:[a-z0-9]+]]: tensor<512x8xf32> {graph.donated = 0 : i64, graph.name = "h.0.w", graph.role = "parameter"}
// CHECK-SAME: %[[W1:[a-z0-9]+]]: tensor<512x512xf32> {graph.donated = 1 : i64, graph.name = "h.1.w", graph.role = "parameter"}
// CHECK-SAME: %[[U:[a-z0-9]+]]: tensor<3xf32> {graph.donated = 2 : i64, graph.name = "unused", graph.role = "parameter"}
// CHECK-SAME: %[[M0:[a-z0-9]+]]: tensor<512x8xf32> {graph.donated = 3 : i64, graph.name = "adam.m.h.0.w", graph.role = "state"}
// CHECK-SAME: %[[M1:[a-z0-9]+]]: tensor<512x512xf32> {graph.donated = 4 : i64, graph.name = "adam.m.h.1.w", graph.role = "state"}
// CHECK-SAME: %[[V0:[a-z0-9]+]]: tensor<512x8xf32> {graph.donated = 5 : i64, graph.name = "adam.v.h.0.w", graph.role = "state"}
// CHECK-SAME: %[[V1:[a-z0-9]+]]: tensor<512x512xf32> {graph.donated = 6 : i64, graph.name = "adam.v.h.1.w", graph.role = "state"}
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<4x8xf32> {graph.name = "x", graph.role = "input"}
// CHECK-SAME: %[[RATE:[a-z0-9]+]]: tensor<f32> {graph.name = "learning_rate", graph.role = "scalar"}
// CHECK-SAME: %[[STEP:[a-z0-9]+]]: tensor<i64> {graph.name = "step", graph.role = "scalar"}
// CHECK-SAME: -> (tensor<512x8xf32> {graph.name = "h.0.w", graph.role = "parameter"}, {{.*}}, tensor<f32> {graph.name = "loss"})
// CHECK: %[[COUNT:.+]] = graph.cast %[[STEP]] : tensor<i64> -> tensor<f64>
// CHECK: graph.exp %{{.+}} : tensor<f64>
// CHECK: %[[C1:.+]] = graph.cast %{{.+}} : tensor<f64> -> tensor<f32>
// CHECK: %[[C2:.+]] = graph.cast %{{.+}} : tensor<f64> -> tensor<f32>
// CHECK: %[[ONE:.+]] = graph.constant dense<1.000000e+00> : tensor<f32>
// CHECK: %[[G1:.+]] = graph.contract {{.*}} -> tensor<512x512xf32>
// CHECK: graph.contract %{{.+}}, %[[W1]]
// CHECK: %[[DECAY:.+]] = graph.constant dense<0.00999999977> : tensor<f32>
// CHECK-NEXT: %[[P1:.+]]:3 = graph.update(%[[W1]]) gradients(%[[G1]]) state(%[[M1]], %[[V1]]) scalars(%[[RATE]], %[[DECAY]], %[[ONE]], %[[C1]], %[[C2]]) :
// CHECK-NEXT: ^bb0(%[[P:.+]]: tensor<f32>, %[[G:.+]]: tensor<f32>, %[[M:.+]]: tensor<f32>, %[[V:.+]]: tensor<f32>, %{{.+}}: tensor<f32>, %{{.+}}: tensor<f32>, %[[S:.+]]: tensor<f32>, %{{.+}}: tensor<f32>, %{{.+}}: tensor<f32>):
// CHECK: graph.mul %[[G]], %[[S]] : tensor<f32>
// CHECK: graph.yield
// CHECK: %[[G0:.+]] = graph.contract
// CHECK: %[[P0:.+]]:3 = graph.update(%[[W0]]) gradients(%[[G0]]) state(%[[M0]], %[[V0]])
// CHECK: return %[[P0]]#0, %[[P1]]#0, %[[U]],

// SGD without momentum has no state and takes no step number.
// SGD-LABEL: func.func @step(
// SGD-NOT: "state"
// SGD-NOT: "step"
// SGD: graph.update(%{{[^,]+}}) gradients(%{{[^,]+}}) state() scalars(%{{[^,]+}}, %{{[^,]+}}, %{{[^,]+}}) :

// MOMENTUM-LABEL: func.func @step(
// MOMENTUM-SAME: tensor<512x8xf32> {graph.donated = 3 : i64, graph.name = "sgd.momentum.h.0.w", graph.role = "state"}
// MOMENTUM: graph.update(%{{[^,]+}}) gradients(%{{[^,]+}}) state(%{{[^,]+}}) scalars(
// MOMENTUM: graph.constant dense<0.899999976> : tensor<f32>

// Norms of a whole parameter are before its update, which takes their ratio as its last scalar and gets the moments
// itself.
// LAMB-LABEL: func.func @step(
// LAMB: %[[NORM:.+]] = graph.sqrt
// LAMB: %[[STEP:.+]] = graph.sqrt {{.*}} : tensor<f32>
// LAMB: %[[RATIO:.+]] = graph.select {{.*}} : tensor<i1>, tensor<f32>
// LAMB: graph.update(%{{[^,]+}}) gradients(%{{[^,]+}}) state(%{{[^,]+}}, %{{[^,]+}}) scalars({{.*}}, %[[RATIO]]) :

// State that no element's update can make: mean squares of rows and columns. The update reads the gradient, which it may
// watch, and the tensor that is the step's direction.
// ADAFACTOR-LABEL: func.func @step(
// ADAFACTOR-SAME: tensor<512xf32> {graph.donated = 3 : i64, graph.name = "adafactor.rows.h.0.w", graph.role = "state"}
// ADAFACTOR-SAME: tensor<8xf32> {graph.donated = 5 : i64, graph.name = "adafactor.columns.h.0.w", graph.role = "state"}
// ADAFACTOR: %[[ROOT:.+]] = graph.rsqrt {{.*}} : tensor<512x512xf32>
// ADAFACTOR: %[[DIRECTION:.+]] = graph.mul %{{.+}}, %[[ROOT]] : tensor<512x512xf32>
// ADAFACTOR: graph.update(%{{[^,]+}}) gradients(%{{[^,]+}}, %[[DIRECTION]]) state() scalars(

// The products are of the smaller side.
// MUON-LABEL: func.func @step(
// MUON-SAME: tensor<512x8xf32> {graph.donated = 3 : i64, graph.name = "muon.momentum.h.0.w", graph.role = "state"}
// MUON: graph.update(%{{[^,]+}}) gradients(%{{[^,]+}}, %{{[^,]+}}) state() scalars(
// MUON-COUNT-5: graph.contract {{.*}} over [0] x [0] : tensor<512x8xf32>, tensor<512x8xf32> -> tensor<8x8xf32>

// Updates say where their gradients are too large to be squared, by rows of at most 4096 elements; with a norm,
// too large for the sum of all squares.
// WATCH-LABEL: func.func @step(
// WATCH-SAME: tensor<64xi32> {graph.members = ["h.1.w"], graph.name = "gradient_beyond.0"}, tensor<1xi32> {graph.members = ["h.0.w"], graph.name = "gradient_beyond.1"})
// WATCH: %{{.+}}:3, %[[BEYOND:.+]] = graph.update{{.*}}limit = 1.8446744073709552E+19 : f64{{.*}} beyond tensor<64xi32>
// WATCH: return {{.*}}%[[BEYOND]]
// WATCH-NORM: limit = 0x434FC0BD88A0F1DA : f64

// Clipping needs all gradients: every update stands behind the norm.
// CLIP-LABEL: func.func @step(
// CLIP-SAME: tensor<f32> {graph.name = "gradient_norm"})
// CLIP-NOT: graph.update
// CLIP: %[[SUM:.+]] = graph.add %{{.+}}, %{{.+}} : tensor<f32>
// CLIP: %[[NORM:.+]] = graph.sqrt %[[SUM]] : tensor<f32>
// CLIP: %[[GUARDED:.+]] = graph.add %[[NORM]], %{{.+}} : tensor<f32>
// CLIP: %[[LIMIT:.+]] = graph.div %{{.+}}, %[[GUARDED]] : tensor<f32>
// CLIP: %[[LEAST:.+]] = graph.minimum %[[LIMIT]], %{{.+}} : tensor<f32>
// CLIP: %[[SCALE:.+]] = graph.mul %[[LEAST]]
// CLIP: graph.update{{.*}} scalars(%{{[^,]+}}, %{{[^,]+}}, %[[SCALE]], %{{[^,]+}}, %{{[^,]+}})
// CLIP: return {{.*}}, %[[NORM]] :

// A scale of NaN, where loss or norm is not finite, makes updates change nothing.
// SKIP-LABEL: func.func @step(
// SKIP-NOT: graph.update
// SKIP: %[[NORM:.+]] = graph.sqrt %{{.+}} : tensor<f32>
// SKIP: %[[LOSS:.+]] = graph.abs %{{.+}} : tensor<f32>
// SKIP: %[[FINITE:.+]] = graph.compare lt %[[NORM]], %{{.+}} : tensor<f32>
// SKIP: %[[BOTH:.+]] = graph.and %[[FINITE]], %{{.+}} : tensor<i1>
// SKIP: %[[SCALE:.+]] = graph.select %[[BOTH]]
// SKIP: graph.update{{.*}} scalars(%{{[^,]+}}, %{{[^,]+}}, %[[SCALE]], %{{[^,]+}}, %{{[^,]+}})
// SKIP: %[[APPLIES:.+]] = graph.compare eq %[[S:.+]], %[[S]] : tensor<f32>
// SKIP: graph.select %[[APPLIES]]
// SKIP: %[[NONE:.+]] = graph.constant dense<0.000000e+00> : tensor<f32>
// SKIP: %[[UNUSED:.+]] = graph.reshape %[[NONE]] : tensor<f32> -> tensor<1xf32>
// SKIP: %[[SQUARES:.+]] = graph.concat %{{.+}}, %{{.+}}, %[[UNUSED]] dimension 0
// SKIP: %[[NORMS:.+]] = graph.sqrt %[[SQUARES]] : tensor<3xf32>
// SKIP: return {{.*}}, %[[NORM]], %[[NORMS]] :

// The first group that matches a whole name takes the parameter; frozen ones have no state.
// GROUPS-LABEL: func.func @step(
// GROUPS-SAME: %[[W0:[a-z0-9]+]]: tensor<512x8xf32> {graph.donated = 0 : i64, graph.name = "h.0.w"
// GROUPS-SAME: %[[W1:[a-z0-9]+]]: tensor<512x512xf32>
// GROUPS-NOT: "adam.m.h.0.w"
// GROUPS-SAME: %[[RATE:[a-z0-9]+]]: tensor<f32> {graph.name = "learning_rate"
// GROUPS: %[[HALF:.+]] = graph.mul %[[RATE]], %{{.+}} : tensor<f32>
// GROUPS: %[[NONE:.+]] = graph.constant dense<0.000000e+00> : tensor<f32>
// GROUPS: %[[P1:.+]]:3 = graph.update(%[[W1]]) {{.*}} scalars(%[[HALF]], %[[NONE]],
// GROUPS-NOT: graph.update
// GROUPS: return %[[W0]], %[[P1]]#0,

// RETURN-LABEL: func.func @step(
// RETURN-SAME: tensor<3xf32> {graph.name = "gradient_norms"}, tensor<512x8xf32> {graph.name = "gradient.h.0.w"}, tensor<512x512xf32> {graph.name = "gradient.h.1.w"})

// Two micro-batches are halves of a batch twice as large; gradients add up, and their mean is a
// matter of the scale.
// ACCUMULATE-LABEL: func.func @step(
// ACCUMULATE-SAME: %[[X:[a-z0-9]+]]: tensor<8x8xf32> {graph.name = "x", graph.role = "input"}
// ACCUMULATE: %[[HALF:.+]] = graph.constant dense<5.000000e-01> : tensor<f32>
// ACCUMULATE: graph.slice %[[X]] [0, 0] to [4, 8] by [1, 1]
// ACCUMULATE: %[[A:.+]] = graph.contract {{.*}} -> tensor<512x512xf32>
// ACCUMULATE: graph.slice %[[X]] [4, 0] to [8, 8] by [1, 1]
// ACCUMULATE: %[[B:.+]] = graph.contract {{.*}} -> tensor<512x512xf32>
// ACCUMULATE-NEXT: %[[G:.+]] = graph.add %[[B]], %[[A]]
// ACCUMULATE: graph.update{{.*}} gradients(%[[G]]) {{.*}} scalars(%{{[^,]+}}, %{{[^,]+}}, %[[HALF]], %{{[^,]+}}, %{{[^,]+}})
// ACCUMULATE-COUNT-2: graph.yield
// ACCUMULATE: %[[LOSS:.+]] = graph.mul %{{.+}}, %{{.+}} : tensor<f32>
// ACCUMULATE: return {{.*}}, %[[LOSS]] :
// More are the iterations of a loop, which starts with sums of -0: adding to them changes no bit.
// LOOP-LABEL: func.func @step(
// LOOP-SAME: %[[X:[a-z0-9]+]]: tensor<24x8xf32> {graph.name = "x", graph.role = "input"}
// LOOP-DAG: %[[ZERO:.+]] = graph.constant dense<-0.000000e+00> : tensor<512x512xf32>
// LOOP-DAG: %[[PARTS:.+]] = graph.reshape %[[X]] : tensor<24x8xf32> -> tensor<6x4x8xf32>
// LOOP: %[[SUMS:.+]]:3 = graph.loop {{.*}} carry({{.*}}%[[ZERO]]
// LOOP-NEXT: ^bb0(%[[I:.+]]: tensor<i64>, %{{.+}}: tensor<512x8xf32>, %[[SUM:.+]]: tensor<512x512xf32>, %{{.+}}: tensor<f32>):
// LOOP: graph.dynamic_slice %[[PARTS]], %[[I]]
// LOOP: %[[B:.+]] = graph.contract {{.*}} -> tensor<512x512xf32>
// LOOP-NEXT: graph.add %[[B]], %[[SUM]]
// LOOP: graph.update{{.*}} gradients(%[[SUMS]]#0, %[[SUMS]]#1)
func.func @gradients(
    %w0: tensor<512x8xf32> {graph.name = "h.0.w", graph.role = "parameter"},
    %w1: tensor<512x512xf32> {graph.name = "h.1.w", graph.role = "parameter"},
    %unused: tensor<3xf32> {graph.name = "unused", graph.role = "parameter"},
    %x: tensor<4x8xf32> {graph.name = "x", graph.role = "input"})
    -> (tensor<f32> {graph.name = "loss"}, tensor<512x8xf32> {graph.name = "gradient.h.0.w"},
        tensor<512x512xf32> {graph.name = "gradient.h.1.w"}) {
  %h = graph.linear %x, %w0 : tensor<4x8xf32>, tensor<512x8xf32> -> tensor<4x512xf32>
  %y = graph.linear %h, %w1 : tensor<4x512xf32>, tensor<512x512xf32> -> tensor<4x512xf32>
  %loss = graph.reduce sum %y [0, 1] : tensor<4x512xf32> -> tensor<f32>
  %dy = graph.constant dense<1.0> : tensor<4x512xf32>
  %g1 = graph.contract %dy, %h batch [] x [] over [0] x [0] : tensor<4x512xf32>, tensor<4x512xf32> -> tensor<512x512xf32>
  %dh = graph.contract %dy, %w1 batch [] x [] over [1] x [0] : tensor<4x512xf32>, tensor<512x512xf32> -> tensor<4x512xf32>
  %g0 = graph.contract %dh, %x batch [] x [] over [0] x [0] : tensor<4x512xf32>, tensor<4x8xf32> -> tensor<512x8xf32>
  return %loss, %g0, %g1 : tensor<f32>, tensor<512x8xf32>, tensor<512x512xf32>
}
