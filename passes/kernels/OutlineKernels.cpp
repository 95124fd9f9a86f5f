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

/// What ops do, as a sequence of addresses and numbers: two are equal if they differ in nothing but
/// locations and in which values come from outside. Ops' names, types and attributes exist once in
/// a context.
class Structure {
public:
  void define(Value value) {
    const size_t number = numbers.size();
    numbers[value] = number;
    words.push_back(uintptr_t(value.getType().getAsOpaquePointer()));
  }
  void use(Value value) { words.push_back(numbers.lookup(value)); }
  void add(Operation *op);
  KernelOutliner::Words words;

private:
  llvm::DenseMap<Value, size_t> numbers;
};

void Structure::add(Operation *op) {
  words.insert(words.end(), {uintptr_t(op->getName().getAsOpaquePointer()),
                             uintptr_t(op->getAttrDictionary().getAsOpaquePointer()),
                             op->getNumOperands(), op->getNumResults(), op->getNumRegions()});
  llvm::for_each(op->getOperands(), [&](Value operand) { use(operand); });
  llvm::for_each(op->getResults(), [&](Value result) { define(result); });
  for (Region &region : op->getRegions()) {
    words.push_back(region.getBlocks().size());
    for (Block &block : region) {
      words.insert(words.end(), {block.getNumArguments(), block.getOperations().size()});
      llvm::for_each(block.getArguments(), [&](Value argument) { define(argument); });
      for (Operation &inner : block)
        add(&inner);
    }
  }
}

/// One kernel before it is a function: the ops that it will hold, and what it takes.
class KernelBody {
public:
  KernelBody(ArrayRef<Operation *> ops, ArrayRef<Value> results);

  /// What the kernel does.
  KernelOutliner::Words structure(KernelRoot root) const;
  /// The function.
  func::FuncOp build(Location location) const;
  llvm::SetVector<Value> arguments; ///< the values of the step that it takes

private:
  void need(Value value);
  void hold(Operation *op);

  llvm::DenseSet<Operation *> own; ///< that the kernel is for; views and constants come along
  SmallVector<Value> results;
  llvm::SetVector<Operation *> held; ///< in order
};

KernelBody::KernelBody(ArrayRef<Operation *> ops, ArrayRef<Value> results)
    : own(ops.begin(), ops.end()), results(results) {
  llvm::for_each(ops, [&](Operation *op) { hold(op); });
  llvm::for_each(results, [&](Value value) { need(value); });
}

void KernelBody::hold(Operation *op) {
  llvm::for_each(op->getOperands(), [&](Value operand) { need(operand); });
  for (Region &region : op->getRegions())
    region.walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        if (!region.isAncestor(operand.getParentRegion()))
          need(operand);
    });
  held.insert(op);
}

/// A value in the kernel is computed there, made there, or an argument.
void KernelBody::need(Value value) {
  Operation *op = value.getDefiningOp();
  if (op && held.contains(op))
    return;
  bool isMadeHere =
      op && roleOf(op) == OpRole::Source && (!isa<arith::ConstantOp>(op) || isInlinedConstant(op));
  bool isViewHere =
      op && roleOf(op) == OpRole::View && own.contains(viewSource(value).getDefiningOp());
  if (isMadeHere || isViewHere)
    hold(op);
  else
    arguments.insert(value);
}

KernelOutliner::Words KernelBody::structure(KernelRoot root) const {
  Structure structure;
  structure.words = {uintptr_t(root), arguments.size()};
  llvm::for_each(arguments, [&](Value argument) { structure.define(argument); });
  llvm::for_each(held, [&](Operation *op) { structure.add(op); });
  llvm::for_each(results, [&](Value result) { structure.use(result); });
  return std::move(structure.words);
}

