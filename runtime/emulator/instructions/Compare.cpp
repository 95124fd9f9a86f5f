/// setp, set, selp, slct.
#include "runtime/emulator/arithmetic/Numbers.h"
#include "runtime/emulator/machine/InstructionSet.h"
#include "runtime/emulator/machine/Lanes.h"
#include <cmath>

namespace ingot::emulator {
namespace {

enum class Relation : uint8_t { Eq, Ne, Lt, Le, Gt, Ge, Equ, Neu, Ltu, Leu, Gtu, Geu, Num, Nan };

/// Plain relations are false for NaN, those with u true.
template <Relation relation, typename T> INGOT_INLINE bool holds(T a, T b) {
  constexpr bool isFloat = std::is_floating_point_v<T>;
  switch (relation) {
  case Relation::Eq:
    return a == b;
  case Relation::Ne:
    return isFloat ? a < b || a > b : a != b;
  case Relation::Lt:
    return a < b;
  case Relation::Le:
    return a <= b;
  case Relation::Gt:
    return a > b;
  case Relation::Ge:
    return a >= b;
  case Relation::Equ:
    return !(a < b || a > b);
  case Relation::Neu:
    return !(a == b);
  case Relation::Ltu:
    return !(a >= b);
  case Relation::Leu:
    return !(a > b);
  case Relation::Gtu:
    return !(a <= b);
  case Relation::Geu:
    return !(a < b);
  case Relation::Num:
    return a == a && b == b;
  case Relation::Nan:
    return !(a == a && b == b);
  }
}

INGOT_INLINE float flush(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return std::bit_cast<float>(bits & 0x7f800000 ? bits : bits & 0x80000000);
}

// Instruction::mode of setp: which operands there are, and how c is combined.
constexpr uint8_t hasSecond = 1, hasThird = 2;
enum class Combine : uint8_t { And, Or, Xor };

INGOT_INLINE uint32_t combine(Combine how, uint32_t a, uint32_t b) {
  return how == Combine::And ? a & b : how == Combine::Or ? a | b : a ^ b;
}

/// slots: p, a, b, [q], [c]. p = (a ~ b) op c; q = !(a ~ b) op c.
INGOT_INLINE void finishSetp(Warp &warp, const Instruction &in, uint32_t mask, uint32_t result) {
  uint32_t second = ~result;
  const Slot *slots = in.slots + 3;
  const Slot secondSlot = in.mode & hasSecond ? *slots++ : noSlot;
  if (in.mode & hasThird) {
    const uint32_t third = warp.predicate(*slots) ^ (in.negated ? allLanes : 0);
    const auto how = Combine(in.count);
    result = combine(how, result, third);
    second = combine(how, second, third);
  }
  storePredicate(warp.predicate(in.slots[0]), result, mask);
  if (secondSlot != noSlot)
    storePredicate(warp.predicate(secondSlot), second, mask);
}

template <typename T, Relation relation, bool flushes> struct SetpHandler {
  static INGOT_INLINE void all(Warp &warp, const Instruction &in, uint32_t mask) {
    const T *a = warp.reg<T>(in.slots[1]), *b = warp.reg<T>(in.slots[2]);
    uint32_t result = 0;
    for (int lane = 0; lane < lanes; ++lane) {
      if constexpr (flushes)
        result |= uint32_t(holds<relation>(flush(a[lane]), flush(b[lane]))) << lane;
      else
        result |= uint32_t(holds<relation>(a[lane], b[lane])) << lane;
    }
    finishSetp(warp, in, mask, result);
  }
  static void base(Warp &warp, const Instruction &in, uint32_t mask) { all(warp, in, mask); }
  INGOT_TARGET_V3 static void v3(Warp &warp, const Instruction &in, uint32_t mask) {
    all(warp, in, mask);
  }
  INGOT_TARGET_V4 static void v4(Warp &warp, const Instruction &in, uint32_t mask) {
    all(warp, in, mask);
  }
  static Handler choose() {
    const int level = hostVectorLevel();
    return level == 2 ? v4 : level == 1 ? v3 : base;
  }
};

float half(Type type, uint32_t bits) {
  return float(decode(type == Type::F16 || type == Type::F16x2 ? FloatType::F16 : FloatType::BF16,
                      bits & 0xffff));
}

/// Flushes a half before it is compared.
uint32_t halfOperand(Type type, uint32_t bits, bool flushes) {
  bits &= 0xffff;
  return flushes && !(bits & (type == Type::F16 || type == Type::F16x2 ? 0x7c00 : 0x7f80))
             ? bits & 0x8000
             : bits;
}

bool relate(Relation relation, float a, float b) {
  switch (relation) {
#define CASE(r)                                                                                    \
  case Relation::r:                                                                                \
    return holds<Relation::r>(a, b);
    CASE(Eq)
    CASE(Ne)
    CASE(Lt)
    CASE(Le)
    CASE(Gt)
    CASE(Ge) CASE(Equ) CASE(Neu) CASE(Ltu) CASE(Leu) CASE(Gtu) CASE(Geu) CASE(Num) CASE(Nan)
#undef CASE
  }
  return false;
}

struct HalfComparison {
  Type type;
  Relation relation;
  bool flushes;
  bool operator()(uint32_t a, uint32_t b) const {
    return relate(relation, half(type, halfOperand(type, a, flushes)),
                  half(type, halfOperand(type, b, flushes)));
  }
};

void runSetpHalf(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto &comparison = *static_cast<const HalfComparison *>(in.extra);
  const auto *a = warp.reg<uint16_t>(in.slots[1]), *b = warp.reg<uint16_t>(in.slots[2]);
  uint32_t result = 0;
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    result |= uint32_t(comparison(a[lane], b[lane])) << lane;
  }
  finishSetp(warp, in, mask, result);
}

/// Packed halves: p from the lower ones, q from the upper ones. slots: p, a, b, q, [c]
void runSetpPacked(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto &comparison = *static_cast<const HalfComparison *>(in.extra);
  const auto *a = warp.reg<uint32_t>(in.slots[1]), *b = warp.reg<uint32_t>(in.slots[2]);
  uint32_t low = 0, high = 0;
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    low |= uint32_t(comparison(a[lane], b[lane])) << lane;
    high |= uint32_t(comparison(a[lane] >> 16, b[lane] >> 16)) << lane;
  }
  if (in.mode & hasThird) {
    const uint32_t third = warp.predicate(in.slots[4]) ^ (in.negated ? allLanes : 0);
    low = combine(Combine(in.count), low, third);
    high = combine(Combine(in.count), high, third);
  }
  storePredicate(warp.predicate(in.slots[0]), low, mask);
  storePredicate(warp.predicate(in.slots[3]), high, mask);
}

