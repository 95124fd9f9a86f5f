/// How often a classifier is right.
#pragma once
#include "runtime/data/BatchSource.h"
#include "runtime/program/Device.h"
#include <optional>

namespace ingot {

/// Which f32 output of `forward` counts classes along which dimension, and the integer port of a
/// batch that names the right ones: it has the output's shape without that dimension.
struct Classifier {
  std::string output, target;
  int64_t classAxis = 1;
  std::optional<int64_t> ignored = {}; ///< targets of this number are neither right nor wrong
};

/// A program that classifies examples: `forward` has one f32 output [rows, classes], and `evaluate`
/// compares it with one integer target [rows]. Nothing for others. `ignored` is the loss's.
std::optional<Classifier> classifierOf(const Program &program, std::optional<int64_t> ignored);

/// The share of positions whose target is the class with the largest output, over the data of
/// batches 0 … batches-1 of the source. Of equal outputs the first counts, as in PyTorch. The
/// session holds parameters. NaN where every target is ignored.
Result<double> evaluateAccuracy(Session &session, const BatchSource &source, int64_t batches,
                                const Classifier &classifier);

} // namespace ingot
