#include "runtime/training/Plot.h"
#include <algorithm>
#include <cmath>
#include <limits>

namespace ingot {

namespace {

/// The region of a losses that a plot shows; never empty in either direction.
struct Bounds {
  double lastStep = 1;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  bool hasLoss() const { return low <= high; }
};

std::vector<LossPoint> finitePoints(const std::vector<LossPoint> &points) {
  std::vector<LossPoint> finite;
  std::ranges::copy_if(points, std::back_inserter(finite),
                       [](const LossPoint &p) { return std::isfinite(p.loss); });
  return finite;
}

Bounds boundsOf(const LossHistory &losses) {
  Bounds bounds;
  for (const auto *points : {&losses.training, &losses.validation})
    for (const LossPoint &point : *points) {
      bounds.lastStep = std::max(bounds.lastStep, double(point.step));
      bounds.low = std::min(bounds.low, point.loss);
      bounds.high = std::max(bounds.high, point.loss);
    }
  if (bounds.hasLoss()) {
    double margin =
        std::max((bounds.high - bounds.low) * 0.04, std::abs(bounds.high) * 1e-3 + 1e-12);
    bounds.low -= margin;
    bounds.high += margin;
  }
  return bounds;
}

/// Means over `count` stretches of equal length.
std::vector<LossPoint> bucketMeans(const std::vector<LossPoint> &points, size_t count) {
  if (points.size() <= count)
    return points;
  std::vector<LossPoint> means;
  for (size_t bucket = 0; bucket < count; ++bucket) {
    size_t begin = bucket * points.size() / count, end = (bucket + 1) * points.size() / count;
    double sum = 0;
    for (size_t i = begin; i < end; ++i)
      sum += points[i].loss;
    means.push_back({points[(begin + end) / 2].step, sum / double(end - begin)});
  }
  return means;
}

std::vector<LossPoint> runningMean(const std::vector<LossPoint> &points, size_t reach) {
  std::vector<LossPoint> means;
  std::vector<double> sums(points.size() + 1, 0);
  for (size_t i = 0; i < points.size(); ++i)
    sums[i + 1] = sums[i] + points[i].loss;
  for (size_t i = 0; i < points.size(); ++i) {
    size_t begin = i - std::min(reach, i), end = std::min(i + reach + 1, points.size());
    means.push_back({points[i].step, (sums[end] - sums[begin]) / double(end - begin)});
  }
  return means;
}

/// As many digits as tell ticks apart.
std::string tickLabel(double value, double spacing) {
  if (value != 0 && spacing > 0 && (spacing < 1e-6 || std::abs(value) >= 1e7))
    return fmt::format("{:.3g}", value);
  int digits = spacing > 0 ? std::clamp(int(-std::floor(std::log10(spacing) + 1e-9)), 0, 6) : 2;
  return fmt::format("{:.{}f}", value, digits);
}

double tickSpacing(const std::vector<double> &ticks) {
  return ticks.size() > 1 ? ticks[1] - ticks[0] : 0;
}

/// A grid of cells with 2 × 4 braille dots each, some overlaid by a mark.
class Canvas {
public:
  Canvas(int columns, int rows)
      : columns(columns), rows(rows), dots(size_t(columns) * rows, 0),
        marks(size_t(columns) * rows, false) {}
  int dotColumns() const { return columns * 2; }
  int dotRows() const { return rows * 4; }

  void dot(int x, int y) {
    static constexpr uint8_t bits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    dots[cell(x, y)] |= bits[y % 4][x % 2];
  }
  void mark(int x, int y) { marks[cell(x, y)] = true; }

  /// A line between two points by its longer side.
  void line(int x0, int y0, int x1, int y1) {
    int length = std::max({std::abs(x1 - x0), std::abs(y1 - y0), 1});
    for (int i = 0; i <= length; ++i)
      dot(x0 + int(std::lround(double(x1 - x0) * i / length)),
          y0 + int(std::lround(double(y1 - y0) * i / length)));
  }

  std::string row(int index, bool colour) const {
    std::string text;
    for (int column = 0; column < columns; ++column) {
      int place = index * columns + column;
      std::string_view shade = marks[place] ? "\x1b[33m" : dots[place] ? "\x1b[36m" : "";
      std::string glyph = marks[place] ? "●" : dots[place] ? braille(dots[place]) : " ";
      text += colour && !shade.empty() ? fmt::format("{}{}\x1b[0m", shade, glyph) : glyph;
    }
    return text;
  }

private:
  int cell(int x, int y) const { return y / 4 * columns + x / 2; }
  /// U+2800 plus the dots, as UTF-8.
  static std::string braille(uint8_t dots) {
    return {char(0xE2), char(0xA0 | dots >> 6), char(0x80 | (dots & 0x3F))};
  }

