#include "runtime/cpu/CpuSession.h"
#include "runtime/cpu/CpuInfo.h"
#include "runtime/program/CpuImage.h"
#include "runtime/program/Loops.h"
#include "runtime/program/PackedTensor.h"
#include "runtime/support/Clock.h"
#include "runtime/support/FilePages.h"
#include <algorithm>
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

/// Generated code carries no type signature in front of it for the sanitizer to read.
__attribute__((no_sanitize("function"))) void
callKernel(void (*entry)(void *const *, int64_t, int64_t), void *const *arguments, int64_t lo,
           int64_t hi) {
  entry(arguments, lo, hi);
}

} // namespace

Result<std::unique_ptr<CpuSession>> CpuSession::create(std::shared_ptr<const Program> program,
                                                       std::shared_ptr<Store> store,
                                                       std::shared_ptr<ThreadPool> pool,
                                                       std::shared_ptr<CpuQueue> queue) {
  INGOT_TRY(program->validate());
  INGOT_TRY(checkRunnable(*program));
  std::unique_ptr<CpuSession> session(
      new CpuSession(program, std::move(store), std::move(pool), std::move(queue)));
  INGOT_TRY(session->mapKernels());
  INGOT_TRY(session->allocate());
  for (const Function &function : program->functions)
    session->functions.emplace(function.name,
                               Entrance{&function, session->prepare(function.steps, /*trips=*/1),
                                        StoreAccess::of(*program, function)});
  return session;
}

CpuSession::~CpuSession() {
  queue->runHere([&] { pool->release(); });
}

