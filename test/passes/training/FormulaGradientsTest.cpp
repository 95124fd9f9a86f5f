/// The formulas' gradients against PyTorch's in f64: at 0 and other edges, at large numbers,
/// infinities and NaN.
#include "ir/formulas/Formulas.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"
#include "test/golden/Formulas.h"
#include "test/ir/Testing.h"

using namespace mlir;

namespace ingot::testing {
namespace {

class FormulaGradients : public GraphTest {
protected:
  /// False for an operand that is only compared: nothing flows to it.
  static bool hasGradient(const RecordedFormula &recorded, size_t operand) {
    return recorded.name != "hinge_embedding" || operand == 0;
  }
  /// Gradients of the sum of all points.
  Tensors gradients(const RecordedFormula &recorded) {
    std::string count = std::to_string(recorded.value().size()), type = "tensor<" + count + "xf64>",
                arguments, names, numbers;
    Tensors operands;
    for (size_t operand = 0; operand < recorded.operands; ++operand) {
      std::string name = "x" + std::to_string(operand);
      arguments += (operand ? ", %" : "%") + name + ": " + type + " {graph.name = \"" + name +
                   "\", graph.role = \"" +
                   (hasGradient(recorded, operand) ? "parameter" : "input") + "\"}";
      names += (operand ? ", %" : "%") + name;
      operands.push_back(
          tensor(ElementType::F64, {int64_t(recorded.value().size())}, recorded.operand(operand)));
    }
    for (double parameter : recorded.parameters)
      numbers += (numbers.empty() ? "" : ", ") + fmt::format("{:.17e}", parameter);
    auto module = parse("func.func @evaluate(" + arguments +
                        ") -> (tensor<f64> {graph.name = \"loss\"}) {\n%y = graph.formula \"" +
                        recorded.name + "\"(" + names + ") [" + numbers + "] : " + type +
                        "\n%l = graph.reduce sum %y [0] : " + type +
                        " -> tensor<f64>\nreturn %l : tensor<f64>\n}");
    PassManager passes(&context);
    passes.addPass(createDifferentiate());
    EXPECT_TRUE(succeeded(passes.run(*module)));
    auto results = interpret(module->lookupSymbol<func::FuncOp>("gradients"), operands);
    EXPECT_TRUE(results) << (results ? "" : results.error().text());
    return results.value_or(Tensors());
  }
};

TEST_F(FormulaGradients, AreThoseRecorded) {
  // The tolerance is for constants that PyTorch holds as f32: hard_sigmoid's sixth, celu's alpha.
  for (const RecordedFormula &recorded : recordedFormulas()) {
    Tensors results = gradients(recorded);
    const size_t differentiated =
        hasGradient(recorded, recorded.operands - 1) ? recorded.operands : recorded.operands - 1;
    ASSERT_EQ(results.size(), differentiated + 1) << recorded.name;
    for (size_t operand = 0; operand < differentiated; ++operand)
      for (size_t row = 0; row < recorded.value().size(); ++row) {
        const double x = recorded.operand(0)[row];
        // Equal infinities share the gradient, as equal numbers do; PyTorch has NaN.
        if (recorded.name == "log_add_exp" && std::isinf(x) && x == recorded.operand(1)[row])
          continue;
        expectRecorded(results[operand + 1].as<double>()[row], recorded.gradient(operand)[row],
                       1e-7, recorded.point(row) + ", operand " + std::to_string(operand));
      }
  }
}

} // namespace
} // namespace ingot::testing
