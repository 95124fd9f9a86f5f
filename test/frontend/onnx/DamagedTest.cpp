/// Files that are cut off, changed or made to hurt: an error or a model, never a crash.
#include "frontend/onnx/Import.h"
#include "runtime/support/File.h"
#include "test/frontend/onnx/OnnxBytes.h"
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
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
