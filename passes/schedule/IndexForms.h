/// Indices of emitted code as linear forms, to compare them and to bound them.
#pragma once
#include "mlir/IR/Value.h"
#include "llvm/ADT/DenseMap.h"
#include <map>
#include <optional>
#include <vector>

namespace ingot {

/// constant + Σ coefficient · symbol; symbols by number.
struct IndexForm {
  std::map<unsigned, int64_t> terms;
  int64_t constant = 0;
  bool operator==(const IndexForm &) const = default;

  IndexForm plus(const IndexForm &other, int64_t factor = 1) const;
  IndexForm times(int64_t factor) const;
};

/// What a form can be, both inclusive; absent where nothing is known.
struct IndexRange {
  std::optional<int64_t> low, high;
};

/// Forms of the index values of one function. Equal computations on equal operands are one symbol,
/// however often they were emitted. Vectors of indices count by lane: the number of a lane is a
/// symbol too.
class IndexForms {
public:
  const IndexForm &of(mlir::Value value);
  IndexRange range(const IndexForm &form) const;

private:
  IndexForm build(mlir::Value value);
  unsigned symbol(std::vector<int64_t> key, IndexRange range);
  IndexForm single(std::vector<int64_t> key, IndexRange range);
  std::vector<int64_t> keyOf(llvm::StringRef what, llvm::ArrayRef<IndexForm> operands);
  IndexRange rangeOfLoop(mlir::BlockArgument variable);

  llvm::DenseMap<mlir::Value, IndexForm> forms;
  std::map<std::vector<int64_t>, unsigned> numbers;
  std::vector<IndexRange> ranges; ///< by symbol
};

} // namespace ingot
