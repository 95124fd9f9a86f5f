#include "runtime/support/HalfFloat.h"
#include <algorithm>

namespace ingot {

namespace {

template <typename T> double load(const void *data, int64_t index) {
  return static_cast<double>(static_cast<const T *>(data)[index]);
}

template <typename Format, typename Storage> double loadNarrow(const void *data, int64_t index) {
  return Format::decode(static_cast<const Storage *>(data)[index]);
}

template <typename T> void store(void *data, int64_t index, double value) {
  static_cast<T *>(data)[index] = static_cast<T>(value);
}

template <typename Format, typename Storage>
void storeNarrow(void *data, int64_t index, double value) {
  static_cast<Storage *>(data)[index] = static_cast<Storage>(Format::encode(value));
}

/// `bits` is narrower than T for the sub-byte types, which keep one element a byte.
template <typename T>
void storeInteger(void *data, int64_t index, double value, int bits = 8 * sizeof(T)) {
  constexpr bool isSigned = std::numeric_limits<T>::is_signed;
  const int valueBits = isSigned ? bits - 1 : bits;
  const double limit = std::ldexp(1.0, valueBits); // one above the largest value
  T &out = static_cast<T *>(data)[index];
  if (std::isnan(value))
    out = 0;
  else if (value >= limit)
    out = static_cast<T>(~uint64_t(0) >> (64 - valueBits));
  else if (value < (isSigned ? -limit : 0.0))
    out = isSigned ? static_cast<T>(-limit) : T(0);
  else
    out = static_cast<T>(value);
}

} // namespace

double loadElement(ElementType type, const void *data, int64_t index) {
  switch (type) {
  case ElementType::F64:
    return load<double>(data, index);
  case ElementType::F32:
    return load<float>(data, index);
  case ElementType::F16:
    return loadNarrow<Float16, uint16_t>(data, index);
  case ElementType::BF16:
    return loadNarrow<BFloat16, uint16_t>(data, index);
  case ElementType::F8E4M3FN:
    return loadNarrow<Float8E4M3FN, uint8_t>(data, index);
  case ElementType::F8E5M2:
    return loadNarrow<Float8E5M2, uint8_t>(data, index);
  case ElementType::I64:
    return load<int64_t>(data, index);
  case ElementType::I32:
    return load<int32_t>(data, index);
  case ElementType::I16:
    return load<int16_t>(data, index);
  case ElementType::I8:
  case ElementType::I4:
    return load<int8_t>(data, index);
  case ElementType::U64:
    return load<uint64_t>(data, index);
  case ElementType::U32:
    return load<uint32_t>(data, index);
  case ElementType::U16:
    return load<uint16_t>(data, index);
  case ElementType::U8:
  case ElementType::U4:
    return load<uint8_t>(data, index);
  case ElementType::I1:
    return static_cast<const uint8_t *>(data)[index] != 0;
  }
  __builtin_unreachable();
}

void storeElement(ElementType type, void *data, int64_t index, double value) {
  switch (type) {
  case ElementType::F64:
    return store<double>(data, index, value);
  case ElementType::F32:
    return store<float>(data, index, value);
  case ElementType::F16:
    return storeNarrow<Float16, uint16_t>(data, index, value);
  case ElementType::BF16:
    return storeNarrow<BFloat16, uint16_t>(data, index, value);
  case ElementType::F8E4M3FN:
    return storeNarrow<Float8E4M3FN, uint8_t>(data, index, value);
  case ElementType::F8E5M2:
    return storeNarrow<Float8E5M2, uint8_t>(data, index, value);
  case ElementType::I64:
    return storeInteger<int64_t>(data, index, value);
  case ElementType::I32:
    return storeInteger<int32_t>(data, index, value);
  case ElementType::I16:
    return storeInteger<int16_t>(data, index, value);
  case ElementType::I8:
    return storeInteger<int8_t>(data, index, value);
  case ElementType::I4:
    return storeInteger<int8_t>(data, index, value, 4);
  case ElementType::U64:
    return storeInteger<uint64_t>(data, index, value);
  case ElementType::U32:
    return storeInteger<uint32_t>(data, index, value);
  case ElementType::U16:
    return storeInteger<uint16_t>(data, index, value);
  case ElementType::U8:
    return storeInteger<uint8_t>(data, index, value);
  case ElementType::U4:
    return storeInteger<uint8_t>(data, index, value, 4);
  case ElementType::I1:
    static_cast<uint8_t *>(data)[index] = value != 0 || std::isnan(value);
    return;
  }
  __builtin_unreachable();
}

} // namespace ingot
