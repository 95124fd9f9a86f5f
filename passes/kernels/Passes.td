//===- kernels/Passes.td - stage linalg to stage kernels ----------------------------------------===//
#ifndef INGOT_PASSES_KERNELS
#define INGOT_PASSES_KERNELS

include "mlir/Pass/PassBase.td"

def FormKernels : Pass<"form-kernels", "::mlir::ModuleOp"> {
  let summary = "Functions become calls of kernels: one private function each, one for all equal bodies";
  let description = [{
    A kernel is one root (contraction, attention, row, column, elementwise, update, scatter) and
    what is fused into it; README.md tells the rules. Nothing else is left in the step but views and
    buckets. Numbers change in one place: a reduction of more than 4096 elements to a scalar adds up
    fixed chunks first.

    ```mlir --form-kernels
    func.func @forward(%arg0: tensor<4x16xf32>, %arg1: tensor<8x16xf32>, %arg2: tensor<8xf32>) -> tensor<4x8xf32> {
      %cst = arith.constant 0.000000e+00 : f32
      %0 = graph.contract %arg0, %arg1 batch [] x [] over [1] x [1] : tensor<4x16xf32>, tensor<8x16xf32> -> tensor<4x8xf32>
      %1 = tensor.empty() : tensor<4x8xf32>
      %2 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%0, %arg2 : tensor<4x8xf32>, tensor<8xf32>) outs(%1 : tensor<4x8xf32>) {
      ^bb0(%in: f32, %in_0: f32, %out: f32):
        %4 = arith.addf %in, %in_0 : f32
        linalg.yield %4 : f32
      } -> tensor<4x8xf32>
      %3 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%2 : tensor<4x8xf32>) outs(%1 : tensor<4x8xf32>) {
      ^bb0(%in: f32, %out: f32):
        %4 = arith.maximumf %in, %cst : f32
        linalg.yield %4 : f32
      } -> tensor<4x8xf32>
      return %3 : tensor<4x8xf32>
    }
    ```
    becomes
    ```mlir
    func.func @forward(%arg0: tensor<4x16xf32>, %arg1: tensor<8x16xf32>, %arg2: tensor<8xf32>) -> tensor<4x8xf32> {
      %0 = call @contraction_1d892e8f(%arg0, %arg1, %arg2) : (tensor<4x16xf32>, tensor<8x16xf32>, tensor<8xf32>) -> tensor<4x8xf32>
      return %0 : tensor<4x8xf32>
    }
    func.func private @contraction_1d892e8f(%arg0: tensor<4x16xf32>, %arg1: tensor<8x16xf32>, %arg2: tensor<8xf32>) -> tensor<4x8xf32> attributes {graph.kernel = "contraction", graph.ops = ""} {
      %0 = graph.contract %arg0, %arg1 batch [] x [] over [1] x [1] : tensor<4x16xf32>, tensor<8x16xf32> -> tensor<4x8xf32>
      %1 = tensor.empty() : tensor<4x8xf32>
      %2 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%0, %arg2 : tensor<4x8xf32>, tensor<8xf32>) outs(%1 : tensor<4x8xf32>) {
      ^bb0(%in: f32, %in_0: f32, %out: f32):
        %4 = arith.addf %in, %in_0 : f32
        linalg.yield %4 : f32
      } -> tensor<4x8xf32>
      %cst = arith.constant 0.000000e+00 : f32
      %3 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%2 : tensor<4x8xf32>) outs(%1 : tensor<4x8xf32>) {
      ^bb0(%in: f32, %out: f32):
        %4 = arith.maximumf %in, %cst : f32
        linalg.yield %4 : f32
      } -> tensor<4x8xf32>
      return %3 : tensor<4x8xf32>
    }
    ```

    With `fuse=false` every op is a kernel and every value is stored: what tests compare with.
  }];
  let options = [Option<"fuse", "fuse", "bool", "true", "several ops may be one kernel">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect",
                           "::mlir::func::FuncDialect", "::ingot::graph::GraphDialect"];
}

#endif
