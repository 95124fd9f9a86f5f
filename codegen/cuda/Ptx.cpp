#include "codegen/cuda/Ptx.h"
#include "codegen/Passes.h"
#include "codegen/kernel/ToLlvm.h"
#include "mlir/Conversion/NVVMToLLVM/NVVMToLLVM.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "passes/Passes.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/BinaryFormat/Dwarf.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Target/TargetMachine.h"
#include <algorithm>
#include <map>
#include <unordered_set>

using namespace mlir;

namespace ingot {

void buildNvvmPipeline(OpPassManager &passes) {
  passes.addPass(createExpandMath());
  addLlvmConversions(passes);
  passes.addPass(createConvertNVVMToLLVMPass()); // ops that LLVM has no intrinsics for
  passes.addPass(createGridKernelSignature());
}

namespace {

/// LLVM's O3 without its vectorisers, since threads are lanes, and without any library function.
void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager callGraph;
  llvm::ModuleAnalysisManager modules;
  llvm::TargetLibraryInfoImpl noLibrary(machine.getTargetTriple());
  noLibrary.disableAllFunctions();
  functions.registerPass([&] { return llvm::TargetLibraryAnalysis(noLibrary); });
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = tuning.SLPVectorization = tuning.LoopInterleaving = false;
  llvm::PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(callGraph);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, callGraph, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3).run(module, modules);
}

/// Where an op comes from, as file and line: a node of the model is line 1 of a file of its name.
std::optional<std::pair<std::string, unsigned>> sourceOf(Location location) {
  std::optional<std::pair<std::string, unsigned>> source;
  location->walk([&](Location part) {
    if (auto name = dyn_cast<NameLoc>(part))
      source.emplace(name.getName().str(), 1);
    else if (auto file = dyn_cast<FileLineColLoc>(part))
      source.emplace(file.getFilename().str(), std::max(1u, file.getLine()));
    return source ? WalkResult::interrupt() : WalkResult::advance();
  });
  if (source) // in quotes, without escapes, in one line
    std::ranges::replace_if(
        source->first, [](char c) { return c == '"' || c == '\\' || !llvm::isPrint(c); }, '_');
  return source;
}

/// Turns ops' locations into what becomes `.loc` lines and nothing else.
void addSourceLines(ModuleOp module) {
  using namespace mlir::LLVM;
  MLIRContext *context = module.getContext();
  auto distinct = [&] { return DistinctAttr::create(UnitAttr::get(context)); };
  auto fileOf = [&](StringRef name) { return DIFileAttr::get(context, name, /*directory=*/""); };
  auto located = [&](unsigned line, Attribute scope) {
    return FusedLoc::get(context, {FileLineColLoc::get(context, "", line, 1)}, scope);
  };
  for (auto kernel : module.getOps<LLVMFuncOp>()) {
    auto source = sourceOf(kernel.getLoc());
    if (!source)
      continue;
    DIFileAttr file = fileOf(source->first);
    auto unit = DICompileUnitAttr::get(distinct(), llvm::dwarf::DW_LANG_C, file,
                                       StringAttr::get(context, "ingot"), /*isOptimized=*/true,
                                       DIEmissionKind::DebugDirectivesOnly);
    auto subprogram =
        DISubprogramAttr::get(context, distinct(), unit, file, kernel.getNameAttr(),
                              kernel.getNameAttr(), file, source->second, source->second,
                              DISubprogramFlags::Definition | DISubprogramFlags::Optimized,
                              DISubroutineTypeAttr::get(context, ArrayRef<DITypeAttr>()), {}, {});
    kernel.getBody().walk([&](Operation *op) {
      if (auto own = sourceOf(op->getLoc()))
        op->setLoc(located(own->second, DILexicalBlockFileAttr::get(subprogram, fileOf(own->first),
                                                                    /*discriminator=*/0)));
    });
    kernel->setLoc(located(source->second, subprogram));
  }
}

/// Names as PTX has them, and none that two kernels could have in common.
void nameEntries(llvm::Module &module) {
  KernelObject object;
  SmallVector<llvm::Function *> kernels;
  for (llvm::Function &function : module)
    if (!function.isDeclaration()) {
      object.symbols.push_back(function.getName().str());
      kernels.push_back(&function);
    }
  const std::vector<std::string> names = entriesOf(object);
  for (auto [kernel, name] : llvm::zip_equal(kernels, names))
    kernel->setName(name);
  for (llvm::GlobalVariable &global : module.globals())
    if (global.hasLocalLinkage())
      global.setName(names.front() + "__data");
}

