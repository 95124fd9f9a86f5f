/// Programs as JAX prints them, beside JAX's results: test/golden/record-stablehlo.
#include "frontend/api/Ingot.h"
#include "runtime/support/HalfFloat.h"
#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ingot {
namespace {

using Json = nlohmann::json;

const std::string folder = std::string(INGOT_SOURCE_DIR) + "/test/golden/stablehlo/";

const Json &recorded() {
  static const Json json = [] {
    std::ifstream file(folder + "recorded.json");
    EXPECT_TRUE(file);
    return Json::parse(file);
  }();
  return json;
}

Tensor tensorOf(const Json &given) {
  Tensor tensor(parseElementType(given["type"].get<std::string>()).value(),
                given["shape"].get<Shape>());
  int64_t at = 0;
  for (const Json &value : given["values"]) {
    if (tensor.type() == ElementType::F32)
      tensor.as<float>()[at] = value;
    else if (tensor.type() == ElementType::I32)
      tensor.as<int32_t>()[at] = value;
    else
      tensor.as<bool>()[at] = value;
    ++at;
  }
  return tensor;
}

Tensors inputsOf(const Model &model, const Json &given) {
  Tensors inputs;
  size_t next = 0;
  for (const ModelPort &port : model.ports())
    if (port.role == Role::Input)
      inputs[port.name] = tensorOf(given["inputs"][next++]);
  EXPECT_EQ(next, given["inputs"].size());
  return inputs;
}

void expectNear(const Tensor &actual, const Tensor &expected, const std::string &what) {
  ASSERT_EQ(actual.shape(), expected.shape()) << what;
  ASSERT_EQ(actual.type(), expected.type()) << what;
  double scale = 1e-6;
  for (int64_t i = 0; i < expected.size(); ++i)
    scale = std::max(scale, std::abs(loadElement(expected.type(), expected.data(), i)));
  for (int64_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(loadElement(actual.type(), actual.data(), i),
                loadElement(expected.type(), expected.data(), i),
                expected.type() == ElementType::F32 ? 1e-5 * scale : 0)
        << what << " " << i;
}

class Stablehlo : public testing::TestWithParam<const char *> {};

TEST_P(Stablehlo, RunsAsInJax) {
  const Json &given = recorded()[GetParam()];
  Result<Model> model = Model::load(folder + GetParam() + ".mlir");
  ASSERT_TRUE(model) << model.error().text();
  Result<CompiledProgram> program = model->compile({.threads = 1, .cache = false});
  ASSERT_TRUE(program) << program.error().text();
  Result<Tensors> results = program->run(inputsOf(*model, given));
  ASSERT_TRUE(results) << results.error().text();
  const size_t count = given["results"].size();
  EXPECT_EQ(results->size(), count);
  for (size_t i = 0; i < count; ++i)
    expectNear(results->at(count == 1 ? "result" : "result" + std::to_string(i)),
               tensorOf(given["results"][i]), std::string(GetParam()) + " " + std::to_string(i));
}

INSTANTIATE_TEST_SUITE_P(Programs, Stablehlo,
                         testing::Values("mlp", "transformer", "transformer-step", "scan",
                                         "scan-gradient", "others"),
                         [](const auto &info) {
                           std::string name = info.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(StablehloTraining, AnMlpTrainsAsInJax) {
  const Json &given = recorded()["mlp"];
  Model model = Model::load(folder + "mlp.mlir").value();
  std::vector<std::string> parameters;
  for (const ModelPort &port : model.ports())
    if (port.role == Role::Parameter)
      parameters.push_back(port.name);
  EXPECT_EQ(parameters.size(), 5u);
  ModelTrainerOptions options;
  options.threads = 1;
  options.cache = false;
  auto trainer = model.trainer(Loss::Mse, Sgd{.learningRate = given["rate"]}, options);
  ASSERT_TRUE(trainer) << trainer.error().text();
  Tensors batch = inputsOf(model, given);
  batch["targets"] = tensorOf(given["target"]);
  for (const double expected : given["losses"].get<std::vector<double>>())
    EXPECT_NEAR(trainer->step(batch).value(), expected, 1e-5 * expected);
}

TEST(StablehloErrors, AllOpsThatAreMissingAreOneError) {
  Result<Model> model = Model::parse(R"(module {
  func.func public @main(%arg0: tensor<3xf32>) -> tensor<3xf32> {
    %0 = stablehlo.cholesky %arg0, lower = true : tensor<3xf32>
    %1 = chlo.lgamma %0 : tensor<3xf32> -> tensor<3xf32>
    %2 = "stablehlo.fft"(%arg0) <{fft_type = #stablehlo<fft_type FFT>}> : (tensor<3xf32>) -> tensor<3xf32>
    return %1 : tensor<3xf32>
  }
})",
                                     "m.mlir");
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().text(), "m.mlir: 3 ops cannot be imported:\n"
                                  "  m.mlir:3:10 (stablehlo.cholesky): the op is not supported\n"
                                  "  m.mlir:4:10 (chlo.lgamma): the op is not supported\n"
                                  "  m.mlir:5:10 (stablehlo.fft): the op is not supported");
}

// What is cut off or changed is an error, or another program; never a crash.
TEST(StablehloErrors, DamagedTextIsRefused) {
  std::ifstream file(folder + "transformer-step.mlir");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  ASSERT_GT(text.size(), 1000u);
  for (size_t length = 1; length < text.size(); length += text.size() / 60)
    EXPECT_FALSE(Model::parse(text.substr(0, length), "cut"));
  for (size_t at = 97; at < text.size(); at += text.size() / 150) {
    std::string changed = text;
    changed[at] = "0x[]<>=:,%"[at % 10];
    Result<Model> model = Model::parse(changed, "changed");
    EXPECT_TRUE(model || !model.error().text().empty());
  }
}

} // namespace
} // namespace ingot
