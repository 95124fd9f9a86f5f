#include "runtime/emulator/driver/Driver.h"
#include "runtime/emulator/driver/DriverState.h"
#include "runtime/emulator/driver/FatBinary.h"
#include "runtime/emulator/machine/Budget.h"
#include <algorithm>
#include <cstring>

namespace ingot::emulator {

using namespace cuda;

DriverState &driverState() {
  // Never destroyed: a program's own statics may still call the driver when it ends.
  static DriverState &state = *new DriverState;
  return state;
}

int DriverState::deviceCapability() const {
  constexpr int newest = 90;
  return options.capability ? options.capability : newest;
}

int DriverState::capability() const {
  int ofModules = 0;
  for (const auto &[address, module] : modules)
    ofModules = std::max(ofModules, module->capability);
  return options.capability || !ofModules ? deviceCapability() : ofModules;
}

bool DriverState::isOff(std::string_view check) const {
  return std::ranges::find(options.launch.off, check) != options.launch.off.end();
}

void DriverState::configure(EmulatedDeviceOptions changed) {
  options = std::move(changed);
  memory->rememberWrites(options.checks.memory);
}

FunctionHandle *DriverState::function(CUfunction function) {
  // Functions and kernels are the same handle; it has to belong to a module that is still loaded.
  for (const auto &[address, module] : modules)
    for (const auto &[name, handle] : module->functions)
      if (reinterpret_cast<CUfunction>(handle.get()) == function)
        return handle.get();
  return nullptr;
}

CUresult DriverState::runnable(CUfunction handle, const FunctionHandle *&found) {
  found = function(handle);
  if (!found)
    return driverError(CUDA_ERROR_INVALID_HANDLE, "no such function, or its module was unloaded");
  return found->kernel ? CUDA_SUCCESS : driverError(CUDA_ERROR_INVALID_PTX, found->refusal);
}

std::string DriverState::nextAllocation() {
  ++allocations;
  return launches ? fmt::format("allocation {}, after launch {} (of '{}')", allocations, launches,
                                lastKernel)
                  : fmt::format("allocation {}, before the first launch", allocations);
}

/// What a program allocates; "" for what comes with its modules.
static std::string_view kindOf(const Allocation &allocation) {
  switch (allocation.kind) {
  case Allocation::Kind::Device:
    return "device";
  case Allocation::Kind::Host:
    return "host";
  case Allocation::Kind::Managed:
    return allocation.origin.empty() ? "" : "managed"; // a __managed__ variable
  default:
    return "";
  }
}

void DriverState::reportLeaks() {
  if (isOff("leak"))
    return;
  for (const Allocation *allocation : memory->live()) {
    const std::string_view kind = kindOf(*allocation);
    if (kind.empty())
      continue;
    Finding finding;
    finding.check = "leak";
    finding.message = fmt::format(
        "{} bytes of {} memory at {:#x}{} have not been freed before the context is destroyed: {}",
        allocation->bytes, kind, allocation->address,
        allocation->name.empty() ? "" : fmt::format(" ('{}')", allocation->name),
        allocation->origin);
    finding.address = allocation->address;
    findings.push_back(std::move(finding));
  }
}

void DriverState::clear() {
  executables.clear();
  graphs.clear();
  streams.clear();
  events.clear();
  modules.clear();
  defaultStream = {};
  memory = std::make_unique<GlobalMemory>();
  memory->rememberWrites(options.checks.memory);
  hostMemory.clear();
  registered.clear();
  allocated = allocations = launches = graphLaunches = 0;
  threadStreams.clear();
  endedStreams = {};
  order = {};
  host = {};
  lines = 1;
}

namespace {

std::string &errorText() {
  thread_local std::string text;
  return text;
}

struct ErrorRow {
  CUresult code;
  const char *name;
  const char *text;
};
constexpr ErrorRow errors[] = {
    {CUDA_SUCCESS, "CUDA_SUCCESS", "no error"},
    {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {CUDA_ERROR_DEINITIALIZED, "CUDA_ERROR_DEINITIALIZED", "driver shutting down"},
    {CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {CUDA_ERROR_INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {CUDA_ERROR_NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU",
     "no kernel image is available for execution on the device"},
    {CUDA_ERROR_INVALID_PTX, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {CUDA_ERROR_INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {CUDA_ERROR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {CUDA_ERROR_NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS",
     "an illegal memory access was encountered"},
    {CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
     "too many resources requested for launch"},
    {CUDA_ERROR_LAUNCH_TIMEOUT, "CUDA_ERROR_LAUNCH_TIMEOUT",
     "the launch timed out and was terminated"},
    {CUDA_ERROR_ASSERT, "CUDA_ERROR_ASSERT", "device-side assert triggered"},
    {CUDA_ERROR_MISALIGNED_ADDRESS, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, "CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED",
     "part or all of the requested memory range is already mapped"},
    {CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, "CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED",
     "pointer does not correspond to a registered memory region"},
    {CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE, "CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE",
     "too many blocks in cooperative launch"},
    {CUDA_ERROR_NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
     "operation not permitted when stream is capturing"},
    {CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
     "operation failed due to a previous error during capture"},
    {CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED",
     "capture was not ended in the same stream as it began"},
    {CUDA_ERROR_STREAM_CAPTURE_UNJOINED, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED",
     "capturing stream has unjoined work"},
    {CUDA_ERROR_INVALID_CLUSTER_SIZE, "CUDA_ERROR_INVALID_CLUSTER_SIZE", "invalid cluster size"},
    {CUDA_ERROR_UNKNOWN, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

const ErrorRow *findError(CUresult code) {
  for (const ErrorRow &row : errors)
    if (row.code == code)
      return &row;
  return nullptr;
}

CUresult notInitialized() {
  return driverError(CUDA_ERROR_NOT_INITIALIZED, "cuInit has not been called");
}

// Device.

struct AttributeRow {
  CUdevice_attribute attribute;
  int value;
};
/// What does not depend on the architecture; where cards differ, an H100's.
constexpr AttributeRow attributes[] = {
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, Budget::threadsPerBlock},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 64},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 0x7fffffff},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 65535},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 65535},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, Budget::staticSharedBytes},
    {CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY, 65536},
    {CU_DEVICE_ATTRIBUTE_WARP_SIZE, 32},
    {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, Budget::registersPerBlock},
    {CU_DEVICE_ATTRIBUTE_CLOCK_RATE, 1'980'000},
    {CU_DEVICE_ATTRIBUTE_INTEGRATED, 0},
    {CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 1},
    {CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS, 1},
    {CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, 2'619'000},
    {CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, 5120},
    {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, 50 << 20},
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, 2048},
    {CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1},
    {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, 65536},
    {CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH, 1},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR, 32},
    {CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK, 1024},
    {CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 1},
};

CUresult getAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
  if (!value || device != 0)
    return driverError(CUDA_ERROR_INVALID_DEVICE, "the emulated device is device 0");
  const int capability = driverState().capability();
  switch (attribute) {
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
    *value = driverState().deviceCapability() / 10;
    return CUDA_SUCCESS;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
    *value = driverState().deviceCapability() % 10;
    return CUDA_SUCCESS;
  case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
    *value = multiprocessors(capability);
    return CUDA_SUCCESS;
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN:
    *value = maximumSharedBytes(capability);
    return CUDA_SUCCESS;
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR:
    *value = maximumSharedBytes(capability) + 1024;
    return CUDA_SUCCESS;
  case CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH:
  case CU_DEVICE_ATTRIBUTE_TENSOR_MAP_ACCESS_SUPPORTED:
    *value = capability >= 90;
    return CUDA_SUCCESS;
  default:
    break;
  }
  for (const AttributeRow &row : attributes)
    if (row.attribute == attribute) {
      *value = row.value;
      return CUDA_SUCCESS;
    }
  return driverError(CUDA_ERROR_INVALID_VALUE,
                     fmt::format("device attribute {} is not known here", int(attribute)));
}

// Modules and libraries are the same thing.

/// "sm_90a" is 90 and runs on that architecture alone.
CUresult checkTarget(const ptx::Module &module, int &target) {
  const size_t digits = module.target.find_first_of("0123456789");
  target = 0;
  if (digits != std::string::npos)
    target = std::atoi(module.target.c_str() + digits);
  const bool exact = !module.target.empty() && module.target.back() == 'a';
  const int capability = driverState().options.capability;
  if (capability && (exact ? target != capability : target > capability))
    return driverError(CUDA_ERROR_NO_BINARY_FOR_GPU,
                       fmt::format("{}: .target {} does not run on the emulated sm_{}", module.name,
                                   module.target, capability));
  return CUDA_SUCCESS;
}

template <typename Handle> CUresult load(Handle *handle, const void *image) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  if (!state.initialized)
    return notInitialized();
  if (!handle || !image)
    return driverError(CUDA_ERROR_INVALID_VALUE, "no image to load");
  std::string text, name = state.options.moduleName;
  if (FatBinary::isFatBinary(image)) {
    const Result<FatBinary> container = FatBinary::read(image);
    const Result<std::string> ptx =
        container ? container->ptx(state.options.capability) : tl::unexpected(container.error());
    if (!ptx)
      return driverError(CUDA_ERROR_NO_BINARY_FOR_GPU, ptx.error().text());
    text = *ptx;
    if (!container->name().empty())
      name = container->name();
  } else if (std::memcmp(image, "\x7f\x45LF", 4) == 0) {
    return driverError(CUDA_ERROR_INVALID_IMAGE,
                       "the emulated device runs PTX; this image is machine code");
  } else {
    text = static_cast<const char *>(image);
  }
  auto module = std::make_unique<ModuleHandle>();
  auto loaded = Module::load(std::move(text), std::move(name), *state.memory);
  if (!loaded)
    return driverError(CUDA_ERROR_INVALID_PTX, loaded.error().text());
  if (const CUresult result = checkTarget((*loaded)->text(), module->capability))
    return result;
  module->module = std::move(*loaded);
  // As the real driver, which compiles everything when it loads; but a kernel that cannot run here
  // keeps no other from running: its launch says why.
  for (const std::string &name : module->module->kernels())
    if (const auto kernel = module->module->kernel(name); kernel)
      if (const Status status = checkAssembly(**kernel); !status)
        return driverError(CUDA_ERROR_INVALID_PTX, status.error().text());
  *handle = reinterpret_cast<Handle>(module.get());
  state.modules[module.get()] = std::move(module);
  return CUDA_SUCCESS;
}

