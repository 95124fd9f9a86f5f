#include "passes/kernels/KernelValues.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/kernels/MinimumCut.h"
#include <cmath>

using namespace mlir;

namespace ingot {
namespace {

/// Bytes to store once and to load by every reader. Flags are expensive: they are recomputed from
/// what they compare.
int64_t storeCost(Value value, int64_t readers) {
  bool isFlag = cast<RankedTensorType>(value.getType()).getElementType().isInteger(1);
  return bytesOf(value) * (isFlag ? 16 : 1) * (1 + readers);
}

} // namespace

KernelValues::KernelValues(const KernelGroups &groups, Block &block)
    : groups(groups), own(groups.groups.size()), repeated(groups.groups.size()) {
  for (Value value : block.getTerminator()->getOperands())
    if (groups.home(value)) {
      Value source = viewSource(value);
      forced.insert(source);
      demands[source];
    }
  std::vector<unsigned> order = groups.order();
  for (unsigned group : llvm::reverse(order))
    decide(group);
}

/// True for what strides express: a kernel that reads by them reads what is moved instead.
bool KernelValues::isMoved(Value source) const {
  std::optional<unsigned> home = groups.home(source);
  return home && groups.groups[*home].root == KernelRoot::Elementwise &&
         isStridedMove(source.getDefiningOp());
}

/// True for a factor that the target's contractions copy as it lies in memory. What elementwise ops
/// alone make of stored tensors is computed: to store it would take a kernel more.
bool KernelValues::isCopied(OpOperand &operand) const {
  const int64_t rowBytes = groups.targetCosts().copiedRowBytes;
  if (rowBytes == 0 || useOf(operand) != OperandUse::Factor)
    return false;
  Value source = viewSource(operand.get());
  while (isMoved(source))
    source = viewSource(source.getDefiningOp()->getOperand(0));
  std::optional<unsigned> home = groups.home(source);
  auto type = cast<RankedTensorType>(source.getType());
  return home && groups.groups[*home].root != KernelRoot::Elementwise &&
         type.getElementTypeBitWidth() == 16 && type.getRank() > 0 &&
         type.getShape().back() * 2 % rowBytes == 0;
}

/// Notes that `group` reads a value of another group.
void KernelValues::need(unsigned group, Value value, OperandUse use) {
  Value source = viewSource(value);
  std::optional<unsigned> home = groups.home(source);
  if (!home || *home == group)
    return;
  Operation *op = source.getDefiningOp();
  bool readsStrides = use == OperandUse::Factor || use == OperandUse::Strided;
  if (readsStrides && isMoved(source)) {
    repeated[group].insert(op);
    need(group, op->getOperand(0), use);
    return;
  }
  if (use == OperandUse::Factor)
    factors[source].insert(group);
  else if (use != OperandUse::Points)
    forced.insert(source);
  demands[source].insert(group);
}

void KernelValues::needOperands(unsigned group, Operation *op) {
  if (roleOf(op) == OpRole::Region) {
    for (Value value : valuesRead(op))
      need(group, value, OperandUse::Memory);
    return;
  }
  for (OpOperand &operand : op->getOpOperands())
    need(group, operand.get(), isCopied(operand) ? OperandUse::Strided : useOf(operand));
}

void KernelValues::decide(unsigned group) {
  SmallVector<Value> demanded;
  for (Operation *op : groups.groups[group].ops)
    for (Value result : op->getResults())
      if (demands.contains(result))
        demanded.push_back(result);
  if (demanded.empty())
    return;
  if (groups.areFused())
    cut(group, demanded);
  else
    stored.insert(demanded.begin(), demanded.end());
  keepOwn(group);
  for (Value value : demanded)
    if (!stored.contains(value))
      for (unsigned reader : Readers(demands[value])) // a copy: repeating adds demands of others
        repeat(reader, value);
}

/// Each value is two nodes: where it is computed and where it is available. A value that is on
/// the source's side at the first and on the sink's side at the second is stored; one that is on
/// the sink's side at both is recomputed by its readers.
void KernelValues::cut(unsigned group, ArrayRef<Value> demanded) {
  const KernelGroup &kernel = groups.groups[group];
  const TargetCosts &costs = groups.targetCosts();
  llvm::SmallSetVector<unsigned, 4> readers, packers;
  int64_t points = 1;
  for (Value value : demanded) {
    if (forced.contains(value))
      continue;
    for (unsigned reader : demands[value]) {
      readers.insert(reader);
      if (factors[value].contains(reader))
        packers.insert(reader);
      int64_t extent = 1;
      for (int64_t size : groups.groups[reader].domain)
        extent *= size;
      points = std::max(points, extent / costs.pointsPerUniformValue);
    }
  }
  bool runsAnyway = llvm::any_of(demanded, [&](Value value) { return forced.contains(value); }) ||
                    kernel.root != KernelRoot::Elementwise;
  int64_t repeats =
      int64_t(readers.size() - packers.size()) + int64_t(packers.size()) * costs.packings;
  if (readers.empty())
    repeats = 1;
  int64_t extra = std::max<int64_t>(0, repeats - !runsAnyway);

  // What the demanded values are computed from inside the group.
  llvm::DenseSet<Value> needed(demanded.begin(), demanded.end());
  auto mayRepeat = [&](Value value) {
    return roleOf(value.getDefiningOp()) == OpRole::Point && !forced.contains(value);
  };
  for (Operation *op : llvm::reverse(kernel.ops))
    for (Value result : op->getResults())
      if (needed.contains(result) && mayRepeat(result))
        for (Value operand : op->getOperands())
          needed.insert(viewSource(operand));

  CutNetwork network;
  llvm::MapVector<Value, std::pair<int, int>> nodes; // computed, available
  auto addNodes = [&](Value value, int64_t capacity) {
    int computed = network.add(), available = network.add();
    network.connect(computed, available, capacity);
    return nodes[value] = {computed, available};
  };
  auto availableNode = [&](Value value) {
    if (auto known = nodes.find(value); known != nodes.end())
      return known->second.second;
    Operation *op = value.getDefiningOp(); // of another group: there already; reading costs
    bool isFree = op && roleOf(op) == OpRole::Source;
    auto [computed, available] = addNodes(value, isFree ? 0 : bytesOf(value) * extra);
    network.connect(CutNetwork::source, computed, CutNetwork::unlimited);
    return available;
  };
  for (Operation *op : kernel.ops)
    for (Value value : op->getResults()) {
      if (!needed.contains(value))
        continue;
      int computed = addNodes(value, storeCost(value, repeats)).first;
      if (!mayRepeat(value)) {
        network.connect(CutNetwork::source, computed, CutNetwork::unlimited);
        continue;
      }
      int64_t elements = elementsOf(value);
      double work = repeats * double(std::max(elements, points)) - (runsAnyway ? 0 : elements);
      network.connect(CutNetwork::source, computed,
                      std::llround(std::max(0.0, work) * costPerElement(op, costs)));
      for (Value operand : op->getOperands())
        network.connect(availableNode(viewSource(operand)), computed, CutNetwork::unlimited);
    }
  for (Value value : demanded)
    network.connect(nodes[value].second, CutNetwork::sink, CutNetwork::unlimited);
  network.solve();
  for (auto &[value, node] : nodes)
    if (groups.home(value) == group && !network.isSinkSide(node.first) &&
        network.isSinkSide(node.second))
      stored.insert(value);
}

/// Keeps the group's ops that its stored values need; what they read is needed in turn.
void KernelValues::keepOwn(unsigned group) {
  SmallVector<Operation *> stack;
  for (Operation *op : groups.groups[group].ops)
    if (llvm::any_of(op->getResults(), [&](Value result) { return stored.contains(result); }))
      stack.push_back(op);
  while (!stack.empty()) {
    Operation *op = stack.pop_back_val();
    if (!own[group].insert(op))
      continue;
    needOperands(group, op);
    for (Value operand : op->getOperands())
      if (groups.home(operand) == group)
        stack.push_back(viewSource(operand).getDefiningOp());
  }
}

/// Has `group` compute a value of another group again, down to what is stored.
void KernelValues::repeat(unsigned group, Value value) {
  Operation *op = value.getDefiningOp();
  if (!repeated[group].insert(op))
    return;
  std::optional<unsigned> home = groups.home(value);
  for (OpOperand &operand : op->getOpOperands()) {
    Value source = viewSource(operand.get());
    if (groups.home(source) != home)
      need(group, source, useOf(operand));
    else if (!stored.contains(source))
      repeat(group, source);
  }
}

std::vector<Value> KernelValues::results(unsigned group) const {
  std::vector<Value> values;
  for (Operation *op : groups.groups[group].ops)
    for (Value result : op->getResults())
      if (stored.contains(result))
        values.push_back(result);
  return values;
}

std::vector<Operation *> KernelValues::body(unsigned group) const {
  std::vector<Operation *> ops(own[group].begin(), own[group].end());
  if (ops.empty())
    return ops;
  ops.insert(ops.end(), repeated[group].begin(), repeated[group].end());
  llvm::sort(ops,
             [&](Operation *a, Operation *b) { return groups.position(a) < groups.position(b); });
  return ops;
}

} // namespace ingot
