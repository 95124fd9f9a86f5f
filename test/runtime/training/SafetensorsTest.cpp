#include "runtime/training/Safetensors.h"
#include "runtime/support/File.h"
#include "runtime/support/Json.h"
#include "test/runtime/TestPrograms.h"
#include <fstream>
#include <gtest/gtest.h>

namespace ingot {
namespace {

Tensor randomTensor(std::mt19937_64 &random, ElementType type) {
  Tensor tensor(type, {int64_t(random() % 4), 1 + int64_t(random() % 5)});
  for (size_t i = 0; i < tensor.bytes(); ++i)
    tensor.as<uint8_t>()[i] = static_cast<uint8_t>(random());
  return tensor;
}

Safetensors randomContents(std::mt19937_64 &random) {
  Safetensors contents;
  contents.metadata = {{"step", "60"}, {"note", "\"é\"\n"}};
  for (int i = 0; i < 20; ++i) {
    auto type = static_cast<ElementType>(random() % 17);
    if (type == ElementType::I4 || type == ElementType::U4)
      type = ElementType::F32;
    contents.tensors[fmt::format("h.{}.weight", random() % 1000)] = randomTensor(random, type);
  }
  return contents;
}

/// A file as another program writes it: this header, these bytes.
void writeRaw(const std::string &path, std::string_view header, std::string_view data) {
  const uint64_t size = header.size();
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char *>(&size), sizeof(size));
  file << header << data;
}

std::string readError(const std::string &path) {
  Result<Safetensors> contents = readSafetensors(path);
  return contents ? "" : contents.error().text();
}

TEST(Safetensors, roundTrips) {
  std::mt19937_64 random(test::freshSeed());
  test::TemporaryFolder folder;
  const Safetensors written = randomContents(random);
  ASSERT_TRUE(writeSafetensors(folder / "a", written));
  Result<Safetensors> contents = readSafetensors(folder / "a");
  ASSERT_TRUE(contents) << contents.error().text();
  EXPECT_EQ(contents->metadata, written.metadata);
  ASSERT_EQ(contents->tensors.size(), written.tensors.size());
  for (const auto &[name, expected] : written.tensors) {
    const Tensor &tensor = contents->tensors.at(name);
    EXPECT_EQ(tensor.type(), expected.type());
    EXPECT_EQ(tensor.shape(), expected.shape());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data()) % byteSize(tensor.type()), 0u);
    EXPECT_EQ(std::memcmp(tensor.data(), expected.data(), expected.bytes()), 0) << name;
  }
  // Equal contents, equal bytes.
  ASSERT_TRUE(writeSafetensors(folder / "b", *contents));
  EXPECT_EQ(*readFile(folder / "a"), *readFile(folder / "b"));
}

TEST(Safetensors, readsOtherWritersFiles) {
  test::TemporaryFolder folder;
  const std::string path = folder / "a";
  // No metadata, no padding, a bf16 tensor at an odd place, an empty one.
  writeRaw(path,
           R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
           R"("e":{"dtype":"F32","shape":[2,0],"data_offsets":[1,1]},)"
           R"("w":{"dtype":"BF16","shape":[2],"data_offsets":[1,5]}})",
           std::string_view("\x07\x80\x3f\x00\x40", 5));
  Result<Safetensors> contents = readSafetensors(path);
  ASSERT_TRUE(contents) << contents.error().text();
  const Tensor &tensor = contents->tensors.at("w");
  EXPECT_EQ(tensor.as<uint16_t>()[0], 0x3f80);
  EXPECT_EQ(tensor.as<uint16_t>()[1], 0x4000);
  EXPECT_EQ(contents->tensors.at("b").as<uint8_t>()[0], 7);
  EXPECT_EQ(contents->tensors.at("e").size(), 0);
}

TEST(Safetensors, refusesDamage) {
  test::TemporaryFolder folder;
  const std::string path = folder / "bad";
  struct Row {
    std::string_view header, data, message;
  };
  const Row rows[] = {
      {"{", "", "not valid JSON"},
      {"[]", "", "no JSON object"},
      {R"({"a":1})", "", "must be a JSON object"},
      {R"({"a":{"dtype":"F32","shape":[1]}})", "1234", "data_offsets: is missing"},
      {R"({"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})", "1234", "'F33' is not a type"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "1234", "do not span"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", "1234", "do not span"},
      {R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "1234", "no size of memory"},
      {R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}})", "1234",
       "no size of memory"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "123", "holds 3 bytes"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "12345", "holds 5 bytes"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})", "12345", "leaves a gap"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
       R"("b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
       "123", "overlaps"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
       R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
       "1", "'a' stands twice"},
      {R"({"__metadata__":{"step":6}})", "", "must be a string"},
      {R"({"__metadata__":{"ingot.xxh3":"0"}})", "", "checksum"},
  };
  for (const Row &row : rows) {
    writeRaw(path, row.header, row.data);
    const std::string error = readError(path);
    EXPECT_NE(error.find(row.message), std::string::npos) << row.header << "\n" << error;
    EXPECT_EQ(error.find(path), 0u) << error;
  }
  std::ofstream(path) << "1234567";
  EXPECT_NE(readError(path).find("only 7 bytes"), std::string::npos);
  std::ofstream(path) << std::string(200, '\xff');
  EXPECT_NE(readError(path).find("a header of"), std::string::npos);
}

TEST(Safetensors, seesEveryChangedByteOfItsOwnFiles) {
  std::mt19937_64 random(test::freshSeed());
  test::TemporaryFolder folder;
  const Safetensors written = randomContents(random);
  ASSERT_TRUE(writeSafetensors(folder / "good", written));
  const std::string good = *readFile(folder / "good");
  for (int i = 0; i < 300; ++i) {
    std::string bad = good;
    const size_t place = random() % bad.size();
    bad[place] ^= static_cast<char>(1 << random() % 8);
    test::writeQuickly(folder / "bad", bad);
    // The blanks behind the header say nothing, and without its name there is no checksum.
    if (!std::isspace(static_cast<unsigned char>(good[place])) &&
        bad.find("\"ingot.xxh3\"") != std::string::npos) {
      ASSERT_NE(readError(folder / "bad"), "") << place;
    }
    test::writeQuickly(folder / "bad", good.substr(0, place));
    ASSERT_NE(readError(folder / "bad"), "") << place;
  }
}

TEST(Safetensors, hasNoSubByteTypes) {
  test::TemporaryFolder folder;
  Status status = writeSafetensors(
      folder / "a", {.tensors = {{"w", Tensor(ElementType::I4, {2})}}, .metadata = {}});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().text(), (folder / "a") + ": safetensors has no type i4 for 'w'");
}

} // namespace
} // namespace ingot
