#include "runtime/program/NonFinite.h"
#include <algorithm>

namespace ingot {
namespace {

struct Found {
  int64_t position;
  std::string_view what;
};

/// A float is NaN or infinite where all bits of its exponent are set.
template <typename Bits> std::optional<Found> find(const Tensor &tensor, Bits exponent) {
  constexpr int64_t block = 4096; // is looked at as a whole first, in a loop that vectorises
  const Bits *elements = tensor.as<Bits>();
  for (int64_t first = 0; first < tensor.size(); first += block) {
    const int64_t end = std::min(first + block, tensor.size());
    bool isFound = false;
    for (int64_t i = first; i < end; ++i)
      isFound |= (elements[i] & exponent) == exponent;
    if (!isFound)
      continue;
    for (int64_t i = first;; ++i) {
      if ((elements[i] & exponent) != exponent)
        continue;
      const Bits mantissa = Bits((exponent & -exponent) - 1), sign = Bits(~exponent & ~mantissa);
      if (elements[i] & mantissa)
        return Found{i, "NaN"};
      return Found{i, elements[i] & sign ? "-inf" : "inf"};
    }
  }
  return std::nullopt;
}

std::optional<Found> find(const Tensor &tensor) {
  if (!tensor.data())
    return std::nullopt; // whoever takes the tensor refuses it
  switch (tensor.type()) {
  case ElementType::F64:
    return find<uint64_t>(tensor, 0x7ff0'0000'0000'0000);
  case ElementType::F32:
    return find<uint32_t>(tensor, 0x7f80'0000);
  case ElementType::F16:
    return find<uint16_t>(tensor, 0x7c00);
  case ElementType::BF16:
    return find<uint16_t>(tensor, 0x7f80);
  default:
    return std::nullopt;
  }
}

} // namespace

std::string describeNonFinite(std::string_view what, const Tensor &tensor) {
  const std::optional<Found> found = find(tensor);
  if (!found)
    return "";
  return fmt::format("{} holds {} at position [{}]", what, found->what,
                     fmt::join(indexOf(found->position, tensor.shape()), ", "));
}

std::optional<Shape> findNonFinite(const Tensor &tensor) {
  const std::optional<Found> found = find(tensor);
  return found ? std::optional(indexOf(found->position, tensor.shape())) : std::nullopt;
}

std::string describeNonFinite(std::span<const NamedTensor> tensors) {
  for (const NamedTensor &tensor : tensors)
    if (std::string found = describeNonFinite(fmt::format("'{}'", tensor.name), tensor.value);
        !found.empty())
      return found;
  return "";
}

} // namespace ingot
