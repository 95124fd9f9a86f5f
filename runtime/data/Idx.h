/// IDX files, the format of the MNIST data sets.
#pragma once
#include "runtime/program/Tensor.h"
#include <string_view>

namespace ingot {

/// Reads an IDX file (`.gz` too): two zero bytes, type, rank, big-endian dimensions and elements.
Result<Tensor> readIdx(const std::string &path);
Result<Tensor> parseIdx(std::string_view bytes, const std::string &place);

} // namespace ingot
