//===- Passes.td - every pass of the pipeline, in pipeline order ---------------------------------===//
#ifndef INGOT_PASSES
#define INGOT_PASSES

include "mlir/Pass/PassBase.td"

//===--------------------------------------------------------------------------------------------===//
// graph → train
//===--------------------------------------------------------------------------------------------===//

def NarrowOperands : Pass<"narrow-operands", "::mlir::ModuleOp"> {
  let summary = "Rounds what @forward multiplies to bf16";
  let description = [{
    The f32 operands of linear layers, contractions and attention are rounded where they are defined, before
    reshapes, transposes and slices; sums of products stay f32, attention's result is rounded. What a linear layer or
    contraction gives is rounded too where nothing but elementwise functions of it alone reads it: a hidden layer's
    values before its activation. All else is f32: norms, residual sums, logits, the loss. Convolutions are left alone.
    The gradients of a rounding pass it unrounded (differentiate), so that those of parameters are f32.

    Changes numbers: products of bf16 have 8 significant bits in each factor.
    ```mlir --narrow-operands
    func.func @forward(%w: tensor<3x8xf32> {graph.name = "w", graph.role = "parameter"},
                       %b: tensor<3xf32> {graph.name = "b", graph.role = "parameter"},
                       %v: tensor<2x3xf32> {graph.name = "v", graph.role = "parameter"},
                       %x: tensor<4x8xf32> {graph.name = "x", graph.role = "input"})
        -> (tensor<4x2xf32> {graph.name = "logits"}) {
      %hidden = graph.linear %x, %w, %b : tensor<4x8xf32>, tensor<3x8xf32>, tensor<3xf32> -> tensor<4x3xf32>
      %active = graph.relu %hidden : tensor<4x3xf32>
      %logits = graph.linear %active, %v : tensor<4x3xf32>, tensor<2x3xf32> -> tensor<4x2xf32>
      return %logits : tensor<4x2xf32>
    }
    ```
    becomes
    ```mlir
    func.func @forward(%arg0: tensor<3x8xf32> {graph.name = "w", graph.role = "parameter"},
                       %arg1: tensor<3xf32> {graph.name = "b", graph.role = "parameter"},
                       %arg2: tensor<2x3xf32> {graph.name = "v", graph.role = "parameter"},
                       %arg3: tensor<4x8xf32> {graph.name = "x", graph.role = "input"})
        -> (tensor<4x2xf32> {graph.name = "logits"}) {
      %0 = graph.cast %arg3 : tensor<4x8xf32> -> tensor<4x8xbf16>
      %1 = graph.cast %arg0 : tensor<3x8xf32> -> tensor<3x8xbf16>
      %2 = graph.linear %0, %1, %arg1 : tensor<4x8xbf16>, tensor<3x8xbf16>, tensor<3xf32> -> tensor<4x3xf32>
      %3 = graph.cast %2 : tensor<4x3xf32> -> tensor<4x3xbf16>
      %4 = graph.cast %3 : tensor<4x3xbf16> -> tensor<4x3xf32>
      %5 = graph.relu %4 : tensor<4x3xf32>
      %6 = graph.cast %5 : tensor<4x3xf32> -> tensor<4x3xbf16>
      %7 = graph.cast %arg2 : tensor<2x3xf32> -> tensor<2x3xbf16>
      %8 = graph.linear %6, %7 : tensor<4x3xbf16>, tensor<2x3xbf16> -> tensor<4x2xf32>
      return %8 : tensor<4x2xf32>
    }
    ```
  }];
  let dependentDialects = ["::ingot::graph::GraphDialect", "::mlir::func::FuncDialect"];
}

