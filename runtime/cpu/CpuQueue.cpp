#include "runtime/cpu/CpuQueue.h"

namespace ingot {

CpuQueue::~CpuQueue() {
  {
    std::lock_guard lock(mutex);
    stopping = true;
  }
  hasJobs.notify_all();
  if (thread.joinable())
    thread.join();
}

void CpuQueue::add(std::function<void()> job) {
  {
    std::lock_guard lock(mutex);
    jobs.push_back(std::move(job));
    if (!thread.joinable())
      thread = std::thread([this] { loop(); });
  }
  hasJobs.notify_one();
}

void CpuQueue::drain() {
  std::unique_lock lock(mutex);
  isIdle.wait(lock, [&] { return jobs.empty() && !isBusy; });
}

void CpuQueue::begin() {
  std::unique_lock lock(mutex);
  isIdle.wait(lock, [&] { return jobs.empty() && !isBusy; });
  isBusy = true;
}

void CpuQueue::end() {
  bool more;
  {
    std::lock_guard lock(mutex);
    isBusy = false;
    more = !jobs.empty();
  }
  isIdle.notify_all();
  if (more)
    hasJobs.notify_one();
}

void CpuQueue::loop() {
  std::unique_lock lock(mutex);
  for (;;) {
    hasJobs.wait(lock, [&] { return (!jobs.empty() && !isBusy) || (stopping && jobs.empty()); });
    if (jobs.empty())
      return;
    std::function<void()> job = std::move(jobs.front());
    jobs.pop_front();
    isBusy = true;
    lock.unlock();
    job();
    job = nullptr;
    lock.lock();
    isBusy = false;
    if (jobs.empty())
      isIdle.notify_all();
  }
}

} // namespace ingot
