/// What the compiler knows of the GPU it compiles for.
#pragma once
#include "passes/options/TargetCosts.h"
#include "runtime/support/Result.h"
#include <memory>
#include <string>

namespace llvm {
class TargetMachine;
}

namespace ingot {

/// A GPU that code is generated for.
struct CudaTarget {
  std::string architecture; ///< `sm_80`, `sm_90a`, `sm_100a`
  bool tf32 = false;        ///< factors in f32 are rounded to tf32 and multiplied by tensor cores

  /// The text of `--target` and of `Program::target`: `cuda:sm_80`, `cuda:sm_80,tf32`.
  std::string name() const { return "cuda:" + architecture + (tf32 ? ",tf32" : ""); }
  /// What work costs; a worker is a block.
  static TargetCosts costs();
  /// The shared memory that a block can have, in bytes.
  int64_t sharedBytes() const;
  /// True if it multiplies by warpgroups (wgmma), which no other family does.
  bool hasWarpgroups() const { return architecture == "sm_90a"; }
  /// True if `--target` names a GPU.
  static bool isMeant(const std::string &text) { return text.rfind("cuda", 0) == 0; }
  static Result<CudaTarget> parse(const std::string &text);
};

/// An LLVM target machine that generates PTX for `target`.
Result<std::unique_ptr<llvm::TargetMachine>> createTargetMachine(const CudaTarget &target);

} // namespace ingot
