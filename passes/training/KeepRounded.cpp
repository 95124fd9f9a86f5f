/// Pass keep-rounded: weights that are multiplied in bf16 are there in bf16.
#include "ir/dialect/GraphBuilder.h"
#include "passes/Passes.h"
#include "passes/Signature.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace ingot::graph;

namespace ingot {

#define GEN_PASS_DEF_KEEPROUNDED
#include "passes/Passes.h.inc"

namespace {

std::string roundedName(StringRef parameter) { return ("rounded." + parameter).str(); }

SmallVector<CastOp> roundingsOf(BlockArgument parameter) {
  SmallVector<CastOp> roundings;
  if (!tensorType(parameter).getElementType().isF32())
    return roundings;
  for (Operation *user : parameter.getUsers())
    if (auto cast = dyn_cast<CastOp>(user); cast && tensorType(cast).getElementType().isBF16())
      roundings.push_back(cast);
  return roundings;
}

/// The function's argument in place of the roundings of a parameter.
BlockArgument takeRounded(func::FuncOp function, BlockArgument parameter,
                          ArrayRef<CastOp> roundings) {
  BlockArgument rounded =
      insertArgument(function, Role::Derived, roundedName(argumentName(parameter)),
                     CastOp(roundings.front()).getType(), parameter.getLoc());
  for (CastOp cast : roundings) {
    cast.getResult().replaceAllUsesWith(rounded);
    cast.erase();
  }
  return rounded;
}

/// An update that gives roundings, too.
UpdateOp withRounded(UpdateOp update) {
  if (!update.getRounded().empty())
    return update;
  OpBuilder builder(update);
  auto types = llvm::map_to_vector(update.getParameters(), [&](Value member) -> Type {
    return tensorType(member).clone(builder.getBF16Type());
  });
  Value beyond = update.getBeyond();
  auto op = UpdateOp::create(builder, update.getLoc(), TypeRange(update.getUpdated()), types,
                             beyond ? beyond.getType() : Type(), update.getParameters(),
                             update.getGradients(), update.getState(), update.getScalars(),
                             update.getLimitAttr());
  op.getFormula().takeBody(update.getFormula());
  update.getUpdated().replaceAllUsesWith(op.getUpdated());
  if (beyond)
    beyond.replaceAllUsesWith(op.getBeyond());
  update.erase();
  return op;
}

/// What becomes of a parameter's rounding: what its update rounds, or itself where there is none.
Value afterUpdate(BlockArgument parameter, BlockArgument rounded) {
  for (OpOperand &use : parameter.getUses()) {
    const unsigned member = use.getOperandNumber();
    if (auto update = dyn_cast<UpdateOp>(use.getOwner());
        update && member < update.getParameters().size())
      return withRounded(update).getRounded()[member];
  }
  return rounded;
}

/// @step returns what becomes of a rounding, in its place.
void returnRounded(func::FuncOp step, BlockArgument rounded, Value after) {
  Builder builder(step.getContext());
  const unsigned result = step.getNumResults();
  auto attributes = builder.getDictionaryAttr(
      {builder.getNamedAttr(nameAttribute, builder.getStringAttr(argumentName(rounded))),
       builder.getNamedAttr(roleAttribute, builder.getStringAttr(roleName(Role::Derived)))});
  (void)step.insertResult(result, rounded.getType(), attributes);
  step.front().getTerminator()->insertOperands(result, after);
  step.setArgAttr(rounded.getArgNumber(), donatedAttribute, builder.getI64IntegerAttr(result));
}

void addDerive(ModuleOp module, ArrayRef<BlockArgument> parameters) {
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  auto derive = func::FuncOp::create(builder, module.getLoc(), deriveFunction,
                                     builder.getFunctionType({}, {}));
  builder.setInsertionPointToStart(derive.addEntryBlock());
  SmallVector<NamedResult> results;
  for (BlockArgument parameter : parameters) {
    const StringRef name = argumentName(parameter);
    Value own =
        insertArgument(derive, Role::Parameter, name, parameter.getType(), parameter.getLoc());
    GraphBuilder build(builder, own.getLoc());
    results.push_back(
        {build.cast(own, builder.getBF16Type()), roundedName(name), roleName(Role::Derived)});
  }
  func::ReturnOp::create(builder, module.getLoc());
  setResults(derive, results);
}

class KeepRounded : public impl::KeepRoundedBase<KeepRounded> {
  void runOnOperation() override {
    func::FuncOp step = requireFunction(getOperation(), "step", "the pass add-optimizer");
    if (!step)
      return signalPassFailure();
    SmallVector<BlockArgument> kept;
    llvm::copy_if(argumentsOf(step, Role::Parameter), std::back_inserter(kept),
                  [](BlockArgument parameter) { return !roundingsOf(parameter).empty(); });
    if (kept.empty())
      return;
    llvm::StringSet<> names;
    for (BlockArgument parameter : kept)
      names.insert(argumentName(parameter));
    addDerive(getOperation(), kept);
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (function.getName() == StringRef(deriveFunction))
        continue;
      for (BlockArgument parameter : argumentsOf(function, Role::Parameter)) {
        const SmallVector<CastOp> roundings = roundingsOf(parameter);
        if (roundings.empty() || !names.contains(argumentName(parameter)))
          continue;
        BlockArgument rounded = takeRounded(function, parameter, roundings);
        if (function == step)
          returnRounded(step, rounded, afterUpdate(parameter, rounded));
      }
    }
  }
};

} // namespace
} // namespace ingot
