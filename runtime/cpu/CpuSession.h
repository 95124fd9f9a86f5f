/// A program on the CPU: its arena, its mapped code, and its steps as task graphs with addresses
/// filled in.
#pragma once
#include "runtime/cpu/Memory.h"
#include "runtime/cpu/ThreadPool.h"
#include "runtime/program/Device.h"
#include <map>

namespace ingot {

class CpuSession final : public Session {
public:
  /// Validates the program, checks that this CPU can run it, maps the code, allocates the arena and
  /// fills the constants in.
  static Result<std::unique_ptr<CpuSession>> create(std::shared_ptr<const Program> program,
                                                    std::shared_ptr<ThreadPool> pool);
  ~CpuSession() override { pool->release(); }

  Status run(std::string_view function) override;
  Status write(std::string_view function, std::string_view port, const Tensor &value) override;
  Result<Tensor> read(std::string_view function, std::string_view port) const override;
  const Program &program() const override { return *source; }
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
  };
  /// Calls between which no loop begins or ends and nothing branches: one task graph.
  struct Segment {
    std::vector<Call> calls;
    std::unique_ptr<TaskList> tasks;
  };
  struct Node;
  using Nodes = std::vector<Node>;
  struct Loop {
    int64_t trips;
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

  CpuSession(std::shared_ptr<const Program> program, std::shared_ptr<ThreadPool> pool)
      : source(std::move(program)), pool(std::move(pool)) {}

  static Status checkRunnable(const Program &program);
  Status mapKernels();
  Nodes prepare(std::span<const Step> steps, int64_t trips) const;
  Segment prepareSegment(std::span<const Step> steps, int64_t trips) const;
  Call prepareCall(const CallStep &step) const;
  void runNodes(Nodes &nodes, int64_t iteration);
  void runSegment(Segment &segment, int64_t iteration);
  void record(Record &record, const Call &call, int64_t grains, double start, double end) const;
  void deliverRecords();
  void moveArguments(Call &call, int64_t iteration) const;
  Result<const Function *> findFunction(std::string_view name) const;
  Result<const Port *> findPort(std::string_view function, std::string_view port) const;

  std::shared_ptr<const Program> source;
  std::shared_ptr<ThreadPool> pool;
  Pages arena;
  std::vector<Pages> code;    ///< one an object
  std::vector<Entry> entries; ///< one a kernel
  Pages workspace;            ///< one stretch of `workspaceStride` bytes a worker
  int64_t workspaceStride = 0;
  std::map<std::string_view, Nodes> functions;
  ProfileSink sink;
  std::vector<Record> records; ///< one a worker while there is a sink
};

} // namespace ingot
