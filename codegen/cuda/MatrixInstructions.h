/// What a thread does around tensor cores: copies into shared memory that go on by themselves,
/// matrices from there into a warp's registers, and their products.
#pragma once
#include "codegen/kernel/IndexCode.h"
#include <array>

namespace ingot {

/// Rows and columns of a product's sums in a warp's registers, and its depth in bytes.
constexpr int64_t matrixRows = 16, matrixColumns = 8, matrixDepthBytes = 32;

/// The address of a part of shared memory, an i32.
mlir::Value sharedAddress(IndexCode &code, mlir::Value memory);
/// The address of memory that a kernel's argument is, a pointer.
mlir::Value globalAddress(IndexCode &code, mlir::Value memory);
/// `count` elements of `element` further than a pointer.
mlir::Value advance(IndexCode &code, mlir::Value pointer, mlir::Type element, mlir::Value count);

/// `offset` bytes behind an address in shared memory, an i32.
mlir::Value sharedPointer(IndexCode &code, mlir::Value address, int64_t offset = 0);

/// Begins to copy `bytes` (4, 8 or 16, aligned to as many) from global to shared memory. Of these
/// `count`, an i32, are read and the rest are zeros; null: all.
void copyToShared(IndexCode &code, mlir::Value shared, int64_t sharedOffset, mlir::Value global,
                  int64_t bytes, mlir::Value count);
/// Makes a group of the copies that this thread has begun since the last one.
void commitCopies(IndexCode &code);
/// Waits until no more than `pending` of this thread's groups are on their way.
void waitForCopies(IndexCode &code, int64_t pending);

/// A warp's four 8x8 matrices of 16-bit elements: lane i gives the address of row i mod 8 of matrix
/// i / 8. Each result holds two elements a lane, of row lane / 4 and columns 2 (lane mod 4) and the
/// next; `transposed`: of such a column and rows.
std::array<mlir::Value, 4> loadMatrices(IndexCode &code, mlir::Value shared, int64_t offset,
                                        bool transposed);
/// 32 bits of shared memory, `offset` bytes behind an address: an i32.
mlir::Value loadWord(IndexCode &code, mlir::Value shared, int64_t offset);
/// The bits of an f32, rounded to nearest to ten bits of mantissa, halves away from zero.
mlir::Value roundToTf32(IndexCode &code, mlir::Value bits);
/// sums + left · right, of bf16, f16 or, where `element` is f32, of tf32: `left` are the quarters
/// [0, 1] of a matrix of 16 rows over [2, 3] by columns, `right` the halves of the depth. Lane i
/// holds sums of row i / 4 and columns 2 (i mod 4) and the next, then those of row i / 4 + 8.
std::array<mlir::Value, 4> multiplyMatrices(IndexCode &code, mlir::Type element,
                                            mlir::ValueRange left, mlir::ValueRange right,
                                            mlir::ValueRange sums);

/// The loop of which `result` is one stays a loop: unrolled, it would take a multiple of its time
/// to assemble, and registers.
void neverUnroll(mlir::Value result);

} // namespace ingot
