//===- raise/Passes.td - what exporters wrote out becomes composites ---------------------------===//
#ifndef INGOT_PASSES_RAISE
#define INGOT_PASSES_RAISE

include "mlir/Pass/PassBase.td"

def RaiseComposites : Pass<"raise-composites", "::mlir::ModuleOp"> {
  let summary = "What exporters wrote out becomes the composite that it came from";
  let description = [{
    The rows of RaiseFunctions.cpp, RaiseLines.cpp and RaiseAttention.cpp say which: GELU, SiLU, sigmoid, softplus
    and Mish however they are spelled; softmax and its logarithm, layer norm, the cross entropy of class numbers;
    attention with scaled factors or scores, repeated heads, a soft cap and masks. Known masks that leave a window of
    keys around each query become that window (causal masks, sliding ones); all others, conditions and numbers that
    are added, its mask. What is narrower than f32 stays, and so does what others read too: attention whose
    probabilities are a result.

    Changes numbers where a composite rounds otherwise than its parts, in the last places. Entries of -1e9 and below of
    a mask that becomes a window count as hidden, whatever other masks add: where those hide the whole window of a
    query, its result is still one of that window. Of other masks, a condition that chooses a score or a number of -1e9
    and below adds that number, or -1e30 (-1e300 in f64) if that is less: scores vanish beside it, but an infinite or
    NaN score that the number replaced survives. The log-sum-exp of a query that sees no key vanishes likewise: its
    gradients are those of probabilities of 1. Where a composite is defined more widely than its parts, it holds: exp(x)
    that overflows in a softplus is x; a NaN among scores that an exporter made 0 stays NaN; a query that sees no key
    gets 0; a row whose variance overflows is NaN.

    ```mlir --canonicalize --raise-composites --canonicalize
    func.func @forward(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32> {
      %half = graph.constant dense<0.5> : tensor<2x3x5x7xf32>
      %t = graph.transpose %k [0, 1, 3, 2] : tensor<2x3x7x8xf32> -> tensor<2x3x8x7xf32>
      %s = graph.contract %q, %t batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x3x5x8xf32>, tensor<2x3x8x7xf32> -> tensor<2x3x5x7xf32>
      %d = graph.mul %s, %half : tensor<2x3x5x7xf32>
      %p = graph.softmax %d dimension 3 : tensor<2x3x5x7xf32>
      %y = graph.contract %p, %v batch [0, 1] x [0, 1] over [3] x [2] : tensor<2x3x5x7xf32>, tensor<2x3x7x8xf32> -> tensor<2x3x5x8xf32>
      return %y : tensor<2x3x5x8xf32>
    }
    ```
    becomes
    ```mlir
    func.func @forward(%q: tensor<2x3x5x8xf32>, %k: tensor<2x3x7x8xf32>, %v: tensor<2x3x7x8xf32>) -> tensor<2x3x5x8xf32> {
      %y, %lse = graph.attention %q, %k, %v scale 0.5 causal false
        : tensor<2x3x5x8xf32>, tensor<2x3x7x8xf32>, tensor<2x3x7x8xf32> -> tensor<2x3x5x8xf32>, tensor<2x3x5xf32>
      return %y : tensor<2x3x5x8xf32>
    }
    ```
  }];
  let dependentDialects = ["::ingot::graph::GraphDialect", "::mlir::func::FuncDialect"];
}

#endif