  int columns, rows;
  std::vector<uint8_t> dots;
  std::vector<bool> marks;
};

/// The axis below a text plot: a rule with ticks, then the steps under them.
std::string stepAxis(const Bounds &bounds, int columns, size_t indent) {
  std::string rule, labels(columns, ' ');
  std::vector<bool> tickAt(columns, false);
  auto ticks = roundTicks(0, bounds.lastStep, std::max(2, columns / 14));
  for (double tick : ticks) {
    int column = std::min(int(std::lround(tick / bounds.lastStep * (columns - 1))), columns - 1);
    tickAt[column] = true;
    std::string label = tickLabel(tick, tickSpacing(ticks));
    int length = int(label.size());
    int at = std::clamp(column - length / 2, 0, std::max(0, columns - length));
    labels.replace(at, length, label);
  }
  for (bool tick : tickAt)
    rule += tick ? "┬" : "─";
  labels.erase(labels.find_last_not_of(' ') + 1);
  return fmt::format("{:{}}└{}\n{:{}} {}\n", "", indent, rule, "", indent, labels);
}

} // namespace

std::vector<double> roundTicks(double low, double high, int count) {
  if (!(high > low) || !std::isfinite(high - low) || count < 1)
    return {};
  double rough = (high - low) / count, power = std::pow(10, std::floor(std::log10(rough)));
  double spacing = power * 10;
  for (double factor : {1.0, 2.0, 5.0})
    if (factor * power >= rough * (1 - 1e-9)) {
      spacing = factor * power;
      break;
    }
  std::vector<double> ticks;
  double first = std::ceil(low / spacing - 1e-9), last = std::floor(high / spacing + 1e-9);
  for (int i = 0; first + i <= last; ++i)
    ticks.push_back(first + i == 0 ? 0 : (first + i) * spacing); // never -0
  return ticks;
}

std::string plotText(const LossHistory &whole, const TextPlotOptions &options) {
  LossHistory losses{finitePoints(whole.training), finitePoints(whole.validation)};
  Bounds bounds = boundsOf(losses);
  if (!bounds.hasLoss())
    return "no finite loss to plot\n";

  int height = std::max(options.height, 4);
  auto ticks = roundTicks(bounds.low, bounds.high, std::max(2, height / 3));
  size_t labelWidth = 0;
  for (double tick : ticks)
    labelWidth = std::max(labelWidth, tickLabel(tick, tickSpacing(ticks)).size());
  int columns = std::max(options.width - int(labelWidth) - 1, 10);
  Canvas canvas(columns, height);
  auto x = [&](double step) {
    return int(std::lround(step / bounds.lastStep * (canvas.dotColumns() - 1)));
  };
  auto y = [&](double loss) {
    return int(
        std::lround((bounds.high - loss) / (bounds.high - bounds.low) * (canvas.dotRows() - 1)));
  };

  auto training = bucketMeans(losses.training, size_t(canvas.dotColumns()));
  for (size_t i = 0; i < training.size(); ++i) {
    const LossPoint &from = training[i ? i - 1 : 0], &to = training[i];
    canvas.line(x(double(from.step)), y(from.loss), x(double(to.step)), y(to.loss));
  }
  for (const LossPoint &point : losses.validation)
    canvas.mark(x(double(point.step)), y(point.loss));

  std::vector<std::string> labels(height);
  for (double tick : ticks)
    labels[y(tick) / 4] = tickLabel(tick, tickSpacing(ticks));
  std::string text;
  for (int row = 0; row < height; ++row)
    text += fmt::format("{:>{}}{}{}\n", labels[row], labelWidth, labels[row].empty() ? "│" : "┤",
                        canvas.row(row, options.colour));
  text += stepAxis(bounds, columns, labelWidth);
  std::string legend = losses.training.empty() ? "" : "⠤⠤ training loss  ";
  legend += losses.validation.empty() ? "" : "● validation loss";
  return text + fmt::format("{:{}} {}\n", "", labelWidth, legend);
}

namespace {

constexpr double svgWidth = 800, svgHeight = 450, left = 64, right = 24, top = 48, bottom = 52;

/// Maps steps and losses to SVG's pixels.
struct SvgScale {
  Bounds bounds;
  double x(double step) const { return left + step / bounds.lastStep * (svgWidth - left - right); }
  double y(double loss) const {
    return top + (bounds.high - loss) / (bounds.high - bounds.low) * (svgHeight - top - bottom);
  }
};

std::string escapeXml(std::string_view text) {
  std::string escaped;
  for (char c : text)
    switch (c) {
    case '<':
      escaped += "&lt;";
      break;
    case '>':
      escaped += "&gt;";
      break;
    case '&':
      escaped += "&amp;";
      break;
    default:
      escaped += c;
    }
  return escaped;
}

std::string svgLine(const std::vector<LossPoint> &points, const SvgScale &scale,
                    std::string_view style) {
  std::string coordinates;
  for (const LossPoint &point : points)
    coordinates += fmt::format("{:.1f},{:.1f} ", scale.x(double(point.step)), scale.y(point.loss));
  return fmt::format("<polyline class=\"{}\" points=\"{}\"/>\n", style, coordinates);
}

std::string svgAxes(const SvgScale &scale) {
  std::string text;
  double floor = svgHeight - bottom;
  auto lossTicks = roundTicks(scale.bounds.low, scale.bounds.high, 6);
  for (double tick : lossTicks)
    text += fmt::format("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
                        "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
                        left, svgWidth - right, scale.y(tick), scale.y(tick), left - 8,
                        scale.y(tick) + 4, tickLabel(tick, tickSpacing(lossTicks)));
  auto stepTicks = roundTicks(0, scale.bounds.lastStep, 8);
  for (double tick : stepTicks)
    text += fmt::format("<line class=\"axis\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{}\" y2=\"{}\"/>"
                        "<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                        scale.x(tick), scale.x(tick), floor, floor + 5, scale.x(tick), floor + 20,
                        tickLabel(tick, tickSpacing(stepTicks)));
  text += fmt::format("<path class=\"axis\" d=\"M{} {}V{}H{}\"/>\n", left, top, floor,
                      svgWidth - right);
  text += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">step</text>\n",
                      (left + svgWidth - right) / 2, svgHeight - 10);
  return text;
}

std::string svgLegend(bool training, bool validation) {
  std::string text;
  double x = svgWidth - right - 130, y = top + 8;
  auto entry = [&](std::string_view style, std::string_view label) {
    text += fmt::format("<line class=\"{}\" x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/><text "
                        "x=\"{}\" y=\"{}\">{}</text>\n",
                        style, x, x + 24, y, y, x + 32, y + 4, label);
    y += 20;
  };
  if (training)
    entry("training", "training loss");
  if (validation)
    entry("validation", "validation loss");
  return text;
}

} // namespace

