//===- Graph.td - the graph dialect ------------------------------------------------------------===//
//
// A model, its loss and its optimizer as pure operations on ranked tensors. Shapes are explicit:
// there is no implicit broadcasting, and `?` dimensions carry symbols (`graph.symbols` on function
// arguments). Everything above codegen is written in this dialect.
//
//===--------------------------------------------------------------------------------------------===//
#ifndef INGOT_IR_GRAPH
#define INGOT_IR_GRAPH

include "mlir/IR/OpBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Graph_Dialect : Dialect {
  let name = "graph";
  let cppNamespace = "::ingot::graph";
  let summary = "Models and training steps as operations on tensors";
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let hasConstantMaterializer = 1;
}

//===--------------------------------------------------------------------------------------------===//
// Types
//===--------------------------------------------------------------------------------------------===//

class Graph_Type<string name, string typeMnemonic> : TypeDef<Graph_Dialect, name> {
  let mnemonic = typeMnemonic;
}

def Graph_Sequence : Graph_Type<"Sequence", "sequence"> {
  let summary = "A sequence of values of one type; exists for import and is gone by stage `train`";
  let parameters = (ins "::mlir::Type":$elementType);
  let assemblyFormat = "`<` $elementType `>`";
}

def Graph_Optional : Graph_Type<"Optional", "optional"> {
  let summary = "A value that may be absent; exists for import and is gone by stage `train`";
  let parameters = (ins "::mlir::Type":$elementType);
  let assemblyFormat = "`<` $elementType `>`";
}

// Signedness is in the type: `i8` is signed, `ui8` unsigned. No op guesses.
def Graph_Float : AnyTypeOf<[F64, F32, F16, BF16, F8E4M3FN, F8E5M2]>;
def Graph_Signed : AnyTypeOf<[I64, I32, I16, I8, I<4>]>;
def Graph_Unsigned : AnyTypeOf<[UI64, UI32, UI16, UI8, UI<4>]>;
def Graph_Integer : AnyTypeOf<[Graph_Signed, Graph_Unsigned]>;
def Graph_Element : AnyTypeOf<[Graph_Float, Graph_Integer, I1]>;

def Graph_Tensor : RankedTensorOf<[Graph_Element]>;
def Graph_FloatTensor : RankedTensorOf<[Graph_Float]>;
def Graph_NumberTensor : RankedTensorOf<[Graph_Float, Graph_Integer]>;
def Graph_BitsTensor : RankedTensorOf<[Graph_Integer, I1]>;
def Graph_BoolTensor : RankedTensorOf<[I1]>;
def Graph_IndexTensor : RankedTensorOf<[I64, I32]>;
def Graph_FloatScalar : 0DTensorOf<[Graph_Float]>;
def Graph_IntScalar : 0DTensorOf<[I64, I32]>;
def Graph_Value : AnyTypeOf<[Graph_Tensor, Graph_Sequence, Graph_Optional]>;

//===--------------------------------------------------------------------------------------------===//
// Enumerations
//===--------------------------------------------------------------------------------------------===//

class Graph_Enum<string name, string what, list<I32EnumCase> cases> : I32Enum<name, what, cases> {
  let cppNamespace = "::ingot::graph";
}

def Graph_ReduceKind : Graph_Enum<"ReduceKind", "how a reduction combines elements",
    [I32EnumCase<"Sum", 0, "sum">, I32EnumCase<"Max", 1, "max">, I32EnumCase<"Min", 2, "min">,
     I32EnumCase<"Product", 3, "product">]>;
def Graph_ReduceKindAttr : EnumAttr<Graph_Dialect, Graph_ReduceKind, "reduce_kind">;

def Graph_Comparison : Graph_Enum<"Comparison", "an ordered comparison; NaN compares false but for ne",
    [I32EnumCase<"Eq", 0, "eq">, I32EnumCase<"Ne", 1, "ne">, I32EnumCase<"Lt", 2, "lt">,
     I32EnumCase<"Le", 3, "le">, I32EnumCase<"Gt", 4, "gt">, I32EnumCase<"Ge", 5, "ge">]>;
