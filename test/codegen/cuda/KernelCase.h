/// Kernels on the PTX machine, all checks on, against the reference and the CPU.
#pragma once
#include "ir/dialect/Graph.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "runtime/program/Program.h"
#include "runtime/training/Checkpoint.h"
#include <cstdlib>
#include <functional>
#include <gtest/gtest.h>
#include <random>

namespace ingot::test {

/// A model of stage `graph` whose @forward has these arguments, body and results.
struct Case {
  std::string name, text = {};
  std::string root = {};   ///< that some kernel of it must have; empty: any
  double tolerance = 0;    ///< against the reference, of the result's largest element
  bool isBitEqual = false; ///< to the CPU's
  int64_t indexLimit = 0;  ///< integer inputs are drawn below it; 0: from all that there are
  std::function<Case(std::mt19937_64 &)> drawn = {}; ///< gives a case of its own for each run
  std::vector<std::string> instructions = {};        ///< that the PTX for sm_80 must have
  std::vector<std::string> instructions90 = {};      ///< and that for sm_90a
  std::string option = {};                           ///< of targets: ",tf32"
  /// Gives inputs what is not drawn, by name.
  std::function<void(const std::string &, std::vector<double> &)> change = {};
};

void PrintTo(const Case &one, std::ostream *stream);

class CudaKernels : public testing::TestWithParam<Case> {
protected:
  void SetUp() override;
  /// Every result on every architecture.
  void check();

private:
  Tensor draw(const Port &port, std::mt19937_64 &random);
  std::vector<Tensor> runOnCpu(Program program);
  std::vector<Tensor> runOnGpu(const std::string &target);
  /// Elements may differ by the tolerance times `largest`.
  void compare(const Tensor &found, const Tensor &wanted, double largest);
  void record(const std::string &kind, const std::vector<std::string> &of,
              const std::vector<Tensor> &values);
  void saveRecord();

  Case test;
  std::unique_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::func::FuncOp function;
  std::vector<std::string> names, results;
  std::vector<Tensor> inputs, onCpu;
  /// INGOT_RECORD_KERNELS names the folder that gets programs, inputs and results of every case:
  /// what `./tools/dev gpu-check` takes to GPUs. Null: none.
  const char *const folder = std::getenv("INGOT_RECORD_KERNELS");
  std::vector<Program> programs;
  Checkpoint recorded;
};

/// `tensor<2x3xf32>`, and `_2_3` for names.
std::string shape(const std::vector<int64_t> &sizes, const std::string &type = "f32");
std::string sizesName(const std::vector<int64_t> &sizes);

/// @forward with inputs a, b, … of these types.
std::string model(const std::vector<std::string> &types, const std::string &body,
                  const std::string &result);

} // namespace ingot::test
