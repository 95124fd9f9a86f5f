/// Video instructions against a reader of their own text: it takes the statement apart, cuts the
/// operands into fields and computes with whole numbers.
#include "test/emulator/instructions/InstructionTables.h"
#include "test/emulator/instructions/IntegerKind.h"
#include <algorithm>
#include <map>

namespace ingot::emulator::test {
namespace {

/// "vadd.u32.s32.u32.sat d32.b1, a32.h0, -b32, c32" in pieces.
struct VideoText {
  struct Operand {
    char name = 0; ///< 'a', 'b', 'c'; 'd' for the result
    bool minus = false;
    std::string part; ///< "h0"
  };
  std::string opcode;
  std::vector<std::string> modifiers;
  std::vector<Operand> operands;

  explicit VideoText(const std::string &text) {
    const size_t space = text.find(' ');
    for (size_t at = 0; at < space;) {
      const size_t dot = std::min(text.find('.', at), space);
      (opcode.empty() ? opcode : modifiers.emplace_back()) = text.substr(at, dot - at);
      at = dot + 1;
    }
    for (size_t at = space; at < text.size(); ++at) {
      if (text[at] == ' ' || text[at] == ',')
        continue;
      const size_t end = std::min(text.find(',', at), text.size());
      Operand operand;
      operand.minus = text[at] == '-';
      operand.name = text[at + operand.minus];
      if (const size_t dot = text.find('.', at); dot < end)
        operand.part = text.substr(dot + 1, end - dot - 1);
      operands.push_back(operand);
      at = end;
    }
  }
  bool has(std::string_view modifier) const {
    return std::ranges::find(modifiers, modifier) != modifiers.end();
  }
  /// Of the i-th type: result, a, b; vset has none for its result.
  bool isSigned(int i) const {
    std::vector<bool> kinds;
    for (const std::string &modifier : modifiers)
      if (modifier == "u32" || modifier == "s32")
        kinds.push_back(modifier == "s32");
    if (kinds.size() == 2)
      kinds.insert(kinds.begin(), false);
    return kinds[i];
  }
};

Wide fieldOf(Wide word, int bits, int index, bool isSigned) {
  const Wide span = Wide(1) << bits;
  const Wide field = word / (Wide(1) << bits * index) % span;
  return isSigned && field * 2 >= span ? field - span : field;
}

Wide limited(Wide value, int bits, bool isSigned) {
  const IntegerKind kind{"", bits, isSigned};
  return std::clamp(value, kind.smallest(), kind.largest());
}

Wide floorDivide(Wide a, Wide b) { return a / b - (a % b < 0); }
Wide power(int exponent) { return Wide(1) << exponent; }

Wide resultOf(const VideoText &text, const std::string &operation, Wide a, Wide b) {
  if (operation == "vadd")
    return a + b;
  if (operation == "vsub")
    return a - b;
  if (operation == "vabsdiff")
    return std::max(a, b) - std::min(a, b);
  if (operation == "vmin")
    return std::min(a, b);
  if (operation == "vmax")
    return std::max(a, b);
  if (operation == "vavrg") {
    // To the nearest; halves are rounded away from zero.
    const Wide sum = a + b, half = floorDivide(sum, 2);
    return sum - 2 * half == 0 ? half : sum > 0 ? half + 1 : half;
  }
  if (operation == "vshl" || operation == "vshr") {
    const int amount = text.has("wrap") ? int(b % 32) : int(std::min<Wide>(b, 32));
    return operation == "vshl" ? a * power(amount) : floorDivide(a, power(amount));
  }
  return text.has("eq")   ? a == b
         : text.has("ne") ? a != b
         : text.has("lt") ? a < b
         : text.has("le") ? a <= b
         : text.has("gt") ? a > b
                          : a >= b;
}

/// Bits [bits * index, bits * (index + 1)) of a word become those of the value.
Wide merged(Wide word, int bits, int index, Wide value) {
  const Wide scale = power(bits * index);
  const Wide span = power(bits), kept = ((value % span) + span) % span;
  return word + (kept - fieldOf(word, bits, index, false)) * scale;
}

uint64_t scalarReference(const VideoText &text, uint64_t x, uint64_t y, uint64_t z) {
  const Wide words[] = {uint32_t(x), uint32_t(y), uint32_t(z)};
  const auto valueOf = [&](int operand, bool isSigned) {
    const std::string &part = text.operands[operand].part;
    const int bits = part.empty() ? 32 : part[0] == 'b' ? 8 : 16;
    return fieldOf(words[text.operands[operand].name - 'a'], bits, part.empty() ? 0 : part[1] - '0',
                   isSigned);
  };
  const Wide a = valueOf(1, text.isSigned(1)), b = valueOf(2, text.isSigned(2));
  if (text.opcode == "vmad") {
    const bool minus = text.operands[1].minus != text.operands[2].minus;
    const bool isSigned = text.isSigned(1) || text.isSigned(2) || minus || text.operands[3].minus;
    Wide sum = minus ? -(a * b) : a * b;
    sum += text.operands[3].minus ? -fieldOf(words[2], 32, 0, true)
                                  : fieldOf(words[2], 32, 0, isSigned);
    sum += text.has("po");
    sum = floorDivide(sum, power(text.has("shr7") ? 7 : text.has("shr15") ? 15 : 0));
    return uint64_t(text.has("sat") ? limited(sum, 32, isSigned) : sum);
  }
  Wide value = resultOf(text, text.opcode, a, b);
  const std::string &part = text.operands[0].part;
  const int bits = part.empty() ? 32 : part[0] == 'b' ? 8 : 16;
  if (text.has("sat"))
    value = limited(value, bits, text.isSigned(0));
  const Wide third = fieldOf(words[2], 32, 0, text.isSigned(0));
  if (text.has("add"))
    value += third;
  if (text.has("min"))
    value = std::min(value, third);
  if (text.has("max"))
    value = std::max(value, third);
  return uint64_t(part.empty() ? value : merged(words[2], bits, part[1] - '0', value));
}

uint64_t packedReference(const VideoText &text, uint64_t x, uint64_t y, uint64_t z) {
  const int count = text.opcode.back() - '0', bits = 32 / count;
  const Wide both = Wide(uint32_t(x)) + power(32) * uint32_t(y);
  const std::string operation = text.opcode.substr(0, text.opcode.size() - 1);
  const auto chosen = [&](int operand, int element) {
    std::string part = text.operands[operand].part;
    if (part.empty())
      part = count == 4 ? operand == 1 ? "b3210" : "b7654" : operand == 1 ? "h10" : "h32";
    std::reverse(part.begin() + 1, part.end());
    return fieldOf(both, bits, part[1 + element] - '0', text.isSigned(operand));
  };
  std::string written = text.operands[0].part;
  if (written.empty())
    written = count == 4 ? "b3210" : "h10";
  Wide out = uint32_t(z);
  for (int i = 0; i < count; ++i) {
    if (written.find(char('0' + i)) == written.npos)
      continue;
    Wide value = resultOf(text, operation, chosen(1, i), chosen(2, i));
    if (text.has("sat"))
      value = limited(value, bits, text.isSigned(0));
    out = text.has("add") ? out + value : merged(out, bits, i, value);
  }
  return uint64_t(out);
}

void add(std::vector<InstructionCase> &cases, std::string text) {
  const VideoText parsed(text);
  const bool packed = parsed.opcode.back() == '2' || parsed.opcode.back() == '4';
  cases.push_back({std::move(text), [=](uint64_t a, uint64_t b, uint64_t c) {
                     return packed ? packedReference(parsed, a, b, c)
                                   : scalarReference(parsed, a, b, c);
                   }});
}

const std::string kinds[] = {"u32", "s32"};
const std::string relations[] = {"eq", "ne", "lt", "le", "gt", "ge"};

} // namespace

std::vector<InstructionCase> videoCases() {
  std::vector<InstructionCase> cases;
  // Parts change from case to case; every kind of them comes with every opcode.
  const std::string parts[] = {"", ".b0", ".h1", ".b3", ".b1", ".h0", ".b2"};
  size_t next = 0;
  const auto part = [&] { return parts[next++ % std::size(parts)]; };
  const auto addScalar = [&](const std::string &head, bool canSaturate) {
    for (const std::string &saturate : {std::string(), std::string(".sat")}) {
      if (!saturate.empty() && !canSaturate)
        continue;
      for (const std::string &second : {"", ".add", ".min", ".max"})
        add(cases, fmt::format("{}{}{} d32, a32{}, b32{}{}", head, saturate, second, part(), part(),
                               second.empty() ? "" : ", c32"));
      for (int i = 0; i < 2; ++i)
        add(cases, fmt::format("{}{} d32{}, a32{}, b32{}, c32", head, saturate, parts[1 + next % 6],
                               part(), part()));
    }
  };
  const auto addPacked = [&](const std::string &head, bool four, bool canSaturate) {
    const std::string masks[] = {"", four ? ".b20" : ".h0", four ? ".b3210" : ".h10",
                                 four ? ".b1" : ".h1"};
    const std::string choices[] = {"", four ? ".b7310" : ".h30", four ? ".b0246" : ".h21"};
    for (const std::string &how : {"", ".sat", ".add"}) {
      if (how == ".sat" && !canSaturate)
        continue;
      for (int i = 0; i < 2; ++i) {
        const std::string &first = choices[next++ % 3], &second = choices[next++ % 3];
        add(cases, fmt::format("{}{} d32{}, a32{}, b32{}, c32", head, how, masks[next++ % 4], first,
                               second));
      }
    }
  };
  for (const std::string &a : kinds)
    for (const std::string &b : kinds) {
      for (const std::string &d : kinds) {
        const std::string types = fmt::format("{}.{}.{}", d, a, b);
        for (const char *opcode : {"vadd", "vsub", "vabsdiff", "vmin", "vmax"})
          addScalar(fmt::format("{}.{}", opcode, types), true);
        for (const char *opcode : {"vadd", "vsub", "vabsdiff", "vmin", "vmax", "vavrg"})
          for (const bool four : {false, true})
            addPacked(fmt::format("{}{}.{}", opcode, four ? 4 : 2, types), four, true);
        if (b == "u32")
          for (const char *opcode : {"vshl", "vshr"})
            for (const char *mode : {"clamp", "wrap"})
              addScalar(fmt::format("{}.{}.{}", opcode, types, mode), true);
        for (const char *how : {"", ".po"})
          for (const char *saturate : {"", ".sat"})
            for (const char *scale : {"", ".shr7", ".shr15"}) {
              const std::string head = fmt::format("vmad.{}{}{}{}", types, how, saturate, scale);
              add(cases, fmt::format("{} d32, a32{}, b32{}, c32", head, part(), part()));
              if (*how)
                continue;
              add(cases, fmt::format("{} d32, -a32{}, b32{}, c32", head, part(), part()));
              add(cases, fmt::format("{} d32, a32{}, -b32{}, c32", head, part(), part()));
              add(cases, fmt::format("{} d32, -a32{}, -b32{}, c32", head, part(), part()));
              add(cases, fmt::format("{} d32, a32{}, b32{}, -c32", head, part(), part()));
            }
      }
      for (const std::string &relation : relations) {
        addScalar(fmt::format("vset.{}.{}.{}", a, b, relation), false);
        for (const bool four : {false, true})
          addPacked(fmt::format("vset{}.{}.{}.{}", four ? 4 : 2, a, b, relation), four, false);
      }
    }
  return cases;
}

TEST(Video, instructions) { checkInstructions(videoCases()); }

// What the assembler refuses, too.
TEST(Video, refusals) {
  for (const char *text : {
           "vadd.u32.u32.u32.sat.add d32.h1, a32.b0, b32.h1, c32",
           "vadd.u32.u32.u32 d32.b0, a32, b32",
           "vadd.b32.u32.u32 d32, a32, b32",
           "vadd.u32.u32.u32 d32, -a32, b32",
           "vset.u32.u32.u32.lt d32, a32, b32",
           "vset.u32.u32.lt.sat d32, a32, b32",
           "vshl.u32.u32.s32.clamp d32, a32, b32",
           "vshl.u32.u32.u32 d32, a32, b32",
           "vmad.s32.u32.u32 d32, -a32, b32, -c32",
           "vmad.s32.u32.u32.po d32, -a32, b32, c32",
           "vmad.s32.u32.u32 d32.h0, a32, b32, c32",
           "vadd2.u32.u32.u32 d32, a32, b32",
           "vadd2.u32.u32.u32.sat.add d32, a32, b32, c32",
           "vadd2.u32.u32.u32 d32.h01, a32, b32, c32",
           "vadd4.u32.s32.u32 d32.b02, a32, b32, c32",
           "vadd4.u32.s32.u32.min d32, a32, b32, c32",
           "vadd4.u32.s32.u32 d32, a32.h10, b32, c32",
           "vabsdiff4.u32.u32.u32.add d32, a32, b32, 0",
           "vmin4.u32.u32.u32.sat d32, a32, 7, c32",
           "vset4.u32.u32.lt.sat d32, a32, b32, c32",
           "add.u32 d32, a32.b0, b32",
           "add.u32 d32, -a32, b32",
           "add.u32 d32, !a32, b32",
       })
    EXPECT_FALSE(decodes(text)) << text;
  EXPECT_TRUE(decodes("vadd.u32.u32.u32 d32, 5, b32.b1"));
}

} // namespace ingot::emulator::test
