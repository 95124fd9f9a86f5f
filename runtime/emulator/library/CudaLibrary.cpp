/// `libingot_cuda_emulated.so`: the emulated driver as a library that is opened at run time, with
/// the entry of NVIDIA's. INGOT_EMULATE configures it as it does `ingot emulate`.
#include "runtime/emulator/driver/EmulatedProgram.h"
#include "runtime/support/UsableMemory.h"
#include <cstdlib>

using namespace ingot;
using namespace ingot::emulator;

namespace {

struct Symbol {
  std::string_view name;
  void *address;
};

/// `cuMemAlloc` of `cuMemAlloc_v2`.
constexpr std::string_view baseName(std::string_view symbol) {
  if (symbol.size() > 3 && symbol.substr(symbol.size() - 3, 2) == "_v")
    symbol.remove_suffix(3);
  return symbol;
}

std::string &configurationError() {
  static std::string text;
  return text;
}

/// The machine takes the architecture of what is loaded, unless the variable names one, and no more
/// memory than this process may use.
bool configure() {
  const char *variable = std::getenv(programOptionsVariable);
  Result<EmulatedDeviceOptions> device =
      ProgramOptions::parse(variable ? variable : "").and_then(deviceOptions);
  if (!device) {
    configurationError() = device.error().text();
    return false;
  }
  device->memoryBytes = uint64_t(usableMemory());
  configureEmulatedDevice(std::move(*device));
  return true;
}

cuda::CUresult initialise(unsigned flags) {
  static const bool isConfigured = configure();
  return isConfigured ? emulatedDriver().cuInit(flags) : cuda::CUDA_ERROR_INVALID_VALUE;
}

} // namespace

#define INGOT_EXPORT extern "C" __attribute__((visibility("default")))

INGOT_EXPORT cuda::CUresult cuGetProcAddress_v2(const char *symbol, void **address, int, uint64_t,
                                                int *) {
  const cuda::Driver &driver = emulatedDriver();
  const Symbol symbols[] = {
#define INGOT_SYMBOL(member, symbol, parameters)                                                   \
  {baseName(#symbol), reinterpret_cast<void *>(driver.member)},
      INGOT_CUDA_FUNCTIONS(INGOT_SYMBOL)
#undef INGOT_SYMBOL
  };
  *address = nullptr;
  for (const Symbol &known : symbols)
    if (known.name == symbol)
      *address = known.name == "cuInit" ? reinterpret_cast<void *>(initialise) : known.address;
  return *address ? cuda::CUDA_SUCCESS : cuda::CUDA_ERROR_NOT_FOUND;
}

INGOT_EXPORT const char *ingotLastCudaError() {
  return configurationError().empty() ? lastEmulatedError().c_str() : configurationError().c_str();
}
