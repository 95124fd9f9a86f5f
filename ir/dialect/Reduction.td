//===- Reduction.td - ops that combine elements --------------------------------------------------===//
#ifndef INGOT_IR_REDUCTION
#define INGOT_IR_REDUCTION

include "ir/dialect/KernelOp.td"

def Graph_ReduceOp : Graph_InferredOp<"reduce"> {
  let summary = "Combines the elements along dimensions, which the result no longer has";
  let description = [{
    `kind` is `sum`, `max`, `min` or `product`. NaN wins in `max` and `min`. Over no elements they give 0,
    -inf, inf and 1 (for integers, max and min give the type's lowest and highest). Sums and products of
    floats narrower than f32 accumulate in f32; integers wrap.

    1. `dimensions` are distinct dimensions of the operand.

    ```mlir
    func.func @reduce(%x: tensor<4x8x3xf32>) -> tensor<8xf32> {
      %y = graph.reduce sum %x [0, 2] : tensor<4x8x3xf32> -> tensor<8xf32>
      return %y : tensor<8xf32>
    }
    ```
  }];
  let arguments = (ins Graph_ReduceKindAttr:$kind, Graph_NumberTensor:$operand, DenseI64ArrayAttr:$dimensions);
  let results = (outs Graph_NumberTensor:$result);
  let assemblyFormat = "$kind $operand $dimensions attr-dict `:` type($operand) `->` type($result)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Graph_ContractOp : Graph_InferredOp<"contract",
    [Graph_Kernel<["getOperandUse", "getKernelLoops", "getFlops"]>]> {
  let summary = "General contraction: sums products over pairs of dimensions, batch dimensions aside";
  let description = [{
    result[b…, m…, n…] = Σ_k lhs[b…, m…, k…] · rhs[b…, n…, k…], dimensions in any order in the
    operands: result dimensions are the batch dimensions, then lhs's free ones, then rhs's.
    Sums accumulate in f32 for element types narrower than that.

    1. Both operands have one element type.
    2. Batch and contracted dimensions are distinct and pair up in number and size.

    ```mlir
    func.func @contract(%q: tensor<2x5x8xf32>, %k: tensor<2x7x8xf32>) -> tensor<2x5x7xf32> {
      %s = graph.contract %q, %k batch [0] x [0] over [2] x [2]
        : tensor<2x5x8xf32>, tensor<2x7x8xf32> -> tensor<2x5x7xf32>
      return %s : tensor<2x5x7xf32>
    }
    ```
  }];
  let arguments = (ins Graph_FloatTensor:$lhs, Graph_FloatTensor:$rhs,
                       DenseI64ArrayAttr:$lhs_batch, DenseI64ArrayAttr:$rhs_batch,
                       DenseI64ArrayAttr:$lhs_contract, DenseI64ArrayAttr:$rhs_contract);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = [{
    $lhs `,` $rhs `batch` $lhs_batch `x` $rhs_batch `over` $lhs_contract `x` $rhs_contract attr-dict
    `:` type($lhs) `,` type($rhs) `->` type($result)
  }];
}

def Graph_ScatterAddOp : Graph_FoldedOp<"scatter_add",
    [AllTypesMatch<["base", "result"]>, Graph_Kernel<["placesOperand"]>, DeclareOpInterfaceMethods<Graph_IndexingOp>]> {
  let summary = "Adds slices to a tensor at indices";
  let description = [{
    base[a…, indices[i…], b…] += updates[a…, i…, b…], in order of i: the transpose of gather. An index
    outside [0, size) is an error in the reference; compiled code clamps it.

    1. `dimension` is one of the base's.
    2. `updates` has the base's shape with `dimension` replaced by the dimensions of `indices`.

    ```mlir
    func.func @scatter_add(%table: tensor<65x8xf32>, %i: tensor<2x3xi32>, %u: tensor<2x3x8xf32>) -> tensor<65x8xf32> {
      %y = graph.scatter_add %table, %i, %u dimension 0
        : tensor<65x8xf32>, tensor<2x3xi32>, tensor<2x3x8xf32>
      return %y : tensor<65x8xf32>
    }
    ```
  }];
  let arguments = (ins Graph_NumberTensor:$base, Graph_IndexTensor:$indices, Graph_NumberTensor:$updates,
                       I64Attr:$dimension);
  let results = (outs Graph_NumberTensor:$result);
  let assemblyFormat = [{
    $base `,` $indices `,` $updates `dimension` $dimension attr-dict
    `:` type($base) `,` type($indices) `,` type($updates)
  }];
  let hasVerifier = 1;
}

#endif
