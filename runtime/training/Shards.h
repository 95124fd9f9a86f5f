/// Safetensors over several files, as Hugging Face writes large models: an index that says which
/// file holds which tensor.
#pragma once
#include "runtime/training/Safetensors.h"

namespace ingot {

/// Whether a name is that of an index: `….safetensors.index.json`.
bool isShardIndex(std::string_view path);

/// All tensors that the index names, and its metadata where it is text. Errors name the file.
Result<Safetensors> readShards(const std::string &indexPath);

/// Writes `PREFIX-00001-of-00003.safetensors`, … of at most so many bytes each (or one tensor),
/// then `PREFIX.safetensors.index.json`. One shard would do: PREFIX.safetensors alone.
Status writeShards(const std::string &prefix, const Safetensors &contents, int64_t largest);

} // namespace ingot
