/// Integer arithmetic: add, sub, mul, mad, mul24, mad24, sad, div, rem, abs, neg, min, max, dp4a,
/// dp2a and the carry chains.
#include "runtime/emulator/machine/InstructionSet.h"
#include "runtime/emulator/machine/Lanes.h"
#include <algorithm>

namespace ingot::emulator {
namespace {

/// The operands of `op d, a, b, …`, all of one type.
Handler regular(Decoder &d, Type type, int sources, Handler handler) {
  d.classify(Class::Integer);
  d.write(type);
  for (int i = 0; i < sources; ++i)
    d.read(type);
  return handler;
}

/// Signed or unsigned, not bits.
bool isArithmetic(Type type) {
  return type == Type::U16 || type == Type::U32 || type == Type::U64 ||
         (isSigned(type) && bitsOf(type) >= 16);
}

template <typename T> struct Wider;
template <> struct Wider<uint16_t> {
  using type = uint32_t;
};
template <> struct Wider<int16_t> {
  using type = int32_t;
};
template <> struct Wider<uint32_t> {
  using type = uint64_t;
};
template <> struct Wider<int32_t> {
  using type = int64_t;
};
template <> struct Wider<uint64_t> {
  using type = unsigned __int128;
};
template <> struct Wider<int64_t> {
  using type = __int128;
};
template <typename T> using WiderOf = typename Wider<T>::type;

template <typename T> INGOT_INLINE T highHalf(T a, T b) {
  return T(WiderOf<T>(a) * WiderOf<T>(b) >> (8 * sizeof(T)));
}
INGOT_INLINE int32_t saturate32(int64_t value) {
  return int32_t(std::clamp<int64_t>(value, std::numeric_limits<int32_t>::min(),
                                     std::numeric_limits<int32_t>::max()));
}

// Packed halves: add, min, max of .u16x2 and .s16x2.
template <typename T, auto function> Handler packedHalves() {
  return lanesOf<[](uint32_t a, uint32_t b) -> uint32_t {
    const auto low = uint16_t(function(T(a), T(b)));
    const auto high = uint16_t(function(T(a >> 16), T(b >> 16)));
    return low | uint32_t(high) << 16;
  }>();
}

Handler decodeAdd(Decoder &d) {
  const bool saturate = d.flag("sat");
  if (d.flag("cc"))
    return nullptr; // a carry chain
  const Type type = d.type();
  if ((type == Type::U16x2 || type == Type::S16x2) && saturate)
    return d.fail(".sat needs .s32");
  if (type == Type::U16x2 || type == Type::S16x2)
    return regular(d, type, 2,
                   packedHalves<uint16_t, [](uint16_t a, uint16_t b) { return a + b; }>());
  if (!isArithmetic(type))
    return nullptr;
  if (saturate) {
    if (type != Type::S32)
      return d.fail(".sat needs .s32");
    return regular(
        d, type, 2,
        lanesOf<[](int32_t a, int32_t b) -> int32_t { return saturate32(int64_t(a) + b); }>());
  }
  return regular(d, type, 2, forInteger(type, []<typename T>() {
                   return lanesOf<[](T a, T b) -> T { return T(wrap(a) + wrap(b)); }>();
                 }));
}

Handler decodeSub(Decoder &d) {
  const bool saturate = d.flag("sat");
  if (d.flag("cc"))
    return nullptr;
  const Type type = d.type();
  if (!isArithmetic(type))
    return nullptr;
  if (saturate) {
    if (type != Type::S32)
      return d.fail(".sat needs .s32");
    return regular(
        d, type, 2,
        lanesOf<[](int32_t a, int32_t b) -> int32_t { return saturate32(int64_t(a) - b); }>());
  }
  return regular(d, type, 2, forInteger(type, []<typename T>() {
                   return lanesOf<[](T a, T b) -> T { return T(wrap(a) - wrap(b)); }>();
                 }));
}

Type doubled(Type type) {
  switch (type) {
  case Type::U16:
    return Type::U32;
  case Type::S16:
    return Type::S32;
  case Type::U32:
    return Type::U64;
  case Type::S32:
    return Type::S64;
  default:
    return Type::None;
  }
}

Handler decodeMul(Decoder &d) {
  const int part = d.oneOf({"lo", "hi", "wide"});
  const Type type = d.type();
  if (part < 0 || !isArithmetic(type))
    return nullptr;
  if (part == 2) {
    const Type wide = doubled(type);
    if (wide == Type::None)
      return d.fail(".wide needs 16 or 32 bits");
    d.classify(Class::Integer);
    d.write(wide);
    d.read(type);
    d.read(type);
    switch (type) {
    case Type::U16:
      return lanesOf<[](uint16_t a, uint16_t b) -> uint32_t { return uint32_t(a) * b; }>();
    case Type::S16:
      return lanesOf<[](int16_t a, int16_t b) -> int32_t { return int32_t(a) * b; }>();
    case Type::U32:
      return lanesOf<[](uint32_t a, uint32_t b) -> uint64_t { return uint64_t(a) * b; }>();
    default:
      return lanesOf<[](int32_t a, int32_t b) -> int64_t { return int64_t(a) * b; }>();
    }
  }
  if (part == 1)
    return regular(d, type, 2, forInteger(type, []<typename T>() {
                     return lanesOf<[](T a, T b) -> T { return highHalf(a, b); }>();
                   }));
  return regular(d, type, 2, forInteger(type, []<typename T>() {
                   return lanesOf<[](T a, T b) -> T { return T(wrap(a) * wrap(b)); }>();
                 }));
}

Handler decodeMad(Decoder &d) {
  const int part = d.oneOf({"lo", "hi", "wide"});
  const bool saturate = d.flag("sat");
  if (d.flag("cc"))
    return nullptr;
  const Type type = d.type();
  if (part < 0 || !isArithmetic(type))
    return nullptr;
  if (saturate && (type != Type::S32 || part != 1))
    return d.fail(".sat needs .hi.s32");
  if (part == 2) {
    const Type wide = doubled(type);
    if (wide == Type::None)
      return d.fail(".wide needs 16 or 32 bits");
    d.classify(Class::Integer);
    d.write(wide);
    d.read(type);
    d.read(type);
    d.read(wide);
    switch (type) {
    case Type::U16:
      return lanesOf<[](uint16_t a, uint16_t b, uint32_t c) -> uint32_t {
        return uint32_t(a) * b + c;
      }>();
    case Type::S16:
      return lanesOf<[](int16_t a, int16_t b, uint32_t c) -> uint32_t {
        return uint32_t(int32_t(a) * b) + c;
      }>();
    case Type::U32:
      return lanesOf<[](uint32_t a, uint32_t b, uint64_t c) -> uint64_t {
        return uint64_t(a) * b + c;
      }>();
    default:
      return lanesOf<[](int32_t a, int32_t b, uint64_t c) -> uint64_t {
        return uint64_t(int64_t(a) * b) + c;
      }>();
    }
  }
  if (saturate)
    return regular(d, type, 3, lanesOf<[](int32_t a, int32_t b, int32_t c) -> int32_t {
                     return saturate32(int64_t(highHalf(a, b)) + c);
                   }>());
  if (part == 1)
    return regular(
        d, type, 3, forInteger(type, []<typename T>() {
          return lanesOf<[](T a, T b, T c) -> T { return T(wrap(highHalf(a, b)) + wrap(c)); }>();
        }));
  return regular(
      d, type, 3, forInteger(type, []<typename T>() {
        return lanesOf<[](T a, T b, T c) -> T { return T(wrap(a) * wrap(b) + wrap(c)); }>();
      }));
}

/// The 48-bit product of the lower 24 bits: .lo its bits 0-31, .hi its bits 16-47.
template <typename T> INGOT_INLINE int64_t product24(T a, T b) {
  if constexpr (std::is_signed_v<T>)
    return int64_t(int32_t(uint32_t(a) << 8) >> 8) * (int32_t(uint32_t(b) << 8) >> 8);
  else
    return int64_t(uint64_t(a & 0xffffff) * (b & 0xffffff));
}

Handler decodeMul24(Decoder &d) {
  const int part = d.oneOf({"lo", "hi"});
  const Type type = d.type();
  if (part < 0 || (type != Type::U32 && type != Type::S32))
    return nullptr;
  return regular(d, type, 2, forInteger(type, [&]<typename T>() -> Handler {
                   if (part)
                     return lanesOf<[](T a, T b) -> T { return T(product24(a, b) >> 16); }>();
                   return lanesOf<[](T a, T b) -> T { return T(product24(a, b)); }>();
                 }));
}

Handler decodeMad24(Decoder &d) {
  const int part = d.oneOf({"lo", "hi"});
  const bool saturate = d.flag("sat");
  const Type type = d.type();
  if (part < 0 || (type != Type::U32 && type != Type::S32))
    return nullptr;
  if (saturate) {
    if (!part || type != Type::S32)
      return d.fail(".sat needs .hi.s32");
    return regular(d, type, 3, lanesOf<[](int32_t a, int32_t b, int32_t c) -> int32_t {
                     return saturate32((product24(a, b) >> 16) + c);
                   }>());
  }
  return regular(
      d, type, 3, forInteger(type, [&]<typename T>() -> Handler {
        if (part)
          return lanesOf<[](T a, T b, T c) -> T {
            return T(wrap(T(product24(a, b) >> 16)) + wrap(c));
          }>();
        return lanesOf<[](T a, T b, T c) -> T { return T(wrap(T(product24(a, b))) + wrap(c)); }>();
      }));
}

Handler decodeSad(Decoder &d) {
  const Type type = d.type();
  if (!isArithmetic(type))
    return nullptr;
  return regular(d, type, 3, forInteger(type, []<typename T>() {
                   return lanesOf<[](T a, T b, T c) -> T {
                     return T(wrap(c) + (a < b ? wrap(b) - wrap(a) : wrap(a) - wrap(b)));
                   }>();
                 }));
}

/// Division by zero has no defined result; the card gives all ones, and the dividend as remainder.
Handler decodeDiv(Decoder &d) {
  const Type type = d.type();
  if (!isArithmetic(type))
    return nullptr;
  return regular(d, type, 2, forInteger(type, []<typename T>() {
                   return scalarLanesOf<[](T a, T b) -> T {
                     if (b == 0)
                       return T(-1);
                     if (std::is_signed_v<T> && b == T(-1))
                       return T(0 - wrap(a));
                     return T(a / b);
                   }>();
                 }));
}

Handler decodeRem(Decoder &d) {
  const Type type = d.type();
  if (!isArithmetic(type))
    return nullptr;
  return regular(d, type, 2, forInteger(type, []<typename T>() {
                   return scalarLanesOf<[](T a, T b) -> T {
                     if (b == 0)
                       return a;
                     if (std::is_signed_v<T> && b == T(-1))
                       return 0;
                     return T(a % b);
                   }>();
                 }));
}

Handler decodeAbs(Decoder &d) {
  const Type type = d.type();
  if (!isArithmetic(type) || !isSigned(type))
    return nullptr;
  return regular(d, type, 1, forInteger(type, []<typename T>() {
                   return lanesOf<[](T a) -> T { return a < T(0) ? T(0 - wrap(a)) : a; }>();
                 }));
}

Handler decodeNeg(Decoder &d) {
  const Type type = d.type();
  if (!isArithmetic(type) || !isSigned(type))
    return nullptr;
  return regular(d, type, 1, forInteger(type, []<typename T>() {
                   return lanesOf<[](T a) -> T { return T(0 - wrap(a)); }>();
                 }));
}

template <bool isMinimum> Handler decodeMinMax(Decoder &d) {
  const bool relu = d.flag("relu");
  const Type type = d.type();
  constexpr auto choose = [](auto a, auto b) {
    return isMinimum ? std::min(a, b) : std::max(a, b);
  };
  if (type == Type::U16x2 && !relu)
    return regular(d, type, 2, packedHalves<uint16_t, choose>());
  if (type == Type::S16x2 && !relu)
    return regular(d, type, 2, packedHalves<int16_t, choose>());
  if (type == Type::S16x2)
    return regular(d, type, 2, packedHalves<int16_t, [](int16_t a, int16_t b) {
                     return std::max<int16_t>(isMinimum ? std::min(a, b) : std::max(a, b), 0);
                   }>());
  if (!isArithmetic(type))
    return nullptr;
  if (relu) {
    if (type != Type::S32)
      return d.fail(".relu needs .s32 or .s16x2");
    return regular(d, type, 2, lanesOf<[](int32_t a, int32_t b) -> int32_t {
                     return std::max(isMinimum ? std::min(a, b) : std::max(a, b), 0);
                   }>());
  }
  return regular(
      d, type, 2, forInteger(type, []<typename T>() {
        return lanesOf<[](T a, T b) -> T { return isMinimum ? std::min(a, b) : std::max(a, b); }>();
      }));
}

// Carry chains. The carry is a mask of the warp: bit l is lane l's CC.CF.

enum class Chain : uint8_t { Add, Sub, MadLow, MadHigh };

template <typename T, Chain chain, bool carryIn, bool carryOut>
void runChain(Warp &warp, const Instruction &in, uint32_t mask) {
  const T *a = warp.reg<T>(in.slots[1]), *b = warp.reg<T>(in.slots[2]);
  T *out = warp.reg<T>(in.slots[0]);
  uint32_t carries = warp.carry;
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    T x = a[lane], y = b[lane];
    if constexpr (chain == Chain::MadLow || chain == Chain::MadHigh) {
      using Unsigned = T;
      const Unsigned product =
          chain == Chain::MadLow ? Unsigned(x * y)
          : in.mode ? Unsigned(highHalf(std::make_signed_t<T>(x), std::make_signed_t<T>(y)))
                    : highHalf(x, y);
      x = product;
      y = warp.reg<T>(in.slots[3])[lane];
    }
    const bool carry = carryIn && (carries >> lane & 1);
    T sum;
    bool overflow;
    if constexpr (chain == Chain::Sub) {
      sum = T(x - y - carry);
      overflow = y > x || (carry && x == y); // a borrow
    } else {
      sum = T(x + y + carry);
      overflow = sum < x || (carry && sum == x);
    }
    out[lane] = sum;
    if (carryOut)
      carries = (carries & ~(uint32_t(1) << lane)) | uint32_t(overflow) << lane;
  }
  warp.carry = carries;
}

template <Chain chain, bool carryIn> Handler decodeChain(Decoder &d) {
  const bool carryOut = d.flag("cc");
  if (!carryIn && !carryOut)
    return nullptr;
  int part = -1;
  if (chain == Chain::MadLow) {
    part = d.oneOf({"lo", "hi"});
    if (part < 0)
      return nullptr;
  }
  const Type type = d.type();
  if (!isArithmetic(type) || bitsOf(type) < 32)
    return d.fail("a carry chain has signed or unsigned integers of 32 or 64 bits");
  d.instruction().mode = isSigned(type);
  const auto choose = [&]<typename T, Chain actual>() -> Handler {
    return carryOut ? runChain<T, actual, carryIn, true> : runChain<T, actual, carryIn, false>;
  };
  Handler handler;
  if (part == 1)
    handler = bitsOf(type) == 64 ? choose.template operator()<uint64_t, Chain::MadHigh>()
                                 : choose.template operator()<uint32_t, Chain::MadHigh>();
  else
    handler = bitsOf(type) == 64 ? choose.template operator()<uint64_t, chain>()
                                 : choose.template operator()<uint32_t, chain>();
  return regular(d, type, chain == Chain::MadLow ? 3 : 2, handler);
}

// Dot products of bytes.

template <typename A, typename B> INGOT_INLINE uint32_t dot4(uint32_t a, uint32_t b, uint32_t c) {
  for (int i = 0; i < 32; i += 8)
    c += uint32_t(int32_t(A(a >> i)) * int32_t(B(b >> i)));
  return c;
}
template <typename A, typename B, int start>
INGOT_INLINE uint32_t dot2(uint32_t a, uint32_t b, uint32_t c) {
  for (int i = 0; i < 2; ++i)
    c += uint32_t(int32_t(std::conditional_t<std::is_signed_v<A>, int16_t, uint16_t>(a >> 16 * i)) *
                  int32_t(B(b >> (start + 8 * i))));
  return c;
}

template <typename Use> Handler forBytes(Type a, Type b, Use use) {
  if (a == Type::U32)
    return b == Type::U32 ? use.template operator()<uint8_t, uint8_t>()
                          : use.template operator()<uint8_t, int8_t>();
  return b == Type::U32 ? use.template operator()<int8_t, uint8_t>()
                        : use.template operator()<int8_t, int8_t>();
}

Handler decodeDot(Decoder &d) {
  const bool four = d.opcode() == "dp4a";
  const int half = four ? 0 : d.oneOf({"lo", "hi"});
  const Type a = d.type(), b = d.type();
  if (half < 0 || (a != Type::U32 && a != Type::S32) || (b != Type::U32 && b != Type::S32))
    return nullptr;
  const Handler handler = forBytes(a, b, [&]<typename A, typename B>() -> Handler {
    if (four)
      return lanesOf<[](uint32_t x, uint32_t y, uint32_t z) -> uint32_t {
        return dot4<A, B>(x, y, z);
      }>();
    if (half)
      return lanesOf<[](uint32_t x, uint32_t y, uint32_t z) -> uint32_t {
        return dot2<A, B, 16>(x, y, z);
      }>();
    return lanesOf<[](uint32_t x, uint32_t y, uint32_t z) -> uint32_t {
      return dot2<A, B, 0>(x, y, z);
    }>();
  });
  return regular(d, Type::B32, 3, handler);
}

constexpr InstructionRow rows[] = {
    {"add", decodeAdd},
    {"sub", decodeSub},
    {"mul", decodeMul},
    {"mad", decodeMad},
    {"mul24", decodeMul24},
    {"mad24", decodeMad24},
    {"sad", decodeSad},
    {"div", decodeDiv},
    {"rem", decodeRem},
    {"abs", decodeAbs},
    {"neg", decodeNeg},
    {"min", decodeMinMax<true>},
    {"max", decodeMinMax<false>},
    {"add", decodeChain<Chain::Add, false>},
    {"addc", decodeChain<Chain::Add, true>},
    {"sub", decodeChain<Chain::Sub, false>},
    {"subc", decodeChain<Chain::Sub, true>},
    {"mad", decodeChain<Chain::MadLow, false>},
    {"madc", decodeChain<Chain::MadLow, true>},
    {"dp4a", decodeDot},
    {"dp2a", decodeDot},
};

} // namespace

Family integerFamily() { return rows; }

} // namespace ingot::emulator
