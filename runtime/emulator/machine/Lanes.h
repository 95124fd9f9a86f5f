/// Handlers from functions of one lane: `lanesOf<[](uint32_t a, uint32_t b) { return a + b; }>()`.
///
/// The function is applied to all 32 lanes side by side, so that the compiler makes vector code of
/// it; inactive lanes are computed too (a function must be defined for any bits) and thrown away.
/// Each handler is compiled for three levels of the host's vector unit and chosen once; results are
/// the same, since nothing is contracted or reordered.
#pragma once
#include "runtime/emulator/machine/Decoder.h"
#include "runtime/emulator/machine/Machine.h"
#include <bit>
#include <tuple>
#include <type_traits>
#include <utility>

#if defined(__x86_64__)
#define INGOT_TARGET_V3 __attribute__((target("avx2,bmi,bmi2,fma,f16c,lzcnt,popcnt")))
#define INGOT_TARGET_V4                                                                            \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,bmi,bmi2,fma,f16c,"      \
                        "lzcnt,popcnt")))
#else
#define INGOT_TARGET_V3
#define INGOT_TARGET_V4
#endif
#define INGOT_INLINE __attribute__((always_inline)) inline

namespace ingot::emulator {

/// Vector level of the host: 0 anything, 1 AVX2, 2 AVX-512.
int hostVectorLevel();

template <typename F> struct LaneSignature;
template <typename C, typename R, typename... A> struct LaneSignature<R (C::*)(A...) const> {
  using Result = R;
  using Arguments = std::tuple<A...>;
};

/// What a lane of a register looks like in the frame: predicates are one mask.
template <typename T> INGOT_INLINE auto rowOf(Warp &warp, Slot slot) {
  if constexpr (std::is_same_v<T, bool>)
    return warp.predicate(slot);
  else
    return static_cast<const T *>(warp.reg<T>(slot));
}
template <typename Row> INGOT_INLINE auto laneOf(Row row, int lane) {
  if constexpr (std::is_same_v<Row, uint32_t>)
    return bool(row >> lane & 1);
  else
    return row[lane];
}

/// Writes the lanes of `mask` of a register.
template <typename T>
INGOT_INLINE void storeLanes(T *out, const T (&values)[lanes], uint32_t mask) {
  if (mask == allLanes) {
    for (int lane = 0; lane < lanes; ++lane)
      out[lane] = values[lane];
  } else {
    for (int lane = 0; lane < lanes; ++lane)
      out[lane] = mask >> lane & 1 ? values[lane] : out[lane];
  }
}

INGOT_INLINE void storePredicate(uint32_t &out, uint32_t values, uint32_t mask) {
  out = (out & ~mask) | (values & mask);
}

template <auto function> struct LaneHandler {
  using Signature = LaneSignature<decltype(&decltype(function)::operator())>;
  using Result = typename Signature::Result;

  template <typename... A, size_t... index>
  static INGOT_INLINE void body(Warp &warp, const Instruction &in, uint32_t mask,
                                std::tuple<A...> *, std::index_sequence<index...>) {
    const auto rows = std::make_tuple(rowOf<A>(warp, in.slots[index + 1])...);
    if constexpr (std::is_same_v<Result, bool>) {
      uint32_t values = 0;
      for (int lane = 0; lane < lanes; ++lane)
        values |= uint32_t(bool(function(laneOf(std::get<index>(rows), lane)...))) << lane;
      storePredicate(warp.predicate(in.slots[0]), values, mask);
    } else {
      Result values[lanes];
      for (int lane = 0; lane < lanes; ++lane)
        values[lane] = function(laneOf(std::get<index>(rows), lane)...);
      storeLanes(warp.reg<Result>(in.slots[0]), values, mask);
    }
  }
  static INGOT_INLINE void all(Warp &warp, const Instruction &in, uint32_t mask) {
    using Arguments = typename Signature::Arguments;
    body(warp, in, mask, static_cast<Arguments *>(nullptr),
         std::make_index_sequence<std::tuple_size_v<Arguments>>());
  }
  static void base(Warp &warp, const Instruction &in, uint32_t mask) { all(warp, in, mask); }
  INGOT_TARGET_V3 static void v3(Warp &warp, const Instruction &in, uint32_t mask) {
    all(warp, in, mask);
  }
  INGOT_TARGET_V4 static void v4(Warp &warp, const Instruction &in, uint32_t mask) {
    all(warp, in, mask);
  }
};

/// slots: result, arguments. A `bool` is a predicate.
template <auto function> Handler lanesOf() {
  using H = LaneHandler<function>;
  const int level = hostVectorLevel();
  return level == 2 ? H::v4 : level == 1 ? H::v3 : H::base;
}

/// The same for functions that the compiler cannot make vectors of: only the lanes that are active
/// are computed, once compiled.
template <auto function> struct ScalarHandler {
  using Signature = LaneSignature<decltype(&decltype(function)::operator())>;
  using Result = typename Signature::Result;
  template <typename... A, size_t... index>
  static INGOT_INLINE void body(Warp &warp, const Instruction &in, uint32_t mask,
                                std::tuple<A...> *, std::index_sequence<index...>) {
    const auto rows = std::make_tuple(rowOf<A>(warp, in.slots[index + 1])...);
    for (uint32_t left = mask; left; left &= left - 1) {
      const int lane = std::countr_zero(left);
      if constexpr (std::is_same_v<Result, bool>) {
        const uint32_t bit = uint32_t(1) << lane;
        storePredicate(warp.predicate(in.slots[0]),
                       function(laneOf(std::get<index>(rows), lane)...) ? bit : 0, bit);
      } else {
        warp.reg<Result>(in.slots[0])[lane] = function(laneOf(std::get<index>(rows), lane)...);
      }
    }
  }
  static void run(Warp &warp, const Instruction &in, uint32_t mask) {
    using Arguments = typename Signature::Arguments;
    body(warp, in, mask, static_cast<Arguments *>(nullptr),
         std::make_index_sequence<std::tuple_size_v<Arguments>>());
  }
};
template <auto function> Handler scalarLanesOf() { return ScalarHandler<function>::run; }

/// An f32 rounded to nearest even; NaN is the canonical one.
INGOT_INLINE uint16_t roundToBf16(uint32_t bits) {
  const uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1);
  return uint16_t((bits & 0x7fffffff) > 0x7f800000 ? 0x7fff : rounded >> 16);
}

