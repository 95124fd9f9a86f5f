/// A program on a GPU: its arena, its code, and its functions as CUDA graphs.
#pragma once
#include "runtime/cuda/InputStaging.h"
#include "runtime/program/DerivedPorts.h"
#include "runtime/program/Device.h"

namespace ingot::cuda {

class CudaSession final : public Session {
public:
  /// Validates the program, checks that the GPU can run it, loads the code, admits the program to
  /// the store, allocates the arena and fills the constants in.
  static Result<std::unique_ptr<CudaSession>> create(std::shared_ptr<const Program> program,
                                                     std::shared_ptr<Store> store,
                                                     std::shared_ptr<Gpu> gpu);
  ~CudaSession() override;

  using Session::enqueue;
  Result<Ticket> enqueue(std::string_view function, std::span<const NamedTensor> inputs,
                         std::span<const std::string> outputs) override;
  Result<std::vector<NamedTensor>> wait(Ticket ticket) override;
  Status run(std::string_view function) override;
  Status write(std::string_view function, std::string_view port, const Tensor &value) override;
  Result<Tensor> read(std::string_view function, std::string_view port) const override;
  Status readInto(std::string_view function, std::string_view port, Tensor &value) const override;
  const Program &program() const override { return *source; }
  std::shared_ptr<Store> store() const override { return parameters; }
  void profile(ProfileSink newSink) override;

private:
  struct Entrance {
    const Function *function;
    GpuSteps steps;
    StoreAccess access;
  };
  /// A run from its enqueuing to the call of `wait`. They are used again, with their memory.
  struct Run {
    const Function *function = nullptr;
    std::vector<const Port *> outputs;
    PinnedMemory results; ///< of the outputs, then the words of ports of role error
    int64_t bytes = 0;    ///< of `results`
    Event ended;
    Status issued; ///< what went wrong before it reached the GPU
  };

  CudaSession(std::shared_ptr<const Program> program, std::shared_ptr<Store> store,
              std::shared_ptr<Gpu> gpu)
      : source(std::move(program)), parameters(std::move(store)), gpu(std::move(gpu)) {}

  Status allocate();
  Status fill();
  LaunchContext context() const { return {*gpu, *source, code, addresses, scratch.get()}; }
  CUdeviceptr at(int64_t offset) const {
    return reinterpret_cast<CUdeviceptr>(addresses.at(offset));
  }
  Result<Entrance *> find(std::string_view function);
  Result<Run> makeRun(const Function &function, std::vector<const Port *> outputs);
  /// Gives a run to the streams.
  Status issue(Entrance &entrance, std::span<const std::pair<const Port *, const Tensor *>> inputs,
               Run &run);
  Status issueSteps(const Function &function, std::span<GpuStep> steps, int64_t iteration);
  Status issueLoop(const Function &function, WalkedLoop &loop);
  Status setCounter(CUdeviceptr counter, int64_t number) const;
  Status issueFirst(CallSequence &sequence, InputStaging::Slot &slot);
  Status issueSequence(CallSequence &sequence, int64_t iteration);
  Result<bool> readCondition(int64_t offset) const;
  Status profileCalls(const CallSequence &sequence, int64_t iteration);
  Result<std::vector<NamedTensor>> finish(Run &run) const;
  Status copyOut(const Port &port, Tensor &value) const;

  std::shared_ptr<const Program> source;
  std::shared_ptr<Store> parameters;
  std::shared_ptr<Gpu> gpu;
  LoadedCode code;
  AddressSpace addresses;
  DeviceMemory arena, constants, scratch;
  InputStaging staging;
  std::map<std::string_view, Entrance> functions;

  ProfileSink sink;
  size_t profiledRuns = 0;
  Event spanStart, spanEnd, profileStart; ///< while there is a sink
  double profileSeconds = 0;              ///< when `profileStart` was reached

  uint64_t tickets = 0;
  std::map<uint64_t, Run> pending; ///< enqueued, not yet waited for
  std::vector<Run> spare;
};

} // namespace ingot::cuda
