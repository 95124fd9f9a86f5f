//===- Passes.td - every pass of the pipeline ---------------------------------------------------===//
// Each room declares its own, in pipeline order; those that belong to no room stand here.
#ifndef INGOT_PASSES
#define INGOT_PASSES

include "mlir/Pass/PassBase.td"
include "passes/raise/Passes.td"
include "passes/training/Passes.td"
include "passes/linalg/Passes.td"
include "passes/kernels/Passes.td"
include "passes/schedule/Passes.td"
include "passes/memory/Passes.td"
include "passes/math/Passes.td"

//===--------------------------------------------------------------------------------------------===//
// Before linalg, where indices are still indices
//===--------------------------------------------------------------------------------------------===//

def CheckIndices : Pass<"check-indices", "::mlir::ModuleOp"> {
  let summary = "Indices are checked where they enter, computed ones by the program";
  let description = [{
    An index that comes from a batch gives its argument `graph.limit`, and whoever writes the port is told
    the first position and value that is not below it. Of a computed one the program clamps what is outside
    and returns an i64 of role `error`, named after the op, which fails the run and says position and value
    (`runtime/program/IndexError.h`). So do integers that divide, unless they are constants other than 0.

    ```
    func.func @forward(%table: tensor<65x8xf32> …, %tokens: tensor<4xi32> …) -> … {
      %0 = graph.gather %table, %tokens dimension 0 : …
    ```
    becomes
    ```
    func.func @forward(%table: tensor<65x8xf32> …, %tokens: tensor<4xi32> {graph.limit = 65 : i64, …}) -> … {
    ```
  }];
  let dependentDialects = ["::ingot::graph::GraphDialect", "::mlir::func::FuncDialect"];
}

//===--------------------------------------------------------------------------------------------===//
// After every stage
//===--------------------------------------------------------------------------------------------===//

def VerifyStage : Pass<"verify-stage", "::mlir::ModuleOp"> {
  let summary = "Only what a stage allows is left; the first op that is not is a located error";
  let description = [{
    The table at the top of VerifyStage.cpp says which dialects and ops each stage allows, in entry
    functions and in kernels. From `linalg` on shapes are static and no op carries fast-math flags but
    `nsz`; at `kernels` each kernel holds the
    named op of its root.

    ```mlir
    func.func @forward(%x: tensor<4xf32>) -> tensor<4xf32> {
      %0 = graph.exp %x : tensor<4xf32>   // error: 'graph.exp' op may not remain at stage linalg
      return %0 : tensor<4xf32>
    }
    ```
  }];
  let options = [Option<"stage", "stage", "std::string", "\"graph\"",
                        "graph, train, linalg, kernels, schedule, plan or loops">];
}

#endif
