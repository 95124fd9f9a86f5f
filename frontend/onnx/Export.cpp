#include "frontend/onnx/Export.h"
#include "frontend/onnx/Wire.h"
#include <set>

namespace ingot::onnx {
namespace {

// Fields of onnx.proto that are written.
constexpr uint32_t graphOfModel = 7, initializerOfGraph = 5;
constexpr uint32_t dims = 1, dataType = 2, tensorName = 8, rawData = 9;

void putVarint(std::string &bytes, uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    bytes.push_back(char(value | 0x80));
  bytes.push_back(char(value));
}

void putKey(std::string &bytes, uint32_t number, WireType type) {
  putVarint(bytes, uint64_t(number) << 3 | uint64_t(type));
}

void putBytes(std::string &bytes, uint32_t number, std::string_view value) {
  putKey(bytes, number, WireType::Bytes);
  putVarint(bytes, value.size());
  bytes += value;
}

/// An initializer whose elements follow each other.
std::string tensorMessage(const TensorProto &proto, const Tensor &value) {
  std::string bytes;
  for (int64_t size : proto.dims) {
    putKey(bytes, dims, WireType::Varint);
    putVarint(bytes, uint64_t(size));
  }
  putKey(bytes, dataType, WireType::Varint);
  putVarint(bytes, uint64_t(proto.dataType));
  putBytes(bytes, tensorName, proto.name);
  std::string elements(static_cast<const char *>(value.data()), value.bytes());
  if (value.type() == ElementType::I4 || value.type() == ElementType::U4) {
    std::string packed((elements.size() + 1) / 2, '\0');
    for (size_t i = 0; i < elements.size(); ++i)
      packed[i / 2] = char(packed[i / 2] | (elements[i] & 0xf) << (i % 2 * 4));
    elements = std::move(packed);
  }
  putBytes(bytes, rawData, elements);
  return bytes;
}

class Exporter {
public:
  Exporter(const OnnxFile &file, const std::map<std::string, Tensor> &values)
      : file(file), values(values) {}

  Result<std::string> run() {
    INGOT_ASSIGN(std::string bytes,
                 rewrite(file.bytes(), graphOfModel, [&](std::string_view graph) {
                   return rewrite(graph, initializerOfGraph,
                                  [&](std::string_view tensor) { return initializer(tensor); });
                 }));
    for (const auto &[name, value] : values)
      if (!done.contains(name))
        return failure(Error::Code::BadInput, file.path(), "has no initializer '{}'", name);
    if (bytes.size() >= size_t(1) << 31)
      return failure(Error::Code::Unsupported, file.path(),
                     "would have {} bytes with these weights, and ONNX files end at 2 GB",
                     bytes.size());
    return bytes;
  }

private:
  /// A message with the fields of one number replaced, the others as they were.
  template <typename Replace>
  Result<std::string> rewrite(std::string_view message, uint32_t number, const Replace &replace) {
    std::string bytes;
    WireCursor cursor(message);
    while (!cursor.atEnd()) {
      const char *start = cursor.position();
      WireField field;
      if (!cursor.next(field))
        return failure(Error::Code::BadInput, file.path(), "{}", cursor.problem);
      if (field.number != number || field.type != WireType::Bytes) {
        bytes.append(start, cursor.position());
        continue;
      }
      INGOT_ASSIGN(const std::string inner, replace(field.bytes));
      putBytes(bytes, number, inner);
    }
    return bytes;
  }

  Result<std::string> initializer(std::string_view message) {
    TensorProto proto;
    INGOT_TRY(WireReader(message, file.path()).read(proto));
    auto value = values.find(std::string(proto.name));
    if (value == values.end() && proto.dataLocation != 1)
      return std::string(message);
    INGOT_ASSIGN(const Tensor before, file.tensor(proto));
    if (value == values.end())
      return tensorMessage(proto, before);
    done.insert(proto.name);
    if (value->second.type() != before.type() || value->second.shape() != before.shape())
      return failure(Error::Code::BadInput, file.path(), "'{}' is {} {}, but the new value {} {}",
                     proto.name, toString(before.shape()), name(before.type()),
                     toString(value->second.shape()), name(value->second.type()));
    return tensorMessage(proto, value->second);
  }

  const OnnxFile &file;
  const std::map<std::string, Tensor> &values;
  std::set<std::string_view, std::less<>> done;
};

} // namespace

Result<std::string> withWeights(const OnnxFile &file, const std::map<std::string, Tensor> &values) {
  return Exporter(file, values).run();
}

} // namespace ingot::onnx
