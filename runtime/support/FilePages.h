/// Memory that a file can bring again.
#pragma once
#include <cstddef>

namespace ingot {

/// Gives back the pages of a stretch of a mapped file that nobody has changed; they are read from
/// the file when they are touched again. Other memory stays as it is.
void releaseFilePages(const void *start, size_t bytes);

} // namespace ingot
