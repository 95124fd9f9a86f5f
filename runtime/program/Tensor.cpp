#include "runtime/program/Tensor.h"
#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <new>

namespace ingot {

namespace {

struct ElementTypeRow {
  ElementType type;
  std::string_view name;
  size_t bytes;
};

constexpr std::array<ElementTypeRow, 17> elementTypes = {{
    {ElementType::F64, "f64", 8},
    {ElementType::F32, "f32", 4},
    {ElementType::F16, "f16", 2},
    {ElementType::BF16, "bf16", 2},
    {ElementType::F8E4M3FN, "f8e4m3fn", 1},
    {ElementType::F8E5M2, "f8e5m2", 1},
    {ElementType::I64, "i64", 8},
    {ElementType::I32, "i32", 4},
    {ElementType::I16, "i16", 2},
    {ElementType::I8, "i8", 1},
    {ElementType::I4, "i4", 1},
    {ElementType::U64, "u64", 8},
    {ElementType::U32, "u32", 4},
    {ElementType::U16, "u16", 2},
    {ElementType::U8, "u8", 1},
    {ElementType::U4, "u4", 1},
    {ElementType::I1, "i1", 1},
}};

constexpr bool rowsFollowTheEnum() {
  for (size_t i = 0; i < elementTypes.size(); ++i)
    if (elementTypes[i].type != static_cast<ElementType>(i))
      return false;
  return true;
}
static_assert(rowsFollowTheEnum(), "the table is indexed by ElementType");

const ElementTypeRow &row(ElementType type) { return elementTypes[static_cast<size_t>(type)]; }

constexpr size_t alignment = 64;

/// Zeroed memory as the kernels expect it: 64-byte aligned and padded to whole cache lines.
std::shared_ptr<void> allocate(size_t bytes) {
  constexpr size_t most = std::numeric_limits<ptrdiff_t>::max() - alignment;
  size_t padded = (std::min(bytes, most) + alignment - 1) / alignment * alignment;
  void *memory =
      bytes > most ? nullptr : std::aligned_alloc(alignment, std::max(padded, alignment));
  if (!memory)
    throw std::bad_alloc();
  std::memset(memory, 0, padded);
  return {memory, std::free};
}

} // namespace

size_t byteSize(ElementType type) { return row(type).bytes; }

std::string_view name(ElementType type) { return row(type).name; }

Result<ElementType> parseElementType(std::string_view text) {
  for (const ElementTypeRow &candidate : elementTypes)
    if (candidate.name == text)
      return candidate.type;
  std::string known;
  for (const ElementTypeRow &candidate : elementTypes)
    known += fmt::format("{}{}", known.empty() ? "" : ", ", candidate.name);
  return failure(Error::Code::BadInput, "", "unknown element type '{}'; known: {}", text, known);
}

int64_t elementCount(const Shape &shape) {
  int64_t count = 1;
  for (int64_t dimension : shape)
    if (__builtin_mul_overflow(count, dimension, &count))
      return std::numeric_limits<int64_t>::max();
  return count;
}

Shape indexOf(int64_t position, const Shape &shape) {
  Shape index(shape.size());
  for (size_t dim = index.size(); dim-- > 0; position /= shape[dim])
    index[dim] = position % shape[dim];
  return index;
}

std::string toString(const Shape &shape) {
  return shape.empty() ? "scalar" : fmt::format("{}", fmt::join(shape, "x"));
}

Tensor::Tensor(ElementType type, Shape shape)
    : elementType(type), dimensions(std::move(shape)), memory(allocate(bytes())) {}

Tensor::Tensor(ElementType type, Shape shape, void *borrowed)
    : elementType(type), dimensions(std::move(shape)), memory(borrowed, [](void *) {}) {}

Tensor::Tensor(ElementType type, Shape shape, std::shared_ptr<void> shared)
    : elementType(type), dimensions(std::move(shape)), memory(std::move(shared)) {}

Tensor Tensor::clone() const {
  Tensor copy(elementType, dimensions);
  if (memory)
    std::memcpy(copy.data(), data(), bytes());
  return copy;
}

} // namespace ingot
