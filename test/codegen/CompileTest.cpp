#include "codegen/Compile.h"
#include "codegen/Target.h"
#include "codegen/cache/DiskCache.h"
#include "mlir/Parser/Parser.h"
#include "runtime/program/Device.h"
#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <map>

namespace ingot {
namespace {

/// y = (x + x)·x by two scheduled kernels; the second may work in place.
constexpr const char *twoKernels = R"mlir(
module attributes {graph.stage = "schedule"} {
  func.func private @twice(%x: tensor<8xf32>) -> tensor<8xf32>
      attributes {graph.kernel = "elementwise", kernel.schedule = #kernel.schedule<
          arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0,
          launches = [pointwise grains 1 flops 8 bytes 64 sizes (chunk = 64, inner = 8, outer = 1, rows = 0, unroll = 1)]>} {
    %e = tensor.empty() : tensor<8xf32>
    %0 = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
        ins(%x : tensor<8xf32>) outs(%e : tensor<8xf32>) {
    ^bb0(%a: f32, %o: f32):
      %1 = arith.addf %a, %a : f32
      linalg.yield %1 : f32
    } -> tensor<8xf32>
    return %0 : tensor<8xf32>
  }
  func.func private @times(%x: tensor<8xf32>, %y: tensor<8xf32>) -> tensor<8xf32>
      attributes {graph.kernel = "elementwise", kernel.schedule = #kernel.schedule<
          arguments = [read, read, write], sharing = [0 with 0 same_point], scratch = 0, launch_scratch = 0,
          launches = [pointwise grains 1 flops 8 bytes 96 sizes (chunk = 64, inner = 8, outer = 1, rows = 0, unroll = 1)]>} {
    %e = tensor.empty() : tensor<8xf32>
    %0 = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
        ins(%x, %y : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %1 = arith.mulf %a, %b : f32
      linalg.yield %1 : f32
    } -> tensor<8xf32>
    return %0 : tensor<8xf32>
  }
  func.func @forward(%x: tensor<8xf32> {graph.name = "x", graph.role = "input"}) -> (tensor<8xf32> {graph.name = "y"}) {
    %0 = call @twice(%x) : (tensor<8xf32>) -> tensor<8xf32>
    %1 = call @times(%0, %x) : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
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

// The runtime orders calls by this.
TEST_F(CompileTest, KernelsSayWhatTheyReadAndWrite) {
  Result<Program> program = compile(*model, options);
  ASSERT_TRUE(program) << program.error().text();
  std::map<std::string, std::vector<Access>> access;
  for (const Kernel &kernel : program->kernels)
    for (const KernelParameter &argument : kernel.parameters) {
      EXPECT_EQ(argument.bytes, 32);
      access[kernel.name].push_back(argument.access);
    }
  EXPECT_EQ(access["twice"], (std::vector{Access::Read, Access::Write}));
  EXPECT_EQ(access["times"], (std::vector{Access::Read, Access::Read, Access::Write}));
}

TEST_F(CompileTest, ProgramRunsAndComesBackFromTheCache) {
  CompileReport report;
  Result<Program> cold = compile(*model, options, &report);
  ASSERT_TRUE(cold) << cold.error().text();
  EXPECT_FALSE(report.programCached);
  EXPECT_EQ(report.kernels.compiled, 2u);
  EXPECT_EQ(cold->arenaBytes, 128) << "the second kernel works in place";
  std::vector<float> expected;
  for (int i = 0; i < 8; ++i)
    expected.push_back(2 * (i - 2.5f) * (i - 2.5f));
  EXPECT_EQ(run(*cold), expected);

  Result<Program> warm = compile(*model, options, &report);
  ASSERT_TRUE(warm) << warm.error().text();
  EXPECT_TRUE(report.programCached);
  EXPECT_EQ(warm->objects[0].bytes, cold->objects[0].bytes);
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
  EXPECT_EQ(report.kernels.compiled, 2u);
  EXPECT_EQ(run(*again)[0], 12.5f);
}

TEST_F(CompileTest, MissNamesWhatDiffers) {
  CompileReport report;
  ASSERT_TRUE(compile(*model, options, &report));
  EXPECT_EQ(report.cacheMiss, "the cache holds no program yet");
  options.training = TrainingOptions{};
  ASSERT_TRUE(compile(*model, options, &report));
  EXPECT_NE(report.cacheMiss.find("differs in training (\"unset\" there"), std::string::npos)
      << report.cacheMiss;
}

/// Another value than the one given, as different as the type allows.
template <typename T> void change(T &value) {
  if constexpr (std::is_same_v<T, bool>)
    value = !value;
  else if constexpr (std::is_enum_v<T>)
    value = static_cast<T>((static_cast<size_t>(value) + 1) % enumNames(value).size());
  else if constexpr (std::is_arithmetic_v<T>)
    value = value + T(1);
  else if constexpr (std::is_same_v<T, std::string>)
    value += ":x86-64-v4";
  else if constexpr (std::is_same_v<T, std::vector<std::string>>)
    value.push_back("cse");
  else if constexpr (std::is_same_v<T, std::vector<double>>)
    value.push_back(0.5);
  else if constexpr (std::is_same_v<T, std::vector<ParameterGroup>>)
    value.push_back({.pattern = "w"});
  else if constexpr (std::is_same_v<T, BlockChoices>)
    value["kernel"].depth = 4;
  else if constexpr (requires { value.has_value(); })
    value ? change(*value) : void(value.emplace());
  else
    static_assert(sizeof(T) == 0, "a field of a new type: say how it changes");
}

/// Calls `visit` with every way to change one leaf of the fields of `options`.
template <HasFields T>
void forEachChange(const T &options, const std::string &path, bool shapes,
                   const std::function<void(const std::string &, bool, const T &)> &visit) {
  size_t count = 0;
  T::fields(options, [&](const Field &, const auto &) { ++count; });
  for (size_t chosen = 0; chosen < count; ++chosen) {
    size_t index = 0;
    T copy = options;
    T::fields(copy, [&]<typename V>(const Field &field, V &value) {
      if (index++ != chosen)
        return;
      const std::string name = path + std::string(field.name);
      const bool matters = shapes && field.shapes;
      auto nested = [&](auto &inner) {
        using Inner = std::remove_reference_t<decltype(inner)>;
        const Inner before = inner;
        forEachChange<Inner>(before, name + ".", matters,
                             [&](const std::string &leaf, bool leafMatters, const Inner &changed) {
                               inner = changed;
                               visit(leaf, leafMatters, copy);
                             });
        inner = before;
      };
      if constexpr (HasFields<V>) {
        nested(value);
      } else if constexpr (requires { requires HasFields<std::decay_t<decltype(*value)>>; }) {
        nested(*value);
        value.reset();
        visit(name, matters, copy);
      } else {
        change(value);
        visit(name, matters, copy);
      }
    });
  }
}

// Whoever adds an option adds it to the list of fields, and the list is the key.
TEST_F(CompileTest, EveryFieldThatShapesAProgramIsInItsKey) {
  options.training = TrainingOptions{};
  const std::shared_ptr<const Backend> target = *parseTarget("cpu");
  const std::string before = programKey(*model, options, *target).hash();
  std::map<std::string, bool> seen;
  forEachChange<CompileOptions>(
      options, "", true, [&](const std::string &field, bool shapes, const CompileOptions &changed) {
        seen[field] = shapes;
        EXPECT_EQ(programKey(*model, changed, *target).hash() != before, shapes) << field;
      });
  EXPECT_GE(seen.size(), 22u);
  for (const char *field :
       {"training", "training.clip", "memory.budget", "target", "tuning.blocks"})
    EXPECT_TRUE(seen.contains(field) && seen[field]) << field;
  for (const char *field : {"threads", "cache", "timing", "tuning.note"})
    EXPECT_TRUE(seen.contains(field) && !seen[field]) << field;
  // No field is left out of the lists: a structured binding counts the members.
  [[maybe_unused]] auto &[loss, lossNumbers, optimizer, beta1, beta2, epsilon, decay, momentum,
                          dampening, nesterov, alpha, centered, rho, rateDecay, momentumDecay,
                          beta2Decay, leastScale, updateLimit, matchRms, clip, accumulate,
                          onNonFinite, groups, lossWeights, classAxis, output, gradients, dtype] =
      *options.training;
  [[maybe_unused]] auto &[budget, largest, least, smallest, heavy, stride, packs] = options.memory;
  [[maybe_unused]] auto &[training, memory, name, tuning, threads, directory, dump, print, timing,
                          stop] = options;
  auto count = []<HasFields T>(const T &any) {
    size_t fields = 0;
    T::fields(any, [&](const Field &, const auto &) { ++fields; });
    return fields;
  };
  [[maybe_unused]] auto &[reduction, classWeights, ignoreIndex, labelSmoothing, softTargets,
                          logTargets, lossBeta, delta, margin, power] = lossNumbers;
  EXPECT_EQ(count(*options.training), 28u);
  EXPECT_EQ(count(lossNumbers), 10u);
  EXPECT_EQ(count(options.memory), 7u);
  EXPECT_EQ(count(options), 9u);
}

// What stays unset has its row's default; of the others one default stands in TrainingOptions.
TEST(Optimizers, OtherNumbersHaveOneDefault) {
  const TrainingOptions options;
#define INGOT_NUMBER(FIELD, DEFAULT)                                                               \
  if (!std::same_as<decltype(TrainingOptions::FIELD), std::optional<double>>)                      \
    EXPECT_EQ(options.FIELD, DEFAULT) << #FIELD;
#define INGOT_OPTIMIZER(NAME, TEXT, RATE, ...) __VA_ARGS__
#include "passes/options/Optimizers.def"
}

/// A model whose output is its input plus a constant of 64 numbers, one of which is given.
mlir::OwningOpRef<mlir::ModuleOp> modelWithConstant(mlir::MLIRContext *context, int last) {
  std::string numbers;
  for (int i = 0; i < 63; ++i)
    numbers += fmt::format("{}.0, ", i);
  return mlir::parseSourceString<mlir::ModuleOp>(fmt::format(R"mlir(
module {{
  func.func @forward(%x: tensor<64xf32> {{graph.name = "x", graph.role = "input"}}) -> (tensor<64xf32> {{graph.name = "y"}}) {{
    %c = graph.constant dense<[{}{}.0]> : tensor<64xf32>
    %y = graph.add %x, %c : tensor<64xf32>
    return %y : tensor<64xf32>
  }}
}}
)mlir",
                                                             numbers, last),
                                                 context);
}

// Constants are hashed, not printed; another element is another program all the same.
TEST_F(CompileTest, ConstantsAreInTheKey) {
  const std::shared_ptr<const Backend> target = *parseTarget("cpu");
  auto key = [&](int last) {
    auto module = modelWithConstant(context.get(), last);
    EXPECT_TRUE(module);
    return programKey(*module, options, *target).hash();
  };
  EXPECT_EQ(key(5), key(5));
  EXPECT_NE(key(5), key(6));
}

TEST_F(CompileTest, ImageIsTheSameForEveryThreadCountAndCacheState) {
  options.threads = 1;
  Program one = *compile(*model, options);
  options.cacheDirectory.clear();
  options.threads = 2;
  EXPECT_EQ(compile(*model, options)->objects[0].bytes, one.objects[0].bytes);
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
