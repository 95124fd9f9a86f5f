//===- Passes.td - passes that emit code, in pipeline order ------------------------------------------===//
#ifndef INGOT_CODEGEN_PASSES
#define INGOT_CODEGEN_PASSES

include "mlir/Pass/PassBase.td"

def HalfWordAccess : Pass<"half-word-access", "::mlir::ModuleOp"> {
  let summary = "Values of bf16 that are only moved are words of 16 bits";
  let description = [{
    In the LLVM dialect every value of bf16 becomes one of i16, but what an op computes with: that is cast to bf16 and
    back. Conversions are integer arithmetic by then, so that hardly an op computes. Where a CPU has no bf16, LLVM moves
    such values by lane (gathers, masked accesses, branches) through f32, and rounds them by calling a library function
    (`__truncsfbf2`), which code on its own does not have. No bit changes.
    ```
    %v = llvm.load %p : !llvm.ptr -> vector<16xbf16>
    llvm.intr.masked.store %v, %q, %mask : vector<16xbf16>, vector<16xi1> into !llvm.ptr
    // becomes
    %v = llvm.load %p : !llvm.ptr -> vector<16xi16>
    llvm.intr.masked.store %v, %q, %mask : vector<16xi16>, vector<16xi1> into !llvm.ptr
    ```
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def RangeKernelSignature : Pass<"range-kernel-signature", "::mlir::ModuleOp"> {
  let summary = "Kernels in the LLVM dialect get the one signature that the runtime calls";
  let description = [{
    `k(ptr, …, i64 lo, i64 hi)` becomes internal under the name `k.body`; `k(ptr arguments, i64 lo,
    i64 hi)` loads the pointers from its first argument and calls it.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def GridKernelSignature : Pass<"grid-kernel-signature", "::mlir::ModuleOp"> {
  let summary = "Emitted launches in the LLVM dialect become kernels of a grid";
  let description = [{
    A function with `kernel.threads` becomes an `nvvm.kernel` whose blocks have as many threads. Its scratch, an
    argument in shared memory, becomes the block's dynamic shared memory. What is passed by value is constant.
    ```
    llvm.func @k.0(%x: !llvm.ptr, %scratch: !llvm.ptr<3>) attributes {kernel.threads = 128 : i64}
    // becomes
    llvm.mlir.global external @block_scratch() {addr_space = 3 : i32, alignment = 1024 : i64} : !llvm.array<0 x i8>
    llvm.func @k.0(%x: !llvm.ptr) attributes {nvvm.kernel, nvvm.reqntid = array<i32: 128, 1, 1>}
    ```
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect"];
}

#endif
