#include "runtime/cpu/CpuSession.h"
#include "runtime/cpu/CpuInfo.h"
#include <chrono>

namespace ingot {

namespace {

/// Rough speeds of one core, to tell kernels that end before another thread could help.
constexpr double flopsPerSecond = 2e10, bytesPerSecond = 1e10, shortestParallel = 5e-6;

bool worthSharing(const Kernel &kernel) {
  const double cost = std::max(kernel.flops / flopsPerSecond, kernel.bytes / bytesPerSecond);
  return kernel.grains > 1 && (cost > shortestParallel || cost == 0); // 0: nobody counted
}

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string typeAndShape(ElementType type, const Shape &shape) {
  return fmt::format("{} of {}", toString(shape), name(type));
}

/// Generated code carries no type signature in front of it for the sanitizer to read.
__attribute__((no_sanitize("function"))) void
callKernel(void (*entry)(void *const *, int64_t, int64_t), void *const *arguments, int64_t lo,
           int64_t hi) {
  entry(arguments, lo, hi);
}

template <typename T> std::string namesOf(const std::vector<T> &rows) {
  std::string names;
  for (const T &row : rows)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", row.name);
  return names;
}

} // namespace

Result<std::unique_ptr<CpuSession>> CpuSession::create(std::shared_ptr<const Program> program,
                                                       std::shared_ptr<ThreadPool> pool) {
  INGOT_TRY(program->validate());
  INGOT_TRY(checkCpuFeatures(*program));
  std::unique_ptr<CpuSession> session(new CpuSession(program, pool));
  INGOT_ASSIGN(session->code, mapCode(program->code));
  INGOT_ASSIGN(session->arena, Pages::allocate(program->arenaBytes, "the program's arena"));
  // Whole pages a worker, and one more so that all workspaces do not start in the same cache sets.
  session->workspaceStride = (program->workspaceBytes + 4095) / 4096 * 4096 + 4096 + 64;
  if (program->workspaceBytes > 0) {
    INGOT_ASSIGN(session->workspace, Pages::allocate(session->workspaceStride * pool->size(),
                                                     "the kernels' workspace"));
  }
  for (const Constant &constant : program->constants)
    if (constant.value.bytes())
      std::memcpy(session->arena.data() + constant.offset, constant.value.data(),
                  constant.value.bytes());
  for (const Function &function : program->functions)
    session->functions.emplace(function.name, session->prepare(function.steps));
  return session;
}

CpuSession::Nodes CpuSession::prepare(const std::vector<Step> &steps) const {
  Nodes nodes;
  nodes.reserve(steps.size());
  for (const Step &step : steps) {
    if (auto *call = std::get_if<CallStep>(&step.node))
      nodes.push_back({prepareCall(*call)});
    else if (auto *loop = std::get_if<LoopStep>(&step.node))
      nodes.push_back({Loop{loop->trips, prepare(loop->body)}});
    else if (auto *branch = std::get_if<IfStep>(&step.node))
      nodes.push_back({If{arena.data() + branch->condition, prepare(branch->thenBody),
                          prepare(branch->elseBody)}});
  }
  return nodes;
}

CpuSession::Call CpuSession::prepareCall(const CallStep &step) const {
  const Kernel &kernel = source->kernels[step.kernel];
  Call call{.step = &step,
            .kernel = &kernel,
            .entry = reinterpret_cast<Entry>(code.data() + kernel.entry),
            .grains = kernel.grains,
            .parallel = worthSharing(kernel),
            .width = step.arguments.size() + (kernel.workspace > 0),
            .arguments = {}};
  const int rows = kernel.workspace > 0 ? pool->size() : 1;
  for (int worker = 0; worker < rows; ++worker) {
    for (int64_t offset : step.arguments)
      call.arguments.push_back(arena.data() + offset);
    if (kernel.workspace > 0)
      call.arguments.push_back(workspace.data() + worker * workspaceStride);
  }
  return call;
}

Status CpuSession::run(std::string_view function) {
  auto found = functions.find(function);
  if (found == functions.end())
    return tl::unexpected(findFunction(function).error());
  runNodes(found->second, /*iteration=*/0);
  return {};
}

void CpuSession::runNodes(Nodes &nodes, int64_t iteration) {
  for (Node &node : nodes) {
    if (auto *call = std::get_if<Call>(&node.step)) {
      runCall(*call, iteration);
    } else if (auto *loop = std::get_if<Loop>(&node.step)) {
      for (int64_t trip = 0; trip < loop->trips; ++trip)
        runNodes(loop->body, trip);
    } else if (auto *branch = std::get_if<If>(&node.step)) {
      runNodes(*branch->condition & 1 ? branch->thenBody : branch->elseBody, iteration);
    }
  }
}

void CpuSession::runCall(Call &call, int64_t iteration) {
  if (!call.step->strides.empty())
    moveArguments(call, iteration);
  const double start = sink ? seconds() : 0;
  if (!call.parallel) {
    callKernel(call.entry, call.arguments.data(), 0, call.grains);
  } else {
    pool->run(call.grains, [&](int worker, int64_t lo, int64_t hi) {
      const size_t row = call.kernel->workspace > 0 ? static_cast<size_t>(worker) : 0;
      callKernel(call.entry, call.arguments.data() + row * call.width, lo, hi);
    });
  }
  if (sink)
    sink(*call.kernel, *call.step, start, seconds());
}

void CpuSession::moveArguments(Call &call, int64_t iteration) const {
  const CallStep &step = *call.step;
  for (size_t row = 0; row < call.arguments.size(); row += call.width)
    for (size_t i = 0; i < step.arguments.size(); ++i)
      call.arguments[row + i] = arena.data() + step.arguments[i] + iteration * step.strides[i];
}

Result<const Function *> CpuSession::findFunction(std::string_view name) const {
  if (const Function *found = source->function(name))
    return found;
  return failure(Error::Code::Usage, "", "the program has no function '{}', only: {}", name,
                 namesOf(source->functions));
}

Result<const Port *> CpuSession::findPort(std::string_view function, std::string_view port) const {
  INGOT_ASSIGN(const Function *owner, findFunction(function));
  if (const Port *found = owner->port(port))
    return found;
  return failure(Error::Code::Usage, "", "function '{}' has no port '{}', only: {}", function, port,
                 namesOf(owner->ports));
}

Status CpuSession::write(std::string_view function, std::string_view port, const Tensor &value) {
  INGOT_ASSIGN(const Port *target, findPort(function, port));
  if (value.type() != target->type || value.shape() != target->shape)
    return failure(Error::Code::BadInput, "", "'{}' of function '{}' takes {}, not {}", port,
                   function, typeAndShape(target->type, target->shape),
                   typeAndShape(value.type(), value.shape()));
  if (value.bytes())
    std::memcpy(arena.data() + target->offset, value.data(), value.bytes());
  return {};
}

Result<Tensor> CpuSession::read(std::string_view function, std::string_view port) const {
  INGOT_ASSIGN(const Port *origin, findPort(function, port));
  Tensor value(origin->type, origin->shape);
  if (value.bytes())
    std::memcpy(value.data(), arena.data() + origin->offset, value.bytes());
  return value;
}

} // namespace ingot