def Graph_ComparisonAttr : EnumAttr<Graph_Dialect, Graph_Comparison, "comparison">;

//===--------------------------------------------------------------------------------------------===//
// Interfaces
//===--------------------------------------------------------------------------------------------===//

def Graph_Composite : OpInterface<"Composite"> {
  let cppNamespace = "::ingot::graph";
  let description = [{
    An op that is defined by smaller graph ops. `decompose` is that definition, the only one:
    lowering, gradients without a rule of their own, and tests all use it.
  }];
  let methods = [InterfaceMethod<
    "Builds the definition before the builder's insertion point; returns the replacement values.",
    "::llvm::SmallVector<::mlir::Value>", "decompose", (ins "::mlir::OpBuilder &":$builder)>];
}

//===--------------------------------------------------------------------------------------------===//
// Op classes
//===--------------------------------------------------------------------------------------------===//

class Graph_Op<string mnemonic, list<Trait> traits = []> : Op<Graph_Dialect, mnemonic, traits>;

class Graph_PureOp<string mnemonic, list<Trait> traits = []>
    : Graph_Op<mnemonic, !listconcat([Pure], traits)>;

// Result types follow from operands and attributes (Shapes.cpp); the verifier compares them.
class Graph_InferredOp<string mnemonic, list<Trait> traits = []>
    : Graph_PureOp<mnemonic, !listconcat([InferTypeOpAdaptorWithIsCompatible], traits)>;

class Graph_UnaryOp<string mnemonic, Type type> : Graph_PureOp<mnemonic,
    [SameOperandsAndResultType, Elementwise]> {
  let arguments = (ins type:$operand);
  let results = (outs type:$result);
  let assemblyFormat = "$operand attr-dict `:` type($result)";
  let hasFolder = 1;
}

