/// The table: a row per op and range of opsets.
#pragma once
#include "frontend/onnx/Call.h"
#include <span>

namespace ingot::onnx {

struct Row {
  std::string_view op;
  int first, last; ///< opsets, both included
  Items (*import)(Call &);
  /// A result's element depends on the operands' alone: their padding becomes its padding.
  bool isByElement = false;
};

/// The newest opset whose ops the rows were written for; a newer file is imported all the same, its
/// ops being those that did not change.
constexpr int newestOpset = 24;

/// Parts of a sequence, and iterations of a loop that is written out: each is its own part of the
/// graph.
constexpr int64_t mostIterations = 4096;

/// The domains whose ops are rows: ONNX's own, and its training ops.
std::span<const Row> rowsOf(std::string_view domain);
/// The row of an op; null if there is none for this opset.
const Row *findRow(std::string_view domain, std::string_view op, int64_t opset);

// Parts of the table, a file each.
std::span<const Row> elementwiseRows();
std::span<const Row> shapeRows();
std::span<const Row> indexRows();
std::span<const Row> reductionRows();
std::span<const Row> layerRows();
std::span<const Row> normalizationRows();
std::span<const Row> sequenceRows();
std::span<const Row> recurrentRows();
std::span<const Row> quantizeRows();
std::span<const Row> resizeRows();
std::span<const Row> loopRows();
std::span<const Row> signalRows();
std::span<const Row> visionRows();
std::span<const Row> countedRows();
std::span<const Row> textRows();
std::span<const Row> matrixRows();
std::span<const Row> lossRows();
std::span<const Row> updateRows(); ///< of ai.onnx.preview.training

} // namespace ingot::onnx
