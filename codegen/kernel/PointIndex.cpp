#include "codegen/kernel/PointIndex.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include <tuple>

using namespace mlir;

namespace ingot {
namespace {

using Kind = IndexVariable::Kind;

auto sortKey(const PointIndex::Digit &digit) {
  return std::make_tuple(digit.variable.value.getAsOpaquePointer(), int(digit.variable.kind),
                         digit.variable.extent, digit.divisor, digit.extent, digit.coefficient);
}

/// Largest value of a digit without its coefficient.
int64_t range(const PointIndex::Digit &digit) {
  int64_t quotients = (digit.variable.extent - 1) / digit.divisor;
  return std::min(quotients, digit.extent - 1);
}

/// Joins high · k·e + low · k, where low is the next e values below high, into one digit.
bool joinDigits(PointIndex::Digit &high, const PointIndex::Digit &low) {
  if (!(high.variable == low.variable) || low.full() || high.divisor != low.divisor * low.extent ||
      high.coefficient != low.coefficient * low.extent)
    return false;
  high.coefficient = low.coefficient;
  high.divisor = low.divisor;
  high.extent *= low.extent;
  return true;
}

/// The two digits, of the digit's own coefficient, that are its quotient by `inner` and the rest;
/// none where the quotient is no digit of the variable.
std::optional<std::pair<PointIndex::Digit, PointIndex::Digit>>
cutDigit(const PointIndex::Digit &digit, int64_t inner) {
  if (inner <= 0 || (!digit.full() && digit.extent % inner != 0))
    return std::nullopt;
  PointIndex::Digit high = digit, low = digit;
  high.divisor = digit.divisor * inner;
  high.extent = digit.full() ? llvm::divideCeilSigned(digit.variable.extent, high.divisor)
                             : digit.extent / inner;
  low.extent = inner;
  return std::pair(high, low);
}

bool isUniform(const PointIndex::Digit &digit, int64_t lanes) {
  const IndexVariable &variable = digit.variable;
  return variable.kind == Kind::Uniform ||
         (variable.kind == Kind::Consecutive && variable.aligned && digit.divisor % lanes == 0);
}

bool isRun(const PointIndex::Digit &digit, int64_t lanes) {
  const IndexVariable &variable = digit.variable;
  return variable.kind == Kind::Consecutive && digit.divisor == 1 &&
         (digit.full() || (variable.aligned && digit.extent % lanes == 0));
}

/// True for the digit of a run of lanes whose first one is a multiple of the divisor.
bool startsAtDivisor(const PointIndex::Digit &digit, int64_t lanes) {
  return digit.variable.kind == Kind::Consecutive && digit.variable.aligned &&
         lanes % digit.divisor == 0;
}

} // namespace

PointIndex PointIndex::constant(int64_t value) {
  PointIndex index;
  index.base = value;
  return index;
}

PointIndex PointIndex::ofDigit(const Digit &digit) {
  PointIndex index;
  index.terms.push_back(digit);
  index.normalise();
  return index;
}

PointIndex PointIndex::uniform(Value value, int64_t extent) {
  if (APInt known; matchPattern(value, m_ConstantInt(&known)))
    return constant(known.getSExtValue());
  return ofDigit({.variable = {value, Kind::Uniform, extent, false}, .extent = extent});
}

PointIndex PointIndex::consecutive(Value value, int64_t extent, bool aligned) {
  return ofDigit({.variable = {value, Kind::Consecutive, extent, aligned}, .extent = extent});
}

PointIndex PointIndex::scattered(Value value, int64_t extent) {
  return ofDigit({.variable = {value, Kind::Scattered, extent, false}, .extent = extent});
}

PointIndex PointIndex::operator+(const PointIndex &other) const {
  PointIndex sum = *this;
  sum.base += other.base;
  sum.terms.append(other.terms.begin(), other.terms.end());
  sum.normalise();
  return sum;
}

PointIndex PointIndex::operator*(int64_t factor) const {
  if (factor == 0)
    return constant(0);
  PointIndex product = *this;
  product.base *= factor;
  for (Digit &digit : product.terms)
    digit.coefficient *= factor;
  return product;
}

void PointIndex::normalise() {
  // Digits of extent 1 are zero; a consecutive variable still tells lanes apart, so it keeps its
  // own.
  llvm::erase_if(terms, [](const Digit &digit) {
    return range(digit) == 0 && digit.variable.kind == Kind::Uniform;
  });
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t high = 0; high < terms.size() && !changed; ++high)
      for (size_t low = 0; low < terms.size() && !changed; ++low) {
        if (high == low)
          continue;
        Digit same = terms[low];
        same.coefficient = terms[high].coefficient;
        if (same == terms[high])
          terms[high].coefficient += terms[low].coefficient;
        else if (!joinDigits(terms[high], terms[low]))
          continue;
        terms.erase(terms.begin() + low);
        changed = true;
      }
  }
  llvm::erase_if(terms, [](const Digit &digit) { return digit.coefficient == 0; });
  llvm::sort(terms, [](const Digit &a, const Digit &b) { return sortKey(a) < sortKey(b); });
}

