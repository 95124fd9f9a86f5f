#include "frontend/check/Check.h"
#include "frontend/api/LoadedModel.h"
#include "frontend/api/ModelModule.h"
#include "frontend/check/Compare.h"
#include "frontend/check/ReferenceDevice.h"
#include "ir/dialect/Elements.h"
#include "ir/dialect/Graph.h"
#include "ir/reference/Reference.h"
#include "passes/Signature.h"
#include "passes/training/Gradients.h"
#include "runtime/data/Random.h"
#include "runtime/program/Scalars.h"
#include <set>

namespace ingot {
namespace {

constexpr uint32_t checkStream = 32; ///< keeps these random numbers apart from others

/// Uniform numbers in [low, high), whole ones for integer types.
Tensor randomTensor(const Port &port, double low, double high, uint64_t seed, uint64_t number) {
  std::vector<double> values(size_t(elementCount(port.shape)));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] =
        low + (high - low) * randomUniform(randomBits(seed, checkStream, number, uint32_t(i)));
  if (graph::kindOf(port.type) == graph::ElementKind::Float)
    return graph::store<double>(port.type, port.shape, values);
  return graph::store<int64_t>(port.type, port.shape,
                               std::vector<int64_t>(values.begin(), values.end()));
}

/// Inputs that keep a step well-conditioned: moments small beside gradients, but not zero, so that
/// no update hangs on the sign of a rounding error.
Tensor inputFor(const Port &port, int64_t integerLimit, uint64_t seed, uint64_t number) {
  if (Result<Tensor> scalar = scalarInput(port, {.learningRate = 1e-2, .step = 10, .seed = seed});
      scalar && port.role == Role::Scalar)
    return *scalar;
  if (graph::kindOf(port.type) != graph::ElementKind::Float)
    return randomTensor(port, 0, double(integerLimit), seed, number);
  if (port.role == Role::State)
    return randomTensor(port, 0.25e-6, 1e-6, seed, number);
  if (port.role == Role::Parameter)
    return randomTensor(port, -0.2, 0.2, seed, number);
  return randomTensor(port, -1, 1, seed, number);
}

bool isWritten(const Port &port, const Function &function) {
  return port.role == Role::Output ||
         ((function.name == "step" || function.name == "init" || function.name == deriveFunction) &&
          isPersistent(port.role));
}

bool isRead(const Port &port, const Function &function) {
  return port.role != Role::Output && port.role != Role::Error && port.role != Role::Derived &&
         (function.name != "init" || isFed(port.role));
}

class Checker {
public:
  Checker(const Model &model, const CheckOptions &options,
          const std::function<void(const CheckRow &)> &progress)
      : model(model), options(options), progress(progress) {}

  Result<CheckReport> run() {
    INGOT_ASSIGN(module, lowerTo(Stage::Train, moduleOf(model), options.compile));
    for (const ModelPort &port : model.ports())
      if (port.role == Role::Output && !port.shape.empty())
        integerLimit = port.shape.back();
    INGOT_ASSIGN(LoadedModel tested,
                 loadModel(model, options.compile, options.device, options.threads));
    INGOT_ASSIGN(std::unique_ptr<Session> reference, openReferenceSession(model, options.compile));
    for (const Function &function : reference->program().functions)
      INGOT_TRY(checkFunction(function, *tested.session, *reference));
    if (options.ops)
      for (const Function &function : reference->program().functions)
        INGOT_TRY(checkOps(function));
    if (!wrongFunction.empty())
      INGOT_TRY(findCulprit(tested.session->program()));
    return std::move(report);
  }

private:
  Status checkFunction(const Function &function, Session &tested, Session &reference);
  Status checkOps(const Function &function);
  Status findCulprit(const Program &program);
  /// Compiles a one-function module and compares its results with the expected ones.
  Result<double> compareModule(const Model &small, std::span<const Tensor> arguments,
                               std::span<const Tensor> expected) const;
  Model moduleOfOp(mlir::Operation *op) const;
  Model prefixModule(mlir::func::FuncOp function, mlir::Operation *last) const;
  /// Every value of a function, as the reference computes it from the check's random inputs.
  Status trace(const Function &function,
               const std::function<void(mlir::Operation *, std::span<const Tensor>)> &visit) const;
  std::vector<Tensor> argumentsOf(const Function &function) const;
  /// What came with the model's file, else random numbers.
  Tensor valueOf(const Port &port, uint64_t number) const {
    auto value = model.weights().find(port.name);
    return isPersistent(port.role) && value != model.weights().end()
               ? value->second.clone()
               : inputFor(port, integerLimit, options.seed, number);
  }
  mlir::func::FuncOp entryOf(llvm::StringRef name) const {
    mlir::ModuleOp stage = module.get();
    return stage.lookupSymbol<mlir::func::FuncOp>(name);
  }
  void add(std::vector<CheckRow> &rows, CheckRow row) {
    if (progress)
      progress(row);
    rows.push_back(std::move(row));
  }

