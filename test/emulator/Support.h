/// A device memory, a module and launches, for the emulator's tests.
#pragma once
#include "Reference.h"
#include "runtime/emulator/Checks.h"
#include "runtime/emulator/Module.h"
#include <gtest/gtest.h>
#include <random>

namespace ingot::emulator::test {

/// One module with its memory. Every failure to load or launch is a test failure.
class Device {
public:
  explicit Device(std::string ptx, std::string name = "test.ptx");

  /// A buffer with the values; findings call it `name`.
  template <typename T> uint64_t upload(const std::vector<T> &values, std::string name = {}) {
    return uploadBytes(values.data(), values.size() * sizeof(T), std::move(name));
  }
  template <typename T> std::vector<T> download(uint64_t address, size_t count) {
    std::vector<T> values(count);
    downloadBytes(address, values.data(), count * sizeof(T));
    return values;
  }

  /// Parameters are laid out one after the other with their natural alignment.
  template <typename... T>
  LaunchResult launch(std::string_view kernel, Dim3 grid, Dim3 block, T... parameters) {
    std::vector<std::byte> bytes;
    (append(bytes, &parameters, sizeof(T)), ...);
    return launchBytes(kernel, grid, block, std::move(bytes));
  }

  GlobalMemory memory;
  std::unique_ptr<Module> module;
  LaunchOptions options;
  Dim3 cluster;
  int64_t dynamicSharedBytes = 0;
  bool expectFindings = false; ///< otherwise any finding fails the test
  CheckOptions checks;         ///< all on
  MemoryCounters counters;     ///< of the last launch

private:
  uint64_t uploadBytes(const void *data, size_t bytes, std::string name);
  void downloadBytes(uint64_t address, void *data, size_t bytes);
  static void append(std::vector<std::byte> &to, const void *value, size_t bytes);
  LaunchResult launchBytes(std::string_view kernel, Dim3 grid, Dim3 block,
                           std::vector<std::byte> parameters);
};

/// Text before the kernels of a module.
std::string header(std::string_view target = "sm_90a");

} // namespace ingot::emulator::test
