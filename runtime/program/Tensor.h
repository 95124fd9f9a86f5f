/// Element types, shapes and host tensors, shared by compiler and runtime.
#pragma once
#include "runtime/support/Result.h"
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

/// The element types of tensors. Sub-byte types hold one element a byte in host memory.
enum class ElementType : uint8_t {
  F64,
  F32,
  F16,
  BF16,
  F8E4M3FN,
  F8E5M2,
  I64,
  I32,
  I16,
  I8,
  I4,
  U64,
  U32,
  U16,
  U8,
  U4,
  I1,
};

/// Bytes of one element in memory.
size_t byteSize(ElementType type);
/// `f32`, `bf16`, `i64`, `u8`, `i1`, …: the spelling in flags, JSON and error messages.
std::string_view name(ElementType type);
/// The inverse of `name`.
Result<ElementType> parseElementType(std::string_view text);

using Shape = std::vector<int64_t>;
/// Product of the dimensions; 1 for a scalar.
int64_t elementCount(const Shape &shape);
/// The index, by dimension, of an element in row-major order.
Shape indexOf(int64_t position, const Shape &shape);
/// `4x64`, or `scalar`.
std::string toString(const Shape &shape);

/// A dense row-major tensor in host memory. Copies share storage; `clone` does not.
class Tensor {
public:
  Tensor() = default;
  /// Zero-filled.
  Tensor(ElementType type, Shape shape);
  /// A view of memory that someone else keeps alive.
  Tensor(ElementType type, Shape shape, void *borrowed);
  /// Shares memory with its other owners, such as a mapped file.
  Tensor(ElementType type, Shape shape, std::shared_ptr<void> shared);

  ElementType type() const { return elementType; }
  const Shape &shape() const { return dimensions; }
  int64_t size() const { return elementCount(dimensions); }
  size_t bytes() const { return size() * byteSize(elementType); }
  void *data() { return memory.get(); }
  const void *data() const { return memory.get(); }
  template <typename T> T *as() { return static_cast<T *>(data()); }
  template <typename T> const T *as() const { return static_cast<const T *>(data()); }
  Tensor clone() const;

private:
  ElementType elementType = ElementType::F32;
  Shape dimensions;
  std::shared_ptr<void> memory;
};

} // namespace ingot