/// One lane of a register of at most 64 bits; those of 8 bits use 16.
inline uint64_t readLane(Warp &warp, Slot slot, int bits, int lane) {
  return bits <= 16   ? warp.reg<uint16_t>(slot)[lane]
         : bits == 32 ? warp.reg<uint32_t>(slot)[lane]
                      : warp.reg<uint64_t>(slot)[lane];
}
inline void writeLane(Warp &warp, Slot slot, int bits, int lane, uint64_t value) {
  if (bits <= 16)
    warp.reg<uint16_t>(slot)[lane] = uint16_t(value);
  else if (bits == 32)
    warp.reg<uint32_t>(slot)[lane] = uint32_t(value);
  else
    warp.reg<uint64_t>(slot)[lane] = value;
}

/// Calls `use.operator()<T>()` with the C++ type of an integer type; untyped bits are unsigned.
template <typename Use> Handler forInteger(Type type, Use use) {
  switch (type) {
  case Type::U16:
  case Type::B16:
    return use.template operator()<uint16_t>();
  case Type::S16:
    return use.template operator()<int16_t>();
  case Type::U32:
  case Type::B32:
    return use.template operator()<uint32_t>();
  case Type::S32:
    return use.template operator()<int32_t>();
  case Type::U64:
  case Type::B64:
    return use.template operator()<uint64_t>();
  case Type::S64:
    return use.template operator()<int64_t>();
  default:
    return nullptr;
  }
}

/// Unsigned type that holds any product or sum of 16-bit values without the promotion to int.
template <typename T> struct WrappingOf {
  using type = std::conditional_t<(sizeof(T) < 4), uint32_t, std::make_unsigned_t<T>>;
};
/// Two's complement arithmetic without overflow.
template <typename T> INGOT_INLINE typename WrappingOf<T>::type wrap(T value) {
  return static_cast<typename WrappingOf<T>::type>(value);
}

} // namespace ingot::emulator
