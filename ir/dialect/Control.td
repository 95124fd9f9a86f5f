//===- Control.td - control flow, and the ops of stages `kernels` and later ----------------------===//
#ifndef INGOT_IR_CONTROL
#define INGOT_IR_CONTROL

include "ir/dialect/KernelOp.td"

//===--------------------------------------------------------------------------------------------===//
// Control flow
//===--------------------------------------------------------------------------------------------===//

def Graph_LoopOp : Graph_Op<"loop", [RecursiveMemoryEffects, SingleBlock, Graph_Kernel<>]> {
  let summary = "Runs its body trip_count times with carried values; further yields are stacked";
  let description = [{
    The body takes the iteration's number and the carried values; it yields the carried values, then any
    number of values that are stacked along a new leading dimension, each at its iteration's number.
    Numbers run from 0 to trip_count - 1, with `reverse` from there to 0. No more iterations run than
    `at_most` says, nor than a stacked result has room for: a larger trip count is an error. Where fewer
    run, the rest of a stacked result is zero.

    1. The body takes the iteration number, of the trip count's type, and the carried values.
    2. The body yields one value per result: first the carried ones.
    3. A carried value has one type throughout.
    4. A stacked result has the yielded tensor's type with a leading dimension.
    5. `at_most` is not negative.

    ```mlir
    func.func @loop(%n: tensor<i64>, %x: tensor<4xf32>) -> (tensor<4xf32>, tensor<?x4xf32>) {
      %y, %all = graph.loop %n carry (%x : tensor<4xf32>) : tensor<i64> -> (tensor<4xf32>, tensor<?x4xf32>) {
      ^bb0(%i: tensor<i64>, %v: tensor<4xf32>):
        %w = graph.add %v, %v : tensor<4xf32>
        graph.yield %w, %v : tensor<4xf32>, tensor<4xf32>
      }
      return %y, %all : tensor<4xf32>, tensor<?x4xf32>
    }
    ```
  }];
  let arguments = (ins Graph_IntScalar:$trip_count, Variadic<Graph_Value>:$carried,
                       OptionalAttr<I64Attr>:$at_most, UnitAttr:$reverse);
  let results = (outs Variadic<Graph_Value>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $trip_count (`at_most` $at_most^)? (`reverse` $reverse^)? (`carry` `(` $carried^ `:` type($carried) `)`)?
    attr-dict `:` type($trip_count) (`->` `(` type($results)^ `)`)? $body
  }];
  let builders = [OpBuilder<(ins "::mlir::TypeRange":$results, "::mlir::Value":$tripCount,
                                 "::mlir::ValueRange":$carried),
                            [{ build($_builder, $_state, results, tripCount, carried, ::mlir::IntegerAttr(),
                                     ::mlir::UnitAttr()); }]>];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Value getCounter() { return getBody().getArgument(0); }
    /// The body's arguments that hold carried values.
    ::llvm::ArrayRef<::mlir::BlockArgument> getCarriedArguments() {
      return getBody().getArguments().drop_front();
    }
    /// How many iterations run, where that is a constant.
    std::optional<int64_t> getConstantTripCount();
    /// How many iterations run at most; none if nothing says so.
    std::optional<int64_t> getMostTrips();
    /// What the body yields.
    ::mlir::OperandRange getYielded() { return getBody().front().getTerminator()->getOperands(); }
  }];
}

def Graph_IfOp : Graph_Op<"if", [RecursiveMemoryEffects, SingleBlock, NoRegionArguments, Graph_Kernel<>]> {
  let summary = "Runs one of two regions, chosen by an i1 scalar";
  let description = [{
    1. `condition` is a scalar.
    2. Both regions yield the result types.

    ```mlir
    func.func @if(%c: tensor<i1>, %x: tensor<4xf32>) -> tensor<4xf32> {
      %y = graph.if %c : tensor<i1> -> (tensor<4xf32>) {
        %n = graph.neg %x : tensor<4xf32>
        graph.yield %n : tensor<4xf32>
      } else {
        graph.yield %x : tensor<4xf32>
      }
      return %y : tensor<4xf32>
    }
    ```
  }];
  let arguments = (ins Graph_BoolTensor:$condition);
  let results = (outs Variadic<Graph_Value>:$results);
  let regions = (region SizedRegion<1>:$thenRegion, SizedRegion<1>:$elseRegion);
  let assemblyFormat = [{
    $condition attr-dict `:` type($condition) (`->` `(` type($results)^ `)`)? $thenRegion `else` $elseRegion
  }];
  let hasVerifier = 1;
}

