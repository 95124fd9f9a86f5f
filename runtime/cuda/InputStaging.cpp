#include "runtime/cuda/InputStaging.h"
#include "runtime/support/Align.h"
#include <algorithm>
#include <cstring>

namespace ingot::cuda {
namespace {

/// What a slot remembers at most: programs are fed in few ways.
constexpr size_t mostGraphs = 64;

/// Of every input, in bytes.
constexpr int64_t alignment = 256;

} // namespace

Result<InputStaging> InputStaging::make(const std::shared_ptr<Gpu> &gpu) {
  InputStaging staging;
  staging.gpu = gpu;
  for (Slot &slot : staging.slots) {
    INGOT_ASSIGN(slot.arrived, makeEvent(gpu));
    INGOT_ASSIGN(slot.used, makeEvent(gpu));
  }
  return staging;
}

Status InputStaging::grow(Slot &slot, int64_t bytes) {
  if (bytes <= slot.bytes)
    return {};
  if (slot.bytes)
    INGOT_TRY(gpu->finish()); // somebody may still read what goes
  slot.graphs.clear();
  slot.bytes = 0;
  slot.host = {};
  slot.device = {};
  INGOT_ASSIGN(slot.host, allocatePinned(gpu, bytes, "a buffer for inputs"));
  INGOT_ASSIGN(slot.device, allocate(gpu, bytes, "a buffer for the next run's inputs"));
  slot.bytes = bytes;
  return {};
}

Result<InputStaging::Slot *>
InputStaging::stage(std::span<const std::pair<const Port *, const Tensor *>> inputs) {
  const Driver &driver = gpu->driver;
  Slot &slot = slots[next++ % 2];
  int64_t bytes = 0;
  for (const auto &[port, value] : inputs)
    bytes += alignedTo(alignment, int64_t(port->bytes()));
  INGOT_TRY(gpu->check(driver.cuEventSynchronize(slot.arrived.get()), "copying inputs"));
  INGOT_TRY(grow(slot, bytes));
  if (slot.graphs.size() > mostGraphs)
    slot.graphs.clear();
  slot.copies.clear();
  int64_t offset = 0;
  for (const auto &[port, value] : inputs) {
    if (!port->bytes())
      continue;
    std::memcpy(static_cast<uint8_t *>(slot.host.get()) + offset, value->data(), port->bytes());
    slot.copies.push_back({port, slot.device.get() + CUdeviceptr(offset)});
    offset += alignedTo(alignment, int64_t(port->bytes()));
  }
  if (slot.copies.empty())
    return &slot;
  INGOT_TRY(gpu->check(driver.cuStreamWaitEvent(gpu->copies, slot.used.get(), 0),
                       "waiting for a run's inputs"));
  INGOT_TRY(gpu->check(
      driver.cuMemcpyHtoDAsync(slot.device.get(), slot.host.get(), size_t(bytes), gpu->copies),
      "copying inputs"));
  INGOT_TRY(gpu->check(driver.cuEventRecord(slot.arrived.get(), gpu->copies), "copying inputs"));
  INGOT_TRY(gpu->check(driver.cuStreamWaitEvent(gpu->compute, slot.arrived.get(), 0),
                       "waiting for a run's inputs"));
  return &slot;
}

Status InputStaging::release(Slot &slot) {
  return gpu->check(gpu->driver.cuEventRecord(slot.used.get(), gpu->compute),
                    "ending a run's inputs");
}

} // namespace ingot::cuda
