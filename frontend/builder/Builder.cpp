#include "frontend/builder/BuilderImpl.h"
#include "ir/formulas/Formulas.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "passes/Signature.h"
#include <cmath>

namespace ingot {
namespace {

std::string initializerText(Initializer initializer) {
  if (initializer.kind == Initializer::Kind::File)
    return "file";
  constexpr const char *kinds[] = {"normal", "uniform", "constant"};
  return fmt::format("{}:{}", kinds[size_t(initializer.kind)], initializer.value);
}

} // namespace

//===--------------------------------------------------------------------------------------------===//
// Placing ops
//===--------------------------------------------------------------------------------------------===//

Builder::Impl::Impl(Builder &owner, unsigned serial)
    : owner(owner), serial(serial), model(std::make_shared<Model::Impl>()),
      builder(model->context.get()) {
  mlir::Location unknown = builder.getUnknownLoc();
  model->module = mlir::ModuleOp::create(unknown);
  builder.setInsertionPointToEnd(model->module->getBody());
  forward =
      mlir::func::FuncOp::create(builder, unknown, "forward", builder.getFunctionType({}, {}));
  builder.setInsertionPointToEnd(forward.addEntryBlock());
}

std::string Builder::Impl::node(llvm::StringRef fallback) const {
  return scopes.empty() ? fallback.str() : fmt::format("{}", fmt::join(scopes, "."));
}

std::string Builder::Impl::qualified(std::string_view name) const {
  return scopes.empty() ? std::string(name) : fmt::format("{}.{}", fmt::join(scopes, "."), name);
}

bool Builder::Impl::usable(llvm::StringRef operation, llvm::ArrayRef<Value> operands) {
  for (const Value &operand : operands) {
    if (valid(operand)) {
      if (isVisible(ir(operand)))
        continue;
      fail(operation, operands, "an operand was made in a loop or branch that has ended");
    } else if (!operand.owner)
      fail(operation, operands, "an operand was never given a value");
    else if (operand.owner != &owner)
      fail(operation, operands, "an operand belongs to another builder");
    else if (operand.model != serial)
      fail(operation, operands, "an operand belongs to a model that is finished");
    return false;
  }
  return true;
}

Builder::Value Builder::Impl::fail(llvm::StringRef operation, llvm::ArrayRef<Value> operands,
                                   const std::string &message) {
  operation.consume_front("graph.");
  std::vector<std::string> described;
  for (const Value &operand : operands)
    if (valid(operand))
      described.push_back(fmt::format("{} {}", toString(operand.shape()), name(operand.type())));
  std::string place = scopes.empty() ? "" : node("") + ": ";
  errors.push_back(
      fmt::format("{}{}({}): {}", place, operation.str(), fmt::join(described, ", "), message));
  return invalid();
}

Builder::Value Builder::Impl::place(llvm::StringRef operation, llvm::ArrayRef<Value> operands,
                                    Attributes attributes, TypeFunction types) {
  if (!usable(operation, operands))
    return invalid();
  llvm::SmallVector<mlir::Value> irOperands;
  for (const Value &operand : operands)
    irOperands.push_back(ir(operand));
  llvm::StringRef shortName = operation;
  shortName.consume_front("graph.");
  auto location = mlir::NameLoc::get(builder.getStringAttr(node(shortName)));
  for (const mlir::NamedAttribute &attribute : attributes)
    if (auto value = mlir::dyn_cast<mlir::FloatAttr>(attribute.getValue());
        value && !value.getValue().isFinite())
      return fail(operation, operands,
                  fmt::format("{} is not a finite number", attribute.getName().str()));
  DiagnosticCollector diagnostics(*model->context);
  llvm::SmallVector<mlir::Type> resultTypes;
  if (failed(types(location, irOperands, builder.getDictionaryAttr(attributes), resultTypes)))
    return fail(operation, operands, diagnostics.messages());
  for (mlir::Type result : resultTypes)
    if (auto type = mlir::dyn_cast<mlir::RankedTensorType>(result)) {
      const bool isNegative = llvm::any_of(type.getShape(), [](int64_t size) { return size < 0; });
      if (isNegative || !graph::isPossibleSize(type))
        return fail(operation, operands,
                    fmt::format("the result {} has {}", toString(Shape(type.getShape())),
                                isNegative ? "a negative dimension" : "more than 64 TiB"));
    }
  mlir::OperationState state(location, operation, irOperands, resultTypes, attributes);
  mlir::Operation *op = builder.create(state);
  if (failed(mlir::verify(op))) {
    op->erase();
    return fail(operation, operands, diagnostics.messages());
  }
  return give(folds ? fold(op) : op->getResult(0));
}

Builder::Value Builder::Impl::give(mlir::Value value) {
  values.push_back(value);
  const Value made(&owner, int(values.size() - 1), serial);
  shapes.emplace_back(type(made).getShape());
  return made;
}

Builder::Value Builder::Impl::result(Value first, unsigned number) {
  return valid(first) ? give(ir(first).getDefiningOp()->getResult(number)) : invalid();
}

mlir::Value Builder::Impl::fold(mlir::Operation *op) {
  llvm::SmallVector<mlir::Value> results;
  if (op->getNumResults() != 1 || failed(builder.tryFold(op, results)) || results.empty() ||
      results.front().getDefiningOp() == op)
    return op->getResult(0);
  op->erase();
  return results.front();
}

//===--------------------------------------------------------------------------------------------===//
// Broadcasting
//===--------------------------------------------------------------------------------------------===//

std::optional<Shape> broadcastShape(Shape a, Shape b) {
  if (a.size() < b.size())
    std::swap(a, b);
  for (size_t i = 0, offset = a.size() - b.size(); i < b.size(); ++i) {
    int64_t &size = a[offset + i];
    if (size != b[i] && size != 1 && b[i] != 1)
      return std::nullopt;
    size = size == 1 ? b[i] : size;
  }
  return a;
}

bool Builder::Impl::broadcastTogether(llvm::StringRef operation, Values &operands) {
  if (!usable(operation, operands))
    return false;
  std::optional<Shape> common = Shape();
  for (const Value &operand : operands) {
    common = broadcastShape(*common, operand.shape());
    if (!common) {
      fail(operation, operands,
           "the shapes do not broadcast: aligned at the last dimension, sizes "
           "must agree or be 1");
      return false;
    }
  }
  for (Value &operand : operands) {
    operand = broadcastTo(operand, *common);
    if (!valid(operand)) // too large
      return false;
  }
  return true;
}

Builder::Value Builder::Impl::formula(llvm::StringRef method, Values operands,
                                      llvm::ArrayRef<double> parameters) {
  std::string name = graph::formulaName(method);
  if (!broadcastTogether(name, operands))
    return invalid();
  return make<graph::FormulaOp>(
      type(operands.front()), operands,
      {builder.getNamedAttr("name", builder.getStringAttr(name)),
       builder.getNamedAttr("parameters", builder.getDenseF64ArrayAttr(parameters))});
}

Builder::Value Builder::Impl::broadcastTo(Value x, llvm::ArrayRef<int64_t> target) {
  if (shape(x) == target)
    return x;
  llvm::SmallVector<int64_t> dimensions;
  for (size_t i = 0, rank = shape(x).size(); i < rank; ++i)
    dimensions.push_back(int64_t(target.size() - rank + i));
  return make<graph::BroadcastOp>(tensor(target, type(x).getElementType()), {x},
                                  {integers("dimensions", dimensions)});
}

//===--------------------------------------------------------------------------------------------===//
// The model's boundary
//===--------------------------------------------------------------------------------------------===//

bool Builder::Value::valid() const { return owner && owner->impl->valid(*this); }

const Shape &Builder::Value::shape() const {
  static const Shape none;
  return valid() ? owner->impl->shapes[index] : none;
}

ElementType Builder::Value::type() const {
  return valid() ? *graph::elementTypeOf(owner->impl->type(*this).getElementType())
                 : ElementType::F32;
}

Builder::Scope::~Scope() {
  // After `finish` the builder may already be a new, empty one.
  if (builder && builder->impl->scopes.size() > depth)
    builder->impl->scopes.resize(depth);
}

Builder::Builder() : impl(std::make_unique<Impl>(*this, 0)) {}
Builder::~Builder() = default;

Builder::Scope Builder::scope(std::string_view name) {
  impl->scopes.emplace_back(name);
  return Scope(this, impl->scopes.size() - 1);
}

Builder::Value Builder::Impl::boundary(std::string name, Role role, ElementType type,
                                       const Shape &shape, const std::string &initializer) {
  auto refuse = [&](const std::string &message) {
    errors.push_back(fmt::format("{}: {}", name, message));
    return invalid();
  };
  if (name.empty())
    return refuse("a tensor at the model's boundary needs a name");
  if (llvm::any_of(shape, [](int64_t size) { return size < 0; }))
    return refuse(fmt::format("shape {} has a negative dimension", toString(shape)));
  if (!portNames.insert(name).second)
    return refuse("the name is taken already");
  mlir::RankedTensorType tensorType = tensor(shape, graph::mlirType(type, model->context.get()));
  if (!graph::isPossibleSize(tensorType))
    return refuse(fmt::format("shape {} has more than 64 TiB", toString(shape)));
  mlir::NamedAttrList attributes;
  attributes.append("graph.name", builder.getStringAttr(name));
  attributes.append("graph.role", builder.getStringAttr(ingot::name(role)));
  if (!initializer.empty())
    attributes.append("graph.init", builder.getStringAttr(initializer));
  // Every function lists its arguments by role: parameters, inputs, targets.
  auto place = std::upper_bound(roles.begin(), roles.end(), role) - roles.begin();
  roles.insert(roles.begin() + place, role);
  argumentAttributes.insert(argumentAttributes.begin() + place,
                            attributes.getDictionary(model->context.get()));
  values.push_back(forward.getBody().front().insertArgument(
      unsigned(place), tensorType, mlir::NameLoc::get(builder.getStringAttr(name))));
  shapes.push_back(shape);
  return Value(&owner, int(values.size() - 1), serial);
}

Builder::Value Builder::input(std::string_view name, ElementType type, const Shape &shape) {
  return impl->boundary(std::string(name), Role::Input, type, shape, "");
}

Builder::Value Builder::target(std::string_view name, ElementType type, const Shape &shape) {
  return impl->boundary(std::string(name), Role::Target, type, shape, "");
}

Builder::Value Builder::Impl::persistent(Role role, std::string_view name, const Shape &shape,
                                         Initializer initializer, ElementType type) {
  // The file's names are whole.
  const std::string whole =
      initializer.kind == Initializer::Kind::File ? std::string(name) : qualified(name);
  if (std::isfinite(initializer.value))
    return boundary(whole, role, type, shape, initializerText(initializer));
  errors.push_back(fmt::format("{}: its initial values are not finite ({})", whole,
                               initializerText(initializer)));
  return invalid();
}

Builder::Value Builder::parameter(std::string_view name, const Shape &shape,
                                  Initializer initializer, ElementType type) {
  return impl->persistent(Role::Parameter, name, shape, initializer, type);
}

Builder::Value Builder::state(std::string_view name, const Shape &shape, Initializer initializer,
                              ElementType type) {
  return impl->persistent(Role::State, name, shape, initializer, type);
}

void Builder::freeze(Value parameter) {
  auto argument = impl->valid(parameter) ? mlir::dyn_cast<mlir::BlockArgument>(impl->ir(parameter))
                                         : mlir::BlockArgument();
  if (!argument || impl->roles[argument.getArgNumber()] != Role::Parameter)
    return;
  mlir::DictionaryAttr &attributes = impl->argumentAttributes[argument.getArgNumber()];
  mlir::NamedAttrList list(attributes);
  list.set(frozenAttribute, impl->builder.getUnitAttr());
  attributes = list.getDictionary(impl->model->context.get());
}

void Builder::output(std::string_view name, Value value) {
  if (!impl->valid(value)) {
    if (value.owner != this)
      impl->errors.push_back(fmt::format("{}: the output was never given a value", name));
    else if (value.model != impl->serial)
      impl->errors.push_back(
          fmt::format("{}: the output belongs to a model that is finished", name));
    return;
  }
  if (impl->ir(value).getParentBlock() != &impl->forward.getBody().front()) {
    impl->errors.push_back(fmt::format("{}: the output was made in a loop or branch", name));
    return;
  }
  if (!impl->portNames.insert(std::string(name)).second) {
    impl->errors.push_back(fmt::format("{}: the name is taken already", name));
    return;
  }
  mlir::NamedAttribute named =
      impl->builder.getNamedAttr(nameAttribute, impl->builder.getStringAttr(name));
  impl->resultAttributes.push_back(impl->builder.getDictionaryAttr({named}));
  impl->results.push_back(impl->ir(value));
}

void Builder::output(std::string_view name, Value value, Value count, int64_t dimension) {
  if (!impl->usable("output", {value, count}))
    return;
  mlir::RankedTensorType type = impl->type(count);
  if (type.getRank() != 0 || !type.getElementType().isInteger(64) || dimension < 0 ||
      dimension >= impl->type(value).getRank()) {
    impl->fail("output", {value, count},
               fmt::format("{} cannot be counted in dimension {} by that", name, dimension));
    return;
  }
  const size_t before = impl->results.size();
  output(name, value);
  if (impl->results.size() == before)
    return;
  const std::string counter = fmt::format("{}.count", name);
  mlir::NamedAttrList attributes(impl->resultAttributes.back());
  attributes.set(countAttribute,
                 impl->builder.getArrayAttr({impl->builder.getStringAttr(counter),
                                             impl->builder.getI64IntegerAttr(dimension)}));
  impl->resultAttributes.back() = attributes.getDictionary(impl->model->context.get());
  output(counter, count);
}

void Builder::metadata(std::string_view json) {
  impl->model->module->getOperation()->setAttr("graph.metadata", impl->builder.getStringAttr(json));
}

void Builder::weights(Weights values) {
  impl->model->weights = std::make_shared<const Weights>(std::move(values));
}

//===--------------------------------------------------------------------------------------------===//
// What is known while the graph grows
//===--------------------------------------------------------------------------------------------===//

void Builder::foldOps() { impl->folds = true; }

std::optional<Tensor> Builder::constantOf(Value value) const {
  mlir::ElementsAttr elements;
  if (!impl->valid(value) || !mlir::matchPattern(impl->ir(value), mlir::m_Constant(&elements)))
    return std::nullopt;
  Result<Tensor> tensor = graph::tensorOf(elements);
  return tensor ? std::optional(std::move(*tensor)) : std::nullopt;
}

std::vector<std::string> Builder::inputsOf(Value value) const {
  std::vector<std::string> names;
  llvm::SmallVector<mlir::Value> pending;
  llvm::DenseSet<mlir::Value> seen;
  if (impl->valid(value))
    pending.push_back(impl->ir(value));
  while (!pending.empty()) {
    mlir::Value next = pending.pop_back_val();
    if (!seen.insert(next).second)
      continue;
    if (mlir::Operation *op = next.getDefiningOp()) {
      op->walk([&](mlir::Operation *inner) { llvm::append_range(pending, inner->getOperands()); });
      continue;
    }
    auto argument = mlir::cast<mlir::BlockArgument>(next);
    if (argument.getOwner() == &impl->forward.front() &&
        impl->roles[argument.getArgNumber()] == Role::Input)
      names.push_back(mlir::cast<mlir::NameLoc>(argument.getLoc()).getName().str());
  }
  return names;
}

void Builder::Impl::dropUnused() {
  mlir::Block &body = forward.front();
  for (mlir::Operation &op : llvm::make_early_inc_range(llvm::reverse(body)))
    if (mlir::isOpTriviallyDead(&op))
      op.erase();
  for (size_t i = roles.size(); i-- > 0;)
    if (roles[i] == Role::Parameter && body.getArgument(unsigned(i)).use_empty()) {
      body.eraseArgument(unsigned(i));
      roles.erase(roles.begin() + ptrdiff_t(i));
      argumentAttributes.erase(argumentAttributes.begin() + ptrdiff_t(i));
    }
}

Result<Model> Builder::finish() {
  if (impl->openRegions)
    return failure(Error::Code::Usage, "", "the body of a loop or branch cannot finish the model");
  std::unique_ptr<Impl> done = std::exchange(impl, std::make_unique<Impl>(*this, impl->serial + 1));
  if (done->errors.empty() && done->results.empty())
    done->errors.push_back("the model has no output");
  if (!done->errors.empty())
    return failure(Error::Code::BadInput, "", "{}", fmt::join(done->errors, "\n"));
  mlir::Block &body = done->forward.getBody().front();
  mlir::func::ReturnOp::create(done->builder, done->forward.getLoc(), done->results);
  if (done->folds)
    done->dropUnused();
  done->forward.setFunctionType(done->builder.getFunctionType(
      body.getArgumentTypes(), mlir::ValueRange(done->results).getTypes()));
  done->forward.setAllArgAttrs(done->argumentAttributes);
  done->forward.setAllResultAttrs(done->resultAttributes);
  assert(succeeded(mlir::verify(*done->model->module)) && "checked op by op");
  return Model(std::move(done->model));
}

} // namespace ingot
