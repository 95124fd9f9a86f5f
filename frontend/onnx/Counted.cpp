#include "frontend/onnx/Counted.h"
#include <cmath>
#include <cstring>

namespace ingot::onnx {

Value isThere(Call &c, const Item &counted, const Shape &shape) {
  return c.b.compare(Comparison::Less, c.b.iota(shape, counted.counted, ElementType::I64),
                     c.b.reshape(c.b.cast(counted.count, ElementType::I64), {}));
}

Value withPadding(Call &c, const Item &counted, Limit filling) {
  return c.b.select(isThere(c, counted, counted.value.shape()), counted.value,
                    limitLike(c, counted.value, filling));
}

Value limitLike(Call &c, const Value &x, Limit limit) {
  const ElementType type = x.type();
  if (limit == Limit::Zero || limit == Limit::One)
    return c.b.scalar(limit == Limit::One, type);
  const bool isLowest = limit == Limit::Lowest;
  if (isFloat(type))
    return c.b.scalar(isLowest ? -INFINITY : INFINITY, type);
  const bool isSigned = type >= ElementType::I64 && type <= ElementType::I4;
  const size_t bits = type == ElementType::I1                              ? 1
                      : type == ElementType::I4 || type == ElementType::U4 ? 4
                                                                           : 8 * byteSize(type);
  const uint64_t all = ~uint64_t(0) >> (64 - bits), highest = isSigned ? all >> 1 : all,
                 lowest = isSigned ? ~highest : 0;
  Tensor number(type, {});
  std::memcpy(number.data(), isLowest ? &lowest : &highest, number.bytes());
  return c.b.constant(number);
}

} // namespace ingot::onnx
