/// What of the CUDA toolkit the tests use: NVRTC and ptxas, found at run time and needed by no
/// build.
///
/// NVRTC is looked for as `INGOT_NVRTC` (a library file), in `CUDA_HOME` and `CUDA_PATH`, under the
/// names that the dynamic linker knows and in the usual folders of toolkits; headers and ptxas
/// beside it, ptxas also in `PATH`.
#pragma once
#include "runtime/support/Result.h"
#include <string>
#include <string_view>
#include <vector>

namespace ingot::emulator::test {

/// The toolkit of this machine; opened on first use and kept.
class Toolkit {
public:
  static const Toolkit &instance();

  /// Why nothing can be compiled: NVRTC or its headers were not found. Empty if it can.
  const std::string &missing() const { return reason; }
  bool hasPtxas() const { return !ptxas.empty(); }

  /// PTX of a CUDA C++ program for an architecture such as "compute_80". The error holds NVRTC's
  /// log; `name` stands in it for the file.
  Result<std::string> compile(const std::string &source, const std::string &name,
                              std::string_view architecture,
                              const std::vector<std::string> &options = {}) const;

  /// Assembles PTX for "sm_80"; the error is what ptxas printed.
  Status assemble(const std::string &ptx, std::string_view architecture) const;
  /// The same, and what it makes of the PTX: a cubin.
  Result<std::string> cubin(const std::string &ptx, std::string_view architecture) const;

private:
  Toolkit();
  Result<std::string> runPtxas(const std::string &ptx, std::string_view architecture,
                               int level) const;
  std::string include; ///< folder of cuda_fp16.h
  std::string ptxas;   ///< the executable
  std::string reason;  ///< of missing()

  // The types of nvrtc.h: results are enums, programs opaque pointers.
  int (*create)(void **, const char *, const char *, int, const char *const *,
                const char *const *) = nullptr;
  int (*compileProgram)(void *, int, const char *const *) = nullptr;
  int (*ptxSize)(void *, size_t *) = nullptr;
  int (*ptx)(void *, char *) = nullptr;
  int (*logSize)(void *, size_t *) = nullptr;
  int (*log)(void *, char *) = nullptr;
  int (*destroy)(void **) = nullptr;
};

/// A program of LLVM 22, as "llc": `NAME-22` in `PATH`, or in the folder of Debian's packages;
/// empty if it is not installed.
std::string findLlvmTool(std::string_view name);

/// Runs a program that writes a text file: `command` and the file's name behind it. What it prints
/// is the error if it does not exit with 0.
Result<std::string> outputOf(std::vector<std::string> command);

} // namespace ingot::emulator::test