def AddLoss : Pass<"add-loss", "::mlir::ModuleOp"> {
  let summary = "Makes @evaluate, the loss of a batch, from @forward";
  let description = [{
    The loss is of the result `logits`, of `output`, or of the only one; `none` expects @forward to return the
    scalar `loss` itself. passes/options/Losses.def lists the losses and which numbers each has. @evaluate has a new
    argument `targets`: class numbers (i32, without the dimension `class-axis`; default: the last), or numbers of the
    result's type. With `weights` there is a further argument of that name, an f32 for each class number or, without
    classes, each row: a mean is Σ weight·loss / Σ weight.
    ```
    func.func @forward(%w …, %x …) -> (tensor<4x10xf32> {graph.name = "logits"})
    ```
    gets the company of
    ```
    func.func @evaluate(%w …, %x …, %targets: tensor<4xi32> …) -> (tensor<f32> {graph.name = "loss"}) {
      …
      %loss, %lse = graph.cross_entropy %logits, %targets : …
      return %loss : tensor<f32>
    }
    ```
  }];
  let options = [Option<"loss", "loss", "std::string", "\"cross_entropy\"", "what training minimises">,
                 Option<"weights", "weights", "bool", "false", "a weight for each target">,
                 Option<"classAxis", "class-axis", "int64_t", "-1", "the dimension of classes; -1: the last">,
                 Option<"output", "output", "std::string", "\"\"", "the result that the loss is of">,
                 Option<"reduction", "reduction", "std::string", "\"mean\"", "of the losses of a batch">,
                 ListOption<"classWeights", "class-weights", "double", "weights of classes">,
                 ListOption<"ignoreIndex", "ignore-index", "int64_t", "the class number that counts nothing, if any">,
                 Option<"labelSmoothing", "label-smoothing", "double", "0", "share of targets that all classes have">,
                 Option<"softTargets", "soft-targets", "bool", "false", "targets are probabilities of classes">,
                 Option<"logTargets", "log-targets", "bool", "false", "targets are logarithms of probabilities">,
                 Option<"beta", "beta", "double", "1", "smooth_l1's">, Option<"delta", "delta", "double", "1", "huber's">,
                 Option<"margin", "margin", "double", "1", "hinge_embedding's and multi_margin's">,
                 Option<"power", "power", "int64_t", "1", "multi_margin's">];
  let dependentDialects = ["::ingot::graph::GraphDialect", "::mlir::func::FuncDialect"];
}

