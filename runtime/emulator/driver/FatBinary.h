/// Fat binaries: the containers in which nvcc keeps the PTX and the machine code of a translation
/// unit for several architectures.
#pragma once
#include "runtime/support/Result.h"
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ingot::emulator {

/// A view: the container must outlive it.
class FatBinary {
public:
  struct Image {
    bool isPtx = false;   ///< otherwise machine code
    int architecture = 0; ///< 80, 90, …
    std::string name;     ///< the source file that nvcc was given; may be empty
    uint64_t flags = 0;
    std::string_view payload; ///< as it is stored: perhaps compressed
    uint64_t textBytes = 0;   ///< uncompressed; 0 where it is not compressed
  };

  /// Whether the bytes begin a container, or the wrapper that registration hands over.
  static bool isFatBinary(const void *bytes);
  /// Of a container or a wrapper. Sizes are taken from its headers.
  static Result<FatBinary> read(const void *bytes);

  const std::vector<Image> &images() const { return all; }
  /// The source file of its first image; "" if none names one.
  std::string name() const;
  /// The architecture of the newest PTX for at most `capability` (0: any); 0 if there is none.
  int newestPtx(int capability) const;
  /// That PTX as text. Without any, the error says what is there and how to compile.
  Result<std::string> ptx(int capability) const;

private:
  std::vector<Image> all;
  bool relocatable = false; ///< its parts have to be linked first
};

/// The text of a block of LZ4, which has to fill `bytes` exactly.
Result<std::string> decompressLz4(std::string_view block, uint64_t bytes);

} // namespace ingot::emulator
