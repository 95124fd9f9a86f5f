/// Tiles of one factor of a contraction in shared memory, elements of 16 bits or f32, in the order
/// that tensor cores read without conflicts of banks.
#pragma once
#include "codegen/cuda/ContractionProduct.h"
#include "codegen/cuda/MatrixInstructions.h"

namespace ingot {

constexpr int64_t chunkBytes = 16; ///< what is moved at once at most

/// How tiles come into shared memory.
struct FactorReading {
  bool alongDepth =
      false;         ///< neighbours that are moved at once lie along the depth, else beside it
  int64_t lanes = 1; ///< how many
  bool isCopied =
      false; ///< as they lie in memory, while the block computes; else through registers

  template <typename Field> void fields(llvm::StringRef side, Field field) {
    field((side + "_along_depth").str(), alongDepth);
    field((side + "_lanes").str(), lanes);
    field((side + "_copied").str(), isCopied);
  }
  bool operator==(const FactorReading &) const = default;
};

/// The reading that moves most at once; `free` is the factor's size beside the depth.
FactorReading chooseFactorReading(mlir::func::FuncOp kernel, const ContractionProduct &product,
                                  const ContractionOperand &operand, int64_t free);

/// A tile is `tile` elements beside the depth by `depth` along it, both powers of two and multiples
/// of 16. It lies in lines along the direction in which it is read, and a line's runs of 16 bytes
/// are exchanged by the number of the line, so that those which are read at once lie in different
/// banks.
class FactorTiles {
public:
  /// `isLeft`: fragments are those of the left factor.
  FactorTiles(CudaKernel &kernel, const ContractionProduct &product, bool isLeft, int64_t tile,
              int64_t depth, FactorReading reading);

  /// True if the threads of a block can move tiles in whole lines.
  bool fits() const;

  /// `memory`: elements from a multiple of 1024 bytes on, of which each stage has its tile
  /// at byte `offset`. The block's tiles begin at `first`, beside the depth, in matrix `batch`.
  void place(mlir::Value memory, int64_t offset, mlir::Value batch, mlir::Value first);
  /// This warp multiplies what begins at `first`, a multiple of the power of two `count`, in tiles.
  void placeFragments(mlir::Value first, int64_t count);

  /// Where a thread reads tiles from `depth` on; those of the next depth.
  mlir::Value cursor(mlir::Value depth);
  mlir::Value next(mlir::Value cursor);
  /// Begins to move the tile at `depth`, of which `cursor` is, into the stage at byte `stage`, an
  /// i32. What lies outside the factor is zero. The values are for `finish`.
  llvm::SmallVector<mlir::Value> begin(mlir::Value cursor, mlir::Value depth, mlir::Value stage);
  llvm::SmallVector<mlir::Type> begunTypes();
  void finish(mlir::ValueRange begun, mlir::Value stage);

  /// What fragments of the stage at byte `stage` are read by.
  llvm::SmallVector<mlir::Value> addresses(mlir::Value stage);
  int64_t addressCount() const { return reading.alongDepth ? 1 : warpCount * elementBytes / 32; }
  /// Fragments at these addresses: each of 16 elements beside the depth, at step `step` of 32 bytes
  /// along it. Those of f32 are rounded to tf32.
  llvm::SmallVector<std::array<mlir::Value, 4>> fragments(mlir::ValueRange addresses, int64_t step);
  int64_t fragmentCount() const { return warpCount / 16; }

  /// False once something could not be emitted; the diagnostic is out then.
  bool ok() const { return !broken; }

private:
  int64_t lines() const { return reading.alongDepth ? tile : depth; }
  int64_t lineLength() const { return reading.alongDepth ? depth : tile; }
  int64_t lineBytes() const { return lineLength() * elementBytes; }
  int64_t chunkLength() const { return chunkBytes / elementBytes; }
  int64_t chunks() const { return lineLength() / chunkLength(); } ///< of a line
  bool readsWords() const { return elementBytes == 4 && !reading.alongDepth; }
  int64_t runsOfLine() const { return lineLength() / reading.lanes; }
  int64_t runs() const { return lines() * runsOfLine(); }
  int64_t turns() const { return llvm::divideCeilSigned(runs(), kernel.threads); }
  int64_t linesOfTurn() const { return kernel.threads / runsOfLine(); }
  const ContractionOperand &operand() const { return isLeft ? product.left : product.right; }
  int64_t free() const { return isLeft ? product.rows : product.columns; }

  mlir::Value narrow(mlir::Value index);
  mlir::Value exchange(mlir::Value a, mlir::Value b);
  mlir::Value phase(mlir::Value line);
  mlir::Value sharedOffset(mlir::Value line, mlir::Value along);
  mlir::Value line(int64_t turn) { return code.add(ownLine, turn * linesOfTurn()); }
  mlir::Value freeIndex(int64_t turn) {
    return code.add(first, reading.alongDepth ? line(turn) : ownAlong);
  }
  mlir::Value depthIndex(mlir::Value from, int64_t turn) {
    return code.add(from, reading.alongDepth ? ownAlong : line(turn));
  }
  void forTurns(llvm::function_ref<void(int64_t)> body);
  mlir::Value source(mlir::Value cursor, int64_t turn);
  mlir::Value inside(mlir::Value depth, int64_t turn);
  mlir::Value compute(mlir::Value depth, int64_t turn);
  std::array<mlir::Value, 4> words(mlir::ValueRange addresses, int64_t step);

  CudaKernel &kernel;
  IndexCode &code;
  IndexCode narrowCode; ///< of addresses in shared memory
  const ContractionProduct &product;
  const bool isLeft;
  const int64_t tile, depth;
  const FactorReading reading;
  mlir::Type element;
  const int64_t elementBytes;
  mlir::Value memory, shared; ///< and its address with the tile's offset
  int64_t offset = 0;
  mlir::Value batch, first, ownLine, ownAlong;
  mlir::Value global; ///< address of the block's matrix
  llvm::SmallVector<mlir::Value> destinations, frees, freeOffsets; ///< by turn
  mlir::Value fragmentBase;
  int64_t warpCount = 0;
  bool broken = false;
};

} // namespace ingot
