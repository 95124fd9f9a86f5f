/// An ONNX file: its messages and, mapped, the bytes that they are views of.
#pragma once
#include "frontend/onnx/Proto.h"
#include "runtime/program/Tensor.h"
#include "runtime/support/File.h"
#include <map>
#include <mutex>
#include <optional>
#include <span>

namespace ingot::onnx {

/// The element type of onnx.proto's DataType; nothing for strings, complex numbers and what Ingot
/// has no type for.
std::optional<ElementType> elementTypeOf(int32_t dataType);
/// `FLOAT`, `STRING`, …: onnx.proto's spelling, or the number.
std::string dataTypeName(int32_t dataType);

/// Whether an initializer is a parameter: float, of one dimension or more. A scalar is a number of
/// the model's definition, which exporters move out of their nodes.
bool isParameter(ElementType type, const Shape &shape);

/// Whether a file is meant to be ONNX: by its name, or because it begins with the field
/// `ir_version`, as what every exporter writes does.
bool isOnnx(const std::string &path);

/// The version of a domain's operators in a list; 0 if it has none. ONNX's own domain is "" and
/// "ai.onnx".
int64_t versionOf(std::span<const OperatorSetIdProto> sets, std::string_view domain);

class OnnxFile {
public:
  /// Errors: Io, and BadInput that names the damaged byte.
  static Result<OnnxFile> open(const std::string &path);
  /// The same from memory; `place` stands for the file in errors, external data is beside it.
  static Result<OnnxFile> parse(std::string bytes, std::string place);

  const ModelProto &model() const { return *proto; }
  std::string_view bytes() const { return contents; }
  const std::string &path() const { return name; }
  /// The version of a domain's operators; 0 if the file imports none.
  int64_t opset(std::string_view domain) const { return versionOf(proto->opsets, domain); }

  /// A tensor's elements: a range of the mapped file where they lie there as in memory, aligned or
  /// not (copy them before reading elements), else a copy. Errors name the tensor.
  Result<Tensor> tensor(const TensorProto &tensor) const;

private:
  /// Files of weights, mapped on first use.
  struct External {
    std::mutex mutex;
    std::map<std::string, MappedFile> files;
  };
  static Result<OnnxFile> read(std::string_view bytes, std::shared_ptr<void> memory,
                               std::string place);
  Result<Tensor> externalTensor(const TensorProto &tensor, ElementType type) const;

  std::string name;
  std::string_view contents;
  std::shared_ptr<void> memory; ///< keeps `proto`'s views alive
  std::shared_ptr<const ModelProto> proto;
  std::shared_ptr<External> external;
};

/// Its elements at an address that their type may be read from: a copy where it is not so already.
Tensor aligned(const Tensor &tensor);

/// A tensor message that stands alone in a file, as ONNX's test data have it.
Result<Tensor> readTensorFile(const std::string &path);
/// A sequence of tensors in a file, or an optional tensor or sequence; nothing if that is empty.
Result<std::optional<std::vector<Tensor>>> readSequenceFile(const std::string &path,
                                                            bool isOptional);

} // namespace ingot::onnx
