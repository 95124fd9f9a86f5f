/// What sm_90a has for contractions: barriers in shared memory, the copy engine's boxes, and
/// products of a warpgroup (128 threads) from shared memory, which go on by themselves.
#pragma once
#include "codegen/kernel/IndexCode.h"

namespace ingot {

constexpr int64_t warpgroupThreads = 128;
constexpr int64_t warpgroupRows = 64; ///< of a product
/// Bytes of a line of a factor's tile in shared memory, and of eight of them: a pattern, in which
/// runs of 16 bytes are exchanged by the number of the line.
constexpr int64_t lineBytes = 128, patternBytes = 1024;

/// Barriers of 8 bytes at an address in shared memory, an i32. A phase ends when as many threads as
/// `arrivals` have arrived and all bytes that they expect have come.
void initBarrier(IndexCode &code, mlir::Value barrier, int64_t arrivals);
/// Lets the copy engine see the barriers of this thread.
void publishBarriers(IndexCode &code);
void arrive(IndexCode &code, mlir::Value barrier);
void arriveExpecting(IndexCode &code, mlir::Value barrier, int64_t bytes);
/// Waits for the end of the phase of this parity, an i32.
void waitForPhase(IndexCode &code, mlir::Value barrier, mlir::Value parity);

/// Begins to copy the box of a map (a pointer to it) at these coordinates, i32s, innermost first.
void copyBox(IndexCode &code, mlir::Value shared, mlir::Value map, mlir::ValueRange coordinates,
             mlir::Value barrier);

/// Gives back registers of each thread of a warpgroup or takes them, up to `count`.
void limitRegisters(IndexCode &code, int64_t count);
void extendRegisters(IndexCode &code, int64_t count);

/// How a tile in shared memory is multiplied: lines of 64 elements along the depth, or along the
/// rows (columns) in blocks of 64 that lie `blockBytes` apart.
struct FactorLayout {
  bool alongDepth = true;
  int64_t blockBytes = 0;
};
/// Describes the tile at an address, an i32; descriptions of addresses that are so many bytes
/// further are `furtherBy` larger.
mlir::Value describe(IndexCode &code, mlir::Value shared, FactorLayout layout);
constexpr int64_t furtherBy(int64_t bytes) { return bytes / 16; }

/// Sums of a warpgroup's 64 rows, a record of f32: by 8 columns those of mma.sync's 16 rows a warp.
mlir::Value zeroSums(IndexCode &code, int64_t columns);
llvm::SmallVector<mlir::Value> sumsOf(IndexCode &code, mlir::Value record);
/// sums + left · right of a depth of 16.
mlir::Value multiplyWarpgroup(IndexCode &code, mlir::Type element, int64_t columns,
                              mlir::Value left, bool leftAlongDepth, mlir::Value right,
                              bool rightAlongDepth, mlir::Value sums);
/// Before products: what registers hold is final.
void beginProducts(IndexCode &code);
/// Makes a group of the products since the last one; waits until no more than `pending` groups go
/// on.
void commitProducts(IndexCode &code);
void waitForProducts(IndexCode &code, int64_t pending);

} // namespace ingot
