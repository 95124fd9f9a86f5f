//===- linalg/Passes.td - stage train to stage linalg -------------------------------------------===//
#ifndef INGOT_PASSES_LINALG
#define INGOT_PASSES_LINALG

include "mlir/Pass/PassBase.td"

def GraphToLinalg : Pass<"graph-to-linalg", "::mlir::ModuleOp"> {
  let summary = "Graph ops become linalg on tensors; roots with an emitter of their own stay";
  let description = [{
    Composites are decomposed but for attention; elementwise ops become all-parallel generics,
    reductions generics over a fill. Copies (broadcast, transpose) live on as indexing maps of their
    consumers. Flags say which floats contract-arithmetic may contract; floats narrower than f32 are computed
    in f32.

    ```mlir --graph-to-linalg --cse
    func.func @forward(%x: tensor<4x16xf32>, %w: tensor<8x16xf32>, %b: tensor<8xf32>) -> tensor<4x8xf32> {
      %0 = graph.linear %x, %w, %b : tensor<4x16xf32>, tensor<8x16xf32>, tensor<8xf32> -> tensor<4x8xf32>
      %1 = graph.relu %0 : tensor<4x8xf32>
      return %1 : tensor<4x8xf32>
    }
    ```
    becomes
    ```mlir
    func.func @forward(%arg0: tensor<4x16xf32>, %arg1: tensor<8x16xf32>, %arg2: tensor<8xf32>) -> tensor<4x8xf32> {
      %cst = arith.constant 0.000000e+00 : f32
      %0 = graph.contract %arg0, %arg1 batch [] x [] over [1] x [1] : tensor<4x16xf32>, tensor<8x16xf32> -> tensor<4x8xf32>
      %1 = tensor.empty() : tensor<4x8xf32>
      %2 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%0, %arg2 : tensor<4x8xf32>, tensor<8xf32>) outs(%1 : tensor<4x8xf32>) {
      ^bb0(%in: f32, %in_0: f32, %out: f32):
        %4 = arith.addf %in, %in_0 fastmath<nsz,arcp,contract> : f32
        linalg.yield %4 : f32
      } -> tensor<4x8xf32>
      %3 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%2 : tensor<4x8xf32>) outs(%1 : tensor<4x8xf32>) {
      ^bb0(%in: f32, %out: f32):
        %4 = arith.maximumf %in, %cst fastmath<nsz,arcp,contract> : f32
        linalg.yield %4 : f32
      } -> tensor<4x8xf32>
      return %3 : tensor<4x8xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect",
                           "::ingot::graph::GraphDialect"];
}

def ContractArithmetic : Pass<"contract-arithmetic", "::mlir::ModuleOp"> {
  let summary = "Fused multiply-adds and reciprocals become explicit; no fast-math flag is left";
  let description = [{
    After this pass the ops decide every bit that is computed: neither fusion, recomputation, blocks of
    rows nor the target choose any arithmetic. The rule looks at the values of the function after
    common subexpressions were joined, and at ops whose flags allow it (`contract`, `arcp`):

    1. `x / c` by a constant becomes `x · (1/c)` where `1/c` is a normal number.
    2. `x / y` becomes `x · r` where `y` is an operand with fewer elements than the op has points, such
       as a sum a row; `r = 1 / y` is an op of its own on y's shape. Where `y` is bf16 or f16, `r` is f32.
    3. `x · y + z`, `x · y - z` and `z - x · y` become `fma(x, y, z)`, `fma(x, y, -z)` and `fma(-x, y, z)` in
       f32 and f64 where the sum is the product's only use in the function and has as many points. If
       both operands of a sum are such products, the left one is fused. A product that another op makes
       moves into the sum's op. A sum over products, as of squares, is `sum = fma(x, y, sum)`.

    What is rounded to bf16 or f16 between product and sum is no product. `nsz` stays on maxima and minima.

    ```mlir --contract-arithmetic
    func.func @norm(%x: tensor<4x8xf32>, %s: tensor<8xf32>, %t: tensor<8xf32>) -> tensor<4x8xf32> {
      %e = tensor.empty() : tensor<4x8xf32>
      %p = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%x, %s : tensor<4x8xf32>, tensor<8xf32>) outs(%e : tensor<4x8xf32>) {
      ^bb0(%a: f32, %b: f32, %out: f32):
        %0 = arith.mulf %a, %b fastmath<nsz,arcp,contract> : f32
        linalg.yield %0 : f32
      } -> tensor<4x8xf32>
      %q = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%p, %t : tensor<4x8xf32>, tensor<8xf32>) outs(%e : tensor<4x8xf32>) {
      ^bb0(%a: f32, %b: f32, %out: f32):
        %0 = arith.addf %a, %b fastmath<nsz,arcp,contract> : f32
        linalg.yield %0 : f32
      } -> tensor<4x8xf32>
      return %q : tensor<4x8xf32>
    }
    ```
    becomes
    ```mlir
    func.func @norm(%arg0: tensor<4x8xf32>, %arg1: tensor<8xf32>, %arg2: tensor<8xf32>) -> tensor<4x8xf32> {
      %0 = tensor.empty() : tensor<4x8xf32>
      %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%arg0, %arg1, %arg2 : tensor<4x8xf32>, tensor<8xf32>, tensor<8xf32>) outs(%0 : tensor<4x8xf32>) {
      ^bb0(%in: f32, %in_0: f32, %in_1: f32, %out: f32):
        %2 = math.fma %in, %in_0, %in_1 : f32
        linalg.yield %2 : f32
      } -> tensor<4x8xf32>
      return %1 : tensor<4x8xf32>
    }
    ```

    Numbers: a product and a sum round once instead of twice; a quotient by rule 1 or 2 is off by at
    most one unit in the last place, and overflows where `1/y` does.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def BlockRows : Pass<"block-rows", "::mlir::ModuleOp"> {
  let summary = "Contractions whose result is too large to be stored whole run block after block of its rows";
  let description = [{
    The result of a contraction that has more than `limit` bytes is cut along its outermost dimension,
    together with all ops on tensors as large as it and those between them: a language model's last
    linear layer, its loss and their gradients. Each block's ops wait for the block before; values with
    rows are joined, sums over rows are added block by block. Left alone is what would have to be stored
    whole anyway (the function returns it, say) and ops that mix rows. The number of blocks follows from
    the shapes. More than `written-out` are the iterations of a loop, if a number up to twice the least one
    gives equal blocks that take and give pieces of memory at multiples of 64 bytes; all others are written
    out, 64 at most.
    Numbers: sums over rows (weight gradients) are added in another order, the same in a loop as written
    out; sums that are made of joined rows later may be, since a loop's rows lie in one piece of memory;
    all else is the same.

    ```mlir --block-rows=limit=16 --cse
    func.func @rows(%x: tensor<4x2xf32>, %w: tensor<2x2xf32>) -> tensor<4xf32> {
      %zero = arith.constant dense<0.0> : tensor<4xf32>
      %y = graph.contract %x, %w batch [] x [] over [1] x [1] : tensor<4x2xf32>, tensor<2x2xf32> -> tensor<4x2xf32>
      %s = linalg.generic {indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (r)>], iterator_types = ["parallel", "reduction"]} ins(%y : tensor<4x2xf32>) outs(%zero : tensor<4xf32>) {
      ^bb0(%in: f32, %out: f32):
        %0 = arith.addf %in, %out : f32
        linalg.yield %0 : f32
      } -> tensor<4xf32>
      return %s : tensor<4xf32>
    }
    ```
    becomes
    ```mlir
    func.func @rows(%arg0: tensor<4x2xf32>, %arg1: tensor<2x2xf32>) -> tensor<4xf32> {
      %extracted_slice = tensor.extract_slice %arg0[0, 0] [2, 2] [1, 1] : tensor<4x2xf32> to tensor<2x2xf32>
      %0 = graph.contract %extracted_slice, %arg1 batch [] x [] over [1] x [1] : tensor<2x2xf32>, tensor<2x2xf32> -> tensor<2x2xf32>
      %cst = arith.constant dense<0.000000e+00> : tensor<2xf32>
      %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%0 : tensor<2x2xf32>) outs(%cst : tensor<2xf32>) {
      ^bb0(%in: f32, %out: f32):
        %5 = arith.addf %in, %out : f32
        linalg.yield %5 : f32
      } -> tensor<2xf32>
      %extracted_slice_0 = tensor.extract_slice %arg0[2, 0] [2, 2] [1, 1] : tensor<4x2xf32> to tensor<2x2xf32>
      %2 = graph.after %extracted_slice_0, %1 apart : tensor<2x2xf32>, tensor<2xf32>
      %3 = graph.contract %2, %arg1 batch [] x [] over [1] x [1] : tensor<2x2xf32>, tensor<2x2xf32> -> tensor<2x2xf32>
      %4 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%3 : tensor<2x2xf32>) outs(%cst : tensor<2xf32>) {
      ^bb0(%in: f32, %out: f32):
        %5 = arith.addf %in, %out : f32
        linalg.yield %5 : f32
      } -> tensor<2xf32>
      %concat = tensor.concat dim(0) %1, %4 : (tensor<2xf32>, tensor<2xf32>) -> tensor<4xf32>
      return %concat : tensor<4xf32>
    }
    ```
  }];
  let options = [Option<"limit", "limit", "int64_t", "64 << 20", "bytes of a tensor that is stored whole">,
                 Option<"writtenOut", "written-out", "int64_t", "4",
                        "so many blocks are no loop, whose iterations wait for each other">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect", "::ingot::graph::GraphDialect"];
}

def Recompute : Pass<"recompute", "::mlir::ModuleOp"> {
  let summary = "Values of the forward pass are dropped and recomputed in the backward pass";
  let description = [{
    In functions that return `loss`: what the backward pass reads of the forward pass (the ops that the
    loss needs) is kept or recomputed from what is kept, so that the fewest bytes are live between the
    passes: a minimum cut. Elementwise ops may run again, of contractions and attention the first `heavy`
    by FLOPs a byte. With these, every `stride`-th value to which the forward pass narrows (the residual
    stream before attention and before the MLP of every layer) is a checkpoint and kept. The clones
    stand before their first reader and read kept values behind `graph.after`, which holds them back. Nothing happens where the backward pass reads less
    than `least-bytes` of what is dropped. No bit of a result changes: the same ops run on the same values.

    ```mlir --recompute
    func.func @gradients(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>, %dy: tensor<4x8xf32>) -> (tensor<f32> {graph.name = "loss"}, tensor<8x8xf32>, tensor<4x8xf32>) {
      %zero = arith.constant dense<0.0> : tensor<f32>
      %e = tensor.empty() : tensor<4x8xf32>
      %p = graph.contract %x, %w batch [] x [] over [1] x [0] : tensor<4x8xf32>, tensor<8x8xf32> -> tensor<4x8xf32>
      %a = linalg.generic {indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (r, c)>], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
      ^bb0(%in: f32, %out: f32):
        %0 = math.tanh %in : f32
        linalg.yield %0 : f32
      } -> tensor<4x8xf32>
      %loss = linalg.generic {indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> ()>], iterator_types = ["reduction", "reduction"]} ins(%a : tensor<4x8xf32>) outs(%zero : tensor<f32>) {
      ^bb0(%in: f32, %out: f32):
        %0 = arith.addf %in, %out : f32
        linalg.yield %0 : f32
      } -> tensor<f32>
      %g = graph.contract %dy, %w batch [] x [] over [1] x [0] : tensor<4x8xf32>, tensor<8x8xf32> -> tensor<4x8xf32>
      %h = graph.contract %g, %w batch [] x [] over [1] x [0] : tensor<4x8xf32>, tensor<8x8xf32> -> tensor<4x8xf32>
      %da = graph.contract %h, %w batch [] x [] over [1] x [0] : tensor<4x8xf32>, tensor<8x8xf32> -> tensor<4x8xf32>
      %dw = graph.contract %h, %a batch [] x [] over [0] x [0] : tensor<4x8xf32>, tensor<4x8xf32> -> tensor<8x8xf32>
      %dp = linalg.generic {indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (r, c)>], iterator_types = ["parallel", "parallel"]} ins(%da, %p : tensor<4x8xf32>, tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
      ^bb0(%in: f32, %q: f32, %out: f32):
        %0 = arith.mulf %in, %q : f32
        linalg.yield %0 : f32
      } -> tensor<4x8xf32>
      return %loss, %dw, %dp : tensor<f32>, tensor<8x8xf32>, tensor<4x8xf32>
    }
    ```
    becomes
    ```mlir
    func.func @gradients(%arg0: tensor<4x8xf32>, %arg1: tensor<8x8xf32>, %arg2: tensor<4x8xf32>) -> (tensor<f32> {graph.name = "loss"}, tensor<8x8xf32>, tensor<4x8xf32>) {
      %cst = arith.constant dense<0.000000e+00> : tensor<f32>
      %0 = tensor.empty() : tensor<4x8xf32>
      %1 = graph.contract %arg0, %arg1 batch [] x [] over [1] x [0] : tensor<4x8xf32>, tensor<8x8xf32> -> tensor<4x8xf32>
      %2 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%1 : tensor<4x8xf32>) outs(%0 : tensor<4x8xf32>) {
      ^bb0(%in: f32, %out: f32):
        %11 = math.tanh %in : f32
        linalg.yield %11 : f32
      } -> tensor<4x8xf32>
      %3 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> ()>], iterator_types = ["reduction", "reduction"]} ins(%2 : tensor<4x8xf32>) outs(%cst : tensor<f32>) {
      ^bb0(%in: f32, %out: f32):
        %11 = arith.addf %in, %out : f32
        linalg.yield %11 : f32
      } -> tensor<f32>
      %4 = graph.contract %arg2, %arg1 batch [] x [] over [1] x [0] : tensor<4x8xf32>, tensor<8x8xf32> -> tensor<4x8xf32>
      %5 = graph.contract %4, %arg1 batch [] x [] over [1] x [0] : tensor<4x8xf32>, tensor<8x8xf32> -> tensor<4x8xf32>
      %6 = graph.contract %5, %arg1 batch [] x [] over [1] x [0] : tensor<4x8xf32>, tensor<8x8xf32> -> tensor<4x8xf32>
      %7 = graph.after %1, %6 : tensor<4x8xf32>, tensor<4x8xf32>
      %8 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%7 : tensor<4x8xf32>) outs(%0 : tensor<4x8xf32>) {
      ^bb0(%in: f32, %out: f32):
        %11 = math.tanh %in : f32
        linalg.yield %11 : f32
      } -> tensor<4x8xf32>
      %9 = graph.contract %5, %8 batch [] x [] over [0] x [0] : tensor<4x8xf32>, tensor<4x8xf32> -> tensor<8x8xf32>
      %10 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%6, %7 : tensor<4x8xf32>, tensor<4x8xf32>) outs(%0 : tensor<4x8xf32>) {
      ^bb0(%in: f32, %in_0: f32, %out: f32):
        %11 = arith.mulf %in, %in_0 : f32
        linalg.yield %11 : f32
      } -> tensor<4x8xf32>
      return %3, %9, %10 : tensor<f32>, tensor<8x8xf32>, tensor<4x8xf32>
    }
    ```
  }];
  let options = [Option<"leastBytes", "least-bytes", "int64_t", "1", "bytes that must be dropped">,
                 Option<"smallestBytes", "smallest-bytes", "int64_t", "1", "smaller values are kept">,
                 Option<"heavy", "heavy", "int64_t", "0", "contractions and attentions that may run again">,
                 Option<"stride", "stride", "int64_t", "1", "how many narrow points make one checkpoint">];
  let dependentDialects = ["::ingot::graph::GraphDialect"];
}

#endif
