#include "codegen/cpu/Target.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/SubtargetFeature.h"
#include <algorithm>
#include <mutex>
#include <unistd.h>

namespace ingot {
namespace {

/// The features that generated code may need: LLVM's name and /proc/cpuinfo's.
constexpr std::pair<const char *, const char *> checkedFeatures[] = {{"sse4.2", "sse4_2"},
                                                                     {"avx", "avx"},
                                                                     {"avx2", "avx2"},
                                                                     {"fma", "fma"},
                                                                     {"f16c", "f16c"},
                                                                     {"avx512f", "avx512f"},
                                                                     {"avx512bw", "avx512bw"},
                                                                     {"avx512dq", "avx512dq"},
                                                                     {"avx512vl", "avx512vl"},
                                                                     {"avx512cd", "avx512cd"},
                                                                     {"avx512bf16", "avx512_bf16"},
                                                                     {"avx512fp16", "avx512_fp16"}};

const llvm::Target *nativeTarget() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    llvm::InitializeNativeTargetAsmParser();
  });
  std::string error;
  return llvm::TargetRegistry::lookupTarget(llvm::Triple(llvm::sys::getProcessTriple()), error);
}

std::unique_ptr<llvm::MCSubtargetInfo> subtarget(const std::string &cpu,
                                                 const std::string &features) {
  return std::unique_ptr<llvm::MCSubtargetInfo>(nativeTarget()->createMCSubtargetInfo(
      llvm::Triple(llvm::sys::getProcessTriple()), cpu, features));
}

CpuTarget withRequiredFeatures(std::string cpu, std::string features) {
  CpuTarget target;
  target.cpu = std::move(cpu);
  target.features = std::move(features);
  auto info = subtarget(target.cpu, target.features);
  for (auto [feature, cpuinfoName] : checkedFeatures)
    if (info->checkFeatures(std::string("+") + feature))
      target.required.push_back(cpuinfoName);
  return target;
}

} // namespace

int64_t CpuTarget::vectorBytes() const {
  auto info = subtarget(cpu, features);
  if (info->checkFeatures("+avx512f"))
    return 64;
  return info->checkFeatures("+avx") ? 32 : 16;
}

CpuTarget CpuTarget::host() {
  llvm::SubtargetFeatures features;
  for (const auto &[feature, enabled] : llvm::sys::getHostCPUFeatures())
    features.AddFeature(feature, enabled);
  CpuTarget target = withRequiredFeatures(llvm::sys::getHostCPUName().str(), features.getString());
  // A container may hide its caches, or a hypervisor make them up: only what a core can have
  // counts.
  auto cache = [](int name, int64_t least, int64_t most, int64_t &bytes) {
    if (int64_t found = sysconf(name); found > 0)
      bytes = std::clamp(found, least, most);
  };
  cache(_SC_LEVEL1_DCACHE_SIZE, 16 << 10, 128 << 10, target.l1Bytes);
  cache(_SC_LEVEL2_CACHE_SIZE, 256 << 10, 4 << 20, target.l2Bytes);
  cache(_SC_LEVEL1_DCACHE_ASSOC, 4, 16, target.l1Ways);
  return target;
}

Result<CpuTarget> CpuTarget::parse(const std::string &text) {
  if (text == "cpu" || text.empty())
    return host();
  if (text.rfind("cuda:", 0) == 0)
    return failure(Error::Code::Usage, "Options::target", "'{}' is no CPU", text);
  if (text.rfind("cpu:", 0) != 0)
    return failure(Error::Code::Usage, "Options::target",
                   "unknown target '{}'; known: cpu, cpu:NAME (such as cpu:x86-64-v4), cuda:NAME "
                   "(such as cuda:sm_80)",
                   text);
  llvm::SmallVector<llvm::StringRef> words;
  llvm::StringRef(text).substr(4).split(words, ',');
  const std::string cpu = words.front().str();
  CpuTarget target = host();
  if (cpu != target.cpu && cpu != "native") {
    if (!subtarget("", "")->isCPUStringValid(cpu))
      return failure(Error::Code::Usage, "Options::target", "LLVM knows no CPU named '{}'", cpu);
    target = withRequiredFeatures(cpu, "");
  }
  for (llvm::StringRef word : llvm::drop_begin(words))
    if (!target.setCache(word))
      return failure(
          Error::Code::Usage, "Options::target",
          "'{}' says nothing of a CPU's caches; known: l1=48K and l2=2M (from 1K to 1G), "
          "l1_ways=12 (1 to 64)",
          word.str());
  return target;
}

/// `l1=48K`, `l2=2M`, `l1_ways=12`; false for anything else.
bool CpuTarget::setCache(llvm::StringRef word) {
  auto [name, number] = word.split('=');
  int64_t unit = 1;
  if (number.consume_back("K"))
    unit = 1 << 10;
  else if (number.consume_back("M"))
    unit = 1 << 20;
  int64_t value = 0;
  if (number.getAsInteger(10, value) || value < 1 || value > (1 << 30) / unit)
    return false;
  value *= unit;
  if (name == "l1_ways") {
    l1Ways = value;
    return unit == 1 && value <= 64;
  }
  if (name != "l1" && name != "l2")
    return false;
  (name == "l1" ? l1Bytes : l2Bytes) = value;
  return value >= 1 << 10;
}

Result<std::unique_ptr<llvm::TargetMachine>> createTargetMachine(const CpuTarget &target) {
  const llvm::Target *native = nativeTarget();
  if (!native)
    return failure(Error::Code::Unsupported, "Options::target",
                   "LLVM has no code generator for this machine");
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  return std::unique_ptr<llvm::TargetMachine>(native->createTargetMachine(
      llvm::Triple(llvm::sys::getProcessTriple()), target.cpu, target.features, options,
      llvm::Reloc::PIC_, llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default, /*JIT=*/false));
}

} // namespace ingot
