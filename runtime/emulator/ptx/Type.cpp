#include "runtime/emulator/ptx/Type.h"
#include <array>

namespace ingot::emulator {
namespace {

enum class Class : uint8_t { Other, Bits, Unsigned, Signed, Float };
struct Row {
  Type type;
  std::string_view name;
  int bits;
  Class kind;
};

// In the order of the enumeration.
constexpr Row rows[] = {
    {Type::None, "?", 0, Class::Other},         {Type::B8, "b8", 8, Class::Bits},
    {Type::B16, "b16", 16, Class::Bits},        {Type::B32, "b32", 32, Class::Bits},
    {Type::B64, "b64", 64, Class::Bits},        {Type::B128, "b128", 128, Class::Bits},
    {Type::U8, "u8", 8, Class::Unsigned},       {Type::U16, "u16", 16, Class::Unsigned},
    {Type::U32, "u32", 32, Class::Unsigned},    {Type::U64, "u64", 64, Class::Unsigned},
    {Type::S8, "s8", 8, Class::Signed},         {Type::S16, "s16", 16, Class::Signed},
    {Type::S32, "s32", 32, Class::Signed},      {Type::S64, "s64", 64, Class::Signed},
    {Type::F16, "f16", 16, Class::Float},       {Type::F16x2, "f16x2", 32, Class::Float},
    {Type::BF16, "bf16", 16, Class::Float},     {Type::BF16x2, "bf16x2", 32, Class::Float},
    {Type::TF32, "tf32", 32, Class::Float},     {Type::F32, "f32", 32, Class::Float},
    {Type::F32x2, "f32x2", 64, Class::Float},   {Type::F64, "f64", 64, Class::Float},
    {Type::E4M3, "e4m3", 8, Class::Float},      {Type::E5M2, "e5m2", 8, Class::Float},
    {Type::E2M3, "e2m3", 6, Class::Float},      {Type::E3M2, "e3m2", 6, Class::Float},
    {Type::E2M1, "e2m1", 4, Class::Float},      {Type::UE8M0, "ue8m0", 8, Class::Float},
    {Type::E4M3x2, "e4m3x2", 16, Class::Float}, {Type::E5M2x2, "e5m2x2", 16, Class::Float},
    {Type::E2M3x2, "e2m3x2", 16, Class::Float}, {Type::E3M2x2, "e3m2x2", 16, Class::Float},
    {Type::E2M1x2, "e2m1x2", 8, Class::Float},  {Type::UE8M0x2, "ue8m0x2", 16, Class::Float},
    {Type::E4M3x4, "e4m3x4", 32, Class::Float}, {Type::E5M2x4, "e5m2x4", 32, Class::Float},
    {Type::E2M3x4, "e2m3x4", 32, Class::Float}, {Type::E3M2x4, "e3m2x4", 32, Class::Float},
    {Type::E2M1x4, "e2m1x4", 16, Class::Float}, {Type::U16x2, "u16x2", 32, Class::Other},
    {Type::S16x2, "s16x2", 32, Class::Other},   {Type::U8x4, "u8x4", 32, Class::Other},
    {Type::S8x4, "s8x4", 32, Class::Other},     {Type::U4, "u4", 4, Class::Other},
    {Type::S4, "s4", 4, Class::Other},          {Type::B1, "b1", 1, Class::Other},
    {Type::Pred, "pred", 1, Class::Other},
};

constexpr bool rowsInOrder() {
  for (int i = 0; i <= int(Type::Pred); ++i)
    if (int(rows[i].type) != i)
      return false;
  return true;
}
static_assert(rowsInOrder());

Class classOf(Type type) { return rows[int(type)].kind; }

} // namespace

std::optional<Type> parseType(std::string_view name) {
  for (const Row &row : rows)
    if (row.type != Type::None && row.name == name)
      return row.type;
  return std::nullopt;
}

std::string_view typeName(Type type) { return rows[int(type)].name; }
int bitsOf(Type type) { return rows[int(type)].bits; }
bool isSigned(Type type) { return classOf(type) == Class::Signed; }
bool isFloat(Type type) { return classOf(type) == Class::Float; }
bool isInteger(Type type) {
  return classOf(type) == Class::Signed || classOf(type) == Class::Unsigned ||
         classOf(type) == Class::Bits;
}

std::string_view spaceName(Space space) {
  constexpr std::string_view names[] = {"generic",         "register", "global", "shared",
                                        "shared::cluster", "local",    "const",  "param"};
  return names[int(space)];
}

} // namespace ingot::emulator