  const Model &model;
  const CheckOptions &options;
  const std::function<void(const CheckRow &)> &progress;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  int64_t integerLimit = 2;
  std::string wrongFunction, wrongOutput; ///< the first that differs
  CheckReport report;
};

//===--------------------------------------------------------------------------------------------===//
// Whole functions
//===--------------------------------------------------------------------------------------------===//

Status Checker::checkFunction(const Function &function, Session &tested, Session &reference) {
  for (size_t i = 0; i < function.ports.size(); ++i) {
    const Port &port = function.ports[i];
    if (!isRead(port, function))
      continue;
    Tensor value = valueOf(port, i);
    INGOT_TRY(tested.write(function.name, port.name, value));
    INGOT_TRY(reference.write(function.name, port.name, value));
  }
  INGOT_TRY(tested.run(function.name));
  INGOT_TRY(reference.run(function.name));
  std::vector<std::pair<std::string, Difference>> differences;
  double largest = 0;
  for (const Port &port : function.ports) {
    if (!isWritten(port, function))
      continue;
    INGOT_ASSIGN(Tensor actual, tested.read(function.name, port.name));
    INGOT_ASSIGN(Tensor expected, reference.read(function.name, port.name));
    differences.emplace_back(port.name, compareTensors(actual, expected));
    largest = std::max(largest, differences.back().second.reference);
  }
  for (const auto &[output, difference] : differences) {
    CheckRow row{function.name, output, difference.relative(1e-6 * largest), true, ""};
    row.fine = row.relative <= options.functionTolerance;
    if (!row.fine && wrongFunction.empty())
      wrongFunction = function.name, wrongOutput = output;
    add(report.outputs, std::move(row));
  }
  return {};
}

//===--------------------------------------------------------------------------------------------===//
// Single ops
//===--------------------------------------------------------------------------------------------===//

std::vector<Tensor> Checker::argumentsOf(const Function &function) const {
  auto entry = entryOf(function.name);
  std::vector<Tensor> arguments;
  for (unsigned i = 0; i < entry.getNumArguments(); ++i)
    arguments.push_back(valueOf(function.ports[i], i));
  return arguments;
}

Status
Checker::trace(const Function &function,
               const std::function<void(mlir::Operation *, std::span<const Tensor>)> &visit) const {
  auto entry = entryOf(function.name);
  std::vector<Tensor> arguments = argumentsOf(function);
  Result<std::vector<Tensor>> results = interpret(entry, arguments, visit);
  INGOT_TRY(results);
  return {};
}

/// The op with its attributes and types, without the names of its operands; with its regions.
std::string signatureOf(mlir::Operation *op) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (op->getNumRegions()) {
    stream << *op;
    return text;
  }
  stream << op->getName() << op->getAttrDictionary();
  llvm::interleaveComma(op->getOperandTypes(), stream << " : ");
  llvm::interleaveComma(op->getResultTypes(), stream << " -> ");
  return text;
}

/// What an op and its regions read that is no constant; constants stay what they are when an op is
/// checked on its own.
llvm::SmallVector<mlir::Value> variableOperands(mlir::Operation *op) {
  llvm::SetVector<mlir::Value> variables;
  for (mlir::Value operand : operandsAndCaptures(op))
    if (!operand.getDefiningOp<graph::ConstantOp>())
      variables.insert(operand);
  return variables.takeVector();
}

