#include "runtime/support/FilePages.h"
#include <algorithm>
#include <cstdint>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace ingot {
namespace {

/// Flags of a page in /proc/self/pagemap.
constexpr uint64_t isOfFile = uint64_t(1) << 61, isSwapped = uint64_t(1) << 62,
                   isPresent = uint64_t(1) << 63;

} // namespace

void releaseFilePages(const void *start, size_t bytes) {
  constexpr size_t pagesAtOnce = 4096;
  const auto pageSize = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<uintptr_t>(start);
  const size_t first = address / pageSize, end = (address + bytes + pageSize - 1) / pageSize;
  const int map = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (map < 0)
    return;
  std::vector<uint64_t> flags(pagesAtOnce);
  for (size_t page = first; page < end;) {
    const size_t count = std::min(pagesAtOnce, end - page), wanted = count * sizeof(uint64_t);
    if (::pread(map, flags.data(), wanted, static_cast<off_t>(page * sizeof(uint64_t))) !=
        static_cast<ssize_t>(wanted))
      break;
    // A changed page of a private mapping is no page of the file any more.
    const bool areClean =
        std::all_of(flags.begin(), flags.begin() + ptrdiff_t(count), [](uint64_t flag) {
          return !(flag & isSwapped) && (!(flag & isPresent) || (flag & isOfFile));
        });
    if (areClean)
      ::madvise(reinterpret_cast<void *>(page * pageSize), count * pageSize, MADV_DONTNEED);
    page += count;
  }
  ::close(map);
}

} // namespace ingot
