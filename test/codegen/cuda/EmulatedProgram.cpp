#include "test/codegen/cuda/EmulatedProgram.h"
#include "runtime/cuda/CudaDevice.h"
#include "runtime/emulator/driver/Driver.h"

namespace ingot::test {

using namespace ingot::emulator;

Result<std::unique_ptr<EmulatedProgram>> EmulatedProgram::load(Program program, uint64_t seed) {
  resetEmulatedDevice();
  EmulatedDeviceOptions options;
  options.capability = 0;
  options.launch.seed = seed;
  std::unique_ptr<EmulatedProgram> loaded(new EmulatedProgram);
  options.launched = [counters = loaded->counters](const LaunchRequest &, const LaunchResult &,
                                                   const MemoryCounters &launch) {
    *counters += launch;
  };
  configureEmulatedDevice(options);
  INGOT_ASSIGN(loaded->device, cuda::openDevice(emulatedDriver(), 0, "cuda:emulated"));
  INGOT_ASSIGN(loaded->session,
               loaded->device->load(std::make_shared<Program>(std::move(program))));
  return loaded;
}

EmulatedProgram::~EmulatedProgram() {
  session = nullptr;
  device = nullptr;
  resetEmulatedDevice();
}

} // namespace ingot::test
