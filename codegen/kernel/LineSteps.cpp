#include "codegen/kernel/LineSteps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/linalg/Reshape.h"
#include <limits>

using namespace mlir;

namespace ingot {

Value ScanStep::neutral(int64_t lanes) const {
  const int64_t number = kind == graph::ReduceKind::Product;
  TypedAttr value = isa<FloatType>(total)
                        ? TypedAttr(code.builder.getFloatAttr(total, double(number)))
                        : TypedAttr(code.builder.getIntegerAttr(total, number));
  if (lanes)
    value = DenseElementsAttr::get(VectorType::get(lanes, total), ArrayRef<Attribute>{value});
  return code.create<arith::ConstantOp>(value);
}

Value ScanStep::combine(Value before, Value after) const {
  const bool isFloat = isa<FloatType>(total);
  if (kind == graph::ReduceKind::Sum)
    return isFloat ? code.create<arith::AddFOp>(before, after).getResult()
                   : code.create<arith::AddIOp>(before, after).getResult();
  return isFloat ? code.create<arith::MulFOp>(before, after).getResult()
                 : code.create<arith::MulIOp>(before, after).getResult();
}

IntegerType sortKeyType(graph::SortOp op) {
  Type element = op.getOperand().getType().getElementType();
  return IntegerType::get(op.getContext(), element.getIntOrFloatBitWidth() <= 32 ? 32 : 64);
}

Value sortKey(IndexCode &code, graph::SortOp op, Value x, IntegerType type) {
  auto number = [&](int64_t value) -> Value {
    return code.create<arith::ConstantOp>(code.builder.getIntegerAttr(type, value));
  };
  const int64_t highest = type.isInteger(32) ? std::numeric_limits<int32_t>::max()
                                             : std::numeric_limits<int64_t>::max();
  auto widened = [&](Value bits) -> Value {
    return bits.getType() == type ? bits : code.create<arith::ExtSIOp>(type, bits).getResult();
  };
  Value key;
  if (isa<FloatType>(x.getType())) {
    if (!x.getType().isF64())
      x = convertFloat(code, x, code.builder.getF32Type());
    Value zero = code.create<arith::ConstantOp>(code.builder.getFloatAttr(x.getType(), 0));
    Value isZero = code.create<arith::CmpFOp>(arith::CmpFPredicate::OEQ, x, zero);
    Value isNan = code.create<arith::CmpFOp>(arith::CmpFPredicate::UNO, x, x);
    Type bits = code.builder.getIntegerType(x.getType().getIntOrFloatBitWidth());
    key = widened(code.create<arith::BitcastOp>(
        bits, code.create<arith::SelectOp>(isZero, zero, x).getResult()));
    // The larger a negative number's bits, the smaller it is.
    Value sign = code.create<arith::ShRSIOp>(key, number(type.getWidth() - 1));
    key = code.create<arith::XOrIOp>(key,
                                     code.create<arith::AndIOp>(sign, number(highest)).getResult());
    key = code.create<arith::SelectOp>(isNan, number(highest), key);
  } else {
    key = widened(x);
  }
  return op.getDescending() ? code.create<arith::XOrIOp>(key, number(-1)).getResult() : key;
}

SortedResult sortedResult(func::FuncOp kernel, graph::SortOp op, unsigned result) {
  Operation *end = kernel.getBody().front().getTerminator();
  Value value = reshapeSource(end->getOperand(result));
  const int64_t size = cast<RankedTensorType>(value.getType()).getDimSize(op.getDimension());
  if (auto head = value.getDefiningOp<tensor::ExtractSliceOp>())
    value = head.getSource();
  return {value == op.getPlaces(), size};
}

} // namespace ingot
