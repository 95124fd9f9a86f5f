#include "codegen/kernel/ContractionOperand.h"
#include "codegen/kernel/Sharing.h"

using namespace mlir;

namespace ingot {

int64_t product(ArrayRef<int64_t> sizes) {
  int64_t count = 1;
  for (int64_t size : sizes)
    count *= size;
  return count;
}

ContractionOperand::ContractionOperand(Value tensor, ArrayRef<int64_t> batchDims,
                                       ArrayRef<int64_t> contractDims)
    : tensor(tensor), batchDims(batchDims), contractDims(contractDims) {
  const int64_t rank = cast<RankedTensorType>(tensor.getType()).getRank();
  for (int64_t d = 0; d < rank; ++d)
    if (!llvm::is_contained(batchDims, d) && !llvm::is_contained(contractDims, d))
      freeDims.push_back(d);
  view = viewOfOperand(tensor);
  Value source = tensor;
  for (Value from = tensor; from; from = movedBy(from.getDefiningOp()))
    source = from;
  packed = source.getDefiningOp<kernel::UnpackOp>();
  auto isRepeated = [&](int64_t d) { return view->strides[d] == 0 && view->sizes[d] > 1; };
  // Matrices may be the same one; a row or column that is repeated is as well computed.
  if (view && (llvm::any_of(freeDims, isRepeated) || llvm::any_of(this->contractDims, isRepeated)))
    view.reset();
  if (!view)
    return;
  batch = view->group(batchDims);
  free = view->group(freeDims);
  contract = view->group(contractDims);
}

std::optional<unsigned> ContractionOperand::memory() const {
  if (packed)
    return cast<BlockArgument>(packed->getOperand(0)).getArgNumber();
  return view ? std::optional(view->memory) : std::nullopt;
}

kernel::PanelsAttr ContractionOperand::panels() const {
  Value source = tensor;
  for (Value from = tensor; from; from = movedBy(from.getDefiningOp())) {
    if (!from.hasOneUse())
      return {};
    source = from;
  }
  if (!view || !isa<BlockArgument>(source))
    return {};
  auto type = cast<RankedTensorType>(source.getType());
  const int64_t matrices = product(sizes(batchDims)), rows = product(sizes(freeDims)),
                depth = product(sizes(contractDims));
  const bool isWhole = matrices * rows * depth == type.getNumElements() &&
                       (matrices == 1 || batch.stride() == rows * depth);
  const bool depthLast = contract.stride() == 1 && free.stride() == depth,
             rowsLast = free.stride() == 1 && contract.stride() == rows;
  if (!isWhole || rows <= 1 || depth <= 1 || !(depthLast || rowsLast))
    return {};
  return kernel::PanelsAttr::get(type.getContext(), type, matrices, rows, depth, depthLast);
}

bool ContractionOperand::isShared(func::FuncOp kernel) const {
  const int64_t matrices = product(sizes(batchDims));
  if (matrices <= 1)
    return false;
  if (view)
    return llvm::all_of(batchDims,
                        [&](int64_t d) { return view->strides[d] == 0 || view->sizes[d] == 1; });
  // With the matrices as the lanes of a vector, they are one if no element differs by lane.
  PointAccess points(kernel, /*lanes=*/matrices);
  return !points.at(tensor, indices(points, points.consecutive(matrices),
                                    points.uniform(product(sizes(freeDims))),
                                    points.uniform(product(sizes(contractDims)))));
}

void ContractionOperand::joinBatch(func::FuncOp kernel) {
  if (!isShared(kernel)) {
    freeDims.insert(freeDims.begin(), batchDims.begin(), batchDims.end());
    if (view)
      free = view->group(freeDims);
  }
  batchDims.clear();
  batch = IndexGroup();
}

SmallVector<int64_t> ContractionOperand::sizes(ArrayRef<int64_t> dims) const {
  auto type = cast<RankedTensorType>(tensor.getType());
  return llvm::map_to_vector(dims, [&](int64_t d) { return type.getDimSize(d); });
}

bool ContractionOperand::isDepthLast() const {
  auto type = cast<RankedTensorType>(tensor.getType());
  bool otherFollows = false; // a dimension that is not summed over
  for (int64_t d = type.getRank(); d-- > 0;)
    if (type.getDimSize(d) != 1) {
      const bool isSummed = llvm::is_contained(contractDims, d);
      if (isSummed && otherFollows)
        return false;
      otherFollows |= !isSummed;
    }
  return !contractDims.empty();
}

void ContractionOperand::chooseVectors(func::FuncOp kernel, int64_t lanes, bool isFreeAligned) {
  constexpr double gathered = 16; // times a run
  auto choose = [&](bool depthWise, int64_t &line) {
    SmallVector<int64_t> extents = sizes(depthWise ? contractDims : freeDims);
    const int64_t count = product(extents);
    const bool isAligned = depthWise || isFreeAligned;
    auto cost = [&](function_ref<PointIndex(PointAccess &)> vector) {
      PointAccess points(kernel, lanes);
      PointIndex matrix = points.uniform(product(sizes(batchDims))),
                 other = points.uniform(product(sizes(depthWise ? freeDims : contractDims)));
      if (depthWise)
        access(points, matrix, other, vector(points));
      else
        access(points, matrix, vector(points), other);
      return 1 + gathered * double(points.slowAccesses());
    };
    double best = cost([&](PointAccess &points) { return points.consecutive(count, isAligned); });
    int64_t length = 1;
    for (int64_t extent : llvm::reverse(extents)) {
      length *= extent;
      if (extent == 1 || length >= count)
        continue;
      const double pieces = 1 + double((lanes + length - 2) / length);
      const double inLines = pieces * cost([&](PointAccess &points) {
                               return points.uniform(count / length) * length +
                                      points.consecutive(length, /*aligned=*/false);
                             });
      if (inLines < best) {
        best = inLines;
        line = length;
      }
    }
    return best;
  };
  int64_t ofDepth = 0, ofFree = 0;
  const double depthWise = choose(true, ofDepth), freeWise = choose(false, ofFree);
  // Of two gathers the one along the free dimensions has the simpler indices.
  alongDepth =
      depthWise < freeWise || (depthWise == freeWise && depthWise < gathered && isDepthLast());
  line = alongDepth ? ofDepth : ofFree;
}

template <typename Points>
SmallVector<PointIndex> ContractionOperand::indices(Points &points, const PointIndex &batch,
                                                    const PointIndex &free,
                                                    const PointIndex &depth) const {
  SmallVector<PointIndex> all(cast<RankedTensorType>(tensor.getType()).getRank());
  auto place = [&](ArrayRef<int64_t> dims, const PointIndex &linear) {
    for (auto [d, digit] : llvm::zip(dims, points.split(linear, sizes(dims))))
      all[d] = digit;
  };
  place(batchDims, batch);
  place(freeDims, free);
  place(contractDims, depth);
  return all;
}

Value ContractionOperand::at(PointEmitter &points, const PointIndex &batch, const PointIndex &free,
                             const PointIndex &depth, Value mask) const {
  SmallVector<PointIndex> all = indices(points, batch, free, depth);
  return points.at(tensor, ArrayRef<PointIndex>(all), mask);
}

void ContractionOperand::access(PointAccess &points, const PointIndex &batch,
                                const PointIndex &free, const PointIndex &depth) const {
  points.at(tensor, indices(points, batch, free, depth));
}

SmallVector<unsigned> factorsOf(graph::ContractOp contract) {
  llvm::SetVector<Value> read;
  read.insert(contract.getLhs());
  read.insert(contract.getRhs());
  for (size_t index = 0; index < read.size(); ++index)
    if (Operation *op = read[index].getDefiningOp())
      read.insert(op->operand_begin(), op->operand_end());
  SmallVector<unsigned> arguments;
  for (Value value : read)
    if (auto argument = dyn_cast<BlockArgument>(value))
      arguments.push_back(argument.getArgNumber());
  return arguments;
}

graph::ContractOp contractionOf(func::FuncOp kernel) {
  auto contracts = llvm::to_vector(kernel.getOps<graph::ContractOp>());
  if (contracts.size() == 1)
    return contracts.front();
  kernel.emitError("a contraction kernel holds one graph.contract, this one ") << contracts.size();
  return {};
}

LogicalResult shareEpilogue(ScheduleBuilder &kernel, graph::ContractOp contract, int64_t batch,
                            int64_t rows, int64_t columns, int64_t lanes) {
  func::FuncOp function = kernel.kernel;
  PointAccess points(function, columns == 1 ? 1 : lanes);
  PointIndex column = columns == 1 ? PointIndex::constant(0) : points.consecutive(columns);
  PointIndex position = (points.uniform(batch) * rows + points.uniform(rows)) * columns + column;
  SmallVector<PointIndex> own = points.split(position, contract.getType().getShape());
  bool elsewhere = false;
  points.bind(contract.getResult(), [&](PointAccess::Indices indices) {
    elsewhere |= indices != PointAccess::Indices(own);
    return std::optional(columns != 1);
  });
  for (unsigned result = 0; result < function.getNumResults(); ++result)
    points.at(kernel.returned(result), points.split(position, kernel.type(result).getShape()));
  if (elsewhere)
    return contract.emitError(
        "the kernel uses the contraction's result at another element than it computes");
  SmallVector<unsigned> factors = factorsOf(contract);
  for (unsigned operand = 0; operand < function.getNumArguments(); ++operand) {
    const bool movesAbout = llvm::any_of(points.loads(), [&](const PointAccess::Load &load) {
      return load.operand == operand && !(load.position == position);
    });
    if (movesAbout || llvm::is_contained(factors, operand))
      continue;
    for (unsigned result = 0; result < function.getNumResults(); ++result)
      if (kernel::memoryType(function.getArgumentTypes()[operand]) ==
          kernel::memoryType(function.getResultTypes()[result]))
        kernel.share(kernel::PairAttr::get(kernel.context(), result, operand,
                                           kernel::Sharing::SamePoint, 1));
  }
  return success(points.ok());
}

} // namespace ingot
