#include "runtime/emulator/machine/Budget.h"
#include <algorithm>
#include <chrono>
#include <numeric>
#include <thread>
#include <utility>

namespace ingot::emulator {

std::string Finding::str() const {
  if (kernel.empty()) // of the device, not of a launch
    return fmt::format("{}: {}", check, message);
  std::string result =
      fmt::format("{}{}: {}\n  kernel {}, line {}: {}\n  block ({}, {}, {}), thread ({}, {}, {})",
                  note ? "note: " : "", check, message, kernel, line, text, block[0], block[1],
                  block[2], thread[0], thread[1], thread[2]);
  if (!location.empty())
    result += fmt::format("\n  from {}", location);
  if (count > 1)
    result += fmt::format("\n  and {} times more", count - 1);
  return result;
}

void Launch::report(Finding finding) {
  if (std::find(options.off.begin(), options.off.end(), finding.check) != options.off.end())
    return;
  std::lock_guard lock(mutex);
  for (Finding &known : findings)
    if (known.check == finding.check && known.line == finding.line && known.note == finding.note) {
      ++known.count;
      return;
    }
  findings.push_back(std::move(finding));
}

std::vector<Finding> Launch::takeFindings() {
  std::lock_guard lock(mutex);
  return std::move(findings);
}

void Block::begin(Cluster &owner, uint32_t number, Dim3 position, uint64_t *counters) {
  cluster = &owner;
  launch = owner.launch;
  rank = number;
  index = position;
  const LaunchRequest &request = launch->request;
  shared.assign(request.kernel->dynamicSharedOffset + request.dynamicSharedBytes, std::byte(0xcd));
  std::fill(std::begin(barriers), std::end(barriers), Barrier());
  async.reset();
  freeRegisters = 0;
  liveThreads = uint32_t(request.block.count());
  warps.resize((liveThreads + lanes - 1) / lanes);
  for (size_t i = 0; i < warps.size(); ++i) {
    if (!warps[i])
      warps[i] = std::make_unique<Warp>();
    warps[i]->counters = counters;
    warps[i]->begin(*this, int(i));
  }
}

void Block::checkBarrier(int id) {
  Barrier &barrier = barriers[id];
  if (!barrier.used || barrier.arrived < (barrier.expected ? barrier.expected : liveThreads))
    return;
  const auto threads = uint32_t(launch->request.block.count());
  if (barrier.instruction && barrier.arrived < threads) {
    Frame *running = std::exchange(barrier.warp->frame, barrier.frame);
    barrier.warp->report(*barrier.instruction, 1, "divergent-barrier",
                         fmt::format("{} of the block's {} threads have ended without the barrier, "
                                     "which is for all of them",
                                     threads - barrier.arrived, threads));
    barrier.warp->frame = running;
  }
  if (cluster->observer)
    cluster->observer->barrierComplete(*this, id);
  const uint32_t result = barrier.sum | uint32_t(barrier.all) << 30 | uint32_t(barrier.any) << 31;
  barrier = Barrier();
  for (const auto &warp : warps)
    warp->resumeWaiting(Fragment::Wait::Barrier, id, result);
}

void Block::threadsExited(uint32_t count) {
  liveThreads -= count;
  cluster->liveThreads -= count;
  for (int id = 0; id < int(std::size(barriers)); ++id)
    checkBarrier(id);
  if (cluster->liveThreads)
    cluster->checkBarrier();
}

void Cluster::begin(Launch &owner, uint64_t number, uint64_t *counters) {
  launch = &owner;
  const LaunchRequest &request = owner.request;
  const Dim3 size = request.cluster;
  const uint64_t across = request.grid.x / size.x, down = request.grid.y / size.y;
  index = {uint32_t(number % across), uint32_t(number / across % down),
           uint32_t(number / across / down)};
  random.seed(owner.options.seed * 0x9e3779b97f4a7c15u + number);
  phase = arrived = 0;
  slices = 0;
  liveThreads = uint32_t(request.block.count() * size.count());
  blocks.resize(size.count());
  observer = owner.observer ? owner.observer->begin(*this) : nullptr;
  for (uint32_t rank = 0; rank < blocks.size(); ++rank) {
    if (!blocks[rank])
      blocks[rank] = std::make_unique<Block>();
    const Dim3 inside = {rank % size.x, rank / size.x % size.y, rank / size.x / size.y};
    blocks[rank]->begin(
        *this, rank,
        {index.x * size.x + inside.x, index.y * size.y + inside.y, index.z * size.z + inside.z},
        counters);
  }
}

void Cluster::checkBarrier() {
  if (arrived < liveThreads)
    return;
  arrived = 0;
  ++phase;
  if (observer)
    observer->barrierComplete(*blocks.front(), 16);
  for (const auto &block : blocks) {
    for (const auto &warp : block->warps)
      warp->resumeWaiting(Fragment::Wait::Cluster, 0);
  }
}

bool Cluster::step() {
  ++slices;
  bool progress = false;
  std::vector<Warp *> order;
  for (const auto &block : blocks)
    for (const auto &warp : block->warps)
      if (!warp->finished())
        order.push_back(warp.get());
  std::shuffle(order.begin(), order.end(), random);
  uint64_t executed = 0;
  for (Warp *warp : order) {
    if (!warp->runnable())
      continue;
    executed += warp->run(64 + random() % 960);
    progress = true;
    if (launch->stopped.load(std::memory_order_relaxed))
      return false;
  }
  for (const auto &block : blocks)
    if (block->async)
      progress |= block->async->advance(random);
  const uint64_t total =
      launch->instructions.fetch_add(executed, std::memory_order_relaxed) + executed;
  const uint64_t limit = launch->options.instructionLimit;
  if (liveThreads == 0) {
    for (const auto &block : blocks)
      if (block->async)
        block->async->finish();
    if (limit && total > limit && !launch->lastHasBegun.load(std::memory_order_relaxed))
      reportNoEnd(nullptr);
    return false;
  }
  if (limit && total > limit) {
    // One that still runs: some of them may have ended in this very slice.
    reportNoEnd(*std::find_if(order.begin(), order.end(),
                              [](const Warp *each) { return !each->finished(); }));
    return false;
  }
  if (progress)
    return true;
  reportDeadlock();
  launch->stopped = true;
  return false;
}

void Cluster::reportNoEnd(Warp *running) {
  const uint64_t limit = launch->options.instructionLimit;
  if (running) {
    running->report(running->frame->function->code[running->pc], running->active, "no-end",
                    fmt::format("the launch has not ended after {} instructions of warps; the "
                                "first of them: {}",
                                limit, running->describe()));
  } else {
    const ptx::Function &kernel = *launch->request.kernel->source;
    Finding finding;
    finding.check = "no-end";
    finding.message = fmt::format(
        "the launch has not ended after {} instructions of warps: blocks are left to run", limit);
    finding.kernel = kernel.name;
    finding.line = kernel.line;
    finding.text = kernel.name;
    finding.block = {blocks[0]->index.x, blocks[0]->index.y, blocks[0]->index.z};
    launch->report(std::move(finding));
  }
  launch->stopped = true;
}

bool Cluster::onlyPolled() {
  uint64_t plain = 0, ordered = 0;
  for (const auto &block : blocks)
    for (const auto &warp : block->warps) {
      plain += std::exchange(warp->plainAccesses, 0);
      ordered += std::exchange(warp->orderedAccesses, 0);
    }
  return ordered && !plain;
}

void Cluster::reportDeadlock() {
  std::string states;
  Warp *first = nullptr;
  for (const auto &block : blocks) {
    for (const auto &warp : block->warps) {
      if (warp->finished())
        continue;
      if (!first)
        first = warp.get();
      states += fmt::format("\n  block ({}, {}, {}) warp {}: {}", block->index.x, block->index.y,
                            block->index.z, warp->index, warp->describe());
    }
    if (block->async)
      if (const std::string outstanding = block->async->describe(); !outstanding.empty())
        states += fmt::format("\n  outstanding: {}", outstanding);
  }
  if (!first || first->fragments.empty())
    return;
  const Fragment &waiting = first->fragments.front();
  first->frame = waiting.frame;
  first->report(waiting.frame->function->code[waiting.pc], waiting.mask, "deadlock",
                "every warp waits for what will not come" + states);
}

namespace {

/// One host thread: runs clusters one after the other. Clusters may wait for others (a barrier over
/// the grid, a look-back scan): when all that it has only poll memory, as many more join them.
class Worker {
public:
  Worker(Launch &launch, std::atomic<uint64_t> &next, uint64_t count)
      : launch(launch), next(next), count(count), counters(launch.request.kernel->counters) {}

