/// Tensor-core arithmetic: the fragments of `mma.sync` and the product itself.
///
/// The rule of accumulation, for `mma` and `wgmma` alike: the sum starts at the addend and takes
/// the products in the order of k, each sum rounded to nearest even in the accumulator's type.
/// Products of f16, bf16, tf32 and f8 are exact in f32 (as long as they stay in its range); f64
/// rounds product and sum once together (fma); f16 accumulators sum in f32 and round once at the
/// end of the instruction; integer sums are exact, then wrap or (`.satfinite`) are clamped. A card
/// adds the products of one instruction with fewer bits in an order of its own, so it agrees within
/// a few f32 roundings of the largest product, not bit by bit.
#pragma once
#include "runtime/emulator/arithmetic/Numbers.h"
#include "runtime/emulator/ptx/Type.h"
#include <array>

namespace ingot::emulator {

enum class MatrixType : uint8_t { F16, BF16, TF32, F64, E4M3, E5M2, S8, U8, S4, U4 };
enum class Accumulator : uint8_t { F16, F32, F64, S32 };

/// Bits of one element.
int bitWidth(MatrixType type);

/// Registers of a warp: for each a pointer to the 32 bits of its 32 lanes.
using Registers = uint32_t *const *;
using ConstRegisters = const uint32_t *const *;

/// mma.sync.aligned.mMnNkK.row.col: D[m, n] = A[m, k] * B[k, n] + C[m, n], one warp.
struct MatrixMultiply {
  int m = 16, n = 8, k = 16;
  MatrixType a = MatrixType::F16, b = MatrixType::F16;
  Accumulator accumulator = Accumulator::F32; ///< of C and D
  bool saturate = false;                      ///< .satfinite, integers alone

  /// Whether the ISA has this shape of these types (dense; others are in SparseMultiply.h and
  /// MatrixForms.h).
  bool isSupported() const;
  /// Registers of each lane: 32 bits each, of f64 64 bits.
  int registersOfA() const;
  int registersOfB() const;
  int registersOfC() const;
  /// Multiplications and additions.
  int64_t operations() const { return 2 * int64_t(m) * n * k; }
};

/// Lanes hold the fragments in the ISA's layout. `d` may be `c`.
void multiply(const MatrixMultiply &shape, Registers d, ConstRegisters a, ConstRegisters b,
              ConstRegisters c);
/// The f64 shapes, whose registers have 64 bits.
void multiply(const MatrixMultiply &shape, double *const *d, const double *const *a,
              const double *const *b, const double *const *c);

/// Where register `index` of lane `lane` lies in a matrix with `rows` rows (the first of
/// `perRegister` neighbours along k or n): A and accumulators of 8 or 16 rows. B is an A of 8 rows,
/// transposed.
struct FragmentPlace {
  int row, column;
};
constexpr FragmentPlace placeInFragment(int rows, int perRegister, int lane, int index) {
  const int group = lane >> 2, member = lane & 3;
  const int block = rows == 16 ? index >> 1 : index;
  return {group + (rows == 16 ? 8 * (index & 1) : 0),
          member * perRegister + 4 * perRegister * block};
}
/// The accumulator that a type of an instruction names; nothing for other types.
std::optional<Accumulator> accumulatorType(Type type);

namespace matrix {

/// All elements of `count` packed little-endian words, as f32 (floats but f64) or integers.
void unpack(MatrixType type, const uint32_t *words, int count, float *out);
void unpack(MatrixType type, const uint32_t *words, int count, int32_t *out);

/// sums[m, n] += a[m, k] * b[k, n], row-major, by the rule above; n is a multiple of 8.
void accumulate(float *sums, const float *a, const float *b, int m, int n, int k);
void accumulate(double *sums, const double *a, const double *b, int m, int n, int k);
void accumulate(int64_t *sums, const int32_t *a, const int32_t *b, int m, int n, int k);

/// An accumulator's bits: rounded to f16 or canonical f32; wrapped or clamped integers.
uint32_t accumulatorBits(Accumulator type, float sum);
uint32_t accumulatorBits(int64_t sum, bool saturate);

} // namespace matrix

} // namespace ingot::emulator
