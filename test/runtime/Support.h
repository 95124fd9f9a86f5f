/// What the tests of data and training share.
#pragma once
#include "test/runtime/TestPrograms.h"
#include <filesystem>
#include <gtest/gtest.h>
#include <string>

namespace ingot::test {

/// Data that lies beside the repository; tests that need it skip where it is absent.
inline std::string sharedData(const std::string &name) {
  return std::string(INGOT_SOURCE_DIR) + "/../shared/data/" + name;
}

} // namespace ingot::test

#define SKIP_WITHOUT(path)                                                                         \
  if (!std::filesystem::exists(path))                                                              \
  GTEST_SKIP() << (path) << " is not here"
