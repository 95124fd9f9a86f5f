/// Attributes of modules, arguments and results that the dialect defines (Base.td lists them).
#include "ir/dialect/Graph.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/JSON.h"
#include <cmath>

using namespace mlir;

namespace ingot::graph {
namespace {

/// The attributes of a function's arguments or of its results.
class Ports {
public:
  Ports(FunctionOpInterface function, bool results)
      : types(results ? function.getResultTypes() : function.getArgumentTypes()),
        dictionaries(results ? function.getAllResultAttrs() : function.getAllArgAttrs()) {}

  Attribute get(unsigned index, StringRef name) const {
    auto dictionary = cast<DictionaryAttr>(dictionaries[index]);
    return dictionary.get(name);
  }

  const ArrayRef<Type> types;

private:
  ArrayAttr dictionaries;
};

LogicalResult verifyName(Operation *op, const Ports &ports, unsigned index, Attribute value) {
  auto name = dyn_cast<StringAttr>(value);
  if (!name || name.empty())
    return op->emitOpError("graph.name must be a string that is not empty");
  for (unsigned other = 0; other < index; ++other)
    if (ports.get(other, "graph.name") == name)
      return op->emitOpError("graph.name ")
             << name << " stands at positions " << other << " and " << index;
  return success();
}

/// The role of an argument, or of a result, which may also report an error.
LogicalResult verifyRole(Operation *op, Attribute value, bool ofResult = false) {
  auto role = dyn_cast<StringAttr>(value);
  bool isKnown =
      role && llvm::StringSwitch<bool>(role)
                  .Cases({"parameter", "state", "derived", "input", "target", "scalar"}, true)
                  .Case("error", ofResult)
                  .Default(false);
  if (!isKnown)
    return op->emitOpError(
               "graph.role must be parameter, state, derived, input, target or scalar, but is ")
           << value;
  return success();
}

StringRef roleAt(const Ports &ports, unsigned index) {
  auto role = dyn_cast_or_null<StringAttr>(ports.get(index, "graph.role"));
  return role ? role.getValue() : "";
}

LogicalResult verifyInit(Operation *op, const Ports &ports, unsigned index, Attribute value) {
  auto text = dyn_cast<StringAttr>(value);
  auto [kind, number] = (text ? text.getValue() : "").split(':');
  double parsed = 0;
  bool isFile = text && text.getValue() == "file";
  bool isKnown = kind == "normal" || kind == "uniform" || kind == "constant";
  if (!isFile && (!isKnown || number.getAsDouble(parsed) || !std::isfinite(parsed)))
    return op->emitOpError(
               "graph.init must be normal:STD, uniform:LIMIT, constant:VALUE or file, but is ")
           << value;
  if (StringRef role = roleAt(ports, index); role != "parameter" && role != "state")
    return op->emitOpError("graph.init is on argument ")
           << index << ", which is neither a parameter nor state";
  return success();
}

LogicalResult verifyDonated(FunctionOpInterface function, const Ports &ports, unsigned index,
                            Attribute value) {
  auto result = dyn_cast<IntegerAttr>(value);
  if (!result || !result.getType().isInteger(64))
    return function->emitOpError("graph.donated must be an i64, the index of a result");
  int64_t target = result.getInt();
  if (target < 0 || target >= int64_t(function.getNumResults()))
    return function->emitOpError("argument ")
           << index << " is donated to result " << target << " of " << function.getNumResults();
  Type given = ports.types[index], taken = function.getResultTypes()[target];
  if (given != taken)
    return function->emitOpError("argument ") << index << ", " << given << ", is donated to result "
                                              << target << " of another type, " << taken;
  if (StringRef role = roleAt(ports, index);
      !role.empty() && role != "parameter" && role != "state" && role != "derived")
    return function->emitOpError("argument ") << index << " is donated, but its role is " << role;
  for (unsigned other = 0; other < index; ++other)
    if (ports.get(other, "graph.donated") == value)
      return function->emitOpError("arguments ")
             << other << " and " << index << " are donated to the same result " << target;
  return success();
}

LogicalResult verifyLimit(Operation *op, unsigned index, Attribute value) {
  auto limit = dyn_cast<IntegerAttr>(value);
  if (!limit || !limit.getType().isInteger(64) || limit.getInt() < 1)
    return op->emitOpError("graph.limit of argument ")
           << index << " must be an i64 above 0, but is " << value;
  return success();
}

LogicalResult verifyFrozen(Operation *op, const Ports &ports, unsigned index, Attribute value) {
  if (!isa<UnitAttr>(value) || roleAt(ports, index) != "parameter")
    return op->emitOpError("graph.frozen of argument ")
           << index << " must be a unit on a parameter, but is " << value;
  return success();
}

LogicalResult verifyMembers(Operation *op, unsigned index, Attribute value) {
  auto members = dyn_cast<ArrayAttr>(value);
  if (!members || !llvm::all_of(members, llvm::IsaPred<StringAttr>))
    return op->emitOpError("graph.members of result ")
           << index << " must be names of arguments, but is " << value;
  return success();
}

/// Names stand on results before and after this one.
LogicalResult verifyCount(FunctionOpInterface function, const Ports &ports, unsigned index,
                          Attribute value) {
  auto parts = dyn_cast<ArrayAttr>(value);
  auto name = parts && parts.size() == 2 ? dyn_cast<StringAttr>(parts[0]) : StringAttr();
  auto dimension = name ? dyn_cast<IntegerAttr>(parts[1]) : IntegerAttr();
  if (!dimension || !dimension.getType().isInteger(64))
    return function->emitOpError("graph.count of result ")
           << index << " must be a name and the i64 of a dimension, but is " << value;
  auto type = dyn_cast<RankedTensorType>(ports.types[index]);
  if (!type || dimension.getInt() < 0 || dimension.getInt() >= type.getRank())
    return function->emitOpError("graph.count of result ")
           << index << " counts dimension " << dimension.getInt() << " of " << ports.types[index];
  for (unsigned other = 0; other < ports.types.size(); ++other) {
    auto counter = dyn_cast<RankedTensorType>(ports.types[other]);
    if (ports.get(other, "graph.name") == name && counter && counter.getRank() == 0 &&
        counter.getElementType().isSignlessInteger(64))
      return success();
  }
  return function->emitOpError("graph.count of result ")
         << index << " names " << name << ", which is no i64 scalar among the results";
}

LogicalResult verifySymbols(Operation *op, Type type, unsigned index, Attribute value) {
  auto symbols = dyn_cast<ArrayAttr>(value);
  auto ranked = dyn_cast<RankedTensorType>(type);
  bool areNames = symbols && llvm::all_of(symbols, [](Attribute symbol) {
                    auto name = dyn_cast<StringAttr>(symbol);
                    return name && !name.empty();
                  });
  if (!areNames || !ranked || int64_t(symbols.size()) != int64_t(ranked.getNumDynamicDims()))
    return op->emitOpError("graph.symbols of argument ")
           << index << " must name each `?` of " << type << ", but is " << value;
  return success();
}

} // namespace

LogicalResult GraphDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  if (attribute.getName() != "graph.metadata")
    return success();
  auto text = dyn_cast<StringAttr>(attribute.getValue());
  if (!isa<ModuleOp>(op) || !text)
    return op->emitOpError("graph.metadata must be a string of a module");
  llvm::Expected<llvm::json::Value> json = llvm::json::parse(text.getValue());
  if (!json)
    return op->emitOpError("graph.metadata is not JSON: ") << llvm::toString(json.takeError());
  if (!json->getAsObject())
    return op->emitOpError("graph.metadata must be a JSON object");
  return success();
}

