/// What a training run shows: a live line on a terminal, plain lines elsewhere, or JSON lines.
#pragma once
#include "runtime/training/Trainer.h"
#include <cstdio>
#include <functional>

namespace ingot {

/// The shortest decimal that reads back as the same number; `null` where JSON has none (NaN,
/// infinity).
std::string shortestNumber(double value);
/// The same for a value that is a float in truth, such as a loss.
std::string shortestNumber(float value);

/// Shown on `file`, usually stderr. `seconds` is the clock; tests pass their own.
struct ProgressOptions {
  FILE *file = stderr;
  bool terminal = false; ///< one live line instead of plain lines
  bool colour = false;
  int width = 80;
  double liveInterval = 0.1; ///< seconds between updates of the live line
  double plainInterval = 5;  ///< seconds between plain lines
  std::function<double()> seconds = {};
};
/// For a stream of this process: terminal or not, its width, NO_COLOR and TERM.
ProgressOptions progressOptions(FILE *file);

/// `1m05s`, `42s`, `2h03m`.
std::string shortDuration(double seconds);

/// Lines of progress on a stream: on a terminal one line that is replaced, after a bar.
class LiveLine {
public:
  explicit LiveLine(ProgressOptions options);
  ~LiveLine();
  LiveLine(const LiveLine &) = delete;
  /// Whether enough time has passed for another `show`.
  bool isDue() const;
  /// What is done of the whole, 0 … 1, and what to say about it.
  void show(double fraction, std::string line);
  /// A line that stays.
  void print(const std::string &line);
  double seconds() const { return options.seconds(); }
  bool isColoured() const { return options.colour; }

private:
  void clear();

  ProgressOptions options;
  double lastShown = -1e9;
  bool live = false; ///< the cursor is at the end of a live line
};

class ProgressDisplay final : public TrainingObserver {
public:
  /// `unit` is what steps are counted in: `tokens` or `examples`.
  explicit ProgressDisplay(ProgressOptions options, std::string unit = "tokens");
  void onStep(const StepReport &report) override;
  void onEvaluation(int64_t step, double loss) override;
  void onCheckpoint(int64_t step, const std::string &file) override;
  void onNote(const std::string &text) override;

private:
  std::string statusLine(const StepReport &report) const;
  void printIn(std::string_view colour, const std::string &text);

  LiveLine line;
  std::string unit;
  double begun = 0;
  int64_t firstStep = -1; ///< updates done before the run; -1 until a step is seen
  int64_t tokens = 0;     ///< since then
};

/// One object a line: `{"step":…,"loss":…,"ms":…}`, `{"evaluation":{"step":…,"loss":…}}`; notes go
/// to stderr.
class JsonLines final : public TrainingObserver {
public:
  explicit JsonLines(FILE *file) : file(file) {}
  void onStep(const StepReport &report) override;
  void onEvaluation(int64_t step, double loss) override;
  void onNote(const std::string &text) override;

private:
  FILE *file;
};

} // namespace ingot
