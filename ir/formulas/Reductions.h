/// The kinds of graph.reduce on numbers: what the reference computes with, and where compiled sums
/// start. Reductions.def is the table.
#pragma once
#include "ir/dialect/Graph.h"
#include "ir/reference/ScalarReference.h"
#include <algorithm>
#include <limits>

namespace ingot::graph {

namespace reference {

template <typename T> T lowest() {
  using Limits = std::numeric_limits<T>;
  return Limits::has_infinity ? T(-Limits::infinity()) : Limits::lowest();
}
template <typename T> T highest() {
  using Limits = std::numeric_limits<T>;
  return Limits::has_infinity ? Limits::infinity() : Limits::max();
}

} // namespace reference

/// The nearest number that an integer of `width` bits holds; floats hold all.
template <typename T> T inRange(T value, unsigned width) {
  if constexpr (std::is_same_v<T, int64_t>)
    return std::clamp(value, -(int64_t(1) << (width - 1)), int64_t(uint64_t(-1) >> (65 - width)));
  else if constexpr (std::is_same_v<T, uint64_t>)
    return std::min(value, uint64_t(-1) >> (64 - width));
  return value;
}

/// What changes nothing, in an integer of `width` bits within its range.
template <typename T> T neutralOf(ReduceKind kind, unsigned width) {
  using namespace reference;
  switch (kind) {
#define INGOT_REDUCTION(METHOD, KIND, NEUTRAL, ...)                                                \
  case ReduceKind::KIND:                                                                           \
    return inRange<T>(NEUTRAL, width);
#include "ir/formulas/Reductions.def"
  }
  return T(0);
}

template <typename T> T combine(ReduceKind kind, T x, T y) {
  using namespace reference;
  switch (kind) {
#define INGOT_REDUCTION(METHOD, KIND, NEUTRAL, REFERENCE, ...)                                     \
  case ReduceKind::KIND:                                                                           \
    return REFERENCE;
#include "ir/formulas/Reductions.def"
  }
  return x;
}

} // namespace ingot::graph
