/// Which ops keep the rows of a batch apart.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "runtime/support/Result.h"
#include <map>

namespace ingot {

/// Two modules of stage graph, of one model with `rows` and with `bucket` rows.
struct RowGraphs {
  mlir::ModuleOp exact, padded;
  int64_t rows = 0, bucket = 0;
};

struct RowStructure {
  /// The dimension of each output that has rows, by name.
  std::map<std::string, int64_t> outputs;
  /// A sum of some op might be added up in another order for the other number of rows, since its
  /// kernel walks it otherwise.
  bool mayRoundOtherwise = false;
};

/// Unsupported, with the node as place, unless each row of every output follows from the same row
/// of the inputs by the same arithmetic, whatever the other rows are and however many.
Result<RowStructure> structureOf(const RowGraphs &graphs);

} // namespace ingot
