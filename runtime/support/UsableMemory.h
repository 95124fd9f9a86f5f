/// How much memory there is.
#pragma once
#include <cstdint>

namespace ingot {

/// Bytes of memory that this process may use: the machine's, bounded by its cgroup's limit.
int64_t usableMemory();

} // namespace ingot
