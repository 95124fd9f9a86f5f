/// Compares a device with the reference on random inputs, and finds the op where they part.
#pragma once
#include "codegen/Compile.h"
#include "frontend/api/Model.h"
#include <functional>

namespace ingot {

struct CheckOptions {
  CompileOptions compile;
  std::string device = "cpu";
  int threads = 0;
  uint64_t seed = 0;
  double tolerance = 1e-4; ///< relative, in the Euclidean norm; of an op on its own
  /// Of whole functions. Where a value is rounded to bf16, sums that differ in the last bit of f32
  /// may round to neighbours.
  double functionTolerance = 1e-4;
  bool ops = true; ///< also every op on its own
};

/// One comparison.
struct CheckRow {
  std::string function; ///< of the program; `op` rows name the one that the op stands in
  std::string what;     ///< the output's name, or the op and its node
  double relative = 0;
  bool fine = true;
  std::string problem; ///< if it could not be compared: why
};

struct CheckReport {
  std::vector<CheckRow> outputs; ///< whole functions as they are compiled
  std::vector<CheckRow> ops;     ///< each distinct op compiled alone
  /// If a function is wrong: the first op whose value is wrong in the fused program, and the
  /// kernels that compute it.
  std::string culprit;
  std::vector<std::string> kernels;
  bool fine() const;
};

/// Every output of every function, then every distinct op; `progress` hears of each row. Errors:
/// the model does not compile, or the reference refuses it.
Result<CheckReport> checkModel(const Model &model, const CheckOptions &options,
                               const std::function<void(const CheckRow &)> &progress = {});

} // namespace ingot