/// Finds memory for all of the program's addresses.
Status CpuSession::allocate() {
  INGOT_ASSIGN(addresses, AddressSpace::make(*source, *parameters));
  INGOT_ASSIGN(constants, Pages::allocate(addresses.constantBytes(), "the program's constants"));
  INGOT_ASSIGN(arena, Pages::allocate(addresses.arenaBytes(), "the program's arena"));
  addresses.place(constants.data(), arena.data());
  for (const Constant &constant : source->constants)
    if (constant.value.bytes())
      std::memcpy(at(constant.offset), constant.value.data(), constant.value.bytes());
  queue->runHere([&] { arena.populate(*pool); });
  // Whole pages a worker, and one more so that all workspaces do not start in the same cache sets.
  workspaceStride = (source->workspaceBytes + 4095) / 4096 * 4096 + 4096 + 64;
  if (source->workspaceBytes > 0) {
    INGOT_ASSIGN(workspace,
                 Pages::allocate(workspaceStride * pool->size(), "the kernels' workspace"));
  }
  return {};
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
    const bool calls = callsKernels(steps.subspan(i, 1));
    if (auto *loop = std::get_if<LoopStep>(&steps[i].node)) {
      if (calls || loop->count)
        nodes.push_back({Loop{loop, loop->count ? at(*loop->count) : nullptr,
                              loop->counter ? at(*loop->counter) : nullptr,
                              calls ? prepare(loop->body, loop->trips) : Nodes()}});
      ++i;
    } else if (auto *branch = std::get_if<IfStep>(&steps[i].node)) {
      if (calls)
        nodes.push_back({If{at(branch->condition), prepare(branch->thenBody, trips),
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
            .arguments = {},
            .first = {}};
  const int rows = call.hasScratch ? pool->size() : 1;
  for (int worker = 0; worker < rows; ++worker) {
    for (int64_t offset : step.arguments)
      call.arguments.push_back(at(offset));
    if (call.hasScratch)
      call.arguments.push_back(workspace.data() + worker * workspaceStride);
  }
  if (!step.strides.empty())
    for (int64_t offset : step.arguments)
      call.first.push_back(at(offset));
  return call;
}

template <typename Around> void CpuSession::execute(Entrance &entrance, Around &&around) {
  StoreHold hold(*parameters, *entrance.function, entrance.access);
  const auto runAll = [this](Entrance &one) {
    return runNodes(*one.function, one.nodes, /*iteration=*/0);
  };
  const Status derived = hold.derive([&] { return runAll(functions.at(deriveFunction)); });
  around([&] { return derived ? runAll(entrance) : derived; });
  if (sink)
    deliverRecords();
}

Status CpuSession::run(std::string_view function) {
  auto found = functions.find(function);
  if (found == functions.end())
    return tl::unexpected(findFunction(*source, function).error());
  Status status;
  queue->runHere([&] {
    execute(found->second, [&](auto &&runAll) {
      status = runAll();
      if (status)
        status = errorOf(*found->second.function);
    });
  });
  return status;
}

Result<Ticket> CpuSession::enqueue(std::string_view function, std::span<const NamedTensor> inputs,
                                   std::span<const std::string> outputs) {
  auto found = functions.find(function);
  if (found == functions.end())
    return tl::unexpected(findFunction(*source, function).error());
  std::shared_ptr<Run> run;
  if (!spare.empty()) {
    run = std::move(spare.back());
    spare.pop_back();
  } else {
    run = std::make_shared<Run>();
  }
  run->entrance = &found->second;
  run->ended = false;
  run->inputCount = 0;
  run->inputs.resize(std::max(run->inputs.size(), inputs.size()));
  std::vector<const NamedTensor *> kept; // parameters and state
  for (const NamedTensor &input : inputs) {
    INGOT_ASSIGN(const Port *port, findPort(*source, function, input.name));
    INGOT_TRY(checkValue(function, *port, input.value));
    if (isPersistent(port->role)) {
      kept.push_back(&input);
      continue;
    }
    auto &[target, bytes] = run->inputs[run->inputCount++];
    target = port;
    const auto *data = input.value.as<uint8_t>();
    bytes.assign(data, data + input.value.bytes());
  }
  run->outputs.clear();
  for (const std::string &output : outputs) {
    INGOT_ASSIGN(const Port *port, findPort(*source, function, output));
    run->outputs.push_back(port);
  }
  for (const NamedTensor *input : kept) // before the run, which may have to derive from them
    INGOT_TRY(write(function, input->name, input->value));
  if (sink)
    queue->runHere([&] { executeRun(*run); });
  else
    queue->add([this, run] { executeRun(*run); });
  pending.emplace(++tickets, std::move(run));
  return Ticket{tickets};
}

void CpuSession::copyOut(const Port &port, Tensor &value) const {
  copyFromLayout(port.layout, at(port.offset), value);
  normalise(value);
}

Tensor CpuSession::valueOf(const Port &port) const {
  Tensor value(port.type, port.shape);
  copyOut(port, value);
  return value;
}

/// What the run itself found wrong.
Status CpuSession::errorOf(const Function &function) const {
  for (const Port &port : function.ports) {
    if (port.role != Role::Error)
      continue;
    int64_t word;
    std::memcpy(&word, at(port.offset), sizeof(word));
    INGOT_TRY(checkErrorWord(function, port, word));
  }
  return {};
}

void CpuSession::executeRun(Run &run) {
  Result<std::vector<NamedTensor>> result;
  execute(*run.entrance, [&](auto &&runAll) {
    for (size_t i = 0; i < run.inputCount; ++i)
      if (const auto &[port, bytes] = run.inputs[i]; !bytes.empty())
        std::memcpy(at(port->offset), bytes.data(), bytes.size());
    Status status = runAll();
    if (status)
      status = errorOf(*run.entrance->function);
    if (!status)
      result = tl::unexpected(status.error());
    else
      for (const Port *port : run.outputs)
        result->push_back({port->name, valueOf(*port)});
  });
  // Nobody may wait for an end that he can see before it is told.
  std::lock_guard lock(mutex);
  run.result = std::move(result);
  run.ended = true;
  runEnded.notify_all();
}

Result<std::vector<NamedTensor>> CpuSession::wait(Ticket ticket) {
  auto found = pending.find(ticket.number);
  if (found == pending.end())
    return failure(Error::Code::Usage, "", "run {} was waited for already", ticket.number);
  std::shared_ptr<Run> run = std::move(found->second);
  pending.erase(found);
  {
    std::unique_lock lock(mutex);
    runEnded.wait(lock, [&] { return run->ended; });
  }
  Result<std::vector<NamedTensor>> result = std::move(run->result);
  spare.push_back(std::move(run));
  return result;
}

Status CpuSession::runNodes(const Function &function, Nodes &nodes, int64_t iteration) {
  for (Node &node : nodes) {
    if (auto *segment = std::get_if<Segment>(&node.step)) {
      runSegment(*segment, iteration);
    } else if (auto *loop = std::get_if<Loop>(&node.step)) {
      INGOT_TRY(runLoop(function, *loop));
    } else if (auto *branch = std::get_if<If>(&node.step)) {
      INGOT_TRY(runNodes(function, *branch->condition & 1 ? branch->thenBody : branch->elseBody,
                         iteration));
    }
  }
  return {};
}

Status CpuSession::runLoop(const Function &function, Loop &loop) {
  int64_t trips = loop.step->trips;
  if (loop.count) {
    std::memcpy(&trips, loop.count, sizeof(trips));
    INGOT_TRY(checkTrips(function, *loop.step, trips));
  }
  if (loop.body.empty())
    return {};
  for (int64_t trip = 0; trip < trips; ++trip) {
    const int64_t number = numberOf(*loop.step, trip, trips);
    if (loop.counter)
      std::memcpy(loop.counter, &number, sizeof(number));
    INGOT_TRY(runNodes(function, loop.body, number));
  }
  return {};
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
    const double start = sink ? steadySeconds() : 0;
    // A kernel without grains is a task all the same, since others may wait for it.
    callKernel(call.entry, call.arguments.data() + row * call.width, range.lo,
               std::min(range.hi, call.grains));
    if (sink)
      record(records[static_cast<size_t>(worker)], call, range.hi - range.lo, start,
             steadySeconds());
  });
}

void CpuSession::profile(ProfileSink newSink) {
  queue->drain();
  profiledRuns = 0;
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
                            .end = end,
                            .run = profiledRuns});
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
  ++profiledRuns;
}

