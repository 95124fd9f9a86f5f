/// What the attention kernels, forward and backward, share: operands by head, blocks of scores.
#pragma once
#include "codegen/cpu/BlockProduct.h"
#include "codegen/cpu/ContractionBlocks.h"
#include "codegen/cpu/Emitters.h"
#include "codegen/cpu/KernelScheduler.h"
#include "codegen/cpu/Packing.h"
#include "codegen/kernel/AttentionSight.h"

namespace ingot {

/// Blocks of an attention: scores exist for `queries` x `keys` at a time.
struct AttentionShape : AttentionExtents {
  AttentionShape() = default;
  explicit AttentionShape(const AttentionExtents &extents) : AttentionExtents(extents) {}

  int64_t queries = 0, keys = 0; ///< of a block
  Tile scoreTile, queryTile,
      keyTile; ///< of products with results [key, query], [query, head], [key, head]
  Tile queryValueTile, keyValueTile; ///< [query, value head], [key, value head]
  int64_t queryBlocks() const { return (queryCount + queries - 1) / queries; }
};

/// What a schedule holds of an attention: sizes of blocks and tiles, tiles as (rows, columns).
struct AttentionSizes {
  int64_t queries = 0, keys = 0;
  Tile scoreTile, queryTile, keyTile, queryValueTile, keyValueTile;
  int64_t unitsPerGrain = 1;
  bool prefetch = false; ///< the next pair's rows

  template <typename Field> void fields(Field field) {
    auto tileField = [&](llvm::StringRef name, Tile &tile) {
      llvm::SmallVector<int64_t> sizes{tile.rows, tile.columns()};
      field(name, sizes);
      sizes.resize(2);
      tile = {sizes[0], sizes[1] / Code::lanes};
    };
    field("queries", queries);
    field("keys", keys);
    tileField("score_tile", scoreTile);
    tileField("query_tile", queryTile);
    tileField("key_tile", keyTile);
    tileField("query_value_tile", queryValueTile);
    tileField("key_value_tile", keyValueTile);
    field("units_per_grain", unitsPerGrain);
    field("prefetch", prefetch);
  }
};

/// Chooses blocks and tiles by shape and machine; blocks have up to `mostQueries`.
AttentionShape chooseBlocks(const AttentionForm &form, const graph::AttentionRule &rule,
                            int64_t mostQueries, const MachineShape &machine,
                            const BlockChoice &choice);

/// Blocks of the mask are copied: [key, query] as the scores are, or keys alone where it is the
/// same for all queries.
bool differsByQuery(const graph::AttentionRule &rule);
Panels maskPanels(const graph::AttentionRule &rule, const AttentionShape &shape);
int64_t maskBlockSize(const graph::AttentionRule &rule, const AttentionShape &shape);

/// Adds the scratch, in elements of sums, of what an attention allocates; the emitters allocate the
/// same in the same order.
class AttentionScratch {
public:
  AttentionScratch(KernelScheduler &kernel, const AttentionForm &form, const AttentionShape &shape)
      : kernel(kernel), form(form), shape(shape) {}
  void matrix(mlir::Value tensor);
  void rowBlock(mlir::Value tensor, int64_t rows);
  void queryPanels(int64_t depth);
  void sumBlock(int64_t rows, Tile tile, int64_t columns);
  void mask(const graph::AttentionRule &rule);
  void scoreBlock() { sumBlock(shape.keys, shape.scoreTile, shape.queries); }
  void elements(int64_t count);

private:
  KernelScheduler &kernel;
  const AttentionForm &form;
  const AttentionShape &shape;
};

/// Units of `flops` each, and what the next one reads prefetched where that stays in the L2.
void launchAttention(KernelScheduler &kernel, llvm::StringRef kind, const AttentionShape &shape,
                     int64_t units, double flops, bool prefetch);
/// Whether rows of all these tensors, for one pair, are near when that pair begins.
bool fitsNextPair(KernelScheduler &kernel, const AttentionForm &form, const AttentionShape &shape,
                  mlir::ValueRange tensors);

class AttentionEmitter {
protected:
  /// The [sequence, head] matrices of one tensor, one for each pair of batch element and head. Rows
  /// are contiguous: tensors that are not (or narrower than the sums) are copied pair by pair.
  struct Matrix {
    mlir::Value tensor;
    int64_t rows = 0, columns = 0, rowStride = 0;
    int64_t group = 1; ///< neighbouring pairs that have one matrix together
    mlir::Value buffer;
    std::optional<KernelView> view; ///< none: a copy
    mlir::Value base;               ///< where the current pair's matrix starts
  };

