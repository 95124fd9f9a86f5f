#include "runtime/cpu/CpuSession.h"
#include "runtime/cpu/CpuInfo.h"
#include "runtime/program/CpuImage.h"
#include <algorithm>
#include <chrono>
#include <cmath>

namespace ingot {

namespace {

/// What a share of a kernel must at least take to be handed out on its own. Sharing a call costs
/// about 0.1 µs (`bench dispatch`), so this bounds the loss to a few percent.
constexpr double smallestShareSeconds = 2e-6;
/// What fast cores reach in arithmetic and from their caches: no share is thought to take longer
/// than it does. The compiler cuts kernels into grains of some 20 µs on slow ones, so this decides
/// only about what was cut finer.
constexpr double mostFlopsPerSecond = 3e11, mostBytesPerSecond = 1e11;

/// Grains of a kernel that are worth being handed out; 1 if nobody counted what it does. Shares
/// change when and where grains are computed, never what they compute.
int64_t smallestShare(const Kernel &kernel) {
  const double seconds =
      std::max(kernel.flops / mostFlopsPerSecond, kernel.bytes / mostBytesPerSecond);
  if (seconds <= 0)
    return 1;
  const double grains = std::ceil(double(kernel.grains()) * smallestShareSeconds / seconds);
  return int64_t(std::clamp(grains, 1.0, double(std::max<int64_t>(1, kernel.grains()))));
}

/// Whoever looks for an open task reads a bit of each, so a list is kept this short.
constexpr size_t longestTaskList = 4096;

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
  INGOT_TRY(checkRunnable(*program));
  std::unique_ptr<CpuSession> session(new CpuSession(program, pool));
  INGOT_TRY(session->mapKernels());
  INGOT_ASSIGN(session->arena, Pages::allocate(program->arenaBytes, "the program's arena"));
  session->arena.populate(*pool);
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
    session->functions.emplace(function.name, session->prepare(function.steps, /*trips=*/1));
  return session;
}

/// Maps the code and finds every kernel's first instruction in it.
Status CpuSession::mapKernels() {
  std::vector<std::map<std::string, int64_t>> offsets;
  for (const CodeObject &object : source->objects) {
    std::map<std::string, int64_t> &byName = offsets.emplace_back();
    Pages &mapped = code.emplace_back();
    if (object.kind != CodeObject::Kind::CpuImage)
      continue;
    INGOT_ASSIGN(std::vector<ImageEntry> listed, entriesOf(object.bytes));
    for (const ImageEntry &entry : listed)
      byName.emplace(entry.symbol, entry.offset);
    INGOT_ASSIGN(mapped, mapCode(object.bytes));
  }
  for (const Kernel &kernel : source->kernels)
    entries.push_back(reinterpret_cast<Entry>(code[kernel.object].data() +
                                              offsets[kernel.object].at(kernel.name)));
  return {};
}

/// A program may hold code for several targets; a session runs it on one.
Status CpuSession::checkRunnable(const Program &program) {
  for (const Kernel &kernel : program.kernels)
    if (!std::holds_alternative<CpuRange>(kernel.launch))
      return failure(Error::Code::Unsupported, "",
                     "the program is for {}: its kernel '{}' runs on a GPU alone", program.target,
                     kernel.name);
  return checkCpuFeatures(program);
}

CpuSession::Nodes CpuSession::prepare(std::span<const Step> steps, int64_t trips) const {
  Nodes nodes;
  for (size_t i = 0; i < steps.size();) {
    if (auto *loop = std::get_if<LoopStep>(&steps[i].node)) {
      nodes.push_back({Loop{loop->trips, prepare(loop->body, loop->trips)}});
      ++i;
    } else if (auto *branch = std::get_if<IfStep>(&steps[i].node)) {
      nodes.push_back({If{arena.data() + branch->condition, prepare(branch->thenBody, trips),
                          prepare(branch->elseBody, trips)}});
      ++i;
    } else {
      size_t count = 1;
      while (i + count < steps.size() && count < longestTaskList &&
             std::holds_alternative<CallStep>(steps[i + count].node))
        ++count;
      nodes.push_back({prepareSegment(steps.subspan(i, count), trips)});
      i += count;
    }
  }
  return nodes;
}

CpuSession::Segment CpuSession::prepareSegment(std::span<const Step> steps, int64_t trips) const {
  Segment segment;
  std::vector<TaskMemory> memory;
  std::vector<TaskList::Task> tasks;
  for (const Step &step : steps) {
    const Call &call = segment.calls.emplace_back(prepareCall(std::get<CallStep>(step.node)));
    memory.push_back(memoryOf(*call.kernel, *call.step, std::max<int64_t>(1, trips)));
    tasks.push_back(
        {.grains = std::max<int64_t>(1, call.grains), .smallest = smallestShare(*call.kernel)});
  }
  segment.tasks = std::make_unique<TaskList>(tasks, buildTaskGraph(memory));
  return segment;
}

CpuSession::Call CpuSession::prepareCall(const CallStep &step) const {
  const Kernel &kernel = source->kernels[step.kernel];
  Call call{.step = &step,
            .kernel = &kernel,
            .entry = entries[step.kernel],
            .grains = kernel.grains(),
            .width = kernel.parameters.size(),
            .hasScratch = kernel.parameters.size() > step.arguments.size(),
            .arguments = {}};
  const int rows = call.hasScratch ? pool->size() : 1;
  for (int worker = 0; worker < rows; ++worker) {
    for (int64_t offset : step.arguments)
      call.arguments.push_back(arena.data() + offset);
    if (call.hasScratch)
      call.arguments.push_back(workspace.data() + worker * workspaceStride);
  }
  return call;
}

Status CpuSession::run(std::string_view function) {
  auto found = functions.find(function);
  if (found == functions.end())
    return tl::unexpected(findFunction(function).error());
  runNodes(found->second, /*iteration=*/0);
  if (sink)
    deliverRecords();
  return {};
}

void CpuSession::runNodes(Nodes &nodes, int64_t iteration) {
  for (Node &node : nodes) {
    if (auto *segment = std::get_if<Segment>(&node.step)) {
      runSegment(*segment, iteration);
    } else if (auto *loop = std::get_if<Loop>(&node.step)) {
      for (int64_t trip = 0; trip < loop->trips; ++trip)
        runNodes(loop->body, trip);
    } else if (auto *branch = std::get_if<If>(&node.step)) {
      runNodes(*branch->condition & 1 ? branch->thenBody : branch->elseBody, iteration);
    }
  }
}

void CpuSession::runSegment(Segment &segment, int64_t iteration) {
  for (Call &call : segment.calls)
    if (!call.step->strides.empty())
      moveArguments(call, iteration);
  for (Record &record : records)
    record.segment = record.spans.size();
  pool->run(*segment.tasks, [&](int worker, const TaskList::Range &range) {
    const Call &call = segment.calls[range.task];
    const size_t row = call.hasScratch ? static_cast<size_t>(worker) : 0;
    const double start = sink ? seconds() : 0;
    // A kernel without grains is a task all the same, since others may wait for it.
    callKernel(call.entry, call.arguments.data() + row * call.width, range.lo,
               std::min(range.hi, call.grains));
    if (sink)
      record(records[static_cast<size_t>(worker)], call, range.hi - range.lo, start, seconds());
  });
}

void CpuSession::profile(ProfileSink newSink) {
  sink = std::move(newSink);
  records.assign(sink ? static_cast<size_t>(pool->size()) : 0, {});
}

/// Adds to the worker's last span if it is the same call's.
void CpuSession::record(Record &record, const Call &call, int64_t grains, double start,
                        double end) const {
  if (record.spans.size() > record.segment && record.spans.back().call == call.step) {
    record.spans.back().grains += grains;
    record.spans.back().end = end;
  } else {
    record.spans.push_back({.kernel = call.kernel,
                            .call = call.step,
                            .worker = static_cast<int>(&record - records.data()),
                            .grains = grains,
                            .start = start,
                            .end = end});
  }
}

void CpuSession::deliverRecords() {
  std::vector<ProfileSpan> spans;
  for (Record &record : records) {
    spans.insert(spans.end(), record.spans.begin(), record.spans.end());
    record.spans.clear();
  }
  std::ranges::stable_sort(spans, {}, &ProfileSpan::start);
  for (const ProfileSpan &span : spans)
    sink(span);
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
