#include "runtime/data/TextSource.h"
#include "runtime/data/Files.h"
#include "runtime/data/Random.h"
#include <algorithm>

namespace ingot {

Result<std::vector<TextFile>> readTextFiles(std::span<const std::string> paths) {
  std::vector<TextFile> files;
  for (const std::string &path : paths) {
    INGOT_ASSIGN(std::string text, readInput(path));
    if (text.empty())
      return failure(Error::Code::BadInput, path, "the text is empty");
    files.push_back({path, std::move(text)});
  }
  return files;
}

Result<TokenizerPointer> makeTokenizer(std::string_view kind, std::span<const TextFile> files) {
  if (kind == "byte")
    return makeByteTokenizer();
  if (kind != "char")
    return failure(Error::Code::Usage, "",
                   "no tokenizer '{}' can be made from a text; there are char and byte", kind);
  std::string characters;
  for (const TextFile &file : files) {
    INGOT_ASSIGN(TokenizerPointer tokenizer, makeCharTokenizer(file.text, file.path));
    Tokens all(tokenizer->vocabularySize());
    for (size_t i = 0; i < all.size(); ++i)
      all[i] = int32_t(i);
    INGOT_ASSIGN(std::string own, tokenizer->decode(all));
    characters += own;
  }
  return makeCharTokenizer(characters, files.empty() ? "" : files[0].path);
}

Result<TokenRange> encodeFiles(const Tokenizer &tokenizer, std::span<const TextFile> files) {
  Tokens all;
  for (const TextFile &file : files) {
    INGOT_ASSIGN(Tokens tokens, tokenizer.encode(file.text, file.path));
    all.insert(all.end(), tokens.begin(), tokens.end());
  }
  size_t size = all.size();
  return TokenRange{std::make_shared<Tokens>(std::move(all)), 0, size,
                    files.empty() ? "" : files[0].path};
}

Result<TextSplit> splitText(const TokenRange &text, double fraction) {
  if (!(fraction >= 0 && fraction < 1))
    return failure(Error::Code::Usage, "fraction",
                   "{} is not a fraction from 0 up to, but not including, 1", fraction);
  TextSplit split{text, text};
  split.training.end = split.validation.begin = text.end - size_t(double(text.size()) * fraction);
  return split;
}

Result<std::unique_ptr<TextSource>>
TextSource::create(TokenRange text, std::vector<BatchPort> ports, const TextOptions &options) {
  auto isWindow = [&](const BatchPort &port) {
    return port.type == ElementType::I32 && port.shape.size() == 2 &&
           port.shape == ports[0].shape && elementCount(port.shape) > 0;
  };
  if (ports.size() != 2 || !std::ranges::all_of(ports, isWindow))
    return failure(Error::Code::Unsupported, text.place,
                   "a text feeds two ports of i32 [rows, sequence]; this model has others");
  int64_t window = ports[0].shape[1] + 1;
  if (text.size() < window)
    return failure(Error::Code::BadInput, text.place,
                   "this part of the text has {} tokens, fewer than one window of {}", text.size(),
                   window);
  int64_t limit = ports[0].limit;
  auto first = text.tokens->begin();
  auto wrong = std::find_if(first + text.begin, first + text.end, [&](int32_t token) {
    return token < 0 || (limit > 0 && token >= limit);
  });
  if (wrong != first + text.end)
    return failure(Error::Code::BadInput, text.place,
                   "token {} is outside the model's vocabulary of {}", *wrong, limit);
  return std::unique_ptr<TextSource>(new TextSource(std::move(text), std::move(ports), options));
}

TextSource::TextSource(TokenRange text, std::vector<BatchPort> ports, const TextOptions &options)
    : BatchSource(std::move(ports)), text(std::move(text)), options(options),
      rows(this->ports()[0].shape[0]), sequence(this->ports()[0].shape[1]) {}

int64_t TextSource::windowStart(int64_t step, int64_t row) const {
  int64_t places = text.size() - sequence;
  if (options.spread == 0)
    return int64_t(randomBelow(
        randomBits(options.seed, uint32_t(RandomStream::TextWindows), step, uint32_t(row)),
        places));
  int64_t windows = options.spread * rows, window = (step % options.spread) * rows + row;
  return windows == 1 ? 0 : window * (places - 1) / (windows - 1);
}

Status TextSource::fill(int64_t step, Batch &batch) const {
  for (int64_t row = 0; row < rows; ++row) {
    const int32_t *window = text.tokens->data() + text.begin + windowStart(step, row);
    std::copy_n(window, sequence, batch[0].value.as<int32_t>() + row * sequence);
    std::copy_n(window + 1, sequence, batch[1].value.as<int32_t>() + row * sequence);
  }
  return {};
}

} // namespace ingot
