#include "runtime/data/Array.h"
#include "runtime/data/Files.h"
#include "runtime/data/Idx.h"
#include "runtime/data/Npy.h"
#include "test/runtime/Support.h"
#include <zlib.h>

namespace ingot {
namespace {

using test::freshSeed;
using test::sharedData;
using test::TemporaryFolder;

constexpr ElementType numpyTypes[] = {ElementType::F64, ElementType::F32, ElementType::F16,
                                      ElementType::I64, ElementType::I32, ElementType::I16,
                                      ElementType::I8,  ElementType::U64, ElementType::U32,
                                      ElementType::U16, ElementType::U8,  ElementType::I1};

Tensor randomTensor(ElementType type, const Shape &shape, std::mt19937_64 &random) {
  Tensor tensor(type, shape);
  for (size_t i = 0; i < tensor.bytes(); ++i)
    tensor.as<uint8_t>()[i] = uint8_t(type == ElementType::I1 ? random() % 2 : random());
  return tensor;
}

bool sameBytes(const Tensor &a, const Tensor &b) {
  return a.type() == b.type() && a.shape() == b.shape() &&
         std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

std::string gzip(const std::string &bytes) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(bytes.data()));
  stream.avail_in = uInt(bytes.size());
  stream.next_out = reinterpret_cast<Bytef *>(packed.data());
  stream.avail_out = uInt(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

TEST(Npy, RoundTripsEveryTypeAndRank) {
  uint64_t seed = freshSeed();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (ElementType type : numpyTypes)
    for (const Shape &shape : {Shape{}, Shape{7}, Shape{3, 5}, Shape{2, 0, 3}, Shape{1, 2, 3, 4}}) {
      Tensor tensor = randomTensor(type, shape, random);
      auto read = parseNpy(formatNpy(tensor, "t").value(), "t");
      ASSERT_TRUE(read) << read.error().text();
      EXPECT_TRUE(sameBytes(tensor, *read)) << name(type) << " " << toString(shape);
    }
}

TEST(Npy, RoundTripsThroughAFile) {
  std::mt19937_64 random(freshSeed());
  TemporaryFolder folder;
  Tensor tensor = randomTensor(ElementType::F32, {2, 3}, random);
  ASSERT_TRUE(writeNpy(folder / "a.npy", tensor));
  EXPECT_TRUE(sameBytes(tensor, readNpy(folder / "a.npy").value()));
}

TEST(Npy, WritesWhatNumpyWrites) {
  Tensor tensor(ElementType::F32, {3});
  std::string bytes = formatNpy(tensor, "t").value();
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }";
  EXPECT_EQ(bytes.substr(0, 10), std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  EXPECT_EQ(bytes.substr(10, header.size()), header);
  EXPECT_EQ(bytes[127], '\n');
  EXPECT_EQ(bytes.size(), 128u + 12u);
  EXPECT_NE(formatNpy(Tensor(ElementType::I8, {2, 3}), "t")
                .value()
                .find("'|i1', 'fortran_order': False, 'shape': (2, 3), }"),
            std::string::npos);
  EXPECT_FALSE(formatNpy(Tensor(ElementType::BF16, {1}), "t"));
}

std::string npy(const std::string &dictionary, const std::string &data, char version = 1) {
  std::string bytes("\x93NUMPY", 6);
  bytes += {version, '\0', char(dictionary.size()), '\0'};
  if (version > 1)
    bytes += {'\0', '\0'};
  return bytes + dictionary + data;
}

TEST(Npy, ReadsOtherLayouts) {
  // Column-major big-endian [2, 3]: columns (1, 4), (2, 5), (3, 6).
  std::string data("\0\1\0\4\0\2\0\5\0\3\0\6", 12);
  auto tensor =
      parseNpy(npy("{\"shape\":(2,3),'fortran_order':True, 'descr':'>i2'}\n", data, 2), "t");
  ASSERT_TRUE(tensor) << tensor.error().text();
  EXPECT_EQ(tensor->shape(), (Shape{2, 3}));
  EXPECT_EQ(std::vector<int16_t>(tensor->as<int16_t>(), tensor->as<int16_t>() + 6),
            (std::vector<int16_t>{1, 2, 3, 4, 5, 6}));
}

TEST(Npy, RefusesWhatItCannotRead) {
  const std::string good = "{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }\n";
  ASSERT_TRUE(parseNpy(npy(good, "abcd"), "t"));
  for (const std::string &bad :
       {std::string(), std::string("\x93NUMPY"), npy(good, "abc"), npy(good, "abcde"),
        npy(good, "", 4), npy("{'descr': '<i2', 'fortran_order': False}", "abcd"),
        npy("{'descr': '<U2', 'fortran_order': False, 'shape': (2,), }", "abcd"),
        npy("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "abcdefgh"),
        npy("{'descr': [('a', '<i2')], 'fortran_order': False, 'shape': (2,), }", "abcd"),
        npy("{'descr': '<i2', 'fortran_order': Maybe, 'shape': (2,), }", "abcd"),
        npy("{'descr': '<i2', 'fortran_order': False, 'shape': (-2,), }", "abcd"),
        npy("{'descr': '<i2', 'fortran_order': False, 'shape': (4294967296, 4294967296, "
            "4294967296), }",
            "abcd"),
        npy("{'descr': '<i2', 'fortran_order': False, 'shape': (2, }", "abcd"),
        npy("{'descr", "abcd"), npy("", "")}) {
    auto tensor = parseNpy(bad, "file.npy");
    ASSERT_FALSE(tensor) << testing::PrintToString(bad);
    EXPECT_EQ(tensor.error().place, "file.npy");
  }
}

TEST(Npy, MutationsGiveATensorOrAnError) {
  uint64_t seed = freshSeed();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  const std::string good = formatNpy(randomTensor(ElementType::I32, {4, 3}, random), "t").value();
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string bad = good;
    for (uint64_t change = random() % 3; change <= 2; ++change)
      bad[random() % 128] = char(random());
    if (random() % 4 == 0)
      bad.resize(random() % bad.size());
    auto tensor = parseNpy(bad, "t");
    refused += !tensor;
    if (tensor)
      EXPECT_LE(tensor->bytes(), bad.size());
  }
  EXPECT_GT(refused, 1000);
}

TEST(Idx, ReadsBigEndianElements) {
  std::string bytes("\0\0\x0B\x02\0\0\0\1\0\0\0\2\1\2\xFF\xFF", 16);
  auto tensor = parseIdx(bytes, "t");
  ASSERT_TRUE(tensor) << tensor.error().text();
  EXPECT_EQ(tensor->shape(), (Shape{1, 2}));
  EXPECT_EQ(tensor->as<int16_t>()[0], 0x0102);
  EXPECT_EQ(tensor->as<int16_t>()[1], -1);
  for (size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(parseIdx(bytes.substr(0, length), "t")) << length;
  EXPECT_FALSE(parseIdx(bytes + "x", "t"));
  bytes[2] = 7;
  EXPECT_FALSE(parseIdx(bytes, "t"));
  EXPECT_FALSE(parseIdx(std::string("\0\0\x08\xFF", 4) + std::string(1020, '\xFF'), "t"));
}

TEST(Idx, ReadsMnistAsItIs) {
  SKIP_WITHOUT(sharedData("mnist/t10k-images-idx3-ubyte.gz"));
  auto images = readArray(sharedData("mnist/t10k-images-idx3-ubyte.gz"));
  auto labels = readArray(sharedData("mnist/t10k-labels-idx1-ubyte.gz"));
  ASSERT_TRUE(images && labels);
  EXPECT_EQ(images->shape(), (Shape{10000, 28, 28}));
  EXPECT_EQ(images->type(), ElementType::U8);
  ASSERT_EQ(labels->shape(), (Shape{10000}));
  const uint8_t first[] = {7, 2, 1, 0, 4, 1, 4, 9, 5, 9};
  EXPECT_EQ(std::memcmp(labels->data(), first, sizeof first), 0);
}

TEST(Files, GunzipsMembersAndNoticesDamage) {
  uint64_t seed = freshSeed();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  std::string text;
  for (int i = 0; i < 200000; ++i)
    text += char('a' + random() % 4);
  TemporaryFolder folder;
  std::string packed = gzip(text) + gzip("tail");
  ASSERT_TRUE(writeOutput(folder / "a.gz", packed));
  EXPECT_EQ(readInput(folder / "a.gz").value(), text + "tail");
  for (size_t length : {3ul, 11ul, packed.size() / 2, packed.size() - 1}) {
    ASSERT_TRUE(writeOutput(folder / "b.gz", packed.substr(0, length)));
    auto read = readInput(folder / "b.gz");
    ASSERT_FALSE(read) << length;
    EXPECT_EQ(read.error().place, folder / "b.gz");
  }
  packed[packed.size() / 2] ^= 0x55;
  ASSERT_TRUE(writeOutput(folder / "b.gz", packed));
  EXPECT_FALSE(readInput(folder / "b.gz"));
  EXPECT_EQ(readInput(folder / "none").error().code, Error::Code::Io);
  EXPECT_FALSE(readInput(folder / ""));
  EXPECT_FALSE(writeOutput(folder / "no/folder", "x"));
}

// A device without an end, and a small file that unpacks to a large one.
TEST(Files, InputsAreBounded) {
  constexpr size_t limit = 1 << 20;
  TemporaryFolder folder;
  ASSERT_TRUE(writeOutput(folder / "bomb.gz", gzip(std::string(limit + 1, 'a'))));
  ASSERT_TRUE(writeOutput(folder / "fits.gz", gzip(std::string(limit, 'a'))));
  for (const std::string &path : {std::string("/dev/zero"), folder / "bomb.gz"}) {
    auto read = readInput(path, limit);
    ASSERT_FALSE(read) << path;
    EXPECT_EQ(read.error().message,
              "it holds more than 1048576 bytes, which is too much to be read "
              "as a whole, or has no end");
    EXPECT_EQ(read.error().place, path);
  }
  EXPECT_EQ(readInput(folder / "fits.gz", limit)->size(), limit);
}

TEST(Array, IsRecognisedByItsFirstBytes) {
  TemporaryFolder folder;
  Tensor tensor(ElementType::U8, {2, 2});
  ASSERT_TRUE(writeOutput(folder / "a", gzip(formatNpy(tensor, "t").value())));
  EXPECT_EQ(readArray(folder / "a").value().shape(), (Shape{2, 2}));
  ASSERT_TRUE(writeOutput(folder / "a", "hello"));
  EXPECT_FALSE(readArray(folder / "a"));
}

TEST(Array, ConvertsWhatFits) {
  Tensor bytes(ElementType::U8, {3}), floats(ElementType::F32, {3}), words(ElementType::I32, {3});
  bytes.as<uint8_t>()[1] = 255;
  ASSERT_TRUE(convertElements(bytes, 0, floats, 0, 3, 1.0 / 255));
  EXPECT_EQ(floats.as<float>()[1], 1.0f);
  ASSERT_TRUE(convertElements(bytes, 1, words, 2, 1));
  EXPECT_EQ(words.as<int32_t>()[2], 255);
  floats.as<float>()[0] = 3;
  EXPECT_TRUE(convertElements(floats, 0, words, 0, 1));
  for (float bad : {0.5f, -1.0f / 0.0f, 0.0f / 0.0f, 3e9f, 1e30f}) {
    floats.as<float>()[0] = bad;
    EXPECT_FALSE(convertElements(floats, 0, words, 0, 1)) << bad;
  }
  Tensor longs(ElementType::I64, {1});
  longs.as<int64_t>()[0] = int64_t(1) << 31;
  EXPECT_FALSE(convertElements(longs, 0, words, 0, 1));
  EXPECT_FALSE(convertElements(Tensor(ElementType::BF16, {1}), 0, words, 0, 1));

  Tensor doubles(ElementType::F64, {2});
  for (auto [value, scale, fits] :
       std::initializer_list<std::tuple<double, double, bool>>{{1e300, 1, false},
                                                               {1e300, 1e-300, true},
                                                               {3, 1e39, false},
                                                               {1.0 / 0, 1, true},
                                                               {0.0 / 0, 2, true}}) {
    doubles.as<double>()[1] = value;
    EXPECT_EQ(convertElements(doubles, 0, floats, 0, 2, scale).has_value(), fits) << value;
  }
  doubles.as<double>()[1] = 3;
  EXPECT_EQ(convertElements(doubles, 0, floats, 0, 2, 1e39).error().message,
            "the value 3 (scaled by 1e+39) of element 1 does not fit into f32");
}

} // namespace
} // namespace ingot
