/// Sources of numbers and ops that treat each element alone.
#include "ir/dialect/Random.h"
#include "ir/reference/ReferenceOps.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;

namespace ingot::graph {
namespace {

template <typename T> constexpr bool isFloat = std::is_same_v<T, double>;

/// Integer arithmetic wraps, so it is done on unsigned numbers.
template <typename T> using Modular = std::conditional_t<isFloat<T>, double, uint64_t>;

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

template <typename Op, typename F> std::pair<StringRef, Unary> numbers(F f) {
  return {Op::getOperationName(), Unary{f, f, f}};
}
template <typename Op> std::pair<StringRef, Unary> floats(double (*f)(double)) {
  return {Op::getOperationName(), Unary{f}};
}
template <typename Op, typename F> std::pair<StringRef, Binary> numbers2(F f) {
  return {Op::getOperationName(), Binary{f, f, f}};
}
template <typename Op, typename F> std::pair<StringRef, Binary> bits2(F f) {
  return {Op::getOperationName(), Binary{nullptr, f, f}};
}

const llvm::StringMap<Unary> &unaryTable() {
  static const llvm::StringMap<Unary> table = {
      numbers<NegOp>([](auto x) { return decltype(x)(-Modular<decltype(x)>(x)); }),
      numbers<AbsOp>([](auto x) {
        if constexpr (isFloat<decltype(x)>)
          return std::fabs(x);
        else
          return decltype(x)(x < 0 ? 0 - uint64_t(x) : uint64_t(x));
      }),
      numbers<SignOp>([](auto x) {
        if (isFloat<decltype(x)> && x != x)
          return x;
        return decltype(x)((x > 0) - (x < 0));
      }),
      numbers<ReluOp>([](auto x) { return x <= 0 ? decltype(x)(0) : x; }),
      {NotOp::getOperationName(),
       Unary{nullptr, [](int64_t x) { return ~x; }, [](uint64_t x) { return ~x; }}},
      floats<ExpOp>([](double x) { return std::exp(x); }),
      floats<LogOp>([](double x) { return std::log(x); }),
      floats<Expm1Op>([](double x) { return std::expm1(x); }),
      floats<Log1pOp>([](double x) { return std::log1p(x); }),
      floats<SqrtOp>([](double x) { return std::sqrt(x); }),
      floats<RsqrtOp>([](double x) { return 1 / std::sqrt(x); }),
      floats<ReciprocalOp>([](double x) { return 1 / x; }),
      floats<TanhOp>([](double x) { return std::tanh(x); }),
      floats<ErfOp>([](double x) { return std::erf(x); }),
      floats<SinOp>([](double x) { return std::sin(x); }),
      floats<CosOp>([](double x) { return std::cos(x); }),
      floats<SigmoidOp>([](double x) { return 1 / (1 + std::exp(-x)); }),
      floats<FloorOp>([](double x) { return std::floor(x); }),
      floats<CeilOp>([](double x) { return std::ceil(x); }),
  };
  return table;
}

template <typename T> T maximum(T x, T y) { return x != x || x > y ? x : y; }
template <typename T> T minimum(T x, T y) { return x != x || x < y ? x : y; }

/// The divisor is not 0; the one quotient that overflows wraps.
template <typename T> T divide(T x, T y) {
  if constexpr (std::is_signed_v<T> && !isFloat<T>)
    if (y == -1)
      return T(-uint64_t(x));
  return x / y;
}
template <typename T> T remainderOf(T x, T y) {
  if constexpr (isFloat<T>)
    return std::fmod(x, y);
  else
    return std::is_signed_v<T> && y == T(-1) ? 0 : x % y;
}

const llvm::StringMap<Binary> &binaryTable() {
  static const llvm::StringMap<Binary> table = {
      numbers2<AddOp>([](auto x, auto y) {
        return decltype(x)(Modular<decltype(x)>(x) + Modular<decltype(x)>(y));
      }),
      numbers2<SubOp>([](auto x, auto y) {
        return decltype(x)(Modular<decltype(x)>(x) - Modular<decltype(x)>(y));
      }),
      numbers2<MulOp>([](auto x, auto y) {
        return decltype(x)(Modular<decltype(x)>(x) * Modular<decltype(x)>(y));
      }),
      numbers2<DivOp>([](auto x, auto y) { return divide(x, y); }),
      numbers2<RemainderOp>([](auto x, auto y) { return remainderOf(x, y); }),
      numbers2<MaximumOp>([](auto x, auto y) { return maximum(x, y); }),
      numbers2<MinimumOp>([](auto x, auto y) { return minimum(x, y); }),
      {PowOp::getOperationName(), Binary{[](double x, double y) { return std::pow(x, y); }}},
      bits2<AndOp>([](auto x, auto y) { return x & y; }),
      bits2<OrOp>([](auto x, auto y) { return x | y; }),
      bits2<XorOp>([](auto x, auto y) { return x ^ y; }),
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
    if (!isFloat<Wide> && isa<DivOp, RemainderOp>(op) && llvm::is_contained(rhs, Wide(0)))
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

} // namespace ingot::graph
