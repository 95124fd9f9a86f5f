#include "codegen/cpu/Object.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/ExecutionEngine/Orc/CompileUtils.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Target/TargetMachine.h"
#include <optional>

namespace ingot {
namespace {

/// What is left to do for kernels, which are emitted as vectors, in blocks and without calls: join
/// the body with its entry, simplify addresses, move what does not change out of the loops. With
/// LLVM's O2 a cold compilation of GPT-2's step takes 1.4 times the CPU time. Vectorisers and loop
/// idioms are no part of it: a loop must not become a call of memset.
constexpr const char *pipeline =
    "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>),always-inline,globaldce,"
    "function(early-cse<memssa>,simplifycfg,loop-mssa(licm,loop-rotate,licm),simplifycfg,"
    "instcombine<no-verify-fixpoint>,loop(indvars,loop-deletion),gvn,loop-mssa(licm),"
    "instcombine<no-verify-fixpoint>,simplifycfg)";

void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager callGraph;
  llvm::ModuleAnalysisManager modules;
  llvm::TargetLibraryInfoImpl noLibrary(machine.getTargetTriple());
  noLibrary.disableAllFunctions();
  functions.registerPass([&] { return llvm::TargetLibraryAnalysis(noLibrary); });
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(callGraph);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, callGraph, modules);
  llvm::ModulePassManager passes;
  llvm::cantFail(builder.parsePassPipeline(passes, pipeline));
  passes.run(module, modules);
}

/// The only lane that a constant mask lets through; none if there are more, or the mask varies.
std::optional<unsigned> onlyLane(const llvm::Value *mask) {
  auto *constant = llvm::dyn_cast<llvm::Constant>(mask);
  if (!constant)
    return {};
  std::optional<unsigned> only;
  const unsigned lanes = llvm::cast<llvm::FixedVectorType>(mask->getType())->getNumElements();
  for (unsigned lane = 0; lane < lanes; ++lane) {
    llvm::Constant *element = constant->getAggregateElement(lane);
    if (!element || (!element->isNullValue() && (only || !element->isOneValue())))
      return {};
    if (!element->isNullValue())
      only = lane;
  }
  return only;
}

/// Masked stores of one lane become stores of that element. LLVM 22 stores four bytes instead of
/// two where the vector was narrowed from words, for AVX-512 (reduceMaskedStoreToScalarStore takes
/// the element of the wide vector).
void storeSingleLanes(llvm::Module &module) {
  llvm::SmallVector<llvm::IntrinsicInst *> stores;
  for (llvm::Function &function : module)
    for (llvm::Instruction &instruction : llvm::instructions(function))
      if (auto *call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
          call && call->getIntrinsicID() == llvm::Intrinsic::masked_store)
        stores.push_back(call);
  for (llvm::IntrinsicInst *store : stores) {
    const std::optional<unsigned> lane = onlyLane(store->getArgOperand(2));
    if (!lane)
      continue;
    llvm::IRBuilder<> builder(store);
    llvm::Value *element = builder.CreateExtractElement(store->getArgOperand(0), *lane);
    llvm::Value *place =
        builder.CreateConstGEP1_64(element->getType(), store->getArgOperand(1), *lane);
    builder.CreateAlignedStore(element, place, store->getParamAlign(1).valueOrOne());
    store->eraseFromParent();
  }
}

} // namespace

Result<std::vector<uint8_t>> compileToObject(mlir::ModuleOp module, const CpuTarget &target,
                                             std::string *llvmIr) {
  INGOT_ASSIGN(std::unique_ptr<llvm::TargetMachine> machine, createTargetMachine(target));
  mlir::registerBuiltinDialectTranslation(*module.getContext());
  mlir::registerLLVMDialectTranslation(*module.getContext());
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> ir = mlir::translateModuleToLLVMIR(module, context, "kernel");
  if (!ir)
    return failure(Error::Code::Internal, "", "cannot translate a kernel to LLVM IR");
  ir->setDataLayout(machine->createDataLayout());
  ir->setTargetTriple(machine->getTargetTriple());
  ir->setPICLevel(llvm::PICLevel::SmallPIC);
  for (llvm::Function &function : *ir) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", target.cpu);
    function.addFnAttr("target-features", target.features);
    function.addFnAttr("prefer-vector-width", std::to_string(8 * target.vectorBytes()));
    function.addFnAttr("no-builtins");
    function.addFnAttr(llvm::Attribute::NoUnwind);
    function.setDSOLocal(true);
    if (function.hasLocalLinkage()) // a body, which its entry calls
      function.addFnAttr(llvm::Attribute::AlwaysInline);
  }
  optimize(*ir, *machine);
  storeSingleLanes(*ir);
  if (llvmIr) {
    llvm::raw_string_ostream stream(*llvmIr);
    ir->print(stream, nullptr);
  }
  auto object = llvm::orc::SimpleCompiler(*machine)(*ir);
  if (!object)
    return failure(Error::Code::Internal, "", "code generation failed: {}",
                   llvm::toString(object.takeError()));
  llvm::StringRef bytes = (*object)->getBuffer();
  return std::vector<uint8_t>(bytes.bytes_begin(), bytes.bytes_end());
}

} // namespace ingot