/// The relation of the first modifier, with the type that it compares as: lo, ls, hi and hs are
/// unsigned whatever the type says.
std::optional<Relation> takeRelation(Decoder &d, bool &isUnsigned) {
  constexpr std::string_view names[] = {"eq",  "ne",  "lt",  "le",  "gt",  "ge",  "equ",
                                        "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};
  const std::string_view name = d.nextModifier();
  isUnsigned = true;
  if (name == "lo")
    return Relation::Lt;
  if (name == "ls")
    return Relation::Le;
  if (name == "hi")
    return Relation::Gt;
  if (name == "hs")
    return Relation::Ge;
  isUnsigned = false;
  for (size_t i = 0; i < std::size(names); ++i)
    if (names[i] == name)
      return Relation(i);
  return std::nullopt;
}

template <typename T, bool flushes = false> Handler setpOf(Relation relation) {
  switch (relation) {
#define CASE(r)                                                                                    \
  case Relation::r:                                                                                \
    return SetpHandler<T, Relation::r, flushes>::choose();
    CASE(Eq) CASE(Ne) CASE(Lt) CASE(Le) CASE(Gt) CASE(Ge) default : break;
  }
  if constexpr (std::is_floating_point_v<T>) {
    switch (relation) {
      CASE(Equ)
      CASE(Neu) CASE(Ltu) CASE(Leu) CASE(Gtu) CASE(Geu) CASE(Num) CASE(Nan) default : break;
    }
#undef CASE
  }
  return nullptr;
}

bool isHalf(Type type) { return type == Type::F16 || type == Type::BF16; }
bool isPackedHalf(Type type) { return type == Type::F16x2 || type == Type::BF16x2; }

Type unsignedOf(Type type) {
  return type == Type::S16   ? Type::U16
         : type == Type::S32 ? Type::U32
         : type == Type::S64 ? Type::U64
                             : type;
}

/// What compares two registers of the type; for halves, `extra` says how.
Handler comparison(Decoder &d, Relation relation, bool isUnsigned, bool flushes, Type type) {
  if (flushes && type != Type::F32 && type != Type::F16 && type != Type::F16x2)
    return d.fail(".ftz needs .f32 or .f16");
  if (isInteger(type)) {
    if (isUnsigned && type != unsignedOf(type))
      return d.fail("lo, ls, hi and hs compare unsigned integers");
    if ((type == Type::B16 || type == Type::B32 || type == Type::B64) && relation != Relation::Eq &&
        relation != Relation::Ne)
      return d.fail("bits can only be compared by eq and ne");
    return forInteger(type, [&]<typename T>() { return setpOf<T>(relation); });
  }
  if (isUnsigned)
    return nullptr;
  if (type == Type::F32)
    return flushes ? setpOf<float, true>(relation) : setpOf<float>(relation);
  if (type == Type::F64)
    return setpOf<double>(relation);
  if (isHalf(type) || isPackedHalf(type)) {
    d.instruction().extra = d.make<HalfComparison>({type, relation, flushes});
    return isHalf(type) ? runSetpHalf : runSetpPacked;
  }
  return nullptr;
}

Handler decodeSetp(Decoder &d) {
  d.classify(Class::Integer);
  bool isUnsigned = false;
  const std::optional<Relation> relation = takeRelation(d, isUnsigned);
  if (!relation)
    return d.fail("unknown comparison");
  const int how = d.oneOf({"and", "or", "xor"});
  const bool flushes = d.flag("ftz");
  const Type type = d.type();
  const Handler handler = comparison(d, *relation, isUnsigned, flushes, type);
  if (!handler)
    return nullptr;
  Instruction &in = d.instruction();
  const ptx::Operand *first = d.takeOperand();
  if (!first)
    return nullptr;
  const bool pair = first->kind == ptx::Operand::Kind::Pair;
  if (isPackedHalf(type) && !pair)
    return d.fail("two destinations p|q are needed");
  d.write(pair ? first->elements[0] : *first, Type::Pred);
  d.read(type);
  d.read(type);
  if (pair) {
    d.write(first->elements[1], Type::Pred);
    in.mode |= hasSecond;
  }
  if (how >= 0) {
    d.readPredicate();
    in.mode |= hasThird;
    in.count = uint8_t(how);
  }
  return handler;
}

/// set: the comparison as a value. It runs setp into a scratch predicate first.
struct SetInto {
  Handler compare;
  Instruction compareInstruction;
  Type result;
  bool packed;
};

void runSet(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto &set = *static_cast<const SetInto *>(in.extra);
  Instruction compare = set.compareInstruction;
  compare.slots = in.slots + 1;
  compare.negated = in.negated;
  set.compare(warp, compare, mask);
  const uint32_t low = warp.predicate(in.slots[1]);
  const uint32_t high = set.packed ? warp.predicate(in.slots[4]) : 0;
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const bool a = low >> lane & 1, b = high >> lane & 1;
    switch (set.result) {
    case Type::F32:
      warp.reg<float>(in.slots[0])[lane] = a;
      break;
    case Type::F16:
      warp.reg<uint16_t>(in.slots[0])[lane] = a ? 0x3c00 : 0;
      break;
    case Type::BF16:
      warp.reg<uint16_t>(in.slots[0])[lane] = a ? 0x3f80 : 0;
      break;
    case Type::U16:
    case Type::S16:
      warp.reg<uint16_t>(in.slots[0])[lane] = a ? 0xffff : 0;
      break;
    case Type::F16x2:
      warp.reg<uint32_t>(in.slots[0])[lane] = (a ? 0x3c00u : 0) | (b ? 0x3c000000u : 0);
      break;
    case Type::BF16x2:
      warp.reg<uint32_t>(in.slots[0])[lane] = (a ? 0x3f80u : 0) | (b ? 0x3f800000u : 0);
      break;
    default:
      warp.reg<uint32_t>(in.slots[0])[lane] = set.packed ? (a ? 0xffffu : 0) | (b ? 0xffff0000u : 0)
                                              : a        ? ~uint32_t(0)
                                                         : 0;
    }
  }
}