class Graph_BinaryOp<string mnemonic, Type type, list<Trait> traits = []> : Graph_PureOp<mnemonic,
    !listconcat([SameOperandsAndResultType, Elementwise], traits)> {
  let arguments = (ins type:$lhs, type:$rhs);
  let results = (outs type:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($result)";
  let hasFolder = 1;
}

//===--------------------------------------------------------------------------------------------===//
// Sources
//===--------------------------------------------------------------------------------------------===//

def Graph_ConstantOp : Graph_PureOp<"constant", [ConstantLike, AllTypesMatch<["value", "result"]>]> {
  let summary = "A tensor known at compile time";
  let arguments = (ins ElementsAttr:$value);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "attr-dict $value";
  let hasFolder = 1;
}

def Graph_IotaOp : Graph_PureOp<"iota"> {
  let summary = "Counts 0, 1, 2, … along one dimension";
  let arguments = (ins I64Attr:$dimension);
  let results = (outs Graph_NumberTensor:$result);
  let assemblyFormat = "$dimension attr-dict `:` type($result)";
  let hasVerifier = 1;
}

class Graph_RandomOp<string mnemonic, Type type> : Graph_PureOp<mnemonic> {
  let arguments = (ins Graph_IntScalar:$seed, Graph_IntScalar:$step, I64Attr:$id);
  let results = (outs type:$result);
  let assemblyFormat = "$seed `,` $step `id` $id attr-dict `:` type($seed) `,` type($step) `->` type($result)";
}

def Graph_RandomUniformOp : Graph_RandomOp<"random_uniform", Graph_FloatTensor> {
  let summary = "Uniform numbers in [0, 1) from Philox 4x32-10 with counter (seed, id, step, element)";
}

def Graph_RandomNormalOp : Graph_RandomOp<"random_normal", Graph_FloatTensor> {
  let summary = "Standard normal numbers from Philox 4x32-10 with counter (seed, id, step, element)";
}

//===--------------------------------------------------------------------------------------------===//
// Elementwise
//===--------------------------------------------------------------------------------------------===//

def Graph_NegOp : Graph_UnaryOp<"neg", Graph_NumberTensor> { let summary = "-x"; }
def Graph_AbsOp : Graph_UnaryOp<"abs", Graph_NumberTensor> { let summary = "|x|"; }
def Graph_SignOp : Graph_UnaryOp<"sign", Graph_NumberTensor> { let summary = "-1, 0 or 1; NaN stays NaN"; }
def Graph_ExpOp : Graph_UnaryOp<"exp", Graph_FloatTensor> { let summary = "e^x"; }
def Graph_LogOp : Graph_UnaryOp<"log", Graph_FloatTensor> { let summary = "natural logarithm"; }
def Graph_SqrtOp : Graph_UnaryOp<"sqrt", Graph_FloatTensor> { let summary = "square root, correctly rounded"; }
def Graph_RsqrtOp : Graph_UnaryOp<"rsqrt", Graph_FloatTensor> { let summary = "1/sqrt(x)"; }
def Graph_ReciprocalOp : Graph_UnaryOp<"reciprocal", Graph_FloatTensor> { let summary = "1/x"; }
def Graph_TanhOp : Graph_UnaryOp<"tanh", Graph_FloatTensor> { let summary = "hyperbolic tangent"; }
def Graph_ErfOp : Graph_UnaryOp<"erf", Graph_FloatTensor> { let summary = "error function"; }
def Graph_SinOp : Graph_UnaryOp<"sin", Graph_FloatTensor> { let summary = "sine"; }
def Graph_CosOp : Graph_UnaryOp<"cos", Graph_FloatTensor> { let summary = "cosine"; }
def Graph_SigmoidOp : Graph_UnaryOp<"sigmoid", Graph_FloatTensor> { let summary = "1/(1+e^-x)"; }
def Graph_FloorOp : Graph_UnaryOp<"floor", Graph_FloatTensor> { let summary = "largest integer not above x"; }
def Graph_CeilOp : Graph_UnaryOp<"ceil", Graph_FloatTensor> { let summary = "smallest integer not below x"; }
def Graph_ReluOp : Graph_UnaryOp<"relu", Graph_NumberTensor> { let summary = "max(x, 0); the derivative at 0 is 0"; }
def Graph_NotOp : Graph_UnaryOp<"not", Graph_BitsTensor> { let summary = "bitwise complement"; }

def Graph_AddOp : Graph_BinaryOp<"add", Graph_NumberTensor, [Commutative]> { let summary = "x + y; integers wrap"; let hasCanonicalizer = 1; }
def Graph_SubOp : Graph_BinaryOp<"sub", Graph_NumberTensor> { let summary = "x - y"; }
def Graph_MulOp : Graph_BinaryOp<"mul", Graph_NumberTensor, [Commutative]> { let summary = "x * y"; }
def Graph_DivOp : Graph_BinaryOp<"div", Graph_NumberTensor> { let summary = "x / y; integers round towards zero"; }
def Graph_RemainderOp : Graph_BinaryOp<"remainder", Graph_NumberTensor> { let summary = "x - y*trunc(x/y)"; }
def Graph_PowOp : Graph_BinaryOp<"pow", Graph_FloatTensor> { let summary = "x^y"; }
def Graph_MaximumOp : Graph_BinaryOp<"maximum", Graph_NumberTensor, [Commutative]> { let summary = "the larger; NaN if either is NaN"; }
def Graph_MinimumOp : Graph_BinaryOp<"minimum", Graph_NumberTensor, [Commutative]> { let summary = "the smaller; NaN if either is NaN"; }
def Graph_AndOp : Graph_BinaryOp<"and", Graph_BitsTensor, [Commutative]> { let summary = "bitwise and"; }
def Graph_OrOp : Graph_BinaryOp<"or", Graph_BitsTensor, [Commutative]> { let summary = "bitwise or"; }
def Graph_XorOp : Graph_BinaryOp<"xor", Graph_BitsTensor, [Commutative]> { let summary = "bitwise exclusive or"; }

def Graph_CompareOp : Graph_InferredOp<"compare", [SameTypeOperands, Elementwise]> {
  let summary = "Compares element by element";
  let arguments = (ins Graph_ComparisonAttr:$direction, Graph_Tensor:$lhs, Graph_Tensor:$rhs);
  let results = (outs Graph_BoolTensor:$result);
  let assemblyFormat = "$direction $lhs `,` $rhs attr-dict `:` type($lhs) `->` type($result)";
  let hasFolder = 1;
}

def Graph_SelectOp : Graph_PureOp<"select",
    [AllTypesMatch<["onTrue", "onFalse", "result"]>, Elementwise]> {
  let summary = "Chooses element by element";
  let arguments = (ins Graph_BoolTensor:$condition, Graph_Tensor:$onTrue, Graph_Tensor:$onFalse);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$condition `,` $onTrue `,` $onFalse attr-dict `:` type($condition) `,` type($result)";
  let hasFolder = 1;
  let hasVerifier = 1;
}

def Graph_CastOp : Graph_PureOp<"cast", [SameOperandsAndResultShape, Elementwise]> {
  let summary = "Converts the element type: to float rounds to nearest even, to integer towards zero";
  let arguments = (ins Graph_Tensor:$operand);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand attr-dict `:` type($operand) `->` type($result)";
  let hasFolder = 1;
}

//===--------------------------------------------------------------------------------------------===//
// Shape
//===--------------------------------------------------------------------------------------------===//

def Graph_ReshapeOp : Graph_PureOp<"reshape", [SameOperandsAndResultElementType]> {
  let summary = "The same elements in row-major order under another shape";
  let arguments = (ins Graph_Tensor:$operand);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand attr-dict `:` type($operand) `->` type($result)";
  let hasFolder = 1;
  let hasVerifier = 1;
}

def Graph_TransposeOp : Graph_InferredOp<"transpose"> {
  let summary = "Permutes dimensions: result dimension i is operand dimension permutation[i]";
  let arguments = (ins Graph_Tensor:$operand, DenseI64ArrayAttr:$permutation);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand $permutation attr-dict `:` type($operand) `->` type($result)";
  let hasFolder = 1;
}

def Graph_BroadcastOp : Graph_PureOp<"broadcast", [SameOperandsAndResultElementType]> {
  let summary = "Repeats along new dimensions: operand dimension i becomes result dimension dimensions[i]";
  let description = [{
    1. `dimensions` has one entry per operand dimension, strictly increasing.
    2. Operand dimension i equals result dimension `dimensions[i]`, or is 1 and is repeated.
  }];
  let arguments = (ins Graph_Tensor:$operand, DenseI64ArrayAttr:$dimensions);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand $dimensions attr-dict `:` type($operand) `->` type($result)";
  let hasFolder = 1;
  let hasVerifier = 1;
}

def Graph_SliceOp : Graph_InferredOp<"slice"> {
  let summary = "Elements offsets, offsets+strides, … below limits in every dimension";
  let arguments = (ins Graph_Tensor:$operand, DenseI64ArrayAttr:$offsets, DenseI64ArrayAttr:$limits,
                       DenseI64ArrayAttr:$strides);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operand $offsets `to` $limits `by` $strides attr-dict `:` type($operand) `->` type($result)";
  let hasFolder = 1;
}

def Graph_PadOp : Graph_InferredOp<"pad"> {
  let summary = "Surrounds a tensor with a scalar: low before, high after, interior between elements";
  let arguments = (ins Graph_Tensor:$operand, Graph_Tensor:$value, DenseI64ArrayAttr:$low,
                       DenseI64ArrayAttr:$high, DenseI64ArrayAttr:$interior);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = [{
    $operand `,` $value `low` $low `high` $high `interior` $interior attr-dict
    `:` type($operand) `,` type($value) `->` type($result)
  }];
}

def Graph_ConcatOp : Graph_InferredOp<"concat"> {
  let summary = "Joins tensors along one dimension";
  let arguments = (ins Variadic<Graph_Tensor>:$operands, I64Attr:$dimension);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operands `dimension` $dimension attr-dict `:` type($operands) `->` type($result)";
  let hasFolder = 1;
}

//===--------------------------------------------------------------------------------------------===//
// Reductions, contractions, indexing
//===--------------------------------------------------------------------------------------------===//

def Graph_ReduceOp : Graph_InferredOp<"reduce"> {
  let summary = "Combines the elements along dimensions, which the result no longer has";
  let arguments = (ins Graph_ReduceKindAttr:$kind, Graph_NumberTensor:$operand, DenseI64ArrayAttr:$dimensions);
  let results = (outs Graph_NumberTensor:$result);
  let assemblyFormat = "$kind $operand $dimensions attr-dict `:` type($operand) `->` type($result)";
}

def Graph_ContractOp : Graph_InferredOp<"contract"> {
  let summary = "General contraction: sums products over pairs of dimensions, batch dimensions aside";
  let description = [{
    result[b…, m…, n…] = Σ_k lhs[b…, m…, k…] · rhs[b…, n…, k…], dimensions in any order in the
    operands: result dimensions are the batch dimensions, then lhs's free ones, then rhs's.
    Sums accumulate in f32 for element types narrower than that.
  }];
  let arguments = (ins Graph_FloatTensor:$lhs, Graph_FloatTensor:$rhs,
                       DenseI64ArrayAttr:$lhs_batch, DenseI64ArrayAttr:$rhs_batch,
                       DenseI64ArrayAttr:$lhs_contract, DenseI64ArrayAttr:$rhs_contract);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = [{
    $lhs `,` $rhs `batch` $lhs_batch `x` $rhs_batch `over` $lhs_contract `x` $rhs_contract attr-dict
    `:` type($lhs) `,` type($rhs) `->` type($result)
  }];
}

def Graph_GatherOp : Graph_InferredOp<"gather"> {
  let summary = "Picks slices of a dimension by index: result[a…, i…, b…] = operand[a…, indices[i…], b…]";
  let description = "An index outside [0, size) is an error in the reference; compiled code clamps it.";
  let arguments = (ins Graph_Tensor:$operand, Graph_IndexTensor:$indices, I64Attr:$dimension);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = [{
    $operand `,` $indices `dimension` $dimension attr-dict
    `:` type($operand) `,` type($indices) `->` type($result)
  }];
}

def Graph_ScatterAddOp : Graph_PureOp<"scatter_add", [AllTypesMatch<["base", "result"]>]> {
  let summary = "Adds slices at indices: base[a…, indices[i…], b…] += updates[a…, i…, b…], in order of i";
  let arguments = (ins Graph_NumberTensor:$base, Graph_IndexTensor:$indices, Graph_NumberTensor:$updates,
                       I64Attr:$dimension);
  let results = (outs Graph_NumberTensor:$result);
  let assemblyFormat = [{
    $base `,` $indices `,` $updates `dimension` $dimension attr-dict
    `:` type($base) `,` type($indices) `,` type($updates)
  }];
  let hasVerifier = 1;
}

//===--------------------------------------------------------------------------------------------===//
// Composites
//===--------------------------------------------------------------------------------------------===//

class Graph_CompositeOp<string mnemonic, list<Trait> traits = []>
    : Graph_PureOp<mnemonic, !listconcat([DeclareOpInterfaceMethods<Graph_Composite>], traits)>;

def Graph_GeluOp : Graph_CompositeOp<"gelu", [SameOperandsAndResultType, Elementwise]> {
  let summary = "x·Φ(x), exactly by erf or by tanh's approximation";
  let arguments = (ins Graph_FloatTensor:$operand, BoolAttr:$tanh);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = "$operand `tanh` $tanh attr-dict `:` type($result)";
}

def Graph_SoftmaxOp : Graph_CompositeOp<"softmax", [SameOperandsAndResultType]> {
  let summary = "exp(x - max) / Σ exp(x - max) along one dimension";
  let arguments = (ins Graph_FloatTensor:$operand, I64Attr:$dimension);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = "$operand `dimension` $dimension attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Graph_LayerNormOp : Graph_CompositeOp<"layer_norm", [InferTypeOpAdaptorWithIsCompatible]> {
  let summary = "(x - mean)·rstd·scale + bias over the last dimension; mean and rstd are results too";
  let arguments = (ins Graph_FloatTensor:$operand, Graph_FloatTensor:$scale, Graph_FloatTensor:$bias,
                       F64Attr:$epsilon);
  let results = (outs Graph_FloatTensor:$result, Graph_FloatTensor:$mean, Graph_FloatTensor:$rstd);
  let assemblyFormat = [{
    $operand `,` $scale `,` $bias `epsilon` $epsilon attr-dict
    `:` type($operand) `,` type($scale) `,` type($bias) `->` type($result) `,` type($mean) `,` type($rstd)
  }];
}

def Graph_LinearOp : Graph_CompositeOp<"linear", [InferTypeOpAdaptorWithIsCompatible]> {
  let summary = "x·weightᵀ + bias over the last dimension, weight [out, in] as in PyTorch";
  let arguments = (ins Graph_FloatTensor:$operand, Graph_FloatTensor:$weight, Optional<Graph_FloatTensor>:$bias);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = [{
    $operand `,` $weight (`,` $bias^)? attr-dict
    `:` type($operand) `,` type($weight) (`,` type($bias)^)? `->` type($result)
  }];
}

def Graph_EmbeddingOp : Graph_CompositeOp<"embedding", [InferTypeOpAdaptorWithIsCompatible]> {
  let summary = "Rows of a table [vocabulary, width] chosen by integer indices";
  let arguments = (ins Graph_FloatTensor:$table, Graph_IndexTensor:$indices);
  let results = (outs Graph_FloatTensor:$result);
  let assemblyFormat = "$table `,` $indices attr-dict `:` type($table) `,` type($indices) `->` type($result)";
}

def Graph_AttentionOp : Graph_CompositeOp<"attention", [InferTypeOpAdaptorWithIsCompatible]> {
  let summary = "softmax(scale·q·kᵀ + causal mask)·v for q, k, v [batch, heads, sequence, head]";
  let description = [{
    The second result is the row-wise log-sum-exp of the masked, scaled scores
    [batch, heads, sequence]: what the backward kernel needs to recompute probabilities by block.
    `causal` hides key j from query i where j > i + (keys - queries).
  }];
  let arguments = (ins Graph_FloatTensor:$query, Graph_FloatTensor:$key, Graph_FloatTensor:$value,
                       F64Attr:$scale, BoolAttr:$causal);
  let results = (outs Graph_FloatTensor:$result, Graph_FloatTensor:$lse);
  let assemblyFormat = [{
    $query `,` $key `,` $value `scale` $scale `causal` $causal attr-dict
    `:` type($query) `,` type($key) `,` type($value) `->` type($result) `,` type($lse)
  }];
}

def Graph_AttentionBackwardOp : Graph_CompositeOp<"attention_backward", [InferTypeOpAdaptorWithIsCompatible]> {
  let summary = "Gradients of attention for query, key and value, recomputing scores from lse";
  let arguments = (ins Graph_FloatTensor:$query, Graph_FloatTensor:$key, Graph_FloatTensor:$value,
                       Graph_FloatTensor:$output, Graph_FloatTensor:$lse, Graph_FloatTensor:$gradient,
                       F64Attr:$scale, BoolAttr:$causal);
  let results = (outs Graph_FloatTensor:$query_gradient, Graph_FloatTensor:$key_gradient,
                      Graph_FloatTensor:$value_gradient);
  let assemblyFormat = [{
    $query `,` $key `,` $value `,` $output `,` $lse `,` $gradient `scale` $scale `causal` $causal attr-dict
    `:` type(operands) `->` type(results)
  }];
}

def Graph_CrossEntropyOp : Graph_CompositeOp<"cross_entropy", [InferTypeOpAdaptorWithIsCompatible]> {
  let summary = "Mean of lse(logits) - logits[target] over all positions; classes are the last dimension";
  let description = "The second result is the row-wise log-sum-exp of the logits, which the gradient uses.";
  let arguments = (ins Graph_FloatTensor:$logits, Graph_IndexTensor:$targets);
  let results = (outs Graph_FloatScalar:$loss, Graph_FloatTensor:$lse);
  let assemblyFormat = [{
    $logits `,` $targets attr-dict `:` type($logits) `,` type($targets) `->` type($loss) `,` type($lse)
  }];
}

def Graph_MseOp : Graph_CompositeOp<"mse", [InferTypeOpAdaptorWithIsCompatible]> {
  let summary = "Mean of (prediction - target)² over all elements";
  let arguments = (ins Graph_FloatTensor:$prediction, Graph_FloatTensor:$target);
  let results = (outs Graph_FloatScalar:$loss);
  let assemblyFormat = "$prediction `,` $target attr-dict `:` type($prediction) `,` type($target) `->` type($loss)";
}

//===--------------------------------------------------------------------------------------------===//
// Optimizers: one op updates a bucket of parameters
//===--------------------------------------------------------------------------------------------===//

def Graph_AdamWOp : Graph_CompositeOp<"adamw", [AttrSizedOperandSegments, AttrSizedResultSegments]> {
  let summary = "AdamW on a bucket of parameters: decoupled weight decay, epsilon outside the root";
  let description = [{
    g  = gradient·gradient_scale                      m' = beta1·m + (1-beta1)·g
    v' = beta2·v + (1-beta2)·g²                       p' = p·(1 - lr·weight_decay)
    p' = p' - lr·(m'/correction1) / (sqrt(v'/correction2) + epsilon)
    with correction_i = 1 - beta_i^t (Loshchilov & Hutter 2019, as PyTorch computes it).
    The four groups have equal length; a parameter, its gradient and moments have one type.
  }];
  let arguments = (ins Variadic<Graph_FloatTensor>:$parameters, Variadic<Graph_FloatTensor>:$gradients,
                       Variadic<Graph_FloatTensor>:$first_moments, Variadic<Graph_FloatTensor>:$second_moments,
                       Graph_FloatScalar:$learning_rate, Graph_FloatScalar:$correction1,
                       Graph_FloatScalar:$correction2, Graph_FloatScalar:$gradient_scale,
                       F64Attr:$beta1, F64Attr:$beta2, F64Attr:$epsilon, F64Attr:$weight_decay);
  let results = (outs Variadic<Graph_FloatTensor>:$new_parameters, Variadic<Graph_FloatTensor>:$new_first_moments,
                      Variadic<Graph_FloatTensor>:$new_second_moments);
  let assemblyFormat = [{
    `(` $parameters `)` `gradients` `(` $gradients `)` `moments` `(` $first_moments `)` `(` $second_moments `)`
    `scalars` `(` $learning_rate `,` $correction1 `,` $correction2 `,` $gradient_scale `)` attr-dict
    `:` type($parameters) `:` type($gradients) `:` type($first_moments) `:` type($second_moments)
    `:` type($learning_rate) `,` type($correction1) `,` type($correction2) `,` type($gradient_scale)
    `->` type($new_parameters) `:` type($new_first_moments) `:` type($new_second_moments)
  }];
  let hasVerifier = 1;
}

