/// The only way from passes to a target.
#pragma once
#include "mlir/Pass/PassManager.h"
#include "passes/options/TargetCosts.h"
#include "passes/schedule/KernelDialect.h"
#include "runtime/program/Program.h"
#include "runtime/support/Result.h"
#include <memory>
#include <string>
#include <vector>

namespace ingot {

/// The code of one kernel: all of its launches.
struct KernelObject {
  std::vector<std::string> symbols; ///< of the launches' functions, in order
  std::vector<uint8_t> bytes;
};

/// What the compiler asks of the target that it compiles for. Declared here and implemented in
/// codegen/<target>, so that passes know of no target. Safe to use from several threads.
class Backend {
public:
  virtual ~Backend() = default;

  /// As `--target` and `Program::target` say it: `cpu:znver4`.
  virtual std::string name() const = 0;
  /// Everything of the target that code and schedules depend on: part of the caches' keys.
  virtual std::string identity() const = 0;
  /// Features that a machine must have to run the code, as the runtime checks them.
  virtual std::vector<std::string> requirements() const = 0;
  virtual const TargetCosts &costs() const = 0;
  /// Whether code says which of the model's ops it comes from. Ops' names are a part of it then.
  virtual bool namesOps() const { return false; }

  /// How an argument of a kernel is worth being packed once, before all of its runs; null where it
  /// is not, or where the kernel needs it for something else too.
  virtual kernel::PanelsAttr packedLayout(mlir::func::FuncOp, unsigned) const { return {}; }
  /// Decides how a kernel runs, by its body alone; null after a located diagnostic. Emits nothing.
  virtual kernel::ScheduleAttr schedule(mlir::func::FuncOp kernel) const = 0;
  /// Emits the launches of a scheduled kernel as functions in front of it, and nothing that its
  /// schedule does not say. A failure has reported a located diagnostic.
  virtual llvm::LogicalResult emit(mlir::func::FuncOp kernel) const = 0;
  /// Appends the passes that take emitted launches to the last form that is MLIR.
  virtual void addCodePasses(mlir::OpPassManager &passes) const = 0;
  /// Code of a module in that form: of one kernel's launches and nothing else. `text`, if given,
  /// receives the LLVM IR that it was made of.
  virtual Result<std::vector<uint8_t>> compile(mlir::ModuleOp launches,
                                               std::string *text) const = 0;
  /// How the runtime launches the code of a launch.
  virtual Launch launchOf(kernel::ScheduleAttr schedule, kernel::LaunchAttr launch) const = 0;
  /// Gives a program its code objects, made of those of its kernels, and each of its kernels, which
  /// are the launches in order, its object and its symbol there.
  virtual Status assemble(const std::vector<KernelObject> &objects, Program &program) const = 0;
};

/// Gives the backend of a `--target`.
using BackendParser = Result<std::shared_ptr<const Backend>> (*)(const std::string &target);

} // namespace ingot
