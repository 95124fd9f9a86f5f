#include "test/codegen/cuda/EmulatedProgram.h"
#include "runtime/emulator/driver/Driver.h"
#include "runtime/program/GradientBuckets.h"

namespace ingot::test {

using namespace ingot::cuda;
using namespace ingot::emulator;

EmulatedProgram::EmulatedProgram(Program program)
    : driver(emulatedDriver()), program(std::move(program)) {}

EmulatedProgram::~EmulatedProgram() { resetEmulatedDevice(); }

Status EmulatedProgram::check(CUresult code, const std::string &what) {
  if (code == CUDA_SUCCESS)
    return {};
  std::string found = lastEmulatedError();
  for (const Finding &finding : takeEmulatedFindings())
    found += "\n" + finding.str();
  return failure(Error::Code::Internal, what, "{}", found);
}

Result<std::unique_ptr<EmulatedProgram>> EmulatedProgram::load(Program program, uint64_t seed) {
  resetEmulatedDevice();
  EmulatedDeviceOptions options;
  options.capability = 0;
  options.launch.seed = seed;
  configureEmulatedDevice(options);
  std::unique_ptr<EmulatedProgram> loaded(new EmulatedProgram(std::move(program)));
  EmulatedProgram &self = *loaded;
  CUdevice device = 0;
  CUcontext context = nullptr;
  INGOT_TRY(self.check(self.driver.cuInit(0), "cuInit"));
  INGOT_TRY(self.check(self.driver.cuDeviceGet(&device, 0), "cuDeviceGet"));
  INGOT_TRY(self.check(self.driver.cuDevicePrimaryCtxRetain(&context, device),
                       "cuDevicePrimaryCtxRetain"));
  INGOT_TRY(self.check(self.driver.cuCtxSetCurrent(context), "cuCtxSetCurrent"));
  const std::string text(self.program.objects[0].bytes.begin(),
                         self.program.objects[0].bytes.end());
  INGOT_TRY(self.check(self.driver.cuModuleLoadData(&self.module, text.c_str()), text));
  INGOT_TRY(
      self.check(self.driver.cuMemAlloc(&self.arena, std::max<size_t>(64, self.program.arenaBytes)),
                 "cuMemAlloc"));
  if (self.program.persistentBytes) // parameters and state start at zero
    INGOT_TRY(self.check(self.driver.cuMemsetD8(self.arena, 0, self.program.persistentBytes),
                         "cuMemsetD8"));
  for (const ByteRange &range : gradientBuckets(self.program))
    INGOT_TRY(
        self.check(self.driver.cuMemsetD8(self.arena + range.first, 0, range.end - range.first),
                   "cuMemsetD8"));
  for (const Constant &constant : self.program.constants)
    INGOT_TRY(self.check(self.driver.cuMemcpyHtoD(self.arena + constant.offset,
                                                  constant.value.data(), constant.value.bytes()),
                         "a constant"));
  return loaded;
}

Status EmulatedProgram::write(const std::string &function, const std::string &port,
                              const Tensor &value) {
  const Port *found = program.function(function)->port(port);
  return check(driver.cuMemcpyHtoD(arena + found->offset, value.data(), value.bytes()), port);
}

Result<Tensor> EmulatedProgram::read(const std::string &function, const std::string &port) {
  const Port *found = program.function(function)->port(port);
  Tensor value(found->type, found->shape);
  INGOT_TRY(check(driver.cuMemcpyDtoH(value.data(), arena + found->offset, value.bytes()), port));
  return value;
}

Status EmulatedProgram::run(const std::string &function) {
  return runSteps(program.function(function)->steps, 0);
}

Status EmulatedProgram::runSteps(const std::vector<Step> &steps, int64_t iteration) {
  for (const Step &step : steps) {
    if (const auto *call = std::get_if<CallStep>(&step.node)) {
      INGOT_TRY(this->call(*call, iteration));
    } else if (const auto *loop = std::get_if<LoopStep>(&step.node)) {
      for (int64_t trip = 0; trip < loop->trips; ++trip)
        INGOT_TRY(runSteps(loop->body, trip));
    } else {
      const auto &branch = std::get<IfStep>(step.node);
      uint8_t holds = 0;
      INGOT_TRY(check(driver.cuMemcpyDtoH(&holds, arena + branch.condition, 1), "a condition"));
      INGOT_TRY(runSteps(holds ? branch.thenBody : branch.elseBody, iteration));
    }
  }
  return {};
}

Status EmulatedProgram::call(const CallStep &step, int64_t iteration) {
  const Kernel &kernel = program.kernels[step.kernel];
  const auto &grid = std::get<CudaGrid>(kernel.launch);
  std::vector<CUdeviceptr> addresses;
  for (size_t i = 0; i < step.arguments.size(); ++i)
    addresses.push_back(arena + step.arguments[i] +
                        (step.strides.empty() ? 0 : step.strides[i] * iteration));
  std::vector<void *> parameters;
  for (CUdeviceptr &address : addresses)
    parameters.push_back(&address);
  CUfunction function = nullptr;
  INGOT_TRY(check(driver.cuModuleGetFunction(&function, module, kernel.name.c_str()), kernel.name));
  return check(driver.cuLaunchKernel(
                   function, grid.grid[0], grid.grid[1], grid.grid[2], grid.block[0], grid.block[1],
                   grid.block[2], unsigned(grid.sharedBytes), nullptr, parameters.data(), nullptr),
               kernel.name + " (" + step.op + ")");
}

} // namespace ingot::test
