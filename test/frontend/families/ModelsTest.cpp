#include "frontend/families/Models.h"
#include <gtest/gtest.h>
#include <map>

namespace ingot {
namespace {

std::map<std::string, ModelPort> portsByName(const Model &model) {
  std::map<std::string, ModelPort> ports;
  for (const ModelPort &port : model.ports())
    ports[port.name] = port;
  return ports;
}

GptSizes preset(std::string_view name) {
  for (const GptPreset &preset : gptPresets())
    if (preset.name == name)
      return preset.sizes;
  ADD_FAILURE() << "no preset " << name;
  return {};
}

TEST(Models, presetsHaveGpt2sParameterCounts) {
  const std::pair<std::string_view, int64_t> counts[] = {{"gpt2", 124'439'808},
                                                         {"gpt2-medium", 354'823'168},
                                                         {"gpt2-large", 774'030'080},
                                                         {"gpt2-xl", 1'557'611'200}};
  for (auto [name, count] : counts) {
    Result<Model> model = buildGpt(preset(name));
    ASSERT_TRUE(model) << model.error().text();
    EXPECT_EQ(model->parameterCount(), count) << name;
  }
}

TEST(Models, gptNamesAndShapesAreGpt2s) {
  Result<Model> model =
      buildGpt({.layers = 2, .heads = 2, .width = 8, .sequence = 5, .vocabulary = 11, .batch = 3});
  ASSERT_TRUE(model) << model.error().text();
  auto ports = portsByName(*model);
  EXPECT_EQ(ports.size(), 2u + 2 + 12 * 2 + 2);
  EXPECT_EQ(ports["tokens"].role, Role::Input);
  EXPECT_EQ(ports["tokens"].type, ElementType::I32);
  EXPECT_EQ(ports["tokens"].shape, (Shape{3, 5}));
  EXPECT_EQ(ports["logits"].role, Role::Output);
  EXPECT_EQ(ports["logits"].shape, (Shape{3, 5, 11}));
  EXPECT_EQ(ports["wte.weight"].shape, (Shape{11, 8}));
  EXPECT_EQ(ports["wpe.weight"].shape, (Shape{5, 8}));
  EXPECT_EQ(ports["h.1.attn.c_attn.weight"].shape, (Shape{24, 8}));
  EXPECT_EQ(ports["h.1.attn.c_attn.weight"].initializer, "normal:0.02");
  EXPECT_EQ(ports["h.0.attn.c_proj.weight"].initializer, "normal:0.01");
  EXPECT_EQ(ports["h.0.mlp.c_proj.weight"].initializer, "normal:0.01");
  EXPECT_EQ(ports["h.0.mlp.c_proj.bias"].initializer, "constant:0");
  EXPECT_EQ(ports["h.0.mlp.c_fc.weight"].shape, (Shape{32, 8}));
  EXPECT_EQ(ports["ln_f.weight"].initializer, "constant:1");
  EXPECT_EQ(ports["ln_f.weight"].role, Role::Parameter);
}

TEST(Models, mlpFollowsPyTorchsLinear) {
  Result<Model> model = buildMlp({.layers = {16, 4, 3}, .batch = 7});
  ASSERT_TRUE(model) << model.error().text();
  auto ports = portsByName(*model);
  EXPECT_EQ(ports["x"].shape, (Shape{7, 16}));
  EXPECT_EQ(ports["layers.0.weight"].shape, (Shape{4, 16}));
  EXPECT_EQ(ports["layers.0.weight"].initializer, "uniform:0.25");
  EXPECT_EQ(ports["layers.1.bias"].initializer, "uniform:0.5");
  EXPECT_EQ(ports["logits"].shape, (Shape{7, 3}));
  EXPECT_EQ(model->operationCount(), 3);
}

TEST(Models, wrongSizesNameTheirField) {
  Result<Model> uneven = buildGpt({.heads = 5, .width = 64});
  ASSERT_FALSE(uneven);
  EXPECT_EQ(uneven.error().text(), "GptSizes::width: 64 does not divide into 5 heads");
  EXPECT_EQ(uneven.error().code, Error::Code::Usage);
  EXPECT_EQ(buildGpt({.batch = 0}).error().place, "GptSizes::batch");
  EXPECT_EQ(buildMlp({.layers = {3}}).error().place, "MlpSizes::layers");
  EXPECT_EQ(buildMlp({.layers = {3, -1}}).error().place, "MlpSizes::layers");
}

TEST(Models, sizesThatNoMachineHasAreRefused) {
  EXPECT_EQ(buildGpt({.layers = 1 << 17}).error().text(),
            "GptSizes::layers: 131072 is not a size from 1 to 2048");
  Result<Model> wide = buildGpt({.heads = 1, .width = int64_t(1) << 31});
  ASSERT_FALSE(wide);
  EXPECT_EQ(wide.error().text().substr(0, 53),
            "wte.weight: shape 50257x2147483648 has more than 64 T");
  Result<Model> batch = buildGpt({.batch = int64_t(1) << 31});
  ASSERT_FALSE(batch);
  EXPECT_NE(batch.error().text().find("wte: embedding("), std::string::npos)
      << batch.error().text();
  EXPECT_NE(batch.error().text().find("has more than 64 TiB"), std::string::npos);
}

TEST(Models, textRoundTrips) {
  Result<Model> model =
      buildGpt({.layers = 1, .heads = 2, .width = 8, .sequence = 4, .vocabulary = 9, .batch = 2});
  ASSERT_TRUE(model) << model.error().text();
  Result<Model> parsed = Model::parse(model->text(true));
  ASSERT_TRUE(parsed) << parsed.error().text();
  EXPECT_EQ(parsed->text(true), model->text(true));
  EXPECT_EQ(parsed->metadata(), model->metadata());
}

} // namespace
} // namespace ingot