void nameFunction(mlir::func::FuncOp function) {
  mlir::Builder builder(function.getContext());
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    function.setArgAttr(i, nameAttribute, builder.getStringAttr("argument" + std::to_string(i)));
    function.setArgAttr(i, roleAttribute, builder.getStringAttr("input"));
    function.removeArgAttr(i, donatedAttribute);
    function.removeArgAttr(i, initAttribute);
  }
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    function.setResultAttr(i, nameAttribute, builder.getStringAttr("result" + std::to_string(i)));
}

Model Checker::moduleOfOp(mlir::Operation *op) const {
  auto impl = std::make_shared<Model::Impl>(model.internals().context);
  mlir::OpBuilder builder(op->getContext());
  impl->module = mlir::ModuleOp::create(op->getLoc());
  builder.setInsertionPointToEnd(impl->module->getBody());
  auto function = mlir::func::FuncOp::create(
      builder, op->getLoc(), "forward",
      builder.getFunctionType(mlir::ValueRange(variableOperands(op)).getTypes(),
                              op->getResultTypes()));
  mlir::Block *body = function.addEntryBlock();
  builder.setInsertionPointToEnd(body);
  mlir::IRMapping mapping;
  mapping.map(variableOperands(op), body->getArguments());
  for (mlir::Value operand : operandsAndCaptures(op))
    if (!mapping.contains(operand))
      builder.clone(*operand.getDefiningOp(), mapping);
  mlir::Operation *clone = builder.clone(*op, mapping);
  mlir::func::ReturnOp::create(builder, op->getLoc(), clone->getResults());
  nameFunction(function);
  return Model(std::move(impl));
}

Result<double> Checker::compareModule(const Model &small, std::span<const Tensor> arguments,
                                      std::span<const Tensor> expected) const {
  CompileOptions compileOptions = options.compile;
  compileOptions.training.reset();
  INGOT_ASSIGN(LoadedModel tested,
               loadModel(small, compileOptions, options.device, options.threads));
  const Function &function = *tested.session->program().function("forward");
  for (size_t i = 0; i < arguments.size(); ++i)
    if (std::string port = "argument" + std::to_string(i); function.port(port))
      INGOT_TRY(tested.session->write("forward", port, arguments[i]));
  INGOT_TRY(tested.session->run("forward"));
  double worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    INGOT_ASSIGN(Tensor actual, tested.session->read("forward", "result" + std::to_string(i)));
    worst = std::max(worst, compareTensors(actual, expected[i]).relative());
  }
  return worst;
}

Status Checker::checkOps(const Function &function) {
  struct Case {
    mlir::Operation *op;
    std::vector<Tensor> operands, results;
  };
  std::set<std::string> seen;
  std::vector<Case> cases;
  llvm::DenseMap<mlir::Value, Tensor> values;
  auto entry = entryOf(function.name);
  std::vector<Tensor> arguments = argumentsOf(function);
  for (auto [argument, value] : llvm::zip(entry.getArguments(), arguments))
    values[argument] = value;
  INGOT_TRY(trace(function, [&](mlir::Operation *op, std::span<const Tensor> results) {
    if (op->getParentOp() != entry)
      return; // The loop or branch around it is checked as one op.
    for (auto [result, value] : llvm::zip(op->getResults(), results))
      values[result] = value;
    if (mlir::isa<graph::ConstantOp>(op) || !seen.insert(signatureOf(op)).second)
      return;
    Case next{op, {}, {results.begin(), results.end()}};
    for (mlir::Value operand : variableOperands(op))
      next.operands.push_back(values.at(operand));
    cases.push_back(std::move(next));
  }));
  for (const Case &next : cases) {
    CheckRow row{
        function.name,
        fmt::format("{} {}", next.op->getName().stripDialect().str(), placeOf(next.op->getLoc())),
        0, true, ""};
    Result<double> relative = compareModule(moduleOfOp(next.op), next.operands, next.results);
    if (relative)
      row.relative = *relative;
    else
      row.problem = relative.error().text();
    row.fine = relative && row.relative <= options.tolerance;
    add(report.ops, std::move(row));
  }
  return {};
}

//===--------------------------------------------------------------------------------------------===//
// Where a fused program goes wrong
//===--------------------------------------------------------------------------------------------===//