def Graph_SgdOp : Graph_CompositeOp<"sgd", [AttrSizedOperandSegments, AttrSizedResultSegments]> {
  let summary = "SGD on a bucket of parameters, with momentum buffers where momentum is not 0";
  let description = [{
    g = gradient·gradient_scale + weight_decay·p;  b' = momentum·b + g;  p' = p - lr·b' (b' = g without momentum)
  }];
  let arguments = (ins Variadic<Graph_FloatTensor>:$parameters, Variadic<Graph_FloatTensor>:$gradients,
                       Variadic<Graph_FloatTensor>:$momenta, Graph_FloatScalar:$learning_rate,
                       Graph_FloatScalar:$gradient_scale, F64Attr:$momentum, F64Attr:$weight_decay);
  let results = (outs Variadic<Graph_FloatTensor>:$new_parameters, Variadic<Graph_FloatTensor>:$new_momenta);
  let assemblyFormat = [{
    `(` $parameters `)` `gradients` `(` $gradients `)` (`momenta` `(` $momenta^ `)`)?
    `scalars` `(` $learning_rate `,` $gradient_scale `)` attr-dict
    `:` type($parameters) `:` type($gradients) (`momenta` type($momenta)^)?
    `:` type($learning_rate) `,` type($gradient_scale)
    `->` type($new_parameters) (`:` type($new_momenta)^)?
  }];
  let hasVerifier = 1;
}

