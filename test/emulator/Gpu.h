/// A fixture that compiles CUDA C++ with NVRTC, runs it on the emulator and expects it to be
/// without findings.
#pragma once
#include "test/emulator/Support.h"
#include "test/emulator/Toolkit.h"
#include <bit>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <span>

namespace ingot::emulator::test {

struct Shape {
  Dim3 grid, block;
  uint32_t shared = 0;   ///< bytes of dynamic shared memory
  Dim3 cluster{1, 1, 1}; ///< 1: what the kernel asks for, if it does
  bool cooperative = false;
};

/// How a program is compiled.
struct Configuration {
  enum class Compiler : uint8_t { Nvrtc, Clang, Llc };
  std::string name;         ///< of the test
  std::string architecture; ///< compute_80; of LLVM's tools sm_80
  std::vector<std::string> options;
  Compiler compiler = Compiler::Nvrtc;

  /// Why it cannot be compiled on this machine; empty if it can.
  std::string missing() const;
};
/// What each corpus of plain kernels is run as: old and new targets, optimised and not.
std::vector<Configuration> configurations();
/// The same and what LLVM's NVPTX makes of kernels that need no header of CUDA.
std::vector<Configuration> configurationsWithClang();
/// What a failing test prints of its parameter.
inline void PrintTo(const Configuration &configuration, std::ostream *stream) {
  *stream << configuration.name;
}
inline std::string nameOf(const testing::TestParamInfo<Configuration> &info) {
  return info.param.name;
}

/// PTX of test/emulator/programs/kernels/FILE, compiled once in this process and, where ptxas is
/// found, assembled too. KERNEL stands for `extern "C" __global__`; nothing is contracted, as on
/// the host.
Result<std::string> compileKernels(const std::string &file, const Configuration &configuration);

/// The same for a text and NVRTC; `name` stands for the file in errors.
Result<std::string> compileSource(const std::string &source, const std::string &name,
                                  const Configuration &configuration);

/// Device memory of a test; freed with it.
template <typename T> struct Array {
  uint64_t address = 0;
  size_t size = 0;
  Device *device = nullptr;
  std::vector<T> read() const { return device->download<T>(address, size); }
};

class GpuTest : public testing::Test {
protected:
  GpuTest();

  /// Compiles and loads. To be used in SetUp or at a test's start: ASSERT_NO_FATAL_FAILURE is not
  /// needed, as without a module every launch fails.
  void load(const std::string &file, const Configuration &configuration);

  template <typename T> Array<T> upload(const std::vector<T> &values) {
    return {device.upload(values), values.size(), &device};
  }
  /// Zero-filled.
  template <typename T> Array<T> zeros(size_t size) { return upload(std::vector<T>(size)); }
  /// Not initialised: reading what no kernel wrote is a finding.
  template <typename T> Array<T> empty(size_t size) {
    return {device.allocate(size * sizeof(T)), size, &device};
  }
  /// A tensor map over a matrix of 16-bit elements; arguments as cuTensorMapEncodeTiled has them.
  struct Map {
    alignas(64) uint8_t bytes[128];
  };
  Map tensorMap(uint64_t address, uint64_t columns, uint64_t rows, uint64_t pitchBytes,
                uint32_t boxColumns, uint32_t boxRows, uint32_t swizzle);

  /// Runs a kernel; arguments are arrays and values of the parameters' exact types. Any finding
  /// fails the test.
  template <typename... Arguments>
  void launch(const std::string &kernel, const Shape &shape, const Arguments &...arguments) {
    std::vector<std::vector<std::byte>> values;
    (values.push_back(bytesOf(arguments)), ...);
    run(kernel, shape, values);
  }

  Device device;
  std::mt19937_64 random;
  template <typename T> std::vector<T> randomValues(size_t size, int64_t low, int64_t high) {
    std::vector<T> values(size);
    std::uniform_int_distribution<int64_t> draw(low, high);
    for (T &value : values)
      value = static_cast<T>(draw(random));
    return values;
  }
  template <typename T> std::vector<T> randomBits(size_t size) {
    std::vector<T> values(size);
    for (T &value : values)
      value = static_cast<T>(random());
    return values;
  }
  /// Random bits as floats: every exponent, NaN, infinities and boundary values among them.
  template <typename T> std::vector<T> randomFloats(size_t size) {
    constexpr FloatType type = sizeof(T) == 4 ? FloatType::F32 : FloatType::F64;
    using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
    std::vector<T> values(size);
    for (T &value : values)
      value = std::bit_cast<T>(static_cast<Bits>(randomValue(type, random)));
    return values;
  }

private:
  template <typename T> static std::vector<std::byte> bytesOf(const Array<T> &array) {
    return bytesOf(array.address);
  }
  template <typename T> static std::vector<std::byte> bytesOf(const T &value) {
    static_assert(std::is_trivially_copyable_v<T>);
    std::vector<std::byte> bytes(sizeof(T));
    std::memcpy(bytes.data(), &value, sizeof(T));
    return bytes;
  }
  void run(const std::string &kernel, const Shape &shape,
           const std::vector<std::vector<std::byte>> &arguments);
};

/// Equal bit by bit, except that all NaNs of a float type are one. Names the first that differs.
template <typename T>
testing::AssertionResult same(const std::vector<T> &expected, const std::vector<T> &actual) {
  if (expected.size() != actual.size())
    return testing::AssertionFailure() << "sizes " << expected.size() << " and " << actual.size();
  for (size_t i = 0; i < expected.size(); ++i) {
    if constexpr (std::is_floating_point_v<T>)
      if (std::isnan(expected[i]) && std::isnan(actual[i]))
        continue;
    if (std::memcmp(&expected[i], &actual[i], sizeof(T)) != 0)
      return testing::AssertionFailure() << "element " << i << ": expected " << +expected[i]
                                         << ", the emulator has " << +actual[i];
  }
  return testing::AssertionSuccess();
}

/// Within `relative` of the expected value or `absolute`; NaN equals NaN.
template <typename T>
testing::AssertionResult close(const std::vector<T> &expected, const std::vector<T> &actual,
                               double relative, double absolute) {
  if (expected.size() != actual.size())
    return testing::AssertionFailure() << "sizes " << expected.size() << " and " << actual.size();
  for (size_t i = 0; i < expected.size(); ++i) {
    const double e = expected[i], a = actual[i];
    if (e == a || (std::isnan(e) && std::isnan(a)))
      continue;
    if (!(std::abs(e - a) <= absolute + relative * std::abs(e)))
      return testing::AssertionFailure()
             << "element " << i << ": expected " << e << ", the emulator has " << a;
  }
  return testing::AssertionSuccess();
}

} // namespace ingot::emulator::test
