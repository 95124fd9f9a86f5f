//===- Passes.td - every pass of the pipeline, in pipeline order ---------------------------------===//
#ifndef INGOT_PASSES
#define INGOT_PASSES

include "mlir/Pass/PassBase.td"

def LaunchKernels : Pass<"launch-kernels", "::mlir::ModuleOp"> {
  let summary = "Calls of kernels become launches, so that kernels can change their signature";
  let description = [{
    ```mlir
    %0 = call @row_1f3a(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32>
    // becomes
    %0 = graph.launch @row_1f3a(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32>
    ```
  }];
  let dependentDialects = ["::ingot::graph::GraphDialect"];
}

def PlanMemory : Pass<"plan-memory", "::mlir::ModuleOp"> {
  let summary = "One arena: every tensor of an entry function gets a static offset";
  let description = [{
    Views, buckets, donated results and in-place updates share storage; what is left is laid out by
    lifetime. Entry functions then take the arena and the workspace and only call kernels on places:

    ```mlir
    func.func @forward(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
      %0 = graph.launch @k(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32>
      return %0 : tensor<4x8xf32>
    }
    // becomes
    func.func @forward(%arena: memref<256xi8>, %workspace: memref<0xi8>) {
      %0 = memref.view %arena[%c0][] : memref<256xi8> to memref<4x8xf32>
      %1 = memref.view %arena[%c128][] : memref<256xi8> to memref<4x8xf32>
      call @k(%0, %1, %lo, %hi) : (memref<4x8xf32>, memref<4x8xf32>, index, index) -> ()
      return
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::func::FuncDialect"];
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
