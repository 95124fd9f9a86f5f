//===- math/Passes.td - elementary functions ----------------------------------------------------===//
#ifndef INGOT_PASSES_MATH
#define INGOT_PASSES_MATH

include "mlir/Pass/PassBase.td"

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
    `vscalefps`, which gives the same bits. In functions with `kernel.rounds`, `arith.truncf` from f32 to bf16 stays:
    the target rounds in one instruction, which gives the same bits but for NaN.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
                           "::mlir::LLVM::LLVMDialect"];
  let options = [
    Option<"vectorBytes", "vector-bytes", "int64_t", /*default=*/"0",
           "bytes of the target CPU's widest vector register; 0: any device">,
  ];
}

#endif
