/// The gradient of graph.formula: the formula's derivative where the table has one, else what the
/// primitives' gradients make of it.
#include "ir/formulas/Formulas.h"
#include "passes/training/Gradients.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace ingot::graph;

namespace ingot {
namespace {

using G = GradientBuilder;
using formulas::Term;

LogicalResult formulaGradient(G &g, FormulaOp op) {
  const Formula &formula = *findFormula(op.getName());
  Value given = g.widen(g.cotangent(op.getResult()));
  llvm::MapVector<Value, Value> widened; // an operand that stands twice has one cotangent
  for (Value operand : op.getOperands())
    if (!widened.contains(operand))
      widened[operand] = g.widen(operand);
  auto terms = llvm::map_to_vector(op.getOperands(),
                                   [&](Value operand) { return Term{&g, widened[operand]}; });
  for (auto [operand, derivative] : llvm::zip(op.getOperands(), formula.derivatives))
    if (g.isActive(operand))
      g.give(operand, g.mul(given, derivative(terms).value));
  if (!formula.derivatives.empty())
    return success();
  // The formula once more, from where its operands are: what both compute is one after CSE.
  Block *block = g.builder.getInsertionBlock();
  auto end = g.builder.getInsertionPoint();
  Operation *before = end == block->begin() ? nullptr : &*std::prev(end);
  Value result = formula.expand(terms, op.getParameters()).value;
  SmallVector<Operation *> tape;
  for (auto it = before ? std::next(before->getIterator()) : block->begin(); it != end; ++it)
    tape.push_back(&*it);
  auto inputs = llvm::map_to_vector(widened, [](const auto &entry) { return entry.second; });
  auto cotangents = backpropagate(g.builder, tape, result, given, inputs);
  if (failed(cotangents))
    return failure();
  for (auto [entry, cotangent] : llvm::zip_equal(widened, *cotangents))
    if (cotangent)
      g.give(entry.first, cotangent);
  return success();
}

} // namespace

ArrayRef<GradientRow> formulaGradients() {
  static const GradientRow rows[] = {
      gradientRow<FormulaOp>([](G &g, FormulaOp op) { return formulaGradient(g, op); }),
  };
  return rows;
}

} // namespace ingot
