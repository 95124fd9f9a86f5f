#include "runtime/cuda/CudaSession.h"
#include "runtime/cuda/MemoryNeed.h"
#include "runtime/program/GradientBuckets.h"
#include "runtime/program/Loops.h"
#include "runtime/support/Align.h"
#include "runtime/support/Clock.h"
#include <algorithm>
#include <cstring>

namespace ingot::cuda {
namespace {

/// Of outputs behind each other.
int64_t aligned(int64_t bytes) { return alignedTo(64, bytes); }

std::vector<const Port *> errorPorts(const Function &function) {
  std::vector<const Port *> ports;
  for (const Port &port : function.ports)
    if (port.role == Role::Error)
      ports.push_back(&port);
  return ports;
}

} // namespace

Result<std::unique_ptr<CudaSession>> CudaSession::create(std::shared_ptr<const Program> program,
                                                         std::shared_ptr<Store> store,
                                                         std::shared_ptr<Gpu> gpu) {
  INGOT_TRY(program->validate());
  for (const Function &function : program->functions)
    for (const Port &port : function.ports)
      if (!port.layout.isPlain())
        return failure(Error::Code::Unsupported, port.name, "lies in memory as {}, for no GPU",
                       toString(port.layout));
  INGOT_TRY(gpu->enter());
  std::unique_ptr<CudaSession> session(new CudaSession(program, std::move(store), std::move(gpu)));
  INGOT_ASSIGN(session->code, LoadedCode::load(session->gpu, *program));
  INGOT_TRY(session->allocate());
  INGOT_TRY(session->fill());
  INGOT_ASSIGN(session->staging, InputStaging::make(session->gpu));
  for (const Function &function : program->functions)
    session->functions.emplace(function.name, Entrance{&function, planSteps(function.steps),
                                                       StoreAccess::of(*program, function)});
  return session;
}

CudaSession::~CudaSession() {
  if (gpu->enter())
    (void)gpu->finish();
}

/// Finds memory for all of the program's addresses.
Status CudaSession::allocate() {
  INGOT_TRY(checkMemory(*gpu, *source, parameters->bytes()));
  const auto allocated = [&]() -> Status {
    INGOT_ASSIGN(addresses, AddressSpace::make(*source, *parameters));
    INGOT_ASSIGN(constants, cuda::allocate(gpu, addresses.constantBytes(), "the constants"));
    INGOT_ASSIGN(arena, cuda::allocate(gpu, addresses.arenaBytes(), "the arena"));
    INGOT_ASSIGN(scratch, cuda::allocate(gpu, source->workspaceBytes, "the kernels' scratch"));
    return {};
  }();
  if (!allocated)
    return explainMemory(*gpu, *source, allocated.error());
  addresses.place(reinterpret_cast<uint8_t *>(constants.get()),
                  reinterpret_cast<uint8_t *>(arena.get()));
  return {};
}

/// Constants, and zeros in buckets of gradients and in all ports of the arena: a caller may read
/// them before anything is written. What lies between belongs to kernels, and nobody has written it
/// yet.
Status CudaSession::fill() {
  for (const ByteRange &range : gradientBuckets(*source))
    INGOT_TRY(gpu->clear(at(range.first), size_t(range.end - range.first), "clearing buckets"));
  for (const Constant &constant : source->constants)
    INGOT_TRY(gpu->issueCopyIn(at(constant.offset), constant.value.data(), constant.value.bytes(),
                               "copying constants"));
  for (const Function &function : source->functions)
    for (const Port &port : function.ports)
      if (port.offset >= source->persistentBytes)
        INGOT_TRY(gpu->clear(at(port.offset), port.bytes(), "clearing ports"));
  return gpu->finish();
}

Result<CudaSession::Entrance *> CudaSession::find(std::string_view function) {
  auto found = functions.find(function);
  if (found == functions.end())
    return tl::unexpected(findFunction(*source, function).error());
  return &found->second;
}

Result<CudaSession::Run> CudaSession::makeRun(const Function &function,
                                              std::vector<const Port *> outputs) {
  Run run;
  if (!spare.empty()) {
    run = std::move(spare.back());
    spare.pop_back();
  } else {
    INGOT_ASSIGN(run.ended, makeEvent(gpu));
  }
  run.function = &function;
  run.outputs = std::move(outputs);
  run.issued = {};
  int64_t bytes = 0;
  for (const Port *port : run.outputs)
    bytes += aligned(int64_t(port->bytes()));
  bytes += 64 * int64_t(errorPorts(function).size());
  if (bytes > run.bytes) {
    INGOT_ASSIGN(run.results, allocatePinned(gpu, bytes, "a buffer for outputs"));
    run.bytes = bytes;
  }
  return run;
}

Status CudaSession::issue(Entrance &entrance,
                          std::span<const std::pair<const Port *, const Tensor *>> inputs,
                          Run &run) {
  std::lock_guard issuing(gpu->issuing);
  StoreHold hold(*parameters, *entrance.function, entrance.access);
  INGOT_TRY(hold.derive([&] {
    Entrance &derive = functions.at(deriveFunction);
    return issueSteps(*derive.function, derive.steps, /*iteration=*/0);
  }));
  INGOT_ASSIGN(InputStaging::Slot * slot, staging.stage(inputs));
  auto &first = std::get<CallSequence>(entrance.steps.front().node);
  INGOT_TRY(issueFirst(first, *slot));
  INGOT_TRY(issueSteps(*entrance.function, std::span(entrance.steps).subspan(1), /*iteration=*/0));
  INGOT_TRY(staging.release(*slot));
  auto *to = static_cast<uint8_t *>(run.results.get());
  const auto copy = [&](const Port &port) -> Status {
    if (!port.bytes())
      return {};
    INGOT_TRY(
        gpu->check(gpu->driver.cuMemcpyDtoHAsync(to, at(port.offset), port.bytes(), gpu->compute),
                   fmt::format("copying '{}' to the host", port.name)));
    to += aligned(int64_t(port.bytes()));
    return {};
  };
  for (const Port *port : run.outputs)
    INGOT_TRY(copy(*port));
  for (const Port *port : errorPorts(*run.function))
    INGOT_TRY(copy(*port));
  if (sink)
    ++profiledRuns;
  return {};
}

Status CudaSession::issueFirst(CallSequence &sequence, InputStaging::Slot &slot) {
  if (slot.copies.empty())
    return issueSequence(sequence, /*iteration=*/0);
  std::vector<const Port *> ports;
  for (const InputCopy &copy : slot.copies)
    ports.push_back(copy.port);
  // A profile sees every call alone, so the copies get a graph of their own.
  const CallSequence *calls = sink ? nullptr : &sequence;
  GraphExecutable &graph = slot.graphs[{calls, std::move(ports)}];
  if (!graph.get()) {
    INGOT_ASSIGN(graph, makeGraph(gpu, context(), slot.copies,
                                  calls ? std::span<const UnrolledCall>(calls->calls)
                                        : std::span<const UnrolledCall>()));
  }
  INGOT_TRY(gpu->check(gpu->driver.cuGraphLaunch(graph.get(), gpu->compute), "running a graph"));
  return sink ? profileCalls(sequence, /*iteration=*/0) : Status();
}

Status CudaSession::issueSequence(CallSequence &sequence, int64_t iteration) {
  if (sequence.calls.empty())
    return {};
  if (sink)
    return profileCalls(sequence, iteration);
  if (sequence.moves) {
    for (const UnrolledCall &call : sequence.calls) {
      INGOT_ASSIGN(const KernelLaunch launch, KernelLaunch::make(context(), *call.step, iteration));
      INGOT_TRY(launch.start(gpu->compute));
    }
    return {};
  }
  if (!sequence.graph.get()) {
    INGOT_ASSIGN(sequence.graph, makeGraph(gpu, context(), {}, sequence.calls));
  }
  return gpu->check(gpu->driver.cuGraphLaunch(sequence.graph.get(), gpu->compute),
                    "running a graph");
}

Status CudaSession::issueSteps(const Function &function, std::span<GpuStep> steps,
                               int64_t iteration) {
  for (GpuStep &step : steps) {
    if (auto *sequence = std::get_if<CallSequence>(&step.node)) {
      INGOT_TRY(issueSequence(*sequence, iteration));
    } else if (auto *loop = std::get_if<WalkedLoop>(&step.node)) {
      INGOT_TRY(issueLoop(function, *loop));
    } else if (auto *branch = std::get_if<WalkedBranch>(&step.node)) {
      INGOT_ASSIGN(const bool holds, readCondition(branch->condition));
      INGOT_TRY(issueSteps(function, holds ? branch->thenBody : branch->elseBody, iteration));
    }
  }
  return {};
}

/// The host reads the trip count after all that was issued so far.
Status CudaSession::issueLoop(const Function &function, WalkedLoop &loop) {
  int64_t trips = loop.step->trips;
  if (loop.step->count) {
    INGOT_TRY(gpu->copyOut(&trips, at(*loop.step->count), sizeof(trips), "reading a trip count"));
    INGOT_TRY(checkTrips(function, *loop.step, trips));
  }
  if (loop.body.empty())
    return {};
  for (int64_t trip = 0; trip < trips; ++trip) {
    const int64_t number = numberOf(*loop.step, trip, trips);
    if (loop.step->counter)
      INGOT_TRY(setCounter(at(*loop.step->counter), number));
    INGOT_TRY(issueSteps(function, loop.body, number));
  }
  return {};
}

/// Without waiting, as a copy of a number of the host's would.
Status CudaSession::setCounter(CUdeviceptr counter, int64_t number) const {
  for (const int word : {0, 1})
    INGOT_TRY(gpu->check(gpu->driver.cuMemsetD32Async(counter + 4 * CUdeviceptr(word),
                                                      unsigned(uint64_t(number) >> 32 * word), 1,
                                                      gpu->compute),
                         "counting iterations"));
  return {};
}

/// After all that was issued so far.
Result<bool> CudaSession::readCondition(int64_t offset) const {
  uint8_t value = 0;
  INGOT_TRY(gpu->copyOut(&value, at(offset), 1, "reading a condition"));
  return (value & 1) != 0;
}

/// One call after the other, each to its end.
Status CudaSession::profileCalls(const CallSequence &sequence, int64_t iteration) {
  const Driver &driver = gpu->driver;
  for (const UnrolledCall &call : sequence.calls) {
    const int64_t trip = call.iteration == UnrolledCall::walked ? iteration : call.iteration;
    INGOT_ASSIGN(const KernelLaunch launch, KernelLaunch::make(context(), *call.step, trip));
    INGOT_TRY(gpu->check(driver.cuEventRecord(spanStart.get(), gpu->compute), "profiling"));
    INGOT_TRY(launch.start(gpu->compute));
    INGOT_TRY(gpu->check(driver.cuEventRecord(spanEnd.get(), gpu->compute), "profiling"));
    const Kernel &kernel = source->kernels[call.step->kernel];
    INGOT_TRY(gpu->check(driver.cuEventSynchronize(spanEnd.get()),
                         fmt::format("running kernel '{}' ({})", kernel.name, call.step->op)));
    float start = 0, end = 0;
    INGOT_TRY(gpu->check(driver.cuEventElapsedTime(&start, profileStart.get(), spanStart.get()),
                         "profiling"));
    INGOT_TRY(gpu->check(driver.cuEventElapsedTime(&end, profileStart.get(), spanEnd.get()),
                         "profiling"));
    sink({.kernel = &kernel,
          .call = call.step,
          .worker = 0,
          .grains = kernel.grains(),
          .start = profileSeconds + double(start) / 1e3,
          .end = profileSeconds + double(end) / 1e3,
          .run = profiledRuns});
  }
  return {};
}

void CudaSession::profile(ProfileSink newSink) {
  profiledRuns = 0;
  const auto begin = [&]() -> Status {
    INGOT_TRY(gpu->enter());
    INGOT_TRY(gpu->finish());
    for (Event *event : {&spanStart, &spanEnd, &profileStart}) {
      INGOT_ASSIGN(*event, makeEvent(gpu, /*timed=*/true));
    }
    INGOT_TRY(gpu->check(gpu->driver.cuEventRecord(profileStart.get(), gpu->compute), ""));
    INGOT_TRY(gpu->finish());
    profileSeconds = steadySeconds();
    return {};
  };
  // Without events nothing can be heard; what is wrong with the GPU, the next run says.
  sink = newSink && begin() ? std::move(newSink) : nullptr;
}

Result<Ticket> CudaSession::enqueue(std::string_view function, std::span<const NamedTensor> inputs,
                                    std::span<const std::string> outputs) {
  INGOT_ASSIGN(Entrance * entrance, find(function));
  std::vector<std::pair<const Port *, const Tensor *>> values;
  std::vector<const NamedTensor *> kept; // parameters and state
  for (const NamedTensor &input : inputs) {
    INGOT_ASSIGN(const Port *port, findPort(*source, function, input.name));
    INGOT_TRY(checkValue(function, *port, input.value));
    if (isPersistent(port->role)) {
      kept.push_back(&input);
      continue;
    }
    values.emplace_back(port, &input.value);
  }
  std::vector<const Port *> wanted;
  for (const std::string &output : outputs) {
    INGOT_ASSIGN(const Port *port, findPort(*source, function, output));
    wanted.push_back(port);
  }
  for (const NamedTensor *input : kept) // before the run, which may have to derive from them
    INGOT_TRY(write(function, input->name, input->value));
  INGOT_TRY(gpu->enter());
  INGOT_ASSIGN(Run run, makeRun(*entrance->function, std::move(wanted)));
  run.issued = issue(*entrance, values, run);
  INGOT_TRY(gpu->check(gpu->driver.cuEventRecord(run.ended.get(), gpu->compute), "ending a run"));
  pending.emplace(++tickets, std::move(run));
  return Ticket{tickets};
}

Result<std::vector<NamedTensor>> CudaSession::finish(Run &run) const {
  INGOT_TRY(run.issued);
  INGOT_TRY(gpu->check(gpu->driver.cuEventSynchronize(run.ended.get()),
                       fmt::format("running @{}", run.function->name)));
  std::vector<NamedTensor> values;
  const auto *from = static_cast<const uint8_t *>(run.results.get());
  const auto take = [&](const Port &port) {
    Tensor value(port.type, port.shape);
    if (value.bytes())
      std::memcpy(value.data(), from, value.bytes());
    from += aligned(int64_t(port.bytes()));
    normalise(value);
    return value;
  };
  for (const Port *port : run.outputs)
    values.push_back({port->name, take(*port)});
  for (const Port *port : errorPorts(*run.function))
    INGOT_TRY(checkErrorWord(*run.function, *port, *take(*port).as<int64_t>()));
  return values;
}

Result<std::vector<NamedTensor>> CudaSession::wait(Ticket ticket) {
  auto found = pending.find(ticket.number);
  if (found == pending.end())
    return failure(Error::Code::Usage, "", "run {} was waited for already", ticket.number);
  Run run = std::move(found->second);
  pending.erase(found);
  INGOT_TRY(gpu->enter());
  Result<std::vector<NamedTensor>> result = finish(run);
  spare.push_back(std::move(run));
  return result;
}

Status CudaSession::run(std::string_view function) {
  INGOT_ASSIGN(const Ticket ticket, enqueue(function, {}, std::span<const std::string>()));
  INGOT_TRY(wait(ticket));
  return {};
}

Status CudaSession::write(std::string_view function, std::string_view port, const Tensor &value) {
  INGOT_ASSIGN(const Port *target, findPort(*source, function, port));
  INGOT_TRY(checkValue(function, *target, value));
  INGOT_TRY(gpu->enter());
  std::lock_guard issuing(gpu->issuing);
  std::unique_lock alone(parameters->lock());
  if (target->role == Role::Parameter)
    parameters->setStale(true);
  return gpu->copyIn(at(target->offset), value.data(), value.bytes(),
                     fmt::format("writing '{}'", port));
}

Status CudaSession::copyOut(const Port &port, Tensor &value) const {
  INGOT_TRY(gpu->enter());
  std::lock_guard issuing(gpu->issuing);
  std::shared_lock beside(parameters->lock());
  INGOT_TRY(gpu->copyOut(value.data(), at(port.offset), value.bytes(),
                         fmt::format("reading '{}'", port.name)));
  normalise(value);
  return {};
}

Result<Tensor> CudaSession::read(std::string_view function, std::string_view port) const {
  INGOT_ASSIGN(const Port *origin, findPort(*source, function, port));
  Tensor value(origin->type, origin->shape);
  INGOT_TRY(copyOut(*origin, value));
  return value;
}

Status CudaSession::readInto(std::string_view function, std::string_view port,
                             Tensor &value) const {
  INGOT_ASSIGN(const Port *origin, findPort(*source, function, port));
  INGOT_TRY(checkPlace(function, *origin, value));
  return copyOut(*origin, value);
}

} // namespace ingot::cuda
