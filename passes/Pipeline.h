/// The one list of everything that happens between a model and machine code.
#pragma once
#include "mlir/Pass/PassManager.h"
#include "passes/Backend.h"
#include "passes/options/BlockChoice.h"
#include "passes/options/MemoryOptions.h"
#include "passes/options/TrainingOptions.h"
#include "runtime/support/Result.h"
#include <array>
#include <optional>
#include <string_view>

namespace ingot {

struct KernelCache;

/// What the module holds; each name is a value of `--emit`.
enum class Stage { Graph, Train, Linalg, Kernels, Schedule, Plan, Loops, Llvm, Ptx, Program };

constexpr std::array<std::string_view, 10> enumNames(Stage) {
  return {"graph", "train", "linalg", "kernels", "schedule",
          "plan",  "loops", "llvm",   "ptx",     "program"};
}
Result<Stage> parseStage(std::string_view text);

/// Appends the passes that lead from the stage before to `stage`, at most `Stage::Loops`: after it
/// every kernel is compiled on its own, and emitted where no cache has it (codegen/KernelCode.h).
/// Without `training` the module keeps its @forward alone. `blocks` are what tuning found; without
/// any all sizes are derived.
void buildStage(mlir::OpPassManager &passes, Stage stage,
                const std::optional<TrainingOptions> &training, const MemoryOptions &memory,
                const Backend &backend, const BlockChoices &blocks);

/// The same passes, for plans of one model under many `memory` options (codegen/FitMemory.h):
/// first, from stage `train`, those that all plans have in common, then those that the plans with
/// blocks of one size have in common, then those that lead to scheduled kernels.
void buildTrialPreparation(mlir::OpPassManager &passes);
void buildTrialBlocks(mlir::OpPassManager &passes, const MemoryOptions &memory,
                      const Backend &backend);
void buildTrialKernels(mlir::OpPassManager &passes, const MemoryOptions &memory,
                       const Backend &backend, KernelCache &known);

} // namespace ingot