template <typename Handle> CUresult unload(Handle handle) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  return state.modules.erase(handle) ? CUDA_SUCCESS
                                     : driverError(CUDA_ERROR_INVALID_HANDLE, "no such module");
}

template <typename Function, typename Handle>
CUresult getFunction(Function *function, Handle handle, const char *name) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  const auto module = state.modules.find(handle);
  if (module == state.modules.end() || !function || !name)
    return driverError(CUDA_ERROR_INVALID_HANDLE, "no such module");
  auto kernel = module->second->module->kernel(name);
  if (!kernel && kernel.error().code == Error::Code::Usage)
    return driverError(CUDA_ERROR_NOT_FOUND, kernel.error().text());
  auto &entry = module->second->functions[name];
  if (!entry) {
    entry = std::make_unique<FunctionHandle>();
    entry->module = module->second->module.get();
    if (kernel) {
      entry->kernel = *kernel;
      entry->maximumDynamicShared = Budget::staticSharedBytes - int((*kernel)->staticSharedBytes);
    } else {
      entry->refusal = kernel.error().text();
    }
  }
  *function = reinterpret_cast<Function>(entry.get());
  return CUDA_SUCCESS;
}

template <typename Handle>
CUresult getGlobal(CUdeviceptr *address, size_t *bytes, Handle handle, const char *name) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  const auto module = state.modules.find(handle);
  if (module == state.modules.end() || !name)
    return driverError(CUDA_ERROR_INVALID_HANDLE, "no such module");
  auto global = module->second->module->global(name);
  if (!global)
    return driverError(CUDA_ERROR_NOT_FOUND, global.error().text());
  if (address)
    *address = global->address;
  if (bytes)
    *bytes = global->bytes;
  return CUDA_SUCCESS;
}

