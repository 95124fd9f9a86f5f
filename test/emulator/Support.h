/// Modules, memory and launches of the emulated device, for the emulator's tests.
#pragma once
#include "runtime/emulator/driver/Driver.h"
#include "test/emulator/Reference.h"
#include <gtest/gtest.h>
#include <random>

namespace ingot::emulator::test {

/// One module and the memory that a test uses, by way of the driver's table. Every failure to load
/// or launch is a test failure. Several may live at once: they share the process's one device,
/// which takes on the architecture of its modules, and a module's memory lives as long as its
/// Device. When the last one goes, the context is destroyed and must hold nothing.
class Device {
public:
  Device();
  explicit Device(const std::string &ptx, const std::string &name = "test.ptx");
  ~Device();
  Device(const Device &) = delete;

  void load(const std::string &ptx, const std::string &name = "test.ptx");

  /// Memory that nobody has written; findings call it `name`.
  uint64_t allocate(size_t bytes, const std::string &name = {});
  void write(uint64_t address, const void *data, size_t bytes);
  void read(uint64_t address, void *data, size_t bytes);
  void free(uint64_t address);

  /// A buffer with the values.
  template <typename T>
  uint64_t upload(const std::vector<T> &values, const std::string &name = {}) {
    const uint64_t address = allocate(values.size() * sizeof(T), name);
    write(address, values.data(), values.size() * sizeof(T));
    return address;
  }
  template <typename T> std::vector<T> download(uint64_t address, size_t count) {
    std::vector<T> values(count);
    read(address, values.data(), count * sizeof(T));
    return values;
  }

  /// Parameters are laid out one after the other with their natural alignment.
  template <typename... T>
  LaunchResult launch(const std::string &kernel, Dim3 grid, Dim3 block, T... parameters) {
    std::vector<std::byte> bytes;
    (append(bytes, &parameters, sizeof(T)), ...);
    return launchBytes(kernel, grid, block, std::move(bytes));
  }
  LaunchResult launchBytes(const std::string &kernel, Dim3 grid, Dim3 block,
                           std::vector<std::byte> parameters);
  /// Null, and a failure, if there is no such kernel.
  const CompiledKernel *kernel(const std::string &name);

  const ingot::cuda::Driver &driver = emulatedDriver();
  LaunchOptions options; ///< with a fresh seed
  Dim3 cluster;          ///< 1: what the kernel asks for, if it does
  int64_t dynamicSharedBytes = 0;
  bool cooperative = false;
  bool expectFindings = false; ///< otherwise any finding fails the test
  CheckOptions checks;         ///< all on
  MemoryCounters counters;     ///< of the last launch

private:
  static void append(std::vector<std::byte> &to, const void *value, size_t bytes);
  ingot::cuda::CUfunction function(const std::string &name);

  ingot::cuda::CUmodule module = nullptr;
  std::vector<uint64_t> buffers;
};

/// Text before the kernels of a module.
std::string header(std::string_view target = "sm_90a");

} // namespace ingot::emulator::test
