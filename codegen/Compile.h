/// The compiler: a model in the graph dialect becomes a program.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "passes/Pipeline.h"
#include "runtime/Program.h"
#include <memory>

namespace ingot {

struct CompileOptions {
  std::optional<TrainingOptions> training; ///< absent: @forward alone
  MemoryOptions memory;
  std::string target = "cpu";              ///< as `--target`
  int threads = 0;                         ///< for compiling; 0: one per CPU
  std::string cacheDirectory;              ///< empty: no cache on disk
  std::string dumpDirectory;           ///< numbered IR after every pass, LLVM IR of every kernel
  std::vector<std::string> printAfter; ///< passes after which the IR goes to stderr
  bool timing = false;                 ///< pass timings to stderr
};

/// What compiling did, for people.
struct CompileReport {
  double milliseconds = 0;    ///< from the graph in hand to the program, cache look-up included
  bool programCached = false; ///< nothing was compiled: the program came whole from the cache
  size_t kernelsCompiled = 0; ///< kernels that went through LLVM
  size_t kernelsCached = 0;   ///< kernels whose code was in the cache
  std::string cacheMiss;      ///< why the program was not in the cache; empty if it was
};

/// A context with every dialect of the pipeline, for building and parsing models.
std::unique_ptr<mlir::MLIRContext> createContext();

/// How far a module has come: the stage that its last pass ended, `graph` if none did.
Stage stageOf(mlir::ModuleOp module);

/// Runs the passes up to `stage` on a copy of `model`, a module of any earlier stage.
Result<mlir::OwningOpRef<mlir::ModuleOp>> lowerTo(Stage stage, mlir::ModuleOp model,
                                                  const CompileOptions &options);

/// The IR of a stage as text: what `--emit` prints.
Result<std::string> printStage(Stage stage, mlir::ModuleOp model, const CompileOptions &options);

/// Compiles a module of any stage up to `plan`. Errors carry the model's node as place.
Result<Program> compile(mlir::ModuleOp model, const CompileOptions &options,
                        CompileReport *report = nullptr);

} // namespace ingot
