/// Sources of numbers and ops that treat each element alone.
#include "ir/dialect/Random.h"
#include "ir/reference/ReferenceOps.h"
#include "ir/reference/ScalarReference.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;

namespace ingot::graph {
namespace {

using namespace reference;

/// One function of an op per wide type; a null one means that the verifier rejects that type.
struct Unary {
  double (*floats)(double) = nullptr;
  int64_t (*signeds)(int64_t) = nullptr;
  uint64_t (*unsigneds)(uint64_t) = nullptr;

  auto get(double) const { return floats; }
  auto get(int64_t) const { return signeds; }
  auto get(uint64_t) const { return unsigneds; }
};
struct Binary {
  double (*floats)(double, double) = nullptr;
  int64_t (*signeds)(int64_t, int64_t) = nullptr;
  uint64_t (*unsigneds)(uint64_t, uint64_t) = nullptr;

  auto get(double) const { return floats; }
  auto get(int64_t) const { return signeds; }
  auto get(uint64_t) const { return unsigneds; }
};

/// What a row of the table is defined on.
enum class On { Numbers, Floats, Integers, Bits };

/// `f` is generic: only the types that the row is defined on compile.
template <typename Row, On on, typename F> Row functionOf(F f) {
  if constexpr (on == On::Numbers)
    return {f, f, f};
  else if constexpr (on == On::Floats)
    return {f};
  else
    return {nullptr, f, f};
}

const llvm::StringMap<Unary> &unaryTable() {
  static const llvm::StringMap<Unary> table = {
#define INGOT_UNARY(METHOD, OP, ELEMENTS, REFERENCE, ...)                                          \
  {OP::getOperationName(), functionOf<Unary, On::ELEMENTS>([](auto x) {                            \
     using T [[maybe_unused]] = decltype(x);                                                       \
     return decltype(x)(REFERENCE);                                                                \
   })},
#include "ir/formulas/Primitives.def"
  };
  return table;
}

const llvm::StringMap<Binary> &binaryTable() {
  static const llvm::StringMap<Binary> table = {
#define INGOT_BINARY(METHOD, OP, ELEMENTS, REFERENCE, ...)                                         \
  {OP::getOperationName(),                                                                         \
   functionOf<Binary, On::ELEMENTS>([](auto x, auto y) { return decltype(x)(REFERENCE); })},
#include "ir/formulas/Primitives.def"
  };
  return table;
}

Tensors evaluateUnary(Operation *op, const Unary &row, const Tensor &operand) {
  return dispatch(operand.type(), [&](auto zero) -> Tensors {
    auto elements = load<decltype(zero)>(operand);
    for (auto &element : elements)
      element = row.get(zero)(element);
    return {storeResult(op, elements)};
  });
}

Result<Tensors> evaluateBinary(Operation *op, const Binary &row, Operands operands) {
  return dispatch(operands[0].type(), [&](auto zero) -> Result<Tensors> {
    using Wide = decltype(zero);
    auto lhs = load<Wide>(operands[0]), rhs = load<Wide>(operands[1]);
    if (!isFloat<Wide> && isa<DivOp, RemainderOp, ModuloOp>(op) && llvm::is_contained(rhs, Wide(0)))
      return errorAt(op, Error::Code::BadInput, "an integer is divided by zero");
    for (size_t i = 0; i < lhs.size(); ++i)
      lhs[i] = row.get(zero)(lhs[i], rhs[i]);
    return Tensors{storeResult(op, lhs)};
  });
}

template <typename T> bool compare(Comparison direction, T x, T y) {
  switch (direction) {
  case Comparison::Eq:
    return x == y;
  case Comparison::Ne:
    return x != y;
  case Comparison::Lt:
    return x < y;
  case Comparison::Le:
    return x <= y;
  case Comparison::Gt:
    return x > y;
  case Comparison::Ge:
    break;
  }
  return x >= y;
}

Tensors evaluateCompare(CompareOp op, Operands operands) {
  return dispatch(operands[0].type(), [&](auto zero) -> Tensors {
    using Wide = decltype(zero);
    auto lhs = load<Wide>(operands[0]), rhs = load<Wide>(operands[1]);
    std::vector<uint64_t> result(lhs.size());
    for (size_t i = 0; i < lhs.size(); ++i)
      result[i] = compare(op.getDirection(), lhs[i], rhs[i]);
    return {storeResult(op, result)};
  });
}

Tensors evaluateSelect(SelectOp op, Operands operands) {
  Tensor result(operands[1].type(), operands[1].shape());
  size_t size = byteSize(result.type());
  for (int64_t i = 0; i < result.size(); ++i) {
    const Tensor &source = operands[0].as<uint8_t>()[i] ? operands[1] : operands[2];
    std::memcpy(result.as<char>() + i * size, source.as<char>() + i * size, size);
  }
  return {result};
}

/// Towards zero; what does not fit saturates, NaN becomes 0.
double saturate(double value, ElementType type) {
  if (value != value)
    return 0;
  int width = bitWidth(type);
  bool isSigned = kindOf(type) == ElementKind::Signed;
  double limit = std::ldexp(1.0, isSigned ? width - 1 : width);
  return std::clamp(std::trunc(value), isSigned ? -limit : 0.0, limit);
}

Tensor castFromFloat(const Tensor &operand, ElementType to) {
  std::vector<double> elements = load<double>(operand);
  if (kindOf(to) == ElementKind::Float)
    return store(to, operand.shape(), elements);
  std::vector<uint64_t> result;
  result.reserve(elements.size());
  bool isSigned = kindOf(to) == ElementKind::Signed;
  double limit = std::ldexp(1.0, bitWidth(to) - isSigned);
  for (double element : elements) {
    if (to == ElementType::I1) {
      result.push_back(element != 0);
      continue;
    }
    double value = saturate(element, to);
    if (value == limit) // 2^63 and 2^64 are doubles, the largest integers are not
      result.push_back(isSigned ? uint64_t(INT64_MAX) >> (64 - bitWidth(to))
                                : UINT64_MAX >> (64 - bitWidth(to)));
    else
      result.push_back(value < 0 ? uint64_t(int64_t(value)) : uint64_t(value));
  }
  return store(to, operand.shape(), result);
}

Tensor castFromInteger(const Tensor &operand, ElementType to) {
  return dispatch(operand.type(), [&](auto zero) -> Tensor {
    auto elements = load<decltype(zero)>(operand);
    if (to == ElementType::I1)
      for (auto &element : elements)
        element = element != 0;
    if (kindOf(to) != ElementKind::Float)
      return store(to, operand.shape(), elements);
    // To f32 in one rounding; a 64-bit integer may not be a double.
    std::vector<double> result;
    for (auto element : elements)
      result.push_back(to == ElementType::F32 ? double(float(element)) : double(element));
    return store(to, operand.shape(), result);
  });
}

Tensors evaluateCast(CastOp op, const Tensor &operand) {
  ElementType to = resultElement(op);
  return {kindOf(operand.type()) == ElementKind::Float ? castFromFloat(operand, to)
                                                       : castFromInteger(operand, to)};
}

Tensors evaluateIota(IotaOp op) {
  Shape shape = resultShape(op);
  int64_t inner = stridesOf(shape)[op.getDimension()], size = shape[op.getDimension()];
  std::vector<int64_t> elements(elementCount(shape));
  for (size_t i = 0; i < elements.size(); ++i)
    elements[i] = int64_t(i) / inner % size;
  if (kindOf(resultElement(op)) != ElementKind::Float)
    return {storeResult(op, elements)};
  return {storeResult(op, std::vector<double>(elements.begin(), elements.end()))};
}

template <typename Op, typename Number>
Tensors evaluateRandom(Op op, Operands operands, Number number) {
  uint64_t seed = load<int64_t>(operands[0])[0], step = load<int64_t>(operands[1])[0];
  std::vector<double> elements(elementCount(resultShape(op)));
  for (size_t i = 0; i < elements.size(); ++i)
    elements[i] = number(random::word(seed, op.getId(), step, i));
  return {storeResult(op, elements)};
}

Tensors evaluateUniform(RandomUniformOp op, Operands operands) {
  auto type = cast<FloatType>(op.getType().getElementType());
  int precision = std::min<int>(type.getFPMantissaWidth(), 32);
  return evaluateRandom(op, operands,
                        [&](uint32_t word) { return random::uniform(word, precision); });
}

} // namespace

std::optional<Result<Tensors>> evaluateElementwise(Operation *op, Operands operands) {
  StringRef name = op->getName().getStringRef();
  if (auto row = unaryTable().find(name); row != unaryTable().end())
    return evaluateUnary(op, row->second, operands[0]);
  if (auto row = binaryTable().find(name); row != binaryTable().end())
    return evaluateBinary(op, row->second, operands);
  return TypeSwitch<Operation *, std::optional<Result<Tensors>>>(op)
      .Case([&](CompareOp op) { return evaluateCompare(op, operands); })
      .Case([&](SelectOp op) { return evaluateSelect(op, operands); })
      .Case([&](CastOp op) { return evaluateCast(op, operands[0]); })
      .Case([&](IotaOp op) { return evaluateIota(op); })
      .Case([&](RandomUniformOp op) { return evaluateUniform(op, operands); })
      .Case([&](RandomNormalOp op) { return evaluateRandom(op, operands, random::normal); })
      .Default([](Operation *) { return std::nullopt; });
}

Result<std::vector<double>> evaluateOnDoubles(Operation *op,
                                              ArrayRef<std::vector<double>> operands) {
  size_t size = 1;
  for (const std::vector<double> &operand : operands)
    size = operand.size() == 1 ? size : operand.size();
  auto at = [&](size_t operand, size_t i) {
    return operands[operand][operands[operand].size() == 1 ? 0 : i];
  };
  auto each = [&](auto function) {
    std::vector<double> result(size);
    for (size_t i = 0; i < size; ++i)
      result[i] = function(i);
    return result;
  };
  StringRef name = op->getName().getStringRef();
  if (auto row = unaryTable().find(name); row != unaryTable().end() && row->second.floats)
    return each([&](size_t i) { return row->second.floats(at(0, i)); });
  if (auto row = binaryTable().find(name); row != binaryTable().end() && row->second.floats)
    return each([&](size_t i) { return row->second.floats(at(0, i), at(1, i)); });
  if (auto constant = dyn_cast<ConstantOp>(op)) {
    INGOT_ASSIGN(Tensor value, tensorOf(constant.getValue()));
    return load<double>(value);
  }
  if (auto comparison = dyn_cast<CompareOp>(op))
    return each(
        [&](size_t i) { return double(compare(comparison.getDirection(), at(0, i), at(1, i))); });
  if (isa<SelectOp>(op))
    return each([&](size_t i) { return at(0, i) != 0 ? at(1, i) : at(2, i); });
  return errorAt(op, Error::Code::Unsupported, "is no function of floats");
}

} // namespace ingot::graph
