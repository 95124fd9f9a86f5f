#include "runtime/support/File.h"
#include "runtime/support/UsableMemory.h"
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ingot {

namespace {

/// Closes a descriptor at the end of a scope.
struct Descriptor {
  int value;
  ~Descriptor() {
    if (value >= 0)
      ::close(value);
  }
};

std::string folderOf(const std::string &path) {
  std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

/// A rename is durable only when its directory is.
Status syncFolder(const std::string &folder) {
  Descriptor descriptor{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (descriptor.value < 0)
    return systemFailure(errno, folder, "open the directory");
  // Some file systems cannot sync directories and say EINVAL; their renames need no help.
  if (::fsync(descriptor.value) != 0 && errno != EINVAL)
    return systemFailure(errno, folder, "sync the directory");
  return {};
}

} // namespace

tl::unexpected<Error> systemFailure(int errorNumber, const std::string &place,
                                    std::string_view action) {
  return failure(Error::Code::Io, place, "cannot {}: {}", action, std::strerror(errorNumber));
}

Result<MappedFile> MappedFile::open(const std::string &path) {
  Descriptor descriptor{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (descriptor.value < 0)
    return systemFailure(errno, path, "open the file");
  struct stat status;
  if (::fstat(descriptor.value, &status) != 0)
    return systemFailure(errno, path, "read the file");
  if (!S_ISREG(status.st_mode))
    return failure(Error::Code::Io, path, "not a regular file");
  MappedFile file;
  file.size = static_cast<size_t>(status.st_size);
  if (file.size == 0)
    return file; // mmap refuses empty ranges
  void *memory = ::mmap(nullptr, file.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE,
                        descriptor.value, 0);
  if (memory == MAP_FAILED)
    return systemFailure(errno, path, "map the file");
  file.memory = {memory, [size = file.size](void *start) { ::munmap(start, size); }};
  return file;
}

Result<AtomicFile> AtomicFile::create(const std::string &given) {
  std::string path = given;
  struct stat status;
  if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor < 0)
      return systemFailure(errno, path, "write the file");
    return AtomicFile(std::move(path), "", descriptor);
  }
  std::error_code error;
  if (std::filesystem::is_symlink(path, error))
    if (std::filesystem::path target = std::filesystem::canonical(path, error); !error)
      path = target.string();
  // Processes and threads that write the same file must not share a temporary one.
  static std::atomic<unsigned> counter{0};
  std::string temporary = fmt::format("{}{}{}-{}", path, temporaryMark, ::getpid(), counter++);
  int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0)
    return systemFailure(errno, path, "create the file");
  return AtomicFile(path, std::move(temporary), descriptor);
}

AtomicFile::AtomicFile(AtomicFile &&other) noexcept
    : path(std::move(other.path)), temporary(std::move(other.temporary)),
      descriptor(std::exchange(other.descriptor, -1)), written(other.written) {}

AtomicFile::~AtomicFile() {
  if (descriptor < 0)
    return;
  ::close(descriptor);
  if (!temporary.empty())
    ::unlink(temporary.c_str());
}

Status AtomicFile::write(const void *data, size_t bytes) {
  const char *next = static_cast<const char *>(data);
  for (size_t left = bytes; left > 0;) {
    // Linux writes at most 2 GiB at once.
    ssize_t done = ::write(descriptor, next, std::min(left, size_t(1) << 30));
    if (done < 0) {
      if (errno == EINTR)
        continue;
      return systemFailure(errno, path, "write the file");
    }
    next += done;
    left -= static_cast<size_t>(done);
  }
  written += bytes;
  return {};
}

Status AtomicFile::pad(size_t alignment) {
  static constexpr std::array<char, 4096> zeros{};
  for (size_t left = (alignment - written % alignment) % alignment; left > 0;) {
    size_t part = std::min(left, zeros.size());
    INGOT_TRY(write(zeros.data(), part));
    left -= part;
  }
  return {};
}

Status AtomicFile::commit() {
  if (temporary.empty()) {
    if (::close(std::exchange(descriptor, -1)) != 0)
      return systemFailure(errno, path, "write the file");
    return {};
  }
  if (::fsync(descriptor) != 0)
    return systemFailure(errno, path, "write the file");
  if (::rename(temporary.c_str(), path.c_str()) != 0)
    return systemFailure(errno, path, "replace the file");
  ::close(std::exchange(descriptor, -1));
  return syncFolder(folderOf(path));
}

size_t largestFile() { return size_t(usableMemory()) / 2; }

tl::unexpected<Error> tooLarge(const std::string &path, size_t limit) {
  return failure(Error::Code::BadInput, path,
                 "it holds more than {} bytes, which is too much to be read as a whole, or has no "
                 "end",
                 limit);
}

Result<std::string> readFile(const std::string &path, size_t limit) {
  Descriptor descriptor{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (descriptor.value < 0)
    return systemFailure(errno, path, "open the file");
  return readToEnd(descriptor.value, path, limit);
}

Result<std::string> readToEnd(int descriptor, const std::string &path, size_t limit) {
  std::string contents;
  std::array<char, 65536> buffer;
  for (;;) {
    ssize_t done = ::read(descriptor, buffer.data(), buffer.size());
    if (done < 0 && errno == EINTR)
      continue;
    if (done < 0)
      return systemFailure(errno, path, "read the file");
    if (done == 0)
      return contents;
    contents.append(buffer.data(), static_cast<size_t>(done));
    if (contents.size() > limit)
      return tooLarge(path, limit);
  }
}

Status writeFile(const std::string &path, std::string_view contents) {
  INGOT_ASSIGN(AtomicFile file, AtomicFile::create(path));
  INGOT_TRY(file.write(contents));
  return file.commit();
}

} // namespace ingot