def Differentiate : Pass<"differentiate", "::mlir::ModuleOp"> {
  let summary = "Makes @gradients, the loss and its gradients, from @evaluate";
  let description = [{
    Reverse mode over graph ops with one rule per op (Gradients*.cpp). Only ops between parameters and the
    loss take part; integers carry no gradient. Gradient ops follow the forward ops and are located
    at `<node>.backward`. A parameter that does not reach the loss gets no gradient and is not trained.
    ```mlir --differentiate --cse
    func.func @evaluate(%w: tensor<3x8xf32> {graph.name = "w", graph.role = "parameter"},
                        %x: tensor<4x8xf32> {graph.name = "x", graph.role = "input"},
                        %targets: tensor<4x3xf32> {graph.name = "targets", graph.role = "target"})
        -> (tensor<f32> {graph.name = "loss"}) {
      %hidden = graph.tanh %x : tensor<4x8xf32>
      %logits = graph.linear %hidden, %w : tensor<4x8xf32>, tensor<3x8xf32> -> tensor<4x3xf32>
      %loss = graph.mse %logits, %targets : tensor<4x3xf32>, tensor<4x3xf32> -> tensor<f32>
      return %loss : tensor<f32>
    }
    ```
    becomes
    ```mlir
    func.func @evaluate(
        %arg0: tensor<3x8xf32> {graph.name = "w", graph.role = "parameter"},
        %arg1: tensor<4x8xf32> {graph.name = "x", graph.role = "input"},
        %arg2: tensor<4x3xf32> {graph.name = "targets", graph.role = "target"})
        -> (tensor<f32> {graph.name = "loss"}) {
      %0 = graph.tanh %arg1 : tensor<4x8xf32>
      %1 = graph.linear %0, %arg0 : tensor<4x8xf32>, tensor<3x8xf32> -> tensor<4x3xf32>
      %2 = graph.mse %1, %arg2 : tensor<4x3xf32>, tensor<4x3xf32> -> tensor<f32>
      return %2 : tensor<f32>
    }
    func.func @gradients(
        %arg0: tensor<3x8xf32> {graph.name = "w", graph.role = "parameter"},
        %arg1: tensor<4x8xf32> {graph.name = "x", graph.role = "input"},
        %arg2: tensor<4x3xf32> {graph.name = "targets", graph.role = "target"})
        -> (tensor<f32> {graph.name = "loss"},
            tensor<3x8xf32> {graph.name = "gradient.w"}) {
      %0 = graph.tanh %arg1 : tensor<4x8xf32>
      %1 = graph.linear %0, %arg0 : tensor<4x8xf32>, tensor<3x8xf32> -> tensor<4x3xf32>
      %2 = graph.mse %1, %arg2 : tensor<4x3xf32>, tensor<4x3xf32> -> tensor<f32>
      %3 = graph.constant dense<1.000000e+00> : tensor<f32>
      %4 = graph.sub %1, %arg2 : tensor<4x3xf32>
      %5 = graph.constant dense<0.166666672> : tensor<f32>
      %6 = graph.mul %3, %5 : tensor<f32>
      %7 = graph.broadcast %6 [] : tensor<f32> -> tensor<4x3xf32>
      %8 = graph.mul %4, %7 : tensor<4x3xf32>
      %9 = graph.contract %8, %0 batch [] x [] over [0] x [0] : tensor<4x3xf32>, tensor<4x8xf32> -> tensor<3x8xf32>
      return %2, %9 : tensor<f32>, tensor<3x8xf32>
    }
    ```
    @gradients takes the arguments of @evaluate and returns `loss`, then `gradient.<parameter>` for each.
  }];
  let dependentDialects = ["::ingot::graph::GraphDialect", "::mlir::func::FuncDialect"];
}