  void run() {
    while (!launch.stopped.load(std::memory_order_relaxed)) {
      if (resident.empty() && !takeCluster())
        return;
      bool stuck = true;
      for (size_t i = 0; i < resident.size();) {
        const bool goesOn = runFor(*resident[i], resident.size() > 1 ? turn : patience);
        stuck &= goesOn && resident[i]->onlyPolled();
        if (goesOn) {
          ++i;
          continue;
        }
        unfinished = 0;
        spare.push_back(std::move(resident[i]));
        resident.erase(resident.begin() + i);
      }
      // Code without optimisation polls through local memory, which looks like work: then patience
      // decides.
      if (++unfinished > longest && resident.size() < 1024) {
        stuck = true;
        unfinished = 0;
      }
      for (size_t more = stuck ? resident.size() : 0; more; --more)
        if (!takeCluster())
          break;
    }
  }

  Launch &launch;
  std::atomic<uint64_t> &next;
  const uint64_t count;
  std::vector<uint64_t> counters;

private:
  // Rounds over all warps of a cluster: alone, and beside others.
  static constexpr uint64_t patience = 256, turn = 16;
  static constexpr int longest = 8; ///< turns of all residents in which none ends
  int unfinished = 0;

  /// False when the cluster has ended.
  bool runFor(Cluster &cluster, uint64_t rounds) {
    for (; rounds; --rounds)
      if (!cluster.step())
        return false;
    return true;
  }

