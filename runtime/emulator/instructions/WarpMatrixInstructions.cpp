/// wmma.load, wmma.store and wmma.mma: matrices of a warp whose layout in registers is not for the
/// program to know.
///
/// Ours is the matrix line by line: word w of a fragment (a line of A along k, of B along k, of C
/// along n; neighbours packed into 32 bits) is register w / 32 of lane w % 32. f16 operands have
/// more registers than words, as the ISA wants it: the words repeat.
#include "runtime/emulator/arithmetic/MatrixMultiply.h"
#include "runtime/emulator/machine/AsyncMemory.h"
#include "runtime/emulator/machine/InstructionSet.h"
#include "runtime/emulator/machine/Lanes.h"
#include "runtime/emulator/machine/MemoryAccess.h"

namespace ingot::emulator {
namespace {

enum class Role : uint8_t { A, B, C };

struct Shape {
  int m = 0, n = 0, k = 0;
};

/// "m16n16k16"; false for what wmma does not have.
bool parseShape(std::string_view text, Shape &shape) {
  static constexpr std::pair<std::string_view, Shape> shapes[] = {
      {"m16n16k16", {16, 16, 16}}, {"m32n8k16", {32, 8, 16}}, {"m8n32k16", {8, 32, 16}},
      {"m16n16k8", {16, 16, 8}},   {"m8n8k4", {8, 8, 4}},
  };
  for (const auto &[name, value] : shapes)
    if (name == text) {
      shape = value;
      return true;
    }
  return false;
}

/// A fragment: `lines` of `length` elements.
struct MatrixFragment {
  int lines = 0, length = 0;
  Type type = Type::None;
  int bits = 0;      ///< of an element
  int registers = 0; ///< of each lane
  int wordBits() const { return bits == 64 ? 64 : 32; }
  int perWord() const { return wordBits() / bits; }
  int words() const { return lines * length / perWord(); }
};

std::optional<MatrixType> operandType(Type type) {
  switch (type) {
  case Type::F16:
    return MatrixType::F16;
  case Type::BF16:
    return MatrixType::BF16;
  case Type::TF32:
    return MatrixType::TF32;
  case Type::F64:
    return MatrixType::F64;
  case Type::S8:
    return MatrixType::S8;
  case Type::U8:
    return MatrixType::U8;
  default:
    return std::nullopt;
  }
}
bool isAccumulator(Type type) {
  return type == Type::F16 || type == Type::F32 || type == Type::F64 || type == Type::S32;
}

/// Whether A and B of this type have the shape.
bool isSupported(const Shape &shape, Type operands) {
  if (operands == Type::F64)
    return shape.k == 4;
  if (operands == Type::TF32)
    return shape.k == 8;
  return shape.k == 16;
}

MatrixFragment makeFragment(Role role, const Shape &shape, Type type) {
  MatrixFragment f;
  f.lines = role == Role::B ? shape.n : shape.m;
  f.length = role == Role::C ? shape.n : shape.k;
  f.type = type;
  f.bits = type == Type::TF32 ? 32 : bitsOf(type);
  f.registers = type == Type::F16 && role != Role::C ? 8 : f.words() / lanes;
  return f;
}

// Memory.

struct Move {
  MatrixFragment fragment;
  bool linesApart =
      true; ///< lines are `stride` apart, their elements neighbours; else the other way
  Address address;
  AccessRequest request;
};

/// slots: base, registers, stride.
template <bool stores, typename Word>
void runMove(Warp &warp, const Instruction &in, uint32_t mask) {
  if (!wholeWarp(warp, in, mask))
    return;
  const auto &move = *static_cast<const Move *>(in.extra);
  const MatrixFragment &f = move.fragment;
  const int perWord = f.perWord(), bytes = f.bits / 8;
  const LaneAddresses base =
      laneAddresses(warp, in.slots[0], move.address.wide, move.address.offset, mask);
  const auto *strides = warp.reg<uint32_t>(in.slots[1 + f.registers]);
  // Neighbours in a word are neighbours in memory, or `stride` apart and moved one by one.
  const int parts = move.linesApart ? 1 : perWord;
  AccessRequest request = move.request;
  request.bytes = request.alignment = static_cast<uint32_t>(bytes * perWord / parts);
  for (int index = 0; index < f.registers; ++index) {
    Word *out = warp.reg<Word>(in.slots[1 + index]);
    const bool repeats = index * lanes >= f.words();
    if (stores && repeats)
      break;
    Word values[lanes] = {};
    for (int part = 0; part < parts; ++part) {
      LaneAddresses addresses;
      for (int lane = 0; lane < lanes; ++lane) {
        const int element = (index * lanes + lane) % f.words() * perWord + part;
        const uint64_t line = element / f.length, place = element % f.length;
        const uint64_t offset =
            move.linesApart ? line * strides[lane] + place : place * strides[lane] + line;
        addresses.value[lane] = base.value[lane] + offset * bytes;
      }
      Resolved where;
      resolve(warp, in, mask, request, addresses, where);
      for (uint32_t left = where.ok; left; left &= left - 1) {
        const int lane = std::countr_zero(left);
        std::byte *memory = where.at(addresses, lane);
        Word value = 0;
        if constexpr (stores) {
          value = static_cast<Word>(out[lane] >> part * f.bits);
          copyRelaxed(memory, reinterpret_cast<const std::byte *>(&value), request.bytes);
        } else {
          copyRelaxed(reinterpret_cast<std::byte *>(&value), memory, request.bytes);
          values[lane] |= static_cast<Word>(value << part * f.bits);
        }
      }
    }
    if constexpr (!stores)
      storeLanes(out, values, mask);
  }
}

Handler decodeMove(Decoder &d, Role role, bool stores) {
  if (!d.flag("sync"))
    return d.fail(".sync is missing");
  d.flag("aligned");
  const int layout = d.oneOf({"row", "col"});
  if (layout < 0)
    return d.fail(".row or .col is missing");
  Shape shape;
  if (!parseShape(d.nextModifier(), shape))
    return d.fail("this shape is not emulated");
  auto *move = d.make<Move>();
  move->request.space = takeSpaceModifier(d);
  move->request.kind = stores ? Access::Kind::Write : Access::Kind::Read;
  move->request.collective = true;
  const Type type = d.type();
  if (role == Role::C ? !isAccumulator(type) : !operandType(type) || !isSupported(shape, type))
    return d.fail("this type has no such matrix");
  move->fragment = makeFragment(role, shape, type);
  move->linesApart = (layout == 0) == (role != Role::B);
  const Type word = move->fragment.bits == 64 ? Type::B64 : Type::B32;
  // The address comes behind the registers of a load and before those of a store, but first in the
  // slots.
  const ptx::Operand *registers = stores ? nullptr : d.takeOperand();
  move->address = d.address(move->request.space);
  int count = 0;
  if (stores)
    count = d.readVector(word);
  else if (registers) {
    if (registers->kind == ptx::Operand::Kind::Vector)
      for (const ptx::Operand &element : registers->elements) {
        d.write(element, word);
        ++count;
      }
    else
      count = (d.write(*registers, word), 1);
  }
  if (count != move->fragment.registers)
    return d.fail(
        fmt::format("{} registers, this matrix needs {}", count, move->fragment.registers));
  if (d.operandsLeft())
    d.read(Type::U32);
  else // neighbouring lines: the leading dimension
    d.addSlot(d.constant(move->linesApart ? move->fragment.length : move->fragment.lines, 32));
  d.classify(Class::Memory);
  d.instruction().extra = move;
  if (word == Type::B64)
    return stores ? runMove<true, uint64_t> : runMove<false, uint64_t>;
  return stores ? runMove<true, uint32_t> : runMove<false, uint32_t>;
}

// The product.

struct Product {
  Shape shape;
  MatrixFragment a, b, c, d;
  MatrixType aType = MatrixType::F16, bType = MatrixType::F16;
  Accumulator result = Accumulator::F32, addend = Accumulator::F32;
  bool saturate = false;
};

template <typename Word>
void collect(Warp &warp, const MatrixFragment &f, const Slot *slots, Word *words) {
  for (int w = 0; w < f.words(); ++w)
    words[w] = warp.reg<Word>(slots[w / lanes])[w % lanes];
}

constexpr int mostElements = 32 * 16;

/// Lines of B, along k, to lines along n.
template <typename T> void turn(const Shape &shape, const T *lines, T *out) {
  for (int n = 0; n < shape.n; ++n)
    for (int k = 0; k < shape.k; ++k)
      out[k * shape.n + n] = lines[n * shape.k + k];
}

/// The operands as T, and sums += A * B.
template <typename T, typename Sum>
void addProduct(Warp &warp, const Product &p, const Slot *slots, Sum *sums) {
  uint32_t words[mostElements];
  T a[mostElements], lines[mostElements], b[mostElements];
  collect(warp, p.a, slots, words);
  matrix::unpack(p.aType, words, p.a.words(), a);
  collect(warp, p.b, slots + p.a.registers, words);
  matrix::unpack(p.bType, words, p.b.words(), lines);
  turn(p.shape, lines, b);
  matrix::accumulate(sums, a, b, p.shape.m, p.shape.n, p.shape.k);
}

/// slots: D, A, B, C.
void runProduct(Warp &warp, const Instruction &in, uint32_t mask) {
  if (!wholeWarp(warp, in, mask))
    return;
  const auto &p = *static_cast<const Product *>(in.extra);
  const Slot *operands = in.slots + p.d.registers;
  const Slot *addend = operands + p.a.registers + p.b.registers;
  const int count = p.shape.m * p.shape.n;
  if (p.result == Accumulator::F64) {
    double a[mostElements], lines[mostElements], b[mostElements], sums[mostElements];
    collect(warp, p.a, operands, a);
    collect(warp, p.b, operands + p.a.registers, lines);
    collect(warp, p.c, addend, sums);
    turn(p.shape, lines, b);
    matrix::accumulate(sums, a, b, p.shape.m, p.shape.n, p.shape.k);
    for (int w = 0; w < count; ++w)
      warp.reg<double>(in.slots[w / lanes])[w % lanes] = sums[w];
    return;
  }
  uint32_t words[mostElements];
  collect(warp, p.c, addend, words);
  uint32_t bits[mostElements];
  if (p.result == Accumulator::S32) {
    int64_t sums[mostElements];
    for (int i = 0; i < count; ++i)
      sums[i] = static_cast<int32_t>(words[i]);
    addProduct<int32_t>(warp, p, operands, sums);
    for (int i = 0; i < count; ++i)
      bits[i] = matrix::accumulatorBits(sums[i], p.saturate);
  } else {
    float sums[mostElements];
    for (int i = 0; i < count; ++i)
      sums[i] = p.addend == Accumulator::F16
                    ? Float16::decode(words[i / 2] >> 16 * (i % 2) & 0xffff)
                    : std::bit_cast<float>(words[i]);
    addProduct<float>(warp, p, operands, sums);
    for (int i = 0; i < count; ++i)
      bits[i] = matrix::accumulatorBits(p.result, sums[i]);
  }
  const int perWord = p.d.perWord();
  for (int w = 0; w < p.d.words(); ++w)
    warp.reg<uint32_t>(in.slots[w / lanes])[w % lanes] =
        perWord == 2 ? bits[2 * w] | bits[2 * w + 1] << 16 : bits[w];
}

Handler decodeProduct(Decoder &d) {
  if (!d.flag("sync"))
    return d.fail(".sync is missing");
  d.flag("aligned");
  // Layouts repeat what the loads were told; fragments here hold the matrix itself.
  if (d.oneOf({"row", "col"}) < 0)
    return d.fail("the layout of A is missing");
  d.oneOf({"row", "col"});
  auto *p = d.make<Product>();
  if (!parseShape(d.nextModifier(), p->shape))
    return d.fail("this shape is not emulated");
  p->saturate = d.flag("satfinite");
  d.flag("rn");
  // f16 operands are not named: .dtype.ctype; the others are: .dtype.atype.btype.ctype.
  const Type result = d.type(), second = d.type(), third = d.type(), fourth = d.type();
  const bool halves = third == Type::None;
  const Type a = halves ? Type::F16 : second, b = halves ? Type::F16 : third;
  const Type addend = halves ? second : fourth;
  const auto aType = operandType(a), bType = operandType(b);
  const auto resultType = accumulatorType(result), addendType = accumulatorType(addend);
  const bool mixed = result != addend; // f16 and f32 alone
  if (!aType || !bType || !resultType || !addendType || !isSupported(p->shape, a) ||
      bitsOf(a) != bitsOf(b) || (mixed && !halves))
    return d.fail("these types have no such product");
  p->a = makeFragment(Role::A, p->shape, a);
  p->b = makeFragment(Role::B, p->shape, b);
  p->c = makeFragment(Role::C, p->shape, addend);
  p->d = makeFragment(Role::C, p->shape, result);
  p->aType = *aType;
  p->bType = *bType;
  p->result = *resultType;
  p->addend = *addendType;
  const Type word = result == Type::F64 ? Type::B64 : Type::B32;
  if (d.writeVector(word) != p->d.registers || d.readVector(word) != p->a.registers ||
      d.readVector(word) != p->b.registers || d.readVector(word) != p->c.registers)
    return d.fail("an operand has too many registers or too few");
  d.classify(Class::Tensor);
  d.instruction().extra = p;
  return runProduct;
}

Handler decodeWarpMatrix(Decoder &d) {
  switch (d.oneOf({"load", "store", "mma"})) {
  case 0:
    switch (d.oneOf({"a", "b", "c"})) {
    case 0:
      return decodeMove(d, Role::A, false);
    case 1:
      return decodeMove(d, Role::B, false);
    case 2:
      return decodeMove(d, Role::C, false);
    default:
      return d.fail(".a, .b or .c is missing");
    }
  case 1:
    return d.flag("d") ? decodeMove(d, Role::C, true) : d.fail(".d is missing");
  case 2:
    return decodeProduct(d);
  default:
    return d.fail("wmma knows .load, .store and .mma");
  }
}

constexpr InstructionRow rows[] = {{"wmma", decodeWarpMatrix}};

} // namespace

Family warpMatrixFamily() { return rows; }

} // namespace ingot::emulator
