/// Making and looking at host tensors: from and to vectors, as text, and from strided memory.
#pragma once
#include "runtime/program/Tensor.h"
#include <concepts>

namespace ingot {

/// The element type that a C++ type stands for; f16, bf16 and f8 have none.
template <typename T> constexpr ElementType elementTypeOf() {
  if constexpr (std::same_as<T, double>)
    return ElementType::F64;
  else if constexpr (std::same_as<T, float>)
    return ElementType::F32;
  else if constexpr (std::same_as<T, bool>)
    return ElementType::I1;
  else {
    static_assert(std::integral<T>, "no element type is a vector's element of this type");
    constexpr ElementType sizes[2][4] = {
        {ElementType::U8, ElementType::U16, ElementType::U32, ElementType::U64},
        {ElementType::I8, ElementType::I16, ElementType::I32, ElementType::I64}};
    return sizes[std::signed_integral<T>][sizeof(T) == 1   ? 0
                                          : sizeof(T) == 2 ? 1
                                          : sizeof(T) == 4 ? 2
                                                           : 3];
  }
}

/// A tensor with a vector's elements in row-major order. Usage if there are not as many.
template <typename T> Result<Tensor> tensorOf(Shape shape, const std::vector<T> &elements) {
  if (elementCount(shape) != int64_t(elements.size()))
    return failure(Error::Code::Usage, "tensorOf", "{} elements do not fill {}", elements.size(),
                   toString(shape));
  Tensor tensor(elementTypeOf<T>(), std::move(shape));
  std::copy(elements.begin(), elements.end(), tensor.as<T>());
  return tensor;
}
/// One of one dimension.
template <typename T> Tensor tensorOf(const std::vector<T> &elements) {
  return *tensorOf<T>({int64_t(elements.size())}, elements);
}

/// The elements of a tensor of exactly that type. Usage if it has another.
template <typename T> Result<std::vector<T>> elementsOf(const Tensor &tensor) {
  if (tensor.type() != elementTypeOf<T>())
    return failure(Error::Code::Usage, "elementsOf", "the tensor holds {}, not {}",
                   name(tensor.type()), name(elementTypeOf<T>()));
  return std::vector<T>(tensor.as<T>(), tensor.as<T>() + tensor.size());
}

/// Memory that is not dense or not in row-major order: a slice, a transpose, an image's channels
/// last. Strides count elements and may be 0 or negative.
struct StridedView {
  ElementType type = ElementType::F32;
  Shape shape, strides;
  std::shared_ptr<void> memory; ///< the element at the origin, and who keeps it alive

  /// All of a tensor.
  static StridedView of(const Tensor &tensor);
  StridedView transposed(const std::vector<int64_t> &permutation) const;
  /// Elements first, first + step, … of a dimension before `end`: below it, with a negative step
  /// above it. What the dimension does not have is left out.
  StridedView sliced(size_t dimension, int64_t first, int64_t end, int64_t step = 1) const;
  bool isDense() const; ///< in row-major order, without gaps
  /// The same memory where it is dense, else a copy.
  Tensor tensor() const;
};

/// `2x2xf32=[1 2][3 4]`; beyond `limit` elements only type and shape.
std::string toString(const Tensor &tensor, int64_t limit = 1024);

} // namespace ingot
