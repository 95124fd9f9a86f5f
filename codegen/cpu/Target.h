/// What the compiler knows of the machine it compiles for.
#pragma once
#include "codegen/cpu/MachineShape.h"
#include "runtime/support/Result.h"
#include "llvm/ADT/StringRef.h"
#include <memory>
#include <string>
#include <vector>

namespace llvm {
class TargetMachine;
}

namespace ingot {

/// A CPU that code is generated for.
struct CpuTarget {
  std::string cpu;                   ///< LLVM's name: `znver4`, `x86-64-v4`, …
  std::string features;              ///< LLVM's feature string: `+avx512f,-amx-tile,…`
  std::vector<std::string> required; ///< features the code may use, as the runtime checks them
  int64_t l1Bytes = MachineShape().l1Bytes, l2Bytes = MachineShape().l2Bytes; ///< a core's caches
  int64_t l1Ways = MachineShape().l1Ways; ///< lines that a set of L1 holds
  /// The text of `--target` and of `Program::target`: `cpu:znver4`.
  std::string name() const { return "cpu:" + cpu; }

  /// Widest vector register in bytes: 64, 32 or 16.
  int64_t vectorBytes() const;

  /// What sizes of blocks depend on.
  MachineShape machine() const { return {vectorBytes(), l1Bytes, l2Bytes, l1Ways}; }

  /// The machine this process runs on, with its caches as the kernel reports them.
  static CpuTarget host();
  /// Parses `cpu` (the host) or `cpu:NAME` with a name that LLVM knows, whose caches are taken to
  /// be those of a small core unless they are given: `cpu:znver4,l1=32K,l1_ways=8,l2=1M`.
  static Result<CpuTarget> parse(const std::string &text);

private:
  bool setCache(llvm::StringRef word);
};

/// An LLVM target machine that generates position-independent code for `target`.
Result<std::unique_ptr<llvm::TargetMachine>> createTargetMachine(const CpuTarget &target);

} // namespace ingot
