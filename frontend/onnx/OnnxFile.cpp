#include "frontend/onnx/OnnxFile.h"
#include "frontend/onnx/Wire.h"
#include <fstream>

namespace ingot::onnx {

bool isOnnx(const std::string &path) {
  if (path.ends_with(".onnx"))
    return true;
  char bytes[2] = {};
  std::ifstream file(path, std::ios::binary);
  file.read(bytes, sizeof bytes);
  // Field 1, a varint: versions are small, and no text starts so.
  return file.gcount() == sizeof bytes && bytes[0] == 0x08 && uint8_t(bytes[1]) < 0x40;
}

Result<OnnxFile> OnnxFile::read(std::string_view bytes, std::shared_ptr<void> memory,
                                std::string place) {
  auto model = std::make_shared<ModelProto>();
  INGOT_TRY(WireReader(bytes, place).read(*model));
  if (!model->graph)
    return failure(Error::Code::BadInput, place, "is no ONNX model: it has no graph");
  OnnxFile file;
  file.name = std::move(place);
  file.contents = bytes;
  file.memory = std::move(memory);
  file.proto = std::move(model);
  file.external = std::make_shared<External>();
  return file;
}

Result<OnnxFile> OnnxFile::open(const std::string &path) {
  INGOT_ASSIGN(MappedFile mapped, MappedFile::open(path));
  const std::span<uint8_t> bytes = mapped.bytes();
  return read({reinterpret_cast<const char *>(bytes.data()), bytes.size()}, mapped.share(0), path);
}

Result<OnnxFile> OnnxFile::parse(std::string text, std::string place) {
  auto bytes = std::make_shared<std::string>(std::move(text));
  return read(*bytes, {bytes, bytes->data()}, std::move(place));
}

int64_t versionOf(std::span<const OperatorSetIdProto> sets, std::string_view domain) {
  auto isOwn = [](std::string_view name) { return name.empty() || name == "ai.onnx"; };
  for (const OperatorSetIdProto &set : sets)
    if (set.domain == domain || (isOwn(set.domain) && isOwn(domain)))
      return set.version;
  return 0;
}

namespace {

/// Values that are beside a model: their bytes are read whole.
template <typename M>
Result<std::shared_ptr<std::string>> readMessage(const std::string &path, M &m) {
  INGOT_ASSIGN(std::string bytes, readFile(path));
  auto memory = std::make_shared<std::string>(std::move(bytes));
  INGOT_TRY(WireReader(*memory, path).read(m));
  return memory;
}

/// A model without anything, for the elements of tensors that belong to none.
Result<Tensor> elementsOf(const TensorProto &proto, const std::string &path) {
  constexpr std::string_view empty("\x08\x08\x3a\x00", 4);
  INGOT_ASSIGN(OnnxFile none, OnnxFile::parse(std::string(empty), path));
  INGOT_ASSIGN(Tensor tensor, none.tensor(proto));
  return tensor.clone();
}

} // namespace

Result<Tensor> readTensorFile(const std::string &path) {
  TensorProto proto;
  INGOT_ASSIGN(auto memory, readMessage(path, proto));
  return elementsOf(proto, path);
}

Result<std::optional<std::vector<Tensor>>> readSequenceFile(const std::string &path,
                                                            bool isOptional) {
  SequenceProto plain;
  OptionalProto optional;
  INGOT_ASSIGN(auto memory, isOptional ? readMessage(path, optional) : readMessage(path, plain));
  if (isOptional && !optional.tensor && !optional.sequence)
    return std::optional<std::vector<Tensor>>();
  std::vector<Tensor> tensors;
  auto add = [&](const TensorProto &proto) -> Status {
    INGOT_ASSIGN(Tensor tensor, elementsOf(proto, path));
    tensors.push_back(std::move(tensor));
    return {};
  };
  if (optional.tensor)
    INGOT_TRY(add(*optional.tensor));
  for (const TensorProto &proto : optional.sequence ? optional.sequence->tensors : plain.tensors)
    INGOT_TRY(add(proto));
  return std::optional(std::move(tensors));
}

} // namespace ingot::onnx
