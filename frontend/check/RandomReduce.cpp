/// Makes a graph that differs smaller, one op or output at a time.
#include "frontend/api/ModelModule.h"
#include "frontend/check/RandomTrial.h"
#include "ir/dialect/Elements.h"
#include "ir/dialect/Graph.h"
#include "ir/reference/Reference.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "passes/Signature.h"

namespace ingot {
namespace {

RandomGraph copyOf(const RandomGraph &graph) {
  auto impl = std::make_shared<Model::Impl>(graph.model.internals().context);
  impl->module = moduleOf(graph.model).clone();
  return {Model(std::move(impl)), graph.values, graph.training};
}

mlir::func::FuncOp forwardOf(const RandomGraph &graph) {
  mlir::ModuleOp module = moduleOf(graph.model);
  return module.lookupSymbol<mlir::func::FuncOp>("forward");
}

/// The ops of a function, in one order for all copies of it; the terminators stay.
std::vector<mlir::Operation *> opsOf(mlir::func::FuncOp function) {
  std::vector<mlir::Operation *> ops;
  function.walk<mlir::WalkOrder::PreOrder>([&](mlir::Operation *op) {
    if (op != function && !op->hasTrait<mlir::OpTrait::IsTerminator>())
      ops.push_back(op);
  });
  return ops;
}

/// Erases ops and inputs that nothing uses.
void dropUnused(RandomGraph &graph) {
  mlir::func::FuncOp function = forwardOf(graph);
  for (bool changed = true; changed;) {
    changed = false;
    std::vector<mlir::Operation *> ops = opsOf(function);
    for (mlir::Operation *op : llvm::reverse(ops))
      if (op->use_empty() && op->getNumRegions() == 0) {
        op->erase();
        changed = true;
      }
    ops = opsOf(function);
    for (mlir::Operation *op : ops)
      if (op->use_empty() && op->getNumRegions() > 0) {
        op->erase();
        changed = true;
        break;
      }
  }
  for (unsigned i = function.getNumArguments(); i-- > 0;)
    if (function.getArgument(i).use_empty()) {
      graph.values.erase(argumentName(function, i).str());
      (void)function.eraseArgument(i);
    }
}

/// Replaces the results of op `number` by inputs that hold what the reference computes.
bool cut(RandomGraph &graph, size_t number) {
  mlir::func::FuncOp function = forwardOf(graph);
  mlir::Operation *cutOp = opsOf(function)[number];
  if (cutOp->getParentOp() != function || mlir::isa<graph::ConstantOp>(cutOp))
    return false;
  std::vector<Tensor> arguments, values;
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    auto value = graph.values.find(argumentName(function, i).str());
    if (value == graph.values.end())
      return false;
    arguments.push_back(value->second);
  }
  (void)interpret(function, arguments, [&](mlir::Operation *op, std::span<const Tensor> results) {
    if (op == cutOp)
      values.assign(results.begin(), results.end());
  });
  if (values.size() != cutOp->getNumResults())
    return false;
  for (auto [result, value] : llvm::zip_equal(cutOp->getResults(), values)) {
    if (result.use_empty())
      continue;
    std::string name;
    for (size_t next = graph.values.size(); name.empty() || graph.values.contains(name); ++next)
      name = "cut" + std::to_string(next);
    result.replaceAllUsesWith(
        insertArgument(function, Role::Input, name, result.getType(), cutOp->getLoc()));
    graph.values[name] = value;
  }
  return true;
}

/// Lets the users of op `number` read its operand of the same type.
bool skip(RandomGraph &graph, size_t number) {
  mlir::Operation *op = opsOf(forwardOf(graph))[number];
  if (op->getNumResults() != 1)
    return false;
  for (mlir::Value operand : op->getOperands())
    if (operand.getType() == op->getResult(0).getType()) {
      op->getResult(0).replaceAllUsesWith(operand);
      return true;
    }
  return false;
}

/// Drops result `number`.
bool dropResult(RandomGraph &graph, size_t number) {
  mlir::func::FuncOp function = forwardOf(graph);
  if (function.getNumResults() < 2 || number >= function.getNumResults())
    return false;
  function.getBody().front().getTerminator()->eraseOperand(unsigned(number));
  return succeeded(function.eraseResult(unsigned(number)));
}

class Reducer {
public:
  Reducer(RandomGraph graph, const std::function<bool(const RandomGraph &)> &isWrong)
      : best(std::move(graph)), isWrong(isWrong) {}

  RandomGraph run() {
    keepIfWrong([](RandomGraph &) { return true; }); // what nothing uses
    for (bool changed = true; changed && trials > 0;) {
      changed = false;
      for (size_t i = forwardOf(best).getNumResults(); i-- > 0;)
        changed |= keepIfWrong([&](RandomGraph &graph) { return dropResult(graph, i); });
      for (auto edit : {cut, skip})
        for (size_t i = opsOf(forwardOf(best)).size(); i-- > 0;)
          if (i < opsOf(forwardOf(best)).size())
            changed |= keepIfWrong([&](RandomGraph &graph) { return edit(graph, i); });
    }
    return std::move(best);
  }

private:
  template <typename Edit> bool keepIfWrong(Edit edit) {
    if (trials-- <= 0)
      return false;
    RandomGraph next = copyOf(best);
    if (!edit(next))
      return false;
    dropUnused(next);
    if (failed(mlir::verify(moduleOf(next.model))) || !isWrong(next))
      return false;
    best = std::move(next);
    return true;
  }

  RandomGraph best;
  const std::function<bool(const RandomGraph &)> &isWrong;
  int trials = 200;
};

} // namespace

RandomGraph reduceGraph(RandomGraph graph,
                        const std::function<bool(const RandomGraph &)> &isWrong) {
  return Reducer(std::move(graph), isWrong).run();
}

} // namespace ingot
