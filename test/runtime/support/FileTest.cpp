/// Files appear whole or not at all; what is no regular file is never replaced.
#include "runtime/support/File.h"
#include "test/runtime/Support.h"
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <thread>

namespace ingot {
namespace {

namespace fs = std::filesystem;

TEST(AtomicFile, withoutACommitNothingRemains) {
  test::TemporaryFolder folder;
  const std::string path = folder / "file";
  ASSERT_TRUE(writeFile(path, "before"));
  {
    AtomicFile file = AtomicFile::create(path).value();
    ASSERT_TRUE(file.write("after"));
  }
  EXPECT_EQ(readFile(path).value(), "before");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "."), fs::directory_iterator()), 1);
}

TEST(AtomicFile, pipesAreWrittenTo) {
  test::TemporaryFolder folder;
  const std::string path = folder / "pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  Result<std::string> heard;
  std::thread reader([&] { heard = readFile(path); });
  EXPECT_TRUE(writeFile(path, "through"));
  if (!fs::is_fifo(path)) // it was replaced: the reader must not wait for ever
    ::close(::open(path.c_str(), O_WRONLY));
  reader.join();
  EXPECT_EQ(heard.value(), "through");
  EXPECT_TRUE(fs::is_fifo(path));
}

TEST(AtomicFile, devicesStayDevices) {
  // Through a link: were the file replaced, it would be the link, not the machine's device.
  test::TemporaryFolder folder;
  for (const char *device : {"/dev/null", "/dev/full"}) {
    const std::string path = folder / "device";
    fs::remove(path);
    fs::create_symlink(device, path);
    const Status written = writeFile(path, "gone");
    EXPECT_EQ(bool(written), device == std::string_view("/dev/null"));
    EXPECT_TRUE(fs::is_symlink(path));
    EXPECT_TRUE(fs::is_character_file(path));
  }
}

TEST(AtomicFile, linksAreFollowed) {
  test::TemporaryFolder folder;
  ASSERT_TRUE(writeFile(folder / "file", "before"));
  fs::create_symlink("file", folder / "link");
  ASSERT_TRUE(writeFile(folder / "link", "after"));
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(readFile(folder / "file").value(), "after");
}

TEST(AtomicFile, directoriesAreRefused) {
  test::TemporaryFolder folder;
  EXPECT_FALSE(writeFile(folder / ".", "text"));
}

} // namespace
} // namespace ingot
