// RUN: %ingot-opt %s --expand-math --cse | FileCheck %s
// RUN: %ingot-opt %s --expand-math=vector-bytes=64 --cse | FileCheck %s --check-prefix=WIDE

// CHECK-LABEL: func.func @root
// CHECK:       %[[ROOT:.*]] = math.sqrt %arg0 : vector<16xf32>
// CHECK:       arith.divf %{{.*}}, %[[ROOT]] : vector<16xf32>
func.func @root(%x: vector<16xf32>) -> vector<16xf32> {
  %0 = math.rsqrt %x : vector<16xf32>
  return %0 : vector<16xf32>
}

// One polynomial, no division, no flag that lets LLVM round differently.
// CHECK-LABEL: func.func @exponential
// CHECK-NOT:   fastmath
// CHECK-COUNT-8: math.fma
// CHECK-NOT:   math.
// CHECK-NOT:   arith.divf
// CHECK:       return
func.func @exponential(%x: f32) -> f32 {
  %0 = math.exp %x fastmath<afn> : f32
  return %0 : f32
}

// Narrow types are computed in f32, widened and rounded by integer arithmetic; what one instruction does stays.
// CHECK-LABEL: func.func @narrow
// CHECK:       %[[HALF:.*]] = arith.bitcast %arg0 : bf16 to i16
// CHECK:       %[[WORD:.*]] = arith.extui %[[HALF]] : i16 to i32
// CHECK:       arith.shli %[[WORD]], %c16
// CHECK-NOT:   arith.extf
// CHECK-NOT:   math.tanh
// CHECK-NOT:   arith.truncf
// CHECK:       %[[R:.*]] = arith.bitcast %{{.*}} : i16 to bf16
// CHECK:       math.absf %[[R]] : bf16
func.func @narrow(%x: bf16) -> bf16 {
  %0 = math.tanh %x : bf16
  %1 = math.absf %0 : bf16
  return %1 : bf16
}

// AVX-512 multiplies by powers of two in one instruction; scalars stay as they are.
// CHECK-LABEL: func.func @scaled
// CHECK-NOT:   llvm.call_intrinsic
// WIDE-LABEL:  func.func @scaled
// WIDE:        %[[SCALED:.*]] = llvm.call_intrinsic "llvm.x86.avx512.mask.scalef.ps.512"
// WIDE-NOT:    llvm.call_intrinsic
// WIDE:        return %[[SCALED]]
func.func @scaled(%x: vector<16xf32>, %y: f32) -> (vector<16xf32>, f32) {
  %0 = math.exp %x : vector<16xf32>
  %1 = math.exp %y : f32
  return %0, %1 : vector<16xf32>, f32
}

// An emitted launch whose target rounds by instructions.
// CHECK-LABEL: func.func @rounds
// CHECK:       arith.truncf %{{.*}} : vector<8xf32> to vector<8xbf16>
// CHECK-NOT:   arith.extf %{{.*}} : vector<8xbf16>
// CHECK-NOT:   to bf16
// CHECK:       arith.bitcast %{{.*}} : i16 to bf16
func.func @rounds(%x: vector<8xf32>, %y: f64) -> (vector<8xf32>, bf16) attributes {kernel.rounds} {
  %0 = arith.truncf %x : vector<8xf32> to vector<8xbf16>
  %1 = arith.extf %0 : vector<8xbf16> to vector<8xf32>
  %2 = arith.truncf %y : f64 to bf16
  return %1, %2 : vector<8xf32>, bf16
}
