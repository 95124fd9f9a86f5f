/// Pass raise-composites: what exporters wrote out becomes the composite that it came from.
///
/// The one place for it: importers write what their files say, and everything after this pass, from
/// gradients to kernels, sees an attention as one op whoever wrote it, and however.
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "passes/Passes.h"
#include "passes/raise/Raise.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace ingot::graph;

namespace ingot {

#define GEN_PASS_DEF_RAISECOMPOSITES
#include "passes/Passes.h.inc"

namespace {

struct RaiseComposites : impl::RaiseCompositesBase<RaiseComposites> {
  void runOnOperation() override {
    getOperation().walk([&](func::FuncOp function) {
      SmallVector<Operation *> ops;
      function.walk([&](Operation *op) {
        if (op->getNumResults() == 1)
          ops.push_back(op);
      });
      // In the order in which they are computed: a row finds its operands raised.
      KnownValues known;
      for (Operation *op : ops)
        raise(op, known);
    });
  }

  static void raise(Operation *op, KnownValues &known) {
    if (op->use_empty())
      return;
    OpBuilder builder(op);
    for (ArrayRef<RaiseRow> rows : {functionRows(), lineRows(), attentionRows()})
      for (const RaiseRow &row : rows)
        if (Value value = row.raise(op, builder, known)) {
          op->getResult(0).replaceAllUsesWith(value);
          dropUnused(op, known);
          return;
        }
  }

  /// Takes out the op and what only it read, so that rows see who else reads a value.
  static void dropUnused(Operation *op, KnownValues &known) {
    llvm::SmallSetVector<Operation *, 8> pending;
    pending.insert(op);
    while (!pending.empty()) {
      Operation *next = pending.pop_back_val();
      if (!isOpTriviallyDead(next))
        continue;
      for (Value operand : next->getOperands())
        if (Operation *defining = operand.getDefiningOp())
          pending.insert(defining);
      known.forget(next);
      next->erase();
    }
  }
};

} // namespace
} // namespace ingot
