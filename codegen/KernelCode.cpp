#include "codegen/KernelCode.h"
#include "codegen/Cancel.h"
#include "codegen/RunStages.h"
#include "codegen/cache/BuildId.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "passes/schedule/ScheduleKernels.h"
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
  std::string name, ops; ///< of the kernel, and the model's nodes in it
  std::string text;
  std::vector<std::string> symbols; ///< by launch
  bool isEmitted = false;           ///< the text holds loops
};

std::vector<KernelSource> kernelSources(ModuleOp planned, const Backend &backend) {
  SymbolTable symbols(planned);
  const auto flags = OpPrintingFlags().useLocalScope().enableDebugInfo(backend.namesOps());
  std::vector<KernelSource> sources;
  for (auto function : planned.getOps<func::FuncOp>()) {
    if (!kernel::isKernel(function))
      continue;
    KernelSource source;
    source.name = function.getName().str();
    source.isEmitted = function.isDeclaration();
    if (auto ops = function->getAttrOfType<StringAttr>("graph.ops"))
      source.ops = ops.str();
    const size_t launches = kernel::scheduleOf(function).getLaunches().size();
    for (size_t launch = 0; launch < launches; ++launch)
      source.symbols.push_back(kernel::launchName(function.getName(), launch));
    llvm::raw_string_ostream stream(source.text);
    if (source.isEmitted)
      for (const std::string &symbol : source.symbols) {
        symbols.lookup(symbol)->print(stream, flags);
        stream << "\n";
      }
    func::FuncOp kernel = function.clone();
    for (StringRef note : {"graph.ops", "graph.tuned"})
      kernel->removeAttr(note); // they do not change the code
    kernel->print(stream, flags);
    kernel.erase();
    sources.push_back(std::move(source));
  }
  return sources;
}

/// The kernel in the target's last form that is MLIR.
Result<OwningOpRef<ModuleOp>> lowerToCode(const KernelSource &source, const Backend &backend,
                                          MLIRContext &context) {
  std::string messages;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    messages += (messages.empty() ? "" : "; ") + diagnostic.str();
  });
  auto failed = [&] {
    return ingot::failure(Error::Code::Internal, source.ops.empty() ? source.name : source.ops,
                          "cannot generate the code of kernel {}: {}", source.name, messages);
  };
  auto module = parseSourceString<ModuleOp>(source.text, ParserConfig(&context, false));
  if (!module)
    return failed();
  auto kernel = module->lookupSymbol<func::FuncOp>(source.name);
  if (!source.isEmitted && mlir::failed(lowerKernel(kernel, backend)))
    return failed();
  kernel.erase();
  for (auto launch : module->getOps<func::FuncOp>())
    launch.setPublic();
  PassManager passes(&context);
  passes.enableVerifier(false);
  backend.addCodePasses(passes);
  if (mlir::failed(passes.run(*module)))
    return failed();
  return module;
}

Result<Bytes> compileKernel(const KernelSource &source, const Backend &backend,
                            MLIRContext &context, const std::string &dumpDirectory) {
  INGOT_ASSIGN(OwningOpRef<ModuleOp> module, lowerToCode(source, backend, context));
  std::string text;
  INGOT_ASSIGN(Bytes object, backend.compile(*module, dumpDirectory.empty() ? nullptr : &text));
  if (!dumpDirectory.empty())
    std::ofstream(dumpDirectory + "/" + source.name + ".ll") << text;
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

Result<KernelCodeReport> generateKernelCode(ModuleOp planned, const Backend &backend,
                                            const DiskCache &cache, const CompileOptions &options,
                                            Program &program) {
  std::vector<KernelSource> sources = kernelSources(planned, backend);
  std::vector<KernelObject> objects(sources.size());
  std::vector<std::string> keys;
  std::vector<size_t> missing;
  KernelCodeReport report;
  for (size_t index = 0; index < sources.size(); ++index) {
    keys.push_back(
        contentHash(sources[index].text + '\0' + backend.identity() + '\0' + compilerBuildId()) +
        ".o");
    objects[index].symbols = sources[index].symbols;
    std::optional<Bytes> cached =
        options.dumpDirectory.empty() ? cache.get(keys[index]) : std::nullopt;
    if (cached)
      objects[index].bytes = std::move(*cached);
    else
      missing.push_back(index);
  }
  report.scheduled = sources.size();
  report.cached = sources.size() - missing.size();
  report.compiled = missing.size();
  report.emitted = llvm::count_if(missing, [&](size_t index) { return !sources[index].isEmitted; });
  // Long kernels first, so that no worker ends with one while the others wait.
  std::sort(missing.begin(), missing.end(), [&](size_t a, size_t b) {
    return std::pair(sources[b].text.size(), a) < std::pair(sources[a].text.size(), b);
  });

  std::vector<Status> outcomes(missing.size());
  forEach(missing.size(), options.threads, [&](size_t position, MLIRContext &context) {
    if (outcomes[position] = checkStop(options); !outcomes[position])
      return;
    size_t index = missing[position];
    Result<Bytes> object = compileKernel(sources[index], backend, context, options.dumpDirectory);
    if (!object) {
      outcomes[position] = tl::unexpected(object.error());
      return;
    }
    objects[index].bytes = std::move(*object);
    cache.put(keys[index], objects[index].bytes);
  });
  for (Status &outcome : outcomes)
    INGOT_TRY(std::move(outcome));

  INGOT_TRY(backend.assemble(objects, program));
  return report;
}

Result<std::string> kernelsAsCode(ModuleOp planned, const Backend &backend) {
  std::unique_ptr<MLIRContext> context = createContext();
  std::string text;
  llvm::raw_string_ostream stream(text);
  for (const KernelSource &source : kernelSources(planned, backend)) {
    INGOT_ASSIGN(OwningOpRef<ModuleOp> module, lowerToCode(source, backend, *context));
    stream << *module << "\n";
  }
  return text;
}

} // namespace ingot
