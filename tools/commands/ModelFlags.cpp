#include "tools/commands/ModelFlags.h"
#include "frontend/families/Models.h"
#include "tools/commands/Inputs.h"
#include "tools/commands/Numbers.h"
#include "tools/commands/Suggest.h"
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

/// One size of a model, or a usage error at the flag.
Result<int64_t> parseSize(std::string_view flag, std::string_view text) {
  return parseNumber<int64_t>(text, modelSize).map_error([&](Error error) {
    error.place = flag;
    return error;
  });
}

/// `64` is 64, `64,256,10` three sizes.
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

} // namespace

void ModelFlags::declare(CLI::App &app) {
  constexpr const char *group = "Model";
  app.add_option("model", model, "gpt, mlp, a .mlir file, or - for one on standard input")
      ->required();
  app.add_option("--size", size, "gpt: char (default), gpt2, gpt2-medium, gpt2-large, gpt2-xl")
      ->group(group);
  app.add_option("--layers", layers, "gpt: number of blocks; mlp: widths, such as 784,256,10")
      ->group(group);
  addNumber(app, "--heads", heads, modelSize, "gpt: attention heads")->group(group);
  addNumber(app, "--width", width, modelSize, "gpt: width of the residual stream")->group(group);
  addNumber(app, "--sequence", sequence, modelSize, "gpt: tokens of an example")->group(group);
  addNumber(app, "--vocab", vocabulary, modelSize, "gpt: vocabulary; default: the tokenizer's")
      ->group(group);
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
  MlpSizes sizes;
  if (layers) {
    INGOT_ASSIGN(sizes.layers, parseSizes("--layers", *layers));
  }
  INGOT_ASSIGN(sizes.batch, batchOr(sizes.batch, rows));
  return buildMlp(sizes);
}

bool ModelFlags::namesFile() const {
  std::error_code ignored;
  return !isFamily() && (model == "-" || model.find_first_of("./") != model.npos ||
                         std::filesystem::exists(model, ignored));
}

bool ModelFlags::isProgram() const {
  return namesFile() && kindOfInput(model) == InputKind::Program;
}

bool ModelFlags::isCheckpoint() const {
  return namesFile() && kindOfInput(model) == InputKind::Checkpoint;
}

std::vector<Circumstance> ModelFlags::circumstances() const {
  if (model == "mlp")
    return {Circumstance::Mlp};
  if (!namesFile())
    return {};
  if (isProgram())
    return {Circumstance::ProgramFile};
  if (isCheckpoint())
    return {Circumstance::Checkpoint, Circumstance::CheckpointBatch};
  std::vector<Circumstance> result = {Circumstance::ModelFile};
  if (batch && !wholeBatch())
    result.push_back(Circumstance::ModelFileBatch);
  return result;
}

Result<Model> ModelFlags::build(const Tokenizer *tokenizer, int64_t rows) const {
  if (model == "gpt")
    return buildGptFamily(tokenizer, rows);
  if (model == "mlp")
    return buildMlpFamily(rows);
  if (!namesFile()) {
    const std::string families[] = {"gpt", "mlp"};
    return failure(Error::Code::Usage, "",
                   "unknown model '{}'{}; known are gpt, mlp and .mlir files", model,
                   didYouMean(model, families));
  }
  return openModel(model);
}

} // namespace ingot
