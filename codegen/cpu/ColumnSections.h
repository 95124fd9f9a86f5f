/// The sums of a column kernel by their widths, and how they are cut.
#pragma once
#include "codegen/cpu/Code.h"
#include "codegen/cpu/KernelScheduler.h"
#include "codegen/kernel/ColumnGroups.h"
#include "llvm/Support/MathExtras.h"

namespace ingot {

/// By section, in order of their widths.
struct ColumnSizes {
  llvm::SmallVector<int64_t> width;          ///< columns of a block, whose sums are in registers
  llvm::SmallVector<int64_t> blocksPerGrain; ///< blocks
  /// 1: a grain's blocks go row by row, with their sums in scratch.
  llvm::SmallVector<int64_t> panels;

  template <typename Field> void fields(Field field) {
    field("width", width);
    field("blocks_per_grain", blocksPerGrain);
    field("panels", panels);
  }
};

/// Rows are added up in chunks of as many, and then these: a function of their number alone, so
/// that no bit depends on what else is summed, or by how many.
int64_t rowsOfChunk(int64_t rows);

/// A group and how it is cut.
struct ColumnSection : ColumnGroup {
  // Its part of the sizes:
  int64_t width = 0, blocksPerGrain = 0;
  bool panels = false;

  int64_t chunks() const { return llvm::divideCeilSigned(rows(), rowsOfChunk(rows())); }
  int64_t blocks() const { return llvm::divideCeilSigned(columns, width); }
  int64_t wholeBlocks() const { return columns / width; }
  int64_t grains() const { return llvm::divideCeilSigned(blocks(), blocksPerGrain); }
  /// Whether a first launch sums chunks of the rows into launch scratch, and a second one these.
  bool inTwoLaunches() const { return panels && chunks() > 1; }
  /// Runs of whole blocks, each the work of one grain for each chunk.
  int64_t runs() const { return llvm::divideCeilSigned(wholeBlocks(), blocksPerGrain); }
  /// Whether one walk over the rows serves every reduction, and is long enough to pay for sums that
  /// are kept in memory, all of one type.
  bool mayUsePanels() const;
  /// The sums of all chunks of the whole blocks.
  int64_t chunkBytes() const;
  /// Grains of the first and of the second launch.
  int64_t firstGrains() const { return inTwoLaunches() ? runs() * chunks() : grains(); }
  int64_t secondGrains() const { return inTwoLaunches() ? grains() : 0; }

  void chooseSizes(KernelScheduler &kernel);
};

/// Results and reductions by width; none where some result is not made of sums of its width.
std::optional<std::vector<ColumnSection>> columnSections(mlir::func::FuncOp kernel);

/// The sections with the sizes of a launch; a failure has reported a located diagnostic.
llvm::LogicalResult readSections(mlir::func::FuncOp kernel, kernel::LaunchAttr launch,
                                 std::vector<ColumnSection> &sections);

constexpr int64_t rowsAtOnce = 4; ///< of a panel

} // namespace ingot
