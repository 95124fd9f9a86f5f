#include "frontend/onnx/Rows.h"
#include <algorithm>

namespace ingot::onnx {

std::span<const Row> rowsOf(std::string_view domain) {
  if (domain == "ai.onnx.preview.training")
    return updateRows();
  static const std::vector<Row> rows = [] {
    std::vector<Row> all;
    for (Row row : elementwiseRows()) {
      row.isByElement = true;
      all.push_back(row);
    }
    for (std::span<const Row> part :
         {shapeRows(), indexRows(), reductionRows(), layerRows(), normalizationRows(),
          sequenceRows(), recurrentRows(), quantizeRows(), resizeRows(), lossRows(), loopRows(),
          signalRows(), visionRows(), countedRows(), textRows(), matrixRows()})
      all.insert(all.end(), part.begin(), part.end());
    std::ranges::stable_sort(all, {}, &Row::op);
    return all;
  }();
  return domain.empty() || domain == "ai.onnx" ? std::span<const Row>(rows)
                                               : std::span<const Row>();
}

const Row *findRow(std::string_view domain, std::string_view op, int64_t opset) {
  for (const Row &row : std::ranges::equal_range(rowsOf(domain), op, {}, &Row::op))
    if (row.first <= opset && (opset <= row.last || (row.last == newestOpset && opset > row.last)))
      return &row;
  return nullptr;
}

} // namespace ingot::onnx
