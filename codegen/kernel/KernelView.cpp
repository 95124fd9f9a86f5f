#include "codegen/kernel/KernelView.h"
#include "codegen/kernel/ConcatStarts.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ingot {

//===--------------------------------------------------------------------------------------------===//
// IndexGroup
//===--------------------------------------------------------------------------------------------===//

void IndexGroup::append(int64_t size, int64_t stride) {
  if (size == 1)
    return;
  empty |= size == 0;
  if (!dimensions.empty() && dimensions.back().stride == size * stride) {
    dimensions.back() = {dimensions.back().size * size, stride};
    return;
  }
  dimensions.push_back({size, stride});
}

int64_t IndexGroup::size() const {
  int64_t count = 1;
  for (const Dimension &dimension : dimensions)
    count *= dimension.size;
  return count;
}

std::optional<int64_t> IndexGroup::stride() const {
  if (dimensions.size() > 1 && !empty)
    return std::nullopt;
  return dimensions.size() == 1 ? dimensions.front().stride : 0;
}

Value IndexGroup::offset(IndexCode &code, Value linear) const {
  Value sum = code.index(0);
  if (empty)
    return sum;
  for (size_t d = dimensions.size(); d-- > 0;) {
    Value digit = d == 0 ? linear : code.remainder(linear, dimensions[d].size);
    sum = code.add(sum, code.mul(digit, dimensions[d].stride));
    if (d != 0)
      linear = code.div(linear, dimensions[d].size);
  }
  return sum;
}

//===--------------------------------------------------------------------------------------------===//
// Views through one operation
//===--------------------------------------------------------------------------------------------===//

namespace {

using View = std::optional<KernelView>;

KernelView rowMajor(unsigned memory, RankedTensorType type) {
  KernelView view{memory, 0, llvm::to_vector(type.getShape()), {}};
  view.strides.resize(type.getRank());
  int64_t stride = 1;
  for (int64_t d = type.getRank(); d-- > 0; stride *= std::max<int64_t>(view.sizes[d], 1))
    view.strides[d] = stride;
  return view;
}

/// Joins groups of dimensions into one each.
View collapse(const KernelView &view, ArrayRef<ReassociationIndices> groups) {
  KernelView result{view.memory, view.offset, {}, {}};
  for (const ReassociationIndices &group : groups) {
    int64_t size = 1;
    for (int64_t d : group)
      size *= view.sizes[d];
    std::optional<int64_t> stride = view.group(group).stride();
    if (!stride)
      return std::nullopt;
    result.sizes.push_back(size);
    result.strides.push_back(*stride);
  }
  return result;
}

/// Splits each dimension into a group with the given sizes.
KernelView expand(const KernelView &view, ArrayRef<ReassociationIndices> groups,
                  ArrayRef<int64_t> sizes) {
  KernelView result{view.memory, view.offset, llvm::to_vector(sizes), {}};
  result.strides.resize(sizes.size());
  for (auto [dimension, group] : llvm::enumerate(groups)) {
    int64_t stride = view.strides[dimension];
    for (int64_t d : llvm::reverse(group)) {
      result.strides[d] = stride;
      stride *= std::max<int64_t>(sizes[d], 1);
    }
  }
  return result;
}

KernelView slice(const KernelView &view, tensor::ExtractSliceOp op) {
  KernelView result = view;
  result.sizes = llvm::to_vector(op.getStaticSizes());
  for (size_t d = 0; d < view.sizes.size(); ++d) {
    result.offset += op.getStaticOffset(d) * view.strides[d];
    result.strides[d] *= op.getStaticStride(d);
  }
  llvm::SmallBitVector dropped = op.getDroppedDims();
  for (size_t d = view.sizes.size(); d-- > 0;)
    if (dropped[d]) {
      result.sizes.erase(result.sizes.begin() + d);
      result.strides.erase(result.strides.begin() + d);
    }
  return result;
}

/// The operand's dimension for each one of the result of an op that only moves elements; `repeated`
/// where it has the same elements along it.
constexpr int64_t repeated = -1;
std::optional<SmallVector<int64_t>> dimensionsOf(Operation *op) {
  if (auto transpose = dyn_cast<linalg::TransposeOp>(op))
    return llvm::to_vector(transpose.getPermutation());
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic || generic.getNumDpsInputs() != 1 || generic.getNumDpsInits() != 1 ||
      generic.getNumReductionLoops() != 0)
    return std::nullopt;
  auto yield = cast<linalg::YieldOp>(generic.getBody()->getTerminator());
  AffineMap input = generic.getIndexingMapsArray()[0], output = generic.getIndexingMapsArray()[1];
  if (yield.getOperand(0) != generic.getBody()->getArgument(0) || !input.isProjectedPermutation() ||
      !output.isPermutation())
    return std::nullopt;
  SmallVector<int64_t> dimensions;
  for (AffineExpr loop : output.getResults()) {
    std::optional<unsigned> position = input.getResultPosition(loop);
    dimensions.push_back(position ? int64_t(*position) : repeated);
  }
  return dimensions;
}

