#include "passes/kernels/OutlineKernels.h"
#include "ir/dialect/Graph.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/CSE.h"
#include "passes/linalg/Reshape.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;

namespace ingot {
namespace {

void collectNames(Location location, llvm::SmallSetVector<StringAttr, 8> &names) {
  if (auto name = dyn_cast<NameLoc>(location))
    names.insert(name.getName());
  else if (auto fused = dyn_cast<FusedLoc>(location))
    for (Location part : fused.getLocations())
      collectNames(part, names);
}

/// Builds one kernel function by cloning ops on demand.
class KernelBody {
public:
  KernelBody(ArrayRef<Operation *> ops, Location location)
      : builder(location.getContext()), ops(ops), location(location) {}

  /// The function returns `results`; `arguments` are the values of the step that it takes.
  func::FuncOp build(ArrayRef<Value> results);
  SmallVector<Value> arguments;

private:
  Value inside(Value value);
  void clone(Operation *op);
  bool isComputedHere(Value value) const {
    Operation *op = viewSource(value).getDefiningOp();
    return op && llvm::is_contained(ops, op);
  }

  OpBuilder builder;
  ArrayRef<Operation *> ops;
  Location location;
  func::FuncOp function;
  IRMapping mapping;
};

func::FuncOp KernelBody::build(ArrayRef<Value> results) {
  auto types = llvm::map_to_vector(results, [](Value value) { return value.getType(); });
  function = func::FuncOp::create(location, "kernel", builder.getFunctionType({}, types));
  builder.setInsertionPointToStart(function.addEntryBlock());
  for (Operation *op : ops)
    clone(op);
  auto returned = llvm::map_to_vector(results, [&](Value value) { return inside(value); });
  func::ReturnOp::create(builder, location, returned);
  function.setType(builder.getFunctionType(function.getBody().front().getArgumentTypes(), types));
  return function;
}

void KernelBody::clone(Operation *op) {
  for (Value operand : op->getOperands())
    inside(operand);
  for (Region &region : op->getRegions())
    region.walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        if (!region.isAncestor(operand.getParentRegion()))
          inside(operand);
    });
  builder.clone(*op, mapping);
}

/// The value in the kernel: computed there, made there, or a new argument.
Value KernelBody::inside(Value value) {
  if (Value known = mapping.lookupOrNull(value))
    return known;
  Operation *op = value.getDefiningOp();
  bool isMadeHere = op && (isInlinedConstant(op) || isa<tensor::EmptyOp, linalg::FillOp>(op));
  bool isViewHere = op && kindOf(op) == OpKind::View && isComputedHere(value);
  if (isMadeHere || isViewHere) {
    clone(op);
    return mapping.lookup(value);
  }
  arguments.push_back(value);
  Value argument = function.getBody().front().addArgument(value.getType(), value.getLoc());
  mapping.map(value, argument);
  return argument;
}

/// What a function does, as a sequence of addresses and numbers: two are equal if they differ in
/// nothing but locations. Ops' names, types and attributes exist once in a context.
class Structure {
public:
  explicit Structure(Operation *op) { add(op); }
  std::vector<uintptr_t> words;

private:
  void add(const void *address) { words.push_back(uintptr_t(address)); }
  void define(Value value) {
    numbers[value] = numbers.size();
    add(value.getType().getAsOpaquePointer());
  }
  void add(Operation *op) {
    add(op->getName().getAsOpaquePointer());
    add(op->getAttrDictionary().getAsOpaquePointer());
    words.insert(words.end(), {op->getNumOperands(), op->getNumResults(), op->getNumRegions()});
    for (Value operand : op->getOperands())
      words.push_back(numbers.lookup(operand));
    for (Value result : op->getResults())
      define(result);
    for (Region &region : op->getRegions()) {
      words.push_back(region.getBlocks().size());
      for (Block &block : region) {
        words.insert(words.end(), {block.getNumArguments(), block.getOperations().size()});
        for (BlockArgument argument : block.getArguments())
          define(argument);
        for (Operation &inner : block)
          add(&inner);
      }
    }
  }
  llvm::DenseMap<Value, size_t> numbers;
};

} // namespace

std::string nodeNames(ArrayRef<Location> locations) {
  llvm::SmallSetVector<StringAttr, 8> names;
  for (Location location : locations)
    collectNames(location, names);
  return llvm::join(llvm::map_range(names, [](StringAttr name) { return name.getValue(); }), ", ");
}

/// Outlines the kernels of one function.
class FunctionOutliner {
public:
  FunctionOutliner(KernelOutliner &kernels, func::FuncOp function, const KernelGroups &groups,
                   const KernelValues &values)
      : kernels(kernels), function(function), groups(groups), values(values),
        builder(function.getBody().front().getTerminator()) {}

  LogicalResult run();

private:
  void callKernel(unsigned group, ArrayRef<Operation *> body);
  LogicalResult callUpdate(Operation *update);
  Value stepValue(Value value);
  Location locationOf(ArrayRef<Operation *> body, std::string &names);

  KernelOutliner &kernels;
  func::FuncOp function;
  const KernelGroups &groups;
  const KernelValues &values;
  OpBuilder builder;
  Operation *missing = nullptr; ///< what a kernel reads although none before it computes it
  IRMapping mapping;            ///< value before → value after
};

