/// What the runtime's tests share: seeds that are printed, a folder of their own, and shared data.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <random>
#include <string>

namespace ingot::test {

/// A fresh seed (or INGOT_TEST_SEED), shown when the test fails.
inline uint64_t freshSeed() {
  const char *fixed = std::getenv("INGOT_TEST_SEED");
  uint64_t seed = fixed ? std::strtoull(fixed, nullptr, 10) : std::random_device()();
  testing::Test::RecordProperty("seed", std::to_string(seed));
  return seed;
}

/// A new folder that goes away with the object.
class TemporaryFolder {
public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "ingot-test-XXXXXX").string();
    root = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(root); }
  std::string operator/(const std::string &name) const { return (root / name).string(); }

private:
  std::filesystem::path root;
};

/// Data that lies beside the repository; tests that need it skip where it is absent.
inline std::string sharedData(const std::string &name) {
  return std::string(INGOT_SOURCE_DIR) + "/../shared/data/" + name;
}

} // namespace ingot::test

#define SKIP_WITHOUT(path)                                                                         \
  if (!std::filesystem::exists(path))                                                              \
  GTEST_SKIP() << (path) << " is not here"
