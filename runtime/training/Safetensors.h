/// The safetensors file format: a JSON table of named tensors, text metadata and one block of
/// bytes.
#pragma once
#include "runtime/program/Tensor.h"
#include <map>

namespace ingot {

/// The contents of a safetensors file.
struct Safetensors {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Reads a file, which stays mapped as long as one of the tensors lives; tensors are private copies
/// on write. Every size and offset is checked; the contents must match the checksum if the metadata
/// holds one.
Result<Safetensors> readSafetensors(const std::string &path);

/// Replaces a file atomically. Equal contents give equal bytes: tensors are ordered by element size
/// and name, and a checksum of header and bytes joins the metadata. Errors: types that the format
/// does not know (i4, u4), and whatever the operating system says.
Status writeSafetensors(const std::string &path, const Safetensors &contents);

} // namespace ingot
