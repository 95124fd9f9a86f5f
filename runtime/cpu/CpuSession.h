/// A program on the CPU: its arena, its mapped code, and its steps with addresses filled in.
#pragma once
#include "runtime/Device.h"
#include "runtime/cpu/Memory.h"
#include "runtime/cpu/ThreadPool.h"
#include <map>

namespace ingot {

class CpuSession final : public Session {
public:
  /// Validates the program, checks that this CPU can run it, maps the code, allocates the arena and
  /// fills the constants in.
  static Result<std::unique_ptr<CpuSession>> create(std::shared_ptr<const Program> program,
                                                    std::shared_ptr<ThreadPool> pool);

  Status run(std::string_view function) override;
  Status write(std::string_view function, std::string_view port, const Tensor &value) override;
  Result<Tensor> read(std::string_view function, std::string_view port) const override;
  const Program &program() const override { return *source; }
  void profile(ProfileSink newSink) override { sink = std::move(newSink); }

private:
  using Entry = void (*)(void *const *arguments, int64_t lo, int64_t hi);

  /// A call step with its addresses.
  struct Call {
    const CallStep *step;
    const Kernel *kernel;
    Entry entry;
    int64_t grains;
    bool parallel; ///< worth waking the other threads for
    size_t width;  ///< pointers in one worker's row of `arguments`
    /// One row; with a workspace one row a worker, whose last pointer is the worker's own memory.
    std::vector<void *> arguments;
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
    std::variant<Call, Loop, If> step;
  };

  CpuSession(std::shared_ptr<const Program> program, std::shared_ptr<ThreadPool> pool)
      : source(std::move(program)), pool(std::move(pool)) {}

  Nodes prepare(const std::vector<Step> &steps) const;
  Call prepareCall(const CallStep &step) const;
  void runNodes(Nodes &nodes, int64_t iteration);
  void runCall(Call &call, int64_t iteration);
  void moveArguments(Call &call, int64_t iteration) const;
  Result<const Function *> findFunction(std::string_view name) const;
  Result<const Port *> findPort(std::string_view function, std::string_view port) const;

  std::shared_ptr<const Program> source;
  std::shared_ptr<ThreadPool> pool;
  Pages arena, code;
  Pages workspace; ///< one stretch of `workspaceStride` bytes a worker
  int64_t workspaceStride = 0;
  std::map<std::string_view, Nodes> functions;
  ProfileSink sink;
};

} // namespace ingot
