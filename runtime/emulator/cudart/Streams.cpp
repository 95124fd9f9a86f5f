/// Streams, events, functions of the host in a stream, capture.
#include "runtime/emulator/cudart/Runtime.h"

using namespace ingot;
using namespace ingot::emulator::cudart;

namespace {

constexpr unsigned eventWithoutTiming = 2;
constexpr int leastPriority = 0, greatestPriority = -5;

cudaError create(Runtime &runtime, Stream *stream, unsigned flags, int priority) {
  if (flags > 1)
    return fail(cudaErrorInvalidValue, fmt::format("{} are no flags of a stream", flags));
  const cudaError error = cudaError(runtime.driver.cuStreamCreate(stream, flags));
  if (!error)
    runtime.handles[*stream] = {flags, std::max(priority, greatestPriority)};
  return error;
}

/// The driver knows whether there is such a stream.
cudaError check(Runtime &runtime, Stream stream) {
  cuda::CUstreamCaptureStatus status;
  return cudaError(runtime.driver.cuStreamIsCapturing(stream, &status));
}

bool isCapturing(Runtime &runtime, Stream stream) {
  cuda::CUstreamCaptureStatus status = cuda::CU_STREAM_CAPTURE_STATUS_NONE;
  runtime.driver.cuStreamIsCapturing(stream, &status);
  return status == cuda::CU_STREAM_CAPTURE_STATUS_ACTIVE;
}

} // namespace

// Streams. Work runs when it is given to one, so they are always idle.

INGOT_CUDART cudaError cudaStreamCreate(Stream *stream) {
  return call(__func__, [&](Runtime &runtime) { return create(runtime, stream, 0, 0); });
}

INGOT_CUDART cudaError cudaStreamCreateWithFlags(Stream *stream, unsigned flags) {
  return call(__func__, [&](Runtime &runtime) { return create(runtime, stream, flags, 0); });
}

INGOT_CUDART cudaError cudaStreamCreateWithPriority(Stream *stream, unsigned flags, int priority) {
  return call(__func__, [&](Runtime &runtime) { return create(runtime, stream, flags, priority); });
}

INGOT_CUDART cudaError cudaStreamDestroy(Stream stream) {
  return call(__func__, [&](Runtime &runtime) {
    runtime.handles.erase(stream);
    return runtime.driver.cuStreamDestroy(stream);
  });
}

INGOT_CUDART cudaError cudaStreamSynchronize(Stream stream) {
  return call(__func__,
              [&](Runtime &runtime) { return runtime.driver.cuStreamSynchronize(stream); });
}

INGOT_CUDART cudaError cudaStreamQuery(Stream stream) {
  return call(__func__, [&](Runtime &runtime) { return runtime.driver.cuStreamQuery(stream); });
}

INGOT_CUDART cudaError cudaStreamWaitEvent(Stream stream, Event event, unsigned flags) {
  return call(__func__, [&](Runtime &runtime) {
    return runtime.driver.cuStreamWaitEvent(stream, event, flags);
  });
}

INGOT_CUDART cudaError cudaStreamGetFlags(Stream stream, unsigned *flags) {
  return call(__func__, [&](Runtime &runtime) {
    *flags = runtime.handles[stream].flags;
    return check(runtime, stream);
  });
}

INGOT_CUDART cudaError cudaStreamGetPriority(Stream stream, int *priority) {
  return call(__func__, [&](Runtime &runtime) {
    *priority = runtime.handles[stream].priority;
    return check(runtime, stream);
  });
}

INGOT_CUDART cudaError cudaStreamGetId(Stream stream, unsigned long long *id) {
  return call(__func__, [&](Runtime &runtime) {
    *id = reinterpret_cast<uintptr_t>(stream);
    return check(runtime, stream);
  });
}

INGOT_CUDART cudaError cudaStreamGetDevice(Stream stream, int *device) {
  return call(__func__, [&](Runtime &runtime) {
    *device = 0;
    return check(runtime, stream);
  });
}

INGOT_CUDART cudaError cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
  return call(__func__, [&](Runtime &) {
    if (least)
      *least = leastPriority;
    if (greatest)
      *greatest = greatestPriority;
    return cudaSuccess;
  });
}

/// Attributes are hints about caches and memory domains.
INGOT_CUDART cudaError cudaStreamSetAttribute(Stream stream, int, const void *) {
  return call(__func__, [&](Runtime &runtime) { return check(runtime, stream); });
}

INGOT_CUDART cudaError cudaStreamCopyAttributes(Stream to, Stream from) {
  return call(__func__, [&](Runtime &runtime) {
    const cudaError error = check(runtime, to);
    return error ? error : check(runtime, from);
  });
}

// Functions of the host. They run without the runtime's lock, since they may wait for threads.

INGOT_CUDART cudaError cudaLaunchHostFunc(Stream stream, void (*function)(void *), void *data) {
  bool now = false;
  const cudaError error = call(__func__, [&](Runtime &runtime) {
    if (!function)
      return fail(cudaErrorInvalidValue, "no function");
    if (const cudaError unknown = check(runtime, stream))
      return unknown;
    now = !isCapturing(runtime, stream);
    return now ? cudaSuccess : cudaError(runtime.driver.cuLaunchHostFunc(stream, function, data));
  });
  if (now)
    function(data);
  return error;
}

