/// PTX to machine code by NVRTC, opened at run time; where it is missing, the driver compiles PTX
/// when it is loaded.
#pragma once
#include "runtime/support/Result.h"
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ingot::cuda {

struct Cubin {
  std::vector<uint8_t> bytes;
  std::string log; ///< spills and remarks of the assembler; empty where all is well
};

class Assembler {
public:
  /// INGOT_NVRTC may name the library; else it is looked for in CUDA_HOME, the system's search path
  /// and the usual folders. An error says that none is there.
  static Result<const Assembler *> find();

  /// Such as 13.0; the folder that holds the library.
  std::string version() const;
  std::string folder() const;

  /// One program for an architecture such as `sm_90a`, with the kernels of all modules. An error
  /// holds the assembler's words. `isVerbose`: the log tells of each kernel's registers and memory,
  /// as `ptxas -v` does.
  Result<Cubin> assemble(std::span<const std::string> modules, const std::string &architecture,
                         bool isVerbose = false) const;

  /// What became of many modules.
  struct Assembled {
    std::vector<Cubin> cubins;
    std::vector<Result<size_t>> places; ///< of each module: which of the cubins has its kernels
    size_t calls = 0;                   ///< programs that NVRTC compiled
  };
  /// What was assembled before, by all that it depends on. Called by several threads.
  struct Memory {
    std::function<std::optional<std::vector<uint8_t>>(std::string_view text)> get;
    std::function<void(std::string_view text, std::span<const uint8_t> entry)> put;
  };
  /// Small modules share programs, since each costs some 20 ms; a program that fails is repeated
  /// module by module, so an error keeps to its own. Results do not depend on the threads or on
  /// what `memory` holds.
  Assembled assembleAll(std::span<const std::string> modules, const std::string &architecture,
                        int threads, const Memory &memory = {}) const;

private:
  Status open(const std::string &file);
  Result<Cubin> recall(std::span<const std::string> modules, const std::string &architecture,
                       const Memory &memory, std::atomic<size_t> &calls) const;
  // NVRTC's functions.
  int (*create)(void **, const char *, const char *, int, const char *const *,
                const char *const *) = nullptr;
  int (*compile)(void *, int, const char *const *) = nullptr;
  int (*destroy)(void **) = nullptr;
  int (*cubinSize)(void *, size_t *) = nullptr;
  int (*cubin)(void *, char *) = nullptr;
  int (*logSize)(void *, size_t *) = nullptr;
  int (*log)(void *, char *) = nullptr;
  int (*versionOf)(int *, int *) = nullptr;
};

} // namespace ingot::cuda
