/// The packed panels of a contraction's right operand. Each is made while the tiles of the one
/// before it are computed.
#pragma once
#include "codegen/cpu/ContractionBlocks.h"
#include "codegen/cpu/Packing.h"
#include "runtime/program/Layout.h"

namespace ingot {

/// How the columns of a pass are cut into panels: whole tiles, then `narrowCount` narrower ones,
/// so that no vector lies beyond the matrix and none has a tile of its own.
struct ColumnCut {
  /// The vectors of narrower panels of a matrix with so many columns; those of `tile` where nothing
  /// is gained.
  static int64_t chooseNarrow(int64_t columns, Tile tile);

  ColumnCut(Code &code, Tile tile, int64_t narrowVectors, mlir::Value begin, mlir::Value columns);
  mlir::Value start(Code &code, mlir::Value panel) const;

  Tile tile;
  int64_t narrowVectors;
  mlir::Value begin, count;
  mlir::Value narrowCount; ///< null: none
};

/// A panel: number `panel` of the pass's columns, depths from `k` on, of the stack from `stack` on.
struct PanelPlace {
  mlir::Value panel, stack, k;
};

/// Emits what makes and reads packed panels.
class RightPanels {
public:
  RightPanels(Code &code, const ContractionShape &shape, const ContractionBlocks &blocks,
              const MatrixSource &source, const Panels &panels, const ColumnCut &cut);

  const ContractionBlocks &sizes() const { return blocks; }
  mlir::Value columnOf(const PanelPlace &place) const { return cut.start(code, place.panel); }
  mlir::Value depthOf(const PanelPlace &place) const;
  /// The panel that is used after this one, and whether there is one in the pass.
  std::pair<PanelPlace, mlir::Value> next(const PanelPlace &place) const;
  /// Packs all of a panel, at once.
  void pack(const PanelPlace &place) const;
  /// Where the tiles of a panel find it.
  TileRhs rhs(const PanelPlace &place) const;

  /// Makes the panel after `place` while `tiles` tiles use `place`: a share during each tile, or
  /// between it and the next one where the operand must be turned around or converted.
  class Ahead {
  public:
    Ahead(const RightPanels &panels, const PanelPlace &place, mlir::Value tiles);
    /// One step of one tile's share.
    void step(mlir::Value tile, mlir::Value number) const;
    /// What is left of it when the tile is done.
    void finishTile(mlir::Value tile) const;
    /// What is left when all tiles are done.
    void finish() const;

  private:
    bool copiesLines() const { return panels.copiesLines(); }
    void copyLine(mlir::Value line) const;
    void prefetchLine(mlir::Value tile, mlir::Value number) const;
    std::pair<mlir::Value, mlir::Value> shareOf(mlir::Value tile) const;

    const RightPanels &panels;
    Code &code;
    PanelPlace target, afterTarget;
    mlir::Value exists, tiles;
    mlir::Value column, depth, base; ///< of the target
    mlir::Value lineVectors;         ///< the target's vectors, where panels differ
    mlir::Value lines, linesPerTile;
    mlir::Value start, startAfter; ///< where the target and the panel after it start in memory
  };

private:
  bool copiesLines() const { return shape.rhsInPlace; }
  mlir::Value stackEnd(const PanelPlace &place) const;
  mlir::Value isNarrow(const PanelPlace &place) const;
  mlir::Value baseOf(const PanelPlace &place) const;
  mlir::Value startOf(const PanelPlace &place) const;

  Code &code;
  const ContractionShape &shape;
  const ContractionBlocks &blocks;
  const MatrixSource &source;
  const Panels &panels;
  const ColumnCut &cut;
};

/// Reads the panels of a right operand that lies in memory so: each is a vector of columns wide.
class PackedPanels {
public:
  PackedPanels(Code &code, const Layout &layout, mlir::Value buffer, mlir::Value matrix,
               int64_t tileColumns)
      : code(code), layout(layout), buffer(buffer), matrix(matrix), tileColumns(tileColumns) {}

  /// Where a tile's columns from `column` on are, from depth `k` on.
  TileRhs rhs(Tile tile, mlir::Value column, mlir::Value k) const;

  class Ahead;

private:
  mlir::Value startOf(mlir::Value column, mlir::Value k) const;

  Code &code;
  Layout layout;
  mlir::Value buffer, matrix;
  int64_t tileColumns;
};

/// Prefetches what is used after `place` to L2 while `tiles` tiles use `place`, a share during
/// each.
class PackedPanels::Ahead {
public:
  Ahead(const PackedPanels &panels, const RightPanels &order, const PanelPlace &place,
        mlir::Value tiles);
  /// One step of one tile's share.
  void step(mlir::Value tile, mlir::Value number) const;

private:
  PackedPanels panels;
  int64_t vectors, perStep;
  mlir::Value start, lines, linesPerTile; ///< no lines where nothing follows
};

} // namespace ingot
