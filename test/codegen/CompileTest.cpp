#include "codegen/Compile.h"
#include "codegen/cache/DiskCache.h"
#include "mlir/Parser/Parser.h"
#include "runtime/program/Device.h"
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <map>

namespace ingot {
namespace {

/// y = (x + x)·x by two lowered kernels; the second may work in place.
constexpr const char *twoKernels = R"mlir(
module attributes {graph.stage = "kernels"} {
  func.func private @twice(%x: memref<8xf32>, %y: memref<8xf32>, %lo: index, %hi: index)
      attributes {graph.kernel = "elementwise", graph.grains = 8 : i64} {
    %c1 = arith.constant 1 : index
    scf.for %i = %lo to %hi step %c1 {
      %v = memref.load %x[%i] : memref<8xf32>
      %s = arith.addf %v, %v : f32
      memref.store %s, %y[%i] : memref<8xf32>
    }
    return
  }
  func.func private @times(%a: memref<8xf32>, %b: memref<8xf32>, %y: memref<8xf32>, %lo: index, %hi: index)
      attributes {graph.kernel = "elementwise", graph.grains = 8 : i64, graph.in_place = [[0, 0]],
                  graph.operands = 2 : i64} {
    %c1 = arith.constant 1 : index
    scf.for %i = %lo to %hi step %c1 {
      %v = memref.load %a[%i] : memref<8xf32>
      %w = memref.load %b[%i] : memref<8xf32>
      %s = arith.mulf %v, %w : f32
      memref.store %s, %y[%i] : memref<8xf32>
    }
    return
  }
  func.func @forward(%x: tensor<8xf32> {graph.name = "x", graph.role = "input"}) -> (tensor<8xf32> {graph.name = "y"}) {
    %0 = graph.launch @twice(%x) : (tensor<8xf32>) -> tensor<8xf32>
    %1 = graph.launch @times(%0, %x) : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    return %1 : tensor<8xf32>
  }
}
)mlir";

class CompileTest : public testing::Test {
protected:
  void SetUp() override {
    cache =
        std::filesystem::path(testing::TempDir()) / ("ingot-compile-" + std::to_string(getpid()));
    options.cacheDirectory = cache.string();
    context = createContext();
    model = mlir::parseSourceString<mlir::ModuleOp>(twoKernels, context.get());
    ASSERT_TRUE(model);
  }
  void TearDown() override { std::filesystem::remove_all(cache); }

  std::vector<float> run(Program program) {
    auto device = openDevice("cpu", {.threads = 2});
    auto session = (*device)->load(std::make_shared<Program>(std::move(program)));
    EXPECT_TRUE(session) << session.error().text();
    Tensor x(ElementType::F32, {8});
    for (int i = 0; i < 8; ++i)
      x.as<float>()[i] = i - 2.5f;
    EXPECT_TRUE((*session)->write("forward", "x", x));
    EXPECT_TRUE((*session)->run("forward"));
    Tensor y = *(*session)->read("forward", "y");
    return {y.as<float>(), y.as<float>() + 8};
  }

  std::filesystem::path cache;
  CompileOptions options;
  std::unique_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> model;
};

// The runtime orders calls by this: whoever does not say counts as reading and writing.
TEST_F(CompileTest, KernelsSayWhatTheyReadAndWrite) {
  Result<Program> program = compile(*model, options);
  ASSERT_TRUE(program) << program.error().text();
  std::map<std::string, std::vector<Access>> access;
  for (const Kernel &kernel : program->kernels)
    for (const KernelArgument &argument : kernel.arguments) {
      EXPECT_EQ(argument.bytes, 32);
      access[kernel.name].push_back(argument.access);
    }
  EXPECT_EQ(access["twice"], (std::vector{Access::Update, Access::Update}));
  EXPECT_EQ(access["times"], (std::vector{Access::Read, Access::Read, Access::Write}));
}

TEST_F(CompileTest, ProgramRunsAndComesBackFromTheCache) {
  CompileReport report;
  Result<Program> cold = compile(*model, options, &report);
  ASSERT_TRUE(cold) << cold.error().text();
  EXPECT_FALSE(report.programCached);
  EXPECT_EQ(report.kernelsCompiled, 2u);
  EXPECT_EQ(cold->arenaBytes, 128) << "the second kernel works in place";
  std::vector<float> expected;
  for (int i = 0; i < 8; ++i)
    expected.push_back(2 * (i - 2.5f) * (i - 2.5f));
  EXPECT_EQ(run(*cold), expected);

  Result<Program> warm = compile(*model, options, &report);
  ASSERT_TRUE(warm) << warm.error().text();
  EXPECT_TRUE(report.programCached);
  EXPECT_EQ(warm->code, cold->code);
  EXPECT_EQ(run(*warm), expected);
}

TEST_F(CompileTest, DamagedCacheEntriesAreRebuilt) {
  ASSERT_TRUE(compile(*model, options));
  for (const auto &entry : std::filesystem::directory_iterator(cache)) {
    std::fstream file(entry.path(), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(entry.file_size() / 2);
    file.put('?').put('?');
  }
  CompileReport report;
  Result<Program> again = compile(*model, options, &report);
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_FALSE(report.programCached);
  EXPECT_EQ(report.kernelsCompiled, 2u);
  EXPECT_EQ(run(*again)[0], 12.5f);
}

TEST_F(CompileTest, MissNamesWhatDiffers) {
  CompileReport report;
  ASSERT_TRUE(compile(*model, options, &report));
  EXPECT_EQ(report.cacheMiss, "the cache holds no program yet");
  options.training = TrainingOptions{};
  ASSERT_TRUE(compile(*model, options, &report));
  EXPECT_NE(report.cacheMiss.find("differs in options (\"inference\" there"), std::string::npos)
      << report.cacheMiss;
}

TEST_F(CompileTest, ImageIsTheSameForEveryThreadCountAndCacheState) {
  options.threads = 1;
  Program one = *compile(*model, options);
  options.cacheDirectory.clear();
  options.threads = 2;
  EXPECT_EQ(compile(*model, options)->code, one.code);
}

TEST(DiskCacheTest, EvictsWhatWasUsedLeastRecently) {
  std::filesystem::path directory =
      std::filesystem::path(testing::TempDir()) / ("ingot-cache-" + std::to_string(getpid()));
  DiskCache cache(directory.string(), 3000);
  std::vector<uint8_t> kilobyte(1000, 7);
  auto age = [&](const char *key, int hours) {
    std::filesystem::last_write_time(
        directory / key, std::filesystem::file_time_type::clock::now() - std::chrono::hours(hours));
  };
  cache.put("a", kilobyte);
  age("a", 3);
  cache.put("b", kilobyte);
  age("b", 2);
  EXPECT_TRUE(cache.get("a")) << "reading makes it young";
  cache.put("c", kilobyte);
  EXPECT_TRUE(cache.get("a"));
  EXPECT_FALSE(cache.get("b"));
  EXPECT_TRUE(cache.get("c"));
  std::filesystem::remove_all(directory);
}

} // namespace
} // namespace ingot
