/// How a contraction kernel is launched: its blocks, its scratch, and which of its results may
/// overwrite an operand.
#include "codegen/cpu/ContractionBlocks.h"
#include "codegen/cpu/ContractionOperand.h"
#include "codegen/cpu/KernelScheduler.h"
#include "codegen/kernel/PointAccess.h"
#include "codegen/kernel/Sharing.h"

using namespace mlir;

namespace ingot {
namespace {

constexpr int64_t lanes = Code::lanes;

/// Notes what the epilogue reads at one element: a result may overwrite an operand that it reads at
/// the result's own place alone.
LogicalResult shareEpilogue(KernelScheduler &kernel, graph::ContractOp contract,
                            const ContractionForm &form) {
  const ContractionShape &shape = form.shape;
  func::FuncOp function = kernel.kernel;
  PointAccess points(function, shape.columns == 1 ? 1 : lanes);
  PointIndex column =
      shape.columns == 1 ? PointIndex::constant(0) : points.consecutive(shape.columns);
  PointIndex position =
      (points.uniform(shape.batch) * shape.rows + points.uniform(shape.rows)) * shape.columns +
      column;
  SmallVector<PointIndex> own = points.split(position, contract.getType().getShape());
  bool elsewhere = false;
  points.bind(contract.getResult(), [&](PointAccess::Indices indices) {
    elsewhere |= indices != PointAccess::Indices(own);
    return std::optional(shape.columns != 1);
  });
  for (unsigned result = 0; result < function.getNumResults(); ++result)
    points.at(kernel.returned(result), points.split(position, kernel.type(result).getShape()));
  if (elsewhere)
    return contract.emitError(
        "the kernel uses the contraction's result at another element than it computes");
  SmallVector<unsigned> factors = form.factors();
  for (unsigned operand = 0; operand < function.getNumArguments(); ++operand) {
    const bool movesAbout = llvm::any_of(points.loads(), [&](const PointAccess::Load &load) {
      return load.operand == operand && !(load.position == position);
    });
    if (movesAbout || llvm::is_contained(factors, operand))
      continue;
    for (unsigned result = 0; result < function.getNumResults(); ++result)
      if (kernel::memoryType(function.getArgumentTypes()[operand]) ==
          kernel::memoryType(function.getResultTypes()[result]))
        kernel.share(kernel::PairAttr::get(kernel.context(), result, operand,
                                           kernel::Sharing::SamePoint, 1));
  }
  return success(points.ok());
}

} // namespace

LogicalResult scheduleContraction(KernelScheduler &kernel) {
  graph::ContractOp contract = contractionOf(kernel.kernel);
  if (!contract)
    return failure();
  const ContractionForm form(contract);
  const double flops = form.shape.flops() + kernel.operations();
  ContractionBlocks blocks;
  if (contract.getType().getNumElements() == 0) {
    kernel.launch("contraction", 0, blocks, flops);
    return success();
  }
  if (failed(shareEpilogue(kernel, contract, form)))
    return failure();
  blocks = chooseBlocks(form.shape, kernel.machine, kernel.costs, kernel.choice);
  const ContractionScratch scratch(form.shape, blocks, form.keepRows);
  for (int64_t count : {scratch.leftPanels, scratch.rightPanel, scratch.sums})
    kernel.addScratch(count * form.shape.elementBytes);
  kernel.launch("contraction", blocks.grains, blocks, flops);
  return success();
}

} // namespace ingot
