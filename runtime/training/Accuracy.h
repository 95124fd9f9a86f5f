/// How often a classifier is right.
#pragma once
#include "runtime/data/BatchSource.h"
#include "runtime/program/Device.h"

namespace ingot {

/// Whether a program classifies examples: `forward` has one f32 output [rows, classes], and
/// `evaluate` compares it with one integer target [rows].
bool isClassifier(const Program &program);

/// The share of examples whose target is the class with the largest output, over batches
/// 0 … batches-1 of `evaluate`'s ports. Of equal outputs the first counts, as in PyTorch. The
/// session holds parameters; its program is a classifier.
Result<double> evaluateAccuracy(Session &session, const BatchSource &source, int64_t batches);

} // namespace ingot