def AddOptimizer : Pass<"add-optimizer", "::mlir::ModuleOp"> {
  let summary = "Turns @gradients into @step, which updates parameters and state";
  let description = [{
    One graph.update per bucket of parameters (those of a layer, neighbours joined up to about
    1 MB; one for the vectors of all larger layers), as soon as its gradients are final and its parameters used for the last time. Parameters and
    state are donated: they are updated in place. Clipping by global norm and `accumulate` micro-batches
    (slices of the batch arguments, whose mean counts) are part of @step: a few one after the other, more as the
    iterations of a loop, with the same bits. `skip-non-finite` needs all gradients
    first, as clipping does: every update takes a scale that is NaN where the norm or the loss is not finite, and
    changes nothing then. Rates and decays of groups are scalars of their updates. With it or `return-gradients`,
    `gradient_norms` has the norm of each parameter's gradient, in the order of @step's parameters, 0 for those that are
    not trained. Without, `watch` gives every update the result `beyond`, which says where a gradient is so large that
    the sum of its squares is infinite; @step returns it as `gradient_beyond.N` with the names of the bucket's parameters.
    ```mlir --add-optimizer=optimizer=sgd --cse
    func.func @gradients(
        %arg0: tensor<3x8xf32> {graph.name = "w", graph.role = "parameter"},
        %arg1: tensor<4x8xf32> {graph.name = "x", graph.role = "input"},
        %arg2: tensor<4x3xf32> {graph.name = "targets", graph.role = "target"})
        -> (tensor<f32> {graph.name = "loss"},
            tensor<3x8xf32> {graph.name = "gradient.w"}) {
      %0 = graph.tanh %arg1 : tensor<4x8xf32>
      %1 = graph.linear %0, %arg0 : tensor<4x8xf32>, tensor<3x8xf32> -> tensor<4x3xf32>
      %2 = graph.mse %1, %arg2 : tensor<4x3xf32>, tensor<4x3xf32> -> tensor<f32>
      %3 = graph.constant dense<1.000000e+00> : tensor<f32>
      %4 = graph.sub %1, %arg2 : tensor<4x3xf32>
      %5 = graph.constant dense<0.166666672> : tensor<f32>
      %6 = graph.mul %3, %5 : tensor<f32>
      %7 = graph.broadcast %6 [] : tensor<f32> -> tensor<4x3xf32>
      %8 = graph.mul %4, %7 : tensor<4x3xf32>
      %9 = graph.contract %8, %0 batch [] x [] over [0] x [0] : tensor<4x3xf32>, tensor<4x8xf32> -> tensor<3x8xf32>
      return %2, %9 : tensor<f32>, tensor<3x8xf32>
    }
    ```
    becomes
    ```mlir
    func.func @step(
        %arg0: tensor<3x8xf32> {graph.donated = 0 : i64, graph.name = "w", graph.role = "parameter"},
        %arg1: tensor<4x8xf32> {graph.name = "x", graph.role = "input"},
        %arg2: tensor<4x3xf32> {graph.name = "targets", graph.role = "target"},
        %arg3: tensor<f32> {graph.name = "learning_rate", graph.role = "scalar"})
        -> (tensor<3x8xf32> {graph.name = "w", graph.role = "parameter"},
            tensor<f32> {graph.name = "loss"}) {
      %0 = graph.constant dense<1.000000e+00> : tensor<f32>
      %1 = graph.tanh %arg1 : tensor<4x8xf32>
      %2 = graph.linear %1, %arg0 : tensor<4x8xf32>, tensor<3x8xf32> -> tensor<4x3xf32>
      %3 = graph.mse %2, %arg2 : tensor<4x3xf32>, tensor<4x3xf32> -> tensor<f32>
      %4 = graph.sub %2, %arg2 : tensor<4x3xf32>
      %5 = graph.constant dense<0.166666672> : tensor<f32>
      %6 = graph.mul %0, %5 : tensor<f32>
      %7 = graph.broadcast %6 [] : tensor<f32> -> tensor<4x3xf32>
      %8 = graph.mul %4, %7 : tensor<4x3xf32>
      %9 = graph.contract %8, %1 batch [] x [] over [0] x [0] : tensor<4x3xf32>, tensor<4x8xf32> -> tensor<3x8xf32>
      %10 = graph.constant dense<0.00999999977> : tensor<f32>
      %11 = graph.update(%arg0) gradients(%9) state() scalars(%arg3, %10, %0) : tensor<3x8xf32>, tensor<3x8xf32>, tensor<f32>, tensor<f32>, tensor<f32> -> tensor<3x8xf32> {
      ^bb0(%arg4: tensor<f32>, %arg5: tensor<f32>, %arg6: tensor<f32>, %arg7: tensor<f32>, %arg8: tensor<f32>):
        %12 = graph.mul %arg5, %arg8 : tensor<f32>
        %13 = graph.mul %arg4, %arg7 : tensor<f32>
        %14 = graph.add %12, %13 : tensor<f32>
        %15 = graph.mul %14, %arg6 : tensor<f32>
        %16 = graph.sub %arg4, %15 : tensor<f32>
        graph.yield %16 : tensor<f32>
      }
      return %11, %3 : tensor<3x8xf32>, tensor<f32>
    }
    ```
  }];
  let options = [
    Option<"optimizer", "optimizer", "std::string", "\"adamw\"", "a row of training/Optimizers.cpp">,
    Option<"beta1", "beta1", "double", "0.9", "decay of the first moment">,
    Option<"beta2", "beta2", "double", "0.999", "decay of the second moment">,
    Option<"epsilon", "epsilon", "double", "1e-8", "keeps denominators from 0">,
    Option<"weightDecay", "weight-decay", "double", "0.01", "on every trained tensor">,
    Option<"momentum", "momentum", "double", "0.0", "SGD's and RMSprop's">,
    Option<"dampening", "dampening", "double", "0.0", "SGD's">,
    Option<"nesterov", "nesterov", "bool", "false", "SGD's">,
    Option<"alpha", "alpha", "double", "0.99", "RMSprop's">,
    Option<"centered", "centered", "bool", "false", "RMSprop's">,
    Option<"rho", "rho", "double", "0.9", "Adadelta's">,
    Option<"rateDecay", "rate-decay", "double", "0.0", "Adagrad's">,
    Option<"momentumDecay", "momentum-decay", "double", "4e-3", "NAdam's">,
    Option<"clip", "clip", "double", "0.0", "largest global gradient norm; 0: off">,
    Option<"accumulate", "accumulate", "int", "1", "micro-batches a step">,
    Option<"skipNonFinite", "skip-non-finite", "bool", "false",
           "a step whose loss or gradient norm is not finite changes nothing">,
    Option<"returnGradients", "return-gradients", "bool", "false", "return every gradient">,
    Option<"watch", "watch", "bool", "false", "say where gradients are not finite or too large to be squared">,
    ListOption<"groups", "groups", "std::string",
               "parameters trained otherwise: `<regular expression>;frozen` or `…;<rate factor>;<weight decay>`">];
  let dependentDialects = ["::ingot::graph::GraphDialect", "::mlir::func::FuncDialect"];
}

