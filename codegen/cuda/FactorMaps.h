/// Factors of a contraction that the copy engine of sm_90a reads: as boxes of a tensor of up to
/// five dimensions, in lines of 128 bytes.
#pragma once
#include "codegen/cuda/ContractionProduct.h"
#include "codegen/cuda/WarpgroupInstructions.h"
#include "codegen/kernel/LaunchMaps.h"

namespace ingot {

/// Elements of a line: a step of the depth.
constexpr int64_t lineElements = lineBytes / 2;

/// A factor of 16-bit elements in memory, as the engine reads tiles of it.
struct FactorMap {
  LaunchMap map;
  bool alongDepth = true; ///< its lines lie along the depth, else beside it

  /// Boxes of a tile, each as large as the map's.
  int64_t boxes(int64_t tile) const { return alongDepth ? 1 : tile / lineElements; }
  FactorLayout layout() const { return {alongDepth, lineElements * lineBytes}; }
  /// Bytes in shared memory from one part of 16 along the depth to the next.
  int64_t bytesOfPart() const { return alongDepth ? 32 : 16 * lineBytes; }
};

/// None where the factor is computed, or its strides are no multiples of 16 bytes, or its rows,
/// columns or depth lie in several dimensions.
std::optional<FactorMap> mapOfFactor(mlir::func::FuncOp kernel, const ContractionOperand &operand,
                                     int64_t tile);

/// Copies tiles of a factor into shared memory.
class FactorBoxes {
public:
  FactorBoxes(IndexCode &code, const ContractionOperand &operand, FactorMap factor, int64_t tile)
      : code(code), operand(operand), factor(std::move(factor)), tile(tile) {}

  /// Begins to copy the tile at `first` beside the depth of matrix `batch`, and at `depth`, by a
  /// pointer to the map.
  void copy(mlir::Value map, mlir::Value batch, mlir::Value first, mlir::Value depth,
            mlir::Value shared, mlir::Value barrier);

private:
  mlir::Value narrow(mlir::Value index);

  IndexCode &code;
  const ContractionOperand &operand;
  const FactorMap factor;
  const int64_t tile;
};

} // namespace ingot
