/// The entry points of a CPU code image, listed at its end: calling into the middle of a kernel, or
/// with other parameters than its code was made for, is found out before anything runs.
#pragma once
#include "runtime/program/Program.h"

namespace ingot {

struct ImageEntry {
  std::string symbol;
  int64_t offset = 0;     ///< of the first instruction in the image
  uint64_t interface = 0; ///< `interfaceOf` the kernel that the code was made for
};

/// Hash of what the code and its callers must agree on: launch and parameters.
uint64_t interfaceOf(const Kernel &kernel);

/// Ends an image with the table of its entries.
void appendEntries(std::vector<uint8_t> &image, std::span<const ImageEntry> entries);

/// The table at the end of an image, by symbol in the order of the image. BadInput if there is none
/// or it is damaged.
Result<std::vector<ImageEntry>> entriesOf(std::span<const uint8_t> image);

} // namespace ingot
