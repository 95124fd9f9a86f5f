/// Data files: standard streams and gzip besides what runtime/support/File.h does.
#pragma once
#include "runtime/support/File.h"
#include <string>
#include <string_view>

namespace ingot {

/// The bytes of a file; gzip data is unpacked on the way. `-` reads standard input.
/// Errors: Io if it cannot be read, BadInput if gzip data is damaged or cut off, or if it holds
/// more than `limit` bytes, packed or unpacked.
Result<std::string> readInput(const std::string &path, size_t limit = largestFile());

/// Replaces a file atomically. `-` writes to standard output.
Status writeOutput(const std::string &path, std::string_view bytes);

} // namespace ingot