LogicalResult FunctionOutliner::run() {
  Block &block = function.getBody().front();
  Operation *terminator = block.getTerminator();
  SmallVector<Operation *> old;
  for (Operation &op : block.without_terminator())
    old.push_back(&op);
  for (unsigned group : groups.order()) {
    std::vector<Operation *> body = values.body(group);
    if (body.empty())
      continue;
    if (groups.groups[group].root != Root::Update)
      callKernel(group, body);
    else if (failed(callUpdate(body.back())))
      return failure();
  }
  for (OpOperand &operand : terminator->getOpOperands())
    operand.set(stepValue(operand.get()));
  if (missing)
    return missing->emitError("is read by a kernel that runs before it is computed");
  for (Operation *op : llvm::reverse(old))
    op->erase();
  return success();
}

/// A value of the function as the calls made so far give it.
Value FunctionOutliner::stepValue(Value value) {
  if (Value known = mapping.lookupOrNull(value))
    return known;
  if (isa<BlockArgument>(value))
    return value;
  Operation *op = value.getDefiningOp();
  if (kindOf(op) != OpKind::View && kindOf(op) != OpKind::Source) {
    missing = op;
    return value;
  }
  for (Value operand : op->getOperands())
    mapping.map(operand, stepValue(operand));
  Value result;
  if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op))
    result = reshapeTensor(builder, op->getLoc(), mapping.lookup(op->getOperand(0)),
                           cast<RankedTensorType>(value.getType()).getShape());
  else
    result = builder.clone(*op, mapping)->getResult(0); // a slice or a constant
  mapping.map(value, result);
  return result;
}

Location FunctionOutliner::locationOf(ArrayRef<Operation *> body, std::string &names) {
  auto locations = llvm::map_to_vector(body, [](Operation *op) { return op->getLoc(); });
  names = nodeNames(locations);
  if (names.empty())
    return locations.front();
  return NameLoc::get(builder.getStringAttr(names));
}

void FunctionOutliner::callKernel(unsigned group, ArrayRef<Operation *> body) {
  SmallVector<Operation *> own;
  for (Operation *op : body)
    if (groups.home(op->getResult(0)) == group)
      own.push_back(op);
  std::string names;
  Location location = locationOf(own, names);
  std::vector<Value> results = values.results(group);
  KernelBody kernelBody(body, location);
  func::FuncOp kernel = kernels.unique(kernelBody.build(results), groups.groups[group].root, names);
  auto operands =
      llvm::map_to_vector(kernelBody.arguments, [&](Value value) { return stepValue(value); });
  auto call = func::CallOp::create(builder, location, kernel, operands);
  for (auto [before, after] : llvm::zip_equal(results, call.getResults()))
    mapping.map(before, after);
}

LogicalResult FunctionOutliner::callUpdate(Operation *update) {
  Location location = update->getLoc();
  SmallVector<Value> operands;
  size_t tensors = 0;
  for (ValueRange group : updateOperandGroups(update)) {
    auto values = llvm::map_to_vector(group, [&](Value value) { return stepValue(value); });
    operands.push_back(graph::BucketOp::create(builder, location, values));
    tensors += group.size();
  }
  int64_t elements = elementsOf(operands.front());
  for (Value scalar : update->getOperands().drop_front(tensors))
    operands.push_back(stepValue(scalar));
  func::FuncOp kernel = buildUpdateKernel(update, elements);
  if (!kernel)
    return failure();
  kernel = kernels.unique(kernel, Root::Update, nodeNames(location));
  auto call = func::CallOp::create(builder, location, kernel, operands);
  for (auto [flat, group] : llvm::zip_equal(call.getResults(), updateResultGroups(update))) {
    auto tensors = graph::UnbucketOp::create(builder, location, group.getTypes(), flat);
    for (auto [before, after] : llvm::zip_equal(group, tensors.getResults()))
      mapping.map(before, after);
  }
  return success();
}

LogicalResult KernelOutliner::outline(func::FuncOp function, const KernelGroups &groups,
                                      const KernelValues &values) {
  return FunctionOutliner(*this, function, groups, values).run();
}

func::FuncOp KernelOutliner::unique(func::FuncOp kernel, Root root, StringRef ops) {
  Builder builder(kernel.getContext());
  DominanceInfo dominance;
  IRRewriter rewriter(kernel.getContext());
  eliminateCommonSubExpressions(rewriter, dominance, kernel);
  kernel.setName("kernel");
  kernel.setPrivate();
  kernel->setAttr("graph.kernel", builder.getStringAttr(name(root)));
  func::FuncOp &known = kernels[Structure(kernel).words];
  if (known) {
    kernel.erase();
    return known;
  }
  std::string text;
  llvm::raw_string_ostream stream(text);
  kernel->print(stream, OpPrintingFlags().useLocalScope());
  kernel.setName(llvm::formatv("{0}_{1:x-8}", name(root), uint32_t(llvm::xxh3_64bits(text))).str());
  kernel->setAttr("graph.ops", builder.getStringAttr(ops));
  symbols.insert(kernel);
  return known = kernel;
}

} // namespace ingot
