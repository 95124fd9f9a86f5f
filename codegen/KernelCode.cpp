#include "codegen/KernelCode.h"
#include "codegen/cache/BuildId.h"
#include "codegen/cpu/Image.h"
#include "codegen/cpu/Object.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "runtime/program/CpuImage.h"
#include <atomic>
#include <fstream>
#include <thread>

using namespace mlir;

namespace ingot {
namespace {

using Bytes = std::vector<uint8_t>;

/// A kernel as text in a module of its own: the cache's key and what a worker parses in its own
/// context.
struct KernelSource {
  std::string name, text;
};

std::vector<KernelSource> kernelSources(ModuleOp planned) {
  std::vector<KernelSource> sources;
  for (auto function : planned.getOps<func::FuncOp>()) {
    if (!function->hasAttr("graph.kernel"))
      continue;
    func::FuncOp kernel = function.clone();
    kernel.setPublic();
    for (StringRef note : {"graph.ops", "graph.flops", "graph.bytes", "graph.grains",
                           "graph.in_place", "graph.operands", "graph.blocks", "graph.tuned"})
      kernel->removeAttr(note); // they do not change the code
    KernelSource source{function.getName().str(), {}};
    llvm::raw_string_ostream(source.text) << kernel;
    kernel.erase();
    sources.push_back(std::move(source));
  }
  return sources;
}

Result<OwningOpRef<ModuleOp>> lowerToLlvm(const KernelSource &source, const CpuTarget &target,
                                          MLIRContext &context) {
  std::string messages;
  ScopedDiagnosticHandler handler(
      &context, [&](Diagnostic &diagnostic) { messages += diagnostic.str() + "\n"; });
  auto module = parseSourceString<ModuleOp>(source.text, &context);
  PassManager passes(&context);
  passes.enableVerifier(false);
  buildLlvmPipeline(passes, target);
  if (!module || failed(passes.run(*module)))
    return ingot::failure(Error::Code::Internal, source.name, "cannot lower the kernel to LLVM: {}",
                          messages);
  return module;
}

Result<Bytes> compileKernel(const KernelSource &source, const CpuTarget &target,
                            MLIRContext &context, const std::string &dumpDirectory) {
  INGOT_ASSIGN(OwningOpRef<ModuleOp> module, lowerToLlvm(source, target, context));
  std::string llvmIr;
  INGOT_ASSIGN(Bytes object,
               compileToObject(*module, target, dumpDirectory.empty() ? nullptr : &llvmIr));
  if (!dumpDirectory.empty())
    std::ofstream(dumpDirectory + "/" + source.name + ".ll") << llvmIr;
  return object;
}

/// Runs `work(index, context)` for every index below `count` on `threads` threads; each has its own
/// context, since MLIR's are not shared cheaply.
template <typename Work> void forEach(size_t count, int threads, Work work) {
  std::atomic<size_t> next{0};
  auto run = [&] {
    std::unique_ptr<MLIRContext> context;
    for (size_t index; (index = next++) < count;) {
      if (!context)
        context = createContext();
      work(index, *context);
    }
  };
  size_t wanted = threads > 0 ? threads : std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::thread> workers;
  for (size_t worker = 1; worker < std::min(wanted, count); ++worker)
    workers.emplace_back(run);
  run();
  for (std::thread &worker : workers)
    worker.join();
}

} // namespace

Result<KernelCodeReport> generateKernelCode(ModuleOp planned, const CpuTarget &target,
                                            const DiskCache &cache, const CompileOptions &options,
                                            Program &program) {
  std::vector<KernelSource> sources = kernelSources(planned);
  std::vector<Bytes> objects(sources.size());
  std::vector<std::string> keys;
  std::vector<size_t> missing;
  KernelCodeReport report;
  for (size_t index = 0; index < sources.size(); ++index) {
    keys.push_back(contentHash(sources[index].text + '\0' + target.cpu + '\0' + target.features +
                               '\0' + compilerBuildId()) +
                   ".o");
    std::optional<Bytes> cached =
        options.dumpDirectory.empty() ? cache.get(keys[index]) : std::nullopt;
    if (cached)
      objects[index] = std::move(*cached);
    else
      missing.push_back(index);
  }
  report.cached = sources.size() - missing.size();
  report.compiled = missing.size();
  // Long kernels first, so that no worker ends with one while the others wait.
  std::sort(missing.begin(), missing.end(), [&](size_t a, size_t b) {
    return std::pair(sources[b].text.size(), a) < std::pair(sources[a].text.size(), b);
  });

  std::vector<Status> outcomes(missing.size());
  forEach(missing.size(), options.threads, [&](size_t position, MLIRContext &context) {
    size_t index = missing[position];
    Result<Bytes> object = compileKernel(sources[index], target, context, options.dumpDirectory);
    if (!object) {
      outcomes[position] = tl::unexpected(object.error());
      return;
    }
    objects[index] = std::move(*object);
    cache.put(keys[index], objects[index]);
  });
  for (Status &outcome : outcomes)
    INGOT_TRY(std::move(outcome));

  ImageBuilder image;
  std::vector<ImageEntry> entries;
  for (size_t index = 0; index < sources.size(); ++index) {
    const std::string &symbol = sources[index].name;
    INGOT_ASSIGN(int64_t offset, image.add(objects[index], symbol));
    entries.push_back({symbol, offset, interfaceOf(program.kernels[index])});
  }
  CodeObject object{
      .kind = CodeObject::Kind::CpuImage, .architecture = target.name(), .bytes = image.take()};
  appendEntries(object.bytes, entries);
  program.objects = {std::move(object)};
  return report;
}

Result<std::string> kernelsAsLlvm(ModuleOp planned, const CpuTarget &target) {
  std::unique_ptr<MLIRContext> context = createContext();
  std::string text;
  llvm::raw_string_ostream stream(text);
  for (const KernelSource &source : kernelSources(planned)) {
    INGOT_ASSIGN(OwningOpRef<ModuleOp> module, lowerToLlvm(source, target, *context));
    stream << *module << "\n";
  }
  return text;
}

} // namespace ingot
