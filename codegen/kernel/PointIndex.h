/// Indices of tensor elements as sums of digits of loop variables.
#pragma once
#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <optional>
#include <utility>

namespace ingot {

/// What an index is made of: a scalar, a run of consecutive integers (one a lane), or one integer a
/// lane in a vector.
struct IndexVariable {
  enum class Kind : uint8_t { Uniform, Consecutive, Scattered };
  mlir::Value value; ///< an integer (lane 0's, if consecutive), or a vector of integers
  Kind kind = Kind::Uniform;
  int64_t extent = 0;   ///< 0 ≤ value < extent in every lane that counts
  bool aligned = false; ///< consecutive: lane 0 is a multiple of the number of lanes
  bool operator==(const IndexVariable &) const = default;
};

/// An integer that indexes a tensor: constant + Σ coefficient · ((variable / divisor) mod extent).
///
/// Reshapes, transposes and slices map such sums onto such sums, so that the address of an element
/// seen through a chain of views simplifies to what a hand-written loop would use: splitting n into
/// (n / 64, n mod 64) and joining the two again gives n.
class PointIndex {
public:
  struct Digit {
    IndexVariable variable;
    int64_t coefficient = 1, divisor = 1, extent = 1;
    bool operator==(const Digit &) const = default;
    /// True if nothing of variable / divisor is cut off by the modulus.
    bool full() const { return divisor * extent >= variable.extent; }
  };
  /// How the index changes from lane to lane.
  struct Lanes {
    bool affine = true; ///< lane l holds lane 0 + l · step
    int64_t step = 0;
  };

  PointIndex() = default;
  static PointIndex constant(int64_t value);
  /// A scalar in [0, extent).
  static PointIndex uniform(mlir::Value value, int64_t extent);
  /// value, value + 1, … over the lanes; `aligned` promises that value is a multiple of the lanes.
  static PointIndex consecutive(mlir::Value value, int64_t extent, bool aligned);
  /// A vector of integers.
  static PointIndex scattered(mlir::Value value, int64_t extent);

  PointIndex operator+(const PointIndex &other) const;
  PointIndex operator*(int64_t factor) const;
  bool operator==(const PointIndex &) const = default;

  /// Quotient and remainder by a positive constant where both are again sums of digits.
  std::optional<std::pair<PointIndex, PointIndex>> divide(int64_t divisor) const;
  /// Bounds, both inclusive.
  int64_t minimum() const;
  int64_t maximum() const;
  std::optional<int64_t> asConstant() const;
  Lanes overLanes(int64_t lanes) const;
  /// How many neighbouring lanes hold each integer of a run, if that is more than one: lane l holds
  /// lane 0 + l / number.
  std::optional<int64_t> lanesPerStep(int64_t lanes) const;
  /// Whether memory at these indices is read in runs: without gathers.
  bool isInOrder(int64_t lanes) const;
  /// True if lane 0's value is known to be a multiple of `factor`.
  bool isMultipleOf(int64_t factor, int64_t lanes) const;
  llvm::ArrayRef<Digit> digits() const { return terms; }
  int64_t offset() const { return base; }

  /// Lane 0's value as a scalar of `type`, which is that of all variables; every digit must be
  /// uniform or consecutive.
  mlir::Value scalar(mlir::OpBuilder &builder, mlir::Location location, mlir::Type type) const;
  /// All lanes as a vector of `type`.
  mlir::Value vector(mlir::OpBuilder &builder, mlir::Location location, mlir::Type type,
                     int64_t lanes) const;

private:
  static PointIndex ofDigit(const Digit &digit);
  void normalise();
  int64_t base = 0;
  llvm::SmallVector<Digit, 2> terms; // sorted, so that equal sums compare equal
};

/// Σ indices[i] · stride of dimension i of a row-major tensor.
PointIndex linearise(llvm::ArrayRef<PointIndex> indices, llvm::ArrayRef<int64_t> shape);

/// Quotient and remainder of an index; how they are formed is the caller's.
using DivideIndex =
    llvm::function_ref<std::pair<PointIndex, PointIndex>(const PointIndex &, int64_t)>;

/// The indices of a position in row-major order.
llvm::SmallVector<PointIndex> splitPosition(PointIndex position, llvm::ArrayRef<int64_t> shape,
                                            DivideIndex divide);

/// What an indexing map's expression is at these values of its dimensions.
PointIndex evaluateExpression(mlir::AffineExpr expression, llvm::ArrayRef<PointIndex> dimensions,
                              DivideIndex divide);

} // namespace ingot