std::optional<std::pair<PointIndex, PointIndex>> PointIndex::divide(int64_t divisor) const {
  if (divisor == 0) // a dimension of size 0, in which no position is ever looked for
    return std::make_pair(*this, constant(0));
  PointIndex quotient = constant(llvm::divideFloorSigned(base, divisor));
  PointIndex rest = constant(base - quotient.base * divisor);
  for (const Digit &digit : terms)
    if (digit.coefficient % divisor == 0) {
      Digit whole = digit;
      whole.coefficient /= divisor;
      quotient.terms.push_back(whole);
    } else if (auto parts = cutDigit(digit, divisor / -digit.coefficient);
               parts && digit.coefficient < 0 && divisor % digit.coefficient == 0) {
      // A reversed dimension: -k·d = -divisor·high - k·low, which leaves less below zero.
      auto [high, low] = *parts;
      high.coefficient = -1;
      quotient.terms.push_back(high);
      rest.terms.push_back(low);
    } else {
      rest.terms.push_back(digit);
    }
  if (rest.minimum() < 0)
    return std::nullopt;
  quotient.normalise();
  if (rest.maximum() < divisor)
    return std::make_pair(quotient, rest);

  // One digit of coefficient k, all others together below k: only that digit is divided.
  auto leading = llvm::max_element(
      rest.terms, [](const Digit &a, const Digit &b) { return a.coefficient < b.coefficient; });
  Digit digit = *leading;
  rest.terms.erase(leading);
  int64_t step = digit.coefficient;
  if (divisor % step != 0 || rest.maximum() >= step)
    return std::nullopt;
  auto parts = cutDigit(digit, divisor / step);
  if (!parts)
    return std::nullopt;
  auto [high, low] = *parts;
  high.coefficient = 1;
  return std::make_pair(quotient + ofDigit(high), rest + ofDigit(low));
}

int64_t PointIndex::minimum() const {
  int64_t bound = base;
  for (const Digit &digit : terms)
    bound += std::min<int64_t>(0, digit.coefficient * range(digit));
  return bound;
}

int64_t PointIndex::maximum() const {
  int64_t bound = base;
  for (const Digit &digit : terms)
    bound += std::max<int64_t>(0, digit.coefficient * range(digit));
  return bound;
}

std::optional<int64_t> PointIndex::asConstant() const {
  return terms.empty() ? std::optional(base) : std::nullopt;
}

PointIndex::Lanes PointIndex::overLanes(int64_t lanes) const {
  Lanes result;
  if (lanes == 1)
    return result;
  for (const Digit &digit : terms) {
    if (isRun(digit, lanes))
      result.step += digit.coefficient;
    else if (!isUniform(digit, lanes))
      result.affine = false;
  }
  return result;
}

std::optional<int64_t> PointIndex::lanesPerStep(int64_t lanes) const {
  std::optional<int64_t> number;
  for (const Digit &digit : terms) {
    if (isUniform(digit, lanes))
      continue;
    const bool isSlowRun = startsAtDivisor(digit, lanes) && digit.divisor > 1 &&
                           (digit.full() || digit.divisor * digit.extent % lanes == 0);
    if (number || !isSlowRun || digit.coefficient != 1)
      return std::nullopt;
    number = digit.divisor;
  }
  return number;
}

bool PointIndex::isInOrder(int64_t lanes) const {
  const Lanes over = overLanes(lanes);
  return over.affine ? over.step >= 0 && over.step <= 2 : lanesPerStep(lanes).has_value();
}

bool PointIndex::isMultipleOf(int64_t factor, int64_t lanes) const {
  return base % factor == 0 && llvm::all_of(terms, [&](const Digit &digit) {
           return digit.coefficient % factor == 0 ||
                  (digit.variable.aligned && isRun(digit, lanes) &&
                   digit.coefficient * lanes % factor == 0);
         });
}

Value PointIndex::scalar(OpBuilder &builder, Location location, Type type) const {
  auto number = [&](int64_t value) -> Value {
    return arith::ConstantOp::create(builder, location, builder.getIntegerAttr(type, value));
  };
  Value sum;
  for (const Digit &digit : terms) {
    Value value = digit.variable.value;
    if (digit.divisor != 1)
      value = arith::DivUIOp::create(builder, location, value, number(digit.divisor));
    if (!digit.full())
      value = arith::RemUIOp::create(builder, location, value, number(digit.extent));
    if (digit.coefficient != 1)
      value = arith::MulIOp::create(builder, location, value, number(digit.coefficient));
    sum = sum ? arith::AddIOp::create(builder, location, sum, value).getResult() : value;
  }
  if (!sum)
    return number(base);
  return base ? arith::AddIOp::create(builder, location, sum, number(base)).getResult() : sum;
}

