/// `wgmma.mma_async`: matrix descriptors, operands in shared memory, and one warp's quarter of the
/// product. The rule of accumulation is that of MatrixMultiply.h, the sparse form (.sp) that of
/// SparseMultiply.h.
#pragma once
#include "runtime/emulator/arithmetic/SparseMultiply.h"
#include <span>
#include <vector>

namespace ingot::emulator {

/// Which address bits are exchanged so that columns of a tile lie in different banks: within
/// patterns of 8 rows of `span` bytes, the 16-byte chunk number is xored with the row number.
enum class Swizzle : uint8_t { None, Bytes32, Bytes64, Bytes128 };

/// Bytes of a row of the pattern; 16 without one.
constexpr uint32_t swizzleSpan(Swizzle swizzle) { return 16u << static_cast<int>(swizzle); }

/// The address where a byte lies; `base` is where the pattern starts, modulo 8 rows of 128 bytes.
constexpr uint32_t swizzled(Swizzle swizzle, uint32_t address, uint32_t baseOffset = 0) {
  const uint32_t rows = (address >> 7) - baseOffset;
  return address ^ (rows & (swizzleSpan(swizzle) / 16 - 1)) << 4;
}

/// The 64-bit description of an operand in shared memory; offsets in bytes.
struct MatrixDescriptor {
  uint32_t start = 0, leading = 0, stride = 0;
  uint32_t baseOffset = 0; ///< of the pattern, in rows of 128 bytes
  Swizzle swizzle = Swizzle::None;

  static MatrixDescriptor decode(uint64_t bits);
  uint64_t encode() const;

  /// Addresses of the 16-byte chunks that hold rows [first, first + rows) of an operand of `bytes`
  /// bytes along k, 32 or (B of a sparse product) 64. K-major: [row][16 bytes along k]. MN-major
  /// (`transposed`; 16-bit elements): [k][block of 8 rows].
  std::vector<uint32_t> chunks(bool transposed, int first, int rows, int bytes = 32) const;
};

/// wgmma.mma_async.sync.aligned.m64nNkK: D[64, n] = A[64, k] * B[k, n] (+ D).
struct WarpgroupMultiply {
  int n = 8;
  MatrixType a = MatrixType::F16, b = MatrixType::F16;
  Accumulator accumulator = Accumulator::F32;
  bool addsD = true; ///< scale-d
  bool negateA = false, negateB = false;
  bool transposeA = false, transposeB = false; ///< MN-major in shared memory
  bool saturate = false;                       ///< .satfinite, integers alone
  bool sparse = false;                         ///< A holds half of its elements
  int selector = 0;                            ///< sparse: which lanes of four hold the metadata

  /// Whether the ISA has these types, shape and modifiers.
  bool isSupported() const;
  /// What is stored of A is 32 bytes along k.
  int storedK() const { return 256 / bitWidth(a); }
  int k() const { return sparse ? 2 * storedK() : storedK(); }
  int bytesOfB() const { return sparse ? 64 : 32; } ///< along k
  /// A warp's rows of a sparse A, as mma.sp has them.
  SparseMultiply sparseRows() const {
    return {.shape = {.k = k(), .a = a, .b = b, .accumulator = accumulator}, .selector = selector};
  }
  /// Registers of D in each lane.
  int registersOfD() const { return n / (accumulator == Accumulator::F16 ? 4 : 2); }
  int64_t operations() const { return 2 * int64_t(64) * n * k(); }
};

/// One warp's 16 rows of D and A. A is in its 4 registers where `aChunks` is null; chunks are 16
/// bytes each, in the order of MatrixDescriptor::chunks.
struct WarpgroupPart {
  Registers d = nullptr;
  ConstRegisters a = nullptr;
  const uint8_t *aChunks = nullptr;
  const uint32_t *metadata = nullptr; ///< sparse: of 32 lanes
};

/// The products of some warps with the same B. False if metadata is invalid, see SparseMultiply.h.
bool multiply(const WarpgroupMultiply &shape, std::span<const WarpgroupPart> parts,
              const uint8_t *bChunks);

} // namespace ingot::emulator
