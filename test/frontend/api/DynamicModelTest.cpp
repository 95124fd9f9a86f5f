#include "frontend/api/Ingot.h"
#include "frontend/api/ModelModule.h"
#include "frontend/api/RowStructure.h"
#include "frontend/onnx/Import.h"
#include "runtime/support/File.h"
#include "runtime/training/Checkpoint.h"
#include "test/frontend/onnx/OnnxBytes.h"
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

namespace ingot {
namespace {

using namespace onnx::test;
using onnx::OnnxFile;

DynamicOptions quick(Buckets buckets = Buckets::Off, int64_t most = 16) {
  DynamicOptions options;
  options.threads = 1;
  options.cache = options.tuned = false;
  options.buckets = buckets;
  options.mostPrograms = most;
  return options;
}

std::string written(const std::string &name, const std::string &bytes) {
  const std::string path = testing::TempDir() + name;
  EXPECT_TRUE(writeFile(path, bytes));
  return path;
}

DynamicModel opened(const Bytes &graph, const DynamicOptions &options = quick()) {
  static int number = 0;
  Result<DynamicModel> dynamic = DynamicModel::open(
      written(fmt::format("dynamic{}.onnx", number++), onnx::test::model(graph)), options);
  EXPECT_TRUE(dynamic) << dynamic.error().text();
  return *dynamic;
}

Tensor numbers(const Shape &shape, int seed = 1) {
  Tensor tensor(ElementType::F32, shape);
  for (int64_t i = 0; i < tensor.size(); ++i)
    tensor.as<float>()[i] = float((i * 37 + seed * 11) % 23 - 11) / 7;
  return tensor;
}

std::vector<float> valuesOf(const Tensor &tensor) {
  return {tensor.as<float>(), tensor.as<float>() + tensor.size()};
}

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

// Before the first run, too; what the trainer does afterwards stays.
TEST(DynamicModel, LoadsIntoTheStoreOfATrainer) {
  const OnnxFile file = open(onnx::test::model(layer(-1)));
  Result<Model> model = onnx::importModel(file, {.shapes = {{"x", {4, 3}}}});
  ModelTrainerOptions options;
  options.threads = 1;
  options.cache = false;
  Result<ModelTrainer> trainer = model->trainer(Loss::Mse, Sgd{.learningRate = 0.1}, options);
  ASSERT_TRUE(trainer) << trainer.error().text();
  DynamicOptions sharing = quick();
  sharing.store = trainer->store();
  DynamicModel dynamic = opened(layer(-1), sharing);
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
  const OnnxFile file = open(onnx::test::model(layer(-1)));
  Result<Model> model = onnx::importModel(file, {.shapes = {{"x", {4, 3}}}});
  ModelTrainerOptions options;
  options.threads = 1;
  options.cache = false;
  Result<ModelTrainer> trainer = model->trainer(Loss::Mse, Sgd{.learningRate = 0.1}, options);
  ASSERT_TRUE(trainer) << trainer.error().text();
  DynamicOptions sharing = quick();
  sharing.store = trainer->store();
  DynamicModel dynamic = opened(layer(-1), sharing);
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

//===--------------------------------------------------------------------------------------------===//
// Buckets
//===--------------------------------------------------------------------------------------------===//

bool sameBits(const Tensor &a, const Tensor &b) {
  return a.type() == b.type() && a.shape() == b.shape() &&
         std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

TEST(Buckets, ProgramsForPowersOfTwoGiveTheSameBits) {
  DynamicModel padded = opened(layer(-1), quick(Buckets::PowersOfTwo)), exact = opened(layer(-1));
  for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 11, 3, 7, 13})
    EXPECT_TRUE(sameBits(padded.run({{"x", numbers({rows, 3})}})->at("y"),
                         exact.run({{"x", numbers({rows, 3})}})->at("y")))
        << rows << " rows";
  EXPECT_EQ(exact.counts().compilations, 10);
  EXPECT_EQ(padded.counts().compilations, 5); // 1, 2, 4, 8, 16
  EXPECT_EQ(padded.counts().padded, 8);
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

TEST(Buckets, AreWhatIsPrepared) {
  DynamicModel dynamic = opened(layer(-1), quick(Buckets::PowersOfTwo));
  ASSERT_TRUE(dynamic.prepare({{"x", {3, 3}}}));
  EXPECT_EQ(dynamic.counts().compilations, 1);
  for (const int64_t rows : {3, 4})
    ASSERT_TRUE(dynamic.run({{"x", numbers({rows, 3})}}));
  EXPECT_EQ(dynamic.counts().compilations, 1);
}

// Shapes are looked at once, while their number is bounded.
TEST(Buckets, ProofsAreKept) {
  DynamicModel dynamic = opened(layer(-1), quick(Buckets::PowersOfTwo, 1));
  for (const int64_t rows : {3, 3, 4, 3})
    ASSERT_TRUE(dynamic.run({{"x", numbers({rows, 3})}}));
  EXPECT_EQ(dynamic.counts().proofs, 2);
  for (int64_t rows = 65; rows < 65 + 63; ++rows)
    ASSERT_TRUE(dynamic.run({{"x", numbers({rows, 3})}}));
  EXPECT_EQ(dynamic.counts().proofs, 65);
  ASSERT_TRUE(dynamic.run({{"x", numbers({3, 3})}})); // used after 4
  EXPECT_EQ(dynamic.counts().proofs, 65);
  ASSERT_TRUE(dynamic.run({{"x", numbers({4, 3})}}));
  EXPECT_EQ(dynamic.counts().proofs, 66);
}

Bytes onRows(const Bytes &node) {
  return Bytes().message(1, node).message(11, port("x", {-1, 3})).message(12, port("y", {-1, 3}));
}

// Off by default; on, a model whose rows see each other is refused at its node.
TEST(Buckets, RowsThatDependOnEachOtherAreRefused) {
  const Bytes mean =
      node("ReduceMean", {"x"}, {"y"}, "mean").message(5, integersAttribute("axes", {0}));
  const Bytes softmax =
      node("Softmax", {"x"}, {"y"}, "soft").message(5, integerAttribute("axis", 0));
  const Bytes sum = node("CumSum", {"x", "zero"}, {"y"}, "sum");
  const Bytes first = node("Slice", {"x", "zeros", "ones", "zeros"}, {"y"}, "first");
  const Bytes turned = node("Transpose", {"x"}, {"t"}, "turn");
  auto more = [](Bytes graph) {
    return graph.message(5, integers("zero", {}, {0}))
        .message(5, integers("zeros", {1}, {0}))
        .message(5, integers("ones", {1}, {1}));
  };
  const std::vector<std::pair<Bytes, std::string>> cases = {
      {onRows(mean), "mean"},
      {onRows(softmax), "soft"},
      {more(onRows(sum)), "sum"},
      {more(onRows(first)), "first"},
      // x / rows: a number that depends on how many there are.
      {onRows(node("Shape", {"x"}, {"s"}))
           .message(1, node("Cast", {"s"}, {"f"}).message(5, integerAttribute("to", f32)))
           .message(1, node("ReduceMax", {"f"}, {"m"}))
           .message(1, node("Div", {"x", "m"}, {"y"}, "share")),
       "depends on the number of rows"},
      // Every row with every other.
      {onRows(turned).message(1, node("MatMul", {"x", "t"}, {"y"}, "gram")), "gram"}};
  for (const auto &[graph, place] : cases) {
    const Tensors inputs = {{"x", numbers({5, 3})}};
    EXPECT_TRUE(opened(graph).run(inputs)) << place;
    DynamicModel refusing = opened(graph, quick(Buckets::PowersOfTwo));
    Result<Tensors> outputs = refusing.run(inputs);
    ASSERT_FALSE(outputs) << place;
    EXPECT_EQ(outputs.error().code, Error::Code::Unsupported);
    EXPECT_NE(outputs.error().text().find(place), std::string::npos) << outputs.error().text();
    EXPECT_NE(outputs.error().text().find("its batch cannot be padded"), std::string::npos);
    Result<Tensors> again = refusing.run(inputs);
    ASSERT_FALSE(again) << place;
    EXPECT_EQ(again.error().text(), outputs.error().text());
    EXPECT_EQ(refusing.counts().proofs, 1);
  }
  Result<Tensors> fixed =
      opened(layer(3), quick(Buckets::PowersOfTwo)).run({{"x", numbers({3, 3})}});
  ASSERT_FALSE(fixed);
  EXPECT_NE(fixed.error().text().find("no first dimension of its inputs is open"),
            std::string::npos);
}

/// A model of every number of rows.
using Make = std::function<Model(int64_t rows)>;

Tensors inputsOf(const Model &model, int64_t rows) {
  Tensors inputs;
  for (const ModelPort &port : model.ports())
    if (port.role == Role::Input) {
      Tensor tensor(port.type, port.shape);
      const int64_t each = tensor.size() / port.shape[0];
      for (int64_t i = 0; i < tensor.size(); ++i) {
        // Rows beyond `rows` repeat the last one.
        const int64_t at = std::min(i / each, rows - 1) * each + i % each;
        if (port.type == ElementType::F32)
          tensor.as<float>()[i] = std::sin(float(at * 31 % 101));
        else
          tensor.as<int32_t>()[i] = int32_t(at * 7 % 13);
      }
      inputs[port.name] = tensor;
    }
  return inputs;
}

Result<RowStructure> structureFor(const Make &make, int64_t rows, int64_t bucket) {
  const Model few = make(rows), many = make(bucket);
  auto exact = runStages(Stage::Graph, moduleOf(few), {}),
       padded = runStages(Stage::Graph, moduleOf(many), {});
  EXPECT_TRUE(exact && padded);
  return structureOf({**exact, **padded, rows, bucket});
}

/// Compares so many of four numbers of rows; others are no bucket's.
int expectSameBits(const Make &make, std::string_view what, int atLeast) {
  int compared = 0;
  for (const auto &[rows, bucket] :
       std::vector<std::pair<int64_t, int64_t>>{{3, 4}, {5, 8}, {7, 8}, {9, 16}}) {
    Result<RowStructure> structure = structureFor(make, rows, bucket);
    EXPECT_TRUE(structure) << what << ": " << structure.error().text();
    if (!structure || structure->mayRoundOtherwise)
      continue;
    ++compared;
    const Options options{.threads = 1, .cache = false, .tuned = false, .packWeights = false};
    const Model few = make(rows), many = make(bucket);
    Tensors exact = few.compile(options)->run(inputsOf(few, rows)).value(),
            padded = many.compile(options)->run(inputsOf(many, rows)).value();
    for (const auto &[name, value] : exact) {
      EXPECT_TRUE(structure->outputs.contains(name)) << what;
      EXPECT_EQ(structure->outputs[name], 0) << what;
      EXPECT_EQ(std::memcmp(value.data(), padded.at(name).data(), value.bytes()), 0)
          << what << ": " << name << ", " << rows << " rows in " << bucket;
    }
  }
  EXPECT_GE(compared, atLeast) << what;
  return compared;
}

Model built(const std::function<void(Builder &)> &fill) {
  Builder b;
  fill(b);
  return b.finish().value();
}

TEST(Buckets, FamiliesKeepRowsApart) {
  expectSameBits(
      [](int64_t rows) { return *Model::mlp({.layers = {40, 70, 33, 10}, .batch = rows}); }, "mlp",
      3);
  expectSameBits(
      [](int64_t rows) {
        return *Model::gpt({.layers = 1,
                            .heads = 4,
                            .width = 32,
                            .sequence = 24,
                            .vocabulary = 50,
                            .batch = rows});
      },
      "gpt", 3);
}

TEST(Buckets, ConvolutionsKeepImagesApart) {
  expectSameBits(
      [](int64_t rows) {
        return built([&](Builder &b) {
          auto x = b.input("x", ElementType::F32, {rows, 3, 14, 14});
          auto weight = [&](const char *name, Shape shape) {
            return b.parameter(name, shape, Initializer::normal(0.3));
          };
          auto h = b.relu(b.convolution(x, weight("w0", {24, 3, 3, 3}), weight("b0", {24}),
                                        {.low = {1, 1}, .high = {1, 1}}));
          h = b.groupNorm(h, 4, weight("s", {24}), weight("t", {24}));
          h = b.maxPool(h, {.sizes = {2, 2}, .strides = {2, 2}});
          h = b.convolution(h, weight("w1", {24, 1, 3, 3}), weight("b1", {24}), {.groups = 24});
          h = b.convolution(h, weight("w2", {40, 24, 1, 1}), weight("b2", {40}));
          h = b.softmax(b.mean(h, {2, 3}));
          b.output("y", b.linear(h, weight("w3", {10, 40}), weight("b3", {10})));
        });
      },
      "cnn", 2);
}

// Sums of few elements, or for few results, are what kernels walk in ways of their own.
TEST(Buckets, SmallSumsKeepRowsApart) {
  auto input = [](Builder &b, const char *name, Shape shape) {
    return b.input(name, ElementType::F32, std::move(shape));
  };
  auto weight = [](Builder &b, Shape shape) {
    return b.parameter("w", std::move(shape), Initializer::normal(0.3));
  };
  // Up to 16 sums may be made at once, whatever rows they are of.
  auto larger = [](int64_t sums) {
    return std::ranges::count_if(std::array{3, 5, 7, 9},
                                 [&](int rows) { return rows * sums > 16; });
  };
  for (const auto &[channels, side] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 2}, {2, 1}, {2, 3}})
    EXPECT_EQ(expectSameBits(
                  [&](int64_t rows) {
                    return built([&](Builder &b) {
                      b.output("y",
                               b.convolution(input(b, "x", {rows, channels, side, side}),
                                             weight(b, {channels, 1, 3, 3}), Builder::Value(),
                                             {.low = {1, 1}, .high = {1, 1}, .groups = channels}));
                    });
                  },
                  fmt::format("{} channels of side {}", channels, side), 0),
              larger(channels * side * side));
  for (const int64_t kept : {2, 6})
    EXPECT_EQ(expectSameBits(
                  [&](int64_t rows) {
                    return built([&](Builder &b) {
                      auto x = b.transpose(input(b, "x", {rows, 50, kept}), {0, 2, 1}),
                           y = b.transpose(input(b, "y", {rows, 50, kept}), {0, 2, 1});
                      b.output("z", b.sum(b.mul(x, y), {2}));
                    });
                  },
                  fmt::format("{} products of moved factors", kept), 0),
              larger(kept));
  for (const int64_t kept : {2, 6})
    EXPECT_EQ(expectSameBits(
                  [&](int64_t rows) {
                    return built([&](Builder &b) {
                      b.output("z", b.sum(b.mul(b.abs(b.mul(input(b, "x", {rows, kept, 50}),
                                                            weight(b, {kept, 50}))),
                                                input(b, "y", {rows, 1, 50})),
                                          {2}));
                    });
                  },
                  fmt::format("{} products of shared factors", kept), 0),
              larger(kept));
}

TEST(Buckets, LoopsAreNotFollowed) {
  Result<RowStructure> structure = structureFor(
      [](int64_t rows) {
        return built([&](Builder &b) {
          auto x = b.input("x", ElementType::F32, {rows, 4});
          b.output("y", b.loop(3, std::vector{x}, [&](Builder::Value, auto carried) {
            return std::vector{b.tanh(carried[0])};
          })[0]);
        });
      },
      3, 4);
  ASSERT_FALSE(structure);
  EXPECT_NE(structure.error().text().find("rows are not followed into loops"), std::string::npos);
}

} // namespace
} // namespace ingot