Handler decodeSet(Decoder &d) {
  d.classify(Class::Integer);
  bool isUnsigned = false;
  const std::optional<Relation> relation = takeRelation(d, isUnsigned);
  if (!relation)
    return d.fail("unknown comparison");
  const int how = d.oneOf({"and", "or", "xor"});
  const bool flushes = d.flag("ftz");
  const Type result = d.type(), type = d.type();
  const bool packed = isPackedHalf(type);
  // 16-bit integers come of halves alone, f32 of all others, packed halves of their own kind.
  const bool fits = result == Type::U32 || result == Type::S32 ||
                    (packed         ? result == type
                     : isHalf(type) ? result == Type::U16 || result == Type::S16 || isHalf(result)
                                    : result == Type::F32 || isHalf(result));
  if (!fits)
    return nullptr;
  const Handler handler = comparison(d, *relation, isUnsigned, flushes, type);
  if (!handler)
    return nullptr;
  Instruction &in = d.instruction();
  d.write(result);
  d.addSlot(d.scratch(1));
  d.read(type);
  d.read(type);
  if (packed) {
    d.addSlot(d.scratch(1));
    in.mode |= hasSecond;
  }
  if (how >= 0) {
    d.readPredicate();
    in.mode |= hasThird;
    in.count = uint8_t(how);
  }
  in.extra = d.make<SetInto>({handler, in, result, packed});
  return runSet;
}

