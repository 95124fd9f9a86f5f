/// Where a run's time goes: every kernel call with its time, operations and bytes, beside what the
/// machine could do at most.
///
/// Calls overlap on several threads, so a kernel's time is what all threads together spent in it
/// divided by their number: times add up to the step's, less what threads had nothing to do.
#pragma once
#include "runtime/cpu/MachineLimits.h"
#include "runtime/program/Device.h"
#include "runtime/support/Json.h"

namespace ingot {

/// What one call of a kernel cannot beat.
MachineLimits::Bound kernelBound(const Program &program, const Kernel &kernel,
                                 const MachineLimits &limits);

/// The first names of a list of ops, of `most` bytes and an ellipsis, for a table.
std::string firstOps(const std::string &ops, size_t most);

/// Collects the calls of a session. The program must outlive it.
///
///     Profile profile(program, measureMachine(threads));
///     session->profile(profile.sink());
///     session->run("step");
class Profile {
public:
  Profile(const Program &program, MachineLimits limits)
      : program(program), limits(std::move(limits)) {}

  /// A sink that adds to this profile, which must stay where it is while the session has it.
  ProfileSink sink();
  void add(const ProfileSpan &span);
  /// The runs that a sink hears of are counted anew from the next sink on: before it is made, this
  /// keeps them apart from the earlier ones.
  void beginRun();

  /// All calls of one kernel in one run.
  struct Row {
    const Kernel *kernel = nullptr;
    std::string ops;          ///< the kernel's, with `*` for what differs from call to call
    int64_t launches = 0;     ///< a run
    double seconds = 0;       ///< of these launches on all threads, the median of the runs
    double share = 0;         ///< of the time in kernels, 0 … 1
    double gflops = 0;        ///< 1e9 operations a second; transcendentals count as several
    double gigabytes = 0;     ///< at least, 1e9 bytes a second
    double limitSeconds = 0;  ///< what the machine cannot beat; 0 where nobody counted
    std::string_view boundBy; ///< FMA, L2, L3 or memory
    double ofLimit() const { return seconds > 0 ? limitSeconds / seconds : 0; }
  };
  /// Slowest first.
  std::vector<Row> rows() const;
  /// `rows` as a table with a line of totals; at most `most` kernels are listed. Sizes that were
  /// tuned follow the kernel's name.
  std::string table(size_t most = 40) const;
  /// `rows` as JSON objects.
  nlohmann::json json() const;

  /// Writes a trace for chrome://tracing or ui.perfetto.dev: a track for every thread.
  Status writeTrace(const std::string &path) const;

private:
  struct Event {
    ProfileSpan span;
    std::string op;
    size_t run;
    double seconds() const { return span.end - span.start; }
    double calls() const; ///< the part of a call that the span is
  };

  const Program &program;
  MachineLimits limits;
  std::vector<Event> events;
  size_t run = 0;
};

} // namespace ingot
