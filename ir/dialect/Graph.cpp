#include "ir/dialect/Graph.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/OpImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "ir/dialect/GraphDialect.cpp.inc"
#include "ir/dialect/GraphEnums.cpp.inc"
#include "ir/dialect/GraphInterfaces.cpp.inc"
#include "ir/dialect/KernelOpInterfaces.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "ir/dialect/GraphTypes.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "ir/dialect/GraphAttributes.cpp.inc"
#define GET_OP_CLASSES
#include "ir/dialect/Graph.cpp.inc"

using namespace mlir;

namespace ingot::graph {

void GraphDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "ir/dialect/GraphTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "ir/dialect/GraphAttributes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "ir/dialect/Graph.cpp.inc"
      >();
}

Operation *GraphDialect::materializeConstant(OpBuilder &builder, Attribute value, Type type,
                                             Location location) {
  auto elements = dyn_cast<ElementsAttr>(value);
  if (!elements || elements.getType() != type)
    return nullptr;
  return ConstantOp::create(builder, location, elements);
}

} // namespace ingot::graph
