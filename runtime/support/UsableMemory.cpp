#include "runtime/support/UsableMemory.h"
#include <algorithm>
#include <fstream>
#include <unistd.h>

namespace ingot {

int64_t usableMemory() {
  int64_t bytes = int64_t(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
  std::ifstream file("/sys/fs/cgroup/memory.max"); // a number or `max`
  if (int64_t limit = 0; file >> limit && limit > 0)
    bytes = std::min(bytes, limit);
  return bytes;
}

} // namespace ingot
