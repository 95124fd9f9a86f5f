/// The formulas as compiled code against PyTorch's values: f32, at infinities and NaN too.
#include "test/golden/Formulas.h"
#include "frontend/api/Ingot.h"

namespace ingot::testing {
namespace {

/// Within a few roundings of f32; where f64's value overflows f32, infinity.
TEST(CompiledFormulas, ValuesAreThoseRecorded) {
  std::vector<RecordedFormula> all = recordedFormulas();
  for (const RecordedFormula &recorded : all) {
    const int64_t count = recorded.value().size();
    std::string type = fmt::format("tensor<{}xf32>", count), numbers, names, arguments;
    Tensors inputs;
    for (size_t operand = 0; operand < recorded.operands; ++operand) {
      std::string name = fmt::format("x{}", operand);
      names += (operand ? ", %" : "%") + name;
      arguments += fmt::format("{}%{}: {} {{graph.name = \"{}\", graph.role = \"input\"}}",
                               operand ? ", " : "", name, type, name);
      Tensor values(ElementType::F32, {count});
      for (int64_t row = 0; row < count; ++row)
        values.as<float>()[row] = float(recorded.operand(operand)[row]);
      inputs.emplace(name, values);
    }
    for (double parameter : recorded.parameters)
      numbers += fmt::format("{}{:.17e}", numbers.empty() ? "" : ", ", parameter);
    auto model = Model::parse(fmt::format(
        "func.func @forward({}) -> ({} {{graph.name = \"y\"}}) {{\n  %y = graph.formula "
        "\"{}\"({}) [{}] : {}\n  return %y : {}\n}}",
        arguments, type, recorded.name, names, numbers, type, type));
    ASSERT_TRUE(model) << model.error().text();
    auto program = model->compile();
    ASSERT_TRUE(program) << program.error().text();
    auto outputs = program->run(inputs);
    ASSERT_TRUE(outputs) << outputs.error().text();
    for (int64_t row = 0; row < count; ++row) {
      double expected = recorded.value()[row];
      bool isHeld = true; // what is not a number of f32, or overflows there, is not compared
      for (size_t operand = 0; operand < recorded.operands; ++operand)
        isHeld &= std::isinf(recorded.operand(operand)[row]) ||
                  !(std::fabs(recorded.operand(operand)[row]) > 1e18);
      if (isHeld)
        expectRecorded(outputs->at("y").as<float>()[row], expected, 1e-6, recorded.point(row));
    }
  }
}

} // namespace
} // namespace ingot::testing
