#include "codegen/kernel/QuadLanes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

namespace ingot {
namespace {

/// Positions below it have quotients and remainders that no width of integers changes.
constexpr int64_t mostPositions = int64_t(1) << 31;

std::optional<int64_t> constantOf(Value value) {
  APInt number;
  if (!matchPattern(value, m_ConstantInt(&number)) || number.getSignificantBits() > 32)
    return std::nullopt;
  return number.getSExtValue();
}

} // namespace

std::optional<PointIndex> QuadLanes::positionOf(Value value) const {
  if (auto found = positions.find(value); found != positions.end())
    return found->second;
  if (std::optional<int64_t> number = constantOf(value); number && *number >= 0)
    return PointIndex::constant(*number);
  return std::nullopt;
}

/// Positions in row-major order are products and sums of indices.
std::optional<PointIndex> QuadLanes::positionOf(Operation &op) const {
  if (!isa<arith::IndexCastOp, arith::TruncIOp, arith::AddIOp, arith::MulIOp>(op))
    return std::nullopt;
  std::optional<PointIndex> first = positionOf(op.getOperand(0)), second;
  if (!first || op.getNumOperands() == 1)
    return first;
  second = positionOf(op.getOperand(1));
  if (!second)
    return std::nullopt;
  if (isa<arith::AddIOp>(op))
    return *first + *second;
  if (std::optional<int64_t> factor = second->asConstant())
    return *first * *factor;
  if (std::optional<int64_t> factor = first->asConstant())
    return *second * *factor;
  return std::nullopt;
}

bool QuadLanes::startsQuads(const PointIndex &position) const {
  const PointIndex::Lanes over = position.overLanes(lanes);
  return over.affine && over.step == 1 && position.isMultipleOf(shared, lanes);
}

/// position / 4: consecutive numbers.
Value QuadLanes::quotient(Operation &op, const PointIndex &position) {
  Location location = op.getLoc();
  Type integer = op.getResult(0).getType();
  auto type = VectorType::get({lanes / shared}, integer);
  Type indexType = builder.getIndexType();
  for (const PointIndex::Digit &digit : position.digits())
    indexType = getElementTypeOrSelf(digit.variable.value.getType());
  Value start = position.scalar(builder, location, indexType);
  if (start.getType() != integer)
    start = indexType.isIndex()
                ? arith::IndexCastOp::create(builder, location, integer, start).getResult()
                : arith::ExtUIOp::create(builder, location, integer, start).getResult();
  Value two = arith::ConstantOp::create(builder, location, builder.getIntegerAttr(integer, 2));
  start = arith::ShRUIOp::create(builder, location, start, two);
  SmallVector<Attribute> steps;
  for (int64_t quad = 0; quad < lanes / shared; ++quad)
    steps.push_back(builder.getIntegerAttr(integer, quad));
  return arith::AddIOp::create(
      builder, location, vector::BroadcastOp::create(builder, location, type, start),
      arith::ConstantOp::create(builder, location, DenseElementsAttr::get(type, steps)));
}

/// A scalar for every four lanes.
Value QuadLanes::narrow(Value value) {
  auto type = VectorType::get({lanes / shared}, value.getType());
  Attribute known;
  if (matchPattern(value, m_Constant(&known)))
    return arith::ConstantOp::create(builder, value.getLoc(), DenseElementsAttr::get(type, known));
  return vector::BroadcastOp::create(builder, value.getLoc(), type, value);
}

bool QuadLanes::emit(Operation &op, Lookup lookup) {
  if (lanes % shared || positions.empty() || op.getNumResults() != 1 || op.getNumRegions() ||
      !op.getNumOperands() || !isMemoryEffectFree(&op))
    return false;
  Value result = op.getResult(0);
  if (std::optional<PointIndex> position = positionOf(op);
      position && position->minimum() >= 0 && position->maximum() < mostPositions) {
    positions[result] = *position;
    return false; // Whoever needs the position itself has it in all lanes.
  }
  if (isa<arith::ShRUIOp, arith::AndIOp>(op)) {
    std::optional<PointIndex> position = positionOf(op.getOperand(0));
    std::optional<int64_t> by = constantOf(op.getOperand(1));
    if (position && !position->asConstant() && by && startsQuads(*position)) {
      if (isa<arith::ShRUIOp>(op) && *by == 2) {
        quads[result] = quotient(op, *position);
        return true;
      }
      if (isa<arith::AndIOp>(op) && *by == shared - 1) {
        SmallVector<Attribute> places;
        for (int64_t lane = 0; lane < lanes; ++lane)
          places.push_back(builder.getIntegerAttr(result.getType(), lane % shared));
        auto type = VectorType::get({lanes}, result.getType());
        full[result] =
            arith::ConstantOp::create(builder, op.getLoc(), DenseElementsAttr::get(type, places));
        return true;
      }
    }
  }
  if (isa<UnrealizedConversionCastOp>(op) ||
      llvm::none_of(op.getOperands(), [&](Value operand) { return quads.contains(operand); }))
    return false;
  SmallVector<Value> operands;
  for (Value operand : op.getOperands()) {
    auto quad = quads.find(operand);
    Value value = quad != quads.end() ? quad->second : lookup(operand);
    if (quad == quads.end() && isa<VectorType>(value.getType()))
      return false;
    operands.push_back(quad != quads.end() ? value : narrow(value));
  }
  Operation *copy = op.clone();
  copy->setOperands(operands);
  copy->getResult(0).setType(VectorType::get({lanes / shared}, result.getType()));
  builder.insert(copy);
  quads[result] = copy->getResult(0);
  return true;
}

Value QuadLanes::expanded(Value value) {
  if (auto found = full.find(value); found != full.end())
    return found->second;
  auto quad = quads.find(value);
  if (quad == quads.end())
    return {};
  SmallVector<int64_t> from;
  for (int64_t lane = 0; lane < lanes; ++lane)
    from.push_back(lane / shared);
  Value source = quad->second;
  return full[value] = vector::ShuffleOp::create(builder, source.getLoc(), source, source, from);
}

} // namespace ingot
