/// What is checked beside the machine's own bounds, alignment, barriers and deadlocks, and counted.
///
/// Every check has a name that turns it off: those below, and those that the machine itself reports
/// (`LaunchOptions::off` takes both).
#pragma once
#include "runtime/emulator/checks/Footprint.h"
#include "runtime/emulator/checks/KernelProfile.h"
#include "runtime/emulator/machine/Machine.h"
#include <string_view>

namespace ingot::emulator {

struct CheckOptions {
  bool registers = true;   ///< "uninitialised-register"
  bool memory = true;      ///< "uninitialised-memory"
  bool sharedRaces = true; ///< "shared-race"
  bool globalRaces = true; ///< "global-race"
  bool async = true;       ///< "async" and the fences of proxies: see AsyncChecks.h
  bool profile = true;

  bool any() const { return registers || memory || sharedRaces || globalRaces || async || profile; }
};

/// All names and "profile", for `--help` and errors.
std::vector<std::string_view> checkNames();
/// Turns off what `off` names: here what costs time, and in the options everything that reports.
Status turnOff(const std::vector<std::string> &off, CheckOptions &checks, LaunchOptions &launch);

class Inspection;

/// The checks of one launch. Make one, give it to `run`, ask it for the counters.
class Checks final : public Observer {
public:
  Checks(const CompiledKernel &kernel, const CheckOptions &options);
  ~Checks() override;
  std::unique_ptr<ClusterObserver> begin(Cluster &cluster) override;
  MemoryCounters counters() const;
  /// Which global memory the launch has touched; nothing without the check of global races.
  Footprint footprint() const;

private:
  std::unique_ptr<Inspection> inspection;
};

} // namespace ingot::emulator