def AddInitializers : Pass<"add-initializers", "::mlir::ModuleOp"> {
  let summary = "Makes @init, the parameters' first values from a seed, from @forward's `graph.init`";
  let description = [{
    `normal:STD`, `uniform:LIMIT` (±LIMIT) and `constant:VALUE`. Parameter number i draws from the random
    stream with id i, so that its values depend on seed and position alone.
    ```
    %w: tensor<4x4xf32> {graph.init = "normal:0.02", …}
    ```
    makes
    ```
    %0 = graph.random_normal %seed, %zero id 0 : tensor<i64>, tensor<i64> -> tensor<4x4xf32>
    %1 = graph.mul %0, %std : tensor<4x4xf32>
    ```
  }];
  let dependentDialects = ["::ingot::graph::GraphDialect", "::mlir::func::FuncDialect"];
}

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
    After this pass the ops say what is computed, bit by bit: neither fusion, recomputation, blocks of
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
    the shapes, and is 64 at most: each is code of its own. Numbers: sums over rows (weight gradients) are added in another order, all else is the same.

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
  let options = [Option<"limit", "limit", "int64_t", "64 << 20", "bytes of a tensor that is stored whole">];
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
    than `least-bytes` of what is dropped. Numbers stay the same bit by bit: the same ops run on the same values.

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

def ExpandMath : Pass<"expand-math"> {
  let summary = "exp, log, tanh, erf, sin, cos, pow and their kin become adds and multiplies";
  let description = [{
    ```mlir --expand-math
    func.func @root(%x: vector<16xf32>) -> vector<16xf32> {
      %0 = math.rsqrt %x : vector<16xf32>
      return %0 : vector<16xf32>
    }
    ```
    becomes
    ```mlir
    func.func @root(%x: vector<16xf32>) -> vector<16xf32> {
      %root = math.sqrt %x : vector<16xf32>
      %one = arith.constant dense<1.0> : vector<16xf32>
      %0 = arith.divf %one, %root : vector<16xf32>
      return %0 : vector<16xf32>
    }
    ```
    Scalars and vectors round alike, and so do all devices. Largest errors stand in the README of
    passes/. An op of the math dialect without an expansion is an error: nothing calls a C library.

    With `vector-bytes=64` (AVX-512) sixteen floats are multiplied by powers of two in one instruction,
    `vscalefps`, which gives the same bits.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
                           "::mlir::LLVM::LLVMDialect"];
  let options = [
    Option<"vectorBytes", "vector-bytes", "int64_t", /*default=*/"0",
           "bytes of the target CPU's widest vector register; 0: any device">,
  ];
}

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
