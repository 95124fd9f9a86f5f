//===- KernelOp.td - what an op of stage `linalg` is to kernel formation -------------------------===//
#ifndef INGOT_IR_KERNEL_OP
#define INGOT_IR_KERNEL_OP

include "ir/dialect/Base.td"

def Graph_KernelOp : OpInterface<"KernelOp"> {
  let cppNamespace = "::ingot::graph";
  let description = [{
    What an op is to the passes after `graph-to-linalg`: row blocks, recomputation, kernel formation. No
    pass lists ops by name. Ops of the graph dialect implement it in KernelOps.cpp and keep their name in
    stage `linalg`; those of upstream dialects do in passes/kernels/UpstreamOps.cpp.
  }];
  let methods = [
    InterfaceMethod<"Role, root and epilogue.", "::ingot::graph::KernelForm", "getKernelForm">,
    InterfaceMethod<"How a kernel of this op reads an operand.", "::ingot::graph::OperandUse",
      "getOperandUse", (ins "unsigned":$operand), "",
      [{ auto self = ::llvm::cast<::ingot::graph::KernelOp>($_op.getOperation());
         auto role = self.getKernelForm().role;
         return role == ::ingot::graph::OpRole::Root || role == ::ingot::graph::OpRole::Region
                    ? ::ingot::graph::OperandUse::Memory : ::ingot::graph::OperandUse::Points; }]>,
    InterfaceMethod<"True if the operand must have memory of its own: a result is written into it, or it is part of a bucket.",
      "bool", "placesOperand", (ins "unsigned":$operand), "", [{ return false; }]>,
    InterfaceMethod<"The loops of an op that can run in blocks of one of them.",
      "::std::optional<::ingot::graph::OpLoops>", "getKernelLoops", (ins), "", [{ return ::std::nullopt; }]>,
    InterfaceMethod<"Floating-point operations of an op that takes a step's time and may be repeated; 0 for all others.",
      "double", "getFlops", (ins), "", [{ return 0; }]>,
    InterfaceMethod<"What one element of a point op costs. By default the conditions of a pad, a slice or a join.",
      "::ingot::graph::PointCost", "getPointCost", (ins), "", [{ return {.operations = 4}; }]>,
  ];
}

// An op with an own form in kernels; `methods` are those whose default does not fit.
class Graph_Kernel<list<string> methods = []>
    : DeclareOpInterfaceMethods<Graph_KernelOp, methods>;

// An op with operands that index a dimension of another one.
def Graph_IndexingOp : OpInterface<"IndexingOp"> {
  let cppNamespace = "::ingot::graph";
  let description = [{
    Indices are checked where they enter, or in the program: see the pass `check-indices`.
  }];
  let methods = [
    InterfaceMethod<"The operand that holds indices.", "::mlir::Value", "getIndexOperand">,
    InterfaceMethod<"The indices lie in [0, limit); `?` where it is not known.", "int64_t", "getIndexLimit">,
  ];
}

#endif
