/// Links object files into one flat image that runs wherever it is mapped.
#pragma once
#include "runtime/support/Result.h"
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ingot {

/// Collects the code and read-only data of objects and resolves their relocations among themselves.
/// What would tie the image to an address or to a library (an absolute relocation, an undefined
/// symbol, writable data) is an error: the runtime maps the image as it is.
class ImageBuilder {
public:
  /// Adds an ELF object; returns the byte offsets of its symbols in the image.
  Result<std::vector<int64_t>> add(std::span<const uint8_t> object,
                                   const std::vector<std::string> &symbols);
  const std::vector<uint8_t> &bytes() const { return image; }
  std::vector<uint8_t> take() { return std::move(image); }

private:
  std::vector<uint8_t> image;
};

} // namespace ingot
