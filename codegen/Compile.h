/// The compiler: a model in the graph dialect becomes a program.
#pragma once
#include "codegen/KernelCode.h"
#include "codegen/RunStages.h"
#include "codegen/cache/ProgramCache.h"
#include "runtime/program/Program.h"
#include <limits>

namespace ingot {

/// What compiling did, for people.
struct CompileReport {
  double milliseconds = 0;    ///< from the graph in hand to the program, cache look-up included
  bool programCached = false; ///< nothing was compiled: the program came whole from the cache
  KernelCodeReport kernels;   ///< none was looked at if the program was cached
  std::string cacheMiss;      ///< why the program was not in the cache; empty if it was
  size_t kernelsTuned = 0;    ///< kernels of the program with sizes that `ingot tune` chose
  std::string note;           ///< why tuned block sizes are not used; else empty
  std::string cacheProblem;   ///< why the cache cannot be written; else empty
};

/// Runs the passes up to `stage` on a copy of `model`, a module of any earlier stage, with a plan
/// that fits `options.memory.budget`.
Result<mlir::OwningOpRef<mlir::ModuleOp>> lowerTo(Stage stage, mlir::ModuleOp model,
                                                  const CompileOptions &options);

/// The IR of a stage as text: what `--emit` prints.
Result<std::string> printStage(Stage stage, mlir::ModuleOp model, const CompileOptions &options);

/// What a program depends on: the model, every option whose field shapes the program, the machine
/// and this build of the compiler.
ProgramKey programKey(mlir::ModuleOp model, const CompileOptions &options, const Backend &backend);

/// The program without machine code: its functions, kernels and places in the arena.
Result<Program> planProgram(mlir::ModuleOp model, const CompileOptions &options);

/// Compiles a module of any stage up to `loops`. Errors carry the model's node as place. A plan
/// with a larger arena than `arenaLimit`, the memory of the machine that is to run the program, is
/// refused before code is generated for it.
Result<Program> compile(mlir::ModuleOp model, const CompileOptions &options,
                        CompileReport *report = nullptr,
                        int64_t arenaLimit = std::numeric_limits<int64_t>::max());

} // namespace ingot