void fillDeviceFunctions(Driver &driver) {
  driver.cuInit = [](unsigned flags) {
    driverState().initialized = true;
    return flags ? driverError(CUDA_ERROR_INVALID_VALUE, "cuInit takes 0") : CUDA_SUCCESS;
  };
  driver.cuDriverGetVersion = [](int *version) {
    *version = 13000;
    return CUDA_SUCCESS;
  };
  driver.cuGetErrorName = [](CUresult error, const char **text) {
    const ErrorRow *row = findError(error);
    *text = row ? row->name : nullptr;
    return row ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  };
  driver.cuGetErrorString = [](CUresult error, const char **text) {
    const ErrorRow *row = findError(error);
    *text = row ? row->text : nullptr;
    return row ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  };
  driver.cuDeviceGetCount = [](int *count) {
    *count = 1;
    return driverState().initialized ? CUDA_SUCCESS : notInitialized();
  };
  driver.cuDeviceGet = [](CUdevice *device, int ordinal) {
    *device = 0;
    return !driverState().initialized ? notInitialized()
           : ordinal == 0
               ? CUDA_SUCCESS
               : driverError(CUDA_ERROR_INVALID_DEVICE, "the emulated device is device 0");
  };
  driver.cuDeviceGetName = [](char *name, int bytes, CUdevice device) {
    if (!name || bytes <= 0)
      return driverError(CUDA_ERROR_INVALID_VALUE, "no room for a name");
    std::snprintf(name, size_t(bytes), "emulated sm_%d", driverState().deviceCapability());
    return CUDA_SUCCESS;
  };
  driver.cuDeviceTotalMem = [](size_t *bytes, CUdevice device) {
    *bytes = driverState().options.memoryBytes;
    return CUDA_SUCCESS;
  };
  driver.cuDeviceGetAttribute = getAttribute;
  // One context; it is always current.
  driver.cuDevicePrimaryCtxRetain = [](CUcontext *context, CUdevice device) {
    DriverState &state = driverState();
    std::lock_guard lock(state.mutex);
    if (!state.initialized)
      return notInitialized();
    ++state.retained;
    *context = reinterpret_cast<CUcontext>(&state);
    return CUDA_SUCCESS;
  };
  driver.cuDevicePrimaryCtxRelease = [](CUdevice device) {
    DriverState &state = driverState();
    std::lock_guard lock(state.mutex);
    if (!state.retained)
      return driverError(CUDA_ERROR_INVALID_CONTEXT, "the primary context is not retained");
    if (--state.retained == 0) {
      state.reportLeaks();
      state.clear();
    }
    return CUDA_SUCCESS;
  };
  driver.cuCtxSetCurrent = [](CUcontext context) { return CUDA_SUCCESS; };
  driver.cuCtxGetCurrent = [](CUcontext *context) {
    *context = reinterpret_cast<CUcontext>(&driverState());
    return CUDA_SUCCESS;
  };
  driver.cuCtxSynchronize = [] {
    std::lock_guard lock(driverState().mutex);
    driverState().waitedForAll();
    return CUDA_SUCCESS;
  };
  driver.cuModuleLoadData = [](CUmodule *module, const void *image) { return load(module, image); };
  driver.cuModuleLoadDataEx = [](CUmodule *module, const void *image, unsigned count, int *options,
                                 void **values) { return load(module, image); };
  driver.cuModuleUnload = [](CUmodule module) { return unload(module); };
  driver.cuModuleGetFunction = [](CUfunction *function, CUmodule module, const char *name) {
    return getFunction(function, module, name);
  };
  driver.cuModuleGetGlobal = [](CUdeviceptr *address, size_t *bytes, CUmodule module,
                                const char *name) {
    return getGlobal(address, bytes, module, name);
  };
  driver.cuLibraryLoadData = [](CUlibrary *library, const void *code, int *, void **, unsigned,
                                int *, void **, unsigned) { return load(library, code); };
  driver.cuLibraryUnload = [](CUlibrary library) { return unload(library); };
  driver.cuLibraryGetKernel = [](CUkernel *kernel, CUlibrary library, const char *name) {
    return getFunction(kernel, library, name);
  };
  driver.cuLibraryGetGlobal = [](CUdeviceptr *address, size_t *bytes, CUlibrary library,
                                 const char *name) {
    return getGlobal(address, bytes, library, name);
  };
}

} // namespace