LogicalResult GraphDialect::verifyRegionArgAttribute(Operation *op, unsigned, unsigned index,
                                                     NamedAttribute attribute) {
  auto function = dyn_cast<FunctionOpInterface>(op);
  if (!function)
    return success();
  Ports ports(function, /*results=*/false);
  StringRef name = attribute.getName();
  if (name == "graph.name")
    return verifyName(op, ports, index, attribute.getValue());
  if (name == "graph.role")
    return verifyRole(op, attribute.getValue());
  if (name == "graph.init")
    return verifyInit(op, ports, index, attribute.getValue());
  if (name == "graph.donated")
    return verifyDonated(function, ports, index, attribute.getValue());
  if (name == "graph.frozen")
    return verifyFrozen(op, ports, index, attribute.getValue());
  if (name == "graph.limit")
    return verifyLimit(op, index, attribute.getValue());
  if (name == "graph.symbols")
    return verifySymbols(op, ports.types[index], index, attribute.getValue());
  return success();
}

LogicalResult GraphDialect::verifyRegionResultAttribute(Operation *op, unsigned, unsigned index,
                                                        NamedAttribute attribute) {
  auto function = dyn_cast<FunctionOpInterface>(op);
  if (!function)
    return success();
  if (attribute.getName() == "graph.name")
    return verifyName(op, Ports(function, /*results=*/true), index, attribute.getValue());
  if (attribute.getName() == "graph.role")
    return verifyRole(op, attribute.getValue(), /*ofResult=*/true);
  if (attribute.getName() == "graph.members")
    return verifyMembers(op, index, attribute.getValue());
  if (attribute.getName() == "graph.count")
    return verifyCount(function, Ports(function, /*results=*/true), index, attribute.getValue());
  return success();
}

} // namespace ingot::graph
