#include "runtime/emulator/checks/KernelProfile.h"
#include "runtime/emulator/checks/Line.h"
#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>

namespace ingot::emulator {
namespace {

constexpr uint32_t sectorBytes = 32, banks = 32, bankBytes = 4;

/// Passes of one phase: lanes whose words together could fill all banks once.
uint32_t wavefrontsOfPhase(const uint64_t *addresses, uint32_t mask, uint32_t bytes) {
  uint32_t words[banks][lanes], counts[banks] = {}, most = 1;
  for (uint32_t left = mask; left; left &= left - 1) {
    const uint64_t address = addresses[std::countr_zero(left)];
    for (uint64_t word = address / bankBytes; word <= (address + bytes - 1) / bankBytes; ++word) {
      const uint32_t bank = word % banks;
      uint32_t *known = words[bank], &count = counts[bank];
      if (std::find(known, known + count, uint32_t(word)) == known + count && count < lanes)
        known[count++] = uint32_t(word);
      most = std::max(most, count);
    }
  }
  return most;
}

/// All words are in one row of the banks, wherever it begins: each in another bank.
bool isInsideARow(const Runs &runs) {
  uint64_t begin = ~uint64_t(0), end = 0;
  for (const Run &run : runs) {
    begin = std::min(begin, run.address);
    end = std::max(end, run.address + run.bytes);
  }
  return (end - 1) / bankBytes - begin / bankBytes < banks;
}

/// m16n8k16 → its multiplications and additions, for one warp.
double flopsOf(const ptx::Instruction &source) {
  if (source.opcode != "mma" && source.opcode != "wgmma" && source.opcode != "wmma")
    return 0;
  for (std::string_view modifier : source.modifiers) {
    int m = 0, n = 0, k = 0;
    if (std::sscanf(std::string(modifier).c_str(), "m%dn%dk%d", &m, &n, &k) == 3)
      return 2.0 * m * n * k / (source.opcode == "wgmma" ? 4 : 1);
  }
  return 0;
}

} // namespace

std::string_view className(Class kind) {
  constexpr std::string_view names[] = {"other",   "integer", "float",  "half",   "convert",
                                        "move",    "control", "memory", "atomic", "warp",
                                        "barrier", "async",   "tensor"};
  return names[size_t(kind)];
}

void MemoryCounters::count(const Access &access, const Runs &runs) {
  const uint64_t bytes = uint64_t(std::popcount(access.mask)) * access.bytes;
  const bool reads = access.kind == Access::Kind::Read || access.kind == Access::Kind::Atomic;
  const bool writes = access.kind == Access::Kind::Write || access.kind == Access::Kind::Atomic;
  if (!reads && !writes) {
    copied += access.kind == Access::Kind::AsyncRead ? 0 : bytes;
    return;
  }
  switch (access.space) {
  case Space::Global: {
    globalRead += reads ? bytes : 0;
    globalWritten += writes ? bytes : 0;
    ++globalAccesses;
    if (runs.pattern == LanePattern::SideBySide && access.addresses[0] % sectorBytes == 0) {
      const uint64_t sectors = (bytes + sectorBytes - 1) / sectorBytes;
      leastSectors += sectors;
      globalSectors += sectors;
      return;
    }
    if (runs.pattern == LanePattern::Together) {
      const uint64_t first = access.addresses[0], last = first + access.bytes - 1;
      globalSectors += last / sectorBytes - first / sectorBytes + 1;
      leastSectors += (access.bytes + sectorBytes - 1) / sectorBytes;
      return;
    }
    countScattered(access, runs);
    return;
  }
  case Space::Shared: {
    sharedRead += reads ? bytes : 0;
    sharedWritten += writes ? bytes : 0;
    ++sharedAccesses;
    // Wide accesses are served in phases of 128 bytes.
    const int phases = access.bytes <= bankBytes ? 1 : int(access.bytes / bankBytes);
    const uint64_t least = std::max<uint64_t>(1, (bytes + 127) / 128);
    leastWavefronts += least;
    if (runs.pattern == LanePattern::SideBySide) {
      sharedWavefronts += least;
      return;
    }
    if (runs.pattern == LanePattern::Together) {
      sharedWavefronts += uint64_t(phases);
      return;
    }
    if (phases == 1 && isInsideARow(runs)) {
      ++sharedWavefronts;
      return;
    }
    const int together = std::max(1, lanes / phases);
    for (int first = 0; first < lanes; first += together) {
      const uint32_t part = together == lanes ? allLanes : ((uint32_t(1) << together) - 1) << first;
      if (access.mask & part)
        sharedWavefronts += wavefrontsOfPhase(access.addresses, access.mask & part, access.bytes);
    }
    return;
  }
  default:
    localRead += reads ? bytes : 0;
    localWritten += writes ? bytes : 0;
  }
}

void MemoryCounters::countScattered(const Access &access, const Runs &runs) {
  // Usually a few runs, one behind the other.
  uint64_t sectors = 0, next = 0, bytes = 0, end = 0; // `next`: the first sector not counted yet
  bool ascend = true;
  for (const Run &run : runs) {
    ascend &= run.address >= end;
    end = run.address + run.bytes;
    bytes += run.bytes;
    const uint64_t behind = (end - 1) / sectorBytes + 1;
    sectors += behind - std::max(run.address / sectorBytes, next);
    next = behind;
  }
  if (ascend) {
    globalSectors += sectors;
    leastSectors += (bytes + sectorBytes - 1) / sectorBytes;
    return;
  }
  uint64_t addresses[lanes];
  size_t count = 0;
  for (uint32_t left = access.mask; left; left &= left - 1)
    addresses[count++] = access.addresses[std::countr_zero(left)];
  std::sort(addresses, addresses + count);
  // Lanes that read the same bytes share them: only different ones count for the least.
  count = size_t(std::unique(addresses, addresses + count) - addresses);
  sectors = next = 0;
  for (size_t i = 0; i < count; ++i)
    for (const uint64_t byte : {addresses[i], addresses[i] + access.bytes - 1})
      if (const uint64_t sector = byte / sectorBytes; sector >= next) {
        ++sectors;
        next = sector + 1;
      }
  globalSectors += sectors;
  leastSectors += (count * access.bytes + sectorBytes - 1) / sectorBytes;
}

MemoryCounters &MemoryCounters::operator+=(const MemoryCounters &other) {
  for (uint64_t MemoryCounters::*field :
       {&MemoryCounters::globalRead, &MemoryCounters::globalWritten, &MemoryCounters::sharedRead,
        &MemoryCounters::sharedWritten, &MemoryCounters::localRead, &MemoryCounters::localWritten,
        &MemoryCounters::copied, &MemoryCounters::globalAccesses, &MemoryCounters::globalSectors,
        &MemoryCounters::leastSectors, &MemoryCounters::sharedAccesses,
        &MemoryCounters::sharedWavefronts, &MemoryCounters::leastWavefronts})
    this->*field += other.*field;
  return *this;
}

KernelProfile KernelProfile::of(const LaunchRequest &request, const LaunchResult &result,
                                const MemoryCounters &memory) {
  KernelProfile profile;
  profile.kernel = request.kernel->source->name;
  profile.grid = request.grid;
  profile.block = request.block;
  profile.warpInstructions = result.warpInstructions;
  profile.seconds = result.seconds;
  profile.memory = memory;
  profile.sharedBytes = request.kernel->dynamicSharedOffset + request.dynamicSharedBytes;
  for (const auto &function : request.kernel->functions)
    for (size_t i = 0; i < function->code.size(); ++i) {
      const uint64_t executions = result.counters[function->firstCounter + i];
      const Detail &detail = function->details[i];
      profile.classes[size_t(detail.kind)] += executions;
      if (detail.source)
        profile.tensorFlops += double(executions) * flopsOf(*detail.source);
    }
  return profile;
}

std::string KernelProfile::table() const {
  std::string text = fmt::format(
      "{}: {} x {} x {} blocks of {} x {} x {} threads, {} bytes of shared memory each\n"
      "  {} warp instructions in {:.3f} s ({:.1f} M/s)\n",
      kernel, grid.x, grid.y, grid.z, block.x, block.y, block.z, sharedBytes, warpInstructions,
      seconds, seconds > 0 ? double(warpInstructions) / seconds / 1e6 : 0);
  std::vector<size_t> order;
  for (size_t i = 0; i < classes.size(); ++i)
    if (classes[i])
      order.push_back(i);
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return classes[a] > classes[b]; });
  for (size_t i : order)
    text += fmt::format("  {:>12}  {:5.1f} %  {}\n", classes[i],
                        100.0 * double(classes[i]) / double(warpInstructions), className(Class(i)));
  if (tensorFlops > 0)
    text += fmt::format("  tensor operations  {:.4g} FLOP\n", tensorFlops);
  text += fmt::format("  global memory      {} bytes read, {} written, {} copied; "
                      "{} sectors, {} would do\n",
                      memory.globalRead, memory.globalWritten, memory.copied, memory.globalSectors,
                      memory.leastSectors);
  text += fmt::format(
      "  shared memory      {} bytes read, {} written; {} wavefronts, {} would do\n",
      memory.sharedRead, memory.sharedWritten, memory.sharedWavefronts, memory.leastWavefronts);
  if (memory.localRead + memory.localWritten)
    text += fmt::format("  local memory       {} bytes read, {} written\n", memory.localRead,
                        memory.localWritten);
  return text;
}

nlohmann::json KernelProfile::json() const {
  nlohmann::json byClass = nlohmann::json::object();
  for (size_t i = 0; i < classes.size(); ++i)
    if (classes[i])
      byClass[std::string(className(Class(i)))] = classes[i];
  return {{"kernel", kernel},
          {"grid", {grid.x, grid.y, grid.z}},
          {"block", {block.x, block.y, block.z}},
          {"shared_bytes", sharedBytes},
          {"warp_instructions", warpInstructions},
          {"seconds", seconds},
          {"instructions", byClass},
          {"tensor_flops", tensorFlops},
          {"global_read_bytes", memory.globalRead},
          {"global_written_bytes", memory.globalWritten},
          {"copied_bytes", memory.copied},
          {"global_sectors", memory.globalSectors},
          {"least_global_sectors", memory.leastSectors},
          {"shared_read_bytes", memory.sharedRead},
          {"shared_written_bytes", memory.sharedWritten},
          {"shared_wavefronts", memory.sharedWavefronts},
          {"least_shared_wavefronts", memory.leastWavefronts},
          {"local_read_bytes", memory.localRead},
          {"local_written_bytes", memory.localWritten}};
}

} // namespace ingot::emulator
