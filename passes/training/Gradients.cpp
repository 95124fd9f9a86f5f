/// The walk backwards, and the look-up in the table of rules.
#include "passes/training/Gradients.h"
#include "ir/dialect/Diagnostics.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/RegionUtils.h"
#include "passes/Signature.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using ingot::graph::tensorType;

namespace ingot {

bool isFloatTensor(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && isa<FloatType>(type.getElementType());
}

SmallVector<Value> operandsAndCaptures(Operation *op) {
  SmallVector<Value> values(op->getOperands());
  llvm::SetVector<Value> captures;
  getUsedValuesDefinedAbove(op->getRegions(), captures);
  llvm::append_range(values, captures);
  return values;
}

//===--------------------------------------------------------------------------------------------===//
// GradientBuilder
//===--------------------------------------------------------------------------------------------===//

GradientBuilder::GradientBuilder(OpBuilder &builder, Location location, ArrayRef<Operation *> tape,
                                 ValueRange inputs)
    : GraphBuilder(builder, location), active(inputs.begin(), inputs.end()) {
  for (Operation *op : tape)
    if (llvm::any_of(operandsAndCaptures(op), [&](Value value) { return isActive(value); }))
      for (Value result : op->getResults())
        if (isFloatTensor(result))
          active.insert(result);
}

Value GradientBuilder::cotangent(Value value) {
  Value found = wideCotangent(value);
  return found ? castAtSource(found, tensorType(value).getElementType()) : found;
}

Value GradientBuilder::cotangentOrZeros(Value value) {
  Value found = cotangent(value);
  return found ? found : zerosLike(value);
}

void GradientBuilder::give(Value value, Value cotangent) {
  if (!isActive(value))
    return;
  const Type own = tensorType(value).getElementType(), wide = graph::accumulationType(own);
  if (tensorType(cotangent).getElementType() != wide)
    cotangent = cast(cotangent, own);
  assert(tensorType(cotangent).getShape() == tensorType(value).getShape() &&
         "a rule built a cotangent of another shape");
  Value &sum = cotangents[value];
  sum = sum ? add(cast(sum, wide), cast(cotangent, wide)) : cotangent;
}

//===--------------------------------------------------------------------------------------------===//
// Table
//===--------------------------------------------------------------------------------------------===//

GradientRule findGradientRule(StringRef op) {
  static const llvm::StringMap<GradientRule> rules = [] {
    llvm::StringMap<GradientRule> all;
    for (ArrayRef<GradientRow> family :
         {elementwiseGradients(), formulaGradients(), tensorGradients(), reductionGradients(),
          compositeGradients(), controlFlowGradients()})
      for (const GradientRow &row : family)
        all[row.op] = row.rule;
    return all;
  }();
  return rules.lookup(op);
}

//===--------------------------------------------------------------------------------------------===//
// Walk
//===--------------------------------------------------------------------------------------------===//

/// `h.0.ln_1` becomes `h.0.ln_1.backward`: the model's node stays readable in profiles.
static Location backwardLocation(Location location) {
  auto name = dyn_cast<NameLoc>(location);
  if (!name || name.getName().strref().ends_with(".backward"))
    return location;
  auto backward = StringAttr::get(location.getContext(), name.getName().strref() + ".backward");
  return NameLoc::get(backward, name.getChildLoc());
}

/// A parameter that `op` depends on; null if there is none.
static Value findParameter(Operation *op) {
  SmallVector<Value> pending = operandsAndCaptures(op);
  llvm::DenseSet<Value> seen;
  while (!pending.empty()) {
    Value value = pending.pop_back_val();
    if (!seen.insert(value).second)
      continue;
    if (isParameter(value))
      return value;
    Operation *source = value.getDefiningOp();
    if (!source)
      source = value.getParentBlock()->getParentOp();
    if (source && !isa<FunctionOpInterface>(source))
      llvm::append_range(pending, operandsAndCaptures(source));
  }
  return {};
}

LogicalResult reportCut(Operation *op, Value parameter) {
  auto diagnostic = emitUnsupported(op->getLoc())
                    << "'" << op->getName() << "' cannot be differentiated";
  if (parameter)
    diagnostic.attachNote(parameter.getLoc())
        << "it cuts parameter '" << argumentName(parameter) << "' off from the loss";
  return diagnostic;
}

FailureOr<SmallVector<Value>> backpropagate(OpBuilder &builder, ArrayRef<Operation *> tape,
                                            ValueRange outputs, ArrayRef<Value> seeds,
                                            ValueRange inputs) {
  GradientBuilder g(builder, builder.getUnknownLoc(), tape, inputs);
  for (auto [output, seed] : llvm::zip_equal(outputs, seeds))
    if (seed)
      g.give(output, seed);
  auto receivesCotangent = [&](Value result) { return g.hasCotangent(result); };
  auto isActive = [&](Value value) { return g.isActive(value); };
  for (Operation *op : llvm::reverse(tape)) {
    if (!llvm::any_of(op->getResults(), receivesCotangent) ||
        !llvm::any_of(operandsAndCaptures(op), isActive))
      continue;
    GradientRule rule = findGradientRule(op->getName().getStringRef());
    if (!rule)
      return reportCut(op, findParameter(op));
    g.location = backwardLocation(op->getLoc());
    if (failed(rule(g, op)))
      return mlir::failure();
  }
  return llvm::map_to_vector(inputs, [&](Value input) { return g.cotangent(input); });
}

} // namespace ingot
