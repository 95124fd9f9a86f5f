#include "runtime/training/Progress.h"
#include "runtime/support/Clock.h"
#include "runtime/support/Print.h"
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <sys/ioctl.h>
#include <unistd.h>

namespace ingot {

namespace {

constexpr std::string_view dim = "\x1b[2m", cyan = "\x1b[36m", yellow = "\x1b[33m",
                           plain = "\x1b[0m", clearLine = "\r\x1b[K";

template <typename T> std::string shortest(T value) {
  if (!std::isfinite(value))
    return "null";
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

/// `950`, `12.3k`, `4.56M`.
std::string thousands(double value) {
  if (value >= 1e6)
    return fmt::format("{:.2f}M", value / 1e6);
  return value >= 1e3 ? fmt::format("{:.1f}k", value / 1e3) : fmt::format("{:.0f}", value);
}

/// A bar of eighths of a cell.
std::string bar(double fraction, int cells) {
  static constexpr std::string_view parts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  int eighths = std::clamp(int(fraction * cells * 8), 0, cells * 8);
  std::string text;
  for (int i = 0; i < eighths / 8; ++i)
    text += "█";
  text += parts[eighths % 8];
  for (int i = (eighths + 7) / 8; i < cells; ++i)
    text += "·";
  return text;
}

} // namespace

std::string shortestNumber(double value) { return shortest(value); }
std::string shortestNumber(float value) { return shortest(value); }

ProgressOptions progressOptions(FILE *file) {
  ProgressOptions options;
  options.file = file;
  const char *term = std::getenv("TERM");
  const char *noColour = std::getenv("NO_COLOR");
  options.terminal = isatty(fileno(file)) && !(term && std::strcmp(term, "dumb") == 0);
  options.colour = options.terminal && !(noColour && *noColour);
  winsize size{};
  if (ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    options.width = size.ws_col;
  options.seconds = steadySeconds;
  return options;
}

std::string shortDuration(double seconds) {
  constexpr double most = 3.6e9; // a million hours stand for all that is longer
  auto whole = int64_t(std::lround(std::clamp(seconds, 0.0, most)));
  if (whole >= 3600)
    return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
  return whole >= 60 ? fmt::format("{}m{:02}s", whole / 60, whole % 60) : fmt::format("{}s", whole);
}

LiveLine::LiveLine(ProgressOptions given) : options(std::move(given)) {
  if (!options.seconds)
    options.seconds = steadySeconds;
}

LiveLine::~LiveLine() {
  if (live)
    std::fputc('\n', options.file);
}

bool LiveLine::isDue() const {
  return options.seconds() - lastShown >=
         (options.terminal ? options.liveInterval : options.plainInterval);
}

void LiveLine::show(double fraction, std::string line) {
  lastShown = options.seconds();
  if (!options.terminal)
    return print(line);
  // A line that wraps could not be replaced: the bar gets what is left, and goes first.
  int room = std::min(options.width - 1 - int(line.size()) - 1, 30);
  if (room >= 5) {
    std::string cells = bar(fraction, room);
    line = options.colour ? fmt::format("{}{}{} {}", cyan, cells, plain, line)
                          : fmt::format("{} {}", cells, line);
  } else if (int(line.size()) >= options.width) {
    line.resize(std::max(options.width - 1, 0));
  }
  ingot::print(options.file, "{}{}", clearLine, line);
  std::fflush(options.file);
  live = true;
}

void LiveLine::clear() {
  if (live)
    ingot::print(options.file, "{}", clearLine);
  live = false;
}

void LiveLine::print(const std::string &line) {
  clear();
  ingot::print(options.file, "{}\n", line);
  std::fflush(options.file);
}

ProgressDisplay::ProgressDisplay(ProgressOptions options, std::string unit)
    : line(std::move(options)), unit(std::move(unit)), begun(line.seconds()) {}

std::string ProgressDisplay::statusLine(const StepReport &report) const {
  double elapsed = std::max(line.seconds() - begun, 1e-9);
  auto done = double(report.step - firstStep);
  double left = double(report.steps - report.step) * elapsed / done;
  std::string text = fmt::format("step {}/{}  loss {:.4f}  {} {}/s", report.step, report.steps,
                                 report.outcome.loss, thousands(double(tokens) / elapsed), unit);
  text += report.step < report.steps ? fmt::format("  {} left", shortDuration(left))
                                     : fmt::format("  in {}", shortDuration(elapsed));
  return text;
}

void ProgressDisplay::onStep(const StepReport &report) {
  if (firstStep < 0)
    firstStep = report.step - 1;
  tokens += report.tokens;
  bool ends = report.step == report.steps || report.step == firstStep + 1;
  if (ends || line.isDue())
    line.show(double(report.step) / double(report.steps), statusLine(report));
}

void ProgressDisplay::printIn(std::string_view colour, const std::string &text) {
  line.print(line.isColoured() ? fmt::format("{}{}{}", colour, text, plain) : text);
}

void ProgressDisplay::onEvaluation(int64_t step, double loss) {
  printIn(yellow, fmt::format("step {}  validation loss {:.4f}", step, loss));
}

void ProgressDisplay::onCheckpoint(int64_t step, const std::string &file) {
  printIn(dim, fmt::format("step {}  saved {}", step, file));
}

void ProgressDisplay::onNote(const std::string &text) { line.print("note: " + text); }

void JsonLines::onStep(const StepReport &report) {
  print(file, "{{\"step\":{},\"loss\":{},\"ms\":{:.3f}}}\n", report.step,
        shortestNumber(float(report.outcome.loss)), report.ms);
  std::fflush(file);
}

void JsonLines::onEvaluation(int64_t step, double loss) {
  print(file, "{{\"evaluation\":{{\"step\":{},\"loss\":{}}}}}\n", step, shortestNumber(loss));
  std::fflush(file);
}

void JsonLines::onNote(const std::string &text) { print(stderr, "note: {}\n", text); }

} // namespace ingot
