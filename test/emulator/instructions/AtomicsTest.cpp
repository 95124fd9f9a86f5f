/// atom and red on a cell of their own for each thread: what they return and what they leave. Many
/// threads on one cell are in AtomicKernelsTest.cpp.
#include "test/emulator/instructions/FloatReference.h"
#include "test/emulator/instructions/InstructionTables.h"
#include "test/emulator/instructions/IntegerKind.h"
#include <algorithm>

namespace ingot::emulator::test {
namespace {

using Operation = std::function<uint64_t(uint64_t old, uint64_t b, uint64_t c)>;

struct AtomicKind {
  std::string op, type;
  int bits;
  Operation next; ///< the new value of the cell
  std::optional<FloatType> format = {};
  bool isSwap = false; ///< cas: a second operand
  bool canReduce = true;
};

std::vector<AtomicKind> kinds() {
  std::vector<AtomicKind> all;
  for (const IntegerKind &kind : integerKinds) {
    if (kind.bits == 16)
      continue;
    if (kind.name != "s64")
      all.push_back(
          {"add", kind.name, kind.bits, [](uint64_t a, uint64_t b, uint64_t) { return a + b; }});
    for (bool largest : {false, true})
      all.push_back(
          {largest ? "max" : "min", kind.name, kind.bits, [=](uint64_t a, uint64_t b, uint64_t) {
             return (kind.value(a) < kind.value(b)) == largest ? b : a;
           }});
  }
  const IntegerKind u32{"u32", 32, false};
  all.push_back({"inc", "u32", 32, [=](uint64_t a, uint64_t b, uint64_t) {
                   return u32.value(a) >= u32.value(b) ? 0 : a + 1;
                 }});
  all.push_back({"dec", "u32", 32, [=](uint64_t a, uint64_t b, uint64_t) {
                   return u32.value(a) == 0 || u32.value(a) > u32.value(b) ? b : a - 1;
                 }});
  for (int bits : {32, 64}) {
    const std::string type = fmt::format("b{}", bits);
    all.push_back({"and", type, bits, [](uint64_t a, uint64_t b, uint64_t) { return a & b; }});
    all.push_back({"or", type, bits, [](uint64_t a, uint64_t b, uint64_t) { return a | b; }});
    all.push_back({"xor", type, bits, [](uint64_t a, uint64_t b, uint64_t) { return a ^ b; }});
    all.push_back(
        {"exch", type, bits, [](uint64_t, uint64_t b, uint64_t) { return b; }, {}, false, false});
  }
  for (int bits : {16, 32, 64}) {
    const uint64_t mask = bits == 64 ? ~uint64_t(0) : (uint64_t(1) << bits) - 1;
    all.push_back(
        {"cas",
         fmt::format("b{}", bits),
         bits,
         [=](uint64_t a, uint64_t b, uint64_t c) { return (a & mask) == (b & mask) ? c : a; },
         {},
         true,
         false});
  }
  for (const auto &[name, format, bits] :
       {std::tuple<std::string, FloatType, int>{"f16", FloatType::F16, 16},
        {"f16x2", FloatType::F16, 32},
        {"bf16", FloatType::BF16, 16},
        {"bf16x2", FloatType::BF16, 32},
        {"f32", FloatType::F32, 32},
        {"f64", FloatType::F64, 64}})
    all.push_back({bitWidth(format) == 16 ? "add.noftz" : "add", name, bits,
                   elementwise(bitWidth(format), bits,
                               [f = format](uint64_t a, uint64_t b, uint64_t) {
                                 return reference(HostOp::Add, f, {}, a, b, 0);
                               }),
                   format});
  return all;
}

void addScalars(std::vector<InstructionCase> &cases) {
  for (const AtomicKind &kind : kinds())
    for (const std::string_view space : {".global", ".shared", ""})
      for (bool isGlobal : {true, false}) {
        if (!space.empty() && isGlobal != (space == ".global"))
          continue;
        // A shared variable's generic address is that of the window.
        const std::string at = isGlobal ? "[ra]" : space.empty() ? "[rs]" : "[sa]";
        Operation next = kind.next;
        // Subnormals are zeros for atom.add.f32 in global memory.
        if (kind.type == "f32" && isGlobal)
          next = [](uint64_t a, uint64_t b, uint64_t) {
            return reference(HostOp::Add, FloatType::F32, {.flush = true}, a, b, 0);
          };
        const std::string operands =
            fmt::format("b{}{}", kind.bits, kind.isSwap ? fmt::format(", c{}", kind.bits) : "");
        const std::string read =
            fmt::format(";\n @k ld{}.b{} d{}, {}", space, kind.bits, kind.bits, at);
        const auto push = [&](std::string text, Operation expected) {
          InstructionCase test{std::move(text), std::move(expected)};
          test.formats = {kind.format, kind.format, {}};
          if (kind.format == FloatType::F64)
            test.accepts = [e = test.expected](uint64_t a, uint64_t b, uint64_t c, uint64_t got) {
              return got == e(a, b, c) ||
                     (isNan(FloatType::F64, got) && isNan(FloatType::F64, e(a, b, c)));
            };
          cases.push_back(std::move(test));
        };
        const std::string atom = fmt::format("atom{}.{}.{} d{}, {}, {}", space, kind.op, kind.type,
                                             kind.bits, at, operands);
        push(atom, [](uint64_t a, uint64_t, uint64_t) { return a; });
        if (kind.isSwap) { // half of them find what they look for
          cases.back().text.replace(cases.back().text.find(", b"), 2, ", a");
          cases.back().text = atom;
          push(fmt::format("atom{}.{}.{} d{}, {}, a{}, c{}{}", space, kind.op, kind.type, kind.bits,
                           at, kind.bits, kind.bits, read),
               [](uint64_t, uint64_t, uint64_t c) { return c; });
        }
        push(atom + read, next);
        if (kind.canReduce)
          push(fmt::format("red{}.{}.{} {}, {}{}", space, kind.op, kind.type, at, operands, read),
               next);
      }
}

/// Vectors of halves and f32 in global memory: [rw] holds a and b, to which b and a are added.
void addVectors(std::vector<InstructionCase> &cases) {
  for (const auto &[name, format, elements] :
       {std::tuple<std::string, FloatType, int>{"f32", FloatType::F32, 1},
        {"f16", FloatType::F16, 1},
        {"bf16", FloatType::BF16, 1},
        {"f16x2", FloatType::F16, 2},
        {"bf16x2", FloatType::BF16, 2}})
    for (int count : {2, 4, 8})
      for (const std::string_view op : {"add", "min", "max"}) {
        const bool single = format == FloatType::F32;
        const int bits = elements * bitWidth(format);
        if (count * bits > 128 || (single && op != "add"))
          continue;
        // The operands: parts of b, then of a, taken apart.
        std::string parts, to, split;
        for (int i = 0; i < count; ++i) {
          parts += fmt::format("{}v{}_{}", i ? ", " : "", bits, i);
          to += fmt::format("{}o{}_{}", i ? ", " : "", bits, i);
        }
        const int perWord = 64 / bits;
        for (int word = 0; word < std::max(1, count / perWord); ++word) {
          std::string group;
          for (int i = 0; i < perWord; ++i)
            group += fmt::format("{}v{}_{}", i ? ", " : "", bits, word * perWord + i);
          split += fmt::format("mov.b64 {{{}}}, {}64;\n @k ", group, word ? "a" : "b");
        }
        // Fewer than 64 bits: the rest of the word is left over.
        const auto expected = [=, format = format](bool upper, bool after) {
          return [=](uint64_t a, uint64_t b, uint64_t) {
            const uint64_t old = upper ? b : a, value = upper ? a : b;
            const int width = bitWidth(format), changed = std::min(64, count * bits - 64 * upper);
            uint64_t result = 0;
            for (int at = 0; at < 64; at += width) {
              const uint64_t x = old >> at & ((uint64_t(1) << width) - 1);
              const uint64_t y = value >> at & ((uint64_t(1) << width) - 1);
              uint64_t next = x;
              if (after && at < changed)
                next = op == "add"
                           ? reference(HostOp::Add, format, {.flush = single}, x, y, 0)
                           : referenceExtremum(format, op == "max", false, false, false, x, y);
              result |= next << at;
            }
            return result;
          };
        };
        for (bool upper : {false, true}) {
          if (upper && count * bits <= 64)
            continue;
          for (const std::string_view instruction : {"red", "atom.global", "red.global", "atom"}) {
            const bool isReduction = instruction.starts_with("red");
            InstructionCase test{
                fmt::format("{}{}.{}{}.v{}.{} {}[rw], {{{}}};\n @k ld.global.b64 d64, [rw{}]",
                            split, instruction, op, single ? "" : ".noftz", count, name,
                            isReduction ? "" : "{" + to + "}, ", parts, upper ? "+8" : ""),
                expected(upper, true)};
            test.formats = {format, format, {}};
            cases.push_back(std::move(test));
          }
        }
      }
}

} // namespace

std::vector<InstructionCase> atomicCases() {
  std::vector<InstructionCase> cases;
  addScalars(cases);
  addVectors(cases);
  return cases;
}

TEST(Atomics, instructions) { checkInstructions(atomicCases()); }

} // namespace ingot::emulator::test
