//===- memory/Passes.td - stage schedule to stage plan ------------------------------------------===//
#ifndef INGOT_PASSES_MEMORY
#define INGOT_PASSES_MEMORY

include "mlir/Pass/PassBase.td"

def PlanMemory : Pass<"plan-memory", "::mlir::ModuleOp"> {
  let summary = "One arena: every tensor of an entry function gets a static offset";
  let description = [{
    Views, buckets, donated results and in-place updates share memory; what is left is laid out by
    lifetime. A call with a large result waits for its first reader where the arena gets smaller. Kernels
    are known by their schedules alone. Entry functions then take the arena and only call kernels on places:

    ```
    func.func @forward(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
      %0 = call @k(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32>
      return %0 : tensor<4x8xf32>
    }
    // becomes
    func.func @forward(%arena: memref<256xi8>) {
      %0 = memref.view %arena[%c0][] : memref<256xi8> to memref<4x8xf32>
      %1 = memref.view %arena[%c128][] : memref<256xi8> to memref<4x8xf32>
      kernel.call @k(%0, %1) : memref<4x8xf32>, memref<4x8xf32>
      return
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::func::FuncDialect", "::ingot::kernel::KernelDialect"];
}

#endif