  AttentionEmitter(KernelBuilder &kernel, const AttentionForm &form,
                   const graph::AttentionRule &rule);

  mlir::Value scratch(int64_t count);
  Matrix matrix(mlir::Value tensor, int64_t group = 1);
  /// Where a block of so many of the matrix's rows is copied; null where rows are read in place.
  mlir::Value rowBlock(const Matrix &matrix, int64_t rows);
  /// Makes the matrix's `base` that of a pair; the code it emits serves until the pair ends.
  void enter(Matrix &matrix, mlir::Value pair);

  /// The matrix with rows [first, first + rows) in `block`, which `rowBlock` gave.
  Matrix blockOf(const Matrix &matrix, mlir::Value block, mlir::Value first, int64_t rows);

  /// Rows that will be read or written soon: of the next pair's matrices, so that they are near
  /// when that pair begins, and of results. Heads of one token are neighbours in memory, and no
  /// hardware follows from one short row to the next.
  struct Ahead {
    mlir::Value buffer, base; ///< null: nothing to prefetch
    int64_t rowStride = 0, columns = 0;
    bool isWrite = false;
  };
  void prefetchRow(const Ahead &rows, mlir::Value row);
  Ahead nextOf(const Matrix &matrix, mlir::Value pair);
  Ahead resultOf(const llvm::SmallVector<KernelView> &views, mlir::Value pair, int64_t columns);
  /// Prefetches the rows from `first` + the tile's on beside each tile of a product: all at once,
  /// they would occupy every line-fill buffer for as long as a product takes. Of the tiles of a
  /// product's `columns` the last one does it.
  BesideTile prefetchBeside(llvm::ArrayRef<Ahead> ahead, Tile tile, mlir::Value first,
                            int64_t columns);

  /// Rows as the left operand of a product over the head: rows beyond the last repeat it.
  BlockLhs rowsOf(const Matrix &matrix, mlir::Value first, Tile tile);
  /// Rows as the right operand of a product over the sequence.
  BlockRhs columnsOf(const Matrix &matrix, mlir::Value first);
  /// Rows [first, first + count) transposed: the right operand of a product over the head.
  Panels queryPanels(int64_t depth);
  BlockRhs packQueries(const Matrix &matrix, const Panels &panels, mlir::Value first,
                       mlir::Value count);
  /// A block [key, query] as left operand with keys or queries as its rows.
  BlockLhs keysOf(const SumBlock &block) const;
  BlockLhs queriesOf(const SumBlock &block) const;
  SumBlock scoreBlock();
  /// Padded so that tiles may overhang.
  SumBlock sumBlock(int64_t rows, Tile tile, int64_t columns);
  void fillZero(const SumBlock &block, int64_t rows);

