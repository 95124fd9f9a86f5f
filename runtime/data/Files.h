/// Whole files in and out.
#pragma once
#include "runtime/Result.h"
#include <string>
#include <string_view>

namespace ingot {

/// The bytes of a file; gzip data is unpacked on the way. `-` reads standard input.
/// Errors: Io if it cannot be read, BadInput if gzip data is damaged or cut off.
Result<std::string> readFile(const std::string &path);

/// Writes a file whole: under another name first, then renamed, so that a reader or a crash never
/// sees half of it. `-` writes to standard output.
Status writeFile(const std::string &path, std::string_view bytes);

} // namespace ingot
