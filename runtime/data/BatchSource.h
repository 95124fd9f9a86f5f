/// Where the batches of training and evaluation come from.
#pragma once
#include "runtime/program/Program.h"
#include <span>

namespace ingot {

/// A port that a batch fills: the leading dimension is the batch's rows.
struct BatchPort {
  std::string name;
  ElementType type = ElementType::F32;
  Shape shape;
  int64_t limit = 0; ///< integers must lie in [0, limit): classes or vocabulary; 0: any value
};

/// Whether the amount of data in a batch is counted in tokens, else in examples: the first input
/// holds integers [rows, sequence].
bool countsTokens(const std::vector<BatchPort> &ports);

using Batch = std::vector<NamedTensor>;

/// The inputs and targets of a function, in order. `limit` is set on the integer ports that
/// have none of their own.
std::vector<BatchPort> batchPorts(const Function &function, int64_t limit = 0);

/// Batches as a pure function of the step, so that the position in the data is the step's number
/// and a resumed run reads what an uninterrupted one would have read. `fill` may be called from any
/// thread.
class BatchSource {
public:
  explicit BatchSource(std::vector<BatchPort> ports) : portList(std::move(ports)) {}
  virtual ~BatchSource() = default;
  const std::vector<BatchPort> &ports() const { return portList; }
  /// Tensors for `fill`, in the order of `ports`.
  Batch makeBatch() const;
  /// Writes the batch of a step (from 0) into tensors made by `makeBatch`.
  virtual Status fill(int64_t step, Batch &batch) const = 0;
  /// Batches that cover the data once; 0 where data never ends.
  virtual int64_t batchesPerEpoch() const = 0;
  /// How many of a step's rows are data; what follows fills the batch up and counts nothing.
  virtual int64_t rowsOf(int64_t) const {
    return portList[0].shape.empty() ? 1 : portList[0].shape[0];
  }

private:
  std::vector<BatchPort> portList;
};

/// Keeps the users of one seed apart.
enum class RandomStream : uint8_t {
  TextWindows = 1,
  ArrayOrder = 2,
  Sampling = 3,
  RandomData = 16
};

} // namespace ingot
