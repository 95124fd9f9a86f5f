#include "tools/commands/DataFlags.h"
#include "codegen/cache/DiskCache.h"
#include "runtime/data/RandomSource.h"
#include "tools/commands/Numbers.h"
#include "tools/commands/Suggest.h"

namespace ingot {
namespace {

enum class TokenizerKind { Char, Byte, Gpt2 };
constexpr std::array<std::string_view, 3> enumNames(TokenizerKind) {
  return {"char", "byte", "gpt2"};
}

Result<TokenizerPointer> openTokenizer(const DataFlags &flags, std::span<const TextFile> files) {
  std::string word = flags.tokenizer.value_or(flags.bpe ? "gpt2" : "char");
  INGOT_ASSIGN(TokenizerKind kind, choose<TokenizerKind>("--tokenizer", word));
  if (kind != TokenizerKind::Gpt2) {
    if (flags.bpe)
      return failure(Error::Code::Usage, "--bpe", "belongs to --tokenizer=gpt2, not {}", word);
    return makeTokenizer(word, files);
  }
  if (!flags.bpe)
    return failure(Error::Code::Usage, "--tokenizer",
                   "gpt2 needs --bpe=DIR with encoder.json and vocab.bpe");
  return loadGpt2Tokenizer(*flags.bpe + "/encoder.json", *flags.bpe + "/vocab.bpe");
}

} // namespace

constexpr const char *dataGroup = "Data";

void DataFlags::declare(CLI::App &app) {
  declareSources(app);
  app.add_option("--tokenizer", tokenizer, "char (default), byte or gpt2")->group(dataGroup);
  app.add_option("--bpe", bpe, "directory of GPT-2's encoder.json and vocab.bpe")->group(dataGroup);
}

void DataFlags::declareSources(CLI::App &app) {
  app.add_option("--text", text, "text files, .gz too, - for standard input")
      ->delimiter(',')
      ->group(dataGroup);
  app.add_option("--data", data, "`random`, or .npy and IDX files: inputs in order, then targets")
      ->delimiter(',')
      ->group(dataGroup);
  addNumber(app, "--scale", scale, Bounds(), "multiplies arrays that feed floating-point inputs")
      ->group(dataGroup);
  addNumber(app, "--eval-split", evaluationSplit, belowOne,
            "share of the data held out for evaluation")
      ->group(dataGroup);
}

std::vector<Circumstance> DataFlags::circumstances() const {
  std::vector<Circumstance> result;
  if (!text.empty())
    result.push_back(Circumstance::TextData);
  else if (isRandom())
    result.push_back(Circumstance::RandomData);
  else if (!data.empty())
    result.push_back(Circumstance::ArrayData);
  if (evaluationSplit == 0)
    result.push_back(Circumstance::NoSplit);
  return result;
}

Result<DataSet> DataSet::read(const DataFlags &flags, TokenizerPointer saved) {
  DataSet set;
  set.split = flags.evaluationSplit;
  set.scale = flags.scale;
  set.allowNonFinite = flags.allowNonFinite;
  if (flags.text.empty() && flags.data.empty())
    return failure(Error::Code::Usage, "",
                   "data is needed: --text=FILE, --data=FILES or --data=random");
  if (!flags.text.empty() && !flags.data.empty())
    return failure(Error::Code::Usage, "--data", "cannot be combined with --text");
  if (!flags.text.empty()) {
    INGOT_ASSIGN(std::vector<TextFile> files, readTextFiles(flags.text));
    set.tokens = std::move(saved);
    if (!set.tokens) {
      INGOT_ASSIGN(set.tokens, openTokenizer(flags, files));
    }
    INGOT_ASSIGN(set.encoded, encodeFiles(*set.tokens, files));
  } else if (!flags.isRandom()) {
    INGOT_ASSIGN(set.arrays, readArrays(flags.data));
  }
  return set;
}

std::vector<Shape> DataSet::shapes() const {
  std::vector<Shape> shapes;
  for (const NamedArray &array : arrays)
    shapes.push_back(array.value.shape());
  return shapes;
}

std::string DataSet::fingerprint() const {
  auto bytesOf = [](const auto *data, size_t bytes) {
    return std::string_view(reinterpret_cast<const char *>(data), bytes);
  };
  if (encoded.tokens)
    return contentHash(bytesOf(encoded.tokens->data(), encoded.tokens->size() * sizeof(int32_t)));
  if (arrays.empty())
    return "random";
  std::string text;
  for (const NamedArray &array : arrays)
    text += fmt::format("{} {} {} ", toString(array.value.shape()), name(array.value.type()),
                        contentHash(bytesOf(array.value.data(), array.value.bytes())));
  return contentHash(text);
}

Result<TokenRange> DataSet::textPart(SourceOptions::Part part) const {
  if (part == SourceOptions::Part::All || split == 0)
    return encoded;
  INGOT_ASSIGN(TextSplit halves, splitText(encoded, split));
  return part == SourceOptions::Part::Training ? halves.training : halves.validation;
}

Result<std::unique_ptr<BatchSource>> DataSet::source(std::vector<BatchPort> ports,
                                                     const SourceOptions &options) const {
  using Part = SourceOptions::Part;
  if (encoded.tokens) {
    INGOT_ASSIGN(TokenRange range, textPart(options.part));
    return TextSource::create(std::move(range), std::move(ports), {options.seed, options.spread});
  }
  if (arrays.empty())
    return RandomSource::create(std::move(ports), options.seed);
  ArrayOptions arrayOptions;
  arrayOptions.order = options.fileOrder ? RowOrder::File : RowOrder::Shuffled;
  arrayOptions.seed = options.seed;
  arrayOptions.scale = scale;
  arrayOptions.allowNonFinite = allowNonFinite;
  arrayOptions.fillsLastBatch = options.fillsLastBatch;
  if (split > 0 && options.part == Part::Training)
    arrayOptions.endRow = trainingRows();
  if (split > 0 && options.part == Part::Validation)
    arrayOptions.firstRow = trainingRows();
  return ArraySource::create(arrays, std::move(ports), arrayOptions);
}

} // namespace ingot
