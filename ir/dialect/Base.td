//===- Base.td - the graph dialect's types, enumerations and op classes -----------------------------===//
#ifndef INGOT_IR_BASE
#define INGOT_IR_BASE

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
  let description = [{
    A model, its loss and its optimizer as pure operations on ranked tensors. Shapes are explicit:
    nothing broadcasts implicitly, and `?` dimensions carry symbols. Element types carry signedness
    (`i8` is signed, `ui8` unsigned).

    Function arguments and results carry attributes, which the dialect verifies:

    | attribute | on | value |
    |---|---|---|
    | `graph.name` | arguments, results | a string, unique among them; the same name in two functions is the same storage |
    | `graph.role` | arguments, results | `parameter`, `state`, `input`, `target` or `scalar` |
    | `graph.init` | parameters, state | `normal:STD`, `uniform:LIMIT` (between ±LIMIT) or `constant:VALUE`, or `file`: the value came with the model's file and is no part of the graph |
    | `graph.frozen` | parameters | a unit: not trained unless a group of parameters takes it |
    | `graph.donated` | parameters, state | an i64: the result, of the same type, that takes over the argument's storage |
    | `graph.limit` | integer arguments | an i64: they index something, and are below it |
    | `graph.count` | results | an array: the name of another result, an i64 scalar, and the number of the dimension of which only so many elements are meant; the rest is padding |
    | `graph.members` | results | an array of strings, the parameters whose bucket the result tells of |
    | `graph.symbols` | arguments with `?` dimensions | an array of strings, one name for each `?` in order |
    | `graph.metadata` | the module | a JSON object: family, sizes, tokenizer |
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let hasConstantMaterializer = 1;
  let hasOperationAttrVerify = 1;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
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
def Graph_OrderedTensor : RankedTensorOf<[Graph_Float, Graph_Signed]>;
def Graph_IntegerTensor : RankedTensorOf<[Graph_Integer]>;
def Graph_BitsTensor : RankedTensorOf<[Graph_Integer, I1]>;
def Graph_BoolTensor : RankedTensorOf<[I1]>;
def Graph_MaskTensor : RankedTensorOf<[Graph_Float, I1]>;
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
     I32EnumCase<"Product", 3, "product">, I32EnumCase<"Any", 4, "any">, I32EnumCase<"All", 5, "all">]>;
def Graph_ReduceKindAttr : EnumAttr<Graph_Dialect, Graph_ReduceKind, "reduce_kind">;

def Graph_Comparison : Graph_Enum<"Comparison", "an ordered comparison; NaN compares false but for ne",
    [I32EnumCase<"Eq", 0, "eq">, I32EnumCase<"Ne", 1, "ne">, I32EnumCase<"Lt", 2, "lt">,
     I32EnumCase<"Le", 3, "le">, I32EnumCase<"Gt", 4, "gt">, I32EnumCase<"Ge", 5, "ge">]>;
def Graph_ComparisonAttr : EnumAttr<Graph_Dialect, Graph_Comparison, "comparison">;

// Those after `column` are built around one op each.
def Graph_KernelRoot : Graph_Enum<"KernelRoot", "what a kernel is built around",
    [I32EnumCase<"Elementwise", 0, "elementwise">, I32EnumCase<"Row", 1, "row">,
     I32EnumCase<"Column", 2, "column">, I32EnumCase<"Contraction", 3, "contraction">,
     I32EnumCase<"Attention", 4, "attention">, I32EnumCase<"AttentionBackward", 5, "attention_backward">,
     I32EnumCase<"Update", 6, "update">, I32EnumCase<"Scatter", 7, "scatter">,
     I32EnumCase<"Scan", 8, "scan">, I32EnumCase<"Sort", 9, "sort">]>;

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

def Graph_TrainingOp : OpInterface<"TrainingOp"> {
  let cppNamespace = "::ingot::graph";
  let description = [{
    An op that computes otherwise in a training step and has state there that outlives the step, such as
    running statistics. `differentiate` switches it.
  }];
  let methods = [
    InterfaceMethod<"The operands that are state.", "::mlir::MutableOperandRange", "getStateOperands">,
    InterfaceMethod<"What becomes of the state, in the same order.", "::mlir::ValueRange", "getNextState">,
    InterfaceMethod<"From now on as in a training step.", "void", "enterTraining">,
  ];
}

//===--------------------------------------------------------------------------------------------===//
// Op classes
//===--------------------------------------------------------------------------------------------===//

class Graph_Op<string mnemonic, list<Trait> traits = []> : Op<Graph_Dialect, mnemonic, traits>;

class Graph_PureOp<string mnemonic, list<Trait> traits = []>
    : Graph_Op<mnemonic, !listconcat([Pure], traits)>;

// With constant operands the reference computes the results (Fold.cpp).
def Graph_FoldsThroughReference : NativeOpTrait<"FoldsThroughReference"> {
  let cppNamespace = "::ingot::graph";
}
// The result holds elements of the operands and no others.
def Graph_MovesElements : NativeOpTrait<"MovesElements"> {
  let cppNamespace = "::ingot::graph";
}
class Graph_FoldedOp<string mnemonic, list<Trait> traits = []>
    : Graph_PureOp<mnemonic, !listconcat([Graph_FoldsThroughReference], traits)>;

// Result types follow from operands and attributes (Shapes.cpp); the verifier compares them.
class Graph_InferredOp<string mnemonic, list<Trait> traits = []>
    : Graph_FoldedOp<mnemonic, !listconcat([InferTypeOpAdaptorWithIsCompatible], traits)>;

class Graph_CompositeOp<string mnemonic, list<Trait> traits = []>
    : Graph_FoldedOp<mnemonic, !listconcat([DeclareOpInterfaceMethods<Graph_Composite>], traits)>;

#endif
