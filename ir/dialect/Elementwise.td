//===- Elementwise.td - constants, counters, random numbers and ops on each element alone --------===//
#ifndef INGOT_IR_ELEMENTWISE
#define INGOT_IR_ELEMENTWISE

include "ir/dialect/Base.td"

//===--------------------------------------------------------------------------------------------===//
// Sources
//===--------------------------------------------------------------------------------------------===//

def Graph_ConstantOp : Graph_PureOp<"constant", [ConstantLike, AllTypesMatch<["value", "result"]>]> {
  let summary = "A tensor known at compile time";
  let description = [{
    ```mlir
    func.func @constant() -> tensor<2x2xf32> {
      %c = graph.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
      return %c : tensor<2x2xf32>
    }
    ```
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "attr-dict $value";
  let hasFolder = 1;
}

def Graph_IotaOp : Graph_PureOp<"iota"> {
  let summary = "Counts 0, 1, 2, … along one dimension";
  let description = [{
    result[…, i, …] = i, where i stands in `dimension`. Counts that the type cannot hold round or wrap.

    1. `dimension` is one of the result's.

    ```mlir
    func.func @iota() -> tensor<2x3xi32> {
      %columns = graph.iota 1 : tensor<2x3xi32>  // [[0, 1, 2], [0, 1, 2]]
      return %columns : tensor<2x3xi32>
    }
    ```
  }];
  let arguments = (ins I64Attr:$dimension);
  let results = (outs Graph_NumberTensor:$result);
  let assemblyFormat = "$dimension attr-dict `:` type($result)";
  let hasVerifier = 1;
}

class Graph_RandomOp<string mnemonic, string numbers> : Graph_PureOp<mnemonic> {
  let description = numbers # [{

Philox 4x32-10: the key is `seed` (low, high word); the counter is (e / 4 low word, e / 4 high word,
`step` mod 2^32, `id`) for element e in row-major order, which takes word e mod 4 of the four. ir/dialect/Random.h
has the algorithm and its constants: numbers are the same bits on every device and for every thread count.

1. `id` is in [0, 2^32); ops of one function that should differ have different ids.

```mlir
func.func @}] # mnemonic # [{(%seed: tensor<i64>, %step: tensor<i64>) -> tensor<4x8xf32> {
  %r = graph.}] # mnemonic # [{ %seed, %step id 7 : tensor<i64>, tensor<i64> -> tensor<4x8xf32>
  return %r : tensor<4x8xf32>
}
```}];
  let arguments = (ins Graph_IntScalar:$seed, Graph_IntScalar:$step, I64Attr:$id);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = "$seed `,` $step `id` $id attr-dict `:` type($seed) `,` type($step) `->` type($result)";
  let hasVerifier = 1;
}

def Graph_RandomUniformOp : Graph_RandomOp<"random_uniform",
    "The p high bits of the element's word times 2^-p, p being the type's significant bits, at most 32: exact."> {
  let summary = "Uniform numbers in [0, 1)";
}

def Graph_RandomNormalOp : Graph_RandomOp<"random_normal",
    "The normal distribution's inverse at the element's word by fixed f32 polynomials, then converted."> {
  let summary = "Standard normal numbers";
}

//===--------------------------------------------------------------------------------------------===//
// One operand
//===--------------------------------------------------------------------------------------------===//

class Graph_UnaryOp<string mnemonic, Type type, string what, string semantics,
                    list<Trait> traits = [], string element = "f32">
    : Graph_FoldedOp<mnemonic, !listconcat([SameOperandsAndResultType, Elementwise], traits)> {
  let summary = what;
  let description = semantics # [{

```mlir
func.func @}] # mnemonic # "(%x: tensor<4x8x" # element # ">) -> tensor<4x8x" # element # [{> {
  %y = graph.}] # mnemonic # " %x : tensor<4x8x" # element # [{>
  return %y : tensor<4x8x}] # element # [{>
}
```}];
  let arguments = (ins type:$operand);
  let results = (outs type:$result);
  let assemblyFormat = "$operand attr-dict `:` type($result)";
}

class Graph_UnaryFloat<string mnemonic, string what, string semantics, list<Trait> traits = []>
    : Graph_UnaryOp<mnemonic, Graph_FloatTensor, what, semantics, traits>;

