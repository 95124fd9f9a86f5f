/// What attention kernels have in common on a GPU: a block of threads that keeps rows of matrices
/// in shared memory and multiplies them there.
#pragma once
#include "codegen/cuda/Emitters.h"
#include "codegen/kernel/AttentionSight.h"

namespace ingot {

/// How a launch is cut. A block owns `rows` queries (or keys) and passes over the keys (or queries)
/// that they meet, `columns` at a time.
struct AttentionTiling {
  int64_t threads = 0;
  int64_t rows = 0, columns = 0;
  int64_t across = 0;               ///< threads that share rows: a warp or a part of one
  llvm::SmallVector<int64_t> lanes; ///< elements that are read at once, by operand

  static constexpr int64_t rowsOfThread = 4;

  template <typename Field> void fields(Field field) {
    field("threads", threads);
    field("rows", rows);
    field("columns", columns);
    field("across", across);
    field("lanes", lanes);
  }
  /// Of `count` rows in each pair; one where there are none.
  int64_t blocks(int64_t pairs, int64_t count) const;
};

/// The columns of a matrix as threads that share rows divide them: groups of `lanes` neighbours.
struct HeadColumns {
  HeadColumns(int64_t count, int64_t across);
  int64_t count, lanes, groups;
};

/// Shared memory of tiles, in bytes.
class AttentionMemory {
public:
  AttentionMemory(const AttentionForm &form, const AttentionTiling &tiling)
      : form(form), tiling(tiling) {}
  void tile(int64_t rows, int64_t columns);
  void scores();
  int64_t bytes() const { return total; }

private:
  const AttentionForm &form;
  const AttentionTiling &tiling;
  int64_t total = 0;
};

/// The largest tiles of sequences of `rows` and `columns` that leave room for a second block and no
/// more than half of the chip without one. `bytes` is the shared memory of a tiling,
/// `accumulators` how many columns are summed up for each row.
AttentionTiling chooseTiling(const CudaScheduler &kernel, int64_t pairs, int64_t rows,
                             int64_t columns, int64_t accumulators,
                             llvm::function_ref<int64_t(const AttentionTiling &)> bytes);
/// How many elements may be read at once of tensors [batch, heads, sequence, head]; none after a
/// diagnostic.
std::optional<llvm::SmallVector<int64_t>> readingLanes(mlir::func::FuncOp kernel,
                                                       mlir::ValueRange tensors);
/// Reads the tiling of a launch that owns `rows` of each pair and reads these tensors.
llvm::LogicalResult readTiling(CudaKernel &kernel, int64_t pairs, int64_t rows,
                               mlir::ValueRange tensors, AttentionTiling &tiling);

/// The code of one block. A thread has four neighbouring rows and every `across`-th column.
class AttentionBlock {
protected:
  /// The [sequence, head] matrices of one tensor, one for each pair.
  struct Matrix {
    mlir::Value tensor;
    int64_t rows = 0, columns = 0;
    int64_t lanes = 1; ///< elements that are read at once
  };
  /// Rows of a matrix in shared memory; what lies outside the matrix is zero.
  struct Tile {
    mlir::Value memory;
    int64_t rows = 0, columns = 0;
    int64_t depth = 0; ///< columns that are not all padding, in whole lanes
    int64_t stride = 0;
  };
  using Values = llvm::SmallVector<mlir::Value>;
  static constexpr int64_t rowsOfThread = AttentionTiling::rowsOfThread;

  AttentionBlock(CudaKernel &kernel, const AttentionForm &form, const graph::AttentionRule &rule,
                 const AttentionTiling &tiling);

  /// Which rows of which pair this block owns, of `count` in each pair: sets `pair` and `first`.
  void place(int64_t count, bool lastFirst);
  Matrix matrix(mlir::Value tensor, unsigned number) const;
  Tile tile(int64_t rows, const Matrix &matrix);
  Tile scoreTile();
  /// Copies the rows from `from` on. All threads take part; none waits for the others.
  void load(const Matrix &matrix, mlir::Value from, const Tile &tile);
  /// As many neighbours of a row that exist, in the type of sums.
  mlir::Value read(const Matrix &matrix, mlir::Value row, mlir::Value column, int64_t lanes);
  /// An element of a tensor [batch, heads, sequence] in the type of sums.
  mlir::Value read(mlir::Value tensor, mlir::Value position);

