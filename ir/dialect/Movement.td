//===- Movement.td - ops that move elements without computing ------------------------------------===//
#ifndef INGOT_IR_MOVEMENT
#define INGOT_IR_MOVEMENT

include "ir/dialect/KernelOp.td"

def Graph_ReshapeOp : Graph_FoldedOp<"reshape", [SameOperandsAndResultElementType, Graph_MovesElements]> {
  let summary = "The same elements in row-major order under another shape";
  let description = [{
    1. Both shapes have the same number of elements.

    ```mlir
    func.func @reshape(%x: tensor<2x3x4xf32>) -> tensor<6x4xf32> {
      %y = graph.reshape %x : tensor<2x3x4xf32> -> tensor<6x4xf32>
      return %y : tensor<6x4xf32>
    }
    ```
  }];
  let arguments = (ins Graph_Tensor:$operand);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand attr-dict `:` type($operand) `->` type($result)";
  let hasFolder = 1;
  let hasVerifier = 1;
}

def Graph_TransposeOp : Graph_InferredOp<"transpose", [Graph_MovesElements]> {
  let summary = "Permutes dimensions";
  let description = [{
    Result dimension i is operand dimension `permutation[i]`.

    1. `permutation` names each of the operand's dimensions once.

    ```mlir
    func.func @transpose(%x: tensor<2x3x4xf32>) -> tensor<4x2x3xf32> {
      %y = graph.transpose %x [2, 0, 1] : tensor<2x3x4xf32> -> tensor<4x2x3xf32>
      return %y : tensor<4x2x3xf32>
    }
    ```
  }];
  let arguments = (ins Graph_Tensor:$operand, DenseI64ArrayAttr:$permutation);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand $permutation attr-dict `:` type($operand) `->` type($result)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Graph_BroadcastOp : Graph_FoldedOp<"broadcast", [SameOperandsAndResultElementType, Graph_MovesElements]> {
  let summary = "Repeats along dimensions";
  let description = [{
    Operand dimension i becomes result dimension `dimensions[i]`; the others are new and repeat.

    1. `dimensions` has one entry per operand dimension, strictly increasing.
    2. Operand dimension i equals result dimension `dimensions[i]`, or is 1 and is repeated.

    ```mlir
    func.func @broadcast(%bias: tensor<8xf32>) -> tensor<4x8xf32> {
      %y = graph.broadcast %bias [1] : tensor<8xf32> -> tensor<4x8xf32>
      return %y : tensor<4x8xf32>
    }
    ```
  }];
  let arguments = (ins Graph_Tensor:$operand, DenseI64ArrayAttr:$dimensions);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand $dimensions attr-dict `:` type($operand) `->` type($result)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
  let hasVerifier = 1;
}

def Graph_SliceOp : Graph_InferredOp<"slice", [Graph_MovesElements]> {
  let summary = "A box of a tensor";
  let description = [{
    Elements `offsets`, `offsets + strides`, … below `limits` in every dimension.

    1. `offsets`, `limits` and `strides` have one entry per dimension.
    2. 0 ≤ offset ≤ limit ≤ size and stride > 0.

    ```mlir
    func.func @slice(%x: tensor<4x10xf32>) -> tensor<4x3xf32> {
      %y = graph.slice %x [0, 2] to [4, 8] by [1, 2] : tensor<4x10xf32> -> tensor<4x3xf32>
      return %y : tensor<4x3xf32>
    }
    ```
  }];
  let arguments = (ins Graph_Tensor:$operand, DenseI64ArrayAttr:$offsets, DenseI64ArrayAttr:$limits,
                       DenseI64ArrayAttr:$strides);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand $offsets `to` $limits `by` $strides attr-dict `:` type($operand) `->` type($result)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Graph_PadOp : Graph_InferredOp<"pad"> {
  let summary = "Surrounds a tensor with a scalar";
  let description = [{
    `low` elements before, `high` after and `interior` between neighbours in each dimension.

    1. `value` is a scalar of the operand's element type.
    2. `low`, `high` and `interior` have one entry per dimension.
    3. No entry is negative.

    ```mlir
    func.func @pad(%x: tensor<4x3xf32>, %zero: tensor<f32>) -> tensor<5x10xf32> {
      %y = graph.pad %x, %zero low [0, 2] high [1, 3] interior [0, 1]
        : tensor<4x3xf32>, tensor<f32> -> tensor<5x10xf32>
      return %y : tensor<5x10xf32>
    }
    ```
  }];
  let arguments = (ins Graph_Tensor:$operand, Graph_Tensor:$value, DenseI64ArrayAttr:$low,
                       DenseI64ArrayAttr:$high, DenseI64ArrayAttr:$interior);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = [{
    $operand `,` $value `low` $low `high` $high `interior` $interior attr-dict
    `:` type($operand) `,` type($value) `->` type($result)
  }];
  let hasFolder = 1;
}

def Graph_ReverseOp : Graph_InferredOp<"reverse", [Graph_MovesElements]> {
  let summary = "Turns dimensions around";
  let description = [{
    Element i of each of `dimensions` is the operand's element size - 1 - i.

    1. `dimensions` are distinct and the operand's.

    ```mlir
    func.func @reverse(%x: tensor<4x3xf32>) -> tensor<4x3xf32> {
      %y = graph.reverse %x dimensions [0] : tensor<4x3xf32> -> tensor<4x3xf32>
      return %y : tensor<4x3xf32>
    }
    ```
  }];
  let arguments = (ins Graph_Tensor:$operand, DenseI64ArrayAttr:$dimensions);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand `dimensions` $dimensions attr-dict `:` type($operand) `->` type($result)";
}

def Graph_WindowOp : Graph_InferredOp<"window", [Graph_MovesElements]> {
  let summary = "Every position of a window that slides over some dimensions";
  let description = [{
    Each of `dimensions` becomes the positions of the window, and the windows' own dimensions follow
    all others: element […, o, …, k] is the operand's […, o · stride + k · dilation, …]. No element
    is copied for it: a contraction of windows is a convolution, a reduction of windows is pooling.

    1. `dimensions` are distinct and the operand's; `sizes`, `strides` and `dilations` have one entry,
       1 or more, for each.
    2. A window, that is (size - 1) · dilation + 1 elements, fits its dimension.

    ```mlir
    func.func @window(%x: tensor<2x3x9xf32>) -> tensor<2x3x4x3xf32> {
      %y = graph.window %x dimensions [2] sizes [3] strides [2] dilations [1]
        : tensor<2x3x9xf32> -> tensor<2x3x4x3xf32>
      return %y : tensor<2x3x4x3xf32>
    }
    ```
  }];
  let arguments = (ins Graph_Tensor:$operand, DenseI64ArrayAttr:$dimensions, DenseI64ArrayAttr:$sizes,
                       DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$dilations);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = [{
    $operand `dimensions` $dimensions `sizes` $sizes `strides` $strides `dilations` $dilations attr-dict
    `:` type($operand) `->` type($result)
  }];
}

def Graph_ConcatOp : Graph_InferredOp<"concat", [Graph_MovesElements]> {
  let summary = "Joins tensors along one dimension";
  let description = [{
    1. There is at least one operand.
    2. `dimension` is one of the operands'.
    3. Operands agree in rank and element type.
    4. Operands agree in every dimension but `dimension`.

    ```mlir
    func.func @concat(%x: tensor<4x3xf32>, %y: tensor<4x5xf32>) -> tensor<4x8xf32> {
      %z = graph.concat %x, %y dimension 1 : tensor<4x3xf32>, tensor<4x5xf32> -> tensor<4x8xf32>
      return %z : tensor<4x8xf32>
    }
    ```
  }];
  let arguments = (ins Variadic<Graph_Tensor>:$operands, I64Attr:$dimension);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operands `dimension` $dimension attr-dict `:` type($operands) `->` type($result)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Graph_GatherOp : Graph_InferredOp<"gather",
    [Graph_Kernel<["getOperandUse", "getPointCost"]>, DeclareOpInterfaceMethods<Graph_IndexingOp>]> {
  let summary = "Picks slices of a dimension by index";
  let description = [{
    result[a…, i…, b…] = operand[a…, indices[i…], b…]; `indices` stand in for `dimension`. An index
    outside [0, size) is an error in the reference; compiled code clamps it.

    1. `dimension` is one of the operand's.

    ```mlir
    func.func @gather(%x: tensor<65x8xf32>, %i: tensor<2x3xi32>) -> tensor<2x3x8xf32> {
      %y = graph.gather %x, %i dimension 0 : tensor<65x8xf32>, tensor<2x3xi32> -> tensor<2x3x8xf32>
      return %y : tensor<2x3x8xf32>
    }
    ```
  }];
  let arguments = (ins Graph_Tensor:$operand, Graph_IndexTensor:$indices, I64Attr:$dimension);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = [{
    $operand `,` $indices `dimension` $dimension attr-dict
    `:` type($operand) `,` type($indices) `->` type($result)
  }];
}

def Graph_DynamicSliceOp : Graph_InferredOp<"dynamic_slice",
    [Graph_Kernel<["getOperandUse"]>, DeclareOpInterfaceMethods<Graph_IndexingOp>]> {
  let summary = "Part of one dimension, from a place that is known at run time";
  let description = [{
    result[a…, k, b…] = operand[a…, start + k, b…] for k in [0, size). A start outside
    [0, operand's size - size] is an error.

    1. `dimension` is one of the operand's.
    2. `size` is at least 0 and at most the operand's.

    ```mlir
    func.func @dynamic_slice(%x: tensor<2x65x8xf32>, %i: tensor<i64>) -> tensor<2x3x8xf32> {
      %y = graph.dynamic_slice %x, %i dimension 1 size 3 : tensor<2x65x8xf32>, tensor<i64> -> tensor<2x3x8xf32>
      return %y : tensor<2x3x8xf32>
    }
    ```
  }];
  let arguments = (ins Graph_Tensor:$operand, Graph_IntScalar:$start, I64Attr:$dimension, I64Attr:$size);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = [{
    $operand `,` $start `dimension` $dimension `size` $size attr-dict
    `:` type($operand) `,` type($start) `->` type($result)
  }];
  let extraClassDeclaration = [{
    /// The loop whose iteration's number is the start, where each iteration takes one whole piece of
    /// memory that was there before the loop, and its kernels alone read it; null if that is not so.
    /// Such a slice is a place that moves with the iterations, not a copy.
    LoopOp getMovingLoop();
  }];
}

def Graph_DynamicUpdateSliceOp : Graph_FoldedOp<"dynamic_update_slice",
    [AllTypesMatch<["base", "result"]>, Graph_Kernel<["placesOperand"]>,
     DeclareOpInterfaceMethods<Graph_IndexingOp>]> {
  let summary = "A tensor with part of one dimension replaced, at a place that is known at run time";
  let description = [{
    result[a…, start + k, b…] = update[a…, k, b…] for k in [0, update's size), and base elsewhere. A start
    outside [0, base's size - update's size] is an error.

    1. `dimension` is one of the base's.
    2. `update` has the base's shape but for a smaller or equal size in `dimension`.

    ```mlir
    func.func @dynamic_update_slice(%x: tensor<2x65x8xf32>, %u: tensor<2x3x8xf32>, %i: tensor<i64>) -> tensor<2x65x8xf32> {
      %y = graph.dynamic_update_slice %x, %u, %i dimension 1 : tensor<2x65x8xf32>, tensor<2x3x8xf32>, tensor<i64>
      return %y : tensor<2x65x8xf32>
    }
    ```
  }];
  let arguments = (ins Graph_Tensor:$base, Graph_Tensor:$update, Graph_IntScalar:$start, I64Attr:$dimension);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = [{
    $base `,` $update `,` $start `dimension` $dimension attr-dict
    `:` type($base) `,` type($update) `,` type($start)
  }];
  let hasVerifier = 1;
}

#endif