def Graph_NegOp : Graph_UnaryOp<"neg", Graph_NumberTensor, "Negation -x", "Flips the sign; integers wrap.", [Involution]>;
def Graph_AbsOp : Graph_UnaryOp<"abs", Graph_NumberTensor, "Magnitude |x|", "The lowest integer wraps to itself.", [Idempotent]>;
def Graph_SignOp : Graph_UnaryOp<"sign", Graph_NumberTensor, "Sign: -1, 0 or 1", "NaN stays NaN.", [Idempotent]>;
def Graph_ExpOp : Graph_UnaryFloat<"exp", "Exponential e^x", "Overflows to infinity; exp(-inf) = 0.">;
def Graph_LogOp : Graph_UnaryFloat<"log", "Natural logarithm", "log(0) = -inf; NaN below 0.">;
def Graph_Expm1Op : Graph_UnaryFloat<"expm1", "e^x - 1", "Accurate near 0, where e^x rounds to 1.">;
def Graph_Log1pOp : Graph_UnaryFloat<"log1p", "Natural logarithm of 1 + x", "Accurate near 0; -inf at -1, NaN below.">;
def Graph_SqrtOp : Graph_UnaryFloat<"sqrt", "Square root", "Correctly rounded; NaN below 0.">;
def Graph_RsqrtOp : Graph_UnaryFloat<"rsqrt", "Reciprocal square root 1/√x", "Infinity at 0; NaN below.">;
def Graph_ReciprocalOp : Graph_UnaryFloat<"reciprocal", "Reciprocal 1/x", "Infinity of x's sign at 0.">;
def Graph_TanhOp : Graph_UnaryFloat<"tanh", "Hyperbolic tangent", "(e^x - e^-x)/(e^x + e^-x).">;
def Graph_ErfOp : Graph_UnaryFloat<"erf", "Error function", "2/√π · ∫₀ˣ e^(-t²) dt.">;
def Graph_SinOp : Graph_UnaryFloat<"sin", "Sine", "x in radians; NaN at infinity.">;
def Graph_CosOp : Graph_UnaryFloat<"cos", "Cosine", "x in radians; NaN at infinity.">;
def Graph_AtanOp : Graph_UnaryFloat<"atan", "Arc tangent", "In radians, between -π/2 and π/2.">;
def Graph_SigmoidOp : Graph_UnaryFloat<"sigmoid", "Logistic function", "1/(1 + e^-x).">;
def Graph_FloorOp : Graph_UnaryFloat<"floor", "Largest integer not above x", "Infinities and NaN stay.", [Idempotent]>;
def Graph_CeilOp : Graph_UnaryFloat<"ceil", "Smallest integer not below x", "Infinities and NaN stay.", [Idempotent]>;
def Graph_RoundOp : Graph_UnaryFloat<"round", "Nearest integer, ties to even", "Infinities and NaN stay.", [Idempotent]>;
def Graph_ReluOp : Graph_UnaryOp<"relu", Graph_NumberTensor, "Rectifier max(x, 0)", "The derivative at 0 is 0; NaN stays NaN.", [Idempotent]>;
def Graph_NotOp : Graph_UnaryOp<"not", Graph_BitsTensor, "Bitwise complement", "Flips every bit of the type.", [Involution], "i1">;

def Graph_CastOp : Graph_FoldedOp<"cast", [SameOperandsAndResultShape, Elementwise]> {
  let summary = "Converts the element type";
  let description = [{
    To a float: rounded to nearest, ties to even; beyond its range infinity, or NaN where the type has no
    infinity (f8E4M3FN). Float to integer: towards zero, saturated at the type's limits, NaN gives 0.
    Integer to integer: wraps. To i1: whether x is not 0; from i1: 0 or 1.

    ```mlir
    func.func @cast(%x: tensor<4x8xf32>) -> tensor<4x8xbf16> {
      %y = graph.cast %x : tensor<4x8xf32> -> tensor<4x8xbf16>
      return %y : tensor<4x8xbf16>
    }
    ```
  }];
  let arguments = (ins Graph_Tensor:$operand);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand attr-dict `:` type($operand) `->` type($result)";
  let hasFolder = 1;
}

//===--------------------------------------------------------------------------------------------===//
// Two and three operands
//===--------------------------------------------------------------------------------------------===//

class Graph_BinaryOp<string mnemonic, Type type, string what, string semantics,
                     list<Trait> traits = [], string element = "f32">
    : Graph_FoldedOp<mnemonic, !listconcat([SameOperandsAndResultType, Elementwise], traits)> {
  let summary = what;
  let description = semantics # [{

```mlir
func.func @}] # mnemonic # "(%x: tensor<4x8x" # element # ">, %y: tensor<4x8x" # element # ">) -> tensor<4x8x" # element # [{> {
  %z = graph.}] # mnemonic # " %x, %y : tensor<4x8x" # element # [{>
  return %z : tensor<4x8x}] # element # [{>
}
```}];
  let arguments = (ins type:$lhs, type:$rhs);
  let results = (outs type:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($result)";
}

