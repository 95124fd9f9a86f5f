/// From an ONNX file to a model: nodes become graph ops by a table with a row per op and range of
/// opsets (Rows.h). The model is specialised to the shapes of its inputs, and to the values of
/// those inputs that shapes depend on; all arithmetic on shapes is folded.
#pragma once
#include "frontend/api/Model.h"
#include "frontend/onnx/OnnxFile.h"
#include <algorithm>
#include <set>

namespace ingot::onnx {

struct ImportOptions {
  /// Of inputs with symbolic sizes; they must fit what the file says, where 0 stands for
  /// any size.
  std::map<std::string, Shape> shapes = {};
  /// Of inputs: used where an op's shape depends on them, and only then.
  std::map<std::string, Tensor> values = {};
  /// Of inputs that are sequences of tensors or optional: their elements. Each is an input of the
  /// model, `x.0`, `x.1`, …; an optional tensor keeps the name. Not named: an optional value is
  /// empty.
  std::map<std::string, std::vector<Tensor>> sequences = {};
};

/// Float initializers of one dimension or more become parameters with their values in
/// `Model::weights`; all other initializers become constants. Nodes that cannot be imported are one
/// Unsupported error that lists them all, with name, op, opset and reason. `fixed`, unless null,
/// are afterwards the inputs whose values the model holds: it is for these values alone.
Result<Model> importModel(const OnnxFile &file, const ImportOptions &options = {},
                          std::set<std::string> *fixed = nullptr);

/// A model's boundary as the file says it.
struct FilePort {
  enum class Kind { Tensor, Sequence, Optional, OptionalSequence };
  std::string name;
  Kind kind = Kind::Tensor;
  ElementType type = ElementType::F32;
  Shape shape;                      ///< see isOpen
  std::vector<std::string> symbols; ///< a name for each dimension; empty where it has none
  bool hasShape = true;
};

/// Whether a size of a port is not known before run time. Exporters write 0 for that, too.
constexpr bool isOpen(int64_t size) { return size <= 0; }
/// Whether all sizes are known.
inline bool isClosed(const FilePort &port) {
  return port.hasShape && std::ranges::none_of(port.shape, isOpen);
}

/// Inputs that no initializer fills, or outputs. Unsupported for what is not made of tensors.
Result<std::vector<FilePort>> inputsOf(const OnnxFile &file);
Result<std::vector<FilePort>> outputsOf(const OnnxFile &file);

} // namespace ingot::onnx
