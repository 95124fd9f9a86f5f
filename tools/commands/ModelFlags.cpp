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
  app.add_option("model", model,
                 "gpt, mlp, an ONNX or .mlir file, or - for the latter on standard input")
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
  declareShapes(app);
}

void ModelFlags::declareShapes(CLI::App &app) {
  constexpr const char *group = "Model";
  app.add_option("--batch", batch, "examples a batch; `all`: the whole data, in file order")
      ->group(group);
  app.add_option("--shapes", shapes,
                 "ONNX: shapes of inputs with symbolic sizes, such as x:1x3x224x224,mask:1x16")
      ->delimiter(',')
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

bool ModelFlags::isOnnx() const { return namesFile() && kindOfInput(model) == InputKind::Onnx; }

std::vector<Circumstance> ModelFlags::circumstances() const {
  std::vector<Circumstance> result;
  if (!isOnnx())
    result.push_back(Circumstance::FixedShapes);
  if (model == "mlp")
    result.push_back(Circumstance::Mlp);
  if (!namesFile())
    return result;
  if (isProgram()) {
    result.push_back(Circumstance::ProgramFile);
    return result;
  }
  if (isCheckpoint()) {
    result.insert(result.end(), {Circumstance::Checkpoint, Circumstance::CheckpointBatch});
    return result;
  }
  result.push_back(Circumstance::ModelFile);
  if (batch && !wholeBatch() && !isOnnx())
    result.push_back(Circumstance::ModelFileBatch);
  return result;
}

/// `x:1x3x224x224`; the name may hold colons.
static Result<std::pair<std::string, Shape>> parseNamedShape(const std::string &text) {
  const size_t colon = text.rfind(':');
  Shape shape;
  for (size_t begin = colon == text.npos ? text.size() + 1 : colon + 1; begin < text.size();) {
    const size_t end = std::min(text.find('x', begin), text.size());
    INGOT_ASSIGN(const int64_t size, parseSize("--shapes", text.substr(begin, end - begin)));
    shape.push_back(size);
    begin = end + 1;
  }
  if (shape.empty())
    return failure(Error::Code::Usage, "--shapes", "'{}' is not NAME:SIZExSIZE…", text);
  return std::pair(text.substr(0, colon), std::move(shape));
}

Status ModelFlags::learnShapes(const std::vector<Shape> &arrays) {
  if (!isOnnx() || arrays.empty())
    return {};
  constexpr int64_t usualBatch = 32;
  INGOT_ASSIGN(onnx::OnnxFile file, onnx::OnnxFile::open(model));
  INGOT_ASSIGN(std::vector<onnx::FilePort> ports, onnx::inputsOf(file));
  INGOT_ASSIGN(const int64_t rows, batchOr(std::min(arrays[0][0], usualBatch), arrays[0][0]));
  for (size_t i = 0; i < ports.size() && i < arrays.size(); ++i) {
    const onnx::FilePort &port = ports[i];
    if (batch && port.hasShape && !port.shape.empty() && !onnx::isOpen(port.shape[0]) &&
        port.shape[0] != rows)
      return failure(Error::Code::Usage, "--batch", "the file's '{}' has {} rows, not {}",
                     port.name, port.shape[0], rows);
    if (isClosed(port))
      continue;
    // Images [rows, 28, 28] feed [rows, 1, 28, 28].
    const bool isFolded = port.hasShape && port.shape.size() != arrays[i].size();
    Shape shape = isFolded ? port.shape : arrays[i];
    if (std::any_of(shape.begin() + 1, shape.end(), onnx::isOpen))
      continue;
    shape[0] = port.hasShape && !onnx::isOpen(port.shape[0]) ? port.shape[0] : rows;
    known[port.name] = std::move(shape);
  }
  return {};
}

Status ModelFlags::checkShapes(const std::vector<std::vector<NamedTensor>> &runs) const {
  for (const std::string &text : shapes) {
    INGOT_ASSIGN(const auto named, parseNamedShape(text));
    for (const std::vector<NamedTensor> &inputs : runs) {
      const auto input = std::ranges::find(inputs, named.first, &NamedTensor::name);
      if (input == inputs.end())
        return failure(Error::Code::Usage, "--shapes", "the model has no input '{}'", named.first);
      if (input->value.shape() != named.second)
        return failure(Error::Code::Usage, "--shapes", "'{}' is {}, not {}", named.first,
                       toString(input->value.shape()), toString(named.second));
    }
  }
  return {};
}

Result<Model> ModelFlags::importOnnx() const {
  onnx::ImportOptions options{.shapes = known};
  for (const std::string &text : shapes) {
    INGOT_ASSIGN(auto named, parseNamedShape(text));
    options.shapes[named.first] = std::move(named.second);
  }
  INGOT_ASSIGN(onnx::OnnxFile file, onnx::OnnxFile::open(model));
  return onnx::importModel(file, options);
}

Result<Model> ModelFlags::build(const Tokenizer *tokenizer, int64_t rows) const {
  if (model == "gpt")
    return buildGptFamily(tokenizer, rows);
  if (model == "mlp")
    return buildMlpFamily(rows);
  if (!namesFile()) {
    const std::string families[] = {"gpt", "mlp"};
    return failure(Error::Code::Usage, "",
                   "unknown model '{}'{}; known are gpt, mlp, ONNX and .mlir files", model,
                   didYouMean(model, families));
  }
  if (isOnnx())
    return importOnnx();
  return openModel(model);
}

} // namespace ingot