func::FuncOp KernelBody::build(Location location) const {
  OpBuilder builder(location.getContext());
  auto types = [](auto &&values) { return llvm::to_vector(ValueRange(values).getTypes()); };
  auto function = func::FuncOp::create(
      location, "kernel",
      builder.getFunctionType(types(arguments.getArrayRef()), types(ArrayRef(results))));
  builder.setInsertionPointToStart(function.addEntryBlock());
  IRMapping mapping;
  for (auto [value, argument] : llvm::zip_equal(arguments, function.getArguments())) {
    mapping.map(value, argument);
    argument.setLoc(value.getLoc());
  }
  for (Operation *op : held)
    builder.clone(*op, mapping);
  auto returned = llvm::map_to_vector(results, [&](Value value) { return mapping.lookup(value); });
  func::ReturnOp::create(builder, location, returned);
  return function;
}

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
  LogicalResult callUpdate(graph::UpdateOp update);
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
    if (groups.groups[group].root != KernelRoot::Update)
      callKernel(group, body);
    else if (failed(callUpdate(cast<graph::UpdateOp>(body.back()))))
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
  if (roleOf(op) != OpRole::View && roleOf(op) != OpRole::Source) {
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
  const KernelRoot root = groups.groups[group].root;
  KernelBody kernelBody(body, results);
  func::FuncOp kernel = kernels.known(kernelBody.structure(root), [&] {
    return kernels.unique(kernelBody.build(location), root, names);
  });
  auto operands =
      llvm::map_to_vector(kernelBody.arguments, [&](Value value) { return stepValue(value); });
  auto call = func::CallOp::create(builder, location, kernel, operands);
  for (auto [before, after] : llvm::zip_equal(results, call.getResults()))
    mapping.map(before, after);
}

LogicalResult FunctionOutliner::callUpdate(graph::UpdateOp update) {
  Location location = update->getLoc();
  SmallVector<Value> operands;
  size_t tensors = 0;
  for (ValueRange group : update.getOperandGroups()) {
    auto values = llvm::map_to_vector(group, [&](Value value) { return stepValue(value); });
    operands.push_back(graph::BucketOp::create(builder, location, values));
    tensors += group.size();
  }
  int64_t elements = elementsOf(operands.front());
  for (Value scalar : update.getScalars())
    operands.push_back(stepValue(scalar));
  Structure structure; // with the shapes of its tensors, though these only add up
  structure.words = {uintptr_t(KernelRoot::Update), tensors};
  llvm::for_each(update->getOperands(), [&](Value operand) { structure.define(operand); });
  structure.add(update);
  func::FuncOp kernel = kernels.known(structure.words, [&] {
    func::FuncOp built = buildUpdateKernel(update, elements);
    return built ? kernels.unique(built, KernelRoot::Update, nodeNames(location)) : built;
  });
  if (!kernel)
    return failure();
  auto call = func::CallOp::create(builder, location, kernel, operands);
  ValueRange results = call.getResults();
  if (Value beyond = update.getBeyond()) {
    mapping.map(beyond, results.back());
    results = results.drop_back();
  }
  for (auto [flat, group] : llvm::zip_equal(results, update.getResultGroups())) {
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

func::FuncOp KernelOutliner::known(Words structure, llvm::function_ref<func::FuncOp()> build) {
  auto [entry, isNew] = outlined.try_emplace(std::move(structure));
  if (isNew)
    entry->second = build();
  return entry->second;
}

func::FuncOp KernelOutliner::unique(func::FuncOp kernel, KernelRoot root, StringRef ops) {
  Builder builder(kernel.getContext());
  DominanceInfo dominance;
  IRRewriter rewriter(kernel.getContext());
  eliminateCommonSubExpressions(rewriter, dominance, kernel);
  kernel.setName("kernel");
  kernel.setPrivate();
  kernel->setAttr("graph.kernel", builder.getStringAttr(stringifyKernelRoot(root)));
  Structure structure;
  structure.add(kernel);
  func::FuncOp &known = kernels[structure.words];
  if (known) {
    kernel.erase();
    return known;
  }
  std::string text;
  llvm::raw_string_ostream stream(text);
  kernel->print(stream, OpPrintingFlags().useLocalScope());
  kernel.setName(
      llvm::formatv("{0}_{1:x-8}", stringifyKernelRoot(root), uint32_t(llvm::xxh3_64bits(text)))
          .str());
  kernel->setAttr("graph.ops", builder.getStringAttr(ops));
  symbols.insert(kernel);
  return known = kernel;
}

} // namespace ingot