std::string plotSvg(const LossHistory &whole, const std::string &title) {
  LossHistory losses{finitePoints(whole.training), finitePoints(whole.validation)};
  SvgScale scale{boundsOf(losses)};
  std::string text = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} "
      "{1}\" "
      "font-family=\"sans-serif\" font-size=\"12\" fill=\"#333\">\n"
      "<style>line,path,polyline{{fill:none}}.grid{{stroke:#e5e5e5}}.axis{{stroke:#888}}"
      ".raw{{stroke:#1f77b4;stroke-opacity:.3}}.training{{stroke:#1f77b4;stroke-width:2}}"
      ".validation{{stroke:#e0701a;stroke-width:2}}</style>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
      "<text x=\"{2}\" y=\"28\" font-size=\"16\">{3}</text>\n",
      svgWidth, svgHeight, left, escapeXml(title));
  if (!scale.bounds.hasLoss())
    return text + fmt::format("<text x=\"{}\" y=\"{}\">no finite loss to plot</text>\n</svg>\n",
                              left, svgHeight / 2);
  text += svgAxes(scale);
  if (!losses.training.empty()) {
    auto points = bucketMeans(losses.training, 1600);
    text += svgLine(points, scale, "raw");
    text += svgLine(runningMean(points, points.size() / 60), scale, "training");
  }
  if (!losses.validation.empty()) {
    text += svgLine(losses.validation, scale, "validation");
    for (const LossPoint &point : losses.validation)
      text += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"#e0701a\"/>\n",
                          scale.x(double(point.step)), scale.y(point.loss));
  }
  return text + svgLegend(!losses.training.empty(), !losses.validation.empty()) + "</svg>\n";
}

} // namespace ingot
