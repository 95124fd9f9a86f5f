/// Rows of loops: `while` whose iterations are counted.
#include "frontend/stablehlo/Op.h"

namespace ingot::stablehlo {
namespace {

/// The carried number that a loop counts with, and up to which value it does.
struct Counter {
  unsigned number;
  mlir::Value limit; ///< of the condition's region, or from outside
};

std::optional<Counter> counterOf(Op &c) {
  mlir::Block &condition = c.op->getRegion(0).front(), &body = c.op->getRegion(1).front();
  mlir::Operation *test = condition.back().getNumOperands() == 1
                              ? condition.back().getOperand(0).getDefiningOp()
                              : nullptr;
  if (!test || test->getName().stripDialect() != "compare" || Op(c, test).word(0) != "LT")
    return std::nullopt;
  auto counter = mlir::dyn_cast<mlir::BlockArgument>(test->getOperand(0));
  if (!counter || counter.getOwner() != &condition)
    return std::nullopt;
  const unsigned number = counter.getArgNumber();
  mlir::Operation *next = number < body.back().getNumOperands()
                              ? body.back().getOperand(number).getDefiningOp()
                              : nullptr;
  if (!next || next->getName().stripDialect() != "add" ||
      next->getOperand(0) != body.getArgument(number))
    return std::nullopt;
  mlir::Operation *step = next->getOperand(1).getDefiningOp();
  auto one =
      step ? mlir::dyn_cast_or_null<mlir::DenseIntElementsAttr>(step->getDiscardableAttr("value"))
           : nullptr;
  if (!one || !one.isSplat() || one.getSplatValue<llvm::APInt>() != 1)
    return std::nullopt;
  return Counter{number, test->getOperand(1)};
}

/// The value of an integer constant of the file.
std::optional<int64_t> constantAt(mlir::Value value) {
  mlir::Operation *op = value.getDefiningOp();
  auto elements =
      op ? mlir::dyn_cast_or_null<mlir::DenseIntElementsAttr>(op->getDiscardableAttr("value"))
         : nullptr;
  if (!elements || elements.getNumElements() != 1)
    return std::nullopt;
  return (*elements.value_begin<llvm::APInt>()).getSExtValue();
}

Values loop(Op &c) {
  const std::optional<Counter> counter = counterOf(c);
  const std::optional<int64_t> limit = counter ? constantAt(counter->limit) : std::nullopt;
  const std::optional<Tensor> first =
      counter ? c.b.constantOf(c.operand(counter->number)) : std::nullopt;
  if (!limit || !first)
    return c.refuse("only loops that count from a constant to a constant, by one, are supported");
  const auto start = int64_t(loadScalar(*first)), trips = std::max<int64_t>(*limit - start, 0);
  // What a body hands on as it is does not change.
  mlir::Block &body = c.op->getRegion(1).front();
  std::vector<size_t> carried;
  Values initial;
  for (size_t i = 0; i < c.size(); ++i)
    if (i != counter->number &&
        body.back().getOperand(unsigned(i)) != body.getArgument(unsigned(i))) {
      carried.push_back(i);
      initial.push_back(c.operand(i));
    }
  bool isWhole = true;
  auto iteration = [&](Value number, std::span<const Value> now) {
    Values arguments(c.operands().begin(), c.operands().end());
    for (size_t i = 0; i < carried.size(); ++i)
      arguments[carried[i]] = now[i];
    const ElementType type = c.operand(counter->number).type();
    arguments[counter->number] = c.b.cast(number, type) + c.b.scalar(double(start), type);
    const std::optional<Values> results = c.inlined(1, std::move(arguments));
    isWhole = isWhole && results;
    Values next;
    for (size_t i = 0; i < carried.size(); ++i)
      next.push_back(results ? (*results)[carried[i]] : now[i]);
    return next;
  };
  const Values last = c.b.loop(trips, initial, iteration);
  if (!isWhole)
    return c.refuse("its body is too large");
  Values results(c.operands().begin(), c.operands().end());
  for (size_t i = 0; i < carried.size(); ++i)
    results[carried[i]] = last[i];
  results[counter->number] = c.b.scalar(double(start + trips), c.operand(counter->number).type());
  return results;
}

constexpr Row rows[] = {
    {"while", loop},
};

} // namespace

std::span<const Row> controlRows() { return rows; }

} // namespace ingot::stablehlo
