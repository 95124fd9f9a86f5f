/// Weights lie in memory as the kernels read them.
#include "passes/Passes.h"
#include "passes/Signature.h"
#include "passes/schedule/PassBackend.h"
#include "passes/schedule/ScheduleKernels.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_PACKWEIGHTS
#include "passes/Passes.h.inc"

namespace {

/// A parameter: its arguments in all entry functions, and how its readers want it; plain if they
/// differ, or if somebody needs it so.
struct Weight {
  SmallVector<BlockArgument> arguments;
  Layout layout;
};

/// Whether the op's result is its operand in another shape.
bool isReshape(Operation *op) { return isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op); }

/// The uses of a tensor in any shape.
SmallVector<OpOperand *> usesOf(Value tensor) {
  SmallVector<OpOperand *> uses;
  for (OpOperand &use : tensor.getUses())
    if (isReshape(use.getOwner()))
      llvm::append_range(uses, usesOf(use.getOwner()->getResult(0)));
    else
      uses.push_back(&use);
  return uses;
}

struct PackWeights : impl::PackWeightsBase<PackWeights> {
  using PackWeightsBase::PackWeightsBase;
  PackWeights() = default;
  explicit PackWeights(PassBackend backend) : backend(std::move(backend)) {}

  LogicalResult initialize(MLIRContext *context) override { return backend.open(context, target); }

  void runOnOperation() override {
    SymbolTable table(getOperation());
    symbols = &table;
    wanted.clear();
    packed.clear();
    llvm::MapVector<StringAttr, Weight> weights = findWeights();
    for (auto &[name, weight] : weights)
      weight.layout = layoutOf(weight);
    for (auto &[name, weight] : weights)
      if (!weight.layout.isPlain())
        pack(weight);
    for (auto &[kernel, copy] : packed)
      if (SymbolTable::symbolKnownUseEmpty(kernel, getOperation()))
        symbols->erase(kernel);
  }

private:
  /// The parameters that no function writes.
  llvm::MapVector<StringAttr, Weight> findWeights() {
    llvm::MapVector<StringAttr, Weight> weights;
    llvm::StringSet<> written;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (kernel::isKernel(function))
        continue;
      for (unsigned result = 0; result < function.getNumResults(); ++result)
        if (function.getResultAttr(result, roleAttribute))
          written.insert(resultName(function, result));
      for (BlockArgument parameter : argumentsOf(function, Role::Parameter)) {
        auto name = function.getArgAttrOfType<StringAttr>(parameter.getArgNumber(), nameAttribute);
        if (name)
          weights[name].arguments.push_back(parameter);
      }
    }
    weights.remove_if([&](auto &entry) { return written.contains(entry.first.getValue()); });
    return weights;
  }

  Layout layoutOf(const Weight &weight) {
    Layout layout;
    for (BlockArgument argument : weight.arguments)
      for (OpOperand *use : usesOf(argument)) {
        auto call = dyn_cast<func::CallOp>(use->getOwner());
        const std::optional<PackedOperand> want = call ? wantedBy(kernelOf(call)) : std::nullopt;
        if (!want || want->operand != use->getOperandNumber())
          return {};
        const Layout wantedHere = want->layout.layout();
        if (!layout.isPlain() && layout != wantedHere)
          return {};
        layout = wantedHere;
      }
    return layout;
  }

  func::FuncOp kernelOf(func::CallOp call) {
    return symbols->lookup<func::FuncOp>(call.getCallee());
  }

  std::optional<PackedOperand> wantedBy(func::FuncOp kernel) {
    auto [known, isNew] = wanted.try_emplace(kernel);
    if (isNew && !kernel.isDeclaration())
      known->second = backend->packedOperand(kernel);
    return known->second;
  }

  void pack(const Weight &weight) {
    for (BlockArgument argument : weight.arguments) {
      auto function = cast<func::FuncOp>(argument.getOwner()->getParentOp());
      for (OpOperand *use : usesOf(argument)) {
        auto call = cast<func::CallOp>(use->getOwner());
        call.setCallee(packedKernel(kernelOf(call)).getName());
        use->set(argument);
      }
      eraseReshapes(argument);
      const Layout &layout = weight.layout;
      auto panels =
          kernel::PanelsAttr::get(&getContext(), cast<RankedTensorType>(argument.getType()),
                                  layout.matrices, layout.rows, layout.depth, layout.depthLast);
      retype(function, argument, panels.memory());
      function.setArgAttr(argument.getArgNumber(), kernel::layoutName, panels);
    }
  }

  static void eraseReshapes(Value tensor) {
    for (Operation *user : llvm::make_early_inc_range(tensor.getUsers()))
      if (isReshape(user)) {
        eraseReshapes(user->getResult(0));
        user->erase();
      }
  }

  /// The kernel, taking its weight packed.
  func::FuncOp packedKernel(func::FuncOp kernel) {
    func::FuncOp &copy = packed[kernel];
    if (copy)
      return copy;
    const PackedOperand want = *wantedBy(kernel);
    copy = kernel.clone();
    copy.setName((kernel.getName() + "_packed").str());
    symbols->insert(copy, kernel->getIterator());
    BlockArgument argument = copy.getArgument(want.operand);
    OpBuilder builder = OpBuilder::atBlockBegin(&copy.front());
    retype(copy, argument, want.layout.memory());
    auto unpack = kernel::UnpackOp::create(builder, copy.getLoc(), want.layout.getTensor(),
                                           argument, want.layout);
    argument.replaceAllUsesExcept(unpack, unpack);
    return copy;
  }

  static void retype(func::FuncOp function, BlockArgument argument, Type type) {
    argument.setType(type);
    SmallVector<Type> arguments(function.front().getArgumentTypes());
    function.setType(
        FunctionType::get(function.getContext(), arguments, function.getResultTypes()));
  }

  PassBackend backend;
  SymbolTable *symbols = nullptr;
  llvm::DenseMap<func::FuncOp, std::optional<PackedOperand>> wanted; ///< by kernel
  llvm::MapVector<func::FuncOp, func::FuncOp> packed;                ///< by kernel
};

} // namespace

std::unique_ptr<Pass> createPackWeights(const Backend &backend) {
  return std::make_unique<PackWeights>(PassBackend(backend));
}

std::unique_ptr<Pass> createPackWeights(BackendParser parse) {
  return std::make_unique<PackWeights>(PassBackend(parse));
}

} // namespace ingot
