#include "codegen/cuda/CudaTarget.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"
#include <algorithm>
#include <mutex>
#include <vector>

extern "C" {
void LLVMInitializeNVPTXTargetInfo();
void LLVMInitializeNVPTXTarget();
void LLVMInitializeNVPTXTargetMC();
void LLVMInitializeNVPTXAsmPrinter();
}

namespace ingot {
namespace {

struct Architecture {
  std::string_view name;
  int64_t
      sharedBytes; ///< of a block, on all chips that run the code: of sm_80's, 8.6 has the least
};
constexpr Architecture architectures[] = {
    {"sm_80", 99 << 10}, {"sm_90a", 227 << 10}, {"sm_100a", 227 << 10}};

const Architecture *find(std::string_view name) {
  const auto *found = std::ranges::find(architectures, name, &Architecture::name);
  return found == std::end(architectures) ? nullptr : found;
}

const llvm::Target *nvptx(const llvm::Triple &triple) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
  });
  std::string error;
  return llvm::TargetRegistry::lookupTarget(triple, error);
}

} // namespace

Result<CudaTarget> CudaTarget::parse(const std::string &text) {
  std::string architecture = text.rfind("cuda:", 0) == 0 ? text.substr(5) : "";
  constexpr std::string_view option = ",tf32";
  const bool tf32 = architecture.ends_with(option);
  if (tf32)
    architecture.resize(architecture.size() - option.size());
  if (find(architecture))
    return CudaTarget{architecture, tf32};
  std::vector<std::string_view> names;
  for (const Architecture &known : architectures)
    names.push_back(known.name);
  return failure(Error::Code::Usage, "Options::target", "unknown target '{}'; GPUs are cuda:{}",
                 text, fmt::join(names, ", cuda:"));
}

int64_t CudaTarget::sharedBytes() const { return find(architecture)->sharedBytes; }

/// A block of an A100 or H100 that shares its multiprocessor with seven others.
TargetCosts CudaTarget::costs() {
  TargetCosts costs;
  costs.bytesPerNanosecond = 2;
  costs.cachedBytesPerNanosecond = 6;
  costs.operationsPerNanosecond = 20;
  costs.contractionsPerNanosecond = 20;
  costs.grainNanoseconds = 1000;
  costs.mostGrains = 1056; // eight blocks on each of 132 multiprocessors
  costs.scratchBytes = 48 << 10;
  costs.largestTensor = 512 << 20; // a block's logits fill the chip many times over
  costs.copiedRowBytes = 4;        // by cp.async; the copy engine, for warpgroups, wants 16
  return costs;
}

Result<std::unique_ptr<llvm::TargetMachine>> createTargetMachine(const CudaTarget &target) {
  const llvm::Triple triple("nvptx64-nvidia-cuda");
  const llvm::Target *found = nvptx(triple);
  if (!found)
    return failure(Error::Code::Unsupported, "Options::target",
                   "this LLVM has no code generator for PTX");
  // Every fused multiply-add is written as one: nothing is contracted.
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  return std::unique_ptr<llvm::TargetMachine>(
      found->createTargetMachine(triple, target.architecture, "", options, std::nullopt,
                                 std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

} // namespace ingot