def Graph_BucketOp : Graph_InferredOp<"bucket"> {
  let summary = "Tensors laid end to end, each padded to 16 elements: storage, not a copy";
  let description = "From stage `kernels` on. The planner places the operands inside the result's buffer.";
  let arguments = (ins Variadic<Graph_Tensor>:$operands);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$operands attr-dict `:` type($operands) `->` type($result)";
}

def Graph_UnbucketOp : Graph_PureOp<"unbucket"> {
  let summary = "The tensors of a bucket, as views of its storage";
  let arguments = (ins Graph_Tensor:$operand);
  let results = (outs Variadic<Graph_Tensor>:$results);
  let assemblyFormat = "$operand attr-dict `:` type($operand) `->` type($results)";
}

def Graph_LaunchOp : Graph_PureOp<"launch", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Runs a lowered kernel, which takes memrefs, on tensors that the planner has yet to place";
  let description = [{
    Between `lower-kernels` and `plan-memory`: operands and results pair up with the kernel's memref
    arguments, inputs first; the planner turns the launch into a call on places in the arena.
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<Graph_Tensor>:$operands);
  let results = (outs Variadic<Graph_Tensor>:$results);
  let assemblyFormat = "$kernel `(` $operands `)` attr-dict `:` functional-type($operands, $results)";
}

