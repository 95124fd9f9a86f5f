/// Where a run's time goes: every kernel call with its time, operations and bytes.
#pragma once
#include "runtime/Device.h"

namespace ingot {

/// Collects the calls of a session. The program must outlive it.
///
///     Profile profile;
///     session->profile(profile.sink());
class Profile {
public:
  /// A sink that adds to this profile, which must stay where it is while the session has it.
  ProfileSink sink();
  void add(const Kernel &kernel, const CallStep &call, double start, double end);

  /// All calls of one kernel.
  struct Row {
    const Kernel *kernel = nullptr;
    int64_t calls = 0;
    double seconds = 0;
    double gflops = 0;    ///< 1e9 operations a second
    double gigabytes = 0; ///< at least, 1e9 bytes a second
    double share = 0;     ///< of the time in kernels, 0 … 1
  };
  /// Slowest first.
  std::vector<Row> rows() const;
  /// `rows` as a table with a line of totals; at most `limit` kernels are listed.
  std::string table(size_t limit = 40) const;
  /// Time in kernels, in seconds.
  double kernelSeconds() const;

  /// Writes a trace for chrome://tracing or ui.perfetto.dev.
  Status writeTrace(const std::string &path) const;

private:
  struct Event {
    const Kernel *kernel;
    std::string op;
    double start, end;
  };
  std::vector<Event> events;
};

} // namespace ingot
