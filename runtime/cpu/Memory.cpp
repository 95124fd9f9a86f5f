#include "runtime/cpu/Memory.h"
#include "runtime/cpu/PageSize.h"
#include "runtime/cpu/ThreadPool.h"
#include "runtime/support/File.h"
#include "runtime/support/HumanBytes.h"
#include "runtime/support/UsableMemory.h"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <sys/mman.h>

namespace ingot {

namespace {

constexpr int64_t leastPopulated = 64 * hugePage;

void *mapPages(int64_t bytes) {
  return ::mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/// Maps `bytes` at a multiple of the huge page size and unmaps what was needed to find one.
void *mapHugePages(int64_t bytes) {
  void *mapped = mapPages(bytes + hugePage);
  if (mapped == MAP_FAILED)
    return mapped;
  auto *start = static_cast<uint8_t *>(mapped);
  const int64_t before = -reinterpret_cast<intptr_t>(start) & (hugePage - 1);
  if (before)
    ::munmap(start, static_cast<size_t>(before));
  if (before != hugePage)
    ::munmap(start + before + bytes, static_cast<size_t>(hugePage - before));
  ::madvise(start + before, static_cast<size_t>(bytes), MADV_HUGEPAGE);
  return start + before;
}

/// Not the clock on the wall: another process may have the CPU in between.
double threadSeconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

/// Finds memory for `count` times the bytes of a huge page.
void populatePages(uint8_t *start, int64_t count) {
  PageSizeChoice choice;
  while (count > 0) {
    PageSizeChoice::Stretch stretch = choice.next();
    stretch.count = std::min(stretch.count, count);
    const auto length = static_cast<size_t>(stretch.count * hugePage);
    const double before = threadSeconds();
    ::madvise(start, length, stretch.huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    // Linux before 5.14 does not know this, and the pages come when they are touched.
    if (::madvise(start, length, MADV_POPULATE_WRITE) != 0)
      return;
    choice.took(stretch, threadSeconds() - before);
    start += length;
    count -= stretch.count;
  }
}

} // namespace

Result<Pages> Pages::allocate(int64_t bytes, std::string_view what) {
  constexpr int64_t page = 4096;
  Pages pages;
  if (bytes <= 0)
    return pages;
  // Linux promises more than it has and kills who uses it: refuse what can never fit.
  if (bytes > usableMemory())
    return failure(Error::Code::Io, "", "{} needs {}, but this process may use only {} of memory",
                   what, humanBytes(bytes), humanBytes(usableMemory()));
  // The caches index large pages by the program's own addresses: what fits them stays in them.
  const int64_t unit = bytes >= hugePage / 4 ? hugePage : page;
  pages.bytes = (bytes + unit - 1) / unit * unit;
  void *memory = pages.bytes >= hugePage ? mapHugePages(pages.bytes) : mapPages(pages.bytes);
  if (memory == MAP_FAILED) {
    pages.bytes = 0;
    return failure(Error::Code::Io, "", "{} needs {}, which cannot be had: {}", what,
                   humanBytes(bytes), std::strerror(errno));
  }
  pages.start = static_cast<uint8_t *>(memory);
  return pages;
}

void Pages::populate(ThreadPool &pool) {
  if (bytes < leastPopulated)
    return;
  // In the pool's shares: each begins with trials of both page sizes.
  TaskList tasks({{.grains = bytes / hugePage, .smallest = leastPopulated / hugePage}},
                 {.predecessors = {{}}, .successors = {{}}});
  pool.run(tasks, [&](int, const TaskList::Range &range) {
    populatePages(start + range.lo * hugePage, range.hi - range.lo);
  });
  pool.release();
  // Where small pages were found sooner the system may join them to huge ones later on.
  ::madvise(start, static_cast<size_t>(bytes), MADV_HUGEPAGE);
}

Pages::Pages(Pages &&other) noexcept
    : start(std::exchange(other.start, nullptr)), bytes(std::exchange(other.bytes, 0)) {}

Pages &Pages::operator=(Pages &&other) noexcept {
  std::swap(start, other.start);
  std::swap(bytes, other.bytes);
  return *this;
}

Pages::~Pages() {
  if (start)
    ::munmap(start, static_cast<size_t>(bytes));
}

Result<Pages> mapCode(std::span<const uint8_t> code) {
  INGOT_ASSIGN(Pages pages, Pages::allocate(static_cast<int64_t>(code.size()), "machine code"));
  if (code.empty())
    return pages;
  std::memcpy(pages.data(), code.data(), code.size());
  if (::mprotect(pages.data(), static_cast<size_t>(pages.size()), PROT_READ | PROT_EXEC) != 0)
    return systemFailure(errno, "machine code", "make memory executable");
  return pages;
}

} // namespace ingot
