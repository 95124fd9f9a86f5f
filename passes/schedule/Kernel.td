//===- Kernel.td - how kernels run: the dialect of stages `schedule`, `plan` and `loops` ---------------===//
#ifndef INGOT_KERNEL
#define INGOT_KERNEL

include "mlir/IR/OpBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Kernel_Dialect : Dialect {
  let name = "kernel";
  let cppNamespace = "::ingot::kernel";
  let summary = "How a kernel runs on a target, and the calls of kernels on places in memory";
  let description = [{
    | attribute | on | written by | read by |
    |---|---|---|---|
    | `graph.kernel` | a kernel: its root | form-kernels | schedule-kernels, profiles |
    | `graph.ops` | a kernel: names of the model's nodes | form-kernels | profiles, errors |
    | `graph.copy` | a kernel: its result is its operand, in memory of its own | form-kernels | plan-memory |
    | `graph.tuned` | a kernel: sizes that `ingot tune` chose | choose-blocks | schedule-kernels |
    | `kernel.layout` | a parameter of an entry function: how it lies in memory, packed | pack-weights | plan-memory |
    | `kernel.threads` | an emitted launch of a GPU: threads of a block | lower-kernels | the code's passes |
    | `kernel.rounds` | an emitted launch whose roundings of f32 to bf16 are instructions of the target | lower-kernels | expand-math |
    | `kernel.schedule` | a kernel: all below | schedule-kernels | plan-memory, lower-kernels, the program |
  }];
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
}

class Kernel_Enum<string name, string what, list<I32EnumCase> cases> : I32Enum<name, what, cases> {
  let cppNamespace = "::ingot::kernel";
}

def Kernel_Access : Kernel_Enum<"Access", "what a kernel does with the memory of an argument",
    [I32EnumCase<"Read", 0, "read">, I32EnumCase<"Write", 1, "write">, I32EnumCase<"Update", 2, "update">]>;

def Kernel_Sharing : Kernel_Enum<"Sharing", "how far a result may overwrite an operand that lies in its place",
    [I32EnumCase<"None", 0, "none">, I32EnumCase<"SamePoint", 1, "same_point">,
     I32EnumCase<"SameRow", 2, "same_row">]>;

def Kernel_Pair : AttrDef<Kernel_Dialect, "Pair"> {
  let mnemonic = "pair";
  let summary = "A result that may lie where an operand lies";
  let description = [{
    `same_point`: no element of the operand is read after the same element of the result is written.
    `same_row of N`: in rows of N elements, what is read of a row of the operand is read before anything of
    the same row of the result is written, or right before the same element is. A pair that a schedule
    does not list shares nothing.
  }];
  let parameters = (ins "unsigned":$result, "unsigned":$operand, "::ingot::kernel::Sharing":$sharing,
                        "int64_t":$row);
  let hasCustomAssemblyFormat = 1;
}

def Kernel_Launch : AttrDef<Kernel_Dialect, "Launch"> {
  let mnemonic = "launch";
  let summary = "One launch: independent grains of one kind of loops";
  let description = [{
    `kind` names the target's loops, `sizes` what they were decided to be: each an integer or a list of
    them, all of those that the kind has (the target's emitter refuses what is missing or unknown). `flops` and
    `bytes` are those of all grains.
  }];
  let parameters = (ins "::mlir::StringAttr":$kind, "int64_t":$grains, "int64_t":$flops, "int64_t":$bytes,
                        "::mlir::DictionaryAttr":$sizes);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Kernel_Schedule : AttrDef<Kernel_Dialect, "Schedule"> {
  let mnemonic = "schedule";
  let summary = "How a kernel runs: all that memory planning, emission and the runtime must agree on";
  let description = [{
    `arguments`: the access to each operand, then to each result. `sharing`: see pair. `scratch`: bytes
    that each worker needs for itself. `launch_scratch`: bytes that all launches of a call share.
    Launches run in order, each after all of the one before.

    ```mlir
    func.func private @twice(%x: tensor<8xf32>) -> tensor<8xf32> attributes {
        graph.kernel = "elementwise",
        kernel.schedule = #kernel.schedule<
            arguments = [read, write], sharing = [0 with 0 same_point], scratch = 0, launch_scratch = 0,
            launches = [pointwise grains 1 flops 8 bytes 64 sizes (chunk = 64, inner = 8, outer = 1, rows = 0, unroll = 1)]>}
    ```
  }];
  let parameters = (ins ArrayRefParameter<"::ingot::kernel::Access">:$arguments,
                        ArrayRefParameter<"::ingot::kernel::PairAttr">:$sharing,
                        "int64_t":$scratch, "int64_t":$launchScratch,
                        ArrayRefParameter<"::ingot::kernel::LaunchAttr">:$launches);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// How result `result` may lie where operand `operand` lies.
    Sharing sharingOf(unsigned result, unsigned operand) const;
    /// Operands of the kernel; results follow.
    unsigned operandCount() const;
    /// Of all launches.
    int64_t flops() const;
    int64_t bytes() const;
  }];
}

