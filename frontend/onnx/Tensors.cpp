/// Elements of tensors: ranges of the mapped file, of external files, or typed fields.
#include "frontend/onnx/OnnxFile.h"
#include "runtime/data/Array.h"
#include <charconv>
#include <filesystem>

namespace ingot::onnx {

namespace fs = std::filesystem;

namespace {

struct DataTypeRow {
  int32_t number;
  std::string_view name;
  std::optional<ElementType> type;
};

constexpr DataTypeRow dataTypes[] = {
    {1, "FLOAT", ElementType::F32},
    {2, "UINT8", ElementType::U8},
    {3, "INT8", ElementType::I8},
    {4, "UINT16", ElementType::U16},
    {5, "INT16", ElementType::I16},
    {6, "INT32", ElementType::I32},
    {7, "INT64", ElementType::I64},
    {8, "STRING", std::nullopt},
    {9, "BOOL", ElementType::I1},
    {10, "FLOAT16", ElementType::F16},
    {11, "DOUBLE", ElementType::F64},
    {12, "UINT32", ElementType::U32},
    {13, "UINT64", ElementType::U64},
    {14, "COMPLEX64", std::nullopt},
    {15, "COMPLEX128", std::nullopt},
    {16, "BFLOAT16", ElementType::BF16},
    {17, "FLOAT8E4M3FN", ElementType::F8E4M3FN},
    {18, "FLOAT8E4M3FNUZ", std::nullopt},
    {19, "FLOAT8E5M2", ElementType::F8E5M2},
    {20, "FLOAT8E5M2FNUZ", std::nullopt},
    {21, "UINT4", ElementType::U4},
    {22, "INT4", ElementType::I4},
    {23, "FLOAT4E2M1", std::nullopt},
    {24, "FLOAT8E8M0", std::nullopt},
};

/// Two elements to a byte in files, one in memory.
bool isPacked(ElementType type) { return type == ElementType::U4 || type == ElementType::I4; }

Tensor unpack(ElementType type, const Shape &shape, std::string_view bytes) {
  Tensor tensor(type, shape);
  for (int64_t i = 0; i < tensor.size(); ++i) {
    const auto nibble = uint8_t(uint8_t(bytes[size_t(i / 2)]) >> (i % 2 * 4) & 0xf);
    tensor.as<uint8_t>()[i] =
        type == ElementType::U4 ? nibble : uint8_t(int8_t(uint8_t(nibble << 4)) >> 4);
  }
  return tensor;
}

/// Bytes that follow each other in the file as in memory; `owner` keeps them alive.
Result<Tensor> fromBytes(ElementType type, const Shape &shape, std::string_view bytes,
                         const std::shared_ptr<void> &owner, const std::string &place) {
  const int64_t count = elementCount(shape);
  const size_t wanted = isPacked(type) ? size_t(count + 1) / 2 : size_t(count) * byteSize(type);
  if (bytes.size() != wanted)
    return failure(Error::Code::BadInput, place, "{} of {} are {} bytes, but there are {}",
                   toString(shape), name(type), wanted, bytes.size());
  if (isPacked(type))
    return unpack(type, shape, bytes);
  if (type == ElementType::I1) { // any byte but 0 is true
    Tensor tensor(type, shape);
    for (int64_t i = 0; i < count; ++i)
      tensor.as<uint8_t>()[i] = bytes[size_t(i)] != 0;
    return tensor;
  }
  if (bytes.empty())
    return Tensor(type, shape);
  return Tensor(type, shape, std::shared_ptr<void>(owner, const_cast<char *>(bytes.data())));
}

/// Numbers of a typed field, whose bits or value are narrowed to the element.
template <typename T>
Result<Tensor> fromNumbers(ElementType type, const Shape &shape, const std::vector<T> &numbers,
                           const std::string &place) {
  const int64_t count = elementCount(shape);
  const int64_t wanted = isPacked(type) ? (count + 1) / 2 : count;
  if (int64_t(numbers.size()) != wanted)
    return failure(Error::Code::BadInput, place, "{} of {} have {} numbers", toString(shape),
                   name(type), numbers.size());
  if (isPacked(type)) {
    std::string bytes;
    for (T number : numbers)
      bytes.push_back(char(number));
    return unpack(type, shape, bytes);
  }
  Tensor tensor(type, shape);
  for (int64_t i = 0; i < count; ++i) { // little-endian: the low bytes are the element
    T number = numbers[size_t(i)];
    if (type == ElementType::I1)
      number = number != 0;
    std::memcpy(tensor.as<uint8_t>() + size_t(i) * byteSize(type), &number, byteSize(type));
  }
  return tensor;
}

std::optional<int64_t> parseCount(std::string_view text) {
  int64_t value = 0;
  auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || rest != text.data() + text.size() || value < 0)
    return std::nullopt;
  return value;
}

} // namespace

