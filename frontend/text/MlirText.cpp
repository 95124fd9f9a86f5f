/// Model's text side: `.mlir` files in and out.
#include "frontend/api/ModelModule.h"
#include "frontend/onnx/Import.h"
#include "frontend/stablehlo/Import.h"
#include "ir/dialect/Elements.h"
#include "ir/dialect/Graph.h"
#include "ir/dialect/Sizes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "passes/Dialects.h"
#include "runtime/data/Files.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

namespace ingot {
namespace {

/// Upstream's parser recurses, and deeper text overflows its stack. No stage nests so deep.
constexpr int deepest = 256;

/// Ops of no stage whose parsers crash on damaged text: where a list of numbers is expected and
/// something else stands, they use the list all the same (MLIR 22).
constexpr llvm::StringLiteral crashing[] = {"linalg.transpose", "linalg.broadcast",
                                            "linalg.reduce"};

/// An error where the text holds what upstream's parser crashes on, strings and comments aside.
Status checkText(llvm::StringRef text, const std::string &place) {
  auto refuse = [&](size_t at, const std::string &why) {
    const llvm::StringRef before = text.take_front(at);
    return failure(
        Error::Code::BadInput,
        fmt::format("{}:{}:{}", place, before.count('\n') + 1, at - (before.rfind('\n') + 1) + 1),
        "{}", why);
  };
  int depth = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    const llvm::StringRef rest = text.substr(at);
    const char c = rest[0];
    if (c == '"') {
      for (++at; at < text.size() && text[at] != '"' && text[at] != '\n'; ++at)
        at += text[at] == '\\';
    } else if (rest.starts_with("//")) {
      at += rest.take_until([](char each) { return each == '\n'; }).size();
    } else if (llvm::StringRef("([{").contains(c) || (c == '<' && !rest.starts_with("<="))) {
      if (++depth > deepest)
        return refuse(at, fmt::format("nests deeper than {}", deepest));
    } else if (llvm::StringRef(")]}").contains(c) ||
               (c == '>' && !text.take_front(at).ends_with("-"))) {
      depth = std::max(0, depth - 1);
    } else if (llvm::isAlpha(c)) {
      const llvm::StringRef word = rest.take_while(
          [](char each) { return llvm::isAlnum(each) || each == '_' || each == '.'; });
      if (llvm::is_contained(crashing, word))
        return refuse(at, fmt::format("'{}' is an op of no stage", word.str()));
      at += word.size() - 1;
    }
  }
  return {};
}

/// The stage that the text says it is of. A model's text says none.
Stage stageIn(llvm::StringRef text) {
  const llvm::StringRef word = text.split("graph.stage = \"").second.split('"').first;
  return parseStage(std::string_view(word)).value_or(Stage::Graph);
}

/// A model's text is parsed with the dialects of its stage alone: fewer parsers meet what is
/// damaged. The others come before it is compiled.
std::shared_ptr<mlir::MLIRContext> contextFor(Stage stage) {
  if (stage > Stage::Train)
    return createContext();
  mlir::DialectRegistry registry;
  registry.insert<graph::GraphDialect, mlir::func::FuncDialect>();
  auto context =
      std::make_shared<mlir::MLIRContext>(registry, mlir::MLIRContext::Threading::DISABLED);
  context->loadAllAvailableDialects();
  context->printOpOnDiagnostic(false);
  return context;
}

void loadOtherDialects(mlir::MLIRContext &context) {
  mlir::DialectRegistry registry;
  registerDialects(registry);
  context.appendDialectRegistry(registry);
  context.loadAllAvailableDialects();
}

/// Every argument needs a name and a role, every result a name; all tensors of known types.
mlir::LogicalResult checkForward(mlir::func::FuncOp forward) {
  llvm::StringSet<> names;
  auto check = [&](mlir::Type type, mlir::DictionaryAttr attributes, llvm::StringRef what,
                   size_t index) -> mlir::LogicalResult {
    auto tensor = mlir::dyn_cast<mlir::RankedTensorType>(type);
    if (!tensor || !graph::elementTypeOf(tensor.getElementType()))
      return forward.emitError() << what << " " << index << " of @forward is not a tensor of "
                                 << "numbers but " << type;
    auto name = attributes ? attributes.getAs<mlir::StringAttr>("graph.name") : nullptr;
    if (!name || name.empty())
      return forward.emitError() << what << " " << index << " of @forward has no graph.name";
    if (!names.insert(name).second)
      return forward.emitError() << "graph.name '" << name.getValue() << "' appears twice";
    return mlir::success();
  };
  for (auto [index, type] : llvm::enumerate(forward.getArgumentTypes()))
    if (failed(check(type, forward.getArgAttrDict(index), "argument", index)))
      return mlir::failure();
  for (auto [index, type] : llvm::enumerate(forward.getResultTypes()))
    if (failed(check(type, forward.getResultAttrDict(index), "result", index)))
      return mlir::failure();
  return mlir::success();
}

/// Tensors are small enough to add their bytes.
mlir::LogicalResult checkSizes(mlir::ModuleOp module) {
  auto possible = [](mlir::Type type) {
    auto tensor = mlir::dyn_cast<mlir::RankedTensorType>(type);
    return !tensor || graph::isPossibleSize(tensor);
  };
  mlir::WalkResult result = module.walk([&](mlir::Operation *op) {
    for (mlir::Region &region : op->getRegions())
      for (mlir::BlockArgument argument : region.getArguments())
        if (!possible(argument.getType()))
          return op->emitError() << "argument " << argument.getArgNumber() << ", "
                                 << argument.getType() << ", has more than 64 TiB",
                 mlir::WalkResult::interrupt();
    for (mlir::Type type : op->getResultTypes())
      if (!possible(type))
        return op->emitOpError() << "the result " << type << " has more than 64 TiB",
               mlir::WalkResult::interrupt();
    return mlir::WalkResult::advance();
  });
  return mlir::failure(result.wasInterrupted());
}

mlir::LogicalResult checkModel(mlir::ModuleOp module) {
  if (failed(checkSizes(module)))
    return mlir::failure();
  // A planned module has places in the arena as arguments; the compiler takes it as it is.
  if (stageOf(module) >= Stage::Plan)
    return mlir::success();
  auto forward = module.lookupSymbol<mlir::func::FuncOp>("forward");
  if (!forward || forward.isExternal())
    return module.emitError("a model needs a function @forward with a body");
  return checkForward(forward);
}

} // namespace

