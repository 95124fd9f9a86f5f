/// The emulated driver's streams and events, and what they order.
#include "runtime/emulator/driver/DriverState.h"
#include <thread>

namespace ingot::emulator {

using namespace cuda;

StreamHandle *DriverState::stream(CUstream handle) {
  // Null and the legacy constant are the default stream; each thread has one more.
  constexpr uintptr_t legacy = 1, ofThread = 2;
  if (reinterpret_cast<uintptr_t>(handle) <= legacy)
    return &defaultStream;
  if (reinterpret_cast<uintptr_t>(handle) == ofThread) {
    StreamHandle *&stream = threadStreams[std::this_thread::get_id()];
    return stream ? stream : stream = addStream(/*isBlocking=*/true);
  }
  const auto found = streams.find(handle);
  return found == streams.end() ? nullptr : found->second.get();
}

StreamHandle *DriverState::addStream(bool isBlocking) {
  auto made = std::make_unique<StreamHandle>();
  made->line = lines++;
  made->isBlocking = isBlocking;
  return (streams[made.get()] = std::move(made)).get();
}

const OrderClock &DriverState::clockOf(StreamHandle &stream) {
  stream.clock.join(host);
  if (&stream == &defaultStream) {
    stream.clock.join(endedStreams[true]);
    for (const auto &[address, other] : streams)
      if (other->isBlocking)
        stream.clock.join(other->clock);
  } else if (stream.isBlocking) {
    stream.clock.join(defaultStream.clock);
  }
  return stream.clock;
}

void DriverState::waitedForAll() {
  host.join(clockOf(defaultStream));
  host.join(endedStreams[false]);
  for (const auto &[address, stream] : streams)
    host.join(stream->clock);
}

OrderPlace DriverState::begin(StreamHandle &stream) {
  OrderPlace place{.point = {}, .before = clockOf(stream)};
  stream.clock.advance(stream.line);
  place.point = {stream.line, stream.clock.of(stream.line)};
  return place;
}

namespace {

/// What collides with other work becomes findings, and the call's error.
CUresult checkOrder(const OrderPlace &place, const std::string &name, const Footprint &touched) {
  DriverState &state = driverState();
  if (!state.options.checks.globalRaces || state.isOff("launch-race"))
    return CUDA_SUCCESS;
  CUresult result = CUDA_SUCCESS;
  for (Finding &finding :
       state.order.touch(place.point, place.before, place.nodes, name, touched)) {
    finding.message += state.memory->describe(finding.address);
    if (result == CUDA_SUCCESS && state.options.findingsAreErrors)
      result = driverError(CUDA_ERROR_LAUNCH_FAILED, finding.str());
    state.findings.push_back(std::move(finding));
  }
  return result;
}

} // namespace

CUresult execute(const AnyWork &work, const OrderPlace &place) {
  if (const auto *graph = std::get_if<GraphWork>(&work))
    return graph->graph->run(place);
  if (const auto *kernel = std::get_if<KernelWork>(&work)) {
    Footprint touched;
    const CUresult result = kernel->run(touched);
    if (result != CUDA_SUCCESS && result != CUDA_ERROR_LAUNCH_FAILED)
      return result;
    // What nothing orders explains other findings.
    const std::string why = lastEmulatedError();
    const CUresult order = checkOrder(
        place, fmt::format("kernel '{}'", kernel->request.kernel->source->name), touched);
    return order ? order : result ? driverError(result, why) : result;
  }
  const Work &other = std::get<Work>(work);
  const CUresult order = checkOrder(place, other.name, other.footprint);
  const CUresult result = other.run();
  return result ? result : order;
}

CUresult submit(CUstream handle, AnyWork work) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  StreamHandle *stream = state.stream(handle);
  if (!stream)
    return driverError(CUDA_ERROR_INVALID_HANDLE, "no such stream");
  if (stream->capture) {
    stream->last = {stream->capture->add(std::move(work), stream->last)};
    return CUDA_SUCCESS;
  }
  return execute(work, state.begin(*stream));
}

namespace {

CUresult recordEvent(CUevent handle, CUstream streamHandle) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  StreamHandle *stream = state.stream(streamHandle);
  const auto event = state.events.find(handle);
  if (!stream || event == state.events.end())
    return driverError(CUDA_ERROR_INVALID_HANDLE, "no such stream or event");
  event->second->capture = stream->capture;
  event->second->last = stream->last;
  event->second->clock = state.clockOf(*stream);
  event->second->recorded = true;
  event->second->time = std::chrono::steady_clock::now();
  return CUDA_SUCCESS;
}

