/// The notation of Term.h on numbers: one text of a formula serves graph and reference.
#pragma once
#include "ir/reference/ScalarReference.h"

namespace ingot::graph::formulas {

/// A float of type T.
template <typename T> struct Number {
  T value;
};

#define INGOT_UNARY_Floats(METHOD, REFERENCE)                                                      \
  template <typename T> Number<T> METHOD(Number<T> operand) {                                      \
    using namespace reference;                                                                     \
    const T x = operand.value;                                                                     \
    return {T(REFERENCE)};                                                                         \
  }
#define INGOT_BINARY_Floats(METHOD, REFERENCE)                                                     \
  template <typename T> Number<T> METHOD(Number<T> lhs, Number<T> rhs) {                           \
    using namespace reference;                                                                     \
    const T x = lhs.value, y = rhs.value;                                                          \
    return {T(REFERENCE)};                                                                         \
  }                                                                                                \
  template <typename T> Number<T> METHOD(Number<T> x, double y) {                                  \
    return METHOD(x, Number<T>{y});                                                                \
  }                                                                                                \
  template <typename T> Number<T> METHOD(double x, Number<T> y) { return METHOD(Number<T>{x}, y); }
#define INGOT_UNARY_Numbers INGOT_UNARY_Floats
#define INGOT_BINARY_Numbers INGOT_BINARY_Floats
#define INGOT_UNARY_Bits(...)
#define INGOT_BINARY_Bits(...)
#define INGOT_BINARY_Integers(...)
#define INGOT_UNARY(METHOD, OP, ELEMENTS, REFERENCE, ...) INGOT_UNARY_##ELEMENTS(METHOD, REFERENCE)
#define INGOT_BINARY(METHOD, OP, ELEMENTS, REFERENCE, ...)                                         \
  INGOT_BINARY_##ELEMENTS(METHOD, REFERENCE)
#include "ir/formulas/Primitives.def"
#undef INGOT_UNARY_Floats
#undef INGOT_BINARY_Floats
#undef INGOT_UNARY_Numbers
#undef INGOT_BINARY_Numbers
#undef INGOT_UNARY_Bits
#undef INGOT_BINARY_Bits
#undef INGOT_BINARY_Integers

template <typename T> Number<T> operator-(Number<T> x) { return {-x.value}; }
#define INGOT_OPERATOR(SYMBOL, RESULT)                                                             \
  template <typename T> RESULT operator SYMBOL(Number<T> x, Number<T> y) {                         \
    return {x.value SYMBOL y.value};                                                               \
  }                                                                                                \
  template <typename T> RESULT operator SYMBOL(Number<T> x, double y) {                            \
    return {x.value SYMBOL y};                                                                     \
  }                                                                                                \
  template <typename T> RESULT operator SYMBOL(double x, Number<T> y) { return {x SYMBOL y.value}; }
INGOT_OPERATOR(+, Number<T>)
INGOT_OPERATOR(-, Number<T>)
INGOT_OPERATOR(*, Number<T>)
INGOT_OPERATOR(/, Number<T>)
INGOT_OPERATOR(<, bool)
INGOT_OPERATOR(<=, bool)
INGOT_OPERATOR(>, bool)
INGOT_OPERATOR(>=, bool)
#undef INGOT_OPERATOR
template <typename T> bool equal(Number<T> x, Number<T> y) { return x.value == y.value; }
template <typename T> bool equal(Number<T> x, double y) { return x.value == y; }

template <typename T> Number<T> choose(bool c, Number<T> x, Number<T> y) { return c ? x : y; }
template <typename T> Number<T> choose(bool c, Number<T> x, double y) {
  return c ? x : Number<T>{y};
}
template <typename T> Number<T> choose(bool c, double x, Number<T> y) {
  return c ? Number<T>{x} : y;
}

} // namespace ingot::graph::formulas
