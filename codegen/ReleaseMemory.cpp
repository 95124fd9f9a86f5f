#include "codegen/ReleaseMemory.h"
#include <cstdint>
#include <link.h>
#include <malloc.h>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>

namespace ingot {
namespace {

bool isCompilerLibrary(std::string_view path) {
  std::string_view name = path.substr(path.rfind('/') + 1);
  return name.starts_with("libLLVM") || name.starts_with("libMLIR");
}

/// Drops the pages of one library that are as the file has them: those of its segments that nobody
/// may write. Relocated data lies in segments that are writable until the loader is done.
int dropCleanPages(dl_phdr_info *library, size_t, void *) {
  if (!isCompilerLibrary(library->dlpi_name))
    return 0;
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (int index = 0; index < library->dlpi_phnum; ++index) {
    const ElfW(Phdr) &segment = library->dlpi_phdr[index];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W))
      continue;
    const uintptr_t first = library->dlpi_addr + segment.p_vaddr;
    const uintptr_t begin = (first + page - 1) / page * page;
    const uintptr_t end = (first + segment.p_memsz) / page * page;
    if (begin < end)
      ::madvise(reinterpret_cast<void *>(begin), end - begin, MADV_DONTNEED);
  }
  return 0;
}

} // namespace

void releaseCompilerMemory() {
  ::malloc_trim(0);
  ::dl_iterate_phdr(dropCleanPages, nullptr);
}

} // namespace ingot
