#include "runtime/program/CpuImage.h"
#include "runtime/program/Device.h"
#include "runtime/support/File.h"
#include "test/runtime/TestPrograms.h"
#include <gtest/gtest.h>
#include <xxhash.h>

namespace ingot {
namespace {

std::string fileOf(const Program &program, const test::TemporaryFolder &folder,
                   const char *name = "program.ingot") {
  Status saved = program.save(folder / name);
  EXPECT_TRUE(saved) << saved.error().text();
  return *readFile(folder / name);
}

std::string loadError(const std::string &path) {
  Result<Program> program = Program::load(path);
  return program ? "" : program.error().text();
}

/// Makes the checksum right again, so that what follows it is examined.
void sealAgain(std::string &file) {
  const uint64_t size = file.size();
  std::memcpy(&file[24], &size, 8);
  std::memset(&file[32], 0, 8);
  std::string padded = file;
  padded.resize((file.size() + 63) / 64 * 64);
  const uint64_t checksum = XXH3_64bits(padded.data(), padded.size());
  std::memcpy(&file[32], &checksum, 8);
}

TEST(ProgramFile, randomProgramsRoundTrip) {
  std::mt19937_64 random(test::freshSeed());
  test::TemporaryFolder folder;
  for (int i = 0; i < 20; ++i) {
    const Program program = test::randomProgram(random);
    const std::string bytes = fileOf(program, folder);
    Result<Program> loaded = Program::load(folder / "program.ingot");
    ASSERT_TRUE(loaded) << loaded.error().text();
    // Equal bytes mean equal tables: each field is in the file.
    ASSERT_EQ(fileOf(*loaded, folder, "again.ingot"), bytes);
    ASSERT_EQ(loaded->objects.size(), program.objects.size());
    for (size_t o = 0; o < program.objects.size(); ++o)
      ASSERT_EQ(loaded->objects[o].bytes, program.objects[o].bytes);
    for (size_t k = 0; k < program.kernels.size(); ++k) {
      ASSERT_EQ(loaded->kernels[k].launch, program.kernels[k].launch);
      ASSERT_EQ(interfaceOf(loaded->kernels[k]), interfaceOf(program.kernels[k]));
      for (size_t p = 0; p < program.kernels[k].parameters.size(); ++p)
        ASSERT_EQ(loaded->kernels[k].parameters[p].map, program.kernels[k].parameters[p].map);
    }
    ASSERT_EQ(loaded->constants.size(), program.constants.size());
    for (size_t c = 0; c < program.constants.size(); ++c) {
      const Tensor &value = loaded->constants[c].value, &expected = program.constants[c].value;
      ASSERT_EQ(value.shape(), expected.shape());
      ASSERT_EQ(std::memcmp(value.data(), expected.data(), expected.bytes()), 0);
    }
  }
}

TEST(ProgramFile, keepsEveryField) {
  test::TemporaryFolder folder;
  Program program = test::affineProgram(64);
  program.functions[0].ports[3].members = {"sum"};
  program.functions[0].ports[3].counted = 1; // without a count it says nothing
  fileOf(program, folder);
  Result<Program> loaded = Program::load(folder / "program.ingot");
  ASSERT_TRUE(loaded) << loaded.error().text();
  EXPECT_EQ(loaded->target, program.target);
  EXPECT_EQ(loaded->features, program.features);
  EXPECT_EQ(loaded->workspaceBytes, 64);
  EXPECT_EQ(loaded->arenaBytes, program.arenaBytes);
  EXPECT_EQ(loaded->persistentBytes, program.persistentBytes);
  EXPECT_EQ(loaded->objects[0].architecture, "cpu:x86-64");
  EXPECT_EQ(loaded->kernels[2].scratchBytes(), 64);
  EXPECT_EQ(loaded->kernels[1].flops, 1e9);
  EXPECT_EQ(loaded->kernels[1].parameters[1].bytes, 128);
  EXPECT_EQ(loaded->kernels[1].parameters[1].access, Access::Update);
  EXPECT_EQ(loaded->functions[0].port("y")->offset, program.functions[0].port("y")->offset);
  EXPECT_EQ(loaded->functions[0].port("y")->members, std::vector<std::string>{"sum"});
  EXPECT_TRUE(loaded->functions[0].port("x")->members.empty());
  EXPECT_EQ(loaded->functions[0].port("y")->counted, 1);
  EXPECT_EQ(loaded->functions[0].port("sum")->role, Role::State);
  EXPECT_EQ(std::get<LoopStep>(loaded->functions[0].steps[0].node).trips, 2);
  EXPECT_FALSE(std::get<LoopStep>(loaded->functions[0].steps[0].node).count);
}

TEST(ProgramFile, keepsEveryFieldOfALoop) {
  test::TemporaryFolder folder;
  Program program = test::affineProgram(64);
  auto &loop = std::get<LoopStep>(program.functions[0].steps[0].node);
  loop.count = program.arenaBytes - 8;
  loop.counter = program.arenaBytes - 16;
  loop.reverse = true;
  loop.op = "rows";
  fileOf(program, folder);
  Result<Program> loaded = Program::load(folder / "program.ingot");
  ASSERT_TRUE(loaded) << loaded.error().text();
  const auto &read = std::get<LoopStep>(loaded->functions[0].steps[0].node);
  EXPECT_EQ(read.count, loop.count);
  EXPECT_EQ(read.counter, loop.counter);
  EXPECT_EQ(read.reverse, true);
  EXPECT_EQ(read.op, "rows");
}

// The runtime alone runs what a file holds.
TEST(ProgramFile, runsFromAFile) {
  test::TemporaryFolder folder;
  fileOf(test::affineProgram(320), folder);
  Result<Program> program = Program::load(folder / "program.ingot");
  ASSERT_TRUE(program) << program.error().text();
  auto device = openDevice("cpu", {.threads = 2});
  auto session = (*device)->load(std::make_shared<Program>(std::move(*program)));
  ASSERT_TRUE(session) << session.error().text();
  Tensor x(ElementType::F32, {320});
  for (int i = 0; i < 320; ++i)
    x.as<float>()[i] = float(i);
  ASSERT_TRUE((*session)->write("step", "x", x));
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE((*session)->run("step"));
  Result<Tensor> sum = (*session)->read("step", "sum");
  for (int i = 0; i < 320; ++i)
    ASSERT_EQ(sum->as<float>()[i], 3 * (2 * float(i) + 1));
}

TEST(ProgramFile, saysWhatIsDamaged) {
  test::TemporaryFolder folder;
  const std::string good = fileOf(test::affineProgram(64), folder), path = folder / "bad.ingot";
  auto error = [&](const std::string &bytes) {
    test::writeQuickly(path, bytes);
    return loadError(path);
  };
  EXPECT_EQ(error(""), path + ": is not an Ingot program");
  EXPECT_EQ(error("#!/bin/sh\n" + std::string(100, ' ')), path + ": is not an Ingot program");
  EXPECT_EQ(error(good.substr(0, good.size() - 1)),
            fmt::format("{}: damaged: holds {} bytes where {} were written", path, good.size() - 1,
                        good.size()));
  std::string flipped = good;
  flipped[100] ^= 1;
  EXPECT_EQ(error(flipped), path + ": damaged: its checksum does not match its contents");
  std::string newer = good;
  newer[8] = 7;
  EXPECT_EQ(error(newer), path + ": is an Ingot program of format 7; this build reads format 6");
  newer[8] = 5;
  EXPECT_EQ(error(newer), path + ": is an Ingot program of format 5; this build reads format 6: "
                                 "compile the model again");
  // A header that seems to reach into the zeros behind it, where a reader of JSON stops by itself.
  std::string longer = good;
  uint64_t headerBytes = 0;
  std::memcpy(&headerBytes, &longer[16], 8);
  headerBytes += headerBytes % 64 == 0 ? 0 : 1;
  std::memcpy(&longer[16], &headerBytes, 8);
  EXPECT_EQ(error(longer) == "", longer == good);
  EXPECT_EQ(loadError(folder / "none"),
            (folder / "none") + ": cannot open the file: No such file or directory");
  EXPECT_EQ(loadError(folder.path), folder.path + ": not a regular file");

  // Tables that lie, under a checksum that holds.
  auto edited = [&](std::string_view from, std::string_view to) {
    std::string bytes = good;
    const size_t place = bytes.find(from);
    EXPECT_NE(place, std::string::npos) << from;
    bytes.replace(place, from.size(), to);
    sealAgain(bytes);
    return error(bytes);
  };
  const std::string blobs = good.substr(good.find("\"blobs\":["), 10);
  EXPECT_EQ(edited(blobs, "\"blobs\":[9"), path + ": blobs[0]: is more than the file holds");
  EXPECT_EQ(edited("\"blob\":0", "\"blob\":7"),
            path + ": programs[0]: objects[0]: blob: is none of the file's 1");
  EXPECT_EQ(edited("\"layout\":\"plain\"", "\"layout\":\"tiled\""),
            path + ": programs[0]: functions[0]: ports[0]: layout: 'tiled' is not known");
  EXPECT_EQ(edited("\"limit\":0", "\"shard\":0"),
            path + ": programs[0]: functions[0]: ports[0]: shard: is reserved: this build does not "
                   "know what it asks for");
  // Kernels that the code does not have, or not so: under a checksum that is right.
  EXPECT_EQ(edited("\"symbol\":\"affine\"", "\"symbol\":\"affinf\""),
            path + ": unsound program: kernel 'affinf' is no entry of its code");
  EXPECT_EQ(edited("\"grains\":2", "\"grains\":9"),
            path + ": unsound program: kernel 'affine' is declared with other parameters or grains "
                   "than its code was made for");
  EXPECT_EQ(edited("\"type\":\"i1\"", "\"type\":\"i9\"")
                .find(path + ": programs[0]: functions[0]: ports[2]: type: "
                             "unknown element type 'i9'"),
            0u);
  EXPECT_EQ(edited("\"trips\":2", "\"trips\":\""), path + ": damaged: not valid JSON");
  EXPECT_EQ(edited("\"shape\":[64]", "\"shape\":[-4]").substr(0, path.size() + 18),
            path + ": unsound program:");
}

TEST(ProgramFile, severalProgramsShareTheirBlobs) {
  test::TemporaryFolder folder;
  Program first = test::affineProgram(64), second = test::affineProgram(64);
  first.name = "64";
  second.name = "32";
  for (Port &port : second.functions[0].ports)
    if (port.shape == Shape{64})
      port.shape = {32}; // half of the same memory
  const Program *both[] = {&first, &second};
  ASSERT_TRUE(savePrograms(folder / "both.ingot", both));
  const size_t size = readFile(folder / "both.ingot")->size(), code = first.objects[0].bytes.size();
  EXPECT_LT(size, 64 + 2 * (fileOf(first, folder).size() - 64 - code) + code + 64);
  Result<std::vector<Program>> loaded = loadPrograms(folder / "both.ingot");
  ASSERT_TRUE(loaded) << loaded.error().text();
  ASSERT_EQ(loaded->size(), 2u);
  EXPECT_EQ((*loaded)[1].name, "32");
  EXPECT_EQ((*loaded)[1].functions[0].ports[0].shape, Shape{32});
  EXPECT_EQ((*loaded)[1].objects[0].bytes, first.objects[0].bytes);
  EXPECT_EQ(loadError(folder / "both.ingot"),
            (folder / "both.ingot") + ": holds 2 programs where one is wanted: '64', '32'");
}

TEST(ProgramFile, truncationIsAlwaysSeen) {
  test::TemporaryFolder folder;
  const std::string good = fileOf(test::affineProgram(64), folder), path = folder / "bad.ingot";
  for (size_t size = 0; size < good.size(); size += 1 + size / 8) {
    test::writeQuickly(path, good.substr(0, size));
    ASSERT_NE(loadError(path), "") << size;
  }
}

// Whatever happens to a file, loading it answers with a sound program or with an error; with a
// wrong checksum only with an error.
TEST(ProgramFile, mutationsNeverCrash) {
  std::mt19937_64 random(test::freshSeed());
  test::TemporaryFolder folder;
  const std::string path = folder / "mutated.ingot";
  int refused = 0;
  std::string good;
  for (int i = 0; i < 300; ++i) {
    if (i % 20 == 0)
      good = fileOf(test::randomProgram(random), folder);
    std::string bytes = good;
    for (uint64_t edits = 1 + random() % 4; edits > 0; --edits) {
      const size_t place = random() % bytes.size();
      switch (random() % 4) {
      case 0:
        bytes[place] ^= static_cast<char>(1 << random() % 8);
        break;
      case 1: // digits stay digits: sizes and offsets change, the JSON stays valid
        for (size_t p = place; p < bytes.size() && p < place + 200; ++p)
          if (std::isdigit(static_cast<unsigned char>(bytes[p])))
            bytes[p] = static_cast<char>('0' + random() % 10);
        break;
      case 2:
        bytes.erase(place, random() % 80);
        break;
      case 3:
        bytes.insert(place, bytes.substr(random() % bytes.size(), random() % 80));
        break;
      }
      if (bytes.size() < 64)
        bytes = good;
    }
    const bool isSealed = random() % 4 != 0;
    if (isSealed)
      sealAgain(bytes);
    test::writeQuickly(path, bytes);
    Result<Program> program = Program::load(path);
    if (!program) {
      ++refused;
      EXPECT_EQ(program.error().text().find(path), 0u) << program.error().text();
      continue;
    }
    EXPECT_TRUE(isSealed || bytes == good);
    EXPECT_TRUE(program->validate());
  }
  EXPECT_GT(refused, 100);
}

// Tables that lie under a right checksum: what loads in spite of them also runs.
TEST(ProgramFile, mutatedTablesThatLoadRun) {
  std::mt19937_64 random(test::freshSeed());
  test::TemporaryFolder folder;
  const std::string path = folder / "mutated.ingot";
  const std::string good = fileOf(test::affineProgram(320), folder);
  uint64_t headerBytes = 0;
  std::memcpy(&headerBytes, &good[16], 8);
  auto device = openDevice("cpu", {.threads = 2});
  int ran = 0;
  for (int i = 0; i < 900; ++i) {
    std::string bytes = good;
    for (uint64_t edits = 1 + random() % 3; edits > 0; --edits) {
      size_t place = 64 + random() % headerBytes;
      while (place < 64 + headerBytes && !std::isdigit(static_cast<unsigned char>(bytes[place])))
        ++place;
      if (place < 64 + headerBytes)
        bytes[place] = static_cast<char>('0' + random() % 10);
    }
    sealAgain(bytes);
    test::writeQuickly(path, bytes);
    Result<Program> program = Program::load(path);
    if (!program || program->arenaBytes > 1 << 24 || program->workspaceBytes > 1 << 24)
      continue;
    if (auto *loop = std::get_if<LoopStep>(&program->functions[0].steps[0].node);
        loop && loop->trips > 1000)
      continue;
    auto session = (*device)->load(std::make_shared<Program>(std::move(*program)));
    if (!session)
      continue;
    EXPECT_TRUE((*session)->run("step"));
    ++ran;
  }
  EXPECT_GT(ran, 50);
}

TEST(ProgramFile, failedWritesLeaveTheOldFile) {
  test::TemporaryFolder folder;
  const std::string good = fileOf(test::affineProgram(64), folder);
  Program unsound = test::affineProgram(64);
  unsound.kernels.clear();
  Status saved = unsound.save(folder / "program.ingot");
  ASSERT_FALSE(saved);
  EXPECT_NE(saved.error().text().find("calls kernel 0 of 0"), std::string::npos);
  EXPECT_EQ(*readFile(folder / "program.ingot"), good);
  EXPECT_FALSE(test::affineProgram(64).save(folder / "no/such/folder/program.ingot"));
}

} // namespace
} // namespace ingot
