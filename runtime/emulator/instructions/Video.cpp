/// Video instructions: arithmetic on selected bytes and halves of 32-bit registers. Scalar ones
/// (vadd, vsub, vabsdiff, vmin, vmax, vshl, vshr, vmad, vset) end in a second operation or merge
/// their result into a part of c; those of two halves (v*2) and four bytes (v*4) merge or sum up.
///
/// Intermediate results are exact, as the ISA's programs have them: they lose bits where they are
/// written, and nowhere before.
#include "runtime/emulator/machine/InstructionSet.h"
#include "runtime/emulator/machine/Machine.h"
#include <algorithm>
#include <bit>

namespace ingot::emulator {
namespace {

using Exact = __int128;

enum class VideoOp : uint8_t {
  Add,
  Subtract,
  Difference,
  Minimum,
  Maximum,
  Average,
  ShiftLeft,
  ShiftRight,
  MultiplyAdd,
  Compare
};

struct Named {
  std::string_view name;
  VideoOp op;
};
/// Without the 2 or 4 of the packed forms.
constexpr Named operations[] = {
    {"vadd", VideoOp::Add},       {"vsub", VideoOp::Subtract},   {"vabsdiff", VideoOp::Difference},
    {"vmin", VideoOp::Minimum},   {"vmax", VideoOp::Maximum},    {"vavrg", VideoOp::Average},
    {"vshl", VideoOp::ShiftLeft}, {"vshr", VideoOp::ShiftRight}, {"vmad", VideoOp::MultiplyAdd},
    {"vset", VideoOp::Compare},
};

enum class Relation : uint8_t { Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual };

bool holds(Relation relation, Exact a, Exact b) {
  switch (relation) {
  case Relation::Equal:
    return a == b;
  case Relation::NotEqual:
    return a != b;
  case Relation::Less:
    return a < b;
  case Relation::LessEqual:
    return a <= b;
  case Relation::Greater:
    return a > b;
  case Relation::GreaterEqual:
    return a >= b;
  }
  __builtin_unreachable();
}

/// A field of a register: all of it, a half or a byte.
struct Part {
  uint8_t bits = 32, shift = 0;
  uint32_t mask() const { return ~uint32_t(0) >> (32 - bits); }
};

Exact valueOf(uint32_t word, Part part, bool isSigned) {
  const uint32_t field = word >> part.shift & part.mask();
  const int unused = 32 - part.bits;
  return isSigned ? Exact(int32_t(field << unused) >> unused) : Exact(field);
}

Exact clamped(Exact value, int bits, bool isSigned) {
  const Exact span = Exact(1) << (isSigned ? bits - 1 : bits);
  return std::clamp<Exact>(value, isSigned ? -span : 0, span - 1);
}

Exact calculate(VideoOp op, Relation relation, Exact a, Exact b) {
  switch (op) {
  case VideoOp::Add:
    return a + b;
  case VideoOp::Subtract:
    return a - b;
  case VideoOp::Difference:
    return a < b ? b - a : a - b;
  case VideoOp::Minimum:
    return std::min(a, b);
  case VideoOp::Maximum:
    return std::max(a, b);
  case VideoOp::Average: // halves away from zero
    return (a + b + (a + b >= 0)) >> 1;
  case VideoOp::ShiftLeft:
    return a * (Exact(1) << int(b));
  case VideoOp::ShiftRight:
    return a >> int(b);
  case VideoOp::Compare:
    return holds(relation, a, b);
  case VideoOp::MultiplyAdd:
    return a * b;
  }
  __builtin_unreachable();
}

// Scalars.

struct Scalar {
  enum class Second : uint8_t { None, Add, Minimum, Maximum, Merge };
  VideoOp op = VideoOp::Add;
  Relation relation = Relation::Equal;
  Second second = Second::None;
  bool signedA = false, signedB = false, signedResult = false, saturate = false;
  bool wraps = false;                                  ///< the amount of a shift
  bool plusOne = false, minus = false, minusC = false; ///< of vmad: (a * b) and c negated
  int scale = 0;
  Part a, b, result;

