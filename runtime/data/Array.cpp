#include "runtime/data/Array.h"
#include "runtime/data/Files.h"
#include "runtime/data/Idx.h"
#include "runtime/data/Npy.h"
#include <algorithm>
#include <cmath>
#include <utility>

namespace ingot {

namespace {

/// Calls `visit` with a value of the host type that holds `type`; false if there is none.
template <typename Visit> bool visitType(ElementType type, Visit visit) {
  switch (type) {
  case ElementType::F64:
    visit(double{});
    return true;
  case ElementType::F32:
    visit(float{});
    return true;
  case ElementType::F16:
    visit(_Float16{});
    return true;
  case ElementType::I64:
    visit(int64_t{});
    return true;
  case ElementType::I32:
    visit(int32_t{});
    return true;
  case ElementType::I16:
    visit(int16_t{});
    return true;
  case ElementType::I8:
    visit(int8_t{});
    return true;
  case ElementType::U64:
    visit(uint64_t{});
    return true;
  case ElementType::U32:
    visit(uint32_t{});
    return true;
  case ElementType::U16:
    visit(uint16_t{});
    return true;
  case ElementType::U8:
    visit(uint8_t{});
    return true;
  case ElementType::I1:
    visit(uint8_t{});
    return true;
  default:
    return false;
  }
}

template <typename T> constexpr bool isHostFloat = !std::is_integral_v<T>;

/// Converts one element; false if it does not fit.
template <typename To, typename From> bool convert(From value, double scale, To &result) {
  if constexpr (isHostFloat<To>) {
    const double wide = scale == 1 ? double(value) : double(value) * scale;
    result = To(wide);
    return std::isfinite(double(result)) || !std::isfinite(double(value)); // no number becomes inf
  } else if constexpr (isHostFloat<From>) {
    auto wide = double(value);
    // 2^63 and beyond would overflow the conversion itself.
    if (!(std::abs(wide) < 0x1p63) || wide != std::trunc(wide) || !std::in_range<To>(int64_t(wide)))
      return false;
    result = To(wide);
    return true;
  } else {
    result = To(value); // NOLINT(bugprone-signed-char-misuse): numbers, not characters
    return std::in_range<To>(value);
  }
}

} // namespace

std::optional<size_t> checkedBytes(const Shape &shape, size_t elementBytes) {
  size_t bytes = elementBytes;
  for (int64_t size : shape)
    if (size < 0 || __builtin_mul_overflow(bytes, size_t(size), &bytes))
      return std::nullopt;
  return bytes;
}

void swapBytes(Tensor &tensor) {
  size_t width = byteSize(tensor.type());
  auto *bytes = tensor.as<char>();
  for (size_t at = 0; at < tensor.bytes(); at += width)
    std::reverse(bytes + at, bytes + at + width);
}

Status convertElements(const Tensor &from, int64_t first, Tensor &to, int64_t target, int64_t count,
                       double scale) {
  Status status;
  bool known = visitType(from.type(), [&](auto fromTag) {
    using From = decltype(fromTag);
    const From *source = from.as<From>() + first;
    bool knownTo = visitType(to.type(), [&](auto toTag) {
      using To = decltype(toTag);
      To *result = to.as<To>() + target;
      if (std::is_same_v<From, To> && (scale == 1 || !isHostFloat<To>)) {
        std::memcpy(result, source, size_t(count) * sizeof(To));
        return;
      }
      for (int64_t i = 0; i < count; ++i)
        if (!convert(source[i], scale, result[i])) {
          status = failure(Error::Code::BadInput, "",
                           "the value {}{} of element {} does not fit into {}", double(source[i]),
                           scale == 1 ? "" : fmt::format(" (scaled by {})", scale), first + i,
                           name(to.type()));
          return;
        }
    });
    if (!knownTo)
      status = failure(Error::Code::Unsupported, "", "{} data cannot feed {} inputs",
                       name(from.type()), name(to.type()));
  });
  if (!known)
    return failure(Error::Code::Unsupported, "", "{} data cannot feed {} inputs", name(from.type()),
                   name(to.type()));
  return status;
}

Result<Tensor> readArray(const std::string &path) {
  INGOT_ASSIGN(std::string bytes, readInput(path));
  if (bytes.starts_with("\x93NUMPY"))
    return parseNpy(bytes, path);
  if (bytes.starts_with(std::string_view("\0\0", 2)))
    return parseIdx(bytes, path);
  return failure(Error::Code::BadInput, path, "this is neither a .npy nor an IDX file");
}

} // namespace ingot
