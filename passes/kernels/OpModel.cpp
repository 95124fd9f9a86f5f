#include "passes/kernels/OpModel.h"
#include "ir/dialect/Graph.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/linalg/GraphToLinalg.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ingot {
namespace {

/// Kernels may expect their tensors at multiples of this many bytes.
constexpr int64_t alignment = 64;

/// True if the slice is one piece of memory and starts aligned: all dimensions inside the outermost
/// one that is cut and longer than 1 are taken whole.
bool isContiguous(tensor::ExtractSliceOp slice) {
  auto from = slice.getSourceType();
  bool whole = true;
  int64_t start = 0, stride = std::max(1u, from.getElementTypeBitWidth() / 8);
  for (int64_t dim = from.getRank() - 1; dim >= 0; --dim) {
    int64_t size = slice.getStaticSize(dim);
    if (slice.getStaticStride(dim) != 1 || (!whole && size != 1))
      return false;
    whole &= size == from.getDimSize(dim);
    start += slice.getStaticOffset(dim) * stride;
    stride *= from.getDimSize(dim);
  }
  return start % alignment == 0;
}

OpKind kindOfGeneric(linalg::GenericOp op) {
  if (op.getNumResults() != 1)
    return OpKind::Unknown;
  return op.getNumReductionLoops() == 0 ? OpKind::Point : OpKind::Reduction;
}

} // namespace

OpKind kindOf(Operation *op) {
  return TypeSwitch<Operation *, OpKind>(op)
      .Case([](linalg::GenericOp op) { return kindOfGeneric(op); })
      .Case<tensor::ExpandShapeOp, tensor::CollapseShapeOp, graph::AfterOp>(
          [](auto) { return OpKind::View; })
      .Case(
          [](tensor::ExtractSliceOp op) { return isContiguous(op) ? OpKind::View : OpKind::Point; })
      .Case<tensor::PadOp, tensor::ConcatOp, graph::GatherOp>([](auto) { return OpKind::Point; })
      .Case<arith::ConstantOp, tensor::EmptyOp, linalg::FillOp>([](auto) { return OpKind::Source; })
      .Case([](graph::ContractOp) { return OpKind::Contraction; })
      .Case([](graph::AttentionOp) { return OpKind::Attention; })
      .Case([](graph::AttentionBackwardOp) { return OpKind::AttentionBackward; })
      .Case<graph::AdamWOp, graph::SgdOp>([](auto) { return OpKind::Update; })
      .Case([](graph::ScatterAddOp) { return OpKind::Scatter; })
      .Case([](func::ReturnOp) { return OpKind::Return; })
      .Default([](Operation *) { return OpKind::Unknown; });
}

Value viewSource(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (kindOf(op) != OpKind::View)
      break;
    value = op->getOperand(0);
  }
  return value;
}

bool isStridedMove(Operation *op) {
  if (isa<tensor::ExtractSliceOp>(op))
    return true;
  return isCopy(op) && cast<linalg::GenericOp>(op).getIndexingMapsArray()[0].isPermutation();
}

bool isInlinedConstant(Operation *op) {
  auto constant = dyn_cast<arith::ConstantOp>(op);
  if (!constant)
    return false;
  auto value = dyn_cast<DenseElementsAttr>(constant.getValue());
  if (!value) // a scalar that a region uses
    return true;
  bool isCounter = value.getType().getRank() == 0 && value.getElementType().isInteger(64);
  return value.isSplat() && !isCounter;
}

int64_t elementsOf(Value value) { return cast<RankedTensorType>(value.getType()).getNumElements(); }

int64_t bytesOf(Value value) {
  unsigned bits = cast<RankedTensorType>(value.getType()).getElementTypeBitWidth();
  return elementsOf(value) * std::max(1u, bits / 8);
}

static double operationsPerElement(Operation *op, const TargetCosts &costs) {
  if (isa<graph::GatherOp>(op))
    return costs.scattered;
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic)
    return 4; // conditions of a pad, a slice or a join
  double count = isStridedMove(op) ? costs.scattered : 0;
  for (Operation &inner : generic.getBody()->without_terminator())
    count +=
        TypeSwitch<Operation *, double>(&inner)
            .Case<math::ExpOp, math::ExpM1Op, math::LogOp, math::Log1pOp, math::TanhOp, math::ErfOp,
                  math::SinOp, math::CosOp, math::PowFOp>([&](auto) { return costs.function; })
            .Case<arith::DivFOp, arith::DivSIOp, arith::DivUIOp, math::SqrtOp, math::RsqrtOp>(
                [&](auto) { return costs.division; })
            .Case([](math::FmaOp) { return 2.0; })
            .Case([](arith::ConstantOp) { return 0.0; })
            .Default(1.0);
  return count;
}

double costPerElement(Operation *op, const TargetCosts &costs) {
  return costs.asBytes(operationsPerElement(op, costs));
}

//===--------------------------------------------------------------------------------------------===//
// Loops
//===--------------------------------------------------------------------------------------------===//

namespace {

OpLoops::Dims dimsOf(AffineMap map) {
  OpLoops::Dims dims;
  for (AffineExpr expression : map.getResults()) {
    auto loop = dyn_cast<AffineDimExpr>(expression);
    dims.push_back(loop ? int(loop.getPosition()) : -1);
  }
  return dims;
}

OpLoops loopsOf(linalg::GenericOp op) {
  OpLoops loops;
  for (OpOperand *input : op.getDpsInputOperands())
    loops.operands.push_back(dimsOf(op.getMatchingIndexingMap(input)));
  loops.result = dimsOf(op.getIndexingMapsArray().back());
  for (utils::IteratorType kind : op.getIteratorTypesArray())
    loops.isReduced.push_back(kind == utils::IteratorType::reduction);
  return loops;
}

/// Batch loops, the free ones of the left and the right operand, contracted ones.
OpLoops loopsOf(graph::ContractOp op) {
  OpLoops loops;
  loops.operands.resize(2);
  int next = 0;
  auto assign = [](OpLoops::Dims &dims, ArrayRef<int64_t> which, int first) {
    for (auto [index, dim] : llvm::enumerate(which))
      dims[dim] = first + int(index);
  };
  OpLoops::Dims &left = loops.operands[0], &right = loops.operands[1];
  left.assign(cast<RankedTensorType>(op.getLhs().getType()).getRank(), -1);
  right.assign(cast<RankedTensorType>(op.getRhs().getType()).getRank(), -1);
  assign(left, op.getLhsBatch(), 0);
  assign(right, op.getRhsBatch(), 0);
  next = int(op.getLhsBatch().size());
  int contracted = int(cast<RankedTensorType>(op.getType()).getRank());
  assign(left, op.getLhsContract(), contracted);
  assign(right, op.getRhsContract(), contracted);
  for (OpLoops::Dims *dims : {&left, &right})
    for (int &loop : *dims)
      if (loop < 0)
        loop = next++;
  for (int loop = 0; loop < contracted; ++loop)
    loops.result.push_back(loop);
  loops.isReduced.assign(contracted + op.getLhsContract().size(), false);
  std::fill(loops.isReduced.begin() + contracted, loops.isReduced.end(), true);
  return loops;
}

} // namespace

std::optional<OpLoops> OpLoops::of(Operation *op) {
  if (auto contract = dyn_cast<graph::ContractOp>(op))
    return loopsOf(contract);
  if (auto generic = dyn_cast<linalg::GenericOp>(op); generic && generic.getNumResults() == 1)
    return loopsOf(generic);
  return std::nullopt;
}

} // namespace ingot
