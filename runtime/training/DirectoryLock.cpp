#include "runtime/training/DirectoryLock.h"
#include "runtime/support/File.h"
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ingot {
namespace {

/// Whether a path still names the file that was opened: its directory may have been moved, or the
/// file deleted, since then.
bool isStillAt(int descriptor, const std::string &path) {
  struct stat opened, named;
  return ::fstat(descriptor, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/// The number of the process that wrote the file.
std::string holderOf(int descriptor) {
  char text[32];
  const ssize_t bytes = ::pread(descriptor, text, sizeof text, 0);
  return bytes > 0 ? "process " + std::string(text, size_t(bytes)) : "another process";
}

} // namespace

Result<DirectoryLock> DirectoryLock::take(const std::string &directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error)
    return failure(Error::Code::Io, directory, "cannot create the directory: {}", error.message());
  const std::string path = fmt::format("{}/{}", directory, fileName);
  for (;;) {
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0)
      return systemFailure(errno, path, "create the file");
    DirectoryLock lock("", descriptor);
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR)
        continue;
      if (errno != EWOULDBLOCK)
        return systemFailure(errno, path, "lock the directory");
      return failure(Error::Code::Unsupported, directory, "{} writes there at this moment",
                     holderOf(descriptor));
    }
    if (!isStillAt(descriptor, path))
      continue; // its holder deleted it between our two calls
    const std::string holder = std::to_string(::getpid());
    if (::ftruncate(descriptor, 0) != 0 ||
        ::pwrite(descriptor, holder.data(), holder.size(), 0) != ssize_t(holder.size()))
      return systemFailure(errno, path, "write the file");
    lock.path = path;
    return lock;
  }
}

DirectoryLock::~DirectoryLock() {
  if (descriptor < 0)
    return;
  if (isStillAt(descriptor, path))
    ::unlink(path.c_str());
  ::close(descriptor);
}

} // namespace ingot
