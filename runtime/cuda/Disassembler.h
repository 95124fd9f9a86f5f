/// What machine code of GPUs says: in words by nvdisasm, a program of the CUDA toolkit, and as
/// counts of instructions, which need no toolkit.
#pragma once
#include "runtime/support/Result.h"
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace ingot::cuda {

/// The instructions of a cubin's kernels as text. INGOT_NVDISASM may name the program; else it is
/// looked for in CUDA_HOME, above NVRTC's folder, in PATH and in the usual folders. An error says
/// that none is there.
Result<std::string> disassemble(std::span<const uint8_t> cubin);

/// The places of a kernel's instructions, each 16 bytes, by what they are.
struct InstructionCounts {
  int64_t all = 0;
  int64_t hmma = 0;    ///< mma.sync
  int64_t hgmma = 0;   ///< wgmma
  int64_t ffma = 0;    ///< f32 multiply-adds
  int64_t ldgsts = 0;  ///< cp.async
  int64_t utmaldg = 0; ///< loads of the copy engine
  int64_t ldsm = 0;    ///< ldmatrix
  int64_t local = 0;   ///< loads and stores of local memory
};

/// By kernel. BadInput for what is no cubin of an architecture from sm_70 on.
Result<std::map<std::string, InstructionCounts>> countInstructions(std::span<const uint8_t> cubin);

} // namespace ingot::cuda
