/// Types and state spaces of PTX.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace ingot::emulator {

enum class Type : uint8_t {
  None,
  B8,
  B16,
  B32,
  B64,
  B128,
  U8,
  U16,
  U32,
  U64,
  S8,
  S16,
  S32,
  S64,
  F16,
  F16x2,
  BF16,
  BF16x2,
  TF32,
  F32,
  F32x2,
  F64,
  E4M3,
  E5M2,
  E2M3,
  E3M2,
  E2M1,
  UE8M0,
  E4M3x2,
  E5M2x2,
  E2M3x2,
  E3M2x2,
  E2M1x2,
  UE8M0x2,
  E4M3x4,
  E5M2x4,
  E2M3x4,
  E3M2x4,
  E2M1x4,
  U16x2,
  S16x2,
  U8x4,
  S8x4,
  U4,
  S4,
  B1,
  Pred,
}; // clang-format keeps families on lines

enum class Space : uint8_t {
  Generic,
  Register,
  Global,
  Shared,
  SharedCluster,
  Local,
  Const,
  Param
};

/// "f16x2" → F16x2; nothing for what is no type.
std::optional<Type> parseType(std::string_view name);
std::string_view typeName(Type type);
std::string_view spaceName(Space space);
/// Bits of a register of this type; a predicate has 1.
int bitsOf(Type type);
inline int bytesOf(Type type) { return bitsOf(type) / 8; }
bool isSigned(Type type);
/// Signed, unsigned or untyped bits.
bool isInteger(Type type);
bool isFloat(Type type);

} // namespace ingot::emulator