void CpuSession::moveArguments(Call &call, int64_t iteration) const {
  const CallStep &step = *call.step;
  for (size_t row = 0; row < call.arguments.size(); row += call.width)
    for (size_t i = 0; i < step.arguments.size(); ++i)
      call.arguments[row + i] = call.first[i] + iteration * step.strides[i];
}

Status CpuSession::write(std::string_view function, std::string_view port, const Tensor &value) {
  INGOT_ASSIGN(const Port *target, findPort(*source, function, port));
  INGOT_TRY(checkValue(function, *target, value));
  queue->drain();
  std::unique_lock alone(parameters->lock());
  if (target->role == Role::Parameter)
    parameters->setStale(true);
  // What is kept here is not needed twice: a weight from a mapped file goes as it is copied.
  copyToLayout(target->layout, value, at(target->offset),
               isPersistent(target->role) ? Copied(releaseFilePages) : Copied());
  return {};
}

Result<Tensor> CpuSession::read(std::string_view function, std::string_view port) const {
  INGOT_ASSIGN(const Port *origin, findPort(*source, function, port));
  queue->drain();
  std::shared_lock beside(parameters->lock());
  return valueOf(*origin);
}

Status CpuSession::readInto(std::string_view function, std::string_view port, Tensor &value) const {
  INGOT_ASSIGN(const Port *origin, findPort(*source, function, port));
  INGOT_TRY(checkPlace(function, *origin, value));
  queue->drain();
  std::shared_lock beside(parameters->lock());
  copyOut(*origin, value);
  return {};
}

} // namespace ingot
