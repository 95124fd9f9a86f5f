/// Logic, shifts and bit fields.
#include "runtime/emulator/machine/InstructionSet.h"
#include "runtime/emulator/machine/Lanes.h"
#include <algorithm>

namespace ingot::emulator {
namespace {

Handler regular(Decoder &d, Type type, int sources, Handler handler) {
  d.classify(Class::Integer);
  d.write(type);
  for (int i = 0; i < sources; ++i)
    d.read(type);
  return handler;
}

bool isBits(Type type) { return type == Type::B16 || type == Type::B32 || type == Type::B64; }

enum class Logic : uint8_t { And, Or, Xor };

template <Logic op, typename T> INGOT_INLINE T logic(T a, T b) {
  return op == Logic::And ? a & b : op == Logic::Or ? a | b : a ^ b;
}

/// Predicates are masks: 32 lanes in one operation. Bit i of `mode`: source i is negated.
uint32_t predicateSource(Warp &warp, const Instruction &in, int source) {
  return warp.predicate(in.slots[1 + source]) ^ (in.mode >> source & 1 ? allLanes : 0);
}
template <Logic op> void runPredicateLogic(Warp &warp, const Instruction &in, uint32_t mask) {
  storePredicate(warp.predicate(in.slots[0]),
                 logic<op>(predicateSource(warp, in, 0), predicateSource(warp, in, 1)), mask);
}

Handler withPredicates(Decoder &d, int sources, Handler handler) {
  d.classify(Class::Integer);
  d.writePredicate();
  for (int i = 0; i < sources; ++i) {
    bool negated = false;
    d.readPredicate(negated);
    d.instruction().mode |= negated << i;
  }
  return handler;
}

template <Logic op> Handler decodeLogic(Decoder &d) {
  const Type type = d.type();
  if (type == Type::Pred)
    return withPredicates(d, 2, runPredicateLogic<op>);
  if (!isBits(type))
    return nullptr;
  return regular(d, type, 2, forInteger(type, []<typename T>() {
                   return lanesOf<[](T a, T b) -> T { return logic<op, T>(a, b); }>();
                 }));
}

void runPredicateNot(Warp &warp, const Instruction &in, uint32_t mask) {
  storePredicate(warp.predicate(in.slots[0]), ~predicateSource(warp, in, 0), mask);
}

Handler decodeNot(Decoder &d) {
  const Type type = d.type();
  if (type == Type::Pred)
    return withPredicates(d, 1, runPredicateNot);
  if (!isBits(type))
    return nullptr;
  return regular(d, type, 1, forInteger(type, []<typename T>() {
                   return lanesOf<[](T a) -> T { return T(~a); }>();
                 }));
}

Handler decodeCnot(Decoder &d) {
  const Type type = d.type();
  if (!isBits(type))
    return nullptr;
  return regular(d, type, 1, forInteger(type, []<typename T>() {
                   return lanesOf<[](T a) -> T { return a == 0; }>();
                 }));
}

Handler shift(Decoder &d, Type type, Handler handler) {
  d.classify(Class::Integer);
  d.write(type);
  d.read(type);
  d.read(Type::U32);
  return handler;
}

Handler decodeShl(Decoder &d) {
  const Type type = d.type();
  if (!isBits(type))
    return nullptr;
  return shift(d, type, forInteger(type, []<typename T>() {
                 return lanesOf<[](T a, uint32_t n) -> T {
                   return n < 8 * sizeof(T) ? T(wrap(a) << n) : T(0);
                 }>();
               }));
}

Handler decodeShr(Decoder &d) {
  const Type type = d.type();
  if (!isInteger(type) || bitsOf(type) < 16)
    return nullptr;
  return shift(d, type, forInteger(type, []<typename T>() {
                 return lanesOf<[](T a, uint32_t n) -> T {
                   constexpr uint32_t last = 8 * sizeof(T) - 1;
                   if constexpr (std::is_signed_v<T>)
                     return T(a >> (n < last ? n : last));
                   else
                     return n <= last ? T(a >> (n & last)) : T(0);
                 }>();
               }));
}

INGOT_INLINE uint64_t joined(uint32_t low, uint32_t high) { return uint64_t(high) << 32 | low; }

Handler decodeShf(Decoder &d) {
  const int direction = d.oneOf({"l", "r"}), mode = d.oneOf({"clamp", "wrap"});
  if (direction < 0 || mode < 0 || d.type() != Type::B32)
    return nullptr;
  Handler handler;
  if (direction == 0)
    handler = mode == 0 ? lanesOf<[](uint32_t a, uint32_t b, uint32_t n) -> uint32_t {
      return uint32_t(joined(a, b) << (n < 32 ? n : 32) >> 32);
    }>()
                        : lanesOf<[](uint32_t a, uint32_t b, uint32_t n) -> uint32_t {
                            return uint32_t(joined(a, b) << (n & 31) >> 32);
                          }>();
  else
    handler = mode == 0 ? lanesOf<[](uint32_t a, uint32_t b, uint32_t n) -> uint32_t {
      return uint32_t(joined(a, b) >> (n < 32 ? n : 32));
    }>()
                        : lanesOf<[](uint32_t a, uint32_t b, uint32_t n) -> uint32_t {
                            return uint32_t(joined(a, b) >> (n & 31));
                          }>();
  return regular(d, Type::B32, 3, handler);
}

/// Result bit i is bit (a_i << 2 | b_i << 1 | c_i) of the table.
INGOT_INLINE uint32_t lookUp(uint32_t a, uint32_t b, uint32_t c, uint32_t table) {
  uint32_t result = 0;
  for (uint32_t i = 0; i < 8; ++i)
    result |= (0 - (table >> i & 1)) & (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? c : ~c);
  return result;
}

/// lop3.or.b32 d|p, a, b, c, table, q: p = (d != 0) or q
template <bool isOr> void runLop3Predicate(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto *a = warp.reg<uint32_t>(in.slots[2]), *b = warp.reg<uint32_t>(in.slots[3]),
             *c = warp.reg<uint32_t>(in.slots[4]);
  uint32_t values[lanes], nonzero = 0;
  for (int lane = 0; lane < lanes; ++lane) {
    values[lane] = lookUp(a[lane], b[lane], c[lane], uint32_t(in.immediate));
    nonzero |= uint32_t(values[lane] != 0) << lane;
  }
  const uint32_t other = warp.predicate(in.slots[5]) ^ (in.negated ? allLanes : 0);
  storeLanes(warp.reg<uint32_t>(in.slots[0]), values, mask);
  storePredicate(warp.predicate(in.slots[1]), isOr ? nonzero | other : nonzero & other, mask);
}

Handler decodeLop3(Decoder &d) {
  const int boolean = d.oneOf({"or", "and"});
  if (d.type() != Type::B32)
    return nullptr;
  d.classify(Class::Integer);
  if (boolean < 0) {
    d.write(Type::B32);
    for (int i = 0; i < 3; ++i)
      d.read(Type::B32);
    const int64_t table = d.integer();
    if (table < 0 || table > 255)
      return d.fail("the table of lop3 has 8 bits");
    d.addSlot(d.constant(uint64_t(table), 32));
    return lanesOf<[](uint32_t a, uint32_t b, uint32_t c, uint32_t t) -> uint32_t {
      return lookUp(a, b, c, t);
    }>();
  }
  const ptx::Operand *pair = d.takeOperand();
  if (!pair || pair->kind != ptx::Operand::Kind::Pair)
    return d.fail("two destinations d|p are needed");
  d.write(pair->elements[0], Type::B32);
  d.write(pair->elements[1], Type::Pred);
  for (int i = 0; i < 3; ++i)
    d.read(Type::B32);
  d.instruction().immediate = d.integer();
  d.readPredicate();
  return boolean == 0 ? runLop3Predicate<true> : runLop3Predicate<false>;
}

/// popc, clz, brev: a .b32 or .b64 source; counts are 32 bits wide.
template <auto function32, auto function64> Handler decodeCount(Decoder &d) {
  const Type type = d.type();
  if (type != Type::B32 && type != Type::B64)
    return nullptr;
  d.classify(Class::Integer);
  d.write(Type::U32);
  d.read(type);
  return type == Type::B32 ? lanesOf<function32>() : lanesOf<function64>();
}

template <typename T> INGOT_INLINE T reverse(T value) {
  value = T((value >> 1 & T(0x5555555555555555)) | (value & T(0x5555555555555555)) << 1);
  value = T((value >> 2 & T(0x3333333333333333)) | (value & T(0x3333333333333333)) << 2);
  value = T((value >> 4 & T(0x0f0f0f0f0f0f0f0f)) | (value & T(0x0f0f0f0f0f0f0f0f)) << 4);
  if constexpr (sizeof(T) == 4)
    return __builtin_bswap32(value);
  else
    return __builtin_bswap64(value);
}

Handler decodeBrev(Decoder &d) {
  const Type type = d.type();
  if (type != Type::B32 && type != Type::B64)
    return nullptr;
  return regular(d, type, 1,
                 type == Type::B32 ? lanesOf<[](uint32_t a) -> uint32_t { return reverse(a); }>()
                                   : lanesOf<[](uint64_t a) -> uint64_t { return reverse(a); }>());
}

/// The highest bit that differs from the sign.
template <typename T, bool asShift> INGOT_INLINE uint32_t findHighest(T value) {
  using U = std::make_unsigned_t<T>;
  const U bits = std::is_signed_v<T> && value < 0 ? U(~U(value)) : U(value);
  if (!bits)
    return ~uint32_t(0);
  const int zeros = std::countl_zero(bits);
  return uint32_t(asShift ? zeros : int(8 * sizeof(T)) - 1 - zeros);
}

Handler decodeBfind(Decoder &d) {
  const bool asShift = d.flag("shiftamt");
  const Type type = d.type();
  if (!isInteger(type) || bitsOf(type) < 32 || type == Type::B32 || type == Type::B64)
    return nullptr;
  d.classify(Class::Integer);
  d.write(Type::U32);
  d.read(type);
  return forInteger(type, [&]<typename T>() -> Handler {
    return asShift ? lanesOf<[](T a) -> uint32_t { return findHighest<T, true>(a); }>()
                   : lanesOf<[](T a) -> uint32_t { return findHighest<T, false>(a); }>();
  });
}

template <typename T> INGOT_INLINE T extractField(T a, uint32_t b, uint32_t c) {
  using U = std::make_unsigned_t<T>;
  constexpr uint32_t bits = 8 * sizeof(T);
  const uint32_t position = b & 0xff, length = c & 0xff;
  U sign = 0;
  if (std::is_signed_v<T> && length) {
    const uint32_t last = position + length - 1;
    sign = U(a) >> (last < bits ? last : bits - 1) & 1;
  }
  const U field = position < bits ? U(a) >> (position & (bits - 1)) : U(0);
  const uint32_t inside = position < bits ? bits - position : 0;
  const uint32_t taken = length < inside ? length : inside;
  const U mask = taken < bits ? (U(1) << (taken & (bits - 1))) - 1 : ~U(0);
  return T((field & mask) | (sign ? ~mask : U(0)));
}

Handler decodeBfe(Decoder &d) {
  const Type type = d.type();
  if (!isInteger(type) || bitsOf(type) < 32 || isBits(type))
    return nullptr;
  d.classify(Class::Integer);
  d.write(type);
  d.read(type);
  d.read(Type::U32);
  d.read(Type::U32);
  return forInteger(type, []<typename T>() {
    return lanesOf<[](T a, uint32_t b, uint32_t c) -> T { return extractField(a, b, c); }>();
  });
}

template <typename T> INGOT_INLINE T insertField(T a, T b, uint32_t c, uint32_t d) {
  constexpr uint32_t bits = 8 * sizeof(T);
  const uint32_t position = c & 0xff, length = d & 0xff;
  const T low = length < bits ? (T(1) << (length & (bits - 1))) - 1 : ~T(0);
  const T mask = position < bits ? T(low << (position & (bits - 1))) : T(0);
  return (b & ~mask) | (T(a << (position & (bits - 1))) & mask);
}

Handler decodeBfi(Decoder &d) {
  const Type type = d.type();
  if (type != Type::B32 && type != Type::B64)
    return nullptr;
  d.classify(Class::Integer);
  d.write(type);
  d.read(type);
  d.read(type);
  d.read(Type::U32);
  d.read(Type::U32);
  return forInteger(type, []<typename T>() {
    return lanesOf<[](T a, T b, uint32_t c, uint32_t n) -> T { return insertField(a, b, c, n); }>();
  });
}

template <bool clamp> INGOT_INLINE uint32_t bitMask(uint32_t a, uint32_t b) {
  const uint32_t position = a & 31, width = b & 31;
  if (clamp && a >= 32)
    return 0;
  const uint32_t above = ~uint32_t(0) << position;
  if (position + width >= 32 || (clamp && b >= 32))
    return above;
  return above & ~(~uint32_t(0) << (position + width));
}

Handler decodeBmsk(Decoder &d) {
  const int mode = d.oneOf({"clamp", "wrap"});
  if (mode < 0 || d.type() != Type::B32)
    return nullptr;
  return regular(
      d, Type::B32, 2,
      mode == 0
          ? lanesOf<[](uint32_t a, uint32_t b) -> uint32_t { return bitMask<true>(a, b); }>()
          : lanesOf<[](uint32_t a, uint32_t b) -> uint32_t { return bitMask<false>(a, b); }>());
}

/// Extends the lowest n bits by sign or by zeros; n = 0 gives 0.
template <typename T, bool clamp> INGOT_INLINE T extendBits(T a, uint32_t b) {
  const uint32_t count = clamp ? (b < 32 ? b : 32) : b & 31;
  if (!count)
    return 0;
  const uint32_t shift = 32 - count;
  return T(T(uint32_t(a) << shift) >> shift);
}

Handler decodeSzext(Decoder &d) {
  const int mode = d.oneOf({"clamp", "wrap"});
  const Type type = d.type();
  if (mode < 0 || (type != Type::U32 && type != Type::S32))
    return nullptr;
  d.classify(Class::Integer);
  d.write(type);
  d.read(type);
  d.read(Type::U32);
  return forInteger(type, [&]<typename T>() -> Handler {
    return mode == 0 ? lanesOf<[](T a, uint32_t b) -> T { return extendBits<T, true>(a, b); }>()
                     : lanesOf<[](T a, uint32_t b) -> T { return extendBits<T, false>(a, b); }>();
  });
}

/// Byte of an 8-byte value, or its sign eight times.
INGOT_INLINE uint32_t permutedByte(uint64_t bytes, uint32_t selector) {
  const uint32_t byte = uint32_t(bytes >> 8 * (selector & 7)) & 0xff;
  return selector & 8 ? (byte & 0x80 ? 0xff : 0) : byte;
}
INGOT_INLINE uint32_t permute(uint32_t a, uint32_t b, uint32_t selectors) {
  const uint64_t bytes = uint64_t(b) << 32 | a;
  uint32_t result = 0;
  for (int i = 0; i < 4; ++i)
    result |= permutedByte(bytes, selectors >> 4 * i & 15) << 8 * i;
  return result;
}

/// The modes of prmt are selectors that depend on the lowest two bits of c.
template <int mode> INGOT_INLINE uint32_t permuteMode(uint32_t a, uint32_t b, uint32_t c) {
  constexpr uint16_t selectors[6][4] = {
      {0x3210, 0x4321, 0x5432, 0x6543}, // f4e
      {0x5670, 0x6701, 0x7012, 0x0123}, // b4e
      {0x0000, 0x1111, 0x2222, 0x3333}, // rc8
      {0x3210, 0x3211, 0x3222, 0x3333}, // ecl
      {0x0000, 0x1110, 0x2210, 0x3210}, // ecr
      {0x1010, 0x3232, 0x1010, 0x3232}, // rc16
  };
  return permute(a, b, selectors[mode][c & 3]);
}

/// A register of which a constant selects no byte: it is not read. LLVM names one there that nobody
/// has written.
bool isUnselected(const Decoder &d, size_t source) {
  const std::vector<ptx::Operand> &operands = d.text().operands;
  if (operands.size() != 4 || operands[3].kind != ptx::Operand::Kind::Immediate)
    return false;
  const ptx::Operand &operand = operands[source];
  if (operand.kind != ptx::Operand::Kind::Register || operand.minus || operand.negated ||
      bitsOf(d.inFunction().registers[size_t(operand.index)].type) != 32)
    return false;
  constexpr uint64_t ofSecond = 0x4444; // bit 2 of each selector of a byte
  return (operands[3].bits & ofSecond) == (source == 1 ? ofSecond : 0);
}

Handler decodePrmt(Decoder &d) {
  if (d.type() != Type::B32)
    return nullptr;
  const int mode = d.oneOf({"f4e", "b4e", "rc8", "ecl", "ecr", "rc16"});
  const auto choose = [&]() -> Handler {
#define MODE(n)                                                                                    \
  case n:                                                                                          \
    return lanesOf<[](uint32_t a, uint32_t b, uint32_t c) -> uint32_t {                            \
      return permuteMode<n>(a, b, c);                                                              \
    }>();
    switch (mode) {
      MODE(0)
      MODE(1)
      MODE(2)
      MODE(3)
      MODE(4)
      MODE(5)
    }
#undef MODE
    return lanesOf<[](uint32_t a, uint32_t b, uint32_t c) -> uint32_t {
      return permute(a, b, c);
    }>();
  };
  d.classify(Class::Integer);
  d.write(Type::B32);
  for (const size_t source : {1, 2})
    if (mode < 0 && isUnselected(d, source)) {
      d.takeOperand();
      d.addSlot(d.constant(0, 32));
    } else {
      d.read(Type::B32);
    }
  d.read(Type::B32);
  return choose();
}

/// The n-th set bit from `base` on, upwards for n > 0, downwards for n < 0.
uint32_t findNth(uint32_t bits, uint32_t base, int32_t count) {
  if (base > 31)
    return ~uint32_t(0);
  if (count == 0)
    return bits >> base & 1 ? base : ~uint32_t(0);
  const int step = count > 0 ? 1 : -1;
  int64_t left = count > 0 ? int64_t(count) : -int64_t(count);
  for (int position = int(base); position >= 0 && position < 32; position += step)
    if (bits >> position & 1 && --left == 0)
      return uint32_t(position);
  return ~uint32_t(0);
}

Handler decodeFns(Decoder &d) {
  if (d.type() != Type::B32)
    return nullptr;
  return regular(d, Type::B32, 3,
                 scalarLanesOf<[](uint32_t bits, uint32_t base, int32_t count) -> uint32_t {
                   return findNth(bits, base, count);
                 }>());
}

constexpr InstructionRow rows[] = {
    {"and", decodeLogic<Logic::And>},
    {"or", decodeLogic<Logic::Or>},
    {"xor", decodeLogic<Logic::Xor>},
    {"not", decodeNot},
    {"cnot", decodeCnot},
    {"shl", decodeShl},
    {"shr", decodeShr},
    {"shf", decodeShf},
    {"lop3", decodeLop3},
    {"popc", decodeCount<[](uint32_t a) -> uint32_t { return uint32_t(std::popcount(a)); },
                         [](uint64_t a) -> uint32_t { return uint32_t(std::popcount(a)); }>},
    {"clz", decodeCount<[](uint32_t a) -> uint32_t { return uint32_t(std::countl_zero(a)); },
                        [](uint64_t a) -> uint32_t { return uint32_t(std::countl_zero(a)); }>},
    {"brev", decodeBrev},
    {"bfind", decodeBfind},
    {"bfe", decodeBfe},
    {"bfi", decodeBfi},
    {"bmsk", decodeBmsk},
    {"szext", decodeSzext},
    {"prmt", decodePrmt},
    {"fns", decodeFns},
};

} // namespace

Family bitsFamily() { return rows; }

} // namespace ingot::emulator