//===--------------------------------------------------------------------------------------------===//
// Control flow
//===--------------------------------------------------------------------------------------------===//

def Graph_LoopOp : Graph_Op<"loop", [RecursiveMemoryEffects, SingleBlock]> {
  let summary = "Runs its body trip_count times with carried values; further yields are stacked";
  let description = [{
    The body takes the iteration number (i64 scalar) and the carried values; it yields the carried
    values, then any number of values that are stacked along a new leading dimension.
  }];
  let arguments = (ins Graph_IntScalar:$trip_count, Variadic<Graph_Value>:$carried);
  let results = (outs Variadic<Graph_Value>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $trip_count (`carry` `(` $carried^ `:` type($carried) `)`)? attr-dict `:` type($trip_count) (`->` `(` type($results)^ `)`)? $body
  }];
  let hasVerifier = 1;
}

def Graph_IfOp : Graph_Op<"if", [RecursiveMemoryEffects, SingleBlock, NoRegionArguments]> {
  let summary = "Runs one of two regions, chosen by an i1 scalar";
  let arguments = (ins Graph_BoolTensor:$condition);
  let results = (outs Variadic<Graph_Value>:$results);
  let regions = (region SizedRegion<1>:$thenRegion, SizedRegion<1>:$elseRegion);
  let assemblyFormat = "$condition attr-dict `:` type($condition) (`->` `(` type($results)^ `)`)? $thenRegion `else` $elseRegion";
  let hasVerifier = 1;
}

def Graph_YieldOp : Graph_Op<"yield", [Pure, ReturnLike, Terminator,
    ParentOneOf<["LoopOp", "IfOp"]>]> {
  let summary = "Ends a region with its values";
  let arguments = (ins Variadic<Graph_Value>:$operands);
  let assemblyFormat = "($operands^ `:` type($operands))? attr-dict";
}

#endif
