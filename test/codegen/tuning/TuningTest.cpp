#include "codegen/Compile.h"
#include "codegen/tuning/TuneCandidates.h"
#include "codegen/tuning/TuningFile.h"
#include "codegen/tuning/VersionTimes.h"
#include "codegen/tuning/VersionedProgram.h"
#include "mlir/Parser/Parser.h"
#include "runtime/program/CpuImage.h"
#include "runtime/support/File.h"
#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <thread>

namespace ingot {
namespace {

namespace fs = std::filesystem;

struct Files : testing::Test {
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "tuning-XXXXXX";
    directory = mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(directory); }

  TuningFile file(int threads = 1) const { return {directory, CpuTarget::host(), threads}; }
  nlohmann::json contents() const {
    return nlohmann::json::parse(readFile(file().path()).value_or(""));
  }
  /// Why the file is of no use once this was written to it.
  std::string noteFor(const std::string &text) const {
    EXPECT_TRUE(writeFile(file().path(), text));
    Tuning tuning = file().read();
    EXPECT_TRUE(tuning.blocks.empty());
    return tuning.note;
  }
  std::string directory;
};

const BlockChoice wide{.tileRows = 5, .tileColumns = 64}, deep{.depth = 384, .packLhs = 0};

TEST(BlockChoice, TextReadsBack) {
  BlockChoice all{1, 16, 3, 4, 5, 0, 1, 8};
  std::string problem;
  EXPECT_EQ(all.text(), "tile_rows=1 tile_columns=16 depth=3 rows=4 columns=5 pack_lhs=0 "
                        "pack_rhs=1 queries=8");
  EXPECT_EQ(BlockChoice::parse(all.text(), problem), all);
  EXPECT_EQ(BlockChoice::parse("", problem), BlockChoice());
  EXPECT_EQ(BlockChoice().text(), "");
  EXPECT_EQ(wide.with(deep).text(), "tile_rows=5 tile_columns=64 depth=384 pack_lhs=0");
  for (const char *wrong : {"depth", "depth=", "depth=x", "depth=3x", "depth=0", "depth= 3", " ",
                            "depth=99999999999999999999", "tile_rows=17", "pack_lhs=2", "=3"}) {
    problem.clear();
    EXPECT_FALSE(BlockChoice::parse(wrong, problem)) << wrong;
    EXPECT_NE(problem, "") << wrong;
  }
}

TEST_F(Files, KeepWhatIsAddedAndDropWhatIsDerived) {
  EXPECT_TRUE(file().read().blocks.empty());
  EXPECT_EQ(file().read().note, "");
  ASSERT_TRUE(file().update({{"a", wide}, {"b", deep}}));
  ASSERT_TRUE(file().update({{"b", wide}, {"c", deep}}));
  EXPECT_EQ(file().read().blocks, (BlockChoices{{"a", wide}, {"b", wide}, {"c", deep}}));
  ASSERT_TRUE(file().update({{"a", {}}, {"d", {}}}));
  EXPECT_EQ(file().read().blocks, (BlockChoices{{"b", wide}, {"c", deep}}));
  EXPECT_EQ(file().read().note, "");
}

TEST_F(Files, AreOneForEachMachineAndThreadCount) {
  CpuTarget small = CpuTarget::host(), old = CpuTarget::host();
  small.l2Bytes /= 2;
  old.features += ",-avx512f";
  std::set<std::string> paths = {file(1).path(), file(2).path(),
                                 TuningFile(directory, small, 1).path(),
                                 TuningFile(directory, old, 1).path()};
  EXPECT_EQ(paths.size(), 4u);
  ASSERT_TRUE(file(1).update({{"a", wide}}));
  EXPECT_TRUE(file(2).read().blocks.empty());
}

TEST_F(Files, OfNoUseSayWhyAndAreReplaced) {
  ASSERT_TRUE(file().update({{"a", wide}}));
  const nlohmann::json good = contents();
  auto with = [&](const char *key, nlohmann::json value) {
    nlohmann::json changed = good;
    changed[key] = std::move(value);
    return changed.dump();
  };
  auto holds = [&](const std::string &note, const char *why) {
    EXPECT_NE(note.find(file().path()), std::string::npos) << note;
    EXPECT_NE(note.find(why), std::string::npos) << note;
  };
  const std::string text = good.dump();
  for (size_t end = 0; end < text.size(); end += 7)
    holds(noteFor(text.substr(0, end)), "damaged");
  holds(noteFor("[]"), "must be a JSON object");
  holds(noteFor(with("machine", "another")), "was made on another machine: another");
  holds(noteFor(with("machine", 3)), "machine: must be a string");
  holds(noteFor(with("generator", "old")), "another build of the code generator");
  holds(noteFor(with("format", 7)), "has format 7, not 1");
  holds(noteFor(with("kernels", 7)), "kernels: is not an object");
  holds(noteFor(with("kernels", {{"k", 3}})), "k: its sizes are not a string");
  holds(noteFor(with("kernels", {{"k", "deep=3"}})), "k: no block has a size 'deep'");
  ASSERT_TRUE(file().update({{"b", deep}}));
  EXPECT_EQ(file().read().blocks, (BlockChoices{{"b", deep}}));
}

TEST_F(Files, KeepTheChoicesOfAllWhoWriteAtOnce) {
  constexpr int writers = 8, rounds = 10;
  std::vector<std::thread> threads;
  for (int writer = 0; writer < writers; ++writer)
    threads.emplace_back([&, writer] {
      for (int round = 0; round < rounds; ++round) {
        EXPECT_TRUE(file().update({{fmt::format("k{}-{}", writer, round), wide}}));
        EXPECT_EQ(file().read().note, ""); // never half of a file
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(file().read().blocks.size(), size_t(writers * rounds));
}

TEST_F(Files, NeedADirectoryThatCanBeWritten) {
  const TuningFile none("", CpuTarget::host(), 1);
  EXPECT_TRUE(none.read().blocks.empty());
  EXPECT_FALSE(none.update({{"a", wide}}));
  ASSERT_TRUE(writeFile(directory + "/file", ""));
  const TuningFile below(directory + "/file", CpuTarget::host(), 1);
  EXPECT_EQ(below.update({{"a", wide}}).error().code, Error::Code::Io);
}

TEST(VersionTimes, CompareTurnByTurn) {
  // Two kernels, of which the second one does not run; the machine gets slower from turn to turn.
  const std::vector<double> never(4, 0);
  VersionTimes times{
      .kernels = {{{10, 20, 40, 80}, never}, {{9, 18, 20, 40}, never}, {{10, 22, 40, 80}, never}},
      .whole = {{1, 2, 3, 4}, {1, 2, 3, 4}, {1, 2, 3, 4}}};
  EXPECT_DOUBLE_EQ(times.base(0, 1), 21);
  EXPECT_DOUBLE_EQ(times.ratio(1, 0, 0, 2), (0.9 + 0.5) / 2);
  EXPECT_DOUBLE_EQ(times.ratio(1, 0, 1, 2), (18.0 / 21 + 0.5) / 2);
  EXPECT_DOUBLE_EQ(times.ratio(0, 0), 1);
  EXPECT_DOUBLE_EQ(times.noise(0), 0);
  times.kernels.back()[0] = {11, 22, 44, 88};
  EXPECT_NEAR(times.noise(0), 1 / 10.5, 1e-12);
  EXPECT_EQ(times.ratio(1, 1), 1);
  EXPECT_EQ(times.noise(1), 0);
}

TEST(TuneCandidates, AreOthersThanWhatWasTakenAndFitTheRegisters) {
  const BlockChoice taken{8, 48, 128, 256, 48, 0, 1, {}};
  for (const MachineShape &machine : {MachineShape{64}, MachineShape{32}, MachineShape{16}})
    for (TuningGroup group : tuningGroups) {
      const std::vector<BlockChoice> candidates = tuningCandidates(group, taken, machine);
      EXPECT_FALSE(candidates.empty());
      for (const BlockChoice &candidate : candidates) {
        EXPECT_NE(taken.with(candidate), taken);
        std::string problem;
        EXPECT_TRUE(BlockChoice::parse(candidate.text(), problem)) << problem;
        if (group != TuningGroup::Tile)
          continue;
        const int64_t vectors = *candidate.tileColumns * 4 / machine.vectorBytes;
        EXPECT_LE((*candidate.tileRows + 1) * vectors + 1, machine.registers());
      }
    }
  for (TuningGroup group : tuningGroups)
    EXPECT_TRUE(tuningCandidates(group, {}, MachineShape()).empty());
}

/// A program of one function that multiplies and then adds in place of its input.
Program smallProgram(double factor, const BlockChoices &blocks = {}) {
  auto context = createContext();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(
      fmt::format(
          R"(func.func @forward(%x: tensor<40x40xf32>, %w: tensor<40x40xf32>) -> tensor<40x40xf32> {{
        %0 = graph.contract %x, %w batch [] x [] over [1] x [0] : tensor<40x40xf32>, tensor<40x40xf32> -> tensor<40x40xf32>
        %f = graph.constant dense<{:.1f}> : tensor<40x40xf32>
        %1 = graph.mul %0, %f : tensor<40x40xf32>
        %2 = graph.contract %1, %w batch [] x [] over [1] x [0] : tensor<40x40xf32>, tensor<40x40xf32> -> tensor<40x40xf32>
        return %2 : tensor<40x40xf32>
      }})",
          factor),
      context.get());
  CompileOptions options;
  options.tuning.blocks = blocks;
  Result<Program> program = compile(*module, options);
  EXPECT_TRUE(program) << program.error().text();
  return program.value_or(Program());
}

Status fillWithNumbers(Session &session, const Function &function) {
  for (const Port &port : function.ports)
    if (port.role != Role::Output && port.type == ElementType::F32) {
      Tensor value(port.type, port.shape);
      for (int64_t i = 0; i < value.size(); ++i)
        value.as<float>()[i] = float((i * 7919) % 1009) / 1009 - 0.4f;
      if (Status status = session.write(function.name, port.name, value); !status)
        return status;
    }
  return {};
}

/// Which kernels of version 1 give other bits.
std::vector<VersionedProgram::Place> differing(const Program &first, Program second) {
  // As if they were one's versions: the names of one in the other's kernels and in its image's
  // table.
  std::vector<uint8_t> &image = second.objects.front().bytes;
  Result<std::vector<ImageEntry>> entries = entriesOf(image);
  EXPECT_TRUE(entries) << entries.error().text();
  for (size_t kernel = 0; kernel < second.kernels.size(); ++kernel) {
    const std::string name = second.kernels[kernel].name;
    second.kernels[kernel].name = first.kernels[kernel].name;
    for (ImageEntry &entry : *entries)
      if (entry.symbol == name)
        entry.symbol = first.kernels[kernel].name;
  }
  appendEntries(image, *entries);
  std::vector<VersionedProgram::Place> varied;
  for (size_t kernel = 0; kernel < first.kernels.size(); ++kernel)
    varied.push_back({1, kernel});
  Result<VersionedProgram> joined = VersionedProgram::join({first, second}, "forward", varied);
  EXPECT_TRUE(joined) << joined.error().text();
  auto device = openDevice("cpu", {.threads = 1});
  auto session = device.value()->load(joined->program());
  EXPECT_TRUE(fillWithNumbers(**session, *first.function("forward")));
  auto different = joined->differing(**session);
  EXPECT_TRUE(different) << different.error().text();
  return *different;
}

TEST(VersionedProgram, FindsTheKernelsWithOtherBits) {
  const Program two = smallProgram(2);
  ASSERT_EQ(two.kernels.size(), 2u);
  EXPECT_TRUE(differing(two, two).empty());
  BlockChoices tuned;
  for (const Kernel &kernel : two.kernels)
    tuned[kernel.name] = {.tileRows = 3, .tileColumns = 32, .depth = 32, .rows = 6};
  const Program blocked = smallProgram(2, tuned);
  EXPECT_EQ(blocked.kernels[0].tuned, tuned.begin()->second.text());
  EXPECT_NE(blocked.objects[0].bytes, two.objects[0].bytes);
  EXPECT_TRUE(differing(two, blocked).empty());
  // Another factor is in the first kernel alone; the second one works on what version 0 gave.
  using Place = VersionedProgram::Place;
  const auto first = size_t(std::get<CallStep>(two.function("forward")->steps[0].node).kernel);
  EXPECT_EQ(differing(two, smallProgram(3)), std::vector<Place>({{1, first}}));
}

TEST(VersionedProgram, RefusesOtherPlans) {
  Program a = smallProgram(2), b = a;
  b.arenaBytes += 64;
  EXPECT_FALSE(VersionedProgram::join({a, b}, "forward", {}));
}

/// The choice is part of the cache's key: with and without it nothing stale is taken.
TEST_F(Files, ChoicesAreInTheKeyOfTheCache) {
  auto context = createContext();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(
      R"(func.func @forward(%x: tensor<64x64xf32>) -> tensor<64x64xf32> {
        %0 = graph.contract %x, %x batch [] x [] over [1] x [0] : tensor<64x64xf32>, tensor<64x64xf32> -> tensor<64x64xf32>
        return %0 : tensor<64x64xf32>
      })",
      context.get());
  CompileOptions options;
  options.cacheDirectory = directory;
  CompileReport report;
  const Program derived = compile(*module, options, &report).value();
  options.tuning.blocks[derived.kernels[0].name] = wide;
  const Program tuned = compile(*module, options, &report).value();
  EXPECT_FALSE(report.programCached);
  EXPECT_EQ(report.kernelsTuned, 1u);
  EXPECT_NE(report.cacheMiss.find("tuning"), std::string::npos) << report.cacheMiss;
  EXPECT_NE(tuned.objects[0].bytes, derived.objects[0].bytes);
  EXPECT_EQ(compile(*module, options, &report)->objects[0].bytes, tuned.objects[0].bytes);
  EXPECT_TRUE(report.programCached);
  EXPECT_EQ(report.kernelsTuned, 1u);
  options.tuning.blocks.clear();
  EXPECT_EQ(compile(*module, options, &report)->objects[0].bytes, derived.objects[0].bytes);
  EXPECT_EQ(report.kernelsTuned, 0u);
}

} // namespace
} // namespace ingot
