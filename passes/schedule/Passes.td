//===- schedule/Passes.td - stage kernels to stage schedule, stage plan to stage loops ----------===//
#ifndef INGOT_PASSES_SCHEDULE
#define INGOT_PASSES_SCHEDULE

include "mlir/Pass/PassBase.td"

def ChooseBlocks : Pass<"choose-blocks", "::mlir::ModuleOp"> {
  let summary = "Kernels get the block sizes that were found fastest for them on this machine";
  let description = [{
    Sizes of blocks follow from a kernel's shape and the machine; what `ingot tune` found to be faster
    stands here by the kernel's name, a hash of its body. No choice changes a bit. Names that the module
    does not hold are passed over.

    ```mlir --choose-blocks=choices=product:tile_rows=5
    func.func private @product(%x: tensor<8x8xf32>) -> tensor<8x8xf32> attributes {graph.kernel = "contraction"} {
      %0 = graph.contract %x, %x batch [] x [] over [1] x [0] : tensor<8x8xf32>, tensor<8x8xf32> -> tensor<8x8xf32>
      return %0 : tensor<8x8xf32>
    }
    ```
    becomes
    ```mlir
    func.func private @product(%x: tensor<8x8xf32>) -> tensor<8x8xf32> attributes {graph.kernel = "contraction", graph.tuned = "tile_rows=5"} {
      %0 = graph.contract %x, %x batch [] x [] over [1] x [0] : tensor<8x8xf32>, tensor<8x8xf32> -> tensor<8x8xf32>
      return %0 : tensor<8x8xf32>
    }
    ```
  }];
  let options = [ListOption<"choices", "choices", "std::string", "NAME:SIZES, one for each kernel">];
}

def PackWeights : Pass<"pack-weights", "::mlir::ModuleOp"> {
  let summary = "Weights lie in memory as the kernels read them, packed once when they are written";
  let description = [{
    The target says of a kernel which operand it would pack at each run. Where every call gives it a parameter
    that no function of the module writes, and all kernels that read the parameter want it alike, the parameter
    is a packed tensor from here on: `kernel.layout` (schedule/Kernel.td) says how, the kernel reads it through
    `kernel.unpack`, and whoever writes the port converts. No result changes.

    ```mlir --pack-weights=target=cpu:x86-64-v4
    func.func private @product(%x: tensor<512x64xf32>, %w: tensor<200x64xf32>) -> tensor<512x200xf32>
        attributes {graph.kernel = "contraction"} {
      %0 = graph.contract %x, %w batch [] x [] over [1] x [1] : tensor<512x64xf32>, tensor<200x64xf32> -> tensor<512x200xf32>
      return %0 : tensor<512x200xf32>
    }
    func.func @forward(%w: tensor<200x64xf32> {graph.name = "w", graph.role = "parameter"},
                       %x: tensor<512x64xf32> {graph.name = "x", graph.role = "input"}) -> tensor<512x200xf32> {
      %0 = call @product(%x, %w) : (tensor<512x64xf32>, tensor<200x64xf32>) -> tensor<512x200xf32>
      return %0 : tensor<512x200xf32>
    }
    ```
    becomes
    ```mlir
    func.func private @product_packed(%x: tensor<512x64xf32>, %w: tensor<13520xf32>) -> tensor<512x200xf32>
        attributes {graph.kernel = "contraction"} {
      %u = kernel.unpack %w <tensor<200x64xf32>, matrices = 1, rows = 200, depth = 64, depth_last = true>
          : tensor<13520xf32> -> tensor<200x64xf32>
      %0 = graph.contract %x, %u batch [] x [] over [1] x [1] : tensor<512x64xf32>, tensor<200x64xf32> -> tensor<512x200xf32>
      return %0 : tensor<512x200xf32>
    }
    func.func @forward(%w: tensor<13520xf32> {graph.name = "w", graph.role = "parameter",
                           kernel.layout = #kernel.panels<tensor<200x64xf32>, matrices = 1, rows = 200, depth = 64, depth_last = true>},
                       %x: tensor<512x64xf32> {graph.name = "x", graph.role = "input"}) -> tensor<512x200xf32> {
      %0 = call @product_packed(%x, %w) : (tensor<512x64xf32>, tensor<13520xf32>) -> tensor<512x200xf32>
      return %0 : tensor<512x200xf32>
    }
    ```
  }];
  let options = [Option<"target", "target", "std::string", "\"cpu:x86-64-v4\"", "as --target of ingot">];
  let dependentDialects = ["::ingot::kernel::KernelDialect"];
}

