#include "runtime/emulator/cudart/Runtime.h"
#include "runtime/emulator/driver/FatBinary.h"
#include <algorithm>
#include <cstdlib>
#include <sys/mman.h>
#include <unistd.h>

namespace ingot::emulator::cudart {
namespace {

/// The sentence behind the thread's current error, where it is not the driver's.
std::string &reason() {
  thread_local std::string text;
  return text;
}

ProgramOptions optionsOfEnvironment() {
  const char *text = std::getenv(programOptionsVariable);
  Result<ProgramOptions> options = ProgramOptions::parse(text ? text : "");
  const Result<EmulatedDeviceOptions> device = options.and_then(deviceOptions);
  if (device)
    return *options;
  FindingLog::note(device.error().text());
  _exit(2);
}

} // namespace

cudaError &lastError() {
  thread_local cudaError error = cudaSuccess;
  return error;
}

uint64_t &kernelsRun() {
  thread_local uint64_t count = 0;
  return count;
}

cudaError fail(cudaError error, std::string why) {
  reason() = std::move(why);
  return error;
}

Runtime &Runtime::get() {
  static Runtime &runtime = *new Runtime;
  return runtime;
}

Runtime::Runtime() : options(optionsOfEnvironment()) {
  if (options.report >= 0) {
    void *shared =
        mmap(nullptr, sizeof(ProgramReport), PROT_READ | PROT_WRITE, MAP_SHARED, options.report, 0);
    if (shared != MAP_FAILED)
      log.report = static_cast<ProgramReport *>(shared);
  }
  ++log.report->used;
}

void Runtime::configure() {
  // What the program has for the newest architecture of which the machine knows all, else for any.
  int chip = options.chip;
  for (const int most : {90, 0}) {
    if (chip)
      break;
    for (const auto &[address, binary] : binaries)
      if (const auto container = FatBinary::read(binary->image))
        chip = std::max(chip, container->newestPtx(most));
  }
  EmulatedDeviceOptions device = *deviceOptions(options); // has been checked
  device.capability = std::max(chip, 80);
  device.findingsAreErrors = false;
  device.launched = [this](const LaunchRequest &, const LaunchResult &, const MemoryCounters &) {
    ++kernelsRun();
    ++log.report->launches;
  };
  configureEmulatedDevice(std::move(device));
}

cudaError Runtime::prepare() {
  if (ready)
    return sticky;
  configure();
  cuda::CUcontext context = nullptr;
  if (const cuda::CUresult result = driver.cuInit(0))
    return cudaError(result);
  if (const cuda::CUresult result = driver.cuDevicePrimaryCtxRetain(&context, 0))
    return cudaError(result);
  ready = true;
  return cudaSuccess;
}

cudaError Runtime::finish(const char *call, cudaError error) {
  const std::string why = std::exchange(reason(), {});
  if (error == cudaSuccess)
    return error;
  lastError() = error;
  if (error == cudaErrorNotReady || isSticky(error))
    return error;
  FindingLog::note(fmt::format("{} returns {}: {}", call, errorName(error),
                               why.empty() ? lastEmulatedError() : why));
  if (options.strict)
    ++log.report->findings;
  return error;
}

void Runtime::kernelFailed(cudaError error) {
  if (sticky)
    return;
  sticky = error;
  FindingLog::note(
      fmt::format("the kernel has ended with {}; later calls return it too", errorName(error)));
}

Binary &Runtime::addBinary(const void *image) {
  auto binary = std::make_unique<Binary>();
  binary->image = image;
  Binary &added = *binary;
  binaries[&added] = std::move(binary);
  if (ready) // a library that came later may need a newer chip
    configure();
  return added;
}

void Runtime::removeBinary(Binary &binary) {
  const auto belongs = [&](const auto &entry) { return entry.second->binary == &binary; };
  std::erase_if(functions, belongs);
  std::erase_if(hostVariables, belongs);
  if (binary.module && ready)
    driver.cuModuleUnload(binary.module);
  binaries.erase(&binary);
}

void Runtime::addFunction(Binary &binary, const void *entry, std::string name) {
  auto function = std::make_unique<Function>(Function{&binary, std::move(name)});
  functions[entry] = functions[function.get()] = function.get();
  binary.functions.push_back(std::move(function));
}

void Runtime::addVariable(Binary &binary, const void *host, Variable variable) {
  variable.binary = &binary;
  auto added = std::make_unique<Variable>(std::move(variable));
  hostVariables[host] = added.get();
  binary.variables.push_back(std::move(added));
}

cudaError Runtime::load(Binary &binary) {
  if (binary.module || binary.error)
    return binary.error;
  binary.error = cudaError(driver.cuModuleLoadData(&binary.module, binary.image));
  if (binary.error) {
    binary.module = nullptr;
    FindingLog::note(lastEmulatedError());
    ++log.report->refused;
    return binary.error;
  }
  for (const auto &variable : binary.variables)
    if (variable->managed) {
      cuda::CUdeviceptr address = 0;
      if (!driver.cuModuleGetGlobal(&address, nullptr, binary.module, variable->name.c_str()))
        *variable->managed = reinterpret_cast<void *>(address);
    }
  return cudaSuccess;
}

Function *Runtime::function(const void *entry) {
  const auto found = functions.find(entry);
  return found == functions.end() ? nullptr : found->second;
}

cuda::CUfunction Runtime::loaded(const void *entry, cudaError &error) {
  Function *known = function(entry);
  if (!known) {
    error = fail(cudaErrorInvalidDeviceFunction, "no kernel was registered under this address");
    return nullptr;
  }
  if ((error = load(*known->binary)))
    return nullptr;
  if (!known->loaded &&
      driver.cuModuleGetFunction(&known->loaded, known->binary->module, known->name.c_str())) {
    error = cudaErrorInvalidDeviceFunction;
    known->loaded = nullptr;
  }
  return known->loaded;
}

Variable *Runtime::variable(const void *host) {
  const auto found = hostVariables.find(host);
  return found == hostVariables.end() ? nullptr : found->second;
}

cudaError Runtime::addressOf(const Variable &variable, cuda::CUdeviceptr &address) {
  if (const cudaError error = load(*variable.binary))
    return error;
  return driver.cuModuleGetGlobal(&address, nullptr, variable.binary->module, variable.name.c_str())
             ? cudaErrorInvalidSymbol
             : cudaSuccess;
}

void Runtime::reset() {
  if (!ready)
    return;
  driver.cuDevicePrimaryCtxRelease(0);
  log.take();
  for (const auto &[address, binary] : binaries) {
    binary->module = nullptr;
    binary->error = cudaSuccess;
    for (const auto &function : binary->functions)
      function->loaded = nullptr;
  }
  handles.clear();
  sticky = cudaSuccess;
  ready = false;
}

void Runtime::close() {
  std::lock_guard lock(mutex);
  uint64_t count = 0, bytes = 0;
  for (const Allocation *allocation : emulatedMemory().live())
    if (!allocation->origin.empty()) {
      ++count;
      bytes += allocation->bytes;
    }
  // A program may leave its memory to the system; who frees everything wants to know.
  const std::vector<std::string> &off = options.off;
  if (count && options.strict)
    reportEmulatedLeaks();
  else if (count && std::find(off.begin(), off.end(), "leak") == off.end())
    FindingLog::note(fmt::format("{} bytes in {} allocations were not freed; --strict lists them",
                                 bytes, count));
  log.take();
  log.summarise();
}

cudaError Runtime::refuse(const char *name) {
  ++log.report->refused;
  FindingLog::note(fmt::format("{} is not emulated", name));
  return lastError() = cudaErrorNotSupported;
}

} // namespace ingot::emulator::cudart
