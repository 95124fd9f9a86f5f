/// Block sizes of contractions: one place, functions of shape and machine only.
#pragma once
#include "codegen/cpu/MachineShape.h"
#include "codegen/cpu/MicroKernel.h"
#include "codegen/cpu/Packing.h"
#include "passes/options/BlockChoice.h"
#include "passes/options/TargetCosts.h"
#include <cstdint>
#include <numeric>

namespace ingot {

struct ContractionShape {
  int64_t batch = 1, rows = 0, columns = 0, depth = 0;
  /// Matrices whose columns lie side by side in `columns`, since the same left operand multiplies
  /// them; the result holds each by itself.
  int64_t joined = 1;
  int64_t elementBytes = 4; ///< of the sums
  /// Whether the micro-kernel can read the operand where it lies.
  bool lhsInPlace = false, rhsInPlace = false;
  bool rhsPacked = false; ///< lies in panels of 16 columns, of the whole depth (Layout.h)
  /// The operands, and so rows and columns, are exchanged: the result is stored turned around.
  bool isTurned = false;
  bool rhsInMemory = false; ///< not computed, perhaps to be converted or turned around
  /// Depths of a computed operand that are packed together: blocks of the depth, if there are
  /// several, are multiples of it.
  int64_t depthGroup = 1;
  /// The left operand is contiguous along the depth, and its rows are this many elements apart; 0
  /// if not so.
  int64_t lhsRowStride = 0;
  /// The depth is the last dimension of both operands.
  bool depthLast = false;
  /// Whether memory holds the operand contiguous along the depth.
  bool lhsRunsAlongDepth = false, rhsRunsAlongDepth = false;

  /// Rows and columns of one matrix of the result.
  int64_t matrixRows() const { return isTurned ? columns : rows; }
  int64_t matrixColumns() const { return isTurned ? rows : columns / joined; }
  double flops() const { return 2.0 * batch * rows * columns * depth; }
};

/// How a contraction is cut. A unit is a block of the result (`blockRows` x `blockColumns`, all of
/// the depth); units are numbered by batch, block of rows, block of columns; a grain is a run of
/// them. Where a run holds all columns of several blocks of rows, up to `spanRowBlocks` are
/// computed as one.
struct ContractionBlocks {
  Tile tile;
  bool dotProducts = false; ///< vectors run along the depth: for few rows or columns
  /// For dot products: whether the operand's rows are copied, or computed, before they are read.
  bool packLhs = true, packRhs = true;
  int64_t depth = 0; ///< of a packed panel of the right operand
  /// Depths by which the right operand is prefetched where it is copied, or read but once; 0 if
  /// columns to the right are prefetched instead.
  int64_t prefetchDepths = 0;
  /// The next panel of the right operand is packed, or prefetched where it is, while the tiles of
  /// one are computed: each has `shadowLines` lines to move every `shadowEvery` depths.
  bool packAhead = false;
  int64_t shadowEvery = 0, shadowLines = 0;
  int64_t stackDepth = 0;  ///< of the left operand's block: several times `depth`
  int64_t passColumns = 0; ///< columns whose unfinished sums are kept at once
  int64_t blockRows = 0, blockColumns = 0;
  int64_t rowBlocks = 1, columnBlocks = 1; ///< per batch element
  int64_t spanRowBlocks = 1;
  int64_t unitsPerGrain = 1;
  int64_t grains = 1;

  /// A block's depth is a multiple of this, as panels want it; of several blocks also of the group.
  int64_t depthAlignment() const { return packLhs || packRhs ? Panels::depthStep : Code::lanes; }
  int64_t depthStep(const ContractionShape &shape) const {
    return std::lcm(depthAlignment(), shape.depthGroup);
  }
  /// Whether tiles read the right operand from panels; they are made by the kernel or lie there.
  bool readsPanels(const ContractionShape &shape) const { return packRhs || shape.rhsPacked; }
  /// Whether the next panel is there, or made, while one is used.
  bool foreseesPanels(const ContractionShape &shape) const { return packAhead || shape.rhsPacked; }
  int64_t spanRows() const { return blockRows * spanRowBlocks; }
  bool oneDepthBlock(const ContractionShape &shape) const { return shape.depth <= depth; }
  bool oneStack(const ContractionShape &shape) const { return shape.depth <= stackDepth; }

  /// What a schedule holds; `complete` derives the rest.
  template <typename Field> void fields(Field field) {
    int64_t tileColumns = tile.columns();
    field("tile_rows", tile.rows);
    field("tile_columns", tileColumns);
    tile.vectors = tileColumns / Code::lanes;
    field("dot_products", dotProducts);
    field("pack_lhs", packLhs);
    field("pack_rhs", packRhs);
    field("depth", depth);
    field("prefetch_depths", prefetchDepths);
    field("pack_ahead", packAhead);
    field("stack_depth", stackDepth);
    field("pass_columns", passColumns);
    field("rows", blockRows);
    field("columns", blockColumns);
    field("span_row_blocks", spanRowBlocks);
    field("units_per_grain", unitsPerGrain);
  }
  /// False if a contraction of this shape cannot be cut so.
  bool complete(const ContractionShape &shape);
  /// The sizes that tuning may vary; none of dot products.
  BlockChoice taken() const;

private:
  /// Derives how densely the work in the shadow of the multiply-adds lies.
  void planShadow(const ContractionShape &shape);
};

/// Elements of scratch that a worker needs, for what is needed at all.
struct ContractionScratch {
  ContractionScratch(const ContractionShape &shape, const ContractionBlocks &blocks, bool keepRows);
  int64_t leftPanels = 0, rightPanels = 0;
  int64_t sums = 0;   ///< tiles of unfinished sums, or one tile
  int64_t turned = 0; ///< a finished tile whose rows are vectors, where results are turned around
};

/// The tile with the least padding among those that fill the registers; its rows divide
/// `rowsDivide` unless that is 0.
Tile chooseTile(int64_t rows, int64_t columns, int64_t elementBytes, const MachineShape &machine,
                int64_t rowsDivide = 0);

/// Sizes in `choice` go before those that follow from shape and machine, as far as the shape
/// allows.
ContractionBlocks chooseBlocks(const ContractionShape &shape, const MachineShape &machine,
                               const TargetCosts &costs, const BlockChoice &choice = {});

} // namespace ingot
