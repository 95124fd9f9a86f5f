#include "ir/dialect/Elements.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>

using namespace mlir;

namespace ingot::graph {
namespace {

/// A float of at most 16 bits. `finite` formats have no infinity; their NaN has all bits set.
struct FloatFormat {
  int exponentBits, mantissaBits;
  bool finite;

  int bias() const { return (1 << (exponentBits - 1)) - 1; }
  uint32_t sign() const { return 1u << (exponentBits + mantissaBits); }
  uint32_t infinity() const { return ((1u << exponentBits) - 1) << mantissaBits; }
  uint32_t nan() const { return finite ? sign() - 1 : infinity() | 1u << (mantissaBits - 1); }
  bool isNan(uint32_t magnitude) const {
    return finite ? magnitude == nan() : magnitude > infinity();
  }
};

double decode(FloatFormat format, uint32_t bits) {
  uint32_t magnitude = bits & (format.sign() - 1);
  double sign = bits & format.sign() ? -1 : 1;
  if (format.isNan(magnitude))
    return std::numeric_limits<double>::quiet_NaN();
  if (!format.finite && magnitude == format.infinity())
    return sign * std::numeric_limits<double>::infinity();
  int exponent = magnitude >> format.mantissaBits;
  int fraction = magnitude & ((1 << format.mantissaBits) - 1);
  if (exponent > 0)
    fraction += 1 << format.mantissaBits;
  return sign * std::ldexp(fraction, std::max(exponent, 1) - format.bias() - format.mantissaBits);
}

uint32_t encode(FloatFormat format, double value) {
  uint32_t sign = std::signbit(value) ? format.sign() : 0;
  if (std::isnan(value) || (format.finite && std::isinf(value)))
    return sign | format.nan();
  double magnitude = std::fabs(value);
  if (magnitude == 0)
    return sign;
  if (std::isinf(magnitude))
    return sign | format.infinity();
  int lowest = 1 - format.bias();
  int exponent = std::max(std::ilogb(magnitude), lowest);
  if (exponent > format.bias() + 1)
    return sign | (format.finite ? format.nan() : format.infinity());
  // In units of the last place; a carry out of the mantissa lands in the exponent.
  auto units = uint32_t(std::nearbyint(std::ldexp(magnitude, format.mantissaBits - exponent)));
  uint32_t bits = uint32_t(exponent - lowest) << format.mantissaBits;
  bits += units;
  uint32_t limit = format.finite ? format.nan() : format.infinity();
  return sign | std::min(bits, limit);
}

FloatFormat formatOf(ElementType type) {
  switch (type) {
  case ElementType::F16:
    return {5, 10, false};
  case ElementType::BF16:
    return {8, 7, false};
  case ElementType::F8E4M3FN:
    return {4, 3, true};
  default:
    assert(type == ElementType::F8E5M2 && "wider floats have a host type");
    return {5, 2, false};
  }
}

template <typename Stored, typename Wide> std::vector<Wide> widen(const Tensor &tensor) {
  const Stored *data = tensor.as<Stored>();
  return std::vector<Wide>(data, data + tensor.size());
}

template <typename Stored, typename Wide>
void narrow(Tensor &tensor, const std::vector<Wide> &elements) {
  Stored *data = tensor.as<Stored>();
  for (size_t i = 0; i < elements.size(); ++i)
    data[i] = static_cast<Stored>(elements[i]);
}

std::vector<double> loadFloats(const Tensor &tensor) {
  if (tensor.type() == ElementType::F64)
    return widen<double, double>(tensor);
  if (tensor.type() == ElementType::F32)
    return widen<float, double>(tensor);
  FloatFormat format = formatOf(tensor.type());
  std::vector<double> result(tensor.size());
  for (int64_t i = 0; i < tensor.size(); ++i)
    result[i] = decode(format, byteSize(tensor.type()) == 2 ? tensor.as<uint16_t>()[i]
                                                            : tensor.as<uint8_t>()[i]);
  return result;
}

void storeFloats(Tensor &tensor, const std::vector<double> &elements) {
  if (tensor.type() == ElementType::F64)
    return narrow<double>(tensor, elements);
  if (tensor.type() == ElementType::F32)
    return narrow<float>(tensor, elements);
  FloatFormat format = formatOf(tensor.type());
  for (size_t i = 0; i < elements.size(); ++i) {
    uint32_t bits = encode(format, elements[i]);
    if (byteSize(tensor.type()) == 2)
      tensor.as<uint16_t>()[i] = uint16_t(bits);
    else
      tensor.as<uint8_t>()[i] = uint8_t(bits);
  }
}

template <typename Wide> std::vector<Wide> loadIntegers(const Tensor &tensor) {
  switch (tensor.type()) {
  case ElementType::I64:
    return widen<int64_t, Wide>(tensor);
  case ElementType::I32:
    return widen<int32_t, Wide>(tensor);
  case ElementType::I16:
    return widen<int16_t, Wide>(tensor);
  case ElementType::I8:
  case ElementType::I4:
    return widen<int8_t, Wide>(tensor);
  case ElementType::U64:
    return widen<uint64_t, Wide>(tensor);
  case ElementType::U32:
    return widen<uint32_t, Wide>(tensor);
  case ElementType::U16:
    return widen<uint16_t, Wide>(tensor);
  default:
    return widen<uint8_t, Wide>(tensor);
  }
}

/// `value` wrapped to `width` bits, its sign extended for signed types.
template <typename Wide> Wide wrap(Wide value, int width) {
  int unused = 64 - width;
  return Wide(uint64_t(value) << unused) >> unused;
}

template <typename Wide> void storeIntegers(Tensor &tensor, const std::vector<Wide> &elements) {
  switch (byteSize(tensor.type())) {
  case 8:
    return narrow<uint64_t>(tensor, elements);
  case 4:
    return narrow<uint32_t>(tensor, elements);
  case 2:
    return narrow<uint16_t>(tensor, elements);
  }
  int width = bitWidth(tensor.type());
  bool isSigned = kindOf(tensor.type()) == ElementKind::Signed;
  for (size_t i = 0; i < elements.size(); ++i)
    tensor.as<uint8_t>()[i] =
        uint8_t(isSigned ? wrap(int64_t(elements[i]), width) : wrap(uint64_t(elements[i]), width));
}

} // namespace

ElementKind kindOf(ElementType type) {
  if (type <= ElementType::F8E5M2)
    return ElementKind::Float;
  return type <= ElementType::I4 ? ElementKind::Signed : ElementKind::Unsigned;
}

int bitWidth(ElementType type) {
  if (type == ElementType::I1)
    return 1;
  if (type == ElementType::I4 || type == ElementType::U4)
    return 4;
  return int(byteSize(type)) * 8;
}

template <typename Wide> std::vector<Wide> load(const Tensor &tensor) {
  if constexpr (std::is_same_v<Wide, double>)
    return kindOf(tensor.type()) == ElementKind::Float ? loadFloats(tensor)
                                                       : loadIntegers<double>(tensor);
  else
    return loadIntegers<Wide>(tensor);
}
template std::vector<double> load(const Tensor &);
template std::vector<int64_t> load(const Tensor &);
template std::vector<uint64_t> load(const Tensor &);

template <typename Wide>
Tensor store(ElementType type, const Shape &shape, const std::vector<Wide> &elements) {
  Tensor result(type, shape);
  assert(int64_t(elements.size()) == result.size());
  if constexpr (std::is_same_v<Wide, double>)
    storeFloats(result, elements);
  else
    storeIntegers(result, elements);
  return result;
}
template Tensor store(ElementType, const Shape &, const std::vector<double> &);
template Tensor store(ElementType, const Shape &, const std::vector<int64_t> &);
template Tensor store(ElementType, const Shape &, const std::vector<uint64_t> &);

//===--------------------------------------------------------------------------------------------===//
// MLIR's types and attributes
//===--------------------------------------------------------------------------------------------===//

std::optional<ElementType> elementTypeOf(Type type) {
  for (auto candidate = ElementType::F64; candidate <= ElementType::I1;
       candidate = ElementType(int(candidate) + 1))
    if (type == mlirType(candidate, type.getContext()))
      return candidate;
  return std::nullopt;
}

Type mlirType(ElementType type, MLIRContext *context) {
  switch (type) {
  case ElementType::F64:
    return Float64Type::get(context);
  case ElementType::F32:
    return Float32Type::get(context);
  case ElementType::F16:
    return Float16Type::get(context);
  case ElementType::BF16:
    return BFloat16Type::get(context);
  case ElementType::F8E4M3FN:
    return Float8E4M3FNType::get(context);
  case ElementType::F8E5M2:
    return Float8E5M2Type::get(context);
  default:
    bool isUnsigned = kindOf(type) == ElementKind::Unsigned && type != ElementType::I1;
    return IntegerType::get(context, bitWidth(type),
                            isUnsigned ? IntegerType::Unsigned : IntegerType::Signless);
  }
}

RankedTensorType typeOf(const Tensor &tensor, MLIRContext *context) {
  return RankedTensorType::get(tensor.shape(), mlirType(tensor.type(), context));
}

Result<Tensor> tensorOf(ElementsAttr attribute) {
  auto type = cast<RankedTensorType>(attribute.getType());
  std::optional<ElementType> element = elementTypeOf(type.getElementType());
  if (!element)
    return failure(Error::Code::Unsupported, "", "a constant's element type is not one of graph's");
  Tensor result(*element, type.getShape().vec());
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(attribute)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob || blob->getData().size() != result.bytes())
      return failure(Error::Code::BadInput, resource.getRawHandle().getKey().str(),
                     "the constant's data is missing or has the wrong size");
    std::memcpy(result.data(), blob->getData().data(), result.bytes());
    return result;
  }
  auto dense = dyn_cast<DenseElementsAttr>(attribute);
  if (!dense)
    return failure(Error::Code::Unsupported, "", "only dense constants hold data");
  std::vector<uint64_t> bits;
  bits.reserve(result.size());
  if (isa<FloatType>(type.getElementType()))
    for (const APFloat &value : dense.getValues<APFloat>())
      bits.push_back(value.bitcastToAPInt().getZExtValue());
  else
    for (const APInt &value : dense.getValues<APInt>())
      bits.push_back(uint64_t(value.getSExtValue()));
  storeIntegers(result, bits);
  return result;
}

DenseElementsAttr attributeOf(const Tensor &tensor, RankedTensorType type) {
  Type element = type.getElementType();
  size_t size = byteSize(tensor.type());
  auto *bytes = static_cast<const uint8_t *>(tensor.data());
  int64_t count = tensor.size();
  bool isSplat = count > 0;
  for (int64_t i = 1; i < count && isSplat; ++i)
    isSplat = std::memcmp(bytes, bytes + i * size, size) == 0;
  SmallVector<Attribute> values;
  for (int64_t i = 0; i < (isSplat ? 1 : count); ++i) {
    uint64_t raw = 0;
    std::memcpy(&raw, bytes + i * size, size);
    APInt bits = APInt(64, raw).trunc(bitWidth(tensor.type()));
    if (auto floating = dyn_cast<FloatType>(element))
      values.push_back(FloatAttr::get(element, APFloat(floating.getFloatSemantics(), bits)));
    else
      values.push_back(IntegerAttr::get(element, bits));
  }
  return DenseElementsAttr::get(type, values);
}

} // namespace ingot::graph
