#include "passes/kernels/OutlineKernels.h"
#include "ir/dialect/Graph.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
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
  KernelCache::Structure words;

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
  KernelCache::Structure structure(KernelRoot root) const;
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

KernelCache::Structure KernelBody::structure(KernelRoot root) const {
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

/// Outlines the kernels of one block: calls of them, where the builder stands.
class BlockOutliner {
public:
  BlockOutliner(KernelOutliner &outliner, const BlockKernels &kernels, OpBuilder builder,
                IRMapping mapping = {})
      : outliner(outliner), kernels(kernels), groups(kernels.groups), values(*kernels.values),
        builder(builder), mapping(std::move(mapping)) {}

  LogicalResult run();
  /// A value as the calls made so far give it.
  Value stepValue(Value value);
  /// The same in memory of its own.
  Value copyOf(Value value) { return copy(stepValue(value)); }
  /// False after the diagnostic that a kernel reads what none before it computes.
  LogicalResult verify() const;

private:
  void callKernel(unsigned group, ArrayRef<Operation *> body);
  LogicalResult callUpdate(graph::UpdateOp update);
  LogicalResult outlineLoop(graph::LoopOp loop, ArrayRef<Value> needed);
  LogicalResult outlineIf(graph::IfOp branch, ArrayRef<Value> needed);
  LogicalResult fillBody(graph::LoopOp before, graph::LoopOp after, ArrayRef<Value> results);
  Value copy(Value value);
  Location locationOf(ArrayRef<Operation *> body, std::string &names);

  KernelOutliner &outliner;
  const BlockKernels &kernels;
  const KernelGroups &groups;
  const KernelValues &values;
  OpBuilder builder;
  Operation *missing = nullptr; ///< what a kernel reads although none before it computes it
  IRMapping mapping;            ///< value before → value after
};

LogicalResult BlockOutliner::run() {
  for (unsigned group : groups.order()) {
    std::vector<Operation *> body = values.body(group);
    if (body.empty())
      continue;
    LogicalResult done = success();
    if (auto update = dyn_cast<graph::UpdateOp>(body.back()))
      done = callUpdate(update);
    else if (auto loop = dyn_cast<graph::LoopOp>(body.back()))
      done = outlineLoop(loop, values.results(group));
    else if (auto branch = dyn_cast<graph::IfOp>(body.back()))
      done = outlineIf(branch, values.results(group));
    else
      callKernel(group, body);
    if (failed(done))
      return failure();
  }
  return success();
}

LogicalResult BlockOutliner::verify() const {
  if (missing)
    return missing->emitError("is read by a kernel that runs before it is computed");
  return success();
}

Value BlockOutliner::stepValue(Value value) {
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

Location BlockOutliner::locationOf(ArrayRef<Operation *> body, std::string &names) {
  auto locations = llvm::map_to_vector(body, [](Operation *op) { return op->getLoc(); });
  names = nodeNames(locations);
  if (names.empty())
    return locations.front();
  return NameLoc::get(builder.getStringAttr(names));
}

void BlockOutliner::callKernel(unsigned group, ArrayRef<Operation *> body) {
  SmallVector<Operation *> own;
  for (Operation *op : body)
    if (groups.home(op->getResult(0)) == group)
      own.push_back(op);
  std::string names;
  Location location = locationOf(own, names);
  std::vector<Value> results = values.results(group);
  const KernelRoot root = groups.groups[group].root;
  KernelBody kernelBody(body, results);
  func::FuncOp kernel = outliner.known(kernelBody.structure(root), [&] {
    return outliner.unique(kernelBody.build(location), root, names);
  });
  auto operands =
      llvm::map_to_vector(kernelBody.arguments, [&](Value value) { return stepValue(value); });
  auto call = func::CallOp::create(builder, location, kernel, operands);
  for (auto [before, after] : llvm::zip_equal(results, call.getResults()))
    mapping.map(before, after);
}

LogicalResult BlockOutliner::callUpdate(graph::UpdateOp update) {
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
  func::FuncOp kernel = outliner.known(structure.words, [&] {
    func::FuncOp built = buildUpdateKernel(update, elements);
    return built ? outliner.unique(built, KernelRoot::Update, nodeNames(location)) : built;
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

//===--------------------------------------------------------------------------------------------===//
// Loops and branches
//===--------------------------------------------------------------------------------------------===//

Value BlockOutliner::copy(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  func::FuncOp kernel = outliner.copyKernel(type, value.getLoc());
  return func::CallOp::create(builder, value.getLoc(), kernel, value).getResult(0);
}

LogicalResult BlockOutliner::outlineLoop(graph::LoopOp loop, ArrayRef<Value> needed) {
  SmallVector<Value> results(loop.getResults().take_front(loop.getCarried().size())), initial;
  llvm::copy_if(loop.getResults().drop_front(results.size()), std::back_inserter(results),
                [&](Value stacked) { return llvm::is_contained(needed, stacked); });
  for (Value carried : loop.getCarried())
    initial.push_back(copyOf(carried));
  auto after = graph::LoopOp::create(builder, loop.getLoc(), TypeRange(ValueRange(results)),
                                     stepValue(loop.getTripCount()), initial, loop.getAtMostAttr(),
                                     loop.getReverseAttr());
  Block &body = after.getBody().emplaceBlock();
  for (BlockArgument argument : loop.getBody().getArguments())
    body.addArgument(argument.getType(), argument.getLoc());
  for (auto [before, result] : llvm::zip_equal(results, after.getResults()))
    mapping.map(before, result);
  return fillBody(loop, after, results);
}

/// What is stacked of the iteration's start is copied before anything is overwritten; of carried
/// values that change places, one is out of the way before the other comes.
LogicalResult BlockOutliner::fillBody(graph::LoopOp before, graph::LoopOp after,
                                      ArrayRef<Value> results) {
  Block &source = before.getBody().front(), &target = after.getBody().front();
  BlockOutliner body(outliner, kernels.of(source), OpBuilder::atBlockEnd(&target), mapping);
  body.mapping.map(source.getArguments(), target.getArguments());
  const size_t carried = before.getCarried().size();
  auto yieldedAs = [&](Value result) {
    return before.getYielded()[cast<OpResult>(result).getResultNumber()];
  };
  auto isArgument = [&](Value yielded) {
    auto argument = dyn_cast<BlockArgument>(viewSource(yielded));
    return argument && argument.getOwner() == &source;
  };
  SmallVector<Value> yields(results.size());
  for (size_t index = carried; index < results.size(); ++index)
    if (Value part = yieldedAs(results[index]); isArgument(part))
      yields[index] = body.copyOf(part);
  if (failed(body.run()))
    return failure();
  for (size_t index = carried; index < results.size(); ++index)
    if (!yields[index])
      yields[index] = body.copyOf(yieldedAs(results[index]));
  for (size_t index = 0; index < carried; ++index) {
    Value next = yieldedAs(results[index]);
    bool moves = isArgument(next) && viewSource(next) != before.getCarriedArguments()[index];
    yields[index] = moves ? body.copyOf(next) : body.stepValue(next);
  }
  for (size_t index = 0; index < carried; ++index)
    yields[index] = body.copy(yields[index]);
  graph::YieldOp::create(body.builder, before.getLoc(), yields);
  return body.verify();
}

LogicalResult BlockOutliner::outlineIf(graph::IfOp branch, ArrayRef<Value> needed) {
  auto after = graph::IfOp::create(builder, branch.getLoc(), TypeRange(ValueRange(needed)),
                                   stepValue(branch.getCondition()));
  for (auto [from, to] : llvm::zip_equal(branch->getRegions(), after->getRegions())) {
    Block &source = from.front(), &target = to.emplaceBlock();
    BlockOutliner block(outliner, kernels.of(source), OpBuilder::atBlockEnd(&target), mapping);
    if (failed(block.run()))
      return failure();
    SmallVector<Value> yields;
    for (Value result : needed)
      yields.push_back(block.copyOf(
          source.getTerminator()->getOperand(cast<OpResult>(result).getResultNumber())));
    graph::YieldOp::create(block.builder, branch.getLoc(), yields);
    if (failed(block.verify()))
      return failure();
  }
  for (auto [before, result] : llvm::zip_equal(needed, after.getResults()))
    mapping.map(before, result);
  return success();
}

LogicalResult KernelOutliner::outline(func::FuncOp function, const BlockKernels &kernels) {
  Block &block = function.front();
  Operation *terminator = block.getTerminator();
  SmallVector<Operation *> old;
  for (Operation &op : block.without_terminator())
    old.push_back(&op);
  BlockOutliner outliner(*this, kernels, OpBuilder(terminator));
  if (failed(outliner.run()))
    return failure();
  for (OpOperand &operand : terminator->getOpOperands()) {
    Operation *maker = viewSource(operand.get()).getDefiningOp();
    bool isRegion = maker && roleOf(maker) == OpRole::Region;
    operand.set(isRegion ? outliner.copyOf(operand.get()) : outliner.stepValue(operand.get()));
  }
  if (failed(outliner.verify()))
    return failure();
  for (Operation *op : llvm::reverse(old))
    op->erase();
  return success();
}

func::FuncOp KernelOutliner::copyKernel(RankedTensorType type, Location location) {
  func::FuncOp &known = copies[type];
  if (known)
    return known;
  OpBuilder builder(location.getContext());
  auto function = func::FuncOp::create(location, "kernel", builder.getFunctionType({type}, {type}));
  builder.setInsertionPointToStart(function.addEntryBlock());
  Value empty = tensor::EmptyOp::create(builder, location, type.getShape(), type.getElementType());
  SmallVector<AffineMap> maps(2, builder.getMultiDimIdentityMap(type.getRank()));
  SmallVector<utils::IteratorType> loops(type.getRank(), utils::IteratorType::parallel);
  auto copy =
      linalg::GenericOp::create(builder, location, type, function.getArgument(0), empty, maps,
                                loops, [](OpBuilder &b, Location where, ValueRange values) {
                                  linalg::YieldOp::create(b, where, values[0]);
                                });
  func::ReturnOp::create(builder, location, copy.getResults());
  known = unique(function, KernelRoot::Elementwise, "copy");
  known->setAttr("graph.copy", builder.getUnitAttr());
  return known;
}

func::FuncOp KernelOutliner::known(KernelCache::Structure structure,
                                   llvm::function_ref<func::FuncOp()> build) {
  auto [entry, isNew] = outlined.try_emplace(std::move(structure));
  func::FuncOp &kernel = entry->second;
  if (!isNew)
    return kernel;
  if (!cache)
    return kernel = build();
  auto [earlier, isFirst] = cache->kernels.try_emplace(entry->first);
  if (!isFirst)
    return kernel = declare(earlier->second);
  if ((kernel = build()))
    earlier->second = describe(kernel);
  return kernel;
}

KernelCache::Kernel KernelOutliner::describe(func::FuncOp kernel) {
  return {kernel.getName().str(), kernel.getFunctionType(), kernel->getDiscardableAttrDictionary()};
}

func::FuncOp KernelOutliner::declare(const KernelCache::Kernel &kernel) {
  if (auto declared = symbols.lookup<func::FuncOp>(kernel.name))
    return declared;
  auto function =
      func::FuncOp::create(UnknownLoc::get(kernel.type.getContext()), kernel.name, kernel.type);
  function->setDiscardableAttrs(kernel.attributes);
  function.setPrivate();
  symbols.insert(function);
  return function;
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
  if (cache) {
    auto [earlier, isFirst] = cache->bodies.try_emplace(std::move(structure.words));
    if (!isFirst) {
      kernel.erase();
      return known = declare(earlier->second);
    }
    kernel.setName(llvm::formatv("{0}_{1}", stringifyKernelRoot(root), cache->bodies.size()).str());
    earlier->second = describe(kernel);
  } else {
    std::string text;
    llvm::raw_string_ostream stream(text);
    kernel->print(stream, OpPrintingFlags().useLocalScope());
    kernel.setName(
        llvm::formatv("{0}_{1:x-8}", stringifyKernelRoot(root), uint32_t(llvm::xxh3_64bits(text)))
            .str());
  }
  kernel->setAttr("graph.ops", builder.getStringAttr(ops));
  symbols.insert(kernel);
  return known = kernel;
}

} // namespace ingot