CUresult waitEvent(CUstream streamHandle, CUevent handle, unsigned flags) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  StreamHandle *stream = state.stream(streamHandle);
  const auto event = state.events.find(handle);
  if (!stream || event == state.events.end())
    return driverError(CUDA_ERROR_INVALID_HANDLE, "no such stream or event");
  // Waiting for a capturing stream joins its capture.
  if (event->second->capture && !stream->capture) {
    stream->capture = event->second->capture;
    stream->last.clear(); // nodes of an earlier capture
  }
  if (!stream->capture)
    stream->clock.join(event->second->clock);
  if (stream->capture && stream->capture == event->second->capture)
    stream->last.insert(event->second->last.begin(), event->second->last.end());
  return CUDA_SUCCESS;
}

/// The host waits for a stream, or asks and hears that it is idle.
CUresult checkStream(CUstream handle) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  StreamHandle *stream = state.stream(handle);
  if (!stream)
    return driverError(CUDA_ERROR_INVALID_HANDLE, "no such stream");
  state.host.join(state.clockOf(*stream));
  return CUDA_SUCCESS;
}
CUresult checkEvent(CUevent handle) {
  DriverState &state = driverState();
  std::lock_guard lock(state.mutex);
  const auto event = state.events.find(handle);
  if (event == state.events.end())
    return driverError(CUDA_ERROR_INVALID_HANDLE, "no such event");
  state.host.join(event->second->clock);
  return CUDA_SUCCESS;
}

} // namespace

void fillStreamFunctions(Driver &driver) {
  driver.cuStreamCreate = [](CUstream *stream, unsigned flags) {
    DriverState &state = driverState();
    std::lock_guard lock(state.mutex);
    *stream = reinterpret_cast<CUstream>(state.addStream(!(flags & CU_STREAM_NON_BLOCKING)));
    return CUDA_SUCCESS;
  };
  driver.cuStreamDestroy = [](CUstream stream) {
    DriverState &state = driverState();
    std::lock_guard lock(state.mutex);
    // Its work goes on.
    if (const auto known = state.streams.find(stream); known != state.streams.end())
      state.endedStreams[known->second->isBlocking].join(known->second->clock);
    return destroy(state.streams, stream, "stream");
  };
  driver.cuStreamSynchronize = [](CUstream stream) {
    std::lock_guard lock(driverState().mutex);
    const StreamHandle *known = driverState().stream(stream);
    if (known && known->capture)
      return driverError(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
                         "a stream that captures cannot be waited for");
    return checkStream(stream);
  };
  driver.cuStreamQuery = [](CUstream stream) { return checkStream(stream); };
  driver.cuLaunchHostFunc = [](CUstream stream, void (*function)(void *), void *data) {
    if (!function)
      return driverError(CUDA_ERROR_INVALID_VALUE, "no function");
    return submit(stream, Work{.run =
                                   [=] {
                                     function(data);
                                     return CUDA_SUCCESS;
                                   },
                               .name = "a function of the host"});
  };
  driver.cuStreamWaitEvent = waitEvent;

  driver.cuEventCreate = [](CUevent *event, unsigned flags) {
    DriverState &state = driverState();
    std::lock_guard lock(state.mutex);
    auto made = std::make_unique<EventHandle>();
    *event = reinterpret_cast<CUevent>(made.get());
    state.events[made.get()] = std::move(made);
    return CUDA_SUCCESS;
  };
  driver.cuEventDestroy = [](CUevent event) {
    return destroy(driverState().events, event, "event");
  };
  driver.cuEventRecord = recordEvent;
  driver.cuEventSynchronize = checkEvent;
  driver.cuEventQuery = checkEvent;
  driver.cuEventElapsedTime = [](float *milliseconds, CUevent start, CUevent end) {
    DriverState &state = driverState();
    std::lock_guard lock(state.mutex);
    const auto from = state.events.find(start), to = state.events.find(end);
    if (from == state.events.end() || to == state.events.end() || !from->second->recorded ||
        !to->second->recorded)
      return driverError(CUDA_ERROR_INVALID_HANDLE, "an event that was not recorded");
    *milliseconds =
        std::chrono::duration<float, std::milli>(to->second->time - from->second->time).count();
    return CUDA_SUCCESS;
  };
}

} // namespace ingot::emulator
