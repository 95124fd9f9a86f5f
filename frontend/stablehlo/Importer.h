/// The walk over a StableHLO module; Op.h is what rows see of it.
#pragma once
#include "frontend/stablehlo/Op.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseMap.h"

namespace ingot::stablehlo {

class Importer {
public:
  Importer(mlir::ModuleOp module, std::string place) : module(module), place(std::move(place)) {}
  Result<Model> run();

  /// The values that a block's last op hands on, for these arguments; none once it is too large.
  std::optional<Values> block(mlir::Block &block, Values arguments);
  void refuse(mlir::Operation *op, const std::string &reason);

private:
  Values importOp(mlir::Operation *op);
  Values importConstant(mlir::Operation *op);
  Values importCall(mlir::func::CallOp call, Values operands);

  mlir::ModuleOp module;
  std::string place;
  Builder builder;
  llvm::DenseMap<mlir::Value, Value> values;
  std::vector<std::string> refusals;
  Weights weights;
  int64_t imported = 0;
  int depth = 0; ///< of calls
};

} // namespace ingot::stablehlo