  uint32_t operator()(uint32_t x, uint32_t y, uint32_t z) const {
    if (op == VideoOp::MultiplyAdd)
      return multiplyAdd(x, y, z);
    Exact right = valueOf(y, b, signedB);
    if (op == VideoOp::ShiftLeft || op == VideoOp::ShiftRight)
      right = wraps ? right & 31 : std::min<Exact>(right, 32);
    Exact value = calculate(op, relation, valueOf(x, a, signedA), right);
    if (saturate)
      value = clamped(value, result.bits, signedResult);
    const Exact third = valueOf(z, Part(), signedResult);
    switch (second) {
    case Second::None:
      return uint32_t(value);
    case Second::Add:
      return uint32_t(value + third);
    case Second::Minimum:
      return uint32_t(std::min(value, third));
    case Second::Maximum:
      return uint32_t(std::max(value, third));
    case Second::Merge: {
      const uint32_t place = result.mask() << result.shift;
      return (uint32_t(value) << result.shift & place) | (z & ~place);
    }
    }
    __builtin_unreachable();
  }

  uint32_t multiplyAdd(uint32_t x, uint32_t y, uint32_t z) const {
    const bool isSigned = signedA || signedB || minus || minusC;
    Exact product = valueOf(x, a, signedA) * valueOf(y, b, signedB);
    product = minus ? -product : product;
    const Exact third = minusC ? -valueOf(z, Part(), true) : valueOf(z, Part(), isSigned);
    const Exact value = (product + third + plusOne) >> scale;
    return uint32_t(saturate ? clamped(value, 32, isSigned) : value);
  }
};

void runScalar(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto &video = *static_cast<const Scalar *>(in.extra);
  const auto *a = warp.reg<uint32_t>(in.slots[1]), *b = warp.reg<uint32_t>(in.slots[2]),
             *c = warp.reg<uint32_t>(in.slots[3]);
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    warp.reg<uint32_t>(in.slots[0])[lane] = video(a[lane], b[lane], c[lane]);
  }
}

// Two halves or four bytes.

struct Packed {
  VideoOp op = VideoOp::Add;
  Relation relation = Relation::Equal;
  bool signedA = false, signedB = false, signedResult = false, saturate = false, sums = false;
  int count = 2;
  uint8_t a[4] = {}, b[4] = {}; ///< which element of {a, b}, for each
  uint8_t mask = 0;             ///< elements that are written

  uint32_t operator()(uint32_t x, uint32_t y, uint32_t z) const {
    const uint8_t bits = uint8_t(32 / count);
    const auto element = [&](uint8_t index, bool isSigned) {
      const Part part{bits, uint8_t(index % count * bits)};
      return valueOf(index < count ? x : y, part, isSigned);
    };
    uint32_t out = z;
    for (int i = 0; i < count; ++i) {
      if (!(mask >> i & 1))
        continue;
      Exact value = calculate(op, relation, element(a[i], signedA), element(b[i], signedB));
      if (saturate)
        value = clamped(value, bits, signedResult);
      const Part place{bits, uint8_t(i * bits)};
      const uint32_t field = place.mask() << place.shift;
      out =
          sums ? out + uint32_t(value) : (out & ~field) | (uint32_t(value) << place.shift & field);
    }
    return out;
  }
};

void runPacked(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto &video = *static_cast<const Packed *>(in.extra);
  const auto *a = warp.reg<uint32_t>(in.slots[1]), *b = warp.reg<uint32_t>(in.slots[2]),
             *c = warp.reg<uint32_t>(in.slots[3]);
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    warp.reg<uint32_t>(in.slots[0])[lane] = video(a[lane], b[lane], c[lane]);
  }
}

// Decoding.

/// .u32 or .s32
bool takeSign(Decoder &d, bool &isSigned) {
  const Type type = d.type();
  isSigned = type == Type::S32;
  return isSigned || type == Type::U32;
}

