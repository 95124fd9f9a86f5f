/// What this machine's processor can do, as /proc/cpuinfo says.
#pragma once
#include "runtime/program/Program.h"

namespace ingot {

struct CpuInfo {
  std::string model;
  std::vector<std::string> features; ///< sorted
};

/// Read once.
const CpuInfo &cpuInfo();

/// CPUs that this process may use: its affinity mask, bounded by its cgroup's quota.
int usableCpus();

/// Bytes of the data cache of this level, 1 … 3, that the first CPU uses; 0 where the system does
/// not say.
int64_t cacheBytes(int level);

/// An error that names the first features of the program that this processor lacks.
Status checkCpuFeatures(const Program &program);

} // namespace ingot
