#include "runtime/cuda/LoadedCode.h"
#include <charconv>

namespace ingot::cuda {
namespace {

/// Blocks of a cluster that every card takes.
constexpr int64_t portableCluster = 8;

Status checkRunnable(const Gpu &gpu, const Program &program) {
  for (const Kernel &kernel : program.kernels) {
    if (!std::holds_alternative<CudaGrid>(kernel.launch))
      return failure(Error::Code::Unsupported, gpu.name,
                     "the program is for {}: its kernel '{}' runs on a CPU alone", program.target,
                     kernel.name);
    const CodeObject &object = program.objects[kernel.object];
    if (!runsOn(gpu.capability, object.kind, object.architecture))
      return failure(Error::Code::Unsupported, gpu.name,
                     "the program is for {}: its code of kernel '{}' ({} for {}) does not run on "
                     "{}, which is sm_{}",
                     program.target, kernel.name, ingot::name(object.kind), object.architecture,
                     gpu.model, gpu.capability);
  }
  return {};
}

Result<Library> loadObject(const std::shared_ptr<Gpu> &gpu, const CodeObject &object) {
  // PTX is text for the driver: it ends in a zero.
  std::vector<uint8_t> code = object.bytes;
  code.push_back(0);
  char log[4096] = {};
  int options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void *values[] = {log, reinterpret_cast<void *>(sizeof log)};
  CUlibrary library = nullptr;
  const CUresult result =
      gpu->driver.cuLibraryLoadData(&library, code.data(), options, values, 2, nullptr, nullptr, 0);
  INGOT_TRY(gpu->check(result, fmt::format("loading {} for {}{}{}", ingot::name(object.kind),
                                           object.architecture, *log ? ": " : "", log)));
  return Library(gpu, library,
                 [](const Driver &driver, CUlibrary old) { driver.cuLibraryUnload(old); });
}

Result<CUfunction> findFunction(const Gpu &gpu, CUlibrary library, const Kernel &kernel) {
  const std::string what = fmt::format("kernel '{}'", kernel.name);
  CUkernel found = nullptr;
  CUfunction function = nullptr;
  INGOT_TRY(gpu.check(gpu.driver.cuLibraryGetKernel(&found, library, kernel.name.c_str()), what));
  INGOT_TRY(gpu.check(gpu.driver.cuKernelGetFunction(&function, found), what));
  const auto &grid = std::get<CudaGrid>(kernel.launch);
  int allowed = 0; // by default, or since another kernel that is the same code
  INGOT_TRY(gpu.check(gpu.driver.cuFuncGetAttribute(
                          &allowed, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, function),
                      what));
  if (grid.sharedBytes > allowed)
    INGOT_TRY(gpu.check(
        gpu.driver.cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                      int(grid.sharedBytes)),
        fmt::format("{} with {} bytes of shared memory", what, grid.sharedBytes)));
  const int64_t blocks = grid.cluster[0] * grid.cluster[1] * grid.cluster[2];
  if (blocks > portableCluster)
    INGOT_TRY(gpu.check(gpu.driver.cuFuncSetAttribute(
                            function, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1),
                        fmt::format("{} with clusters of {} blocks", what, blocks)));
  return function;
}

} // namespace

bool runsOn(int capability, CodeObject::Kind kind, std::string_view architecture) {
  if (!architecture.starts_with("sm_"))
    return false;
  int number = 0;
  const char *end = architecture.data() + architecture.size();
  const auto [rest, error] = std::from_chars(architecture.data() + 3, end, number);
  if (error != std::errc() || end - rest > 1)
    return false;
  const bool isSameFamily = number / 10 == capability / 10 && number <= capability;
  if (rest == end)
    return kind == CodeObject::Kind::Ptx ? number <= capability
                                         : kind == CodeObject::Kind::Cubin && isSameFamily;
  if (*rest == 'f')
    return isSameFamily;
  return *rest == 'a' && number == capability;
}

Status LoadedCode::loadMachineCode(const std::shared_ptr<Gpu> &gpu, const Program &program) {
  if (gpu->driver.lastError) // the emulated driver's alone, which runs PTX
    return {};
  for (size_t index = 0; index < program.objects.size(); ++index) {
    const CodeObject &object = program.objects[index];
    if (object.kind != CodeObject::Kind::Cubin ||
        !runsOn(gpu->capability, object.kind, object.architecture))
      continue;
    INGOT_ASSIGN(libraries[index], loadObject(gpu, object));
    machineCode.push_back(libraries[index].get());
  }
  return {};
}

CUlibrary LoadedCode::machineCodeOf(const Gpu &gpu, const Kernel &kernel) const {
  CUkernel found = nullptr;
  for (CUlibrary library : machineCode)
    if (gpu.driver.cuLibraryGetKernel(&found, library, kernel.name.c_str()) == CUDA_SUCCESS)
      return library;
  return nullptr;
}

Result<LoadedCode> LoadedCode::load(const std::shared_ptr<Gpu> &gpu, const Program &program) {
  INGOT_TRY(checkRunnable(*gpu, program));
  LoadedCode code;
  code.libraries.resize(program.objects.size());
  INGOT_TRY(code.loadMachineCode(gpu, program));
  for (const Kernel &kernel : program.kernels) {
    CUlibrary library = code.machineCodeOf(*gpu, kernel);
    if (!library) {
      Library &own = code.libraries[kernel.object];
      if (!own.get()) {
        INGOT_ASSIGN(own, loadObject(gpu, program.objects[kernel.object]));
      }
      library = own.get();
    }
    INGOT_ASSIGN(CUfunction function, findFunction(*gpu, library, kernel));
    code.functions.push_back(function);
  }
  return code;
}

} // namespace ingot::cuda