bool takeRelation(Decoder &d, Relation &relation) {
  const int which = d.oneOf({"eq", "ne", "lt", "le", "gt", "ge"});
  relation = Relation(which);
  return which >= 0;
}

/// "b2", "h1"; nothing else.
bool parsePart(std::string_view selector, Part &part) {
  if (selector.empty())
    return true;
  const int count = selector[0] == 'b' ? 4 : selector[0] == 'h' ? 2 : 0;
  if (!count || selector.size() != 2 || selector[1] < '0' || selector[1] >= '0' + count)
    return false;
  part.bits = uint8_t(32 / count);
  part.shift = uint8_t((selector[1] - '0') * part.bits);
  return true;
}

/// The operand without what only video instructions have.
ptx::Operand plain(const ptx::Operand &operand) {
  ptx::Operand result = operand;
  result.selector = {};
  result.minus = false;
  return result;
}

Handler decodeScalar(Decoder &d, VideoOp op) {
  Scalar video;
  video.op = op;
  video.saturate = op != VideoOp::Compare && d.flag("sat");
  const bool shifts = op == VideoOp::ShiftLeft || op == VideoOp::ShiftRight;
  if (shifts) {
    const int mode = d.oneOf({"clamp", "wrap"});
    if (mode < 0)
      return d.fail(".clamp or .wrap is needed");
    video.wraps = mode == 1;
  }
  if (op == VideoOp::Compare && !takeRelation(d, video.relation))
    return d.fail("a comparison is needed");
  if (op == VideoOp::MultiplyAdd) {
    video.plusOne = d.flag("po");
    video.scale = d.flag("shr7") ? 7 : d.flag("shr15") ? 15 : 0;
  } else if (const int second = d.oneOf({"add", "min", "max"}); second >= 0) {
    video.second = Scalar::Second(int(Scalar::Second::Add) + second);
  }
  if ((op != VideoOp::Compare && !takeSign(d, video.signedResult)) || !takeSign(d, video.signedA) ||
      !takeSign(d, video.signedB))
    return d.fail("the types are .u32 and .s32");
  if (shifts && video.signedB)
    return d.fail("the amount of a shift is .u32");

  const ptx::Operand *to = d.takeOperand(), *a = d.takeOperand(), *b = d.takeOperand();
  if (!to || !a || !b)
    return nullptr;
  if (!parsePart(to->selector, video.result) || !parsePart(a->selector, video.a) ||
      !parsePart(b->selector, video.b))
    return d.fail("the parts of a register are .b0 to .b3, .h0 and .h1");
  if (!to->selector.empty()) {
    if (op == VideoOp::MultiplyAdd)
      return d.fail("vmad merges into no part of a register");
    if (video.second != Scalar::Second::None)
      return d.fail("a second operation goes without a part of the destination");
    video.second = Scalar::Second::Merge;
  }
  d.write(plain(*to), Type::U32);
  if (op == VideoOp::MultiplyAdd) {
    const ptx::Operand *c = d.takeOperand();
    if (!c)
      return nullptr;
    video.minus = a->minus != b->minus;
    video.minusC = c->minus;
    if (video.minus && video.minusC)
      return d.fail("either the product is negated or c");
    if (video.plusOne && (a->minus || b->minus || c->minus))
      return d.fail(".po goes without negated operands");
    for (const ptx::Operand *each : {a, b})
      d.read(plain(*each), Type::U32);
    ptx::Operand positive = *c;
    positive.minus = false;
    d.read(positive, Type::U32);
  } else {
    if (a->minus || b->minus)
      return d.fail("only vmad negates operands");
    d.read(plain(*a), Type::U32);
    d.read(plain(*b), Type::U32);
    if (video.second != Scalar::Second::None)
      d.read(Type::U32);
    else
      d.addSlot(d.constant(0, 32));
  }
  d.instruction().extra = d.make(video);
  return runScalar;
}

