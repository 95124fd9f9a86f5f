#include "ir/Graph.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/OpImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "ir/GraphDialect.cpp.inc"
#include "ir/GraphEnums.cpp.inc"
#include "ir/GraphInterfaces.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "ir/GraphTypes.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "ir/GraphAttributes.cpp.inc"
#define GET_OP_CLASSES
#include "ir/Graph.cpp.inc"

using namespace mlir;

namespace ingot::graph {

void GraphDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "ir/GraphTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "ir/GraphAttributes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "ir/Graph.cpp.inc"
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