Value PointIndex::vector(OpBuilder &builder, Location location, Type element, int64_t lanes) const {
  auto type = VectorType::get({lanes}, element);
  auto numbers = [&](ArrayRef<Attribute> values) -> Value {
    return arith::ConstantOp::create(builder, location, DenseElementsAttr::get(type, values));
  };
  auto number = [&](int64_t value) {
    return numbers(Attribute(builder.getIntegerAttr(element, value)));
  };
  auto laneNumbers = [&](int64_t divisor, int64_t extent) -> Value {
    if (element.isIndex() && divisor == 1 && extent >= lanes)
      return vector::StepOp::create(builder, location, type);
    return numbers(llvm::map_to_vector(llvm::seq<int64_t>(0, lanes), [&](int64_t lane) {
      return Attribute(builder.getIntegerAttr(element, lane / divisor % extent));
    }));
  };
  // What all lanes share is computed once.
  PointIndex shared = constant(base);
  llvm::copy_if(terms, std::back_inserter(shared.terms),
                [](const Digit &digit) { return digit.variable.kind == Kind::Uniform; });
  Value sum = shared.terms.empty()
                  ? number(base)
                  : vector::BroadcastOp::create(builder, location, type,
                                                shared.scalar(builder, location, element))
                        .getResult();
  for (const Digit &digit : terms) {
    Value value = digit.variable.value;
    if (digit.variable.kind == Kind::Uniform)
      continue;
    const bool isKnown = startsAtDivisor(digit, lanes) && digit.extent > 0 &&
                         lanes % (digit.divisor * digit.extent) == 0;
    int64_t divisor = digit.divisor;
    if (isKnown) {
      value = laneNumbers(divisor, digit.extent);
      divisor = 1;
    } else if (digit.variable.kind == Kind::Consecutive) {
      int64_t perStep = 1; // lanes
      if (startsAtDivisor(digit, lanes) && divisor > 1) {
        value = arith::DivUIOp::create(
            builder, location, value,
            arith::ConstantOp::create(builder, location, builder.getIntegerAttr(element, divisor)));
        perStep = std::exchange(divisor, 1);
      }
      value = vector::BroadcastOp::create(builder, location, type, value);
      value = arith::AddIOp::create(builder, location, value, laneNumbers(perStep, lanes));
    }
    if (divisor != 1)
      value = arith::DivUIOp::create(builder, location, value, number(divisor));
    if (!isKnown && !digit.full())
      value = arith::RemUIOp::create(builder, location, value, number(digit.extent));
    if (digit.coefficient != 1)
      value = arith::MulIOp::create(builder, location, value, number(digit.coefficient));
    sum = arith::AddIOp::create(builder, location, sum, value);
  }
  return sum;
}

PointIndex linearise(ArrayRef<PointIndex> indices, ArrayRef<int64_t> shape) {
  PointIndex position;
  for (auto [index, size] : llvm::zip_equal(indices, shape))
    position = position * size + index;
  return position;
}

SmallVector<PointIndex> splitPosition(PointIndex position, ArrayRef<int64_t> shape,
                                      DivideIndex divide) {
  SmallVector<PointIndex> indices(shape.size());
  for (size_t dim = shape.size(); dim-- > 1;)
    std::tie(position, indices[dim]) = divide(position, shape[dim]);
  if (!shape.empty())
    indices[0] = position;
  return indices;
}

PointIndex evaluateExpression(AffineExpr expression, ArrayRef<PointIndex> dimensions,
                              DivideIndex divide) {
  if (auto dim = dyn_cast<AffineDimExpr>(expression))
    return dimensions[dim.getPosition()];
  if (auto constant = dyn_cast<AffineConstantExpr>(expression))
    return PointIndex::constant(constant.getValue());
  auto binary = cast<AffineBinaryOpExpr>(expression);
  PointIndex left = evaluateExpression(binary.getLHS(), dimensions, divide);
  if (expression.getKind() == AffineExprKind::Add)
    return left + evaluateExpression(binary.getRHS(), dimensions, divide);
  int64_t right = cast<AffineConstantExpr>(binary.getRHS()).getValue();
  switch (expression.getKind()) {
  case AffineExprKind::Mul:
    return left * right;
  case AffineExprKind::Mod:
    return divide(left, right).second;
  case AffineExprKind::FloorDiv:
    return divide(left, right).first;
  default:
    return divide(left + PointIndex::constant(right - 1), right).first;
  }
}

} // namespace ingot
