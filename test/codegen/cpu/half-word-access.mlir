// RUN: %ingot-opt %s -half-word-access | FileCheck %s

// CHECK-LABEL: llvm.func @moved
// CHECK-SAME: vector<16xi1>
// CHECK-NOT: bf16
// CHECK: llvm.mlir.constant(16256 : i16) : i16
// CHECK: llvm.mlir.constant(dense<16256> : vector<16xi16>) : vector<16xi16>
// CHECK: llvm.load %{{.*}} : !llvm.ptr -> vector<16xi16>
// CHECK: llvm.select %{{.*}} : vector<16xi1>, vector<16xi16>
// CHECK: llvm.intr.masked.store %{{.*}} : vector<16xi16>, vector<16xi1> into !llvm.ptr
// CHECK: llvm.br ^bb1(%{{.*}} : i16)
// CHECK: ^bb1(%{{.*}}: i16):
llvm.func @moved(%p: !llvm.ptr, %mask: vector<16xi1>) {
  %one = llvm.mlir.constant(1.0 : bf16) : bf16
  %ones = llvm.mlir.constant(dense<1.0> : vector<16xbf16>) : vector<16xbf16>
  %v = llvm.load %p : !llvm.ptr -> vector<16xbf16>
  %s = llvm.select %mask, %v, %ones : vector<16xi1>, vector<16xbf16>
  llvm.intr.masked.store %s, %p, %mask {alignment = 2 : i32} : vector<16xbf16>, vector<16xi1> into !llvm.ptr
  llvm.br ^bb1(%one : bf16)
^bb1(%x: bf16):
  llvm.store %x, %p : bf16, !llvm.ptr
  llvm.return
}

// What computes gets numbers.
// CHECK-LABEL: llvm.func @computed
// CHECK: %[[WORD:.*]] = llvm.load %{{.*}} : !llvm.ptr -> i16
// CHECK-DAG: %[[A:.*]] = llvm.bitcast %[[WORD]] : i16 to bf16
// CHECK: %[[SUM:.*]] = llvm.fadd %{{.*}}, %{{.*}} : bf16
// CHECK: %[[RESULT:.*]] = llvm.bitcast %[[SUM]] : bf16 to i16
// CHECK: llvm.store %[[RESULT]], %{{.*}} : i16, !llvm.ptr
llvm.func @computed(%p: !llvm.ptr) {
  %x = llvm.load %p : !llvm.ptr -> bf16
  %y = llvm.fadd %x, %x : bf16
  llvm.store %y, %p : bf16, !llvm.ptr
  llvm.return
}
