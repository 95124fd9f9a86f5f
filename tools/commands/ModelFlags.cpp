#include "tools/commands/ModelFlags.h"
#include "frontend/families/Models.h"
#include "tools/commands/Suggest.h"
#include <charconv>
#include <filesystem>

namespace ingot {
namespace {

/// What `--size=char` means where no text gives a vocabulary: ASCII.
constexpr int64_t asciiCharacters = 128;

Result<GptSizes> presetSizes(const std::string &size) {
  std::vector<std::string> names;
  for (const GptPreset &preset : gptPresets()) {
    if (preset.name == size)
      return preset.sizes;
    names.emplace_back(preset.name);
  }
  return failure(Error::Code::Usage, "--size", "unknown size '{}'{}; known are {}", size,
                 didYouMean(size, names), fmt::join(names, ", "));
}

Error refuse(std::string_view flag, std::string_view family) {
  return {Error::Code::Usage, fmt::format("does not apply to {}", family), std::string(flag)};
}

} // namespace

Result<int64_t> parseSize(std::string_view flag, std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1)
    return failure(Error::Code::Usage, std::string(flag), "'{}' is not a whole number above 0",
                   text);
  return value;
}

Result<std::vector<int64_t>> parseSizes(std::string_view flag, std::string_view text) {
  std::vector<int64_t> sizes;
  for (size_t begin = 0; begin <= text.size();) {
    size_t end = std::min(text.find(',', begin), text.size());
    INGOT_ASSIGN(int64_t size, parseSize(flag, text.substr(begin, end - begin)));
    sizes.push_back(size);
    begin = end + 1;
  }
  return sizes;
}

void ModelFlags::declare(CLI::App &app) {
  constexpr const char *group = "Model";
  app.add_option("model", model, "gpt, mlp, a .mlir file, or - for one on standard input")
      ->required();
  app.add_option("--size", size, "gpt: char (default), gpt2, gpt2-medium, gpt2-large, gpt2-xl")
      ->group(group);
  app.add_option("--layers", layers, "gpt: number of blocks; mlp: widths, such as 784,256,10")
      ->group(group);
  app.add_option("--heads", heads, "attention heads")->group(group);
  app.add_option("--width", width, "width of the residual stream")->group(group);
  app.add_option("--sequence", sequence, "tokens of an example")->group(group);
  app.add_option("--vocab", vocabulary, "vocabulary; default: the tokenizer's")->group(group);
  app.add_option("--batch", batch, "examples a batch; `all`: the whole data, in file order")
      ->group(group);
}

Result<int64_t> ModelFlags::batchOr(int64_t otherwise, int64_t rows) const {
  if (!batch)
    return otherwise;
  if (!wholeBatch())
    return parseSize("--batch", *batch);
  if (rows)
    return rows;
  return failure(Error::Code::Usage, "--batch", "'all' needs --data with arrays");
}

Result<Model> ModelFlags::buildGptFamily(const Tokenizer *tokenizer, int64_t rows) const {
  INGOT_ASSIGN(GptSizes sizes, presetSizes(size.value_or("char")));
  if (layers) {
    INGOT_ASSIGN(sizes.layers, parseSize("--layers", *layers));
  }
  sizes.heads = heads.value_or(sizes.heads);
  sizes.width = width.value_or(sizes.width);
  sizes.sequence = sequence.value_or(sizes.sequence);
  INGOT_ASSIGN(sizes.batch, batchOr(sizes.batch, rows));
  if (vocabulary)
    sizes.vocabulary = *vocabulary;
  else if (tokenizer)
    sizes.vocabulary = tokenizer->vocabularySize();
  else if (sizes.vocabulary == 0)
    sizes.vocabulary = asciiCharacters;
  if (tokenizer && tokenizer->vocabularySize() > sizes.vocabulary)
    return failure(Error::Code::Usage, "--vocab", "the tokenizer has {} tokens, more than {}",
                   tokenizer->vocabularySize(), sizes.vocabulary);
  return buildGpt(sizes);
}

Result<Model> ModelFlags::buildMlpFamily(int64_t rows) const {
  if (size)
    return tl::unexpected(refuse("--size", "mlp"));
  if (heads || width)
    return tl::unexpected(refuse(heads ? "--heads" : "--width", "mlp"));
  if (sequence || vocabulary)
    return tl::unexpected(refuse(sequence ? "--sequence" : "--vocab", "mlp"));
  MlpSizes sizes;
  if (layers) {
    INGOT_ASSIGN(sizes.layers, parseSizes("--layers", *layers));
  }
  INGOT_ASSIGN(sizes.batch, batchOr(sizes.batch, rows));
  return buildMlp(sizes);
}

Result<Model> ModelFlags::build(const Tokenizer *tokenizer, int64_t rows) const {
  if (model == "gpt")
    return buildGptFamily(tokenizer, rows);
  if (model == "mlp")
    return buildMlpFamily(rows);
  bool isFile = model == "-" || model.ends_with(".mlir") || std::filesystem::exists(model);
  if (!isFile) {
    const std::string families[] = {"gpt", "mlp"};
    return failure(Error::Code::Usage, "",
                   "unknown model '{}'{}; known are gpt, mlp and .mlir files", model,
                   didYouMean(model, families));
  }
  if (size || layers || heads || width || sequence || vocabulary || (batch && !wholeBatch()))
    return failure(Error::Code::Usage, model,
                   "a model from a file keeps its sizes: flags such as --layers do not apply");
  return Model::load(model);
}

} // namespace ingot