std::optional<ElementType> elementTypeOf(int32_t dataType) {
  for (const DataTypeRow &row : dataTypes)
    if (row.number == dataType)
      return row.type;
  return std::nullopt;
}

bool isParameter(ElementType type, const Shape &shape) {
  return type <= ElementType::F8E5M2 && !shape.empty();
}

std::string dataTypeName(int32_t dataType) {
  for (const DataTypeRow &row : dataTypes)
    if (row.number == dataType)
      return std::string(row.name);
  return fmt::format("element type {}", dataType);
}

Result<Tensor> OnnxFile::tensor(const TensorProto &proto) const {
  const std::string place = proto.name.empty() ? name : fmt::format("{}: {}", name, proto.name);
  const std::optional<ElementType> type = elementTypeOf(proto.dataType);
  if (!type)
    return failure(Error::Code::Unsupported, place, "tensors of {} are not supported",
                   dataTypeName(proto.dataType));
  if (!checkedBytes(proto.dims, byteSize(*type)))
    return failure(Error::Code::BadInput, place, "the shape {} is impossible",
                   toString(proto.dims));
  if (proto.dataLocation == 1)
    return externalTensor(proto, *type);
  const Shape &shape = proto.dims;
  if (!proto.rawData.empty() || elementCount(shape) == 0)
    return fromBytes(*type, shape, proto.rawData, memory, place);
  switch (*type) {
  case ElementType::F32:
    return fromNumbers(*type, shape, proto.floatData, place);
  case ElementType::F64:
    return fromNumbers(*type, shape, proto.doubleData, place);
  case ElementType::I64:
    return fromNumbers(*type, shape, proto.int64Data, place);
  case ElementType::U64:
  case ElementType::U32:
    return fromNumbers(*type, shape, proto.uint64Data, place);
  default:
    return fromNumbers(*type, shape, proto.int32Data, place);
  }
}

/// The file that a tensor names, which must lie in the model's own folder.
static Result<fs::path> externalPath(const std::string &model, std::string_view location,
                                     const std::string &place) {
  std::error_code error;
  const fs::path folder = fs::weakly_canonical(fs::absolute(model).parent_path(), error);
  const fs::path file = fs::weakly_canonical(folder / fs::path(location), error);
  const fs::path inside = file.lexically_relative(folder);
  if (location.empty() || fs::path(location).is_absolute() || error || inside.empty() ||
      *inside.begin() == "..")
    return failure(Error::Code::BadInput, place,
                   "its data are said to be in '{}', which is no file of the model's folder",
                   location);
  return file;
}

Result<Tensor> OnnxFile::externalTensor(const TensorProto &proto, ElementType type) const {
  const std::string place = fmt::format("{}: {}", name, proto.name);
  auto entry = [&](std::string_view key) {
    for (const StringStringEntryProto &candidate : proto.externalData)
      if (candidate.key == key)
        return candidate.value;
    return std::string_view();
  };
  INGOT_ASSIGN(const fs::path path, externalPath(name, entry("location"), place));
  std::lock_guard lock(external->mutex);
  auto found = external->files.find(path.string());
  if (found == external->files.end()) {
    INGOT_ASSIGN(MappedFile mapped, MappedFile::open(path.string()).map_error([&](Error error) {
      return Error{error.code, error.text(), place};
    }));
    found = external->files.emplace(path.string(), std::move(mapped)).first;
  }
  const auto size = int64_t(found->second.bytes().size());
  const std::optional<int64_t> offset = parseCount(entry("offset").empty() ? "0" : entry("offset"));
  const std::optional<int64_t> length =
      entry("length").empty() && offset ? size - *offset : parseCount(entry("length"));
  if (!offset || !length || *offset > size || *length < 0 || *length > size - *offset)
    return failure(Error::Code::BadInput, place,
                   "its data are said to be bytes {} + {} of {}, which has {}", entry("offset"),
                   entry("length"), path.string(), size);
  const auto *bytes = reinterpret_cast<const char *>(found->second.bytes().data()) + *offset;
  return fromBytes(type, proto.dims, {bytes, size_t(*length)}, found->second.share(0), place);
}

Tensor aligned(const Tensor &tensor) {
  const size_t width = byteSize(tensor.type());
  if (reinterpret_cast<uintptr_t>(tensor.data()) % width == 0)
    return tensor;
  return tensor.clone();
}

} // namespace ingot::onnx