def Graph_YieldOp : Graph_Op<"yield", [Pure, ReturnLike, Terminator,
    ParentOneOf<["LoopOp", "IfOp", "UpdateOp", "CombineOp"]>]> {
  let summary = "Ends a region of loop, if, update or combine with its values";
  let description = [{
    ```mlir
    func.func @yield(%c: tensor<i1>, %x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
      %z = graph.if %c : tensor<i1> -> (tensor<4xf32>) {
        graph.yield %x : tensor<4xf32>
      } else {
        graph.yield %y : tensor<4xf32>
      }
      return %z : tensor<4xf32>
    }
    ```
  }];
  let arguments = (ins Variadic<AnyType>:$operands);
  let assemblyFormat = "($operands^ `:` type($operands))? attr-dict";
}

//===--------------------------------------------------------------------------------------------===//
// Storage and launches: stages `kernels` and later
//===--------------------------------------------------------------------------------------------===//

def Graph_BucketOp : Graph_InferredOp<"bucket"> {
  let summary = "Tensors laid end to end, each padded to 32 elements and 64 bytes: storage, not a copy";
  let description = [{
    From stage `kernels` on. The planner places the operands inside the result's buffer.

    1. There is at least one tensor.
    2. The tensors have static shapes and one element type.

    ```mlir
    func.func @bucket(%x: tensor<4x8xf32>, %y: tensor<3xf32>) -> tensor<64xf32> {
      %b = graph.bucket %x, %y : tensor<4x8xf32>, tensor<3xf32> -> tensor<64xf32>
      return %b : tensor<64xf32>
    }
    ```
  }];
  let arguments = (ins Variadic<Graph_Tensor>:$operands);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operands attr-dict `:` type($operands) `->` type($result)";
}

def Graph_UnbucketOp : Graph_FoldedOp<"unbucket"> {
  let summary = "The tensors of a bucket, as views of its storage";
  let description = [{
    The inverse of bucket.

    1. The operand is the bucket of the results.

    ```mlir
    func.func @unbucket(%b: tensor<64xf32>) -> (tensor<4x8xf32>, tensor<3xf32>) {
      %x, %y = graph.unbucket %b : tensor<64xf32> -> tensor<4x8xf32>, tensor<3xf32>
      return %x, %y : tensor<4x8xf32>, tensor<3xf32>
    }
    ```
  }];
  let arguments = (ins Graph_Tensor:$operand);
  let results = (outs Variadic<Graph_Tensor>:$results);
  let assemblyFormat = "$operand attr-dict `:` type($operand) `->` type($results)";
  let hasVerifier = 1;
}

def Graph_AfterOp : Graph_PureOp<"after", [AllTypesMatch<["operand", "result"]>, Graph_Kernel<>]> {
  let summary = "The operand, but not before other tensors are computed: order, not a copy";
  let description = [{
    At stage `linalg`. What reads the result runs in no kernel before those of `tokens` (with `apart`:
    only in kernels behind them), and is not the same computation as one that reads the operand. So
    values are recomputed late, and large ones one after the other.

    ```mlir
    func.func @after(%x: tensor<4xf32>, %late: tensor<8xf32>) -> tensor<4xf32> {
      %y = graph.after %x, %late apart : tensor<4xf32>, tensor<8xf32>
      return %y : tensor<4xf32>
    }
    ```
  }];
  let arguments = (ins Graph_Tensor:$operand, Variadic<Graph_Tensor>:$tokens, UnitAttr:$apart);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand `,` $tokens (`apart` $apart^)? attr-dict `:` type($operand) `,` type($tokens)";
}

#endif