  bool takeCluster() {
    const uint64_t number = next.fetch_add(1);
    if (number >= count)
      return false;
    if (number + 1 == count)
      launch.lastHasBegun.store(true, std::memory_order_relaxed);
    std::unique_ptr<Cluster> cluster;
    if (spare.empty()) {
      cluster = std::make_unique<Cluster>();
    } else {
      cluster = std::move(spare.back());
      spare.pop_back();
    }
    // A walk through all numbers in an order that the seed draws.
    const uint64_t stride = strideOf(launch.options.seed);
    const auto place = (unsigned __int128)(number)*stride + launch.options.seed;
    cluster->begin(launch, uint64_t(place % count), counters.data());
    resident.push_back(std::move(cluster));
    return true;
  }

  uint64_t strideOf(uint64_t seed) const {
    uint64_t stride = (seed * 0x9e3779b97f4a7c15u >> 20) % count + 1;
    while (std::gcd(stride, count) != 1)
      ++stride;
    return stride;
  }

  std::vector<std::unique_ptr<Cluster>> resident, spare;
};

} // namespace

Result<LaunchResult> run(LaunchRequest request, const LaunchOptions &options, GlobalMemory &memory,
                         Observer *observer) {
  INGOT_TRY(checkShape(request));
  const auto start = std::chrono::steady_clock::now();
  Launch launch(std::move(request), options, memory);
  launch.observer = observer;
  const uint64_t count = launch.request.grid.count() / launch.request.cluster.count();
  const unsigned available = std::max(1u, std::thread::hardware_concurrency());
  const uint64_t threads =
      std::clamp<uint64_t>(options.threads > 0 ? options.threads : available, 1, count);
  std::atomic<uint64_t> next{0};
  std::vector<std::unique_ptr<Worker>> workers;
  for (uint64_t i = 0; i < threads; ++i)
    workers.push_back(std::make_unique<Worker>(launch, next, count));
  std::vector<std::thread> pool;
  for (uint64_t i = 1; i < threads; ++i)
    pool.emplace_back([&worker = *workers[i]] { worker.run(); });
  workers[0]->run();
  for (std::thread &thread : pool)
    thread.join();
  LaunchResult result;
  result.findings = launch.takeFindings();
  result.stopped = launch.stopped;
  result.counters.assign(launch.request.kernel->counters, 0);
  for (const auto &worker : workers)
    for (size_t i = 0; i < result.counters.size(); ++i)
      result.counters[i] += worker->counters[i];
  for (const uint64_t executions : result.counters)
    result.warpInstructions += executions;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

} // namespace ingot::emulator
