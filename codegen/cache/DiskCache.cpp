#include "codegen/cache/DiskCache.h"
#include "runtime/support/File.h"
#define XXH_INLINE_ALL
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <unistd.h>
#include <xxhash.h>

namespace fs = std::filesystem;

namespace ingot {
namespace {

/// Every entry starts with this and the XXH3 of its payload.
constexpr char magic[8] = {'I', 'N', 'G', 'O', 'T', 'C', '0', '1'};
constexpr size_t headerBytes = sizeof magic + sizeof(uint64_t);

/// Of files on their way to an entry. A process that is killed leaves one behind.
const std::string writingPrefix = ".writing-";
constexpr auto abandonedAfter = std::chrono::hours(1);

bool isTemporary(const std::string &name) {
  return name.starts_with(writingPrefix) || name.find(temporaryMark) != name.npos;
}

} // namespace

std::string contentHash(std::string_view bytes) {
  XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

DiskCache::DiskCache(std::string directory, int64_t limitBytes)
    : directory(std::move(directory)), limit(limitBytes) {}

std::string DiskCache::defaultDirectory() {
  if (const char *own = std::getenv("INGOT_CACHE"))
    return own;
  if (const char *xdg = std::getenv("XDG_CACHE_HOME"); xdg && *xdg)
    return fs::path(xdg) / "ingot";
  if (const char *home = std::getenv("HOME"); home && *home)
    return fs::path(home) / ".cache" / "ingot";
  return "";
}

std::optional<std::vector<uint8_t>> DiskCache::get(const std::string &key) const {
  if (!enabled())
    return std::nullopt;
  fs::path path = fs::path(directory) / key;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file)
    return std::nullopt;
  std::vector<uint8_t> bytes(file.tellg());
  file.seekg(0);
  file.read(reinterpret_cast<char *>(bytes.data()), bytes.size());
  uint64_t checksum = 0;
  bool whole =
      file && bytes.size() >= headerBytes && std::memcmp(bytes.data(), magic, sizeof magic) == 0;
  if (whole) {
    std::memcpy(&checksum, bytes.data() + sizeof magic, sizeof checksum);
    whole = checksum == XXH3_64bits(bytes.data() + headerBytes, bytes.size() - headerBytes);
  }
  std::error_code ignored;
  if (!whole) {
    fs::remove(path, ignored);
    return std::nullopt;
  }
  fs::last_write_time(path, fs::file_time_type::clock::now(), ignored); // for eviction
  bytes.erase(bytes.begin(), bytes.begin() + headerBytes);
  return bytes;
}

void DiskCache::put(const std::string &key, std::span<const uint8_t> bytes) const {
  if (!enabled())
    return;
  std::error_code ignored;
  fs::create_directories(directory, ignored);
  // Not durable, unlike AtomicFile's: an entry that a power cut damages is compiled again.
  std::string temporary = (fs::path(directory) / (writingPrefix + "XXXXXX")).string();
  const int descriptor = mkstemp(temporary.data());
  if (descriptor < 0)
    return setProblem(systemFailure(errno, directory, "create a file").value().text());
  close(descriptor);
  std::ofstream file(temporary, std::ios::binary);
  const uint64_t checksum = XXH3_64bits(bytes.data(), bytes.size());
  file.write(magic, sizeof magic);
  file.write(reinterpret_cast<const char *>(&checksum), sizeof checksum);
  file.write(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  file.close();
  if (!file || ::rename(temporary.c_str(), path(key).c_str()) != 0) {
    setProblem(systemFailure(errno, path(key), "write the file").value().text());
    fs::remove(temporary, ignored);
    return;
  }
  evict();
}

std::string DiskCache::problem() const {
  std::lock_guard lock(mutex);
  return firstProblem;
}

void DiskCache::setProblem(const std::string &text) const {
  std::lock_guard lock(mutex);
  if (firstProblem.empty())
    firstProblem = text;
}

std::string DiskCache::path(const std::string &key) const { return fs::path(directory) / key; }

std::vector<std::string> DiskCache::keys(const std::string &suffix) const {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto &entry : fs::directory_iterator(directory, ignored)) {
    std::string key = entry.path().filename();
    if (key.ends_with(suffix) && key.front() != '.')
      found.push_back(key);
  }
  std::sort(found.begin(), found.end());
  return found;
}

void DiskCache::evict() const {
  struct Entry {
    fs::file_time_type used;
    int64_t bytes;
    fs::path path;
  };
  std::vector<Entry> entries;
  int64_t total = 0;
  std::error_code ignored;
  for (const auto &entry : fs::directory_iterator(directory, ignored)) {
    int64_t bytes = entry.file_size(ignored);
    if (ignored)
      continue; // another process evicted it first
    const fs::file_time_type used = entry.last_write_time(ignored);
    if (isTemporary(entry.path().filename()) &&
        used + abandonedAfter < fs::file_time_type::clock::now()) {
      fs::remove(entry.path(), ignored);
      continue;
    }
    entries.push_back({used, bytes, entry.path()});
    total += bytes;
  }
  if (total <= limit)
    return;
  std::sort(entries.begin(), entries.end(),
            [](const Entry &a, const Entry &b) { return a.used < b.used; });
  for (const Entry &entry : entries) {
    if (total <= limit)
      return;
    fs::remove(entry.path, ignored);
    total -= entry.bytes;
  }
}

} // namespace ingot