Model Checker::prefixModule(mlir::func::FuncOp function, mlir::Operation *last) const {
  auto impl = std::make_shared<Model::Impl>(model.internals().context);
  impl->module = mlir::ModuleOp::create(function.getLoc());
  mlir::OpBuilder builder(function.getContext());
  builder.setInsertionPointToEnd(impl->module->getBody());
  auto clone = mlir::func::FuncOp::create(
      builder, function.getLoc(), "forward",
      builder.getFunctionType(function.getArgumentTypes(), last->getResultTypes()));
  mlir::Block *body = clone.addEntryBlock();
  builder.setInsertionPointToEnd(body);
  mlir::IRMapping mapping;
  mapping.map(function.getArguments(), body->getArguments());
  for (mlir::Operation &op : function.getBody().front().without_terminator()) {
    builder.clone(op, mapping);
    if (&op == last)
      break;
  }
  llvm::SmallVector<mlir::Value> results;
  for (mlir::Value result : last->getResults())
    results.push_back(mapping.lookup(result));
  mlir::func::ReturnOp::create(builder, last->getLoc(), results);
  nameFunction(clone);
  return Model(std::move(impl));
}

/// The ops of a function that one of its results is computed from.
static llvm::DenseSet<mlir::Operation *> opsBehind(mlir::func::FuncOp function,
                                                   const std::string &result) {
  llvm::DenseSet<mlir::Operation *> ops;
  llvm::SmallVector<mlir::Value> values;
  for (auto [index, value] :
       llvm::enumerate(function.getBody().front().getTerminator()->getOperands()))
    if (resultName(function, index) == result)
      values.push_back(value);
  while (!values.empty())
    if (mlir::Operation *op = values.pop_back_val().getDefiningOp(); op && ops.insert(op).second)
      op->walk([&](mlir::Operation *inner) { llvm::append_range(values, inner->getOperands()); });
  return ops;
}

Status Checker::findCulprit(const Program &program) {
  CompileReport unused;
  INGOT_ASSIGN(Program described, describeFunctions(*module));
  const Function &function = *described.function(wrongFunction);
  auto entry = entryOf(wrongFunction);
  const llvm::DenseSet<mlir::Operation *> suspects = opsBehind(entry, wrongOutput);
  std::vector<std::pair<mlir::Operation *, std::vector<Tensor>>> values;
  INGOT_TRY(trace(function, [&](mlir::Operation *op, std::span<const Tensor> results) {
    if (suspects.contains(op) && op->getParentOp() == entry && !mlir::isa<graph::ConstantOp>(op))
      values.push_back({op, {results.begin(), results.end()}});
  }));
  std::vector<Tensor> arguments = argumentsOf(function);
  // Wrong values stay wrong downstream, mostly: the first one is found by halving.
  size_t low = 0, high = values.size();
  while (low < high) {
    size_t middle = (low + high) / 2;
    auto &[op, expected] = values[middle];
    Result<double> relative = compareModule(prefixModule(entry, op), arguments, expected);
    if (relative && *relative <= options.functionTolerance)
      low = middle + 1;
    else
      high = middle;
  }
  if (values.empty())
    return {};
  // Where every value is right on its own, what gives the output is wrong.
  mlir::Operation *op = values[std::min(low, values.size() - 1)].first;
  std::string node = placeOf(op->getLoc());
  report.culprit =
      fmt::format("@{}: {} {}", wrongFunction, op->getName().stripDialect().str(), node);
  for (const Kernel &kernel : program.kernels)
    if (!node.empty() && kernel.ops.find(node) != std::string::npos)
      report.kernels.push_back(fmt::format("{} ({}: {})", kernel.name, kernel.root, kernel.ops));
  return {};
}

} // namespace

bool CheckReport::fine() const {
  auto isFine = [](const CheckRow &row) { return row.fine; };
  return std::ranges::all_of(outputs, isFine) && std::ranges::all_of(ops, isFine);
}

Result<CheckReport> checkModel(const Model &model, const CheckOptions &options,
                               const std::function<void(const CheckRow &)> &progress) {
  return Checker(model, options, progress).run();
}

} // namespace ingot
