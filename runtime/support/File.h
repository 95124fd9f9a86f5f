/// Files as the runtime needs them: mapped for reading, replaced atomically for writing.
#pragma once
#include "runtime/support/Result.h"
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace ingot {

/// The operating system's answer to a failed call: `place: cannot ACTION: No space left on device`.
tl::unexpected<Error> systemFailure(int errorNumber, const std::string &place,
                                    std::string_view action);

/// A whole file in memory. The mapping is private: writing to it changes memory, never the file.
/// Copies share the mapping.
class MappedFile {
public:
  static Result<MappedFile> open(const std::string &path);
  std::span<uint8_t> bytes() const { return {static_cast<uint8_t *>(memory.get()), size}; }
  /// A pointer into the mapping that keeps it alive.
  std::shared_ptr<void> share(size_t offset) const {
    return {memory, static_cast<uint8_t *>(memory.get()) + offset};
  }

private:
  std::shared_ptr<void> memory;
  size_t size = 0;
};

/// A file that appears whole or not at all: bytes go to a temporary file beside it, and `commit`
/// makes them durable and renames it into place. Without a commit nothing remains. A link is
/// followed; what is no regular file, such as /dev/null or a pipe, is written to, never replaced.
class AtomicFile {
public:
  static Result<AtomicFile> create(const std::string &path);
  AtomicFile(AtomicFile &&other) noexcept;
  AtomicFile &operator=(AtomicFile &&) = delete;
  ~AtomicFile();

  Status write(const void *data, size_t bytes);
  Status write(std::string_view text) { return write(text.data(), text.size()); }
  /// Zeros up to the next multiple of `alignment`.
  Status pad(size_t alignment);
  size_t size() const { return written; }
  Status commit();

private:
  AtomicFile(std::string path, std::string temporary, int descriptor)
      : path(std::move(path)), temporary(std::move(temporary)), descriptor(descriptor) {}

  std::string path, temporary; ///< no temporary: `path` is written to
  int descriptor = -1;
  size_t written = 0;
};

/// What the names of temporary files hold, after the name of the file that they become.
inline constexpr std::string_view temporaryMark = ".partial-";

/// The most that a file may hold to be read as a whole: half of the memory. Devices and pipes say
/// no size, and /dev/zero has no end.
size_t largestFile();
/// Errors: Io if it cannot be read, BadInput if it holds more than `limit` bytes.
Result<std::string> readFile(const std::string &path, size_t limit = largestFile());
/// The same of an open descriptor, from where it stands to its end; errors name `path`.
Result<std::string> readToEnd(int descriptor, const std::string &path, size_t limit);
/// What a file of more than `limit` bytes is refused with.
tl::unexpected<Error> tooLarge(const std::string &path, size_t limit);
/// Replaces a file's contents atomically.
Status writeFile(const std::string &path, std::string_view contents);

} // namespace ingot