constexpr llvm::StringLiteral header = ".address_size 64\n";

} // namespace

std::vector<std::string> entriesOf(const KernelObject &object) {
  std::vector<std::string> names;
  for (StringRef symbol : object.symbols) {
    auto [kernel, launch] = symbol.rsplit('.');
    names.push_back(object.symbols.size() == 1 ? kernel.str() : (kernel + "__" + launch).str());
  }
  return names;
}

Result<std::vector<uint8_t>> compileToPtx(ModuleOp module, const CudaTarget &target,
                                          std::string *llvmIr) {
  INGOT_ASSIGN(std::unique_ptr<llvm::TargetMachine> machine, createTargetMachine(target));
  registerBuiltinDialectTranslation(*module.getContext());
  registerLLVMDialectTranslation(*module.getContext());
  registerNVVMDialectTranslation(*module.getContext());
  addSourceLines(module);
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> ir = translateModuleToLLVMIR(module, context, "kernel");
  if (!ir)
    return ingot::failure(Error::Code::Internal, "", "cannot translate a kernel to LLVM IR");
  ir->setDataLayout(machine->createDataLayout());
  ir->setTargetTriple(machine->getTargetTriple());
  for (llvm::Function &function : *ir)
    if (!function.isDeclaration())
      function.addFnAttr(llvm::Attribute::NoUnwind);
  nameEntries(*ir);
  optimize(*ir, *machine);
  if (llvmIr) {
    llvm::raw_string_ostream stream(*llvmIr);
    ir->print(stream, nullptr);
  }
  SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, stream, nullptr, llvm::CodeGenFileType::AssemblyFile))
    return ingot::failure(Error::Code::Internal, "", "this LLVM writes no PTX");
  passes.run(*ir);
  return std::vector<uint8_t>(text.begin(), text.end());
}

namespace {

/// Kernels' texts as one module.
class PtxJoiner {
public:
  void add(StringRef text);
  std::string finish();

private:
  std::string joined;
  std::unordered_set<std::string> shared; ///< declarations of the block's scratch, once each
  std::map<std::string, size_t>
      files; ///< numbers of `.loc` by name, which every text has its own of
};

void PtxJoiner::add(StringRef text) {
  const size_t end = text.find(header);
  if (joined.empty())
    joined = text.take_front(end + header.size()).str();
  text = text.drop_front(end == StringRef::npos ? 0 : end + header.size());
  SmallVector<StringRef> lines;
  text.split(lines, '\n', /*MaxSplit=*/-1, /*KeepEmpty=*/true);
  if (!lines.empty() && lines.back().empty())
    lines.pop_back();
  std::map<unsigned, size_t> numbers; // of this text's files among all
  for (StringRef line : lines)
    if (unsigned number; line.consume_front("\t.file\t") && !line.consumeInteger(10, number))
      numbers[number] = files.try_emplace(line.str(), files.size() + 1).first->second;
  for (StringRef line : lines) {
    if (line.starts_with("\t.file\t") || line.starts_with("\t.section\t"))
      continue;
    if (line.starts_with(".extern .shared") && !shared.insert(line.str()).second)
      continue;
    StringRef rest = line;
    if (unsigned number; rest.consume_front("\t.loc\t") && !rest.consumeInteger(10, number))
      joined += fmt::format("\t.loc\t{}{}\n", numbers[number], rest.str());
    else
      joined += (line + "\n").str();
  }
}

std::string PtxJoiner::finish() {
  for (const auto &[name, number] : files)
    joined += fmt::format("\t.file\t{}{}\n", number, name);
  return std::move(joined);
}

} // namespace

std::vector<uint8_t> joinPtx(const std::vector<KernelObject> &objects) {
  PtxJoiner joiner;
  for (const KernelObject &object : objects)
    joiner.add({reinterpret_cast<const char *>(object.bytes.data()), object.bytes.size()});
  const std::string joined = joiner.finish();
  return {joined.begin(), joined.end()};
}

} // namespace ingot
