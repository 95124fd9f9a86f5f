/// Reverse-mode differentiation of the graph dialect: the table of vector-Jacobian products, one
/// row per op, and the walk that applies it.
#pragma once
#include "ir/dialect/GraphBuilder.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include <type_traits>

namespace ingot {

/// What a gradient rule sees: the cotangents of values so far, and a builder of graph ops that
/// follows everything the forward ops computed.
class GradientBuilder : public graph::GraphBuilder {
public:
  /// Values of `tape` that depend on `inputs` through floats carry gradients; no others do.
  GradientBuilder(mlir::OpBuilder &builder, mlir::Location location,
                  llvm::ArrayRef<mlir::Operation *> tape, mlir::ValueRange inputs);

  /// True if a gradient of `value` is wanted.
  bool isActive(mlir::Value value) const { return active.contains(value); }
  bool hasCotangent(mlir::Value value) const { return cotangents.contains(value); }
  /// What was added to the cotangent of `value` so far, in its type; null if nothing was.
  mlir::Value cotangent(mlir::Value value);
  /// The same, not rounded: that of a narrow float may be as wide as sums of it.
  mlir::Value wideCotangent(mlir::Value value) const { return cotangents.lookup(value); }
  /// The cotangent with zeros for nothing.
  mlir::Value cotangentOrZeros(mlir::Value value);
  /// Adds to the cotangent of `value`; does nothing for values that are not active. Of narrow
  /// floats it is summed up in f32 and is as wide as it was given: what a parameter that was
  /// rounded gets is not rounded on the way.
  void give(mlir::Value value, mlir::Value cotangent);

private:
  llvm::DenseSet<mlir::Value> active;
  llvm::DenseMap<mlir::Value, mlir::Value> cotangents;
};

/// Gives the operands of an op their share of its results' cotangents.
using GradientRule = llvm::LogicalResult (*)(GradientBuilder &, mlir::Operation *);

struct GradientRow {
  llvm::StringRef op; ///< full name, `graph.add`
  GradientRule rule;
};

/// The table, by family.
llvm::ArrayRef<GradientRow> elementwiseGradients();
llvm::ArrayRef<GradientRow> tensorGradients();
llvm::ArrayRef<GradientRow> reductionGradients();
llvm::ArrayRef<GradientRow> compositeGradients();
llvm::ArrayRef<GradientRow> formulaGradients();
llvm::ArrayRef<GradientRow> controlFlowGradients();
/// The rule of an op of that name; null if it has none.
GradientRule findGradientRule(llvm::StringRef op);

/// True for an op that is constant between jumps: nothing passes it.
bool isFlat(mlir::Operation *op);

/// A row from a lambda without captures: `(g, op)`, or `(g, op, dy)` with the cotangent of the
/// op's only result; returns nothing or a LogicalResult.
/// The cotangent is in the result's type, or `isWide` as it was given.
template <typename Op, bool isWide = false, typename Rule> GradientRow gradientRow(Rule) {
  static_assert(std::is_empty_v<Rule>, "a rule keeps no state");
  return {
      Op::getOperationName(), [](GradientBuilder &g, mlir::Operation *operation) {
        auto op = mlir::cast<Op>(operation);
        if constexpr (std::is_invocable_v<Rule, GradientBuilder &, Op, mlir::Value>) {
          mlir::Value result = operation->getResult(0);
          Rule{}(g, op, isWide ? g.wideCotangent(result) : g.cotangent(result));
          return llvm::success();
        } else if constexpr (std::is_void_v<std::invoke_result_t<Rule, GradientBuilder &, Op>>) {
          Rule{}(g, op);
          return llvm::success();
        } else {
          return Rule{}(g, op);
        }
      }};
}

/// Of an op that moves elements or converts them: its operand gets what was given.
template <typename Op, typename Rule> GradientRow movementRow(Rule rule) {
  return gradientRow<Op, /*isWide=*/true>(rule);
}

/// The operands of an op and the values that its regions use from outside.
llvm::SmallVector<mlir::Value> operandsAndCaptures(mlir::Operation *op);
/// True for tensors of floats: only they have cotangents.
bool isFloatTensor(mlir::Value value);

/// Walks `tape` (ops in order of execution) backwards from `outputs`, whose cotangents are `seeds`
/// (null: none), building at `builder`'s insertion point. Returns a cotangent per input, null
/// where nothing flows. An op without a rule is an error at that op, with a note that names the
/// parameter it cuts off.
mlir::FailureOr<llvm::SmallVector<mlir::Value>>
backpropagate(mlir::OpBuilder &builder, llvm::ArrayRef<mlir::Operation *> tape,
              mlir::ValueRange outputs, mlir::ArrayRef<mlir::Value> seeds, mlir::ValueRange inputs);

/// Says at `op` that it has no gradient and, in a note, which parameter that cuts off.
llvm::LogicalResult reportCut(mlir::Operation *op, mlir::Value parameter);

} // namespace ingot
