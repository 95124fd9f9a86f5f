#include "frontend/onnx/Import.h"
#include "runtime/training/Checkpoint.h"
#include "test/frontend/api/DynamicModels.h"
#include <cstring>

namespace ingot::test {
namespace {

using namespace onnx::test;
using onnx::OnnxFile;

/// What a program that was imported and compiled for these inputs alone gives.
Tensors alone(const Bytes &graph, const Tensors &inputs) {
  onnx::ImportOptions options;
  for (const auto &[name, value] : inputs) {
    options.shapes[name] = value.shape();
    options.values[name] = value;
  }
  const OnnxFile file = open(onnx::test::model(graph));
  Result<Model> imported = onnx::importModel(file, options);
  EXPECT_TRUE(imported) << imported.error().text();
  return imported->compile({.threads = 1, .cache = false, .tuned = false, .packWeights = false})
      ->run(inputs)
      .value();
}

TEST(DynamicModel, ShapesHaveAProgramEachOverOneStore) {
  std::vector<std::string> told;
  DynamicOptions options = quick();
  options.onCompile = [&](const Specialisation &one) {
    told.push_back(fmt::format("{}: {}", one.number, one.what));
  };
  DynamicModel dynamic = opened(layer(-1), options);
  EXPECT_EQ(dynamic.ports()[0].shape, (Shape{-1, 3}));
  int64_t bytes = 0;
  for (const int64_t rows : {2, 5, 2, 1, 5, 1, 2}) {
    const Tensors inputs = {{"x", numbers({rows, 3}, int(rows))}};
    Result<Tensors> outputs = dynamic.run(inputs);
    ASSERT_TRUE(outputs) << outputs.error().text();
    EXPECT_EQ(outputs->at("y").shape(), (Shape{rows, 2}));
    EXPECT_EQ(valuesOf(outputs->at("y")), valuesOf(alone(layer(-1), inputs).at("y")));
    if (bytes == 0)
      bytes = dynamic.store()->bytes();
    EXPECT_EQ(dynamic.store()->bytes(), bytes) << "the weights are there once";
  }
  EXPECT_EQ(told, (std::vector<std::string>{"1: x: 2x3", "2: x: 5x3", "3: x: 1x3"}));
  EXPECT_EQ(dynamic.counts().runs, 7);
  EXPECT_EQ(dynamic.counts().compilations, 3);
  EXPECT_EQ(dynamic.programs(), 3);
}

TEST(DynamicModel, WhoeverIsToldOfACompilationMayCallTheModel) {
  std::optional<DynamicModel> dynamic;
  std::vector<int64_t> runs;
  DynamicOptions options = quick();
  options.onCompile = [&](const Specialisation &) {
    runs.push_back(dynamic->counts().runs);
    if (runs.size() == 1)
      EXPECT_TRUE(dynamic->run({{"x", numbers({3, 3})}}));
  };
  dynamic = opened(layer(-1), options);
  ASSERT_TRUE(dynamic->run({{"x", numbers({2, 3})}}));
  EXPECT_EQ(runs, (std::vector<int64_t>{1, 2}));
}

TEST(DynamicModel, WhatIsMissingOrDoesNotFitIsAnError) {
  for (const Buckets buckets : {Buckets::Off, Buckets::PowersOfTwo}) {
    Result<Tensors> missing = opened(layer(-1), quick(buckets)).run({});
    ASSERT_FALSE(missing);
    EXPECT_NE(missing.error().text().find("x: the input is missing"), std::string::npos);
  }
  DynamicModel dynamic = opened(layer(-1));
  Result<Tensors> wide = dynamic.run({{"x", numbers({2, 4})}});
  ASSERT_FALSE(wide);
  EXPECT_NE(wide.error().text().find("dimension 1 is 3 in the file, not 4"), std::string::npos);
  EXPECT_FALSE(dynamic.run({{"x", numbers({2, 3})}, {"z", numbers({2, 3})}}));
  EXPECT_EQ(dynamic.counts().compilations, 0);
  EXPECT_FALSE(DynamicModel::open(testing::TempDir() + "absent.onnx"));
  const Bytes words = Bytes()
                          .message(1, node("Identity", {"x"}, {"y"}))
                          .message(11, port("x", {-1}))
                          .message(12, port("y", {-1}, /*type=*/8));
  Result<DynamicModel> text = DynamicModel::open(written("text.onnx", onnx::test::model(words)));
  ASSERT_FALSE(text);
  EXPECT_NE(text.error().text().find("y: tensors of"), std::string::npos) << text.error().text();
  DynamicOptions none = quick(Buckets::Off, 0);
  EXPECT_FALSE(DynamicModel::open(written("none.onnx", onnx::test::model(layer(-1))), none));
}

TEST(DynamicModel, ShapesCanBePreparedAhead) {
  DynamicModel dynamic = opened(layer(-1));
  ASSERT_TRUE(dynamic.prepare({{"x", {4, 3}}}));
  EXPECT_EQ(dynamic.counts().compilations, 1);
  ASSERT_TRUE(dynamic.run({{"x", numbers({4, 3})}}));
  EXPECT_EQ(dynamic.counts().compilations, 1);
  const Status open = dynamic.prepare({});
  ASSERT_FALSE(open);
  EXPECT_NE(open.error().text().find("sizes that are known at run time only"), std::string::npos);
}

// The least recently used program makes room.
TEST(DynamicModel, KeepsSoManyPrograms) {
  DynamicModel dynamic = opened(layer(-1), quick(Buckets::Off, 2));
  auto compiled = [&](int64_t rows) {
    const int64_t before = dynamic.counts().compilations;
    const Tensors inputs = {{"x", numbers({rows, 3})}};
    EXPECT_EQ(valuesOf(dynamic.run(inputs)->at("y")), valuesOf(alone(layer(-1), inputs).at("y")));
    EXPECT_LE(dynamic.programs(), 2);
    return dynamic.counts().compilations - before;
  };
  std::vector<int64_t> counts;
  for (int64_t rows : {1, 2, 1, 3, 1, 2})
    counts.push_back(compiled(rows));
  EXPECT_EQ(counts, (std::vector<int64_t>{1, 1, 0, 1, 0, 1}));
  EXPECT_EQ(dynamic.counts().dropped, 2);
}

// Values that decide shapes are part of the key; others are not.
TEST(DynamicModel, ValuesThatDecideShapesHaveAProgramEach) {
  const Bytes graph = Bytes()
                          .message(1, node("Reshape", {"x", "to"}, {"y"}))
                          .message(11, port("x", {-1, 6}))
                          .message(11, port("to", {2}, i64))
                          .message(12, port("y", {-1, -1}));
  DynamicModel dynamic = opened(graph);
  for (const auto &[to, compilations] :
       std::vector<std::pair<Shape, int64_t>>{{{3, 4}, 1}, {{4, 3}, 2}, {{3, 4}, 2}}) {
    Tensor shape(ElementType::I64, {2});
    std::copy(to.begin(), to.end(), shape.as<int64_t>());
    for (int seed : {1, 2}) {
      Result<Tensors> outputs = dynamic.run({{"x", numbers({2, 6}, seed)}, {"to", shape}});
      ASSERT_TRUE(outputs) << outputs.error().text();
      EXPECT_EQ(outputs->at("y").shape(), to);
    }
    EXPECT_EQ(dynamic.counts().compilations, compilations);
  }
}

/// y = x · w or x · v: which, the number of rows decides.
Bytes twoBranches() {
  auto branch = [](const char *weight) {
    return Bytes()
        .message(1, node("MatMul", {"x", weight}, {"r"}))
        .text(2, weight)
        .message(12, port("r", {-1, 2}));
  };
  return Bytes()
      .message(1, node("Shape", {"x"}, {"s"}))
      .message(1, node("Gather", {"s", "first"}, {"rows"}))
      .message(1, node("Greater", {"rows", "two"}, {"many"}))
      .message(1, node("If", {"many"}, {"y"})
                      .message(5, graphAttribute("then_branch", branch("w")))
                      .message(5, graphAttribute("else_branch", branch("v"))))
      .message(5, integers("first", {}, {0}))
      .message(5, integers("two", {}, {2}))
      .message(5, floats("w", {3, 2}, {1, -1, 2, 0, 0.5f, 3}))
      .message(5, floats("v", {3, 2}, {4, 1, -2, 7, 1.5f, 2}))
      .message(11, port("x", {-1, 3}))
      .message(12, port("y", {-1, 2}));
}

TEST(DynamicModel, LaterProgramsBringParametersOfTheirOwn) {
  DynamicModel dynamic = opened(twoBranches());
  for (const int64_t rows : {1, 3, 2, 4}) {
    const Tensors inputs = {{"x", numbers({rows, 3})}};
    EXPECT_EQ(valuesOf(dynamic.run(inputs)->at("y")),
              valuesOf(alone(twoBranches(), inputs).at("y")));
  }
  EXPECT_EQ(dynamic.store()->names(), (std::vector<std::string>{"v", "w"}));
}

TEST(DynamicModel, CheckpointsAreForAllPrograms) {
  Checkpoint checkpoint;
  for (const char *name : {"v", "w"}) {
    Tensor ones(ElementType::F32, {3, 2});
    std::fill_n(ones.as<float>(), 6, name[0] == 'v' ? 1.f : 2.f);
    checkpoint.tensors[name] = ones;
  }
  const std::string path = testing::TempDir() + "dynamic.safetensors";
  ASSERT_TRUE(saveCheckpoint(path, checkpoint));
  Tensor ones(ElementType::F32, {1, 3}), many(ElementType::F32, {3, 3});
  std::fill_n(ones.as<float>(), 3, 1.f);
  std::fill_n(many.as<float>(), 9, 1.f);
  for (const bool isLate : {false, true}) {
    DynamicModel dynamic = opened(twoBranches());
    if (isLate)
      ASSERT_TRUE(dynamic.run({{"x", ones}}));
    const Status loaded = dynamic.load(path);
    ASSERT_TRUE(loaded) << loaded.error().text();
    EXPECT_EQ(valuesOf(dynamic.run({{"x", ones}})->at("y")), (std::vector<float>{3, 3}));
    EXPECT_EQ(valuesOf(dynamic.run({{"x", many}})->at("y")), std::vector<float>(6, 6.f));
  }
}

/// A checkpoint of constants for parameters [3, 2].
std::string constants(const std::string &name, const std::map<std::string, float> &values,
                      const Shape &shape = {3, 2}) {
  Checkpoint checkpoint;
  for (const auto &[parameter, value] : values) {
    Tensor tensor(ElementType::F32, shape);
    std::fill_n(tensor.as<float>(), tensor.size(), value);
    checkpoint.tensors[parameter] = tensor;
  }
  const std::string path = testing::TempDir() + name + ".safetensors";
  EXPECT_TRUE(saveCheckpoint(path, checkpoint));
  return path;
}

/// What `twoBranches` gives for ones, or the error. Up to two rows are multiplied by v.
std::string onOnes(DynamicModel &dynamic, int64_t rows) {
  Tensor ones(ElementType::F32, {rows, 3});
  std::fill_n(ones.as<float>(), ones.size(), 1.f);
  Result<Tensors> outputs = dynamic.run({{"x", ones}});
  return outputs ? fmt::format("{}", outputs->at("y").as<float>()[0]) : outputs.error().text();
}
constexpr const char *lacksV = "the checkpoint lacks 'v'";

TEST(DynamicModel, ParametersThatACheckpointLacksAreAnErrorInEveryRun) {
  DynamicModel dynamic = opened(twoBranches());
  ASSERT_TRUE(dynamic.load(constants("without", {{"w", 1}})));
  EXPECT_NE(onOnes(dynamic, 1).find(lacksV), std::string::npos);
  EXPECT_NE(onOnes(dynamic, 1).find(lacksV), std::string::npos);
  EXPECT_EQ(onOnes(dynamic, 3), "3");
  EXPECT_NE(onOnes(dynamic, 2).find(lacksV), std::string::npos); // a later program's
  ASSERT_TRUE(dynamic.load(constants("with", {{"v", 2}, {"w", 3}})));
  EXPECT_EQ(onOnes(dynamic, 1), "6");
  EXPECT_EQ(onOnes(dynamic, 3), "9");
}

TEST(DynamicModel, CheckpointsReachParametersOfDroppedPrograms) {
  DynamicModel dynamic = opened(twoBranches(), quick(Buckets::Off, 1));
  ASSERT_TRUE(dynamic.load(constants("a", {{"v", 1}, {"w", 2}})));
  EXPECT_EQ(onOnes(dynamic, 1), "3");
  EXPECT_EQ(onOnes(dynamic, 3), "6"); // v's program goes
  ASSERT_TRUE(dynamic.load(constants("b", {{"v", 4}, {"w", 5}})));
  EXPECT_EQ(onOnes(dynamic, 1), "12");
  EXPECT_EQ(onOnes(dynamic, 3), "15");
}

TEST(DynamicModel, ACheckpointThatDoesNotFitChangesNothing) {
  for (const std::string device : {"cpu", "reference"}) {
    DynamicOptions options = quick();
    options.device = device;
    DynamicModel dynamic = opened(twoBranches(), options);
    ASSERT_TRUE(dynamic.load(constants("good", {{"v", 1}, {"w", 2}})));
    EXPECT_EQ(onOnes(dynamic, 1), "3");
    EXPECT_FALSE(dynamic.load(constants("wide", {{"v", 4}, {"w", 5}}, {3, 4})));
    EXPECT_FALSE(dynamic.load(constants("other", {{"w", 5}})));
    EXPECT_EQ(onOnes(dynamic, 1), "3");
    EXPECT_EQ(onOnes(dynamic, 3), "6") << "of the first checkpoint, on " << device;
  }
}

/// Of batches of four.
Result<ModelTrainer> trainerOfLayer() {
  const OnnxFile file = open(onnx::test::model(layer(-1)));
  INGOT_ASSIGN(Model model, onnx::importModel(file, {.shapes = {{"x", {4, 3}}}}));
  ModelTrainerOptions options;
  options.threads = 1;
  options.cache = false;
  return model.trainer(Loss::Mse, Sgd{.learningRate = 0.1}, options);
}

/// The same layer over the trainer's store.
DynamicModel sharing(ModelTrainer &trainer) {
  DynamicOptions options = quick();
  options.store = trainer.store();
  return opened(layer(-1), options);
}

// Before the first run, too; what the trainer does afterwards stays.
TEST(DynamicModel, LoadsIntoTheStoreOfATrainer) {
  Result<ModelTrainer> trainer = trainerOfLayer();
  ASSERT_TRUE(trainer) << trainer.error().text();
  DynamicModel dynamic = sharing(*trainer);
  Checkpoint checkpoint;
  checkpoint.tensors["w"] = numbers({3, 2}, 7);
  checkpoint.tensors["b"] = numbers({2}, 8);
  const std::string path = testing::TempDir() + "shared.safetensors";
  ASSERT_TRUE(saveCheckpoint(path, checkpoint));
  ASSERT_TRUE(dynamic.load(path));
  EXPECT_EQ(valuesOf(*trainer->read("w")), valuesOf(checkpoint.tensors["w"]));
  ASSERT_TRUE(dynamic.run({{"x", numbers({2, 3})}}));
  EXPECT_EQ(valuesOf(*trainer->read("w")), valuesOf(checkpoint.tensors["w"]));
  ASSERT_TRUE(trainer->step({{"x", numbers({4, 3})}, {"targets", numbers({4, 2})}}));
  const std::vector<float> stepped = valuesOf(*trainer->read("w"));
  EXPECT_NE(stepped, valuesOf(checkpoint.tensors["w"]));
  ASSERT_TRUE(dynamic.run({{"x", numbers({3, 3})}}));
  EXPECT_EQ(valuesOf(*trainer->read("w")), stepped);
}

// A trainer's weights, read at other batches.
TEST(DynamicModel, SharesTheStoreOfATrainer) {
  Result<ModelTrainer> trainer = trainerOfLayer();
  ASSERT_TRUE(trainer) << trainer.error().text();
  DynamicModel dynamic = sharing(*trainer);
  for (int step = 0; step < 3; ++step) {
    const Tensors inputs = {{"x", numbers({4, 3}, step)}};
    ASSERT_TRUE(trainer->step({{"x", inputs.at("x")}, {"targets", numbers({4, 2})}}));
    Tensor first(ElementType::F32, {1, 3});
    std::memcpy(first.data(), inputs.at("x").data(), first.bytes());
    const std::vector<float> all = valuesOf(trainer->run(inputs)->at("y")),
                             one = valuesOf(dynamic.run({{"x", first}})->at("y"));
    EXPECT_FLOAT_EQ(one[0], all[0]);
    EXPECT_FLOAT_EQ(one[1], all[1]);
  }
  EXPECT_EQ(dynamic.counts().compilations, 1);
}

// Exporters write 0 for a size that they do not know.
TEST(DynamicModel, SizesWrittenAsZeroAreOpen) {
  for (const Buckets buckets : {Buckets::Off, Buckets::PowersOfTwo}) {
    DynamicModel dynamic = opened(layer(0), quick(buckets));
    const Status unknown = dynamic.prepare({});
    ASSERT_FALSE(unknown);
    EXPECT_NE(unknown.error().text().find("sizes that are known at run time only"),
              std::string::npos);
    ASSERT_TRUE(dynamic.prepare({{"x", {3, 3}}}));
    const Tensors inputs = {{"x", numbers({3, 3})}};
    Result<Tensors> outputs = dynamic.run(inputs);
    ASSERT_TRUE(outputs) << outputs.error().text();
    EXPECT_EQ(valuesOf(outputs->at("y")), valuesOf(alone(layer(-1), inputs).at("y")));
    EXPECT_EQ(dynamic.counts().compilations, 1);
  }
}

} // namespace
} // namespace ingot::test