Result<Model> Model::parse(std::string_view text, const std::string &place) {
  INGOT_TRY(checkText(text, place));
  if (stablehlo::isStablehlo(text))
    return stablehlo::parseModel(text, place);
  auto impl = std::make_shared<Impl>(contextFor(stageIn(text)));
  DiagnosticCollector diagnostics(*impl->context);
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(llvm::MemoryBuffer::getMemBufferCopy(text, place), llvm::SMLoc());
  mlir::ParserConfig config(impl->context.get());
  impl->module = mlir::parseSourceFile<mlir::ModuleOp>(sources, config);
  if (!impl->module || failed(checkModel(*impl->module)))
    return tl::unexpected(diagnostics.error(Error::Code::BadInput, "is not graph IR"));
  loadOtherDialects(*impl->context);
  // A printed stage names the file that it was printed from; that it cannot go back to an earlier
  // one is said of the file that was read. A graph keeps its locations: its text round-trips.
  if (stageOf(*impl->module) > Stage::Graph)
    impl->module.get()->setLoc(mlir::FileLineColLoc::get(impl->context.get(), place, 0, 0));
  return Model(std::move(impl));
}

Result<Model> Model::load(const std::string &path) {
  if (path != "-" && onnx::isOnnx(path)) {
    INGOT_ASSIGN(onnx::OnnxFile file, onnx::OnnxFile::open(path));
    return onnx::importModel(file);
  }
  INGOT_ASSIGN(std::string text, readInput(path));
  return parse(text, path == "-" ? "<stdin>" : path);
}

std::string Model::text(bool locations) const {
  std::string text;
  llvm::raw_string_ostream stream(text);
  mlir::OpPrintingFlags flags;
  flags.enableDebugInfo(locations, /*prettyForm=*/false);
  moduleOf(*this)->print(stream, flags);
  stream << '\n';
  return text;
}

Status Model::save(const std::string &path) const { return writeOutput(path, text(true)); }

} // namespace ingot
