/// Trained weights back in the ONNX file that they came from.
#pragma once
#include "frontend/onnx/OnnxFile.h"

namespace ingot::onnx {

/// The bytes of the file with other values in some of its initializers; all else, nodes and names
/// included, is as it was. Data in other files is part of the bytes afterwards. Errors: a value
/// that the file has no initializer of that type and shape for; more than the 2 GB that such a file
/// holds.
Result<std::string> withWeights(const OnnxFile &file, const std::map<std::string, Tensor> &values);

} // namespace ingot::onnx
