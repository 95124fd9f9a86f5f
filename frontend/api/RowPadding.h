/// Batches filled up to a bucket of rows, where that provably changes no result.
///
/// The proof compares two graphs of one file, for the rows that there are and for those of the
/// bucket: where sizes differ is where rows are. Op by op each row of a value must follow from the
/// same row of what the op reads (RowStructure.h).
#pragma once
#include "codegen/CompileOptions.h"
#include "frontend/api/Ingot.h"
#include "frontend/onnx/Import.h"

namespace ingot {

class RowPadding {
public:
  using Shapes = std::map<std::string, Shape>;
  /// Of a batch with inputs of these shapes, and these values as far as they are known. Pads
  /// nothing where the rows fill a bucket, or where a sum might be added up in another order;
  /// Unsupported with the node that is in the way where rows depend on each other.
  static Result<RowPadding> of(const onnx::OnnxFile &file,
                               std::span<const onnx::FilePort> inputPorts, const Shapes &shapes,
                               const Tensors &values, const CompileOptions &options,
                               const std::string &device);

  bool pads() const { return bucket > rows; }
  void pad(Shapes &shapes) const;
  /// Inputs with as many rows as the bucket has: the last one is repeated.
  Tensors pad(const Tensors &inputs) const;
  /// Takes those rows out of the outputs.
  void cut(Tensors &outputs) const;

private:
  int64_t rows = 0, bucket = 0;
  std::set<std::string> inputs; ///< that have rows
  /// Dimensions of rows of outputs.
  std::map<std::string, int64_t> outputs;
};

} // namespace ingot
