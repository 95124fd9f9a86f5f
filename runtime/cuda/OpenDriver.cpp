#include "runtime/cuda/OpenDriver.h"
#include <dlfcn.h>
#include <filesystem>
#include <string>
#include <vector>

namespace ingot::cuda {
namespace {

/// The interface that symbols are asked for by: cuLibraryLoadData and friends came with it.
constexpr int interfaceVersion = 12000;
using GetProcAddress = CUresult (*)(const char *symbol, void **address, int version, uint64_t flags,
                                    int *status);

/// `cuMemAlloc` of `cuMemAlloc_v2`: which of them it is follows from the version.
std::string baseName(std::string_view symbol) {
  if (symbol.size() > 3 && symbol.substr(symbol.size() - 3, 2) == "_v")
    symbol.remove_suffix(3);
  return std::string(symbol);
}

Result<Driver> openLibrary(const std::vector<std::string> &files, std::string_view what) {
  void *library = nullptr;
  std::string reason;
  for (const std::string &file : files) {
    library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library)
      break;
    if (reason.empty())
      reason = dlerror();
  }
  if (!library)
    return failure(Error::Code::Io, "", "{} is not there: {}", what, reason);
  const auto find = reinterpret_cast<GetProcAddress>(dlsym(library, "cuGetProcAddress_v2"));
  if (!find)
    return failure(Error::Code::Unsupported, "", "{} is older than CUDA 12.0", what);
  Driver driver;
  std::string missing;
  const auto resolve = [&]<typename F>(F &member, std::string_view symbol) {
    void *address = nullptr;
    if (find(baseName(symbol).c_str(), &address, interfaceVersion, 0, nullptr) == CUDA_SUCCESS &&
        address)
      member = reinterpret_cast<F>(address);
    else if (missing.empty())
      missing = symbol;
  };
#define INGOT_RESOLVE(member, symbol, parameters) resolve(driver.member, #symbol);
  INGOT_CUDA_FUNCTIONS(INGOT_RESOLVE)
#undef INGOT_RESOLVE
  if (!missing.empty())
    return failure(Error::Code::Unsupported, "", "{} has no function {}: it is too old", what,
                   missing);
  driver.lastError =
      reinterpret_cast<decltype(driver.lastError)>(dlsym(library, "ingotLastCudaError"));
  return driver;
}

/// Libraries stay open until the process ends.
Result<const Driver *> share(const Result<Driver> &driver) {
  if (!driver)
    return tl::unexpected(driver.error());
  return &*driver;
}

/// Beside the folder of the program, or above it: `lib/ingot` stands beside `bin`.
std::vector<std::string> emulatedLibraries() {
  constexpr const char *file = "libingot_cuda_emulated.so";
  if (const char *named = std::getenv("INGOT_CUDA_EMULATED"))
    return {named};
  std::vector<std::string> files;
  std::error_code error;
  std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe", error);
  for (int levels = 0; levels < 3 && folder.has_relative_path(); ++levels) {
    folder = folder.parent_path();
    const std::filesystem::path candidate = folder / INGOT_LIBRARY_FOLDER / file;
    if (std::filesystem::exists(candidate, error))
      files.push_back(candidate.string());
  }
  files.push_back(file);
  return files;
}

} // namespace

Result<const Driver *> openNvidiaDriver() {
  static const Result<Driver> driver =
      openLibrary({"libcuda.so.1", "libcuda.so"}, "NVIDIA's driver");
  return share(driver);
}

Result<const Driver *> openEmulatedDriver() {
  static const Result<Driver> driver = openLibrary(emulatedLibraries(), "the emulated driver");
  return share(driver);
}

} // namespace ingot::cuda
