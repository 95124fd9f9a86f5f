#include "frontend/check/ReferenceDevice.h"
#include "frontend/api/ModelModule.h"
#include "ir/dialect/Elements.h"
#include "ir/reference/Reference.h"
#include "passes/Signature.h"
#include "runtime/program/DerivedPorts.h"
#include <map>

namespace ingot {
namespace {

Result<Port> makePort(std::string name, Role role, mlir::Type type) {
  auto tensor = mlir::dyn_cast<mlir::RankedTensorType>(type);
  std::optional<ElementType> element =
      tensor ? graph::elementTypeOf(tensor.getElementType()) : std::nullopt;
  if (!element || !tensor.hasStaticShape())
    return failure(Error::Code::Unsupported, name, "the reference needs tensors of static shape");
  return Port{std::move(name), role, *element, Shape(tensor.getShape()), 0};
}

/// The argument whose storage result `index` takes over, if any.
std::optional<unsigned> donor(mlir::func::FuncOp function, unsigned index) {
  for (unsigned argument = 0; argument < function.getNumArguments(); ++argument)
    if (auto donated = function.getArgAttrOfType<mlir::IntegerAttr>(argument, donatedAttribute);
        donated && donated.getInt() == index)
      return argument;
  return std::nullopt;
}

} // namespace

std::string storageName(mlir::func::FuncOp function, unsigned index) {
  std::optional<unsigned> argument = donor(function, index);
  return (argument ? argumentName(function, *argument) : resultName(function, index)).str();
}

namespace {

Role resultRole(mlir::func::FuncOp function, unsigned index) {
  if (std::optional<unsigned> argument = donor(function, index))
    return roleOf(function, *argument);
  auto role = function.getResultAttrOfType<mlir::StringAttr>(index, roleAttribute);
  return role ? parseRole(role.getValue()).value_or(Role::Output) : Role::Output;
}

Result<Function> describeFunction(mlir::func::FuncOp function) {
  Function description;
  description.name = function.getName().str();
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    INGOT_ASSIGN(Port port, makePort(argumentName(function, i).str(), roleOf(function, i),
                                     function.getArgumentTypes()[i]));
    if (auto limit = function.getArgAttrOfType<mlir::IntegerAttr>(i, limitAttribute))
      port.limit = limit.getInt();
    description.ports.push_back(std::move(port));
  }
  for (unsigned i = 0; i < function.getNumResults(); ++i) {
    if (donor(function, i))
      continue;
    INGOT_ASSIGN(Port port, makePort(storageName(function, i), resultRole(function, i),
                                     function.getResultTypes()[i]));
    if (auto members = function.getResultAttrOfType<mlir::ArrayAttr>(i, membersAttribute))
      for (auto member : members.getAsRange<mlir::StringAttr>())
        port.members.push_back(member.str());
    if (auto count = function.getResultAttrOfType<mlir::ArrayAttr>(i, countAttribute)) {
      port.count = mlir::cast<mlir::StringAttr>(count[0]).str();
      port.counted = mlir::cast<mlir::IntegerAttr>(count[1]).getInt();
    }
    description.ports.push_back(std::move(port));
  }
  return description;
}

class ReferenceSession final : public Session {
public:
  ReferenceSession(Model model, mlir::OwningOpRef<mlir::ModuleOp> module, Program program)
      : model(std::move(model)), module(std::move(module)), description(std::move(program)) {
    for (const Function &function : description.functions)
      for (const Port &port : function.ports)
        storage.try_emplace(key(function.name, port), port.type, port.shape);
  }

  Status run(std::string_view name) override {
    auto function = module->lookupSymbol<mlir::func::FuncOp>(name);
    const Function *ports = description.function(name);
    if (!function || !ports)
      return failure(Error::Code::Usage, std::string(name), "the program has no such function");
    if (derivedPorts(*ports) && isStale && name != deriveFunction)
      INGOT_TRY(run(deriveFunction));
    isStale = !derivedPorts(*ports);
    std::vector<Tensor> arguments;
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      arguments.push_back(storage.at(key(name, ports->ports[i])));
    INGOT_ASSIGN(std::vector<Tensor> results, interpret(function, arguments));
    for (unsigned i = 0; i < function.getNumResults(); ++i)
      storage.at(key(name, *ports->port(storageName(function, i)))) = results[i];
    return {};
  }

  Status write(std::string_view function, std::string_view port, const Tensor &value) override {
    INGOT_ASSIGN(const Port *found, find(function, port));
    INGOT_TRY(checkValue(function, *found, value));
    storage.at(key(function, *found)) = value.clone();
    isStale = true;
    return {};
  }

  Result<Tensor> read(std::string_view function, std::string_view port) const override {
    INGOT_ASSIGN(const Port *found, find(function, port));
    return storage.at(key(function, *found)).clone();
  }

  const Program &program() const override { return description; }
  void profile(ProfileSink) override {} // Nothing is a kernel here.

private:
  Result<const Port *> find(std::string_view function, std::string_view port) const {
    const Function *owner = description.function(function);
    const Port *found = owner ? owner->port(port) : nullptr;
    if (!found)
      return failure(Error::Code::Usage, fmt::format("{}.{}", function, port),
                     "the program has no such port");
    return found;
  }
  /// What persists is shared by all functions.
  static std::string key(std::string_view function, const Port &port) {
    return isPersistent(port.role) ? port.name : fmt::format("{}\n{}", function, port.name);
  }

  Model model; ///< owns the context of `module`
  mlir::OwningOpRef<mlir::ModuleOp> module;
  Program description;
  std::map<std::string, Tensor> storage;
  bool isStale = true; ///< what is derived may not agree with the parameters (DerivedPorts.h)
};

} // namespace

Result<Program> describeFunctions(mlir::ModuleOp module) {
  Program program;
  program.target = "reference";
  for (auto function : module.getOps<mlir::func::FuncOp>()) {
    if (function.isPrivate())
      continue;
    INGOT_ASSIGN(Function description, describeFunction(function));
    program.functions.push_back(std::move(description));
  }
  return program;
}

Result<std::unique_ptr<Session>> openReferenceSession(const Model &model,
                                                      const CompileOptions &options) {
  INGOT_ASSIGN(mlir::OwningOpRef<mlir::ModuleOp> module,
               lowerTo(Stage::Train, moduleOf(model), options));
  INGOT_ASSIGN(Program program, describeFunctions(*module));
  program.metadata = model.metadata();
  if (auto operators = (*module)->getAttrOfType<mlir::IntegerAttr>("graph.operators"))
    program.operators = operators.getInt();
  return std::make_unique<ReferenceSession>(model, std::move(module), std::move(program));
}

} // namespace ingot
