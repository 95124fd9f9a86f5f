/// What ops of upstream dialects are to kernel formation: models of the interface KernelOp.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/kernels/OpModel.h"

using namespace mlir;

namespace ingot {
namespace {

using graph::KernelOp;
using graph::PointCost;

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

OpLoops::Dims dimsOf(AffineMap map) {
  OpLoops::Dims dims;
  for (AffineExpr expression : map.getResults()) {
    auto loop = dyn_cast<AffineDimExpr>(expression);
    dims.push_back(loop ? int(loop.getPosition()) : -1);
  }
  return dims;
}

/// Adds what the ops of a body take.
void addUp(PointCost &sum, Block &body) {
  for (Operation &inner : body.without_terminator()) {
    PointCost cost = costOf(inner);
    sum.operations += cost.operations;
    sum.functions += cost.functions;
    sum.divisions += cost.divisions;
  }
}

struct GenericModel : KernelOp::ExternalModel<GenericModel, linalg::GenericOp> {
  KernelForm getKernelForm(Operation *op) const {
    auto generic = cast<linalg::GenericOp>(op);
    if (generic.getNumReductionLoops() > 0)
      return {OpRole::Reduction};
    return {generic.getNumResults() == 1 ? OpRole::Point : OpRole::Unknown};
  }

  std::optional<OpLoops> getKernelLoops(Operation *op) const {
    auto generic = cast<linalg::GenericOp>(op);
    if (generic.getNumResults() != 1)
      return std::nullopt;
    OpLoops loops;
    for (OpOperand *input : generic.getDpsInputOperands())
      loops.operands.push_back(dimsOf(generic.getMatchingIndexingMap(input)));
    loops.result = dimsOf(generic.getIndexingMapsArray().back());
    for (utils::IteratorType kind : generic.getIteratorTypesArray())
      loops.isReduced.push_back(kind == utils::IteratorType::reduction);
    return loops;
  }

  PointCost getPointCost(Operation *op) const {
    PointCost sum = {.scattered = isStridedMove(op) ? 1.0 : 0.0};
    addUp(sum, *cast<linalg::GenericOp>(op).getBody());
    return sum;
  }
};

struct SliceModel : KernelOp::ExternalModel<SliceModel, tensor::ExtractSliceOp> {
  KernelForm getKernelForm(Operation *op) const {
    return {isContiguous(cast<tensor::ExtractSliceOp>(op)) ? OpRole::View : OpRole::Point};
  }
};

/// A kernel that reads a concatenation computes each piece by itself, so what many pieces have in
/// common would be there many times: the gradient of a tensor of which 300 slices feed one chain.
/// Pieces of such a concatenation are stored.
struct ConcatModel : KernelOp::ExternalModel<ConcatModel, tensor::ConcatOp> {
  static constexpr unsigned mostComputed = 8;
  KernelForm getKernelForm(Operation *) const { return {OpRole::Point}; }
  OperandUse getOperandUse(Operation *op, unsigned) const {
    return op->getNumOperands() > mostComputed ? OperandUse::Strided : OperandUse::Points;
  }
};

/// An op whose role follows from its name.
template <typename Op, OpRole role>
struct NamedModel : KernelOp::ExternalModel<NamedModel<Op, role>, Op> {
  KernelForm getKernelForm(Operation *) const { return {role}; }
};

template <OpRole role, typename... Ops> void attach(MLIRContext &context) {
  (Ops::template attachInterface<NamedModel<Ops, role>>(context), ...);
}

} // namespace

graph::PointCost costOf(Operation &op) {
  if (auto tuples = dyn_cast<graph::CombineOp>(op)) {
    PointCost sum;
    addUp(sum, tuples.getCombiner().front());
    return sum;
  }
  if (isa<math::FmaOp>(op))
    return {.operations = 2};
  if (isa<arith::ConstantOp>(op))
    return {};
  if (isa<arith::DivFOp, arith::DivSIOp, arith::DivUIOp, math::SqrtOp, math::RsqrtOp>(op))
    return {.divisions = 1};
  bool isInstruction = isa<math::AbsFOp, math::AbsIOp, math::FloorOp, math::CeilOp, math::TruncOp,
                           math::RoundEvenOp, math::CopySignOp>(op);
  if (isa<arith::RemFOp>(op) || (isa<math::MathDialect>(op.getDialect()) && !isInstruction))
    return {.functions = 1};
  return {.operations = 1};
}

void registerUpstreamKernelOps(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, linalg::LinalgDialect *, tensor::TensorDialect *,
                            arith::ArithDialect *, graph::GraphDialect *) {
    linalg::GenericOp::attachInterface<GenericModel>(*context);
    tensor::ExtractSliceOp::attachInterface<SliceModel>(*context);
    tensor::ConcatOp::attachInterface<ConcatModel>(*context);
    attach<OpRole::View, tensor::ExpandShapeOp, tensor::CollapseShapeOp>(*context);
    attach<OpRole::Point, tensor::PadOp>(*context);
    attach<OpRole::Source, arith::ConstantOp, tensor::EmptyOp, linalg::FillOp>(*context);
  });
}

} // namespace ingot
