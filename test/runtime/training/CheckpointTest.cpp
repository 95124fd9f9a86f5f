#include "runtime/training/Checkpoint.h"
#include "runtime/support/File.h"
#include "test/runtime/TestPrograms.h"
#include <csignal>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <set>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace ingot {
namespace {

namespace fs = std::filesystem;

Checkpoint checkpointAt(int64_t step, int64_t elements = 100) {
  Checkpoint checkpoint{.step = step,
                        .dataPosition = 7 * step,
                        .seed = UINT64_MAX - 1,
                        .options = R"({"family":"gpt"})",
                        .tensors = {}};
  Tensor weight(ElementType::F32, {elements}), counter(ElementType::I64, {});
  for (int64_t i = 0; i < elements; ++i)
    weight.as<float>()[i] = float(step) + float(i) / 8;
  *counter.as<int64_t>() = step;
  checkpoint.tensors = {{"w", weight}, {"counter", counter}};
  return checkpoint;
}

std::set<std::string> filesIn(const std::string &folder) {
  std::set<std::string> names;
  for (const auto &entry : fs::directory_iterator(folder))
    names.insert(entry.path().filename().string());
  return names;
}

int64_t newestStep(const CheckpointDirectory &directory,
                   std::vector<std::string> *warnings = nullptr) {
  auto newest = directory.newest(warnings);
  EXPECT_TRUE(newest) << newest.error().text();
  return newest && *newest ? (*newest)->step : -1;
}

void truncate(const std::string &file) { fs::resize_file(file, fs::file_size(file) - 1); }

TEST(Checkpoint, roundTripsInEqualBytes) {
  test::TemporaryFolder folder;
  const Checkpoint written = checkpointAt(60);
  ASSERT_TRUE(saveCheckpoint(folder / "a", written));
  Result<Checkpoint> read = loadCheckpoint(folder / "a");
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->step, 60);
  EXPECT_EQ(read->dataPosition, 420);
  EXPECT_EQ(read->seed, UINT64_MAX - 1);
  EXPECT_EQ(read->options, written.options);
  EXPECT_EQ(*read->tensors.at("counter").as<int64_t>(), 60);
  EXPECT_EQ(read->tensors.at("w").as<float>()[99], 60 + 99.0f / 8);
  ASSERT_TRUE(saveCheckpoint(folder / "b", *read));
  EXPECT_EQ(*readFile(folder / "a"), *readFile(folder / "b"));
}

TEST(Checkpoint, refusesOtherSafetensors) {
  test::TemporaryFolder folder;
  ASSERT_TRUE(writeSafetensors(folder / "a", {}));
  Result<Checkpoint> read = loadCheckpoint(folder / "a");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().text(),
            (folder / "a") +
                ": is not a checkpoint of a training run: its metadata has no number 'step'");
}

TEST(CheckpointDirectory, keepsTheNewest) {
  test::TemporaryFolder folder;
  CheckpointDirectory directory(folder / "run/1", /*keep=*/2);
  EXPECT_EQ(newestStep(directory), -1);
  for (int64_t step : {5, 10, 100000000, 100000005})
    ASSERT_TRUE(directory.save(checkpointAt(step)));
  EXPECT_EQ(filesIn(folder / "run/1"),
            (std::set<std::string>{"latest", "step-100000000.safetensors",
                                   "step-100000005.safetensors"}));
  EXPECT_EQ(*readFile(folder / "run/1/latest"), "step-100000005.safetensors\n");
  EXPECT_EQ(newestStep(directory), 100000005);
  EXPECT_EQ(directory.file(60), (folder / "run/1") + "/step-00000060.safetensors");
}

TEST(CheckpointDirectory, skipsDamagedFiles) {
  test::TemporaryFolder folder;
  CheckpointDirectory directory(folder.path);
  for (int64_t step : {1, 2, 3})
    ASSERT_TRUE(directory.save(checkpointAt(step)));
  truncate(directory.file(3));
  std::vector<std::string> warnings;
  EXPECT_EQ(newestStep(directory, &warnings), 2);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_EQ(warnings[0].find(directory.file(3) + ": damaged"), 0u) << warnings[0];
  truncate(directory.file(1));
  truncate(directory.file(2));
  EXPECT_EQ(newestStep(directory), -1);
}

