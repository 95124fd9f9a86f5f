/// mma.sync, ldmatrix, stmatrix, and the warpgroup's wgmma.
#include "runtime/emulator/arithmetic/MatrixForms.h"
#include "runtime/emulator/arithmetic/MatrixMove.h"
#include "runtime/emulator/arithmetic/SparseMultiply.h"
#include "runtime/emulator/machine/AsyncEngine.h"
#include "runtime/emulator/machine/InstructionSet.h"
#include <algorithm>
#include <charconv>

namespace ingot::emulator {
namespace {

/// "m16n8k16": the three numbers; false for anything else.
bool parseShape(std::string_view text, int &m, int &n, int &k) {
  const auto number = [&](char letter, int &value) {
    if (text.empty() || text.front() != letter)
      return false;
    text.remove_prefix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    return error == std::errc();
  };
  return number('m', m) && number('n', n) && number('k', k) && text.empty();
}

std::optional<MatrixType> matrixType(Type type) {
  switch (type) {
  case Type::F16:
    return MatrixType::F16;
  case Type::BF16:
    return MatrixType::BF16;
  case Type::TF32:
    return MatrixType::TF32;
  case Type::F64:
    return MatrixType::F64;
  case Type::E4M3:
    return MatrixType::E4M3;
  case Type::E5M2:
    return MatrixType::E5M2;
  case Type::S8:
    return MatrixType::S8;
  case Type::U8:
    return MatrixType::U8;
  case Type::S4:
    return MatrixType::S4;
  case Type::U4:
    return MatrixType::U4;
  default:
    return std::nullopt;
  }
}

/// A vector operand of exactly `count` registers.
bool expectCount(Decoder &d, std::string_view what, int actual, int count) {
  if (actual != count)
    d.fail(fmt::format("{} has {} registers, this shape needs {}", what, actual, count));
  return actual == count;
}

// mma.sync

struct Mma {
  MatrixMultiply shape;
};

template <typename T> void runMma(Warp &warp, const Instruction &in, uint32_t mask) {
  if (!wholeWarp(warp, in, mask))
    return;
  const MatrixMultiply &shape = static_cast<const Mma *>(in.extra)->shape;
  const Slot *slots = in.slots;
  const auto rows = [&](auto &pointers, int count) {
    for (int i = 0; i < count; ++i)
      pointers[i] = warp.reg<T>(*slots++);
  };
  T *d[4];
  const T *a[8], *b[4], *c[4];
  rows(d, shape.registersOfC());
  rows(a, shape.registersOfA());
  rows(b, shape.registersOfB());
  rows(c, shape.registersOfC());
  multiply(shape, d, a, b, c);
}

/// The registers of an instruction's operands, one operand after the other.
template <typename T> class OperandRows {
public:
  OperandRows(Warp &warp, const Slot *slots) : warp(warp), slots(slots) {}
  /// `count` registers from the next one on.
  T **operator()(int count) {
    T **first = rows + used;
    for (int i = 0; i < count; ++i)
      rows[used++] = warp.reg<T>(*slots++);
    return first;
  }

private:
  Warp &warp;
  const Slot *slots;
  T *rows[32];
  int used = 0;
};

void runSparse(Warp &warp, const Instruction &in, uint32_t mask) {
  if (!wholeWarp(warp, in, mask))
    return;
  const auto &sparse = *static_cast<const SparseMultiply *>(in.extra);
  OperandRows<uint32_t> next(warp, in.slots);
  const int countC = sparse.shape.registersOfC();
  uint32_t **d = next(countC), **a = next(sparse.registersOfA()),
           **b = next(sparse.shape.registersOfB()), **c = next(countC);
  if (!multiply(sparse, d, a, b, c, *next(1)))
    warp.report(in, mask, "sparse-metadata",
                "metadata of A names a place twice, or out of order: the result is not defined");
}

/// mma.sp: the shape and the types are known.
Handler decodeSparse(Decoder &d, SparseMultiply sparse) {
  if (!sparse.isSupported())
    return d.fail("this sparse shape of these types does not exist");
  expectCount(d, "D", d.writeVector(Type::B32), sparse.shape.registersOfC());
  expectCount(d, "A", d.readVector(Type::B32), sparse.registersOfA());
  expectCount(d, "B", d.readVector(Type::B32), sparse.shape.registersOfB());
  expectCount(d, "C", d.readVector(Type::B32), sparse.shape.registersOfC());
  d.read(Type::B32);
  const int64_t selector = d.integer();
  if (selector < 0 || selector > sparse.largestSelector())
    return d.fail(fmt::format("the sparsity selector is 0 to {}", sparse.largestSelector()));
  sparse.selector = int(selector);
  d.classify(Class::Tensor);
  d.instruction().extra = d.make(sparse);
  return runSparse;
}

/// The forms of MatrixForms.h.
template <typename Form> struct FormOperands {
  Form form;
  int d, a, b, c; ///< registers
};
template <typename Form> void runForm(Warp &warp, const Instruction &in, uint32_t mask) {
  if (!wholeWarp(warp, in, mask))
    return;
  const auto &operands = *static_cast<const FormOperands<Form> *>(in.extra);
  OperandRows<uint32_t> next(warp, in.slots);
  uint32_t **d = next(operands.d), **a = next(operands.a), **b = next(operands.b),
           **c = next(operands.c);
  multiply(operands.form, d, a, b, c);
}
template <typename Form> Handler formOf(Decoder &d, FormOperands<Form> operands) {
  expectCount(d, "D", d.writeVector(Type::B32), operands.d);
  expectCount(d, "A", d.readVector(Type::B32), operands.a);
  expectCount(d, "B", d.readVector(Type::B32), operands.b);
  expectCount(d, "C", d.readVector(Type::B32), operands.c);
  d.classify(Class::Tensor);
  d.instruction().extra = d.make(operands);
  return runForm<Form>;
}

/// mma….s32.b1.b1.s32.{xor, and}.popc
Handler decodeBits(Decoder &d, int m, int k) {
  BitMultiply form{m, k, d.flag("xor")};
  if (!form.isXor && !d.flag("and"))
    return d.fail(".xor.popc or .and.popc is missing");
  if (!d.flag("popc") || !form.isSupported())
    return d.fail("this shape of bits does not exist");
  return formOf<BitMultiply>(d, {form, form.registersOfC(), form.registersOfA(),
                                 form.registersOfB(), form.registersOfC()});
}

/// mma….m8n8k4.LAYOUT.LAYOUT.{f16, f32}.f16.f16.{f16, f32}
Handler decodeQuadPairs(Decoder &d) {
  QuadPairMultiply form;
  const std::string_view layouts[] = {d.nextModifier(), d.nextModifier()};
  for (const std::string_view layout : layouts)
    if (layout != "row" && layout != "col")
      return d.fail("a layout is .row or .col");
  form.rowMajorA = layouts[0] == "row";
  form.rowMajorB = layouts[1] == "row";
  const Type result = d.type(), a = d.type(), b = d.type(), addend = d.type();
  if (a != Type::F16 || b != Type::F16 || (result != Type::F16 && result != Type::F32) ||
      (addend != Type::F16 && addend != result))
    return d.fail("these types have no mma of this shape");
  form.result = *accumulatorType(result);
  form.addend = *accumulatorType(addend);
  return formOf<QuadPairMultiply>(d, {form, QuadPairMultiply::registersOf(form.result), 2, 2,
                                      QuadPairMultiply::registersOf(form.addend)});
}

Handler decodeMma(Decoder &d) {
  Mma mma;
  const bool ordered = d.flag("sp::ordered_metadata"), isSparse = ordered || d.flag("sp");
  if (!d.flag("sync"))
    return d.fail(".sync is missing");
  d.flag("aligned");
  mma.shape.saturate = d.flag("satfinite");
  if (!parseShape(d.nextModifier(), mma.shape.m, mma.shape.n, mma.shape.k))
    return d.fail("a shape as m16n8k16 is needed");
  const auto &types = d.text().modifiers;
  const bool ofHalves = std::find(types.begin(), types.end(), "f64") == types.end();
  if (mma.shape.m == 8 && mma.shape.k == 4 && ofHalves && !isSparse && !mma.shape.saturate)
    return decodeQuadPairs(d);
  if (!d.flag("row") || !d.flag("col"))
    return d.fail("only .row.col is emulated");
  const auto accumulator = accumulatorType(d.type());
  if (d.peekModifier() == "b1") {
    if (d.type() != d.type() || accumulator != Accumulator::S32 ||
        accumulatorType(d.type()) != Accumulator::S32 || isSparse || mma.shape.n != 8)
      return d.fail("bits are multiplied as .s32.b1.b1.s32");
    return decodeBits(d, mma.shape.m, mma.shape.k);
  }
  const auto a = matrixType(d.type()), b = matrixType(d.type());
  const auto addend = accumulatorType(d.type());
  if (!accumulator || !a || !b || accumulator != addend)
    return d.fail("these types have no mma");
  mma.shape.a = *a;
  mma.shape.b = *b;
  mma.shape.accumulator = *accumulator;
  if (isSparse)
    return decodeSparse(d, {mma.shape, ordered, 0});
  if (!mma.shape.isSupported())
    return d.fail("this shape of these types is not emulated");
  const Type type = *accumulator == Accumulator::F64 ? Type::B64 : Type::B32;
  expectCount(d, "D", d.writeVector(type), mma.shape.registersOfC());
  expectCount(d, "A", d.readVector(type), mma.shape.registersOfA());
  expectCount(d, "B", d.readVector(type), mma.shape.registersOfB());
  expectCount(d, "C", d.readVector(type), mma.shape.registersOfC());
  d.classify(Class::Tensor);
  d.instruction().extra = d.make(mma);
  return type == Type::B64 ? runMma<double> : runMma<uint32_t>;
}

// ldmatrix and stmatrix

struct MatrixRows {
  MemoryOperand address;
  int count = 1;
  bool transposed = false;
};

/// The 8 rows of each matrix, whose addresses the lanes 8 i to 8 i + 7 hold.
template <typename Visit>
bool forRows(Warp &warp, const Instruction &in, const MatrixRows &rows, Access::Kind kind,
             Visit visit) {
  for (int lane = 0; lane < 8 * rows.count; ++lane) {
    const Origin origin = Origin::of(warp, in, lane);
    uint32_t address;
    if (!rows.address.shared(origin, address))
      return false;
    Access access = accessOf(kind);
    access.collective = true;
    std::byte *row = sharedRange(origin, address, 16, 16, access);
    if (!row)
      return false;
    visit(lane, row);
  }
  return true;
}

void runLoadMatrix(Warp &warp, const Instruction &in, uint32_t mask) {
  if (!wholeWarp(warp, in, mask))
    return;
  const auto &rows = *static_cast<const MatrixRows *>(in.extra);
  uint8_t bytes[4 * 8 * 16];
  if (!forRows(warp, in, rows, Access::Kind::Read,
               [&](int lane, const std::byte *row) { std::memcpy(bytes + 16 * lane, row, 16); }))
    return;
  uint32_t *out[4];
  for (int i = 0; i < rows.count; ++i)
    out[i] = warp.reg<uint32_t>(in.slots[i]);
  loadMatrices(rows.count, rows.transposed, bytes, out);
}

void runStoreMatrix(Warp &warp, const Instruction &in, uint32_t mask) {
  if (!wholeWarp(warp, in, mask))
    return;
  const auto &rows = *static_cast<const MatrixRows *>(in.extra);
  const uint32_t *values[4];
  for (int i = 0; i < rows.count; ++i)
    values[i] = warp.reg<uint32_t>(in.slots[i]);
  uint8_t bytes[4 * 8 * 16];
  storeMatrices(rows.count, rows.transposed, values, bytes);
  forRows(warp, in, rows, Access::Kind::Write,
          [&](int lane, std::byte *row) { std::memcpy(row, bytes + 16 * lane, 16); });
}

Handler decodeMatrixRows(Decoder &d) {
  const bool stores = d.opcode() == "stmatrix";
  MatrixRows rows;
  if (!d.flag("sync"))
    return d.fail(".sync is missing");
  d.flag("aligned");
  if (!d.flag("m8n8"))
    return d.fail("only .m8n8 is emulated");
  const int count = d.oneOf({"x1", "x2", "x4"});
  if (count < 0)
    return d.fail(".x1, .x2 or .x4 is missing");
  rows.count = 1 << count;
  rows.transposed = d.flag("trans");
  Space space = Space::Generic;
  if (d.flag("shared") || d.flag("shared::cta"))
    space = Space::Shared;
  if (!d.flag("b16"))
    return d.fail("only .b16 is emulated");
  if (stores) {
    const ptx::Operand *address = d.takeOperand();
    expectCount(d, "the vector", d.readVector(Type::B32), rows.count);
    if (address)
      rows.address = MemoryOperand::decode(d, *address, space);
  } else {
    expectCount(d, "the vector", d.writeVector(Type::B32), rows.count);
    rows.address = MemoryOperand::decode(d, space);
  }
  d.classify(Class::Memory);
  d.instruction().extra = d.make(rows);
  return stores ? runStoreMatrix : runLoadMatrix;
}

// wgmma

struct Wgmma {
  WarpgroupMultiply shape;
  bool aInRegisters = false;
  int addsD = -1; ///< constant scale-d; -1: the last slot is a predicate
};

void runWgmma(Warp &warp, const Instruction &in, uint32_t mask) {
  if (!wholeWarp(warp, in, mask))
    return;
  const auto &wgmma = *static_cast<const Wgmma *>(in.extra);
  WarpgroupMultiply shape = wgmma.shape;
  WarpgroupOperation::Part part;
  part.origin = Origin::of(warp, in, 0);
  const Slot *slots = in.slots;
  for (int i = 0; i < shape.registersOfD(); ++i)
    part.d.push_back(warp.reg<uint32_t>(*slots++));
  const auto descriptor = [&] {
    const uint64_t *values = warp.reg<uint64_t>(*slots++);
    for (int lane = 1; lane < lanes; ++lane)
      if (values[lane] != values[0])
        warp.report(in, uint32_t(1) << lane, "divergence",
                    "the lanes of the warp give different matrix descriptors");
    return MatrixDescriptor::decode(values[0]);
  };
  if (wgmma.aInRegisters)
    for (uint32_t *&a : part.a)
      a = warp.reg<uint32_t>(*slots++);
  else
    part.descriptorA = descriptor();
  part.descriptorB = descriptor();
  if (shape.sparse)
    std::copy_n(warp.reg<uint32_t>(*slots++), lanes, part.metadata.begin());
  shape.addsD =
      wgmma.addsD >= 0 ? wgmma.addsD != 0 : ((warp.predicate(*slots) & 1) != 0) != in.negated;
  AsyncEngine::of(*warp.block).start(shape, std::move(part));
}

Handler decodeWgmmaProduct(Decoder &d) {
  Wgmma wgmma;
  wgmma.shape.sparse = d.flag("sp");
  if (!d.flag("sync") || !d.flag("aligned"))
    return d.fail(".sync.aligned is missing");
  wgmma.shape.saturate = d.flag("satfinite");
  int m = 0, k = 0;
  if (!parseShape(d.nextModifier(), m, wgmma.shape.n, k))
    return d.fail("a shape as m64n128k16 is needed");
  const auto accumulator = accumulatorType(d.type());
  const auto a = matrixType(d.type()), b = matrixType(d.type());
  if (!accumulator || !a || !b)
    return d.fail("these types have no wgmma");
  wgmma.shape.accumulator = *accumulator;
  wgmma.shape.a = *a;
  wgmma.shape.b = *b;
  const int width = bitWidth(*a);
  const bool integers = *a == MatrixType::S8 || *a == MatrixType::U8;
  if (width < 8 || width > 32 || m != 64 || k != wgmma.shape.k())
    return d.fail("this shape of these types has no wgmma");
  expectCount(d, "D", d.writeVector(Type::B32), wgmma.shape.registersOfD());
  const ptx::Operand *first = d.peekOperand();
  wgmma.aInRegisters = first && first->kind == ptx::Operand::Kind::Vector;
  if (wgmma.aInRegisters)
    expectCount(d, "A", d.readVector(Type::B32), 4);
  else
    d.read(Type::B64);
  d.read(Type::B64);
  if (wgmma.shape.sparse) {
    d.read(Type::B32);
    wgmma.shape.selector = static_cast<int>(std::clamp<int64_t>(d.integer(), -1, 4));
  }
  if (const ptx::Operand *scale = d.peekOperand();
      scale && scale->kind == ptx::Operand::Kind::Immediate)
    wgmma.addsD = d.integer() != 0;
  else
    d.readPredicate();
  if (!integers) {
    const auto negates = [&] {
      const int64_t value = d.integer();
      if (value != 1 && value != -1)
        d.fail("a scale is 1 or -1");
      return value == -1;
    };
    wgmma.shape.negateA = negates();
    wgmma.shape.negateB = negates();
  }
  if (width == 16) {
    const auto transposes = [&] {
      const int64_t value = d.integer();
      if (value != 0 && value != 1)
        d.fail("a transposition is 0 or 1");
      return value == 1;
    };
    if (!wgmma.aInRegisters)
      wgmma.shape.transposeA = transposes();
    wgmma.shape.transposeB = transposes();
  }
  if (!wgmma.shape.isSupported())
    return d.fail("this shape of these types has no wgmma");
  d.classify(Class::Tensor);
  d.instruction().extra = d.make(wgmma);
  return runWgmma;
}

void runWgmmaFence(Warp &warp, const Instruction &in, uint32_t mask) {
  if (wholeWarp(warp, in, mask) && warp.observer)
    warp.observer->registerFence(warp);
}

void runWgmmaCommit(Warp &warp, const Instruction &in, uint32_t mask) {
  if (wholeWarp(warp, in, mask))
    AsyncEngine::of(*warp.block).commitProducts(warp);
}

void runWgmmaWait(Warp &warp, const Instruction &in, uint32_t mask) {
  if (!wholeWarp(warp, in, mask))
    return;
  AsyncEngine &engine = AsyncEngine::of(*warp.block);
  if (!engine.waitProducts(warp, static_cast<uint32_t>(in.immediate)))
    warp.wait(in, mask, Fragment::Wait::Other, AsyncEngine::waitingId(warp));
}

Handler decodeWgmma(Decoder &d) {
  if (!d.needsSpecificTarget({90}, false))
    return nullptr;
  const int what = d.oneOf({"mma_async", "fence", "commit_group", "wait_group"});
  if (what < 0)
    return d.fail("unknown kind of wgmma");
  if (what == 0)
    return decodeWgmmaProduct(d);
  if (!d.flag("sync") || !d.flag("aligned"))
    return d.fail(".sync.aligned is missing");
  d.classify(Class::Async);
  if (what == 3)
    d.instruction().immediate = d.integer();
  return what == 1 ? runWgmmaFence : what == 2 ? runWgmmaCommit : runWgmmaWait;
}

constexpr InstructionRow rows[] = {
    {"mma", decodeMma},
    {"ldmatrix", decodeMatrixRows},
    {"stmatrix", decodeMatrixRows},
    {"wgmma", decodeWgmma},
};

} // namespace

Family matrixFamily() { return rows; }

} // namespace ingot::emulator
