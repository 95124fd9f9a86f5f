/// Loss curves as text for the terminal and as SVG.
#pragma once
#include "runtime/training/LossHistory.h"

namespace ingot {

struct TextPlotOptions {
  int width = 72;      ///< columns, axis labels included
  int height = 16;     ///< rows of the plot itself
  bool colour = false; ///< ANSI colours: training cyan, validation yellow
};

/// Training losses as a line of braille dots, validation losses as marks, with axes and a legend.
/// Losses that are not finite are left out; without any finite loss the text says so.
std::string plotText(const LossHistory &losses, const TextPlotOptions &options = {});

/// A stand-alone SVG document of 800 × 450 pixels: training losses thin with a running mean,
/// validation losses with dots, ticks at round values.
std::string plotSvg(const LossHistory &losses, const std::string &title);

/// Round values (1, 2 or 5 times a power of ten) inside [low, high], about `count` of them.
std::vector<double> roundTicks(double low, double high, int count);

} // namespace ingot
