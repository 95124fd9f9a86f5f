#include "runtime/program/Peak.h"
#include "runtime/program/PersistentLayout.h"
#include <algorithm>
#include <functional>

namespace ingot {
namespace {

bool isAlive(const PlannedBuffer &buffer, int64_t step) {
  return buffer.firstStep <= step && step <= buffer.lastStep;
}

/// A step at which as many bytes are alive as ever.
int64_t busiestStep(const Function &function) {
  std::map<int64_t, int64_t> changes;
  for (const PlannedBuffer &buffer : function.buffers) {
    changes[buffer.firstStep] += buffer.bytes;
    changes[buffer.lastStep + 1] -= buffer.bytes;
  }
  int64_t alive = 0, most = -1, busiest = 0;
  for (auto [step, change] : changes) {
    alive += change;
    if (alive > most) {
      most = alive;
      busiest = step;
    }
  }
  return busiest;
}

/// The op of a call, those in loops and branches counted once.
std::string opAt(const Function &function, int64_t step) {
  std::string op;
  forEachCall(function.steps, [&](const CallStep &call, int64_t) {
    if (step-- == 0)
      op = call.op;
  });
  return op;
}

/// Parameters and state of all functions; they share one place.
std::map<int64_t, const Port *> persistentPorts(const Program &program) {
  std::map<int64_t, const Port *> ports;
  for (const Function &function : program.functions)
    for (const Port &port : function.ports)
      if (isPersistent(port.role))
        ports[port.offset] = &port;
  return ports;
}

} // namespace

Peak findPeak(const Program &program, const Function &function) {
  Peak peak;
  peak.function = function.name;
  peak.step = busiestStep(function);
  peak.op = opAt(function, peak.step);
  for (const auto &[offset, port] : persistentPorts(program))
    peak.bytes[port->role] += port->memoryBytes();
  for (const PlannedBuffer &buffer : function.buffers) {
    if (isPersistent(buffer.role) || !isAlive(buffer, peak.step))
      continue;
    peak.bytes[buffer.role] += buffer.bytes;
    peak.buffers.push_back(&buffer);
  }
  std::ranges::stable_sort(peak.buffers, std::greater<>(),
                           [](const PlannedBuffer *buffer) { return buffer->bytes; });
  return peak;
}

const Function &largestFunction(const Program &program) {
  auto end = [](const Function &function) {
    int64_t last = 0;
    for (const PlannedBuffer &buffer : function.buffers)
      last = std::max(last, buffer.offset + buffer.bytes);
    return last;
  };
  return *std::ranges::max_element(program.functions, {}, end);
}

} // namespace ingot
