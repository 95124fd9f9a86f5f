/// Pages of files are given back, what somebody wrote is not.
#include "runtime/support/FilePages.h"
#include "runtime/support/File.h"
#include "test/runtime/TestPrograms.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace ingot {
namespace {

size_t residentPages(const uint8_t *start, size_t pages, size_t pageSize) {
  // Of this process, not of the page cache: mincore would tell of the file's.
  size_t resident = 0;
  FILE *map = std::fopen("/proc/self/pagemap", "rb");
  EXPECT_TRUE(map);
  std::fseek(map, long(reinterpret_cast<uintptr_t>(start) / pageSize * 8), SEEK_SET);
  for (size_t page = 0; page < pages; ++page) {
    uint64_t flags = 0;
    EXPECT_EQ(std::fread(&flags, 8, 1, map), 1u);
    resident += flags >> 63;
  }
  std::fclose(map);
  return resident;
}

TEST(FilePages, whatAFileHoldsIsGivenBack) {
  const auto pageSize = size_t(::sysconf(_SC_PAGESIZE));
  const size_t pages = 5000; // more than are looked at together
  test::TemporaryFolder folder;
  test::writeQuickly(folder / "data", std::string(pages * pageSize, 'x'));
  Result<MappedFile> file = MappedFile::open(folder / "data");
  ASSERT_TRUE(file);
  std::span<uint8_t> bytes = file->bytes();
  auto sum = [&] {
    uint64_t total = 0;
    for (size_t page = 0; page < pages; ++page)
      total += bytes[page * pageSize];
    return total;
  };
  const uint64_t before = sum();
  EXPECT_EQ(residentPages(bytes.data(), pages, pageSize), pages);
  releaseFilePages(bytes.data() + 3, bytes.size() - 3);
  EXPECT_EQ(residentPages(bytes.data(), pages, pageSize), 0u);
  EXPECT_EQ(sum(), before);
  bytes[7 * pageSize] = 'y';
  releaseFilePages(bytes.data(), bytes.size());
  EXPECT_EQ(bytes[7 * pageSize], 'y') << "a changed page is no page of the file";
  EXPECT_LT(residentPages(bytes.data(), pages, pageSize), pages);
  std::vector<uint8_t> own(64 * pageSize, 3);
  releaseFilePages(own.data(), own.size());
  EXPECT_EQ(std::ranges::count(own, 3), int64_t(own.size()));
}

} // namespace
} // namespace ingot
