/// Places every tensor of every entry function in one arena, and turns the functions into calls on
/// those places. See README.md for the rules.
#include "passes/memory/PlanMemory.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "passes/Passes.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_PLANMEMORY
#include "passes/Passes.h.inc"

namespace {

/// The buffers of a module's entry functions, the persistent ones in their places.
struct ModuleBuffers {
  LogicalResult assign(ModuleOp module, SymbolTable &symbols);

  std::vector<BufferAssignment> plans;
  Persistent persistent;
};

LogicalResult ModuleBuffers::assign(ModuleOp module, SymbolTable &symbols) {
  SmallVector<func::FuncOp> entries;
  for (auto function : module.getOps<func::FuncOp>())
    if (!kernel::isKernel(function))
      entries.push_back(function);
  // The step asks the most of the parameters' layout (its buckets), so it is laid out first.
  auto step = llvm::find_if(entries, [](func::FuncOp entry) { return entry.getName() == "step"; });
  if (step != entries.end())
    std::rotate(entries.begin(), step, step + 1);
  for (func::FuncOp function : entries)
    plans.emplace_back(function, symbols);
  for (BufferAssignment &plan : plans)
    if (failed(plan.assign()) || failed(plan.placePersistent(persistent)))
      return failure();
  return success();
}

struct PlanMemory : impl::PlanMemoryBase<PlanMemory> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    ModuleBuffers buffers;
    if (failed(buffers.assign(getOperation(), symbols)))
      return signalPassFailure();
    auto &[plans, persistent] = buffers;
    for (BufferAssignment &plan : plans)
      plan.rewrite(plan.placeTransient(persistent));

    // Copies that are not made leave kernels that nobody calls.
    llvm::StringSet<> called;
    getOperation().walk([&](kernel::CallOp call) { called.insert(call.getKernel()); });
    for (auto function : llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
      if (function->hasAttr("graph.copy") && !called.contains(function.getName()))
        function.erase();

    Builder builder(&getContext());
    SmallVector<Attribute> constants;
    for (auto &[value, offset] : persistent.constants)
      constants.push_back(builder.getDictionaryAttr(
          {builder.getNamedAttr("value", value),
           builder.getNamedAttr("offset", builder.getI64IntegerAttr(offset))}));
    getOperation()->setAttr("graph.constants", builder.getArrayAttr(constants));
    getOperation()->setAttr("graph.persistent", builder.getI64IntegerAttr(persistent.end));
  }
};

} // namespace

ArenaNeed ArenaNeed::with(const ArenaNeed &others) const {
  ArenaNeed both = *this;
  for (const auto &[value, offset] : others.persistent.constants)
    if (auto [place, isNew] = both.persistent.constants.try_emplace(value, 0); isNew)
      place->second =
          both.persistent.allocate(kernel::memoryBytes(cast<TypedAttr>(value).getType()));
  both.transient = std::max(transient, others.transient);
  return both;
}

FailureOr<ArenaNeed> measureArena(ModuleOp module) {
  SymbolTable symbols(module);
  ModuleBuffers buffers;
  if (failed(buffers.assign(module, symbols)))
    return failure();
  ArenaNeed need{std::move(buffers.persistent)};
  for (BufferAssignment &plan : buffers.plans)
    need.transient = std::max(need.transient, plan.transientEnd());
  return need;
}

} // namespace ingot