INGOT_CUDART cudaError cudaStreamAddCallback(Stream stream,
                                             void (*callback)(Stream, cudaError, void *),
                                             void *data, unsigned) {
  const cudaError error = call(__func__, [&](Runtime &runtime) {
    if (!callback)
      return fail(cudaErrorInvalidValue, "no function");
    return isCapturing(runtime, stream)
               ? fail(cudaError(cuda::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED),
                      "callbacks cannot be captured; cudaLaunchHostFunc can")
               : check(runtime, stream);
  });
  if (!error)
    callback(stream, cudaSuccess, data);
  return error;
}

// Events.

INGOT_CUDART cudaError cudaEventCreateWithFlags(Event *event, unsigned flags) {
  return call(__func__, [&](Runtime &runtime) {
    const cudaError error = cudaError(runtime.driver.cuEventCreate(event, flags));
    if (!error)
      runtime.handles[*event] = {flags};
    return error;
  });
}

INGOT_CUDART cudaError cudaEventCreate(Event *event) { return cudaEventCreateWithFlags(event, 0); }

INGOT_CUDART cudaError cudaEventDestroy(Event event) {
  return call(__func__, [&](Runtime &runtime) {
    runtime.handles.erase(event);
    return runtime.driver.cuEventDestroy(event);
  });
}

INGOT_CUDART cudaError cudaEventRecord(Event event, Stream stream) {
  return call(__func__,
              [&](Runtime &runtime) { return runtime.driver.cuEventRecord(event, stream); });
}

INGOT_CUDART cudaError cudaEventRecordWithFlags(Event event, Stream stream, unsigned) {
  return cudaEventRecord(event, stream);
}

INGOT_CUDART cudaError cudaEventSynchronize(Event event) {
  return call(__func__, [&](Runtime &runtime) { return runtime.driver.cuEventSynchronize(event); });
}

INGOT_CUDART cudaError cudaEventQuery(Event event) {
  return call(__func__, [&](Runtime &runtime) { return runtime.driver.cuEventQuery(event); });
}

/// Time of the host, while the machine ran.
INGOT_CUDART cudaError cudaEventElapsedTime(float *milliseconds, Event start, Event end) {
  return call(__func__, [&](Runtime &runtime) {
    for (const Event event : {start, end})
      if (runtime.handles[event].flags & eventWithoutTiming)
        return fail(cudaErrorInvalidResourceHandle, "an event without timing");
    return cudaError(runtime.driver.cuEventElapsedTime(milliseconds, start, end));
  });
}

// Capture.

INGOT_CUDART cudaError cudaStreamBeginCapture(Stream stream, cuda::CUstreamCaptureMode mode) {
  return call(__func__,
              [&](Runtime &runtime) { return runtime.driver.cuStreamBeginCapture(stream, mode); });
}

INGOT_CUDART cudaError cudaStreamEndCapture(Stream stream, cuda::CUgraph *graph) {
  return call(__func__,
              [&](Runtime &runtime) { return runtime.driver.cuStreamEndCapture(stream, graph); });
}

INGOT_CUDART cudaError cudaStreamIsCapturing(Stream stream, cuda::CUstreamCaptureStatus *status) {
  return call(__func__,
              [&](Runtime &runtime) { return runtime.driver.cuStreamIsCapturing(stream, status); });
}

INGOT_CUDART cudaError cudaThreadExchangeStreamCaptureMode(int *mode) {
  thread_local int current = 0;
  return call(__func__, [&](Runtime &) {
    std::swap(*mode, current);
    return cudaSuccess;
  });
}

INGOT_CUDART_ALIAS(cudaStreamSynchronize_ptsz, cudaStreamSynchronize);
INGOT_CUDART_ALIAS(cudaStreamQuery_ptsz, cudaStreamQuery);
INGOT_CUDART_ALIAS(cudaStreamWaitEvent_ptsz, cudaStreamWaitEvent);
INGOT_CUDART_ALIAS(cudaStreamGetFlags_ptsz, cudaStreamGetFlags);
INGOT_CUDART_ALIAS(cudaStreamGetPriority_ptsz, cudaStreamGetPriority);
INGOT_CUDART_ALIAS(cudaStreamGetId_ptsz, cudaStreamGetId);
INGOT_CUDART_ALIAS(cudaStreamGetDevice_ptsz, cudaStreamGetDevice);
INGOT_CUDART_ALIAS(cudaStreamSetAttribute_ptsz, cudaStreamSetAttribute);
INGOT_CUDART_ALIAS(cudaStreamCopyAttributes_ptsz, cudaStreamCopyAttributes);
INGOT_CUDART_ALIAS(cudaLaunchHostFunc_ptsz, cudaLaunchHostFunc);
INGOT_CUDART_ALIAS(cudaStreamAddCallback_ptsz, cudaStreamAddCallback);
INGOT_CUDART_ALIAS(cudaEventRecord_ptsz, cudaEventRecord);
INGOT_CUDART_ALIAS(cudaEventRecordWithFlags_ptsz, cudaEventRecordWithFlags);
INGOT_CUDART_ALIAS(cudaStreamBeginCapture_ptsz, cudaStreamBeginCapture);
INGOT_CUDART_ALIAS(cudaStreamEndCapture_ptsz, cudaStreamEndCapture);
INGOT_CUDART_ALIAS(cudaStreamIsCapturing_ptsz, cudaStreamIsCapturing);
