/// setp, set, selp and slct: relations of integers in 128 bits, of floats by the order of their
/// encodings.
#include "test/emulator/instructions/FloatReference.h"
#include "test/emulator/instructions/InstructionTables.h"
#include "test/emulator/instructions/IntegerKind.h"

namespace ingot::emulator::test {
namespace {

/// What is known of two operands.
struct Order {
  bool unordered = false;
  int sign = 0; ///< of a - b
};

struct Relation {
  std::string_view name;
  bool less, equal, greater, unordered;
  bool holds(Order order) const {
    return order.unordered ? unordered : order.sign < 0 ? less : order.sign ? greater : equal;
  }
};
constexpr Relation integerRelations[] = {
    {"eq", false, true, false, false}, {"ne", true, false, true, false},
    {"lt", true, false, false, false}, {"le", true, true, false, false},
    {"gt", false, false, true, false}, {"ge", false, true, true, false}};
constexpr Relation unsignedRelations[] = {{"lo", true, false, false, false},
                                          {"ls", true, true, false, false},
                                          {"hi", false, false, true, false},
                                          {"hs", false, true, true, false}};
constexpr Relation floatRelations[] = {
    {"eq", false, true, false, false}, {"ne", true, false, true, false},
    {"lt", true, false, false, false}, {"le", true, true, false, false},
    {"gt", false, false, true, false}, {"ge", false, true, true, false},
    {"equ", false, true, false, true}, {"neu", true, false, true, true},
    {"ltu", true, false, false, true}, {"leu", true, true, false, true},
    {"gtu", false, false, true, true}, {"geu", false, true, true, true},
    {"num", true, true, true, false},  {"nan", false, false, false, true}};

struct Comparison {
  std::string relation, ftz, type;
  int bits; ///< of the registers
  std::optional<FloatType> format;
  std::function<bool(uint64_t, uint64_t)> holds; ///< of one element
  int elements = 1;
};

Order order(FloatType type, bool ftz, uint64_t a, uint64_t b) {
  a = flushedIf(ftz, type, a & kindMask(type));
  b = flushedIf(ftz, type, b & kindMask(type));
  if (isNan(type, a) || isNan(type, b))
    return {true};
  const auto rank = [&](uint64_t bits) {
    const auto magnitude = __int128(bits & ~signOf(type));
    return bits & signOf(type) ? -magnitude : magnitude;
  };
  return {false, rank(a) < rank(b) ? -1 : rank(a) > rank(b)};
}

std::vector<Comparison> comparisons() {
  std::vector<Comparison> all;
  for (const IntegerKind &kind : integerKinds) {
    const auto push = [&](const Relation &relation, std::string type, IntegerKind as) {
      all.push_back(
          {std::string(relation.name), "", type, as.bits, {}, [=](uint64_t a, uint64_t b) {
             const Wide x = as.value(a), y = as.value(b);
             return relation.holds({false, x < y ? -1 : x > y});
           }});
    };
    for (const Relation &relation : integerRelations)
      push(relation, kind.name, kind);
    if (kind.isSigned)
      continue;
    for (const Relation &relation : unsignedRelations)
      push(relation, kind.name, kind);
    for (const Relation &relation : {integerRelations[0], integerRelations[1]})
      push(relation, fmt::format("b{}", kind.bits), kind);
  }
  for (const auto &[name, format, elements] :
       {std::tuple<std::string, FloatType, int>{"f32", FloatType::F32, 1},
        {"f64", FloatType::F64, 1},
        {"f16", FloatType::F16, 1},
        {"bf16", FloatType::BF16, 1},
        {"f16x2", FloatType::F16, 2},
        {"bf16x2", FloatType::BF16, 2}})
    for (bool ftz : {false, true}) {
      if (ftz && (format == FloatType::F64 || format == FloatType::BF16))
        continue;
      for (const Relation &relation : floatRelations)
        all.push_back({std::string(relation.name), ftz ? ".ftz" : "", name,
                       elements * bitWidth(format), format,
                       [=, format = format](uint64_t a, uint64_t b) {
                         return relation.holds(order(format, ftz, a, b));
                       },
                       elements});
    }
  return all;
}

struct Combination {
  std::string_view name; ///< ".and"
  bool (*combine)(bool, bool);
};
constexpr Combination combinations[] = {{"", [](bool a, bool) { return a; }},
                                        {".and", [](bool a, bool b) { return a && b; }},
                                        {".or", [](bool a, bool b) { return a || b; }},
                                        {".xor", [](bool a, bool b) { return a != b; }}};

bool isNegative(uint64_t c) { return c >> 31 & 1; } // the predicate q

/// p, or p|r and r|p, which look at the other result: the opposite, or of the upper elements.
void addSetp(std::vector<InstructionCase> &cases, const Comparison &c, const Combination &with,
             bool negated, std::string_view to, bool second) {
  InstructionCase test{fmt::format("setp.{}{}{}.{} {}, a{}, b{}{}", c.relation, with.name, c.ftz,
                                   c.type, to, c.bits, c.bits,
                                   with.name.empty() ? ""
                                   : negated         ? ", !q"
                                                     : ", q"),
                       [=](uint64_t a, uint64_t b, uint64_t q) {
                         const int shift = second && c.elements == 2 ? 16 : 0;
                         const bool result =
                             c.holds(a >> shift, b >> shift) != (second && c.elements == 1);
                         return uint64_t(with.combine(result, isNegative(q) != negated));
                       }};
  test.formats = {c.format, c.format, {}};
  cases.push_back(std::move(test));
}

struct Result {
  std::string_view type;
  int bits;
  uint64_t truth;
};
constexpr Result results[] = {
    {"u32", 32, 0xffffffff}, {"s32", 32, 0xffffffff}, {"f32", 32, 0x3f800000}, {"u16", 16, 0xffff},
    {"s16", 16, 0xffff},     {"f16", 16, 0x3c00},     {"bf16", 16, 0x3f80}};
constexpr Result packedResults[] = {
    {"f16x2", 32, 0x3c00}, {"bf16x2", 32, 0x3f80}, {"u32", 32, 0xffff}, {"s32", 32, 0xffff}};
/// 16-bit integers come of halves alone, f32 of all others, packed halves of their own kind.
bool isResultOf(const Result &result, const Comparison &c) {
  if (result.type.ends_with("32") && result.type != "f32")
    return true;
  if (c.elements == 2)
    return result.type == c.type;
  const bool half = c.format && bitWidth(*c.format) == 16;
  return result.type == "f16" || result.type == "bf16" || half == (result.type != "f32");
}

void addSet(std::vector<InstructionCase> &cases, const Comparison &c, const Combination &with,
            const Result &result, bool negated) {
  InstructionCase test{
      fmt::format("set.{}{}{}.{}.{} d{}, a{}, b{}{}", c.relation, with.name, c.ftz, result.type,
                  c.type, result.bits, c.bits, c.bits,
                  with.name.empty() ? ""
                  : negated         ? ", !q"
                                    : ", q"),
      [=](uint64_t a, uint64_t b, uint64_t q) {
        uint64_t value = 0;
        for (int i = 0; i < c.elements; ++i)
          if (with.combine(c.holds(a >> 16 * i, b >> 16 * i), isNegative(q) != negated))
            value |= result.truth << 16 * i;
        return value;
      }};
  test.formats = {c.format, c.format, {}};
  cases.push_back(std::move(test));
}

} // namespace

std::vector<InstructionCase> compareCases() {
  std::vector<InstructionCase> cases;
  for (const Comparison &c : comparisons())
    for (const Combination &with : combinations) {
      if (c.elements == 1)
        addSetp(cases, c, with, false, "p", false);
      // A negated predicate and the second result where the relation is a common one.
      if (c.elements == 2 || c.relation == "lt" || c.relation == "eq") {
        addSetp(cases, c, with, true, "p|r", false);
        addSetp(cases, c, with, false, "r|p", true);
      }
      // Every kind of result and combination with some relations, the others as u32.
      const bool often = c.relation == "lt" || c.relation == "ltu" || c.relation == "lo";
      for (const Result &result :
           c.elements == 2 ? std::span<const Result>(packedResults) : std::span(results))
        if (isResultOf(result, c) && (often || (with.name.empty() && result.type == "u32")))
          for (const bool negated : {false, true})
            if (!negated || !with.name.empty())
              addSet(cases, c, with, result, negated);
    }
  for (std::string_view type :
       {"b16", "b32", "b64", "u16", "u32", "u64", "s16", "s32", "s64", "f32", "f64"}) {
    const std::string bits(type.substr(1));
    cases.push_back({fmt::format("selp.{0} d{1}, a{1}, b{1}, q", type, bits),
                     [](uint64_t a, uint64_t b, uint64_t c) { return isNegative(c) ? a : b; }});
    cases.push_back({fmt::format("selp.{0} d{1}, a{1}, b{1}, !q", type, bits),
                     [](uint64_t a, uint64_t b, uint64_t c) { return isNegative(c) ? b : a; }});
    cases.push_back({fmt::format("slct.{0}.s32 d{1}, a{1}, b{1}, c32", type, bits),
                     [](uint64_t a, uint64_t b, uint64_t c) { return isNegative(c) ? b : a; }});
    for (bool ftz : {false, true}) {
      // A NaN selects b, -0 and what is flushed to it a.
      cases.push_back(
          {fmt::format("slct{2}.{0}.f32 d{1}, a{1}, b{1}, c32", type, bits, ftz ? ".ftz" : ""),
           [=](uint64_t a, uint64_t b, uint64_t c) {
             const Order against = order(FloatType::F32, ftz, c, 0);
             return !against.unordered && against.sign >= 0 ? a : b;
           }});
      cases.back().formats[2] = FloatType::F32;
    }
  }
  return cases;
}

TEST(Compare, instructions) { checkInstructions(compareCases()); }

} // namespace ingot::emulator::test