def Kernel_Panels : AttrDef<Kernel_Dialect, "Panels"> {
  let mnemonic = "panels";
  let summary = "How a packed tensor lies in memory";
  let description = [{
    The tensor's elements are `matrices` x `rows` x `depth` of them, or without `depth_last` `matrices` x `depth`
    x `rows`. In memory each matrix is cut into panels of 16 rows that lie side by side at each depth
    (runtime/program/Layout.h).

    ```mlir
    func.func private @product(%w: tensor<1056xf32>) -> tensor<20x33xf32> {
      %0 = kernel.unpack %w #kernel.panels<tensor<20x33xf32>, matrices = 1, rows = 20, depth = 33, depth_last = true>
          : tensor<1056xf32> -> tensor<20x33xf32>
      return %0 : tensor<20x33xf32>
    }
    ```
  }];
  let parameters = (ins "::mlir::RankedTensorType":$tensor, "int64_t":$matrices, "int64_t":$rows,
                        "int64_t":$depth, "bool":$depthLast);
  let assemblyFormat = [{
    `<` $tensor `,` `matrices` `=` $matrices `,` `rows` `=` $rows `,` `depth` `=` $depth `,`
    `depth_last` `=` $depthLast `>`
  }];
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    Layout layout() const { return {getMatrices(), getRows(), getDepth(), getDepthLast()}; }
    /// What holds the tensor packed.
    ::mlir::RankedTensorType memory() const;
  }];
}

def Kernel_UnpackOp : Op<Kernel_Dialect, "unpack", [Pure]> {
  let summary = "The tensor that an operand of a kernel holds packed";
  let description = [{
    1. The operand is memory of the layout, the result its tensor.
  }];
  let arguments = (ins AnyRankedTensor:$packed, Kernel_Panels:$layout);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$packed $layout attr-dict `:` type($packed) `->` type($result)";
  let hasVerifier = 1;
}

def Kernel_CallOp : Op<Kernel_Dialect, "call", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Runs all launches of a kernel on places in the arena";
  let description = [{
    From stage `plan` on. The arguments are memory for the kernel's operands and results, in this order,
    and for its launch scratch where it has some. With `moving` argument i lies as many bytes further as
    the number of the innermost loop's iteration says.

    1. The kernel is a function of the module with a schedule.
    2. The arguments are memory of the types of its operands and results, then of its launch scratch.
    3. Arguments move in a loop alone, and `moving` has an entry for each.

    ```mlir
    kernel.call @twice(%x, %y) moving [32, 0] : memref<8xf32>, memref<8xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<AnyMemRef>:$arguments,
                       OptionalAttr<DenseI64ArrayAttr>:$moving);
  let assemblyFormat = "$kernel `(` $arguments `)` (`moving` $moving^)? attr-dict `:` type($arguments)";
  let hasVerifier = 1;
}

def Kernel_LoopOp : Op<Kernel_Dialect, "loop",
    [SingleBlock, NoTerminator, NoRegionArguments, AttrSizedOperandSegments]> {
  let summary = "Runs its body `trips` times";
  let description = [{
    From stage `plan` on. `count` holds how many times, then at most `trips`, and is read when the loop
    begins. `counter` is where the body finds its iteration's number: from 0 on, with `reverse` down to 0.

    1. `trips` is not negative; `count` and `counter` are an i64.

    ```mlir
    kernel.loop 5 counter (%i : memref<i64>) {
      kernel.call @twice(%x, %y) moving [32, 0] : memref<8xf32>, memref<8xf32>
    }
    ```
  }];
  let arguments = (ins I64Attr:$trips, Optional<AnyMemRef>:$count, Optional<AnyMemRef>:$counter,
                       UnitAttr:$reverse);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $trips (`count` `(` $count^ `:` type($count) `)`)? (`counter` `(` $counter^ `:` type($counter) `)`)?
    (`reverse` $reverse^)? attr-dict-with-keyword $body
  }];
  let hasVerifier = 1;
}

def Kernel_IfOp : Op<Kernel_Dialect, "if", [SingleBlock, NoTerminator, NoRegionArguments]> {
  let summary = "Runs one of two bodies, chosen by an i1 in memory";
  let description = [{
    From stage `plan` on.

    ```mlir
    kernel.if %c : memref<i8> {
      kernel.call @twice(%x, %y) : memref<8xf32>, memref<8xf32>
    } else {
    }
    ```
  }];
  let arguments = (ins AnyMemRef:$condition);
  let regions = (region SizedRegion<1>:$thenBody, SizedRegion<1>:$elseBody);
  let assemblyFormat = "$condition `:` type($condition) attr-dict-with-keyword $thenBody `else` $elseBody";
}

#endif
