//===- Composite.td - ops that are defined by smaller ones (Decompose.cpp) -----------------------===//
#ifndef INGOT_IR_COMPOSITE
#define INGOT_IR_COMPOSITE

include "ir/dialect/KernelOp.td"

// Composites compute in f32 where the element type is narrower and round their results once.
// Row statistics and losses (mean, rstd, lse, loss) are results of type f32 or wider.

def Graph_FormulaOp : Graph_CompositeOp<"formula", [SameOperandsAndResultType, Elementwise]> {
  let summary = "A function of elements that primitives express: activations, and what losses are made of";
  let description = [{
    result = name(operands…, parameters…), element by element; the rows of ir/formulas/Formulas.def say how.

    1. `name` is a row of the table.
    2. Operands and parameters are as many as the row has.

    ```mlir
    func.func @formula(%x: tensor<4x8xf32>, %y: tensor<4x8xf32>) -> tensor<4x8xf32> {
      %a = graph.formula "leaky_relu"(%x) [1.0e-2] : tensor<4x8xf32>
      %b = graph.formula "log_add_exp"(%a, %y) [] : tensor<4x8xf32>
      return %b : tensor<4x8xf32>
    }
    ```
  }];
  let arguments = (ins StrAttr:$name, Variadic<Graph_FloatTensor>:$operands, DenseF64ArrayAttr:$parameters);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = "$name `(` $operands `)` $parameters attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Graph_SoftmaxOp : Graph_CompositeOp<"softmax", [SameOperandsAndResultType]> {
  let summary = "Probabilities exp(x - max) / Σ exp(x - max) along one dimension";
  let description = [{
    -inf gives 0; a line of nothing but -inf gives NaN.

    1. `dimension` is one of the operand's.

    ```mlir
    func.func @softmax(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
      %y = graph.softmax %x dimension 1 : tensor<4x8xf32>
      return %y : tensor<4x8xf32>
    }
    ```
  }];
  let arguments = (ins Graph_FloatTensor:$operand, I64Attr:$dimension);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = "$operand `dimension` $dimension attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Graph_LogSoftmaxOp : Graph_CompositeOp<"log_softmax", [SameOperandsAndResultType]> {
  let summary = "Logarithms of softmax's probabilities, x - max - log Σ exp(x - max), along one dimension";
  let description = [{
    -inf gives -inf; a line of nothing but -inf, or with inf or NaN, gives NaN.

    1. `dimension` is one of the operand's.

    ```mlir
    func.func @log_softmax(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
      %y = graph.log_softmax %x dimension 1 : tensor<4x8xf32>
      return %y : tensor<4x8xf32>
    }
    ```
  }];
  let arguments = (ins Graph_FloatTensor:$operand, I64Attr:$dimension);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = "$operand `dimension` $dimension attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Graph_PickOp : Graph_CompositeOp<"pick",
    [InferTypeOpAdaptorWithIsCompatible, DeclareOpInterfaceMethods<Graph_IndexingOp>]> {
  let summary = "The element of each line along a dimension that the line's index names";
  let description = [{
    result[a…, b…] = operand[a…, indices[a…, b…], b…]. An index outside [0, size) is an error in the
    reference; in compiled code it gives 0.

    1. `dimension` is one of the operand's.
    2. `indices` has the operand's shape without that dimension.

    ```mlir
    func.func @pick(%x: tensor<4x8xf32>, %i: tensor<4xi32>) -> tensor<4xf32> {
      %y = graph.pick %x, %i dimension 1 : tensor<4x8xf32>, tensor<4xi32> -> tensor<4xf32>
      return %y : tensor<4xf32>
    }
    ```
  }];
  let arguments = (ins Graph_FloatTensor:$operand, Graph_IndexTensor:$indices, I64Attr:$dimension);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = [{
    $operand `,` $indices `dimension` $dimension attr-dict
    `:` type($operand) `,` type($indices) `->` type($result)
  }];
}

def Graph_LayerNormOp : Graph_CompositeOp<"layer_norm", [InferTypeOpAdaptorWithIsCompatible]> {
  let summary = "Normalisation (x - mean)·rstd·scale + bias over the last dimension; mean and rstd are results too";
  let description = [{
    mean = Σx/n; rstd = 1/√(Σ(x - mean)²/n + epsilon), in two passes. The gradient uses mean and rstd.
    A row whose variance overflows becomes NaN.

    1. `scale` and `bias` have the shape of the operand's last dimension and its element type.

    ```mlir
    func.func @layer_norm(%x: tensor<4x8xf32>, %g: tensor<8xf32>, %b: tensor<8xf32>) -> tensor<4x8xf32> {
      %y, %mean, %rstd = graph.layer_norm %x, %g, %b epsilon 1.0e-5
        : tensor<4x8xf32>, tensor<8xf32>, tensor<8xf32> -> tensor<4x8xf32>, tensor<4xf32>, tensor<4xf32>
      return %y : tensor<4x8xf32>
    }
    ```
  }];
  let arguments = (ins Graph_FloatTensor:$operand, Graph_FloatTensor:$scale, Graph_FloatTensor:$bias,
                       F64Attr:$epsilon);
  let results = (outs Graph_FloatTensor:$result, Graph_FloatTensor:$mean, Graph_FloatTensor:$rstd);
  let assemblyFormat = [{
    $operand `,` $scale `,` $bias `epsilon` $epsilon attr-dict
    `:` type($operand) `,` type($scale) `,` type($bias) `->` type($result) `,` type($mean) `,` type($rstd)
  }];
}

def Graph_BatchNormOp : Graph_CompositeOp<"batch_norm",
    [InferTypeOpAdaptorWithIsCompatible, DeclareOpInterfaceMethods<Graph_TrainingOp>]> {
  let summary = "Normalisation (x - mean)·rstd·scale + bias of each channel of x [batch, channels, …]";
  let description = [{
    Outside of training by the running `mean` and `variance`. In training by the batch's own, in two passes as in
    graph.layer_norm; then the running ones are moved towards these by `momentum`, the variance with the divisor
    n - 1. The results are the value, the mean and the rstd = 1/√(variance + epsilon) that it was computed with,
    and the running statistics afterwards.

    1. The operand has a batch and channels.
    2. `scale`, `bias`, `mean` and `variance` have one element a channel, the former two of the operand's
       type, the latter two of that of statistics: f32, or f64.
    3. In training a channel has at least two elements.

    ```mlir
    func.func @batch_norm(%x: tensor<4x8x5xf32>, %g: tensor<8xf32>, %b: tensor<8xf32>, %m: tensor<8xf32>,
                          %v: tensor<8xf32>) -> tensor<4x8x5xf32> {
      %y, %mean, %rstd, %m1, %v1 = graph.batch_norm %x, %g, %b, %m, %v epsilon 1.0e-5 momentum 0.1 training
        : tensor<4x8x5xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
        -> tensor<4x8x5xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
      return %y : tensor<4x8x5xf32>
    }
    ```
  }];
  let arguments = (ins Graph_FloatTensor:$operand, Graph_FloatTensor:$scale, Graph_FloatTensor:$bias,
                       Graph_FloatTensor:$mean, Graph_FloatTensor:$variance, F64Attr:$epsilon,
                       F64Attr:$momentum, UnitAttr:$training);
  let results = (outs Graph_FloatTensor:$result, Graph_FloatTensor:$used_mean, Graph_FloatTensor:$rstd,
                      Graph_FloatTensor:$next_mean, Graph_FloatTensor:$next_variance);
  let assemblyFormat = [{
    $operand `,` $scale `,` $bias `,` $mean `,` $variance `epsilon` $epsilon `momentum` $momentum
    (`training` $training^)? attr-dict `:` type(operands) `->` type(results)
  }];
}

def Graph_LinearOp : Graph_CompositeOp<"linear", [InferTypeOpAdaptorWithIsCompatible]> {
  let summary = "Product x·weightᵀ + bias over the last dimension, weight [out, in] as in PyTorch";
  let description = [{
    A product of narrow floats may stay in f32, in which it is summed up: the result's type says so.

    1. `weight` is [out, in], `in` being the operand's last dimension, of its element type.
    2. `bias`, where present, is [out] of that element type, or f32 where that is narrower: then the result is f32.

    ```mlir
    func.func @linear(%x: tensor<2x4x8xf32>, %w: tensor<3x8xf32>, %b: tensor<3xf32>) -> tensor<2x4x3xf32> {
      %y = graph.linear %x, %w, %b
        : tensor<2x4x8xf32>, tensor<3x8xf32>, tensor<3xf32> -> tensor<2x4x3xf32>
      return %y : tensor<2x4x3xf32>
    }
    ```
  }];
  let arguments = (ins Graph_FloatTensor:$operand, Graph_FloatTensor:$weight, Optional<Graph_FloatTensor>:$bias);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = [{
    $operand `,` $weight (`,` $bias^)? attr-dict
    `:` type($operand) `,` type($weight) (`,` type($bias)^)? `->` type($result)
  }];
}

def Graph_ConvolutionOp : Graph_CompositeOp<"convolution", [InferTypeOpAdaptorWithIsCompatible]> {
  let summary = "Cross-correlation of x [batch, channels, …] with weight [out, channels / groups, …], as in PyTorch";
  let description = [{
    result[n, o, p…] = Σ_{c, k…} weight[o, c, k…] · x[n, g·C + c, p · stride + k · dilation - low], where
    C = channels / groups, g = ⌊o / (out / groups)⌋, and elements outside x are 0.

    1. `weight` has the operand's element type and rank, which is 3 or more.
    2. `groups` divides channels and out; weight's second dimension is channels / groups.
    3. `strides`, `dilations`, `low` and `high` have one entry for each dimension after the first two;
       strides and dilations are 1 or more, `low` and `high` 0 or more.
    4. A window fits its padded dimension.

    ```mlir
    func.func @convolution(%x: tensor<2x3x8x8xf32>, %w: tensor<6x3x3x3xf32>) -> tensor<2x6x4x4xf32> {
      %y = graph.convolution %x, %w strides [2, 2] dilations [1, 1] low [1, 1] high [1, 1] groups 1
        : tensor<2x3x8x8xf32>, tensor<6x3x3x3xf32> -> tensor<2x6x4x4xf32>
      return %y : tensor<2x6x4x4xf32>
    }
    ```
  }];
  let arguments = (ins Graph_FloatTensor:$operand, Graph_FloatTensor:$weight, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$dilations, DenseI64ArrayAttr:$low, DenseI64ArrayAttr:$high,
                       I64Attr:$groups);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = [{
    $operand `,` $weight `strides` $strides `dilations` $dilations `low` $low `high` $high
    `groups` $groups attr-dict `:` type($operand) `,` type($weight) `->` type($result)
  }];
}

def Graph_EmbeddingOp : Graph_CompositeOp<"embedding",
    [InferTypeOpAdaptorWithIsCompatible, DeclareOpInterfaceMethods<Graph_IndexingOp>]> {
  let summary = "Rows of a table [vocabulary, width] chosen by integer indices";
  let description = [{
    result[i…, :] = table[indices[i…], :]; indices out of range as in gather.

    1. `table` has rank 2.

    ```mlir
    func.func @embedding(%table: tensor<65x8xf32>, %tokens: tensor<2x4xi32>) -> tensor<2x4x8xf32> {
      %y = graph.embedding %table, %tokens : tensor<65x8xf32>, tensor<2x4xi32> -> tensor<2x4x8xf32>
      return %y : tensor<2x4x8xf32>
    }
    ```
  }];
  let arguments = (ins Graph_FloatTensor:$table, Graph_IndexTensor:$indices);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = "$table `,` $indices attr-dict `:` type($table) `,` type($indices) `->` type($result)";
}

def Graph_AttentionOp : Graph_CompositeOp<"attention",
    [AttrSizedOperandSegments, InferTypeOpAdaptorWithIsCompatible, Graph_Kernel<["getOperandUse", "getFlops"]>]> {
  let summary = "Attention softmax(cap(scale·q·kᵀ) + mask)·v for q, k, v [batch, heads, sequence, head]";
  let description = [{
    The second result is the row-wise log-sum-exp of the scores as the softmax sees them
    [batch, heads, sequence]: what the backward kernel needs to recompute probabilities by block.
    Query head h uses key head ⌊h·key heads / heads⌋.

    Before the softmax, scores s become `soft_cap`·tanh(s / `soft_cap`), then `mask` [batch, heads, queries, keys] is
    added, where a dimension of size 1 stands for all: false of an i1 and -inf hide the key. Query i is at place
    p = i + `offset`, without one at i + (keys - queries); it sees the keys of [p - `before`, p + `after`] that are
    below `length`. `causal` is `after` 0. Offset and length are one for all, or one for each of the batch.

    A query that sees no key gets 0 and -inf, and gives no gradient. What a place hides takes no part, whatever its
    value; what a mask hides has a share of 0, which makes NaN of infinity and NaN, as places do in the decomposition.

    1. `query`, `key` and `value` have rank 4 and one element type.
    2. `query` and `key` agree in batch and head size, and the heads of `key` divide those of `query`.
    3. `key` and `value` agree in batch, heads and sequence.
    4. There is a key, unless there is no query.
    5. `mask` has rank 4 and sizes of the scores or 1; its elements are i1 or floats no wider than the log-sum-exp.
    6. `offset` and `length` have rank 0, or 1 and the size of the batch.
    7. `soft_cap` is a positive number, `before` and `after` are in [0, 2²⁸), and `after` is not given beside `causal`.

    ```mlir
    func.func @attention(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x5x8xf32>, %v: tensor<2x3x5x8xf32>) -> tensor<2x3x5x8xf32> {
      %y, %lse = graph.attention %q, %k, %v scale 0.35 causal true
        : tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32> -> tensor<2x3x5x8xf32>, tensor<2x3x5xf32>
      return %y : tensor<2x3x5x8xf32>
    }
    func.func @with_options(%q: tensor<2x3x5x8xf32>, %k: tensor<2x1x7x8xf32>, %m: tensor<2x1x1x7xi1>,
                            %o: tensor<i64>, %n: tensor<2xi32>) -> tensor<2x3x5x8xf32> {
      %y, %lse = graph.attention %q, %k, %k mask %m offset %o length %n scale 0.35 causal true soft_cap 3.0e+01 before 4
        : tensor<2x3x5x8xf32>, tensor<2x1x7x8xf32>, tensor<2x1x7x8xf32>, tensor<2x1x1x7xi1>, tensor<i64>, tensor<2xi32>
        -> tensor<2x3x5x8xf32>, tensor<2x3x5xf32>
      return %y : tensor<2x3x5x8xf32>
    }
    ```
  }];
  let arguments = (ins Graph_FloatTensor:$query, Graph_FloatTensor:$key, Graph_FloatTensor:$value,
                       Optional<Graph_MaskTensor>:$mask, Optional<Graph_IndexTensor>:$offset,
                       Optional<Graph_IndexTensor>:$length, F64Attr:$scale, BoolAttr:$causal,
                       OptionalAttr<F64Attr>:$soft_cap, OptionalAttr<I64Attr>:$before, OptionalAttr<I64Attr>:$after);
  let results = (outs Graph_FloatTensor:$result, Graph_FloatTensor:$lse);
  let assemblyFormat = [{
    $query `,` $key `,` $value (`mask` $mask^)? (`offset` $offset^)? (`length` $length^)?
    `scale` $scale `causal` $causal (`soft_cap` $soft_cap^)? (`before` $before^)? (`after` $after^)? attr-dict
    `:` type(operands) `->` type(results)
  }];
}

def Graph_AttentionBackwardOp : Graph_CompositeOp<"attention_backward",
    [AttrSizedOperandSegments, InferTypeOpAdaptorWithIsCompatible, Graph_Kernel<["getOperandUse"]>]> {
  let summary = "Gradients of attention for query, key and value, recomputing scores from lse";
  let description = [{
    With p = exp(scores - lse), δ = Σ gradient·output over the head and
    s = p·(gradient·vᵀ - δ)·scale, times 1 - tanh² of a soft cap: query gradient s·k, key gradient sᵀ·q, value
    gradient pᵀ·gradient (Dao et al. 2022, FlashAttention). The mask has no gradient here: one that is trained gets
    p·(gradient·vᵀ - δ) by smaller ops, which hold all scores.

    The constraints 1 to 7 of attention hold, and:
    8. `output`, `gradient` and `lse` have the types of attention's results.

    ```mlir
    func.func @attention_backward(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x5x8xf32>, %v: tensor<2x3x5x8xf32>,
                                  %y: tensor<2x3x5x8xf32>, %lse: tensor<2x3x5xf32>, %dy: tensor<2x3x5x8xf32>,
                                  %m: tensor<2x1x1x5xf32>) -> tensor<2x3x5x8xf32> {
      %dq, %dk, %dv = graph.attention_backward %q, %k, %v, %y, %lse, %dy scale 0.35 causal true
        : tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32>, tensor<2x3x5xf32>, tensor<2x3x5x8xf32>
        -> tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32>
      %eq, %ek, %ev = graph.attention_backward %q, %k, %v, %y, %lse, %dy mask %m scale 0.35 causal false after 2
        : tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32>, tensor<2x3x5xf32>, tensor<2x3x5x8xf32>,
          tensor<2x1x1x5xf32>
        -> tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32>
      return %dq : tensor<2x3x5x8xf32>
    }
    ```
  }];
  let arguments = (ins Graph_FloatTensor:$query, Graph_FloatTensor:$key, Graph_FloatTensor:$value,
                       Graph_FloatTensor:$output, Graph_FloatTensor:$lse, Graph_FloatTensor:$gradient,
                       Optional<Graph_MaskTensor>:$mask, Optional<Graph_IndexTensor>:$offset,
                       Optional<Graph_IndexTensor>:$length, F64Attr:$scale, BoolAttr:$causal,
                       OptionalAttr<F64Attr>:$soft_cap, OptionalAttr<I64Attr>:$before, OptionalAttr<I64Attr>:$after);
  let results = (outs Graph_FloatTensor:$query_gradient, Graph_FloatTensor:$key_gradient,
                      Graph_FloatTensor:$value_gradient);
  let assemblyFormat = [{
    $query `,` $key `,` $value `,` $output `,` $lse `,` $gradient
    (`mask` $mask^)? (`offset` $offset^)? (`length` $length^)?
    `scale` $scale `causal` $causal (`soft_cap` $soft_cap^)? (`before` $before^)? (`after` $after^)? attr-dict
    `:` type(operands) `->` type(results)
  }];
}

def Graph_CrossEntropyOp : Graph_CompositeOp<"cross_entropy",
    [InferTypeOpAdaptorWithIsCompatible, DeclareOpInterfaceMethods<Graph_IndexingOp>]> {
  let summary = "Mean of lse(logits) - logits[target] over all positions; classes are the last dimension";
  let description = [{
    The second result is the row-wise log-sum-exp of the logits, which the gradient uses. A target
    outside [0, classes) is an error in the reference; in compiled code it contributes lse alone.

    1. `targets` has the shape of the logits without their last dimension.

    ```mlir
    func.func @cross_entropy(%logits: tensor<2x4x65xf32>, %targets: tensor<2x4xi32>) -> tensor<f32> {
      %loss, %lse = graph.cross_entropy %logits, %targets
        : tensor<2x4x65xf32>, tensor<2x4xi32> -> tensor<f32>, tensor<2x4xf32>
      return %loss : tensor<f32>
    }
    ```
  }];
  let arguments = (ins Graph_FloatTensor:$logits, Graph_IndexTensor:$targets);
  let results = (outs Graph_FloatScalar:$loss, Graph_FloatTensor:$lse);
  let assemblyFormat = [{
    $logits `,` $targets attr-dict `:` type($logits) `,` type($targets) `->` type($loss) `,` type($lse)
  }];
}

def Graph_MseOp : Graph_CompositeOp<"mse", [InferTypeOpAdaptorWithIsCompatible]> {
  let summary = "Mean of (prediction - target)² over all elements";
  let description = [{
    1. `prediction` and `target` have one type.

    ```mlir
    func.func @mse(%y: tensor<4x8xf32>, %t: tensor<4x8xf32>) -> tensor<f32> {
      %loss = graph.mse %y, %t : tensor<4x8xf32>, tensor<4x8xf32> -> tensor<f32>
      return %loss : tensor<f32>
    }
    ```
  }];
  let arguments = (ins Graph_FloatTensor:$prediction, Graph_FloatTensor:$target);
  let results = (outs Graph_FloatScalar:$loss);
  let assemblyFormat = "$prediction `,` $target attr-dict `:` type($prediction) `,` type($target) `->` type($loss)";
}

//===--------------------------------------------------------------------------------------------===//
// Optimizers: one op updates a bucket of parameters
//===--------------------------------------------------------------------------------------------===//

def Graph_UpdateOp : Graph_CompositeOp<"update",
    [AttrSizedOperandSegments, AttrSizedResultSegments, IsolatedFromAbove, SingleBlock,
     Graph_Kernel<["getOperandUse", "placesOperand"]>]> {
  let summary = "Updates a bucket of parameters and their state by one formula of an element";
  let description = [{
    The region computes an element's new parameter and state from its parameter, gradient, state and from the
    scalars, which are the same for all elements. It computes in f32 where the parameters are narrower; what it
    yields is rounded to the type of what it replaces. State is in groups of as many tensors as there are parameters;
    so may gradients be: what follows their first group is more to read of an element.

    `beyond`, where present, tells of the gradients' bucket (graph.bucket), cut into rows of equal length: by row, the
    place in it of the first element that is not below `limit` in size (NaN is not); the row's length where all are.
    An element of the padding may be told too.

    `rounded`, where present, is what the parameters become, rounded to a narrower type.

    1. Parameters, every group of gradients and of state, and the results pair up in number and type.
    2. The region takes parameter, gradients, state and scalars, all of the type that it computes in.
    3. The region yields the parameter and its state.
    4. The region holds constants and elementwise ops.
    5. `beyond` comes with a limit, and its size divides that of the gradients' bucket.
    6. There are no `rounded`, or one of each parameter's shape and of one narrower type.

    ```mlir
    func.func @update(%p: tensor<8xf32>, %g: tensor<8xf32>, %m: tensor<8xf32>, %lr: tensor<f32>) -> tensor<8xf32> {
      %p1, %m1 = graph.update (%p) gradients (%g) state (%m) scalars (%lr)
        : tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32> -> tensor<8xf32>, tensor<8xf32> {
      ^bb0(%pe: tensor<f32>, %ge: tensor<f32>, %me: tensor<f32>, %rate: tensor<f32>):
        %momentum = graph.constant dense<0.9> : tensor<f32>
        %kept = graph.mul %me, %momentum : tensor<f32>
        %direction = graph.add %kept, %ge : tensor<f32>
        %step = graph.mul %direction, %rate : tensor<f32>
        %next = graph.sub %pe, %step : tensor<f32>
        graph.yield %next, %direction : tensor<f32>, tensor<f32>
      }
      return %p1 : tensor<8xf32>
    }
    ```
  }];
  let arguments = (ins Variadic<Graph_FloatTensor>:$parameters, Variadic<Graph_FloatTensor>:$gradients,
                       Variadic<Graph_FloatTensor>:$state, Variadic<Graph_FloatScalar>:$scalars,
                       OptionalAttr<F64Attr>:$limit);
  let results = (outs Variadic<Graph_FloatTensor>:$updated, Variadic<Graph_FloatTensor>:$rounded,
                      Optional<1DTensorOf<[I32]>>:$beyond);
  let regions = (region SizedRegion<1>:$formula);
  let assemblyFormat = [{
    `(` $parameters `)` `gradients` `(` $gradients `)` `state` `(` $state `)` `scalars` `(` $scalars `)` attr-dict
    `:` type(operands) `->` type($updated) (`rounded` type($rounded)^)? (`beyond` type($beyond)^)? $formula
  }];
  let extraClassDeclaration = [{
    /// Tensors per parameter: one of state each.
    size_t getStateCount() { return getParameters().empty() ? 0 : getState().size() / getParameters().size(); }
    /// Parameters, gradients and each group of state.
    ::llvm::SmallVector<::mlir::ValueRange> getOperandGroups();
    /// New parameters, each group of new state, and what is rounded.
    ::llvm::SmallVector<::mlir::ValueRange> getResultGroups();
  }];
  let hasVerifier = 1;
}

#endif
