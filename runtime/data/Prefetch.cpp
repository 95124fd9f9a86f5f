#include "runtime/data/Prefetch.h"

namespace ingot {

Prefetch::Prefetch(const BatchSource &source, int64_t firstStep, int64_t endStep) : source(source) {
  for (Slot &slot : slots)
    slot.batch = source.makeBatch();
  worker = std::thread([=, this] { work(firstStep, endStep); });
}

Prefetch::~Prefetch() {
  {
    std::lock_guard lock(mutex);
    stopping = true;
  }
  changed.notify_all();
  worker.join();
}

void Prefetch::work(int64_t firstStep, int64_t endStep) {
  for (int64_t step = firstStep; step < endStep; ++step) {
    int64_t index = step - firstStep;
    {
      // The slot of `index` is free once the batch after the one it held has been asked for.
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return stopping || index < consumed + 1; });
      if (stopping)
        return;
    }
    Slot &slot = slots[index % 2];
    slot.status = source.fill(step, slot.batch);
    {
      std::lock_guard lock(mutex);
      filled = index + 1;
    }
    changed.notify_all();
    if (!slot.status)
      return;
  }
}

Result<const Batch *> Prefetch::next() {
  std::unique_lock lock(mutex);
  int64_t index = consumed++;
  changed.notify_all();
  changed.wait(lock, [&] { return filled > index; });
  Slot &slot = slots[index % 2];
  if (!slot.status)
    return tl::unexpected(slot.status.error());
  return &slot.batch;
}

} // namespace ingot
