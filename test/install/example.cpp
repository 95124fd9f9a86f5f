#include <ingot/Ingot.h>

int main() {
  using namespace ingot;
  Builder b;
  auto x = b.input("x", ElementType::F32, {8, 4});
  auto hidden = b.relu(b.linear(x, b.parameter("in", {16, 4}, Initializer::normal(0.5))));
  b.output("y", b.linear(hidden, b.parameter("out", {1, 16}, Initializer::normal(0.25))));

  Result<Model> model = b.finish();
  Result<ModelTrainer> trainer = model.and_then(
      [](const Model &m) { return m.trainer(Loss::Mse, AdamW{.learningRate = 0.02}); });
  if (!trainer)
    return fmt::print(stderr, "{}\n", trainer.error().text()), 1;

  Tensor inputs(ElementType::F32, {8, 4}), targets(ElementType::F32, {8, 1});
  for (int i = 0; i < 32; ++i) // Learn the sum of four numbers.
    targets.as<float>()[i / 4] += inputs.as<float>()[i] = float(i * 7 % 11) / 11;
  for (int step = 0; step < 100; ++step)
    if (Result<float> loss = trainer->step({{"x", inputs}, {"targets", targets}}); step % 33 == 0)
      fmt::print("step {} loss {:.4f}\n", step, loss.value());
  std::string ir = trainer->ir("kernels").value();
  fmt::print("{}", ir.substr(ir.find("func.func"), 200));
}