bool isSelectable(Type type) {
  return (isInteger(type) && bitsOf(type) >= 16 && bitsOf(type) <= 64) || type == Type::F32 ||
         type == Type::F64;
}

Handler decodeSelp(Decoder &d) {
  d.classify(Class::Move);
  const Type type = d.type();
  const int bits = bitsOf(type);
  if (!isSelectable(type))
    return nullptr;
  d.write(type);
  const ptx::Operand *first = d.takeOperand(), *second = d.takeOperand();
  if (!first || !second)
    return nullptr;
  if (const ptx::Operand *chosen = d.peekOperand(); chosen && chosen->negated)
    std::swap(first, second);
  d.read(*first, type);
  d.read(*second, type);
  d.readPredicate();
  return bits == 16
             ? lanesOf<[](uint16_t a, uint16_t b, bool c) -> uint16_t { return c ? a : b; }>()
         : bits == 32
             ? lanesOf<[](uint32_t a, uint32_t b, bool c) -> uint32_t { return c ? a : b; }>()
             : lanesOf<[](uint64_t a, uint64_t b, bool c) -> uint64_t { return c ? a : b; }>();
}

/// slct: a where c >= 0, else b; NaN counts as negative, -0 as zero.
template <typename C, bool flushes> INGOT_INLINE bool choosesFirst(C c) {
  return flushes ? flush(float(c)) >= 0 : c >= 0;
}
template <typename C, bool flushes> Handler slctOf(int bits) {
  return bits == 16   ? lanesOf<[](uint16_t a, uint16_t b, C c) -> uint16_t {
    return choosesFirst<C, flushes>(c) ? a : b;
  }>()
         : bits == 32 ? lanesOf<[](uint32_t a, uint32_t b, C c) -> uint32_t {
             return choosesFirst<C, flushes>(c) ? a : b;
           }>()
                      : lanesOf<[](uint64_t a, uint64_t b, C c) -> uint64_t {
                          return choosesFirst<C, flushes>(c) ? a : b;
                        }>();
}

Handler decodeSlct(Decoder &d) {
  d.classify(Class::Move);
  const bool flushes = d.flag("ftz");
  const Type type = d.type(), by = d.type();
  const int bits = bitsOf(type);
  if (!isSelectable(type) || (by != Type::S32 && by != Type::F32) || (flushes && by != Type::F32))
    return nullptr;
  d.write(type);
  d.read(type);
  d.read(type);
  d.read(by);
  return by == Type::S32 ? slctOf<int32_t, false>(bits)
         : flushes       ? slctOf<float, true>(bits)
                         : slctOf<float, false>(bits);
}

constexpr InstructionRow rows[] = {
    {"setp", decodeSetp}, {"set", decodeSet}, {"selp", decodeSelp}, {"slct", decodeSlct}};

} // namespace

Family compareFamily() { return rows; }

} // namespace ingot::emulator
