/// Places every tensor of every entry function in one arena, and turns the functions into calls on
/// those places. See README.md for the rules.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "passes/Passes.h"
#include "passes/memory/BufferAssignment.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_PLANMEMORY
#include "passes/Passes.h.inc"

namespace {

struct PlanMemory : impl::PlanMemoryBase<PlanMemory> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    std::vector<BufferAssignment> plans;
    SmallVector<func::FuncOp> entries;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (!kernel::isKernel(function))
        entries.push_back(function);
    }
    // The step asks the most of the parameters' layout (its buckets), so it is laid out first.
    auto step =
        llvm::find_if(entries, [](func::FuncOp entry) { return entry.getName() == "step"; });
    if (step != entries.end())
      std::rotate(entries.begin(), step, step + 1);
    for (func::FuncOp function : entries)
      plans.emplace_back(function, symbols);

    Persistent persistent;
    for (BufferAssignment &plan : plans)
      if (failed(plan.assign()) || failed(plan.placePersistent(persistent)))
        return signalPassFailure();
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
} // namespace ingot
