/// Runs programs of PTX on the PTX machine, all checks on, through the driver's table.
#pragma once
#include "runtime/cuda/Driver.h"
#include "runtime/program/Program.h"

namespace ingot::test {

/// A program in the machine's memory. What nobody has written is told apart there, so a kernel that
/// reads such is found.
class EmulatedProgram {
public:
  /// `seed` draws the order in which warps run.
  static Result<std::unique_ptr<EmulatedProgram>> load(Program program, uint64_t seed);
  ~EmulatedProgram();
  EmulatedProgram(const EmulatedProgram &) = delete;

  Status write(const std::string &function, const std::string &port, const Tensor &value);
  /// An error names the kernel and what the machine found.
  Status run(const std::string &function);
  Result<Tensor> read(const std::string &function, const std::string &port);

private:
  explicit EmulatedProgram(Program program);
  Status check(cuda::CUresult code, const std::string &what);
  Status runSteps(const std::vector<Step> &steps, int64_t iteration);
  Status call(const CallStep &step, int64_t iteration);

  const cuda::Driver &driver;
  const Program program;
  cuda::CUmodule module = nullptr;
  cuda::CUdeviceptr arena = 0;
};

} // namespace ingot::test
