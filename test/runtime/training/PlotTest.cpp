#include "runtime/training/Plot.h"
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

namespace ingot {
namespace {

LossHistory fallingCurve() {
  LossHistory losses;
  for (int step = 1; step <= 200; ++step)
    losses.training.push_back({step, 1 + 3 * std::exp(-step / 40.0)});
  for (int step = 0; step <= 200; step += 50)
    losses.validation.push_back({step, 1.2 + 3 * std::exp(-step / 40.0)});
  return losses;
}

std::vector<std::string> lines(const std::string &text) {
  std::vector<std::string> result;
  for (size_t begin = 0, end; (end = text.find('\n', begin)) != text.npos; begin = end + 1)
    result.push_back(text.substr(begin, end - begin));
  return result;
}

size_t codePoints(const std::string &text) {
  return std::ranges::count_if(text, [](char byte) { return (byte & 0xC0) != 0x80; });
}

size_t occurrences(const std::string &text, std::string_view part) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != text.npos; at += part.size())
    ++count;
  return count;
}

TEST(Ticks, AreRoundAndInside) {
  EXPECT_EQ(roundTicks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(roundTicks(0, 1, 2), (std::vector<double>{0, 0.5, 1}));
  EXPECT_EQ(roundTicks(-3, 3, 3), (std::vector<double>{-2, 0, 2}));
  EXPECT_EQ(roundTicks(1, 1, 3), std::vector<double>{});
  EXPECT_EQ(roundTicks(0, INFINITY, 3), std::vector<double>{});
  for (double scale : {1e-12, 1e-3, 1.0, 7.3e8}) {
    auto ticks = roundTicks(scale, 4 * scale, 5);
    EXPECT_GE(ticks.size(), 3u) << scale;
    EXPECT_LE(ticks.size(), 9u) << scale;
  }
}

TEST(PlotText, FitsItsSizeAndFallsFromLeftToRight) {
  auto rows = lines(plotText(fallingCurve(), {.width = 60, .height = 10}));
  ASSERT_EQ(rows.size(), 13u); // plot, axis, steps, legend
  for (const std::string &row : rows)
    EXPECT_LE(codePoints(row), 60u) << row;
  EXPECT_EQ(occurrences(plotText(fallingCurve(), {.width = 60, .height = 10}), "●"),
            6u); // five and the legend's
  // The losses starts in the top row's left and ends in a lower row's right.
  EXPECT_NE(rows[0].substr(0, 14).find_first_not_of(" 0123456789.\xE2\x94\x82\xA4"),
            std::string::npos)
      << rows[0];
  EXPECT_EQ(rows[0].find_last_not_of(' '), rows[0].substr(0, 40).find_last_not_of(' '));
  EXPECT_GE(codePoints(rows[9].substr(0, rows[9].find_last_not_of(' ') + 1)), 55u) << rows[9];
}

TEST(PlotText, ColoursOnlyWhenAsked) {
  EXPECT_EQ(plotText(fallingCurve()).find('\x1b'), std::string::npos);
  EXPECT_NE(plotText(fallingCurve(), {.colour = true}).find('\x1b'), std::string::npos);
}

TEST(PlotText, TakesWhatIsOdd) {
  EXPECT_EQ(plotText({}), "no finite loss to plot\n");
  EXPECT_EQ(plotText({{{1, std::nan("")}}, {}}), "no finite loss to plot\n");
  for (const LossHistory &losses :
       {LossHistory{{{1, 0}}, {}}, LossHistory{{{1, 2}, {2, 2}, {3, 2}}, {}},
        LossHistory{{}, {{0, 5}}},
        LossHistory{{{1, 1e-30}, {2, 1e30}, {3, INFINITY}}, {{0, -4}}}}) {
    EXPECT_GE(lines(plotText(losses, {.width = 1, .height = 1})).size(), 7u);
    EXPECT_NE(plotSvg(losses, "t").find("</svg>"), std::string::npos);
  }
}

TEST(PlotSvg, DrawsBothCurvesInsideThePicture) {
  std::string svg = plotSvg(fallingCurve(), "a < b & c");
  EXPECT_TRUE(svg.starts_with("<svg xmlns="));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_NE(svg.find("a &lt; b &amp; c"), std::string::npos);
  EXPECT_EQ(occurrences(svg, "<polyline"), 3u);
  EXPECT_EQ(occurrences(svg, "<circle"), 5u);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  size_t at = svg.find("points=\"") + 8;
  double x = 0, y = 0, previous = 0;
  int read = 0;
  for (; std::sscanf(svg.c_str() + at, "%lf,%lf%n", &x, &y, &read) == 2; at += read, previous = y) {
    EXPECT_TRUE(x >= 64 && x <= 776 && y >= 48 && y <= 398) << x << "," << y;
    EXPECT_GE(y, previous); // the loss falls, so the line goes down
  }
  EXPECT_NEAR(x, 776, 0.1);
}

TEST(PlotSvg, LongRunsStaySmall) {
  LossHistory losses;
  for (int step = 1; step <= 200000; ++step)
    losses.training.push_back({step, 1.0 / step});
  EXPECT_LT(plotSvg(losses, "t").size(), 80000u);
}

} // namespace
} // namespace ingot