CUresult driverError(CUresult code, std::string message) {
  errorText() = std::move(message);
  return code;
}

namespace {

/// Whether the process is ending: statics from before the first call of the driver go after this.
/// Threads' own data, the text of errors among them, is gone then.
bool &hasEnded() {
  static bool ended = false;
  struct End {
    ~End() { ended = true; }
  };
  static End end;
  return ended;
}

const Driver &unguarded() {
  static const Driver driver = [] {
    Driver table;
    fillDeviceFunctions(table);
    fillMemoryFunctions(table);
    fillLaunchFunctions(table);
    fillStreamFunctions(table);
    fillGraphFunctions(table);
    return table;
  }();
  return driver;
}

/// A function of the table that says so when it is called too late, as the real driver does.
template <auto member> struct Guarded;
template <typename... A, CUresult (*Driver::*member)(A...)> struct Guarded<member> {
  static CUresult call(A... arguments) {
    return hasEnded() ? CUDA_ERROR_DEINITIALIZED : (unguarded().*member)(arguments...);
  }
};

} // namespace

const Driver &emulatedDriver() {
  static const Driver driver = [] {
    hasEnded();
    Driver table;
#define INGOT_GUARD(member, symbol, parameters) table.member = Guarded<&Driver::member>::call;
    INGOT_CUDA_FUNCTIONS(INGOT_GUARD)
#undef INGOT_GUARD
    table.cuGetErrorName = unguarded().cuGetErrorName;
    table.cuGetErrorString = unguarded().cuGetErrorString;
    table.lastError = [] { return lastEmulatedError().c_str(); };
    return table;
  }();
  return driver;
}

void configureEmulatedDevice(EmulatedDeviceOptions options) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  state.configure(std::move(options));
}

void resetEmulatedDevice() {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  state.clear();
  state.retained = 0;
  state.findings.clear();
  state.configure({});
}

GlobalMemory &emulatedMemory() { return *driverState().memory; }
const std::string &lastEmulatedError() {
  static const std::string &late = *new std::string("the process is ending");
  return hasEnded() ? late : errorText();
}

std::vector<Finding> takeEmulatedFindings() {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  return std::exchange(state.findings, {});
}

void reportEmulatedLeaks() {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  state.reportLeaks();
}

Module *emulatedModule(CUmodule module) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  const auto found = state.modules.find(module);
  return found == state.modules.end() ? nullptr : found->second->module.get();
}

const CompiledKernel *emulatedKernel(CUfunction function) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  const FunctionHandle *handle = nullptr;
  return state.runnable(function, handle) == CUDA_SUCCESS ? handle->kernel : nullptr;
}

} // namespace ingot::emulator
