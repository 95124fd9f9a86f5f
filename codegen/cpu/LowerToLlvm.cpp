/// The last passes on MLIR: loops and vectors to the LLVM dialect, and the range-kernel signature.
#include "codegen/Passes.h"
#include "codegen/cpu/Object.h"
#include "codegen/kernel/ToLlvm.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "passes/Passes.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_RANGEKERNELSIGNATURE
#include "codegen/Passes.h.inc"

namespace {

/// Renames `kernel(ptr, …, i64, i64)` to `kernel.body` and puts `kernel(ptr, i64, i64)` before it,
/// which loads the pointers from its first argument.
void wrap(LLVM::LLVMFuncOp body) {
  std::string name = body.getName().str();
  OpBuilder builder(body);
  MLIRContext *context = body.getContext();
  auto pointer = LLVM::LLVMPointerType::get(context);
  Type i64 = builder.getI64Type();
  Location location = body.getLoc();
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context), {pointer, i64, i64});
  body.setName(name + ".body");
  body.setLinkage(LLVM::Linkage::Internal);

  auto wrapper = LLVM::LLVMFuncOp::create(builder, location, name, type);
  builder.setInsertionPointToStart(wrapper.addEntryBlock(builder));
  Block &entry = wrapper.getBody().front();
  SmallVector<Value> arguments;
  for (unsigned index = 0, count = body.getNumArguments() - 2; index < count; ++index) {
    Value slot = LLVM::GEPOp::create(builder, location, pointer, pointer, entry.getArgument(0),
                                     ArrayRef<LLVM::GEPArg>{int32_t(index)});
    arguments.push_back(LLVM::LoadOp::create(builder, location, pointer, slot));
  }
  arguments.append({entry.getArgument(1), entry.getArgument(2)});
  LLVM::CallOp::create(builder, location, body, arguments);
  LLVM::ReturnOp::create(builder, location, ValueRange{});
}

bool isKernelBody(LLVM::LLVMFuncOp function) {
  ArrayRef<Type> inputs = function.getFunctionType().getParams();
  if (function.isExternal() || inputs.size() < 2)
    return false;
  return inputs.back().isInteger(64) && inputs[inputs.size() - 2].isInteger(64) &&
         llvm::all_of(inputs.drop_back(2),
                      [](Type type) { return isa<LLVM::LLVMPointerType>(type); });
}

struct RangeKernelSignature : impl::RangeKernelSignatureBase<RangeKernelSignature> {
  void runOnOperation() override {
    for (auto function : llvm::make_early_inc_range(getOperation().getOps<LLVM::LLVMFuncOp>()))
      if (isKernelBody(function))
        wrap(function);
  }
};

} // namespace

void buildLlvmPipeline(OpPassManager &passes, const CpuTarget &target) {
  passes.addPass(createExpandMath({.vectorBytes = target.vectorBytes()}));
  addLlvmConversions(passes);
  passes.addPass(createHalfWordAccess());
  passes.addPass(createRangeKernelSignature());
}

} // namespace ingot