def Graph_AddOp : Graph_BinaryOp<"add", Graph_NumberTensor, "Sum x + y", "Integers wrap.", [Commutative]> {
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}
def Graph_SubOp : Graph_BinaryOp<"sub", Graph_NumberTensor, "Difference x - y", "Integers wrap."> { let hasFolder = 1; }
def Graph_MulOp : Graph_BinaryOp<"mul", Graph_NumberTensor, "Product x · y", "Integers wrap.", [Commutative]> { let hasFolder = 1; }
def Graph_DivOp : Graph_BinaryOp<"div", Graph_NumberTensor, "Quotient x / y",
    "Integers round towards zero; an integer divided by zero is an error that ends the run."> {
  let hasFolder = 1;
}
def Graph_RemainderOp : Graph_BinaryOp<"remainder", Graph_NumberTensor, "Remainder x - y·trunc(x/y)",
    "Exact; has the sign of x. An integer's by zero is an error that ends the run.">;
def Graph_ModuloOp : Graph_BinaryOp<"modulo", Graph_NumberTensor, "Remainder x - y·floor(x/y)",
    "Has the sign of y; an integer's by zero is an error that ends the run.">;
def Graph_PowOp : Graph_BinaryOp<"pow", Graph_NumberTensor, "Power x^y", [{NaN for negative x unless y is an integer. Integers wrap;
their negative powers are 0, but those of 1 and -1 are 1 or -1.}]> {
  let hasFolder = 1;
}
def Graph_MaximumOp : Graph_BinaryOp<"maximum", Graph_NumberTensor, "The larger", "NaN if either is NaN.", [Commutative, Idempotent]>;
def Graph_MinimumOp : Graph_BinaryOp<"minimum", Graph_NumberTensor, "The smaller", "NaN if either is NaN.", [Commutative, Idempotent]>;
def Graph_AndOp : Graph_BinaryOp<"and", Graph_BitsTensor, "Bitwise and", "Logical on i1.", [Commutative, Idempotent], "i1"> { let hasFolder = 1; }
def Graph_OrOp : Graph_BinaryOp<"or", Graph_BitsTensor, "Bitwise or", "Logical on i1.", [Commutative, Idempotent], "i1"> { let hasFolder = 1; }
def Graph_XorOp : Graph_BinaryOp<"xor", Graph_BitsTensor, "Bitwise exclusive or", "Logical on i1.", [Commutative], "i1"> { let hasFolder = 1; }

def Graph_ShiftLeftOp : Graph_BinaryOp<"shift_left", Graph_IntegerTensor, "x · 2^y on bits",
    "Shifts in zeros. By the type's width or more, or by a negative number, 0.", [], "ui8">;
def Graph_ShiftRightOp : Graph_BinaryOp<"shift_right", Graph_IntegerTensor, "floor(x / 2^y) on bits",
    "Shifts in the sign, or zeros if unsigned. By the type's width or more, or by a negative number, nothing else is left.", [], "ui8">;

def Graph_CompareOp : Graph_InferredOp<"compare", [SameTypeOperands, Elementwise]> {
  let summary = "Compares element by element";
  let description = [{
    `direction` is `eq`, `ne`, `lt`, `le`, `gt` or `ge`. A comparison with NaN is false, but `ne` is true.

    ```mlir
    func.func @compare(%x: tensor<4x8xf32>, %y: tensor<4x8xf32>) -> tensor<4x8xi1> {
      %less = graph.compare lt %x, %y : tensor<4x8xf32> -> tensor<4x8xi1>
      return %less : tensor<4x8xi1>
    }
    ```
  }];
  let arguments = (ins Graph_ComparisonAttr:$direction, Graph_Tensor:$lhs, Graph_Tensor:$rhs);
  let results = (outs Graph_BoolTensor:$result);
  let assemblyFormat = "$direction $lhs `,` $rhs attr-dict `:` type($lhs) `->` type($result)";
}

def Graph_SelectOp : Graph_FoldedOp<"select",
    [AllTypesMatch<["onTrue", "onFalse", "result"]>, Elementwise]> {
  let summary = "Chooses element by element";
  let description = [{
    result = condition ? onTrue : onFalse. What is not chosen does not matter, NaN included.

    1. `condition` has the shape of the values.

    ```mlir
    func.func @select(%c: tensor<4xi1>, %x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
      %z = graph.select %c, %x, %y : tensor<4xi1>, tensor<4xf32>
      return %z : tensor<4xf32>
    }
    ```
  }];
  let arguments = (ins Graph_BoolTensor:$condition, Graph_Tensor:$onTrue, Graph_Tensor:$onFalse);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$condition `,` $onTrue `,` $onFalse attr-dict `:` type($condition) `,` type($result)";
  let hasFolder = 1;
}

#endif