  /// The products of this thread's rows of `left` with its rows of `right`: by row, then column.
  Values products(const Tile &left, const Tile &right);
  /// Gives the warp this thread's scores, by row, then column; it has used those of before.
  void store(const Tile &scores, mlir::ValueRange values);
  /// sums + scores · values: by row, then group of columns. What is hidden from a row takes no
  /// part: a share of 0 would make NaN of infinity and NaN. `sees` tells whether a query and a key
  /// see each other by the row of the block and the depth, `allSee` whether the whole tile does.
  using Sees = llvm::function_ref<mlir::Value(mlir::Value row, mlir::Value depth)>;
  Values accumulateSeen(const Tile &scores, const Tile &values, const HeadColumns &columns,
                        mlir::ValueRange sums, mlir::Value allSee, Sees sees);
  Values noSums(const HeadColumns &columns);
  int64_t columnsOfThread() const { return tiling.columns / tiling.across; }

  /// Combines the values of the threads that share a row.
  mlir::Value sumAcross(mlir::Value value);
  mlir::Value maximumAcross(mlir::Value value);
  /// The greater one; a NaN is not greater.
  mlir::Value greater(mlir::Value a, mlir::Value b);

  /// Where this thread's rows and columns lie among those of the block.
  mlir::Value row(int64_t number) { return code.add(threadRow, number); }
  mlir::Value column(int64_t number) { return code.add(threadColumn, number * tiling.across); }
  /// Whether a position of tiles of `step` is none of their padding; null if it always is.
  mlir::Value inside(mlir::Value position, int64_t count, int64_t step);
  /// Both conditions, either of which may be null.
  mlir::Value both(mlir::Value a, mlir::Value b);
  mlir::Value choose(mlir::Value condition, mlir::Value value, mlir::Value otherwise);
  /// The last position for those behind it.
  mlir::Value clamped(mlir::Value position, int64_t count);
  /// Where the first tile of keys starts that queries from `query` on see.
  mlir::Value keysFrom(mlir::Value query);
  /// Whether so many queries and keys from these on all see each other; null if all do.
  mlir::Value allSee(mlir::Value query, int64_t queries, mlir::Value key, int64_t keys) {
    return leavesOut
               ? sight.allSee(query, code.add(query, queries - 1), key, code.add(key, keys - 1))
               : mlir::Value();
  }
  /// Whether a query of the pair sees a key of a tile; null if all see all.
  mlir::Value seen(mlir::Value query, mlir::Value key);
  /// What the softmax sees of the product of a query and a key.
  AttentionSight::Score scoreOf(mlir::Value product, mlir::Value query, mlir::Value key);

  /// For this thread's rows of the block's that exist.
  void forRows(int64_t count, llvm::function_ref<void(int64_t number, mlir::Value row)> body);
  /// The same in one of the threads that share them.
  void forRowsOnce(int64_t count, llvm::function_ref<void(int64_t number, mlir::Value row)> body);
  /// Writes this thread's sums where they go.
  void storeRows(llvm::ArrayRef<KernelView> views, int64_t count, const HeadColumns &columns,
                 mlir::ValueRange sums);
  /// Writes an element of a result [batch, heads, sequence] where it goes.
  void storeElement(llvm::ArrayRef<KernelView> views, mlir::Value position, mlir::Value value);

  mlir::Value constant(double value);
  mlir::Value multiply(mlir::Value a, mlir::Value b);
  mlir::Value plus(mlir::Value a, mlir::Value b) { return code.create<mlir::arith::AddFOp>(a, b); }
  mlir::Value minus(mlir::Value a, mlir::Value b) { return code.create<mlir::arith::SubFOp>(a, b); }
  mlir::Value exp(mlir::Value value);

  CudaKernel &kernel;
  IndexCode &code;
  const AttentionExtents extents;
  const mlir::Type sumType;
  const AttentionTiling tiling;
  AttentionSight sight;
  const graph::AttentionRule &rule = sight.rule;
  mlir::Value pair, first;
  bool broken = false; ///< a diagnostic is out
  /// Whether places hide anything, which is left out of sums then.
  const bool leavesOut;

private:
  Values accumulate(const Tile &scores, const Tile &values, const HeadColumns &columns,
                    mlir::ValueRange sums, Sees sees);
  mlir::Type lanesOf(int64_t count) const;
  mlir::Value zero(int64_t lanes);
  mlir::Value elementOf(const Tile &tile, mlir::Value row, mlir::Value column);
  mlir::Value loadLanes(const Tile &tile, mlir::Value row, mlir::Value column, int64_t lanes);
  void storeLanes(const Tile &tile, mlir::Value row, mlir::Value column, mlir::Value value);
  mlir::Value across(mlir::Value value,
                     llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> combine);
  PointIndex pairOf(llvm::ArrayRef<int64_t> shape);
  mlir::Value evaluate(PointEmitter &points, mlir::Value tensor, llvm::ArrayRef<PointIndex> inPair);
  void write(PointEmitter &points, const KernelView &view, llvm::ArrayRef<PointIndex> inPair,
             mlir::Value value);

  mlir::Value threadRow, threadColumn;
};

} // namespace ingot
