#include "frontend/stablehlo/Importer.h"
#include "frontend/stablehlo/Import.h"
#include "frontend/stablehlo/Syntax.h"
#include "ir/dialect/Diagnostics.h"
#include "ir/dialect/Elements.h"
#include "mlir/Parser/Parser.h"
#include "runtime/support/HalfFloat.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"
#include <algorithm>

namespace ingot::stablehlo {
namespace {

/// Functions that call functions twice grow without bounds.
constexpr int deepestCalls = 64;
constexpr int64_t mostOps = int64_t(1) << 18;

/// The name that a location gives, without what stands between quotes and brackets of Python.
std::string nameAt(mlir::Location location) {
  if (auto named = mlir::dyn_cast<mlir::NameLoc>(location))
    return named.getName().str();
  return "";
}

std::optional<ElementType> elementTypeOf(mlir::Type type) {
  auto tensor = mlir::dyn_cast<mlir::RankedTensorType>(type);
  return tensor && tensor.hasStaticShape() ? graph::elementTypeOf(tensor.getElementType())
                                           : std::nullopt;
}

Shape shapeOf(mlir::Type type) {
  auto tensor = mlir::dyn_cast<mlir::RankedTensorType>(type);
  return tensor ? Shape(tensor.getShape().begin(), tensor.getShape().end()) : Shape();
}

} // namespace

//===--------------------------------------------------------------------------------------------===//
// What a row sees
//===--------------------------------------------------------------------------------------------===//

std::optional<ElementType> Op::type(size_t result) const {
  return elementTypeOf(op->getResult(unsigned(result)).getType());
}

Shape Op::shape(size_t result) const { return shapeOf(op->getResult(unsigned(result)).getType()); }

mlir::Attribute Op::attribute(llvm::StringRef name, mlir::DictionaryAttr dictionary) const {
  if (dictionary)
    return dictionary.get(name);
  if (mlir::Attribute found = op->getDiscardableAttr(name))
    return found;
  auto properties = mlir::dyn_cast_or_null<mlir::DictionaryAttr>(op->getPropertiesAsAttribute());
  return properties ? properties.get(name) : nullptr;
}

std::string Op::text(llvm::StringRef name) const {
  auto found = mlir::dyn_cast_or_null<mlir::StringAttr>(attribute(name));
  return found ? found.str() : "";
}

std::string Op::word(size_t index) const {
  auto words = mlir::dyn_cast_or_null<mlir::ArrayAttr>(attribute("words"));
  if (!words || index >= words.size())
    return "";
  return mlir::cast<mlir::StringAttr>(words[index]).str();
}

Ints Op::ints(llvm::StringRef name, mlir::DictionaryAttr dictionary) const {
  mlir::Attribute found = attribute(name, dictionary);
  if (auto list = mlir::dyn_cast_or_null<mlir::DenseI64ArrayAttr>(found))
    return {list.asArrayRef().begin(), list.asArrayRef().end()};
  Ints values;
  if (auto elements = mlir::dyn_cast_or_null<mlir::DenseIntElementsAttr>(found))
    for (const llvm::APInt &element : elements.getValues<llvm::APInt>())
      values.push_back(element.getSExtValue());
  return values;
}

int64_t Op::integer(llvm::StringRef name, int64_t otherwise,
                    mlir::DictionaryAttr dictionary) const {
  auto found = mlir::dyn_cast_or_null<mlir::IntegerAttr>(attribute(name, dictionary));
  return found ? found.getInt() : otherwise;
}

mlir::DictionaryAttr Op::dictionary(llvm::StringRef name) const {
  return mlir::dyn_cast_or_null<mlir::DictionaryAttr>(attribute(name));
}

std::string Op::combiner(size_t region) const {
  if (std::string named = text("applies"); !named.empty())
    return named.substr(named.find('.') + 1);
  if (region >= op->getNumRegions() || op->getRegion(unsigned(region)).empty())
    return "";
  mlir::Block &block = op->getRegion(unsigned(region)).front();
  if (block.getNumArguments() != 2 || block.empty() || block.back().getNumOperands() != 1)
    return "";
  const mlir::Value result = block.back().getOperand(0);
  for (unsigned argument : {0U, 1U})
    if (result == block.getArgument(argument))
      return argument == 0 ? "first" : "second";
  mlir::Operation *only = result.getDefiningOp();
  const bool isOnly =
      only && only->getBlock() == &block && std::distance(block.begin(), block.end()) == 2;
  if (!isOnly || only->getNumOperands() != 2 || only->getOperand(0) == only->getOperand(1) ||
      llvm::any_of(only->getOperands(),
                   [](mlir::Value operand) { return bool(operand.getDefiningOp()); }))
    return "";
  return only->getName().stripDialect().str();
}

std::optional<Values> Op::inlined(size_t region, Values arguments) {
  return importer.block(op->getRegion(unsigned(region)).front(), std::move(arguments));
}

Values Op::refuse(std::string reason) {
  importer.refuse(op, reason);
  return Values(op->getNumResults());
}

double loadScalar(const Tensor &tensor) { return loadElement(tensor.type(), tensor.data(), 0); }

const Row *findRow(llvm::StringRef op) {
  static const std::vector<Row> rows = [] {
    std::vector<Row> all;
    for (std::span<const Row> part : {elementwiseRows(), tensorRows(), indexRows(), controlRows()})
      all.insert(all.end(), part.begin(), part.end());
    return all;
  }();
  auto found = std::ranges::find(rows, op, &Row::op);
  return found == rows.end() ? nullptr : &*found;
}

//===--------------------------------------------------------------------------------------------===//
// The walk
//===--------------------------------------------------------------------------------------------===//

void Importer::refuse(mlir::Operation *op, const std::string &reason) {
  refusals.push_back(fmt::format("{} ({}): {}", placeOf(op->getLoc()),
                                 op->getName().getStringRef().str(), reason));
}

/// Weights that the program holds are trained; what it computes with, such as masks and scalars, is
/// not.
Values Importer::importConstant(mlir::Operation *op) {
  auto elements = mlir::dyn_cast_or_null<mlir::ElementsAttr>(op->getDiscardableAttr("value"));
  Result<Tensor> tensor = failure(Error::Code::Unsupported, "", "it has no value");
  if (elements)
    tensor = graph::tensorOf(elements);
  if (!tensor) {
    refuse(op, tensor.error().message);
    return {Value()};
  }
  const bool isMain = depth == 0 && mlir::isa<mlir::func::FuncOp>(op->getParentOp());
  if (!isMain || tensor->shape().empty() || tensor->type() > ElementType::BF16)
    return {builder.constant(*tensor)};
  std::string name = fmt::format("constant{}", weights.size());
  Value parameter = builder.parameter(name, tensor->shape(), Initializer::file(), tensor->type());
  weights.emplace(std::move(name), std::move(*tensor));
  return {parameter};
}

Values Importer::importCall(mlir::func::CallOp call, Values operands) {
  auto callee = module.lookupSymbol<mlir::func::FuncOp>(call.getCallee());
  if (!callee || callee.isExternal() || depth >= deepestCalls) {
    refuse(call, callee && !callee.isExternal() ? "functions call each other without an end"
                                                : "there is no such function");
    return Values(call.getNumResults());
  }
  ++depth;
  // A function that is called inside its own call would meet its own values.
  llvm::DenseMap<mlir::Value, Value> outer =
      std::exchange(values, llvm::DenseMap<mlir::Value, Value>());
  std::optional<Values> results = block(callee.front(), std::move(operands));
  values = std::move(outer);
  --depth;
  return results.value_or(Values(call.getNumResults()));
}

Values Importer::importOp(mlir::Operation *op) {
  Values operands;
  for (mlir::Value operand : op->getOperands())
    operands.push_back(values.lookup(operand));
  if (auto call = mlir::dyn_cast<mlir::func::CallOp>(op))
    return importCall(call, std::move(operands));
  const llvm::StringRef name = op->getName().stripDialect();
  if (name == "constant")
    return importConstant(op);
  Op seen(*this, builder, op, std::move(operands));
  const Row *row = findRow(name);
  if (!row)
    return seen.refuse("the op is not supported");
  for (mlir::Type type : op->getResultTypes())
    if (!elementTypeOf(type))
      return seen.refuse("its results are no tensors of numbers with known sizes");
  // What follows from a refusal says nothing more.
  for (const Value &operand : seen.operands())
    if (!operand.valid())
      return Values(op->getNumResults());
  return row->import(seen);
}

std::optional<Values> Importer::block(mlir::Block &block, Values arguments) {
  for (auto [argument, value] : llvm::zip(block.getArguments(), arguments))
    values[argument] = value;
  // The op that hands values on is one of those that MLIR does not know as a terminator.
  for (mlir::Operation &op :
       llvm::make_range(block.begin(), block.empty() ? block.end() : std::prev(block.end()))) {
    if (++imported > mostOps)
      return std::nullopt;
    Builder::Scope scope = builder.scope(placeOf(op.getLoc()));
    Values results = importOp(&op);
    for (auto [result, value] : llvm::zip(op.getResults(), results)) {
      values[result] = value;
      if (value.valid() && value.shape() != shapeOf(result.getType()))
        refuse(&op, fmt::format("its result is {}, not {}", toString(value.shape()),
                                toString(shapeOf(result.getType()))));
    }
  }
  Values results;
  if (!block.empty())
    for (mlir::Value operand : block.back().getOperands())
      results.push_back(values.lookup(operand));
  return results;
}

Result<Model> Importer::run() {
  auto main = module.lookupSymbol<mlir::func::FuncOp>("main");
  if (!main || main.isExternal())
    return failure(Error::Code::BadInput, place, "has no function @main with a body");
  builder.foldOps();
  Values arguments;
  for (mlir::BlockArgument argument : main.getArguments()) {
    const std::string given = nameAt(argument.getLoc());
    const std::string name = given.empty() ? fmt::format("arg{}", argument.getArgNumber()) : given;
    const std::optional<ElementType> type = elementTypeOf(argument.getType());
    if (!type)
      return failure(Error::Code::Unsupported, place,
                     "{}: is no tensor of numbers with known sizes", name);
    arguments.push_back(builder.input(name, *type, shapeOf(argument.getType())));
  }
  std::optional<Values> results = block(main.front(), std::move(arguments));
  if (!results)
    return failure(Error::Code::Unsupported, place,
                   "is more than {} ops with its functions written out", mostOps);
  if (!refusals.empty())
    return failure(Error::Code::Unsupported, place, "{} op{} cannot be imported:\n  {}",
                   refusals.size(), refusals.size() == 1 ? "" : "s", fmt::join(refusals, "\n  "));
  for (auto [index, value] : llvm::enumerate(*results))
    builder.output(results->size() == 1 ? "result" : fmt::format("result{}", index), value);
  builder.weights(std::move(weights));
  return builder.finish().map_error(
      [&](Error error) { return Error{error.code, error.text(), place}; });
}

bool isStablehlo(std::string_view text) {
  return text.find("stablehlo.") != text.npos && text.find("@main") != text.npos;
}

Result<Model> parseModel(std::string_view text, const std::string &place) {
  mlir::DialectRegistry registry;
  registry.insert<mlir::func::FuncDialect, StablehloDialect, ChloDialect>();
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  context.allowUnregisteredDialects(); // of attributes that say how JAX would run it
  context.printOpOnDiagnostic(false);
  DiagnosticCollector diagnostics(context);
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(llvm::MemoryBuffer::getMemBufferCopy(text, place), llvm::SMLoc());
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::parseSourceFile<mlir::ModuleOp>(sources, mlir::ParserConfig(&context));
  if (!module)
    return tl::unexpected(diagnostics.error(Error::Code::BadInput, "is not StableHLO"));
  return Importer(*module, place).run();
}

} // namespace ingot::stablehlo