def ScheduleKernels : Pass<"schedule-kernels", "::mlir::ModuleOp"> {
  let summary = "Kernels learn how they run on the target: grains, blocks, scratch, what may share memory";
  let description = [{
    The target's scheduler decides from a kernel's body, its shapes and the target's costs, and emits
    nothing: bodies stay as they are. `kernel.schedule` (schedule/Kernel.td) is all that memory planning,
    emission and the program read. The name of a kernel is a hash of its body, so equal bodies are
    scheduled once.

    ```mlir --schedule-kernels=target=cpu:x86-64-v4
    func.func private @scale(%x: tensor<5x8xf32>, %s: tensor<f32>) -> tensor<5x8xf32>
        attributes {graph.kernel = "elementwise"} {
      %empty = tensor.empty() : tensor<5x8xf32>
      %0 = linalg.generic {
          indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> ()>, affine_map<(i, j) -> (i, j)>],
          iterator_types = ["parallel", "parallel"]}
          ins(%x, %s : tensor<5x8xf32>, tensor<f32>) outs(%empty : tensor<5x8xf32>) {
      ^bb0(%a: f32, %b: f32, %o: f32):
        %1 = arith.mulf %a, %b : f32
        linalg.yield %1 : f32
      } -> tensor<5x8xf32>
      return %0 : tensor<5x8xf32>
    }
    ```
    becomes
    ```mlir
    func.func private @scale(%x: tensor<5x8xf32>, %s: tensor<f32>) -> tensor<5x8xf32>
        attributes {graph.kernel = "elementwise", kernel.schedule = #kernel.schedule<
            arguments = [read, read, write], sharing = [0 with 0 same_point], scratch = 0, launch_scratch = 0,
            launches = [pointwise grains 1 flops 40 bytes 324
                        sizes (chunk = 48, inner = 40, outer = 1, rows = 0, unroll = 1)]>} {
      %empty = tensor.empty() : tensor<5x8xf32>
      %0 = linalg.generic {
          indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> ()>, affine_map<(i, j) -> (i, j)>],
          iterator_types = ["parallel", "parallel"]}
          ins(%x, %s : tensor<5x8xf32>, tensor<f32>) outs(%empty : tensor<5x8xf32>) {
      ^bb0(%a: f32, %b: f32, %o: f32):
        %1 = arith.mulf %a, %b : f32
        linalg.yield %1 : f32
      } -> tensor<5x8xf32>
      return %0 : tensor<5x8xf32>
    }
    ```
  }];
  let options = [Option<"target", "target", "std::string", "\"cpu:x86-64-v4\"", "as --target of ingot">];
  let statistics = [Statistic<"scheduled", "scheduled", "kernels that were given a schedule">];
  let dependentDialects = ["::ingot::kernel::KernelDialect"];
}

def LowerKernels : Pass<"lower-kernels", "::mlir::ModuleOp"> {
  let summary = "Scheduled kernels on tensors become loops over vectors on memory";
  let description = [{
    Every launch of a kernel becomes a function that computes grains [lo, hi): memory for operands,
    results, launch scratch and the worker's scratch, where the schedule has some, then the range. The
    kernel itself stays as a declaration that says how it runs. What is emitted is checked against the
    schedule: it may not exceed the scratch, nor read an operand that shares a result's memory after
    that point, or row, was stored.

    In a compilation kernels are emitted one by one, in parallel, and only those that no cache has.

    ```
    func.func private @scale(%x: tensor<64xf32>) -> tensor<64xf32>
        attributes {graph.kernel = "elementwise", kernel.schedule = …} {
      %0 = linalg.generic … { %1 = arith.mulf %a, %a : f32; linalg.yield %1 : f32 }
      return %0 : tensor<64xf32>
    }
    // becomes
    func.func private @scale.0(%x: memref<64xf32>, %out: memref<64xf32>, %lo: index, %hi: index) {
      scf.for %i = %c0 to %c64 step %c16 {
        %0 = vector.load %x[%i] : memref<64xf32>, vector<16xf32>
        %1 = arith.mulf %0, %0 : vector<16xf32>
        vector.store %1, %out[%i] : memref<64xf32>, vector<16xf32>
      }
      return
    }
    func.func private @scale(tensor<64xf32>) -> tensor<64xf32> attributes {kernel.schedule = …}
    ```
  }];
  let options = [Option<"target", "target", "std::string", "\"cpu:x86-64-v4\"", "as --target of ingot">];
  let statistics = [Statistic<"emitted", "emitted", "kernels that went through an emitter">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::NVVM::NVVMDialect",
                           "::ingot::kernel::KernelDialect"];
}

#endif
