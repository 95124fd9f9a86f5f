/// Compiles one kernel of stage `kernels` and runs it as the runtime does.
#pragma once
#include "passes/options/TargetCosts.h"
#include "runtime/cpu/Memory.h"
#include "runtime/program/Tensor.h"
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ingot::test {

class CompiledKernel {
public:
  /// Lowers and compiles the only kernel of a module in MLIR text for a CPU that this machine can
  /// stand in for (`--target`'s words); a failure ends the process.
  explicit CompiledKernel(const std::string &module, const std::string &target = "cpu",
                          const TargetCosts &costs = {});

  /// Computes all grains on tensors: the arguments, then the results.
  void runIn(const std::vector<Tensor> &memory) const;
  /// Computes everything once at a stroke and then, into copies, in several other ways of sharing
  /// the grains out; fails the test where a bit differs. Returns the results, which start as
  /// garbage.
  std::vector<Tensor> run(const std::vector<Tensor> &arguments) const;

  std::vector<int64_t> grains; ///< by launch
  int64_t workspaceBytes = 0, launchScratchBytes = 0;
  std::vector<std::pair<int64_t, int64_t>> inPlace; ///< result, operand
  double emitMs = 0, lowerMs = 0, llvmMs = 0;

  using Entry = void (*)(void *const *, int64_t, int64_t);
  std::vector<Entry> entries; ///< by launch

private:
  /// The same in the ranges between these bounds, launch by launch.
  void run(const std::vector<Tensor> &memory,
           const std::vector<std::vector<int64_t>> &bounds) const;

  std::vector<std::pair<ElementType, Shape>> results;
  Pages code;
};

/// Uniform numbers in [-1, 1) (floats only).
Tensor randomTensor(ElementType type, const Shape &shape, uint64_t seed);
/// Element i as a double (floats only).
double elementAt(const Tensor &tensor, int64_t i);
/// A fresh seed, printed so that a failure can be repeated with INGOT_TEST_SEED.
uint64_t testSeed();

} // namespace ingot::test
