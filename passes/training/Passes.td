//===- training/Passes.td - stage graph to stage train ------------------------------------------===//
#ifndef INGOT_PASSES_TRAINING
#define INGOT_PASSES_TRAINING

include "mlir/Pass/PassBase.td"

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
    changes nothing then. Rates and decays of groups are scalars of their updates. A row of the table that needs norms,
    means or products of a whole parameter (LAMB, Adafactor, Muon's matrices) computes them by graph ops before the
    update, which is that parameter's alone then and takes them as scalars or tensors. With `skip-non-finite` or `return-gradients`,
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
    Option<"momentum", "momentum", "double", "0.0", "SGD's, RMSprop's and Muon's">,
    Option<"dampening", "dampening", "double", "0.0", "SGD's">,
    Option<"nesterov", "nesterov", "bool", "false", "SGD's">,
    Option<"alpha", "alpha", "double", "0.99", "RMSprop's">,
    Option<"centered", "centered", "bool", "false", "RMSprop's">,
    Option<"rho", "rho", "double", "0.9", "Adadelta's">,
    Option<"rateDecay", "rate-decay", "double", "0.0", "Adagrad's">,
    Option<"momentumDecay", "momentum-decay", "double", "4e-3", "NAdam's">,
    Option<"beta2Decay", "beta2-decay", "double", "-0.8", "Adafactor's">,
    Option<"leastScale", "least-scale", "double", "1e-3", "Adafactor's">,
    Option<"updateLimit", "update-limit", "double", "1.0", "Adafactor's">,
    Option<"matchRms", "match-rms", "bool", "false", "Muon's">,
    Option<"clip", "clip", "double", "0.0", "largest global gradient norm; 0: off">,
    Option<"accumulate", "accumulate", "int", "1", "micro-batches a step">,
    Option<"skipNonFinite", "skip-non-finite", "bool", "false",
           "a step whose loss or gradient norm is not finite changes nothing">,
    Option<"returnGradients", "return-gradients", "bool", "false", "return every gradient">,
    Option<"watch", "watch", "bool", "false", "say where gradients are not finite or too large to be squared">,
    ListOption<"groups", "groups", "std::string",
               "parameters trained otherwise: `<regular expression>;frozen` or `…;<rate factor>;<weight decay>`, "
               "with `;adamw` after it Muon's matrices as AdamW trains them">];
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

def KeepRounded : Pass<"keep-rounded", "::mlir::ModuleOp"> {
  let summary = "Keeps parameters that are read in bf16 in bf16, too";
  let description = [{
    Where @step casts an f32 parameter to bf16, its functions take the rounding as an argument of role `derived`
    instead. The update that writes the parameter also writes what it becomes, rounded (`rounded` of graph.update); a
    parameter that is not trained keeps its rounding. Whatever else writes parameters (@init, a checkpoint) is followed by
    @derive, which computes all roundings. Every value is the one that it was: a rounding is computed of the same
    parameter, at another time. Contractions read half the bytes, and factors that a GPU's copy engine can fetch.
    ```mlir --keep-rounded
    func.func @step(%w: tensor<8x4xf32> {graph.name = "w", graph.role = "parameter", graph.donated = 0},
                    %x: tensor<2x4xbf16> {graph.name = "x", graph.role = "input"},
                    %dw: tensor<8x4xf32> {graph.name = "dw", graph.role = "input"})
        -> (tensor<8x4xf32> {graph.name = "w", graph.role = "parameter"}, tensor<2x8xf32> {graph.name = "y"}) {
      %narrow = graph.cast %w : tensor<8x4xf32> -> tensor<8x4xbf16>
      %y = graph.linear %x, %narrow : tensor<2x4xbf16>, tensor<8x4xbf16> -> tensor<2x8xf32>
      %after = graph.update(%w) gradients(%dw) state() scalars() : tensor<8x4xf32>, tensor<8x4xf32> -> tensor<8x4xf32> {
      ^bb0(%parameter: tensor<f32>, %gradient: tensor<f32>):
        %next = graph.sub %parameter, %gradient : tensor<f32>
        graph.yield %next : tensor<f32>
      }
      return %after, %y : tensor<8x4xf32>, tensor<2x8xf32>
    }
    ```
    becomes
    ```mlir
    func.func @step(%arg0: tensor<8x4xf32> {graph.donated = 0 : i64, graph.name = "w", graph.role = "parameter"},
                    %arg1: tensor<8x4xbf16> {graph.donated = 2 : i64, graph.name = "rounded.w", graph.role = "derived"},
                    %arg2: tensor<2x4xbf16> {graph.name = "x", graph.role = "input"},
                    %arg3: tensor<8x4xf32> {graph.name = "dw", graph.role = "input"})
        -> (tensor<8x4xf32> {graph.name = "w", graph.role = "parameter"}, tensor<2x8xf32> {graph.name = "y"},
            tensor<8x4xbf16> {graph.name = "rounded.w", graph.role = "derived"}) {
      %0 = graph.linear %arg2, %arg1 : tensor<2x4xbf16>, tensor<8x4xbf16> -> tensor<2x8xf32>
      %updated, %rounded = graph.update(%arg0) gradients(%arg3) state() scalars() : tensor<8x4xf32>, tensor<8x4xf32> -> tensor<8x4xf32> rounded tensor<8x4xbf16> {
      ^bb0(%arg4: tensor<f32>, %arg5: tensor<f32>):
        %1 = graph.sub %arg4, %arg5 : tensor<f32>
        graph.yield %1 : tensor<f32>
      }
      return %updated, %0, %rounded : tensor<8x4xf32>, tensor<2x8xf32>, tensor<8x4xbf16>
    }
    func.func @derive(%arg0: tensor<8x4xf32> {graph.name = "w", graph.role = "parameter"})
        -> (tensor<8x4xbf16> {graph.name = "rounded.w", graph.role = "derived"}) {
      %0 = graph.cast %arg0 : tensor<8x4xf32> -> tensor<8x4xbf16>
      return %0 : tensor<8x4xbf16>
    }
    ```
  }];
  let dependentDialects = ["::ingot::graph::GraphDialect", "::mlir::func::FuncDialect"];
}

#endif