/// The same, where no element is repeated.
std::optional<SmallVector<int64_t>> permutationOf(Operation *op) {
  std::optional<SmallVector<int64_t>> dimensions = dimensionsOf(op);
  return dimensions && !llvm::is_contained(*dimensions, repeated) ? dimensions : std::nullopt;
}

KernelView permute(const KernelView &view, ArrayRef<int64_t> permutation) {
  KernelView result = view;
  for (auto [to, from] : llvm::enumerate(permutation)) {
    result.sizes[to] = view.sizes[from];
    result.strides[to] = view.strides[from];
  }
  return result;
}

KernelView rearrange(const KernelView &view, ArrayRef<int64_t> dimensions,
                     ArrayRef<int64_t> sizes) {
  KernelView result{view.memory, view.offset, llvm::to_vector(sizes), {}};
  for (int64_t from : dimensions)
    result.strides.push_back(from == repeated ? 0 : view.strides[from]);
  return result;
}

/// Where `use` puts the tensor, given where the result of its owner goes.
View throughUse(OpOperand &use, const KernelView &owner) {
  auto type = cast<RankedTensorType>(use.get().getType());
  return TypeSwitch<Operation *, View>(use.getOwner())
      .Case([&](tensor::CollapseShapeOp op) {
        return expand(owner, op.getReassociationIndices(), type.getShape());
      })
      .Case([&](tensor::ExpandShapeOp op) { return collapse(owner, op.getReassociationIndices()); })
      .Case([&](tensor::ConcatOp op) {
        KernelView view = owner;
        view.offset += startsOf(op)[use.getOperandNumber()] * view.strides[op.getDim()];
        view.sizes = llvm::to_vector(type.getShape());
        return view;
      })
      .Default([&](Operation *op) -> View {
        if (std::optional<SmallVector<int64_t>> permutation = permutationOf(op))
          return permute(owner, invertPermutationVector(*permutation));
        return std::nullopt;
      });
}

} // namespace

//===--------------------------------------------------------------------------------------------===//
// KernelView
//===--------------------------------------------------------------------------------------------===//

IndexGroup KernelView::group(ArrayRef<int64_t> which) const {
  IndexGroup group;
  for (int64_t d : which)
    group.append(sizes[d], strides[d]);
  return group;
}

std::optional<KernelView> viewOfOperand(Value tensor) {
  if (auto argument = dyn_cast<BlockArgument>(tensor)) {
    if (!isa<func::FuncOp>(argument.getOwner()->getParentOp()))
      return std::nullopt;
    return rowMajor(argument.getArgNumber(), cast<RankedTensorType>(tensor.getType()));
  }
  Operation *op = tensor.getDefiningOp();
  std::optional<SmallVector<int64_t>> dimensions = dimensionsOf(op);
  if (!dimensions &&
      !isa<tensor::ExtractSliceOp, tensor::CollapseShapeOp, tensor::ExpandShapeOp>(op))
    return std::nullopt;
  View source = viewOfOperand(op->getOperand(0));
  if (!source)
    return std::nullopt;
  if (dimensions)
    return rearrange(*source, *dimensions, cast<RankedTensorType>(tensor.getType()).getShape());
  return TypeSwitch<Operation *, View>(op)
      .Case([&](tensor::ExtractSliceOp op) { return slice(*source, op); })
      .Case([&](tensor::CollapseShapeOp op) {
        return collapse(*source, op.getReassociationIndices());
      })
      .Case([&](tensor::ExpandShapeOp op) {
        return expand(*source, op.getReassociationIndices(), op.getResultType().getShape());
      });
}

Value movedBy(Operation *op) {
  const bool moves =
      op && (dimensionsOf(op) || isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(op));
  return moves ? op->getOperand(0) : Value();
}

std::optional<SmallVector<KernelView>> viewsOfResult(Value tensor) {
  SmallVector<KernelView> views;
  for (OpOperand &use : tensor.getUses()) {
    Operation *owner = use.getOwner();
    if (isa<func::ReturnOp>(owner)) {
      views.push_back(rowMajor(use.getOperandNumber(), cast<RankedTensorType>(tensor.getType())));
      continue;
    }
    if (owner->getNumResults() != 1)
      return std::nullopt;
    std::optional<SmallVector<KernelView>> further = viewsOfResult(owner->getResult(0));
    if (!further)
      return std::nullopt;
    for (const KernelView &view : *further) {
      View own = throughUse(use, view);
      if (!own)
        return std::nullopt;
      views.push_back(*own);
    }
  }
  return views;
}

} // namespace ingot
