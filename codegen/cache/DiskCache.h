/// A bounded directory of blobs by key, shared safely between processes.
#pragma once
#include "runtime/support/Result.h"
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ingot {

/// 128 bits of XXH3 as 32 hexadecimal digits.
std::string contentHash(std::string_view bytes);

/// Entries are written to a temporary file and renamed, carry a checksum, and are read whole: a
/// reader sees a complete entry or none. A damaged entry is deleted and counts as missing. When the
/// directory outgrows its limit, the entries used least recently go first.
class DiskCache {
public:
  /// `directory` is created on the first write. An empty one switches the cache off.
  explicit DiskCache(std::string directory, int64_t limitBytes = int64_t(1) << 30);

  bool enabled() const { return !directory.empty(); }
  std::optional<std::vector<uint8_t>> get(const std::string &key) const;
  /// A cache that cannot be written is no error: the next run compiles again. See `problem`.
  void put(const std::string &key, std::span<const uint8_t> bytes) const;
  /// Why the first entry that could not be written was not; empty if all were. For one report.
  std::string problem() const;
  /// Notes why an entry was not written.
  void setProblem(const std::string &text) const;
  /// The file of an entry that is written by other means; call `evict` after writing it.
  std::string path(const std::string &key) const;
  /// Deletes the entries used least recently until the limit holds.
  void evict() const;
  /// Keys present that end in `suffix`.
  std::vector<std::string> keys(const std::string &suffix) const;

  /// $INGOT_CACHE, else $XDG_CACHE_HOME/ingot, else ~/.cache/ingot.
  static std::string defaultDirectory();

private:
  std::string directory;
  int64_t limit;
  mutable std::mutex mutex; ///< of `firstProblem`: kernels are compiled by several threads
  mutable std::string firstProblem;
};

} // namespace ingot
