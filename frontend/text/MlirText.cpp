/// Model's text side: `.mlir` files in and out.
#include "frontend/api/ModelModule.h"
#include "frontend/onnx/Import.h"
#include "ir/dialect/Elements.h"
#include "ir/dialect/Sizes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "runtime/data/Files.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

namespace ingot {
namespace {

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
  auto impl = std::make_shared<Impl>();
  DiagnosticCollector diagnostics(*impl->context);
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(llvm::MemoryBuffer::getMemBufferCopy(text, place), llvm::SMLoc());
  mlir::ParserConfig config(impl->context.get());
  impl->module = mlir::parseSourceFile<mlir::ModuleOp>(sources, config);
  if (!impl->module || failed(checkModel(*impl->module)))
    return tl::unexpected(diagnostics.error(Error::Code::BadInput, "is not graph IR"));
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
