//===- Passes.td - passes that emit code, in pipeline order ------------------------------------------===//
#ifndef INGOT_CODEGEN_PASSES
#define INGOT_CODEGEN_PASSES

include "mlir/Pass/PassBase.td"

def LowerKernels : Pass<"lower-kernels", "::mlir::ModuleOp"> {
  let summary = "Kernels on tensors become loops over vectors on memory";
  let description = [{
    Every function with `graph.kernel` is replaced by one on memrefs that computes grains [lo, hi):
    operands, results, workspace if any, then the range. Attributes say how many grains there are,
    which results may share an operand's memory, and what a call costs.

    ```mlir
    func.func private @scale(%x: tensor<64xf32>) -> tensor<64xf32> attributes {graph.kernel = "elementwise"} {
      %0 = linalg.generic … { %1 = arith.mulf %a, %a : f32; linalg.yield %1 : f32 }
      return %0 : tensor<64xf32>
    }
    // becomes
    func.func private @scale(%x: memref<64xf32>, %out: memref<64xf32> {llvm.noalias}, %lo: index, %hi: index)
        attributes {graph.grains = 1, graph.in_place = [[0, 0]], …} {
      scf.for %i = %c0 to %c64 step %c16 {
        %0 = vector.load %x[%i] : memref<64xf32>, vector<16xf32>
        %1 = arith.mulf %0, %0 : vector<16xf32>
        vector.store %1, %out[%i] : memref<64xf32>, vector<16xf32>
      }
      return
    }
    ```

    Numbers: fast-math is used up here. Products and sums marked `contract` become `math.fma` where the
    product has no other use; sums keep up to four partial sums of 16 lanes, combined in a fixed
    order. No flag is left for LLVM, so that two copies of a loop's body round alike.
    The machine's registers and caches decide sizes of blocks, and never a bit.
  }];
  let options = [
    Option<"vectorBytes", "vector-bytes", "int64_t", "64", "of the widest vector register">,
    Option<"l1Bytes", "l1-bytes", "int64_t", "49152", "of a core's L1 data cache">,
    Option<"l2Bytes", "l2-bytes", "int64_t", "1048576", "of a core's L2 cache">,
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect", "::mlir::LLVM::LLVMDialect"];
}

def HalfWordAccess : Pass<"half-word-access", "::mlir::ModuleOp"> {
  let summary = "Masked accesses of bf16 move words of 16 bits";
  let description = [{
    `llvm.intr.masked.load` and `llvm.intr.masked.store` of bf16 vectors become those of i16 with bitcasts around
    them. Where a CPU has no masked move of 16 bits, LLVM takes such an access apart; with bf16 elements it does so
    through f32, and rounds them by calling a library function (`__truncsfbf2`), which code on its own does not have.
    No bit changes.
    ```
    llvm.intr.masked.store %v, %p, %mask : vector<16xbf16>, vector<16xi1> into !llvm.ptr
    // becomes
    %w = llvm.bitcast %v : vector<16xbf16> to vector<16xi16>
    llvm.intr.masked.store %w, %p, %mask : vector<16xi16>, vector<16xi1> into !llvm.ptr
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

#endif
