/// Pass add-initializers: `graph.init` attributes → @init.
#include "ir/dialect/GraphBuilder.h"
#include "passes/Passes.h"
#include "passes/Signature.h"

using namespace mlir;
using namespace ingot::graph;

namespace ingot {

#define GEN_PASS_DEF_ADDINITIALIZERS
#include "passes/Passes.h.inc"

namespace {

/// A distribution and its one number: `normal:0.02`.
struct Initializer {
  StringRef kind;
  double number = 0;
};

/// Such a parameter's value is written into the store before anything runs.
bool comesFromFile(BlockArgument parameter, func::FuncOp function) {
  auto text = function.getArgAttrOfType<StringAttr>(parameter.getArgNumber(), initAttribute);
  return text && text.getValue() == "file";
}

FailureOr<Initializer> parseInitializer(BlockArgument parameter, func::FuncOp function) {
  auto text = function.getArgAttrOfType<StringAttr>(parameter.getArgNumber(), initAttribute);
  if (!text)
    return emitError(parameter.getLoc())
           << roleName(roleOf(function, parameter.getArgNumber())) << " '"
           << argumentName(parameter) << "' has no " << initAttribute;
  auto [kind, number] = text.getValue().split(':');
  Initializer init = {kind};
  [[maybe_unused]] bool isMalformed = number.getAsDouble(init.number);
  assert(!isMalformed && "the dialect verifies graph.init");
  return init;
}

Value buildInitial(GraphBuilder &build, const Initializer &init, RankedTensorType type, Value seed,
                   int64_t id) {
  if (init.kind == "constant")
    return build.splat(type, init.number);
  Value step = build.scalar(build.builder.getI64Type(), 0);
  if (init.kind == "normal")
    return build.mul(build.make<RandomNormalOp>(type, seed, step, id), init.number);
  Value unit = build.make<RandomUniformOp>(type, seed, step, id);
  return build.sub(build.mul(unit, 2 * init.number), init.number);
}

class AddInitializers : public impl::AddInitializersBase<AddInitializers> {
  void runOnOperation() override {
    func::FuncOp forward = requireFunction(getOperation(), "forward", "the frontend");
    if (!forward || failed(verifySignature(forward)))
      return signalPassFailure();

    SmallVector<std::pair<int64_t, BlockArgument>> drawn;
    SmallVector<BlockArgument> persistent = argumentsOf(forward, Role::Parameter);
    llvm::append_range(persistent, argumentsOf(forward, Role::State));
    for (auto [id, argument] : llvm::enumerate(persistent))
      if (!comesFromFile(argument, forward))
        drawn.emplace_back(id, argument);
    if (drawn.empty() && !persistent.empty())
      return;
    OpBuilder builder(forward);
    auto init =
        func::FuncOp::create(builder, forward.getLoc(), "init", builder.getFunctionType({}, {}));
    builder.setInsertionPointToStart(init.addEntryBlock());
    auto seedType = RankedTensorType::get({}, builder.getI64Type());
    Value seed = insertArgument(init, Role::Scalar, "seed", seedType, forward.getLoc());
    SmallVector<NamedResult> results;
    for (auto [id, parameter] : drawn) {
      auto initializer = parseInitializer(parameter, forward);
      if (failed(initializer)) {
        init.erase();
        return signalPassFailure();
      }
      GraphBuilder build(builder, parameter.getLoc());
      results.push_back({buildInitial(build, *initializer, tensorType(parameter), seed, id),
                         argumentName(parameter).str(),
                         roleName(roleOf(forward, parameter.getArgNumber()))});
    }
    func::ReturnOp::create(builder, forward.getLoc());
    setResults(init, results);
  }
};

} // namespace
} // namespace ingot
