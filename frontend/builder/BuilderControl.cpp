/// Loops and branches of the builder: ops whose regions callers fill.
#include "frontend/builder/BuilderImpl.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Verifier.h"

namespace ingot {

using Value = Builder::Value;

std::vector<Value> Builder::Impl::fill(llvm::StringRef operation, mlir::Region &region,
                                       mlir::TypeRange arguments, RegionBody body, bool &holds) {
  mlir::OpBuilder::InsertionGuard guard(builder);
  mlir::Location location = region.getParentOp()->getLoc();
  mlir::Block &block = region.emplaceBlock();
  builder.setInsertionPointToEnd(&block);
  std::vector<Value> given;
  for (mlir::Type type : arguments)
    given.push_back(give(block.addArgument(type, location)));
  ++openRegions;
  std::vector<Value> yielded = body(given);
  --openRegions;
  holds &= usable(operation, yielded);
  if (!holds)
    return yielded;
  llvm::SmallVector<mlir::Value> values;
  for (const Value &value : yielded)
    values.push_back(ir(value));
  graph::YieldOp::create(builder, location, values);
  return yielded;
}

std::vector<Value> Builder::Impl::close(mlir::Operation *open, mlir::TypeRange results) {
  mlir::OperationState state(open->getLoc(), open->getName(), open->getOperands(), results,
                             open->getAttrs());
  for (unsigned region = 0; region < open->getNumRegions(); ++region)
    state.addRegion();
  mlir::Operation *closed = builder.create(state);
  for (auto [from, to] : llvm::zip_equal(open->getRegions(), closed->getRegions()))
    to.takeBody(from);
  open->erase();
  std::vector<Value> given;
  DiagnosticCollector diagnostics(*model->context);
  const bool holds = succeeded(mlir::verify(closed));
  if (!holds)
    fail(closed->getName().getStringRef(), {}, diagnostics.messages());
  for (mlir::Value result : closed->getResults())
    given.push_back(holds ? give(result) : invalid());
  return given;
}

std::vector<Value> Builder::loop(Value trips, std::span<const Value> carried, const LoopBody &body,
                                 Trips how) {
  std::vector<Value> operands{trips};
  operands.insert(operands.end(), carried.begin(), carried.end());
  // As many values as there would be, and nothing but the first error.
  auto invalids = [&](size_t count) { return std::vector<Value>(count, impl->invalid()); };
  auto refuse = [&](const std::string &why) {
    impl->fail("loop", operands, why);
    return invalids(body(impl->invalid(), invalids(carried.size())).size());
  };
  if (!impl->usable("loop", operands))
    return invalids(body(impl->invalid(), invalids(carried.size())).size());
  mlir::RankedTensorType count = impl->type(trips);
  if (count.getRank() != 0 ||
      !(count.getElementType().isInteger(64) || count.getElementType().isInteger(32)))
    return refuse("the trip count is no i64 or i32 scalar");
  if (how.atMost.value_or(0) < 0)
    return refuse(fmt::format("it runs at most {} times", *how.atMost));
  if (mlir::DenseIntElementsAttr known;
      mlir::matchPattern(impl->ir(trips), mlir::m_Constant(&known))) {
    const int64_t number = (*known.begin()).getSExtValue();
    if (number < 0 || number > how.atMost.value_or(number))
      return refuse(
          fmt::format("the trip count {} is {}", number,
                      number < 0 ? "negative" : fmt::format("more than {}", *how.atMost)));
  }
  auto location = mlir::NameLoc::get(impl->builder.getStringAttr(impl->node("loop")));
  llvm::SmallVector<mlir::Value> initial;
  for (const Value &value : carried)
    initial.push_back(impl->ir(value));
  mlir::Builder &attributes = impl->builder;
  auto loop = graph::LoopOp::create(
      impl->builder, location, mlir::TypeRange(mlir::ValueRange(initial)), impl->ir(trips), initial,
      how.atMost ? attributes.getI64IntegerAttr(*how.atMost) : mlir::IntegerAttr(),
      how.reverse ? attributes.getUnitAttr() : mlir::UnitAttr());
  llvm::SmallVector<mlir::Type> arguments{count}, results;
  llvm::append_range(arguments, loop.getResultTypes());
  bool holds = true;
  const std::vector<Value> yielded = impl->fill(
      "loop", loop.getBody(), arguments,
      [&](llvm::ArrayRef<Value> given) {
        return body(given.front(), std::span<const Value>(given.data() + 1, carried.size()));
      },
      holds);
  auto fail = [&](const std::string &why) {
    impl->fail("loop", operands, why);
    return invalids(std::max(yielded.size(), carried.size()));
  };
  if (!holds)
    return invalids(std::max(yielded.size(), carried.size()));
  if (yielded.size() < carried.size())
    return fail(fmt::format("the body gives {} values for {} carried ones", yielded.size(),
                            carried.size()));
  const std::optional<int64_t> rows = loop.getMostTrips();
  for (size_t index = 0; index < yielded.size(); ++index) {
    const Value &value = yielded[index];
    mlir::RankedTensorType type = impl->type(value);
    if (index < carried.size()) {
      if (type != initial[index].getType())
        return fail(fmt::format("the body gives {} {} for carried value {}",
                                toString(value.shape()), name(value.type()), index));
      results.push_back(type);
      continue;
    }
    if (!rows)
      return fail("it stacks, but neither a constant trip count nor atMost says how many rows");
    llvm::SmallVector<int64_t> shape{*rows};
    llvm::append_range(shape, type.getShape());
    results.push_back(type.clone(shape));
    if (!graph::isPossibleSize(type.clone(shape)))
      return fail(fmt::format("the result {} has more than 64 TiB",
                              toString(Shape(shape.begin(), shape.end()))));
  }
  return impl->close(loop, results);
}

std::vector<Value> Builder::branch(Value condition, const BranchBody &onTrue,
                                   const BranchBody &onFalse) {
  auto invalids = [&](size_t count) { return std::vector<Value>(count, impl->invalid()); };
  if (!impl->usable("if", {condition}))
    return invalids(onTrue().size());
  mlir::RankedTensorType type = impl->type(condition);
  if (type.getRank() != 0 || !type.getElementType().isInteger(1)) {
    impl->fail("if", {condition}, "the condition is no i1 scalar");
    return invalids(onTrue().size());
  }
  auto location = mlir::NameLoc::get(impl->builder.getStringAttr(impl->node("if")));
  auto op = graph::IfOp::create(impl->builder, location, mlir::TypeRange(), impl->ir(condition));
  bool holds = true;
  auto fill = [&](mlir::Region &region, const BranchBody &body) {
    return impl->fill("if", region, {}, [&](llvm::ArrayRef<Value>) { return body(); }, holds);
  };
  const std::vector<Value> yielded = fill(op.getThenRegion(), onTrue),
                           other = fill(op.getElseRegion(), onFalse);
  auto fail = [&](const std::string &why) {
    impl->fail("if", {condition}, why);
    return invalids(std::max(yielded.size(), other.size()));
  };
  if (!holds)
    return invalids(std::max(yielded.size(), other.size()));
  if (yielded.size() != other.size())
    return fail(
        fmt::format("one side gives {} values, the other {}", yielded.size(), other.size()));
  llvm::SmallVector<mlir::Type> results;
  for (size_t index = 0; index < yielded.size(); ++index) {
    const Value &a = yielded[index], &b = other[index];
    if (impl->type(a) != impl->type(b))
      return fail(fmt::format("one side gives {} {} as value {}, the other {} {}",
                              toString(a.shape()), name(a.type()), index, toString(b.shape()),
                              name(b.type())));
    results.push_back(impl->type(a));
  }
  return impl->close(op, results);
}

std::optional<std::vector<Value>>
Builder::attempt(const std::function<std::vector<Value>()> &make) {
  mlir::Block &block = *impl->builder.getInsertionBlock();
  mlir::Operation *last = block.empty() ? nullptr : &block.back();
  const size_t errors = impl->errors.size();
  std::vector<Value> made = make();
  if (impl->errors.size() == errors && llvm::all_of(made, [](Value v) { return v.valid(); }))
    return made;
  impl->errors.resize(errors);
  while (!block.empty() && &block.back() != last)
    block.back().erase();
  return std::nullopt;
}

} // namespace ingot
