//===- Reduction.td - ops that combine elements --------------------------------------------------===//
#ifndef INGOT_IR_REDUCTION
#define INGOT_IR_REDUCTION

include "ir/dialect/KernelOp.td"

def Graph_ReduceOp : Graph_InferredOp<"reduce"> {
  let summary = "Combines the elements along dimensions, which the result no longer has";
  let description = [{
    `kind` is `sum`, `max`, `min` or `product`, or `any` or `all` of truth values. NaN wins in `max` and
    `min`. Over no elements they give 0, -inf, inf, 1, false and true (for integers, max and min give the
    type's lowest and highest). Sums and products of floats narrower than f32 accumulate in f32; integers wrap.

    1. `dimensions` are distinct dimensions of the operand.
    2. `any` and `all` are of i1, the other kinds of numbers.

    ```mlir
    func.func @reduce(%x: tensor<4x8x3xf32>) -> tensor<8xf32> {
      %y = graph.reduce sum %x [0, 2] : tensor<4x8x3xf32> -> tensor<8xf32>
      return %y : tensor<8xf32>
    }
    ```
  }];
  let arguments = (ins Graph_ReduceKindAttr:$kind, Graph_Tensor:$operand, DenseI64ArrayAttr:$dimensions);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$kind $operand $dimensions attr-dict `:` type($operand) `->` type($result)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Graph_ReduceTuplesOp : Graph_InferredOp<"reduce_tuples"> {
  let summary = "Combines tuples, one element of each operand, along dimensions, which the results no longer have";
  let description = [{
    `kind` names a row of ir/formulas/Reductions.def, which says how two tuples combine. Any two neighbours may
    combine first, so that a machine forms partial results side by side:

    | kind | tuple | of all tuples |
    |---|---|---|
    | `argmax`, `argmin` | value, number | the largest (smallest) value and its number: NaN is larger (smaller) than all, of equal values the one of the smallest number |
    | `welford` | mean, sum of squared distances from it, count | the same of everything together: of elements x the tuples are (x, 0, 1) |
    | `exp_sum` | exponent m, factor s | the tuple of Σ s · exp(m), m being the largest exponent: of elements x the tuples are (x, 1) |

    Over no tuples they give the lowest (highest) value and the highest number; zeros; the lowest value and 0.
    Floats narrower than f32 are computed in f32.

    1. `dimensions` are distinct dimensions of the operands, which have one shape.
    2. `kind` is a row of the table.
    3. There are as many operands as the tuples have parts: numbers; with `welford` and `exp_sum` floats of one
       type, with `argmax` and `argmin` an index last.

    ```mlir
    func.func @reduce_tuples(%x: tensor<4x8xf32>) -> (tensor<4xf32>, tensor<4xi32>) {
      %column = graph.iota 1 : tensor<4x8xi32>
      %most, %where = graph.reduce_tuples "argmax" %x, %column [1]
        : tensor<4x8xf32>, tensor<4x8xi32> -> tensor<4xf32>, tensor<4xi32>
      return %most, %where : tensor<4xf32>, tensor<4xi32>
    }
    ```
  }];
  let arguments = (ins StrAttr:$kind, Variadic<Graph_NumberTensor>:$operands, DenseI64ArrayAttr:$dimensions);
  let results = (outs Variadic<Graph_NumberTensor>:$results);
  let hasCanonicalizer = 1;
  let assemblyFormat = "$kind $operands $dimensions attr-dict `:` type($operands) `->` type($results)";
}

def Graph_CombineOp : Graph_PureOp<"combine", [IsolatedFromAbove, SingleBlock, SameVariadicOperandSize]> {
  let summary = "Combines two tuples of scalars: how a reduction's body takes in a tuple";
  let description = [{
    In bodies of stage `linalg` and later. A reduction of tuples ends its body with it: the left tuple is the
    result so far, the right one the next. The region holds for partial results too, which start from
    `neutral`, a tuple that changes nothing.

    1. Left and right tuple, `neutral` and the results have the same types.
    2. The region takes both tuples and yields one.

    ```mlir
    func.func @combine(%m: f32, %s: f32, %x: f32, %w: f32) -> (f32, f32) {
      %r:2 = graph.combine (%m, %s) with (%x, %w) neutral [0xFF800000 : f32, 0.0 : f32]
          : (f32, f32, f32, f32) -> (f32, f32) {
      ^bb0(%a: f32, %as: f32, %b: f32, %bs: f32):
        %most = arith.maximumf %a, %b : f32
        %sum = arith.addf %as, %bs : f32
        graph.yield %most, %sum : f32, f32
      }
      return %r#0, %r#1 : f32, f32
    }
    ```
  }];
  let arguments = (ins Variadic<AnyType>:$left, Variadic<AnyType>:$right, ArrayAttr:$neutral);
  let results = (outs Variadic<AnyType>:$results);
  let regions = (region SizedRegion<1>:$combiner);
  let assemblyFormat = [{
    `(` $left `)` `with` `(` $right `)` `neutral` $neutral attr-dict
    `:` functional-type(operands, $results) $combiner
  }];
  let hasVerifier = 1;
}

def Graph_ScanOp : Graph_FoldedOp<"scan", [SameOperandsAndResultType, Graph_Kernel<>]> {
  let summary = "Sums or products of the elements up to each place along one dimension";
  let description = [{
    result[a…, i, b…] combines the elements 0 … i, with `exclusive` those before i (none: 0 or 1); with
    `reverse` those from i on, or after i. In order, in f32 for narrower floats; integers wrap.

    1. `dimension` is one of the operand's.
    2. `kind` is `sum` or `product`.

    ```mlir
    func.func @scan(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
      %y = graph.scan sum %x dimension 1 exclusive : tensor<4x8xf32>
      return %y : tensor<4x8xf32>
    }
    ```
  }];
  let arguments = (ins Graph_ReduceKindAttr:$kind, Graph_NumberTensor:$operand, I64Attr:$dimension,
                       UnitAttr:$exclusive, UnitAttr:$reverse);
  let results = (outs Graph_NumberTensor:$result);
  let assemblyFormat = [{
    $kind $operand `dimension` $dimension (`exclusive` $exclusive^)? (`reverse` $reverse^)? attr-dict
    `:` type($result)
  }];
  let hasVerifier = 1;
}

def Graph_SortOp : Graph_InferredOp<"sort", [Graph_Kernel<>]> {
  let summary = "Sorts lines along one dimension; the results are the elements and the places they had";
  let description = [{
    Elements that are equal keep their order, zeros of both signs among them. NaN is larger than every
    number, as in PyTorch: last, or first if `descending`.

    1. `dimension` is one of the operand's.
    2. A line has at most 2^31 - 1 elements: kernels number them in 32 bits.

    ```mlir
    func.func @sort(%x: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xi64>) {
      %y, %places = graph.sort %x dimension 1 descending : tensor<4x8xf32> -> tensor<4x8xf32>, tensor<4x8xi64>
      return %y, %places : tensor<4x8xf32>, tensor<4x8xi64>
    }
    ```
  }];
  let arguments = (ins Graph_OrderedTensor:$operand, I64Attr:$dimension, UnitAttr:$descending);
  let results = (outs Graph_OrderedTensor:$result, RankedTensorOf<[I64]>:$places);
  let assemblyFormat = [{
    $operand `dimension` $dimension (`descending` $descending^)? attr-dict
    `:` type($operand) `->` type($result) `,` type($places)
  }];
}

def Graph_ContractOp : Graph_InferredOp<"contract",
    [Graph_Kernel<["getOperandUse", "getKernelLoops", "getFlops"]>]> {
  let summary = "General contraction: sums products over pairs of dimensions, batch dimensions aside";
  let description = [{
    result[b…, m…, n…] = Σ_k lhs[b…, m…, k…] · rhs[b…, n…, k…], dimensions in any order in the
    operands: result dimensions are the batch dimensions, then lhs's free ones, then rhs's.
    Sums accumulate in f32 for element types narrower than that, and are rounded to the result's type: the operands'
    or f32.

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
