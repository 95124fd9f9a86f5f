/// Files that are cut off, changed or made to hurt: an error or a model, never a crash.
#include "frontend/onnx/Import.h"
#include "runtime/support/File.h"
#include "test/frontend/onnx/OnnxBytes.h"
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <limits>
#include <random>

namespace ingot::onnx {
namespace {

using namespace test;

std::string problem(const std::string &bytes) {
  Result<OnnxFile> file = OnnxFile::parse(bytes, "m.onnx");
  if (!file)
    return file.error().text();
  Result<Model> imported = importModel(*file);
  return imported ? "" : imported.error().text();
}

/// mnist-8.onnx where it is there, else a layer.
std::string sample() {
  const char *folder = std::getenv("INGOT_TEST_DATA");
  Result<std::string> file =
      readFile(fmt::format("{}/mnist/mnist-8.onnx", folder ? folder : "../shared/data"));
  return file ? *file : model(layer());
}

TEST(OnnxDamaged, CutOffFilesAreErrors) {
  const std::string whole = model(layer());
  EXPECT_EQ(problem(whole), "");
  for (size_t size = 0; size < whole.size(); ++size)
    if (std::string found = problem(whole.substr(0, size)); found.empty())
      EXPECT_GT(size, whole.size() - 8) << size; // the opset alone may be missing a zero byte
}

TEST(OnnxDamaged, MutationsEndInAnErrorOrAModel) {
  const std::string whole = sample();
  std::mt19937_64 random(17);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = whole;
    const size_t changes = 1 + random() % 8;
    for (size_t i = 0; i < changes; ++i) {
      const size_t place = random() % bytes.size();
      switch (random() % 4) {
      case 0:
        bytes[place] = char(random());
        break;
      case 1:
        bytes[place] = char(bytes[place] ^ 1 << random() % 8);
        break;
      case 2:
        bytes.erase(place, 1 + random() % 64);
        break;
      case 3:
        bytes.insert(place, bytes.substr(random() % bytes.size(), random() % 64));
        break;
      }
      if (bytes.empty())
        break;
    }
    problem(bytes); // no crash, no hang
  }
}

//===--------------------------------------------------------------------------------------------===//
// Nodes whose numbers do not fit
//===--------------------------------------------------------------------------------------------===//

struct Damage {
  std::string name, refusal;
  Bytes node;
  Shape x = {2, 3};
  std::vector<Bytes> initializers = {};
  int64_t opset = 18;
};

void PrintTo(const Damage &damage, std::ostream *out) { *out << damage.name; }

Bytes with(Bytes node, const std::vector<Bytes> &attributes) {
  for (const Bytes &attribute : attributes)
    node.message(5, attribute);
  return node;
}

Bytes scanBody() {
  return Bytes()
      .message(1, node("Identity", {"row"}, {"same"}))
      .message(11, port("row", {3}))
      .message(12, port("same", {3}));
}

/// Counts to where the condition, which stays true, or the trip count end it.
Bytes countingBody() {
  return Bytes()
      .message(1, node("Identity", {"go"}, {"on"}))
      .message(1, node("Identity", {"carried"}, {"next"}))
      .message(11, port("i", {}, i64))
      .message(11, port("go", {}, 9))
      .message(11, port("carried", {2, 3}))
      .message(12, port("on", {}, 9))
      .message(12, port("next", {2, 3}));
}

std::vector<Damage> damages() {
  const int64_t most = std::numeric_limits<int64_t>::max();
  const Bytes lstm = node("LSTM", {"x", "w", "r"}, {"y"});
  auto zeros = [](std::string_view name, const Shape &shape) {
    return floats(name, shape, std::vector<float>(size_t(elementCount(shape))));
  };
  const Bytes w = zeros("w", {1, 8, 3}), r = zeros("r", {1, 8, 2});
  const Bytes biased = node("LSTM", {"x", "w", "r", "b"}, {"y"});
  const Bytes stateful = node("LSTM", {"x", "w", "r", "", "", "h"}, {"y"});
  const Bytes peeping = node("LSTM", {"x", "w", "r", "", "", "", "", "p"}, {"y"});
  const Bytes counted = node("LSTM", {"x", "w", "r", "", "n"}, {"y"});
  const char *unfit = "has not the shape that it needs";
  const Bytes loop =
      with(node("Loop", {"m", "", "x"}, {"y"}), {graphAttribute("body", countingBody())});
  const Bytes endless =
      with(node("Loop", {"", "", "x"}, {"y"}), {graphAttribute("body", countingBody())});
  auto scan = [](int64_t axis) {
    return with(node("Scan", {"x"}, {"y"}),
                {integerAttribute("num_scan_inputs", 1), graphAttribute("body", scanBody()),
                 integersAttribute("scan_output_axes", {axis})});
  };
  auto pad = [](std::string_view mode) {
    return with(node("Pad", {"x", "p"}, {"y"}), {textAttribute("mode", mode)});
  };
  const Bytes one = integers("p", {4}, {0, 1, 0, 1});
  return {
      {"Lstm", unfit, lstm, {4, 1, 3}, {w, zeros("r", {})}},
      {"LstmOfOtherWidth", unfit, lstm, {4, 1, 5}, {w, r}},
      {"LstmOfOtherHidden", unfit, lstm, {4, 1, 3}, {w, zeros("r", {1, 8, 5})}},
      {"LstmBias", unfit, biased, {4, 1, 3}, {w, r, zeros("b", {})}},
      {"LstmState", unfit, stateful, {4, 1, 3}, {w, r, zeros("h", {})}},
      {"LstmPeepholes", unfit, peeping, {4, 1, 3}, {w, r, zeros("p", {})}},
      {"LstmLengths", unfit, counted, {4, 1, 3}, {w, r, integers("n", {2}, {1, 1})}},
      {"LstmOfOtherType",
       "contract",
       lstm,
       {4, 1, 3},
       {integers("w", {1, 8, 3}, std::vector<int64_t>(24)), r}},
      {"LstmOfNoSteps", "no steps", lstm, {0, 1, 3}, {w, r}},
      {"LoopOfAll", "it has more than 4096 iterations", loop, {2, 3}, {integers("m", {}, {most})}},
      {"LoopWithoutEnd", "it has more than 4096 iterations", endless},
      {"Scan", "there is no axis -4", scan(-4)},
      {"ScanBeyond", "there is no axis 2", scan(2)},
      {"ConcatFromSequence", "differ in shape",
       with(node("ConcatFromSequence", {"s"}, {"y"}),
            {integerAttribute("new_axis", 1), integerAttribute("axis", 2)})},
      {"SplitToSequence", "more than 4096 parts", node("SplitToSequence", {"x"}, {"s"}), {5000, 3}},
      {"Split", "no outputs", node("Split", {"x"}, {})},
      {"DepthToSpace",
       "its blocks do not divide",
       with(node("DepthToSpace", {"x"}, {"y"}), {integerAttribute("blocksize", int64_t(1) << 32)}),
       {1, 4, 2, 2}},
      {"SpaceToDepth",
       "its blocks do not divide",
       with(node("SpaceToDepth", {"x"}, {"y"}), {integerAttribute("blocksize", int64_t(1) << 32)}),
       {1, 4, 2, 2}},
      {"PadWrap", "has no elements", pad("wrap"), {2, 0}, {one}, 19},
      {"PadEdge", "has no elements", pad("edge"), {2, 0}, {one}},
      {"PadReflect", "has no elements", pad("reflect"), {2, 0}, {one}},
      {"PadOfMuch",
       "more than",
       pad("edge"),
       {2, 3},
       {integers("p", {4}, {0, int64_t(1) << 40, 0, 0})}},
      {"Tile",
       "there is no axis 0",
       node("Tile", {"x", "n", "a"}, {"y"}),
       {},
       {integers("n", {}, {2}), integers("a", {}, {0})},
       5},
      {"GatherNd",
       "do not fit what they index",
       with(node("GatherND", {"x", "i"}, {"y"}), {integerAttribute("batch_dims", -2)}),
       {2, 3},
       {integers("i", {1, 1}, {0})}},
      {"Dft",
       "its length is 0",
       with(node("DFT", {"x", "n"}, {"y"}), {integerAttribute("axis", 1)}),
       {1, 4, 1},
       {integers("n", {}, {0})}},
      {"DftBelow",
       "its length is -3",
       with(node("DFT", {"x", "n"}, {"y"}), {integerAttribute("axis", 1)}),
       {1, 4, 1},
       {integers("n", {}, {-3})}},
      {"DftOfMuch",
       "more than",
       with(node("DFT", {"x", "n"}, {"y"}), {integerAttribute("axis", 1)}),
       {1, 4, 1},
       {integers("n", {}, {int64_t(1) << 40})}},
      {"Window",
       "more than",
       node("HannWindow", {"n"}, {"y"}),
       {2, 3},
       {integers("n", {}, {int64_t(1) << 40})}},
      {"Resize",
       "more than",
       node("Resize", {"x", "", "s"}, {"y"}),
       {1, 1, 2, 3},
       {floats("s", {4}, {1, 1, 1, 1e9f})}},
      {"Range",
       "has more than 64 TiB",
       node("Range", {"a", "b", "c"}, {"y"}),
       {2, 3},
       {floats("a", {}, {0}), floats("b", {}, {1e15f}), floats("c", {}, {1})}},
      {"RangeBeyond",
       "it has 1.0000",
       node("Range", {"a", "b", "c"}, {"y"}),
       {2, 3},
       {floats("a", {}, {0}), floats("b", {}, {1e30f}), floats("c", {}, {1})}},
      {"OneHot",
       "has a negative dimension",
       node("OneHot", {"i", "d", "v"}, {"y"}),
       {2, 3},
       {integers("i", {2}, {0, 1}), integers("d", {}, {-3}), integers("v", {2}, {0, 1})}},
      {"ConstantOfShape",
       "has a negative dimension",
       node("ConstantOfShape", {"s"}, {"y"}),
       {2, 3},
       {integers("s", {2}, {-3, 4})}},
      {"ConstantOfLargeShape",
       "has more than 64 TiB",
       node("ConstantOfShape", {"s"}, {"y"}),
       {2, 3},
       {integers("s", {2}, {most, 4})}},
      {"TileBelow",
       "has a negative dimension",
       node("Tile", {"x", "n"}, {"y"}),
       {2, 3},
       {integers("n", {2}, {-1, 2})}},
      {"TileOfMuch",
       "has more than 64 TiB",
       node("Tile", {"x", "n"}, {"y"}),
       {2, 3},
       {integers("n", {2}, {most, 2})}},
  };
}

class DamagedNode : public testing::TestWithParam<Damage> {};

TEST_P(DamagedNode, IsRefused) {
  const Damage &damage = GetParam();
  Bytes graph;
  if (damage.name == "ConcatFromSequence")
    graph.message(1, node("Shape", {"x"}, {"t"}))
        .message(1, node("SequenceConstruct", {"x", "t"}, {"s"}));
  graph.message(1, node("Identity", {"x"}, {"y"})); // for nodes that give no y
  graph.message(1, damage.node).message(11, port("x", damage.x)).message(12, port("y", damage.x));
  for (const Bytes &initializer : damage.initializers)
    graph.message(5, initializer);
  const std::string found = problem(model(graph, damage.opset));
  EXPECT_NE(found.find(damage.refusal), std::string::npos) << found;
}

INSTANTIATE_TEST_SUITE_P(Onnx, DamagedNode, testing::ValuesIn(damages()),
                         [](const auto &test) { return test.param.name; });

TEST(OnnxDamaged, BandsFarBeyondASpectrumAreEmpty) {
  Bytes graph =
      Bytes()
          .message(1, node("MelWeightMatrix", {"bands", "length", "rate", "low", "high"}, {"y"}))
          .message(5, integers("bands", {}, {2}))
          .message(5, integers("length", {}, {8}))
          .message(5, integers("rate", {}, {1}))
          .message(5, floats("low", {}, {0}))
          .message(5, floats("high", {}, {1e30f}))
          .message(12, port("y", {5, 2}));
  EXPECT_EQ(problem(model(graph)), "");
}

TEST(OnnxDamaged, FunctionsThatDoubleEndInAnError) {
  std::string bytes = model(Bytes()
                                .message(1, node("f0", {"x"}, {"y"}).text(7, "own"))
                                .message(11, port("x", {2, 3}))
                                .message(12, port("y", {2, 3})));
  for (int i = 0; i < 60; ++i) {
    const std::string next = i == 59 ? "Identity" : fmt::format("f{}", i + 1);
    const char *domain = i == 59 ? "" : "own";
    bytes += Bytes()
                 .message(25, Bytes()
                                  .text(1, fmt::format("f{}", i))
                                  .text(10, "own")
                                  .text(4, "a")
                                  .text(5, "c")
                                  .message(7, node(next, {"a"}, {"b"}).text(7, domain))
                                  .message(7, node(next, {"b"}, {"c"}).text(7, domain))
                                  .message(9, Bytes().text(1, "").number(2, 18)))
                 .str();
  }
  EXPECT_EQ(problem(bytes),
            "m.onnx: is more than 262144 nodes with its functions and loops written out");
}

TEST(OnnxDamaged, DeepNestingIsAnError) {
  Bytes graph = layer();
  for (int i = 0; i < 10000; ++i) {
    Bytes body = Bytes().text(1, "body").number(20, 5).message(6, graph);
    graph = Bytes().message(1, node("If", {"x"}, {"y"}).message(5, body));
  }
  EXPECT_NE(problem(model(graph)).find("messages are nested more than 100 deep"),
            std::string::npos);
}

TEST(OnnxDamaged, AbsurdSizesAreErrors) {
  Bytes huge = Bytes().number(1, int64_t(1) << 40).number(1, int64_t(1) << 40).number(2, f32);
  Bytes graph = Bytes()
                    .message(1, node("Add", {"x", "w"}, {"y"}))
                    .message(5, huge.text(8, "w"))
                    .message(11, port("x", {2, 3}))
                    .message(12, port("y", {2, 3}));
  EXPECT_EQ(problem(model(graph)),
            "m.onnx: m.onnx: w: the shape 1099511627776x1099511627776 is impossible");
  Bytes empty = Bytes().number(1, int64_t(1) << 40).number(2, f32).text(8, "w");
  Bytes other = Bytes()
                    .message(1, node("Add", {"x", "w"}, {"y"}))
                    .message(5, empty)
                    .message(11, port("x", {2, 3}))
                    .message(12, port("y", {2, 3}));
  EXPECT_EQ(problem(model(other)), "m.onnx: m.onnx: w: 1099511627776 of f32 have 0 numbers");
}

TEST(OnnxDamaged, ExternalDataStaysInTheFolder) {
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / fmt::format("onnx-{}", ::getpid());
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "w.bin", std::ios::binary) << std::string(24, '\0');
  auto withLocation = [&](std::string_view location, std::string_view offset) {
    Bytes tensor = Bytes().number(1, 3).number(1, 2).number(2, f32).text(8, "w");
    tensor.message(13, Bytes().text(1, "location").text(2, location))
        .message(13, Bytes().text(1, "offset").text(2, offset))
        .number(14, 1);
    Bytes graph = Bytes()
                      .message(1, node("MatMul", {"x", "w"}, {"y"}))
                      .message(5, tensor)
                      .message(11, port("x", {2, 3}))
                      .message(12, port("y", {2, 2}));
    const std::string path = (folder / "m.onnx").string();
    EXPECT_TRUE(writeFile(path, model(graph)));
    Result<OnnxFile> file = OnnxFile::open(path);
    EXPECT_TRUE(file) << file.error().text();
    Result<Model> imported = importModel(*file);
    return imported ? "" : imported.error().text();
  };
  EXPECT_EQ(withLocation("w.bin", "0"), "");
  EXPECT_NE(withLocation("w.bin", "8").find("24 bytes, but there are 16"), std::string::npos);
  EXPECT_NE(withLocation("w.bin", "80").find("are said to be bytes 80"), std::string::npos);
  EXPECT_NE(withLocation("w.bin", "-1").find("are said to be bytes -1"), std::string::npos);
  for (const char *location : {"../w.bin", "/etc/passwd", "", "a/../../w.bin"})
    EXPECT_NE(withLocation(location, "0").find("which is no file of the model's folder"),
              std::string::npos)
        << location;
  EXPECT_NE(withLocation("none.bin", "0").find("No such file"), std::string::npos);
  std::filesystem::remove_all(folder);
}

} // namespace
} // namespace ingot::onnx