// Killed between the checkpoint and the pointer: the checkpoint counts.
TEST(CheckpointDirectory, newerThanThePointer) {
  test::TemporaryFolder folder;
  CheckpointDirectory directory(folder.path);
  ASSERT_TRUE(directory.save(checkpointAt(30)));
  ASSERT_TRUE(saveCheckpoint(directory.file(60), checkpointAt(60)));
  fs::last_write_time(directory.file(60),
                      fs::last_write_time(folder / "latest") + std::chrono::seconds(9));
  EXPECT_EQ(newestStep(directory), 60);
}

// A run that was started again is not confused by what an earlier one left.
TEST(CheckpointDirectory, forgetsALongerRun) {
  test::TemporaryFolder folder;
  CheckpointDirectory directory(folder.path, /*keep=*/2);
  for (int64_t step : {100, 200})
    ASSERT_TRUE(directory.save(checkpointAt(step)));
  fs::last_write_time(directory.file(200),
                      fs::file_time_type::clock::now() - std::chrono::hours(1));
  ASSERT_TRUE(directory.save(checkpointAt(10)));
  EXPECT_EQ(newestStep(directory), 10);
  ASSERT_TRUE(directory.save(checkpointAt(20)));
  EXPECT_EQ(*directory.steps(), (std::vector<int64_t>{10, 20}));
  EXPECT_EQ(newestStep(directory), 20);
}

TEST(CheckpointDirectory, removesWhatAKilledProcessLeft) {
  test::TemporaryFolder folder;
  CheckpointDirectory directory(folder.path);
  std::ofstream(directory.file(1) + std::string(temporaryMark) + "123-0") << "half a checkpoint";
  EXPECT_EQ(newestStep(directory), -1);
  ASSERT_TRUE(directory.save(checkpointAt(2)));
  EXPECT_EQ(filesIn(folder.path), (std::set<std::string>{"latest", "step-00000002.safetensors"}));
}

// A full disk, played by a limit on file sizes.
TEST(CheckpointDirectory, aFailedSaveLeavesTheEarlierOnes) {
  test::TemporaryFolder folder;
  CheckpointDirectory directory(folder.path);
  ASSERT_TRUE(directory.save(checkpointAt(1)));
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{2000, 2000};
    setrlimit(RLIMIT_FSIZE, &limit);
    Status saved = directory.save(checkpointAt(2, /*elements=*/1000));
    const std::string expected = directory.file(2) + ": cannot write the file: File too large";
    _exit(!saved && saved.error().text() == expected ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(filesIn(folder.path), (std::set<std::string>{"latest", "step-00000001.safetensors"}));
  EXPECT_EQ(newestStep(directory), 1);
}

// kill -9 at any moment: a whole checkpoint remains, at most one save behind.
TEST(CheckpointDirectory, survivesKills) {
  std::mt19937_64 random(test::freshSeed());
  test::TemporaryFolder folder;
  CheckpointDirectory directory(folder.path, /*keep=*/2);
  ASSERT_TRUE(directory.save(checkpointAt(0)));
  for (int round = 0; round < 8; ++round) {
    const int64_t start = newestStep(directory);
    int progress[2];
    ASSERT_EQ(pipe(progress), 0);
    const pid_t child = fork();
    if (child == 0) {
      for (int64_t step = start + 1;; ++step) {
        if (!directory.save(checkpointAt(step, 20000)) ||
            ::write(progress[1], &step, sizeof(step)) != sizeof(step))
          _exit(1);
      }
    }
    close(progress[1]);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 20000));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    int64_t saved = start, step;
    while (::read(progress[0], &step, sizeof(step)) == sizeof(step))
      saved = step;
    close(progress[0]);
    std::vector<std::string> warnings;
    EXPECT_GE(newestStep(directory, &warnings), saved);
    EXPECT_TRUE(warnings.empty()) << warnings[0];
  }
}

} // namespace
} // namespace ingot
