/// Random data for measuring: `--data=random`.
#pragma once
#include "runtime/data/BatchSource.h"

namespace ingot {

/// Integers are uniform in [0, limit) of their port (0 or 1 without a limit), floats in [-1, 1),
/// all by (seed, port, step, element).
class RandomSource final : public BatchSource {
public:
  /// Unsupported for ports that are neither f32, f64, i32 nor i64.
  static Result<std::unique_ptr<RandomSource>> create(std::vector<BatchPort> ports, uint64_t seed);
  Status fill(int64_t step, Batch &batch) const override;
  int64_t batchesPerEpoch() const override { return 0; }

private:
  RandomSource(std::vector<BatchPort> ports, uint64_t seed)
      : BatchSource(std::move(ports)), seed(seed) {}
  uint64_t seed;
};

} // namespace ingot
