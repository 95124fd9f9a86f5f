#include "passes/Signature.h"
#include "mlir/IR/Builders.h"

using namespace mlir;

namespace ingot {

Role roleOf(func::FuncOp function, unsigned index) {
  if (auto attribute = function.getArgAttrOfType<StringAttr>(index, roleAttribute))
    return parseRole(attribute.getValue()).value_or(Role::Input);
  return Role::Input;
}

StringRef argumentName(func::FuncOp function, unsigned index) {
  auto attribute = function.getArgAttrOfType<StringAttr>(index, nameAttribute);
  return attribute ? attribute.getValue() : StringRef();
}

static func::FuncOp functionOf(Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  auto function = argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : nullptr;
  return function && argument.getOwner()->isEntryBlock() ? function : nullptr;
}

StringRef argumentName(Value argument) {
  func::FuncOp function = functionOf(argument);
  return function ? argumentName(function, cast<BlockArgument>(argument).getArgNumber())
                  : StringRef();
}

StringRef resultName(func::FuncOp function, unsigned index) {
  auto attribute = function.getResultAttrOfType<StringAttr>(index, nameAttribute);
  return attribute ? attribute.getValue() : StringRef();
}

bool isParameter(Value value) {
  func::FuncOp function = functionOf(value);
  return function && roleOf(function, cast<BlockArgument>(value).getArgNumber()) == Role::Parameter;
}

SmallVector<BlockArgument> argumentsOf(func::FuncOp function, Role role) {
  SmallVector<BlockArgument> found;
  for (BlockArgument argument : function.getArguments())
    if (roleOf(function, argument.getArgNumber()) == role)
      found.push_back(argument);
  return found;
}

LogicalResult verifySignature(func::FuncOp function) {
  Role previous = Role::Parameter;
  for (BlockArgument argument : function.getArguments()) {
    unsigned index = argument.getArgNumber();
    for (StringRef attribute : {nameAttribute, roleAttribute})
      if (!function.getArgAttr(index, attribute))
        return emitError(argument.getLoc())
               << "argument " << index << " of @" << function.getName() << " has no " << attribute;
    Role role = roleOf(function, index);
    if (role < previous)
      return emitError(argument.getLoc())
             << roleName(role) << " '" << argumentName(function, index)
             << "' follows an argument of role " << roleName(previous)
             << "; the order is parameters, state, derived, inputs, targets, scalars";
    previous = role;
  }
  return success();
}

BlockArgument insertArgument(func::FuncOp function, Role role, StringRef name, Type type,
                             Location location) {
  unsigned index = 0;
  while (index < function.getNumArguments() && roleOf(function, index) <= role)
    ++index;
  Builder builder(function.getContext());
  auto attributes = builder.getDictionaryAttr(
      {builder.getNamedAttr(nameAttribute, builder.getStringAttr(name)),
       builder.getNamedAttr(roleAttribute, builder.getStringAttr(roleName(role)))});
  (void)function.insertArgument(index, type, attributes,
                                NameLoc::get(builder.getStringAttr(name), location));
  return function.getArgument(index);
}

void setResults(func::FuncOp function, ArrayRef<NamedResult> results) {
  Operation *terminator = function.front().getTerminator();
  Builder builder(function.getContext());
  SmallVector<Value> values;
  SmallVector<Attribute> attributes;
  for (const NamedResult &result : results) {
    values.push_back(result.value);
    SmallVector<NamedAttribute> entries = {
        builder.getNamedAttr(nameAttribute, builder.getStringAttr(result.name))};
    if (!result.role.empty())
      entries.push_back(builder.getNamedAttr(roleAttribute, builder.getStringAttr(result.role)));
    if (!result.members.empty())
      entries.push_back(
          builder.getNamedAttr(membersAttribute, builder.getStrArrayAttr(result.members)));
    attributes.push_back(builder.getDictionaryAttr(entries));
  }
  terminator->setOperands(values);
  function.removeResAttrsAttr();
  function.setType(
      builder.getFunctionType(function.getArgumentTypes(), ValueRange(values).getTypes()));
  function.setResAttrsAttr(builder.getArrayAttr(attributes));
}

func::FuncOp requireFunction(ModuleOp module, StringRef name, StringRef maker) {
  auto function = module.lookupSymbol<func::FuncOp>(name);
  if (!function || function.isExternal()) {
    emitError(module.getLoc()) << "the module has no function @" << name << "; " << maker
                               << " makes it";
    return {};
  }
  if (!function.getBody().hasOneBlock()) {
    function.emitError() << "@" << name << " must have one block";
    return {};
  }
  return function;
}

} // namespace ingot
