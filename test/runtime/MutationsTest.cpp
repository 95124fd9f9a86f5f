/// Loaders answer damaged files with an error that names the file, or with contents that can be
/// used: they never crash, hang or read outside what they were given.
#include "test/runtime/Mutations.h"
#include "runtime/data/Array.h"
#include "runtime/data/Files.h"
#include "runtime/data/Npy.h"
#include "runtime/data/Tokenizer.h"
#include "runtime/training/Checkpoint.h"
#include "test/runtime/Support.h"
#include <gtest/gtest.h>
#include <numeric>
#include <zlib.h>

namespace ingot {
namespace {

/// Calls `load` with mutated files; it returns the error's text, or empty after it has used what
/// was loaded.
void tryMutations(const std::string &good,
                  const std::function<std::string(const std::string &path)> &load) {
  test::TemporaryFolder folder;
  const std::string path = folder / "mutated";
  test::writeQuickly(path, good);
  ASSERT_EQ(load(path), "");
  const uint64_t seed = test::freshSeed();
  std::mt19937_64 random(seed);
  int refused = 0;
  for (int i = 0; i < test::mutationTrials(); ++i) {
    test::writeQuickly(path, test::mutate(good, random));
    const std::string error = load(path);
    refused += !error.empty();
    EXPECT_TRUE(error.empty() || error.find(path) == 0) << "seed " << seed << ": " << error;
  }
  EXPECT_GT(refused, test::mutationTrials() / 10);
}

/// Reads every byte, which a sanitizer or the system would not let pass outside the tensor.
unsigned touch(const Tensor &tensor) {
  const uint8_t *bytes = tensor.as<uint8_t>();
  return std::accumulate(bytes, bytes + tensor.bytes(), 0u);
}

std::string gzip(const std::string &bytes) {
  std::string packed(bytes.size() + 100, '\0');
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(bytes.data()));
  stream.avail_in = uInt(bytes.size());
  stream.next_out = reinterpret_cast<Bytef *>(packed.data());
  stream.avail_out = uInt(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

Tensor someNumbers() {
  Tensor tensor(ElementType::F32, {7, 5});
  for (int i = 0; i < 35; ++i)
    tensor.as<float>()[i] = float(i);
  return tensor;
}

std::string loadArray(const std::string &path) {
  Result<Tensor> array = readArray(path);
  if (!array)
    return array.error().text();
  touch(*array);
  return "";
}

TEST(Mutations, npy) { tryMutations(formatNpy(someNumbers(), "").value(), loadArray); }

TEST(Mutations, npyPackedByGzip) {
  tryMutations(gzip(formatNpy(someNumbers(), "").value()), loadArray);
}

TEST(Mutations, idx) {
  std::string idx("\0\0\x08\x02\0\0\0\x10\0\0\0\x04", 12);
  for (int i = 0; i < 64; ++i)
    idx += char(i);
  tryMutations(idx, loadArray);
}

TEST(Mutations, checkpoint) {
  test::TemporaryFolder folder;
  Checkpoint checkpoint;
  checkpoint.step = 30;
  checkpoint.options = R"({"model":{"family":"mlp"}})";
  checkpoint.tensors["weight"] = someNumbers();
  checkpoint.tensors["bias"] = Tensor(ElementType::F64, {3});
  ASSERT_TRUE(saveCheckpoint(folder / "good", checkpoint));
  tryMutations(readInput(folder / "good").value(), [](const std::string &path) -> std::string {
    Result<Checkpoint> loaded = loadCheckpoint(path);
    if (!loaded)
      return loaded.error().text();
    for (const auto &[name, tensor] : loaded->tensors)
      touch(tensor);
    return "";
  });
}

std::string useTokenizer(const Result<TokenizerPointer> &tokenizer) {
  if (!tokenizer)
    return tokenizer.error().text();
  Result<Tokens> tokens = (*tokenizer)->encode("a b", "");
  if (tokens)
    (void)(*tokenizer)->decode(*tokens);
  const int32_t start = (*tokenizer)->startToken();
  (void)(*tokenizer)->decode(std::span(&start, 1));
  return "";
}

TEST(Mutations, tokenizerOfACheckpoint) {
  tryMutations(makeCharTokenizer("a bcä€𝄞\n", "").value()->toJson(), [](const std::string &path) {
    return useTokenizer(parseTokenizer(readInput(path).value(), path));
  });
}

TEST(Mutations, gpt2Tokenizer) {
  // The smallest: every byte's form, and three merges.
  test::TemporaryFolder folder;
  const std::string encoder = test::sharedData("gpt2-bpe/encoder.json");
  const std::string merges = test::sharedData("gpt2-bpe/vocab.bpe");
  SKIP_WITHOUT(encoder);
  const std::string text = readInput(merges).value().substr(0, 3000);
  tryMutations(text.substr(0, text.rfind('\n') + 1), [&](const std::string &path) {
    const std::string error = useTokenizer(loadGpt2Tokenizer(encoder, path));
    // What is wrong may also be said of the vocabulary that does not fit.
    return error.find(encoder) == 0 ? path + error : error;
  });
}

} // namespace
} // namespace ingot
