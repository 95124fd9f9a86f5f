/// Functions of elements in the notation of mathematics, on values of the graph: gradients and
/// formulas are written with these.
#pragma once
#include "ir/dialect/GraphBuilder.h"

namespace ingot::graph::formulas {

/// A value and the builder that computes with it.
struct Term {
  GraphBuilder *build;
  mlir::Value value;
};

/// A comparison's result.
struct Condition {
  GraphBuilder *build;
  mlir::Value value;
};

inline Term like(Term x, double number) { return {x.build, x.build->splatLike(x.value, number)}; }

#define INGOT_UNARY(METHOD, OP, ELEMENTS, ...)                                                     \
  inline Term METHOD(Term x) { return {x.build, x.build->make<OP>(x.value)}; }
#define INGOT_BINARY(METHOD, OP, ELEMENTS, ...)                                                    \
  inline Term METHOD(Term x, Term y) { return {x.build, x.build->make<OP>(x.value, y.value)}; }    \
  inline Term METHOD(Term x, double y) { return METHOD(x, like(x, y)); }                           \
  inline Term METHOD(double x, Term y) { return METHOD(like(y, x), y); }
#include "ir/formulas/Primitives.def"

inline Term operator-(Term x) { return neg(x); }
#define INGOT_OPERATOR(SYMBOL, METHOD)                                                             \
  inline Term operator SYMBOL(Term x, Term y) { return METHOD(x, y); }                             \
  inline Term operator SYMBOL(Term x, double y) { return METHOD(x, y); }                           \
  inline Term operator SYMBOL(double x, Term y) { return METHOD(x, y); }
INGOT_OPERATOR(+, add)
INGOT_OPERATOR(-, sub)
INGOT_OPERATOR(*, mul)
INGOT_OPERATOR(/, div)
#undef INGOT_OPERATOR

inline Condition compare(Comparison direction, Term x, Term y) {
  return {x.build, x.build->compare(direction, x.value, y.value)};
}
#define INGOT_COMPARISON(NAME, DIRECTION)                                                          \
  inline Condition NAME(Term x, Term y) { return compare(Comparison::DIRECTION, x, y); }           \
  inline Condition NAME(Term x, double y) { return NAME(x, like(x, y)); }
INGOT_COMPARISON(equal, Eq)
INGOT_COMPARISON(operator<, Lt)
INGOT_COMPARISON(operator<=, Le)
INGOT_COMPARISON(operator>, Gt)
INGOT_COMPARISON(operator>=, Ge)
#undef INGOT_COMPARISON

inline Condition operator!(Condition c) { return {c.build, c.build->make<NotOp>(c.value)}; }
inline Condition operator&&(Condition c, Condition d) {
  return {c.build, c.build->make<AndOp>(c.value, d.value)};
}
inline Condition operator||(Condition c, Condition d) {
  return {c.build, c.build->make<OrOp>(c.value, d.value)};
}

inline Term choose(Condition c, Term x, Term y) {
  return {c.build, c.build->select(c.value, x.value, y.value)};
}
inline Term choose(Condition c, Term x, double y) { return choose(c, x, like(x, y)); }
inline Term choose(Condition c, double x, Term y) { return choose(c, like(y, x), y); }

/// Towards zero.
inline Term truncated(Term x) { return choose(x < 0.0, ceil(x), floor(x)); }
/// Half of x where the condition holds, else all of it.
inline Term halfWhere(Condition c, Term x) { return choose(c, x * 0.5, x); }

} // namespace ingot::graph::formulas
