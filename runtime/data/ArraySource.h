/// Batches from arrays in memory, a row an example.
#pragma once
#include "runtime/data/BatchSource.h"

namespace ingot {

struct NamedArray {
  std::string path; ///< for error messages
  Tensor value;
};

/// Reads .npy and IDX files (also .gz) that have the same number of rows.
Result<std::vector<NamedArray>> readArrays(std::span<const std::string> paths);

enum class RowOrder : uint8_t {
  Shuffled, ///< a new order each epoch, by seed
  File,     ///< as in the file; what `--batch=all` uses
};

struct ArrayOptions {
  RowOrder order = RowOrder::Shuffled;
  uint64_t seed = 0;
  double scale = 1; ///< multiplies what feeds floating-point inputs (not target and weights)
  /// Rows [firstRow, endRow) are used; endRow 0 means to the end.
  int64_t firstRow = 0, endRow = 0;
  bool allowNonFinite =
      false; ///< else NaN and infinity in an array are an error that names the place
  /// An epoch ends with a batch that its rows may not fill: the last row is repeated, `rowsOf` says
  /// how many count, and the weight of what is repeated is 0.
  bool fillsLastBatch = false;
};

/// The port of how much each target counts: without an array of its own it is 1 for all rows.
inline constexpr std::string_view weightsPort = "weights";

/// Array i feeds port i. A row may have another shape than the port's as long as it has as many
/// elements (IDX [N, 28, 28] feeds [B, 1, 28, 28]); elements are converted to the port's type.
class ArraySource final : public BatchSource {
public:
  /// Errors: other numbers of arrays, rows or elements than the ports want, fewer rows than one
  /// batch, integers beyond a port's limit, floats that are not finite.
  static Result<std::unique_ptr<ArraySource>>
  create(std::vector<NamedArray> arrays, std::vector<BatchPort> ports, const ArrayOptions &options);
  Status fill(int64_t step, Batch &batch) const override;
  int64_t batchesPerEpoch() const override;
  int64_t rowsOf(int64_t step) const override;

private:
  ArraySource(std::vector<NamedArray> arrays, std::vector<BatchPort> ports,
              const ArrayOptions &options, int64_t rowsUsed);
  Status fillRow(int64_t source, int64_t row, Batch &batch) const;

  std::vector<NamedArray> arrays;
  ArrayOptions options;
  int64_t rowsUsed, batchRows;
};

} // namespace ingot
