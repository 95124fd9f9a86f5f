/// Prints findings as they come, each once, and counts them.
#pragma once
#include "runtime/emulator/driver/Driver.h"
#include "runtime/emulator/driver/EmulatedProgram.h"
#include <map>
#include <mutex>
#include <tuple>

namespace ingot::emulator::cudart {

class FindingLog {
public:
  /// Where the counts go; the log's own memory until somebody else's is given.
  ProgramReport *report = &own;

  /// Prints what the driver has found since the last call.
  void take();
  void add(const Finding &finding);
  /// How many findings were found again in other launches.
  void summarise();

  /// One line to stderr, with "ingot: " before it.
  static void note(const std::string &text);

private:
  ProgramReport own;
  std::mutex mutex;
  std::map<std::tuple<std::string, std::string, int, std::string, bool>, int64_t> seen;
};

} // namespace ingot::emulator::cudart