  /// One past the last key that a block of queries sees.
  mlir::Value keysSeen(mlir::Value firstQuery, mlir::Value queryCount);
  /// The first block of keys of which a query from `firstQuery` on sees one.
  mlir::Value firstBlockSeen(mlir::Value firstQuery);
  /// How many of the `count` keys from `firstKey` on the `queryCount` queries from `query` on see,
  /// those that come before what they see included.
  mlir::Value keysSeen(mlir::Value query, int64_t queryCount, mlir::Value firstKey,
                       mlir::Value count);
  /// How many of these keys all lanes from `query` on see; after them, some do not.
  mlir::Value keysSeenByAll(mlir::Value query, mlir::Value firstKey, mlir::Value count) {
    return keysSeen(query, 1, firstKey, count);
  }
  /// How many keys from `firstKey` on come before those that queries from `query` on see.
  mlir::Value keysBeforeSight(mlir::Value query, mlir::Value firstKey) {
    return code.subClamped(sight.keysFrom(query), firstKey);
  }
  /// Runs down the keys below `end` of a block that the lanes from `query` on see: those that all
  /// see, with those around them that need a mask. `seenByAll` is how many come before the latter.
  using KeySteps = llvm::function_ref<void(mlir::Value from, mlir::Value to, bool isMasked)>;
  void forKeysSeen(mlir::Value query, mlir::Value firstKey, mlir::Value seenByAll, mlir::Value end,
                   bool endIsMasked, KeySteps steps);
  /// The scores of a block, [key, query], that are computed: in steps of a tile's queries the keys
  /// that they see, up to whole vectors of keys where `whole`.
  BlockExtent scoreExtent(mlir::Value firstQuery, mlir::Value firstKey, mlir::Value count,
                          int64_t head, bool whole);
  /// Sums by query over the keys that a tile of queries sees.
  BlockExtent queryExtent(Tile tile, mlir::Value firstQuery, mlir::Value firstKey,
                          mlir::Value count);
  /// Sums by key over the queries that see a tile of keys.
  BlockExtent keyExtent(Tile tile, mlir::Value firstQuery, mlir::Value queryCount,
                        mlir::Value firstKey, mlir::Value count);
  /// Lanes whose query, `query` + lane, sees the key.
  mlir::Value visible(mlir::Value query, mlir::Value key);

  /// A mask: where its blocks are copied, a block, and its values beside scores.
  void allocateMask();
  void packMask(mlir::Value pair, mlir::Value firstQuery, mlir::Value queryCount,
                mlir::Value firstKey, mlir::Value count);
  /// What the softmax sees of products of queries and a key, in lanes of queries.
  AttentionSight::Score scoreOf(mlir::Value products, mlir::Value lane, mlir::Value key);
  bool bendsScores() const { return rule.mask || rule.softCap != 0; }

  /// Copies rows of sums, each times a factor where given, to the views of a result, whose matrices
  /// start at row `first` of the pair.
  using RowFactor = llvm::function_ref<mlir::Value(mlir::Value row)>;
  void storeRows(const llvm::SmallVector<KernelView> &views, mlir::Value pair, mlir::Value first,
                 mlir::Value count, const SumBlock &sums, int64_t columns, RowFactor factor = {});
  /// The offset of element (pair, position) of a [batch, heads, sequence] view.
  mlir::Value rowScalar(const KernelView &view, mlir::Value pair, mlir::Value position);

  mlir::Value exp(mlir::Value value);
  mlir::Value multiply(mlir::Value a, mlir::Value b) {
    return code.create<mlir::arith::MulFOp>(a, b);
  }
  mlir::Value plus(mlir::Value a, mlir::Value b) { return code.create<mlir::arith::AddFOp>(a, b); }
  mlir::Value minus(mlir::Value a, mlir::Value b) { return code.create<mlir::arith::SubFOp>(a, b); }
  /// Reads the sizes of the launch, whose grains hold so many units in all.
  llvm::LogicalResult readPlan(int64_t (*units)(const AttentionShape &));
  /// Runs over the units of the kernel's grains.
  void forUnits(int64_t units, Code::Body body);

  KernelBuilder &kernel;
  Code code;
  mlir::Type sumType;
  AttentionShape shape;
  AttentionSight sight;
  const graph::AttentionRule &rule = sight.rule;

private:
  Panels maskBlock;
  int64_t unitsPerGrain = 1;
  bool prefetch = false;
};

} // namespace ingot
