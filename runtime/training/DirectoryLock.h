/// One writer per directory: two runs in one directory would overwrite each other's checkpoints.
#pragma once
#include "runtime/support/Result.h"
#include <string_view>
#include <utility>

namespace ingot {

/// Holds `DIR/.lock` from `take` to destruction. The system drops the lock of a process that dies,
/// so one that is killed never has to be cleaned up after.
class DirectoryLock {
public:
  static constexpr std::string_view fileName = ".lock";
  /// Creates the directory if need be. Unsupported, naming the process, if another one holds it.
  static Result<DirectoryLock> take(const std::string &directory);
  DirectoryLock(DirectoryLock &&other) noexcept
      : path(std::move(other.path)), descriptor(std::exchange(other.descriptor, -1)) {}
  DirectoryLock &operator=(DirectoryLock &&other) noexcept {
    std::swap(path, other.path);
    std::swap(descriptor, other.descriptor);
    return *this;
  }
  ~DirectoryLock();

private:
  DirectoryLock(std::string path, int descriptor) : path(std::move(path)), descriptor(descriptor) {}

  std::string path;
  int descriptor = -1;
};

} // namespace ingot