/// "b7310": one digit for each element, the highest first.
bool parseElements(std::string_view selector, int count, uint8_t *elements) {
  if (selector.size() != size_t(count) + 1 || selector[0] != (count == 4 ? 'b' : 'h'))
    return false;
  for (int i = 0; i < count; ++i) {
    const char digit = selector[size_t(count - i)];
    if (digit < '0' || digit >= '0' + 2 * count)
      return false;
    elements[i] = uint8_t(digit - '0');
  }
  return true;
}

/// "b20": the elements that are written, falling.
bool parseMask(std::string_view selector, int count, uint8_t &mask) {
  if (selector.size() < 2 || selector[0] != (count == 4 ? 'b' : 'h'))
    return false;
  char last = char('0' + count);
  for (const char digit : selector.substr(1)) {
    if (digit < '0' || digit >= last)
      return false;
    mask |= uint8_t(1 << (digit - '0'));
    last = digit;
  }
  return true;
}

Handler decodePacked(Decoder &d, VideoOp op, int count) {
  Packed video;
  video.op = op;
  video.count = count;
  video.saturate = op != VideoOp::Compare && d.flag("sat");
  video.sums = d.flag("add");
  if (video.saturate && video.sums)
    return d.fail(".sat and .add exclude each other");
  if (op == VideoOp::Compare && !takeRelation(d, video.relation))
    return d.fail("a comparison is needed");
  if ((op != VideoOp::Compare && !takeSign(d, video.signedResult)) || !takeSign(d, video.signedA) ||
      !takeSign(d, video.signedB))
    return d.fail("the types are .u32 and .s32");
  const ptx::Operand *to = d.takeOperand(), *a = d.takeOperand(), *b = d.takeOperand(),
                     *c = d.takeOperand();
  if (!to || !a || !b || !c)
    return nullptr;
  const bool four = count == 4;
  const auto selectorOr = [](const ptx::Operand &operand, std::string_view usual) {
    return operand.selector.empty() ? usual : operand.selector;
  };
  if (!parseMask(selectorOr(*to, four ? "b3210" : "h10"), count, video.mask) ||
      !parseElements(selectorOr(*a, four ? "b3210" : "h10"), count, video.a) ||
      !parseElements(selectorOr(*b, four ? "b7654" : "h32"), count, video.b))
    return d.fail("no such selection of elements");
  for (const ptx::Operand *source : {a, b, c})
    if (source->kind != ptx::Operand::Kind::Register || source->minus)
      return d.fail("the sources are registers");
  d.write(plain(*to), Type::U32);
  d.read(plain(*a), Type::U32);
  d.read(plain(*b), Type::U32);
  d.read(*c, Type::U32);
  d.instruction().extra = d.make(video);
  return runPacked;
}

Handler decodeVideo(Decoder &d) {
  d.classify(Class::Integer);
  std::string_view name = d.opcode();
  const int count = name.back() == '2' ? 2 : name.back() == '4' ? 4 : 1;
  if (count > 1)
    name.remove_suffix(1);
  const Named *named = std::find_if(std::begin(operations), std::end(operations),
                                    [&](const Named &each) { return each.name == name; });
  return count > 1 ? decodePacked(d, named->op, count) : decodeScalar(d, named->op);
}

constexpr InstructionRow rows[] = {
    {"vadd", decodeVideo},      {"vsub", decodeVideo},      {"vabsdiff", decodeVideo},
    {"vmin", decodeVideo},      {"vmax", decodeVideo},      {"vshl", decodeVideo},
    {"vshr", decodeVideo},      {"vmad", decodeVideo},      {"vset", decodeVideo},
    {"vadd2", decodeVideo},     {"vsub2", decodeVideo},     {"vavrg2", decodeVideo},
    {"vabsdiff2", decodeVideo}, {"vmin2", decodeVideo},     {"vmax2", decodeVideo},
    {"vset2", decodeVideo},     {"vadd4", decodeVideo},     {"vsub4", decodeVideo},
    {"vavrg4", decodeVideo},    {"vabsdiff4", decodeVideo}, {"vmin4", decodeVideo},
    {"vmax4", decodeVideo},     {"vset4", decodeVideo},
};

} // namespace

Family videoFamily() { return rows; }

} // namespace ingot::emulator
