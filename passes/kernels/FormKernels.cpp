/// Functions of linalg and named ops become calls of kernels. The rules are in KernelGroups.cpp
/// (which ops run together), KernelValues.cpp (what is stored between kernels) and
/// SplitReductions.cpp; README.md shows them at work.
#include "passes/Passes.h"
#include "passes/kernels/OutlineKernels.h"
#include "passes/linalg/SplitReductions.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_FORMKERNELS
#include "passes/Passes.h.inc"

namespace {

/// A generic over the shape of `like`: of the scalar, or a copy of `like` itself.
Value materialize(OpBuilder &builder, Location location, Value like, TypedAttr scalar) {
  auto type = cast<RankedTensorType>(like.getType());
  Value empty = tensor::EmptyOp::create(builder, location, type.getShape(), type.getElementType());
  Value constant =
      scalar ? arith::ConstantOp::create(builder, location, scalar).getResult() : Value();
  AffineMap identity = builder.getMultiDimIdentityMap(type.getRank());
  SmallVector<AffineMap> maps(scalar ? 1 : 2, identity);
  SmallVector<utils::IteratorType> loops(type.getRank(), utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      builder, location, type, scalar ? ValueRange() : ValueRange(like), empty, maps, loops,
      [&](OpBuilder &b, Location where, ValueRange values) {
        linalg::YieldOp::create(b, where, scalar ? constant : values[0]);
      });
  return generic.getResult(0);
}

/// Uses that give a tensor its place in memory: results, and what ops write into.
bool placesOperand(OpOperand &use) {
  Operation *owner = use.getOwner();
  if (isa<func::ReturnOp>(owner))
    return true;
  auto kernelOp = dyn_cast<graph::KernelOp>(owner);
  return kernelOp && kernelOp.placesOperand(use.getOperandNumber());
}

/// True if the argument is the memory of this result.
bool isOwnResult(func::FuncOp function, BlockArgument argument, OpOperand &use) {
  auto donated = function.getArgAttrOfType<IntegerAttr>(argument.getArgNumber(), "graph.donated");
  return isa<func::ReturnOp>(use.getOwner()) && donated &&
         donated.getInt() == use.getOperandNumber() && use.get() == argument;
}

/// True for a part of a tensor among the tensors of an update: the other parts would lie over the
/// part's neighbours there.
bool isPartBesideOthers(OpOperand &use) {
  auto update = dyn_cast<graph::UpdateOp>(use.getOwner());
  return update && update.getParameters().size() > 1 &&
         elementsOf(use.get()) < elementsOf(viewSource(use.get()));
}

/// Gives every tensor that a use places memory of its own: constants are filled in, a tensor with
/// two places, a part that is placed beside others and an argument that is returned are copied.
void separatePlaces(func::FuncOp function) {
  llvm::DenseSet<Value> placed;
  auto separate = [&](OpOperand &use) {
    Value source = viewSource(use.get());
    Operation *owner = use.getOwner(), *constant = source.getDefiningOp<arith::ConstantOp>();
    auto argument = dyn_cast<BlockArgument>(source);
    if (argument && argument.getOwner() != &function.front())
      argument = {}; // what a loop carries is the loop's to overwrite
    bool isUpdated = isRoot(owner, KernelRoot::Update) && argument;
    if (!constant && (isUpdated || (argument && isOwnResult(function, argument, use)) ||
                      (!argument && !isPartBesideOthers(use) && placed.insert(source).second)))
      return;
    OpBuilder builder(owner);
    Location location = owner->getLoc();
    if (isa<func::ReturnOp>(owner))
      if (auto name =
              function.getResultAttrOfType<StringAttr>(use.getOperandNumber(), "graph.name"))
        location = NameLoc::get(name);
    DenseElementsAttr value;
    if (constant && use.get() == source)
      matchPattern(constant, m_Constant(&value));
    bool isSplat = value && value.isSplat();
    use.set(materialize(builder, location, use.get(),
                        isSplat ? value.getSplatValue<TypedAttr>() : TypedAttr()));
  };
  function.walk([&](Operation *op) {
    for (OpOperand &use : op->getOpOperands())
      if (isa<RankedTensorType>(use.get().getType()) && placesOperand(use))
        separate(use);
  });
}

/// True for what a loop carries or a block yields.
bool isHandedOn(OpOperand &use) {
  Operation *owner = use.getOwner();
  if (isa<graph::LoopOp>(owner))
    return use.getOperandNumber() > 0; // not the trip count
  return isa<graph::YieldOp>(owner) && roleOf(owner->getParentOp()) == OpRole::Region;
}

/// Roots read whole tensors from memory, and loops and branches hand them on there: constants are
/// filled in.
void fillOperands(func::FuncOp function) {
  function.walk([&](Operation *op) {
    const bool isBuiltAround = roleOf(op) == OpRole::Root;
    OpBuilder builder(op);
    for (OpOperand &use : op->getOpOperands()) {
      DenseElementsAttr value;
      const bool needsMemory = isBuiltAround ? useOf(use) != OperandUse::Scalar : isHandedOn(use);
      if (needsMemory && matchPattern(use.get(), m_Constant(&value)) && value.isSplat())
        use.set(materialize(builder, op->getLoc(), use.get(), value.getSplatValue<TypedAttr>()));
    }
  });
}

/// The order is settled: it is that of the kernels' calls.
void dropAfter(func::FuncOp function) {
  function.walk([](graph::AfterOp after) {
    after.replaceAllUsesWith(after.getOperand());
    after.erase();
  });
}

struct FormKernelsPass : impl::FormKernelsBase<FormKernelsPass> {
  using FormKernelsBase::FormKernelsBase;
  FormKernelsPass(const TargetCosts &costs, FormKernelsOptions options, KernelCache *known)
      : FormKernelsBase(std::move(options)), costs(costs), known(known) {}

  void runOnOperation() override {
    KernelOutliner outliner(getOperation(), known);
    for (auto function : llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      if (function->hasAttr("graph.kernel"))
        continue;
      splitReductions(function, costs);
      separatePlaces(function);
      fillOperands(function);
      BlockKernels kernels(costs, fuse);
      if (failed(kernels.form(function.front())))
        return signalPassFailure();
      dropAfter(function);
      if (failed(outliner.outline(function, kernels)))
        return signalPassFailure();
    }
  }

  TargetCosts costs;
  KernelCache *known = nullptr; ///< from plans before this one
};

} // namespace

std::unique_ptr<Pass> createFormKernels(const TargetCosts &costs, FormKernelsOptions options,
                                        KernelCache *known) {
  return std::make_unique<FormKernelsPass>(costs, std::move(options), known);
}

} // namespace ingot
