#include "frontend/api/Model.h"
#include "frontend/api/ModelModule.h"
#include "ir/dialect/Elements.h"
#include "ir/dialect/Graph.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ingot {
namespace {

/// Null once the module is planned: then there are no tensors any more.
mlir::func::FuncOp forwardOf(const Model &model) {
  if (stageOf(moduleOf(model)) >= Stage::Plan)
    return {};
  return moduleOf(model).lookupSymbol<mlir::func::FuncOp>("forward");
}

std::string stringAttribute(mlir::DictionaryAttr attributes, llvm::StringRef name) {
  auto value = attributes ? attributes.getAs<mlir::StringAttr>(name) : mlir::StringAttr();
  return value ? value.str() : std::string();
}

ModelPort portOf(mlir::Type type, mlir::DictionaryAttr attributes, Role role) {
  auto tensor = mlir::cast<mlir::RankedTensorType>(type);
  ModelPort port{stringAttribute(attributes, "graph.name"), role,
                 *graph::elementTypeOf(tensor.getElementType()), Shape(tensor.getShape()),
                 stringAttribute(attributes, "graph.init")};
  for (int64_t &size : port.shape)
    size = mlir::ShapedType::isDynamic(size) ? -1 : size;
  return port;
}

} // namespace

mlir::ModuleOp moduleOf(const Model &model) { return *model.internals().module; }

const Weights &Model::weights() const { return *internals().weights; }

std::vector<ModelPort> Model::ports() const {
  mlir::func::FuncOp forward = forwardOf(*this);
  std::vector<ModelPort> ports;
  if (!forward)
    return ports;
  for (auto [index, type] : llvm::enumerate(forward.getArgumentTypes())) {
    mlir::DictionaryAttr attributes = forward.getArgAttrDict(index);
    ports.push_back(
        portOf(type, attributes,
               parseRole(stringAttribute(attributes, "graph.role")).value_or(Role::Input)));
  }
  for (auto [index, type] : llvm::enumerate(forward.getResultTypes()))
    ports.push_back(portOf(type, forward.getResultAttrDict(index), Role::Output));
  return ports;
}

int64_t Model::parameterCount() const {
  int64_t count = 0;
  for (const ModelPort &port : ports())
    if (port.role == Role::Parameter)
      count += elementCount(port.shape);
  return count;
}

int64_t Model::operationCount() const {
  // Of a later stage: it was counted when there were graph ops.
  if (auto counted = moduleOf(*this)->getAttrOfType<mlir::IntegerAttr>("graph.operators"))
    return counted.getInt();
  int64_t count = 0;
  if (mlir::func::FuncOp forward = forwardOf(*this))
    forward.walk([&](mlir::Operation *op) {
      count += op->getDialect()->getNamespace() == "graph" && !mlir::isa<graph::ConstantOp>(op);
    });
  return count;
}

std::string Model::metadata() const {
  auto metadata = moduleOf(*this)->getAttrOfType<mlir::StringAttr>("graph.metadata");
  return metadata ? metadata.str() : "{}";
}

} // namespace ingot
