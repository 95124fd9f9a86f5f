/// PTX to machine code by NVRTC, opened at run time; where it is missing, the driver compiles PTX
/// when it is loaded.
#pragma once
#include "runtime/support/Result.h"
#include <cstdint>
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

  /// One program for an architecture such as `sm_90a`, with the kernels of all modules. An error
  /// holds the assembler's words.
  Result<Cubin> assemble(std::span<const std::string> modules,
                         const std::string &architecture) const;

  /// What became of many modules.
  struct Assembled {
    std::vector<Cubin> cubins;
    std::vector<Result<size_t>> places; ///< of each module: which of the cubins has its kernels
  };
  /// Small modules share programs, since each costs some 20 ms; a program that fails is repeated
  /// module by module, so an error keeps to its own. Results do not depend on the threads.
  Assembled assembleAll(std::span<const std::string> modules, const std::string &architecture,
                        int threads) const;

private:
  Status open(const std::string &file);
  // NVRTC's functions.
  int (*create)(void **, const char *, const char *, int, const char *const *,
                const char *const *) = nullptr;
  int (*compile)(void *, int, const char *const *) = nullptr;
  int (*destroy)(void **) = nullptr;
  int (*cubinSize)(void *, size_t *) = nullptr;
  int (*cubin)(void *, char *) = nullptr;
  int (*logSize)(void *, size_t *) = nullptr;
  int (*log)(void *, char *) = nullptr;
};

} // namespace ingot::cuda
