#include "codegen/cuda/Ptx.h"
#include "codegen/Passes.h"
#include "codegen/kernel/ToLlvm.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "passes/Passes.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Target/TargetMachine.h"
#include <unordered_set>

using namespace mlir;

namespace ingot {

void buildNvvmPipeline(OpPassManager &passes) {
  passes.addPass(createExpandMath());
  addLlvmConversions(passes);
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
      global.setName(names.front() + "$data");
}

constexpr llvm::StringLiteral header = ".address_size 64\n";

} // namespace

std::vector<std::string> entriesOf(const KernelObject &object) {
  std::vector<std::string> names;
  for (StringRef symbol : object.symbols) {
    auto [kernel, launch] = symbol.rsplit('.');
    names.push_back(object.symbols.size() == 1 ? kernel.str() : (kernel + "$" + launch).str());
  }
  return names;
}

Result<std::vector<uint8_t>> compileToPtx(ModuleOp module, const CudaTarget &target,
                                          std::string *llvmIr) {
  INGOT_ASSIGN(std::unique_ptr<llvm::TargetMachine> machine, createTargetMachine(target));
  registerBuiltinDialectTranslation(*module.getContext());
  registerLLVMDialectTranslation(*module.getContext());
  registerNVVMDialectTranslation(*module.getContext());
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

std::vector<uint8_t> joinPtx(const std::vector<KernelObject> &objects) {
  std::string joined;
  std::unordered_set<std::string> shared; // declarations of the block's scratch, once each
  for (const KernelObject &object : objects) {
    StringRef text(reinterpret_cast<const char *>(object.bytes.data()), object.bytes.size());
    const size_t end = text.find(header);
    if (joined.empty())
      joined = text.take_front(end + header.size()).str();
    text = text.drop_front(end == StringRef::npos ? 0 : end + header.size());
    while (!text.empty()) {
      auto [line, rest] = text.split('\n');
      if (!line.starts_with(".extern .shared") || shared.insert(line.str()).second)
        joined += (line + "\n").str();
      text = rest;
    }
  }
  return {joined.begin(), joined.end()};
}

} // namespace ingot
