/// Tells kernels which sizes of blocks were found best for them.
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Passes.h"
#include "passes/options/BlockChoice.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_CHOOSEBLOCKS
#include "passes/Passes.h.inc"

namespace {

struct ChooseBlocks : impl::ChooseBlocksBase<ChooseBlocks> {
  using ChooseBlocksBase::ChooseBlocksBase;

  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (const std::string &choice : choices) {
      auto [name, sizes] = StringRef(choice).split(':');
      std::string problem;
      if (!BlockChoice::parse(std::string_view(sizes), problem)) {
        getOperation().emitError("cannot choose blocks of ") << name << ": " << problem;
        return signalPassFailure();
      }
      // Choices are those of a machine, for the kernels of many models.
      auto kernel = symbols.lookup<func::FuncOp>(name);
      if (kernel && kernel->hasAttr("graph.kernel"))
        kernel->setAttr("graph.tuned", StringAttr::get(&getContext(), sizes));
    }
  }
};

} // namespace
} // namespace ingot
