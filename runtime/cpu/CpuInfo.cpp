#include "runtime/cpu/CpuInfo.h"
#include <algorithm>
#include <fstream>
#include <sched.h>
#include <sstream>
#include <unistd.h>

namespace ingot {

namespace {

/// The text behind the colon of a `/proc/cpuinfo` line.
std::string_view valueOf(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon + 2 > line.size())
    return {};
  return line.substr(colon + 2);
}

CpuInfo readCpuInfo() {
  CpuInfo info;
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line) && !line.empty();) { // the first processor
    if (line.starts_with("model name"))
      info.model = valueOf(line);
    if (!line.starts_with("flags"))
      continue;
    std::istringstream words{std::string(valueOf(line))};
    for (std::string word; words >> word;)
      info.features.push_back(word);
  }
  std::ranges::sort(info.features);
  return info;
}

/// The first word of a file, or an empty string.
std::string firstWord(const char *path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

/// CPUs that the cgroup's quota allows, rounded up; 0: no quota.
int quotaCpus() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  double quota = 0, period = 0;
  if (!(file >> quota >> period) || quota <= 0 || period <= 0)
    return 0;
  return static_cast<int>((quota + period - 1) / period);
}

} // namespace

const CpuInfo &cpuInfo() {
  static const CpuInfo info = readCpuInfo();
  return info;
}

int usableCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int count = ::sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
  if (const int quota = quotaCpus())
    count = std::min(count, quota);
  return std::max(count, 1);
}

int64_t cacheBytes(int level) {
  for (int index = 0; index < 8; ++index) {
    const std::string cache = fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/", index);
    if (firstWord((cache + "level").c_str()) != std::to_string(level) ||
        firstWord((cache + "type").c_str()) == "Instruction")
      continue;
    const std::string size = firstWord((cache + "size").c_str()); // `1024K`
    const int64_t unit = size.ends_with('K') ? 1 << 10 : size.ends_with('M') ? 1 << 20 : 1;
    return std::strtoll(size.c_str(), nullptr, 10) * unit;
  }
  constexpr int names[] = {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE};
  return std::max<int64_t>(::sysconf(names[level - 1]), 0);
}

Status checkCpuFeatures(const Program &program) {
  std::vector<std::string_view> missing;
  for (const std::string &feature : program.features)
    if (!std::ranges::binary_search(cpuInfo().features, feature))
      missing.push_back(feature);
  if (missing.empty())
    return {};
  return failure(Error::Code::Unsupported, "",
                 "the program was compiled for {} and needs {}, which this processor ({}) lacks",
                 program.target, fmt::join(missing, ", "), cpuInfo().model);
}

} // namespace ingot
