#include "codegen/cpu/CpuBackend.h"
#include "codegen/cpu/ContractionBlocks.h"
#include "codegen/cpu/Emitters.h"
#include "codegen/cpu/Image.h"
#include "codegen/cpu/KernelScheduler.h"
#include "codegen/cpu/Object.h"
#include "codegen/cpu/PackedFactor.h"
#include "runtime/program/CpuImage.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace ingot {
namespace {

using Scheduler = LogicalResult (*)(KernelScheduler &);

/// By `graph.kernel`.
Scheduler schedulerFor(StringRef root) {
  return llvm::StringSwitch<Scheduler>(root)
      .Case("elementwise", scheduleElementwise)
      .Case("row", scheduleRow)
      .Case("column", scheduleColumn)
      .Case("update", scheduleUpdate)
      .Case("scatter", scheduleScatter)
      .Case("scan", scheduleScan)
      .Case("sort", scheduleSort)
      .Case("contraction", scheduleContraction)
      .Case("attention", scheduleAttention)
      .Case("attention_backward", scheduleAttentionBackward)
      .Default(nullptr);
}

/// By the kind of a launch.
KernelEmitter emitterFor(StringRef kind) {
  return llvm::StringSwitch<KernelEmitter>(kind)
      .Case("pointwise", emitPointwise)
      .Case("rows", emitRows)
      .Cases({"columns", "columns_of_chunks"}, emitColumns)
      .Case("scatter", emitScatter)
      .Case("scan", emitScan)
      .Case("sort", emitSort)
      .Case("contraction", emitContraction)
      .Case("attention", emitAttention)
      .Case("attention_backward", emitAttentionBackward)
      .Default(nullptr);
}

} // namespace

std::string CpuBackend::identity() const {
  return fmt::format("{} {} caches {} in {} ways, {}", target.cpu, target.features, target.l1Bytes,
                     target.l1Ways, target.l2Bytes);
}

kernel::PanelsAttr CpuBackend::packedLayout(func::FuncOp kernel, unsigned argument) const {
  if (kernel::rootOf(kernel) != "contraction")
    return {};
  return packedFactor(kernel, argument, machine, workCosts);
}

kernel::ScheduleAttr CpuBackend::schedule(func::FuncOp kernel) const {
  Scheduler schedule = schedulerFor(kernel::rootOf(kernel));
  if (!schedule) {
    kernel.emitError("no CPU runs kernels of root '") << kernel::rootOf(kernel) << "'";
    return {};
  }
  if (failed(verifyStatic(kernel)))
    return {};
  auto tuned = kernel->getAttrOfType<StringAttr>("graph.tuned");
  std::string problem;
  auto choice = BlockChoice::parse(tuned ? std::string_view(tuned.getValue()) : "", problem);
  if (!choice) {
    kernel.emitError("graph.tuned: ") << problem;
    return {};
  }
  KernelScheduler scheduler(kernel, machine, workCosts, *choice);
  return succeeded(schedule(scheduler)) ? scheduler.finish() : kernel::ScheduleAttr();
}

LogicalResult CpuBackend::emit(func::FuncOp kernel) const {
  kernel::ScheduleAttr schedule = kernel::scheduleOf(kernel);
  for (auto [number, launch] : llvm::enumerate(schedule.getLaunches())) {
    KernelEmitter emit = emitterFor(launch.getKind().getValue());
    if (!emit)
      return kernel.emitError("kernel.schedule: no CPU has launches of kind ") << launch.getKind();
    KernelBuilder builder(kernel, number);
    if (failed(emit(builder)) || failed(builder.finish())) {
      builder.abandon();
      return mlir::failure();
    }
  }
  return success();
}

void CpuBackend::addCodePasses(OpPassManager &passes) const { buildLlvmPipeline(passes, target); }

Result<std::vector<uint8_t>> CpuBackend::compile(ModuleOp launches, std::string *text) const {
  return compileToObject(launches, target, text);
}

Launch CpuBackend::launchOf(kernel::ScheduleAttr, kernel::LaunchAttr launch) const {
  return CpuRange{launch.getGrains()};
}

/// One image, which ends in the table of its entries.
Status CpuBackend::assemble(const std::vector<KernelObject> &objects, Program &program) const {
  ImageBuilder image;
  std::vector<int64_t> offsets;
  for (const KernelObject &object : objects) {
    INGOT_ASSIGN(std::vector<int64_t> found, image.add(object.bytes, object.symbols));
    offsets.insert(offsets.end(), found.begin(), found.end());
  }
  std::vector<ImageEntry> entries;
  for (auto [kernel, offset] : llvm::zip_equal(program.kernels, offsets))
    entries.push_back({kernel.name, offset, interfaceOf(kernel)});
  CodeObject code{CodeObject::Kind::CpuImage, name(), image.take()};
  appendEntries(code.bytes, entries);
  program.objects = {std::move(code)};
  return {};
}

BlockChoice takenBlocks(func::FuncOp kernel) {
  for (kernel::LaunchAttr launch : kernel::scheduleOf(kernel).getLaunches()) {
    if (launch.getKind() == "contraction" && launch.getGrains()) {
      ContractionBlocks blocks;
      if (succeeded(readSizes(kernel, launch, blocks)))
        return blocks.taken();
    }
    if (launch.getKind().getValue().starts_with("attention"))
      if (auto queries = launch.getSizes().getAs<DenseI64ArrayAttr>("queries"))
        return {.queries = queries[0]};
  }
  return {};
}

} // namespace ingot
