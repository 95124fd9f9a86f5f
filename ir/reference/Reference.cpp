#include "ir/reference/Reference.h"
#include "ir/reference/ReferenceOps.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ingot {
namespace {
using namespace graph;

/// The values of one call's SSA values. A value goes when its last user in its block has run, so
/// that a training step does not hold every activation at once.
class Interpreter {
public:
  explicit Interpreter(const ReferenceObserver &observer) : observer(observer) {}

  Result<Tensors> runFunction(func::FuncOp function, Operands arguments);

private:
  Result<Tensors> runBlock(Block &block, Operands arguments);
  Result<Tensors> run(Operation *op, Operands operands);
  Result<Tensors> runLoop(LoopOp op, Operands operands);
  Result<Tensors> runIf(IfOp op, Operands operands);
  Result<Tensors> runCall(func::CallOp op, Operands operands);
  void releaseAfter(Operation *op, Block &block);

  const ReferenceObserver &observer;
  DenseMap<Value, Tensor> values;
};

std::string describe(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

bool holds(Type type, const Tensor &tensor) {
  auto ranked = dyn_cast<RankedTensorType>(type);
  return ranked && ranked.hasStaticShape() && ranked.getShape().vec() == tensor.shape() &&
         elementTypeOf(ranked.getElementType()) == tensor.type();
}

Result<Tensors> Interpreter::runFunction(func::FuncOp function, Operands arguments) {
  std::string name = "@" + function.getName().str();
  if (function.isExternal())
    return failure(Error::Code::BadInput, name, "the function has no body");
  if (function.getNumArguments() != arguments.size())
    return failure(Error::Code::BadInput, name, "{} arguments given, {} expected", arguments.size(),
                   function.getNumArguments());
  for (auto [index, type] : llvm::enumerate(function.getArgumentTypes()))
    if (!holds(type, arguments[index]))
      return failure(Error::Code::BadInput, name, "argument {} is {} {}, expected {}", index,
                     ingot::name(arguments[index].type()), toString(arguments[index].shape()),
                     describe(type));
  if (!function.getBody().hasOneBlock())
    return failure(Error::Code::Unsupported, name, "the function has more than one block");
  return runBlock(function.getBody().front(), arguments);
}

void Interpreter::releaseAfter(Operation *op, Block &block) {
  for (Value operand : op->getOperands()) {
    if (operand.getParentBlock() != &block)
      continue;
    bool isLast = llvm::all_of(operand.getUsers(), [&](Operation *user) {
      Operation *ancestor = block.findAncestorOpInBlock(*user);
      return ancestor == op || ancestor->isBeforeInBlock(op);
    });
    if (isLast)
      values.erase(operand);
  }
}

Result<Tensors> Interpreter::runBlock(Block &block, Operands arguments) {
  for (auto [argument, value] : llvm::zip_equal(block.getArguments(), arguments))
    values[argument] = value;
  for (Operation &op : block) {
    Tensors operands;
    for (Value operand : op.getOperands())
      operands.push_back(values.lookup(operand));
    if (op.hasTrait<OpTrait::IsTerminator>())
      return operands;
    INGOT_ASSIGN(Tensors results, run(&op, operands));
    if (observer)
      observer(&op, results);
    for (auto [result, value] : llvm::zip_equal(op.getResults(), results))
      values[result] = value;
    releaseAfter(&op, block);
  }
  return errorAt(block.getParentOp(), Error::Code::Internal, "a block has no terminator");
}

Result<Tensors> Interpreter::run(Operation *op, Operands operands) {
  return TypeSwitch<Operation *, Result<Tensors>>(op)
      .Case([&](LoopOp op) { return runLoop(op, operands); })
      .Case([&](IfOp op) { return runIf(op, operands); })
      .Case([&](func::CallOp op) { return runCall(op, operands); })
      .Default([&](Operation *op) { return evaluate(op, operands); });
}

Result<Tensors> Interpreter::runLoop(LoopOp op, Operands operands) {
  int64_t trips = load<int64_t>(operands[0])[0];
  if (trips < 0)
    return errorAt(op, Error::Code::BadInput, "the trip count {} is negative", trips);
  if (std::optional<uint64_t> most = op.getAtMost(); most && trips > int64_t(*most))
    return errorAt(op, Error::Code::BadInput, "the trip count {} is more than {}", trips, *most);
  Tensors carried(operands.begin() + 1, operands.end());
  size_t carriedCount = carried.size();
  Tensors stacked;
  for (size_t index = carriedCount; index < op.getNumResults(); ++index) {
    auto type = dyn_cast<RankedTensorType>(op.getResult(index).getType());
    Shape shape = type.getShape().vec();
    if (ShapedType::isDynamic(shape[0]))
      shape[0] = trips;
    if (trips > shape[0])
      return errorAt(op, Error::Code::BadInput, "result {} has room for {} iterations, but {} ran",
                     index, shape[0], trips);
    stacked.emplace_back(*elementTypeOf(type.getElementType()), shape);
  }
  for (int64_t done = 0; done < trips; ++done) {
    const int64_t trip = op.getReverse() ? trips - 1 - done : done;
    Tensors arguments = {store(operands[0].type(), {}, std::vector<int64_t>{trip})};
    arguments.insert(arguments.end(), carried.begin(), carried.end());
    INGOT_ASSIGN(Tensors yielded, runBlock(op.getBody().front(), arguments));
    for (size_t index = carriedCount; index < yielded.size(); ++index)
      std::memcpy(stacked[index - carriedCount].as<char>() + trip * yielded[index].bytes(),
                  yielded[index].data(), yielded[index].bytes());
    carried.assign(yielded.begin(), yielded.begin() + carriedCount);
  }
  carried.insert(carried.end(), stacked.begin(), stacked.end());
  return carried;
}

Result<Tensors> Interpreter::runIf(IfOp op, Operands operands) {
  bool condition = operands[0].as<uint8_t>()[0];
  return runBlock((condition ? op.getThenRegion() : op.getElseRegion()).front(), {});
}

Result<Tensors> Interpreter::runCall(func::CallOp op, Operands operands) {
  auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(op, op.getCalleeAttr());
  if (!callee)
    return errorAt(op, Error::Code::BadInput, "there is no function @{}", op.getCallee().str());
  return Interpreter(observer).runFunction(callee, operands);
}

} // namespace

Result<std::vector<Tensor>> evaluate(Operation *op, std::span<const Tensor> operands) {
  for (Type type : op->getResultTypes())
    if (auto ranked = dyn_cast<RankedTensorType>(type); !ranked || !ranked.hasStaticShape())
      return errorAt(op, Error::Code::Unsupported, "{} has no static shape: specialise first",
                     describe(type));
  for (auto group : {evaluateElementwise, evaluateMovement, evaluateReduction, evaluateComposite})
    if (std::optional<Result<Tensors>> results = group(op, operands))
      return std::move(*results);
  return errorAt(op, Error::Code::Unsupported, "the reference has no such op");
}

Result<std::vector<Tensor>> interpret(func::FuncOp function, std::span<const Tensor> arguments,
                                      const ReferenceObserver &observer) {
  return Interpreter(observer).runFunction(function, arguments);
}

} // namespace ingot
