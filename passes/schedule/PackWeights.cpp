/// Weights lie in memory as the kernels read them.
#include "passes/Passes.h"
#include "passes/Signature.h"
#include "passes/schedule/PassBackend.h"
#include "passes/schedule/ScheduleKernels.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_PACKWEIGHTS
#include "passes/Passes.h.inc"

namespace {

/// A parameter's arguments in all entry functions.
using Weight = SmallVector<BlockArgument>;

/// A kernel and one of its arguments.
using KernelUse = std::pair<func::FuncOp, unsigned>;

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
    llvm::SetVector<func::FuncOp> unused;
    llvm::MapVector<StringAttr, Weight> weights = findWeights();
    for (auto &[name, weight] : weights)
      if (const Layout layout = layoutOf(weight); !layout.isPlain())
        pack(weight, layout);
    for (auto &[use, copy] : packed)
      if (SymbolTable::symbolKnownUseEmpty(use.first, getOperation()))
        unused.insert(use.first);
    for (func::FuncOp kernel : unused)
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
          weights[name].push_back(parameter);
      }
    }
    weights.remove_if([&](auto &entry) { return written.contains(entry.first.getValue()); });
    return weights;
  }

  /// How its readers want the weight; plain if they differ, or if somebody needs it so.
  Layout layoutOf(const Weight &weight) {
    Layout layout;
    llvm::SmallPtrSet<Operation *, 4> calls;
    for (BlockArgument argument : weight)
      for (OpOperand *use : usesOf(argument)) {
        auto call = dyn_cast<func::CallOp>(use->getOwner());
        // A kernel takes one factor packed.
        if (!call || !calls.insert(call).second ||
            !kernelOf(call).getOps<kernel::UnpackOp>().empty())
          return {};
        const kernel::PanelsAttr want = wantedBy({kernelOf(call), use->getOperandNumber()});
        if (!want)
          return {};
        const Layout wantedHere = want.layout();
        if (!layout.isPlain() && layout != wantedHere)
          return {};
        layout = wantedHere;
      }
    return layout;
  }

  func::FuncOp kernelOf(func::CallOp call) {
    return symbols->lookup<func::FuncOp>(call.getCallee());
  }

  kernel::PanelsAttr wantedBy(KernelUse use) {
    auto [known, isNew] = wanted.try_emplace(use);
    if (isNew && !use.first.isDeclaration())
      known->second = backend->packedLayout(use.first, use.second);
    return known->second;
  }

  void pack(const Weight &weight, const Layout &layout) {
    for (BlockArgument argument : weight) {
      auto function = cast<func::FuncOp>(argument.getOwner()->getParentOp());
      for (OpOperand *use : usesOf(argument)) {
        auto call = cast<func::CallOp>(use->getOwner());
        call.setCallee(packedKernel({kernelOf(call), use->getOperandNumber()}).getName());
        use->set(argument);
      }
      eraseReshapes(argument);
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
  func::FuncOp packedKernel(KernelUse use) {
    func::FuncOp &copy = packed[use];
    if (copy)
      return copy;
    auto [plain, number] = use;
    const kernel::PanelsAttr layout = wantedBy(use);
    copy = plain.clone();
    copy.setName((plain.getName() + "_packed").str());
    symbols->insert(copy, plain->getIterator());
    BlockArgument argument = copy.getArgument(number);
    OpBuilder builder = OpBuilder::atBlockBegin(&copy.front());
    retype(copy, argument, layout.memory());
    auto unpack =
        kernel::UnpackOp::create(builder, copy.getLoc(), layout.getTensor(), argument, layout);
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
  llvm::DenseMap<KernelUse, kernel::PanelsAttr> wanted;
  llvm::MapVector<KernelUse, func::FuncOp> packed;
};

} // namespace

std::unique_ptr<Pass> createPackWeights(const Backend &backend) {
  return std::make_unique<PackWeights>(PassBackend(backend));
}

std::unique_ptr<Pass> createPackWeights(BackendParser parse) {
  return std::make_unique<PackWeights>(PassBackend(parse));
}

} // namespace ingot
