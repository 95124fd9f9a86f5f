/// A program on the CPU: its arena, its mapped code, and its steps as task graphs with addresses
/// filled in.
#pragma once
#include "runtime/cpu/CpuQueue.h"
#include "runtime/cpu/Memory.h"
#include "runtime/cpu/ThreadPool.h"
#include "runtime/program/AddressSpace.h"
#include "runtime/program/DerivedPorts.h"
#include "runtime/program/Device.h"
#include <map>

namespace ingot {

class CpuSession final : public Session {
public:
  /// Validates the program, checks that this CPU can run it, maps the code, admits the program to
  /// the store, allocates the arena and fills the constants in. All sessions of a pool share one
  /// queue.
  static Result<std::unique_ptr<CpuSession>> create(std::shared_ptr<const Program> program,
                                                    std::shared_ptr<Store> store,
                                                    std::shared_ptr<ThreadPool> pool,
                                                    std::shared_ptr<CpuQueue> queue);
  ~CpuSession() override;

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
  using Entry = void (*)(void *const *arguments, int64_t lo, int64_t hi);

  /// A call step with its addresses.
  struct Call {
    const CallStep *step;
    const Kernel *kernel;
    Entry entry;
    int64_t grains;
    size_t width;    ///< pointers in one worker's row of `arguments`
    bool hasScratch; ///< then there is a row a worker
    /// One row; with a workspace one row a worker, whose last pointer is the worker's own memory.
    std::vector<void *> arguments;
    std::vector<uint8_t *> first; ///< in a loop: the arguments of its first iteration
  };
  /// Calls between which no loop begins or ends and nothing branches: one task graph.
  struct Segment {
    std::vector<Call> calls;
    std::unique_ptr<TaskList> tasks;
  };
  struct Node;
  using Nodes = std::vector<Node>;
  struct Loop {
    const LoopStep *step;
    const uint8_t *count; ///< how many iterations; null: as many as the step says
    uint8_t *counter;     ///< null: no kernel reads the iteration's number
    Nodes body;
  };
  struct If {
    const uint8_t *condition;
    Nodes thenBody, elseBody;
  };
  struct Node {
    std::variant<Segment, Loop, If> step;
  };

  /// What one worker did since the session's run began.
  struct alignas(64) Record {
    std::vector<ProfileSpan> spans;
    size_t segment = 0; ///< where the current segment's spans begin
  };

  struct Entrance {
    const Function *function;
    Nodes nodes;
    StoreAccess access;
  };
  /// A run from its enqueuing to the call of `wait`. They are used again, with their memory.
  struct Run {
    Entrance *entrance;
    std::vector<std::pair<const Port *, std::vector<uint8_t>>> inputs;
    size_t inputCount = 0;
    std::vector<const Port *> outputs;
    Result<std::vector<NamedTensor>> result;
    bool ended = false;
  };

  CpuSession(std::shared_ptr<const Program> program, std::shared_ptr<Store> store,
             std::shared_ptr<ThreadPool> pool, std::shared_ptr<CpuQueue> queue)
      : source(std::move(program)), parameters(std::move(store)), pool(std::move(pool)),
        queue(std::move(queue)) {}

  Status allocate();
  uint8_t *at(int64_t offset) const { return addresses.at(offset); }
  static Status checkRunnable(const Program &program);
  Status mapKernels();
  Nodes prepare(std::span<const Step> steps, int64_t trips) const;
  Segment prepareSegment(std::span<const Step> steps, int64_t trips) const;
  Call prepareCall(const CallStep &step) const;
  /// Runs a function on this thread, with the store locked as it needs to be.
  template <typename Around> void execute(Entrance &entrance, Around &&around);
  void executeRun(Run &run);
  Status runNodes(const Function &function, Nodes &nodes, int64_t iteration);
  Status runLoop(const Function &function, Loop &loop);
  void runSegment(Segment &segment, int64_t iteration);
  void record(Record &record, const Call &call, int64_t grains, double start, double end) const;
  void deliverRecords();
  void moveArguments(Call &call, int64_t iteration) const;
  void copyOut(const Port &port, Tensor &value) const;
  Tensor valueOf(const Port &port) const;
  Status errorOf(const Function &function) const;

  std::shared_ptr<const Program> source;
  std::shared_ptr<Store> parameters;
  std::shared_ptr<ThreadPool> pool;
  std::shared_ptr<CpuQueue> queue;
  AddressSpace addresses;
  Pages arena, constants;
  std::vector<Pages> code;    ///< one an object
  std::vector<Entry> entries; ///< one a kernel
  Pages workspace;            ///< one stretch of `workspaceStride` bytes a worker
  int64_t workspaceStride = 0;
  std::map<std::string_view, Entrance> functions;
  ProfileSink sink;
  size_t profiledRuns = 0;
  std::vector<Record> records; ///< one a worker while there is a sink

  uint64_t tickets = 0;
  std::map<uint64_t, std::shared_ptr<Run>> pending; ///< enqueued, not yet waited for
  std::vector<std::shared_ptr<Run>> spare;
  std::mutex mutex; ///< guards `ended` of runs
  std::condition_variable runEnded;
};

} // namespace ingot
