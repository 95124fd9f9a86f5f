#include "frontend/weights/OutsideWeights.h"
#include "frontend/weights/WeightNames.h"
#include "runtime/support/File.h"
#include "runtime/support/HalfFloat.h"
#include "runtime/support/Json.h"
#include "runtime/training/Shards.h"
#include <cmath>
#include <filesystem>

namespace ingot {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char *singleFile = "model.safetensors", *indexFile = "model.safetensors.index.json",
                     *configFile = "config.json", *vocabularyFile = "vocab.json",
                     *mergesFile = "merges.txt";

/// Kept in the metadata of what Ingot writes: sizes that tensors do not show.
constexpr const char *headsKey = "ingot.heads";

//===--------------------------------------------------------------------------------------------===//
// Names and layouts
//===--------------------------------------------------------------------------------------------===//

/// Rounded to nearest even; a value beyond the type's range is an error: it would become infinite.
Result<Tensor> convertTo(ElementType type, const Tensor &from, const std::string &place) {
  if (from.type() == type)
    return from;
  Tensor to(type, from.shape());
  for (int64_t i = 0; i < from.size(); ++i) {
    const double value = loadElement(from.type(), from.data(), i);
    storeElement(type, to.data(), i, value);
    if (std::isfinite(value) && !std::isfinite(loadElement(type, to.data(), i)))
      return failure(Error::Code::BadInput, place, "{} does not fit {}", value, name(type));
  }
  return to;
}

Tensor transposed(const Tensor &from) {
  const int64_t rows = from.shape()[0], columns = from.shape()[1];
  Tensor to(from.type(), {columns, rows});
  constexpr int64_t block = 64; // of both tensors, a block stays in L1
  auto move = [&]<typename T>(T *target, const T *source) {
    for (int64_t row = 0; row < rows; row += block)
      for (int64_t column = 0; column < columns; column += block)
        for (int64_t i = row; i < std::min(row + block, rows); ++i)
          for (int64_t j = column; j < std::min(column + block, columns); ++j)
            target[j * rows + i] = source[i * columns + j];
  };
  if (byteSize(from.type()) == sizeof(uint32_t))
    move(to.as<uint32_t>(), from.as<uint32_t>());
  else
    move(to.as<uint16_t>(), from.as<uint16_t>());
  return to;
}

/// The form whose names the tensors have.
Result<const WeightForm *> formOf(const Safetensors &contents, const std::string &file) {
  std::string unknown;
  for (const WeightForm &form : weightForms()) {
    bool isAny = false;
    for (const auto &[name, tensor] : contents.tensors)
      isAny |=
          findTheirs(form, name.starts_with(form.prefix) ? name.substr(form.prefix.size()) : name)
              .has_value();
    if (isAny)
      return &form;
  }
  return failure(Error::Code::Unsupported, file,
                 "its tensors ('{}', …) are not those of GPT-2 or of a list of linear layers, the "
                 "families that Ingot knows",
                 contents.tensors.empty() ? "" : contents.tensors.begin()->first);
}

bool isSame(const Tensor &a, const Tensor &b) {
  return a.shape() == b.shape() && std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

Status takeParameters(const Safetensors &contents, const WeightForm &form, const std::string &file,
                      std::map<std::string, Tensor> &parameters) {
  std::map<std::string, Tensor> copies;
  for (const auto &[name, tensor] : contents.tensors) {
    const std::string place = fmt::format("{}: {}", file, name);
    const std::string_view plain =
        name.starts_with(form.prefix) ? std::string_view(name).substr(form.prefix.size()) : name;
    const std::optional<FoundName> found = findTheirs(form, plain);
    if (!found)
      return failure(Error::Code::Unsupported, place, "is no tensor of the family {}", form.family);
    if (found->row->ours.empty())
      continue;
    if (tensor.type() != ElementType::F32 && tensor.type() != ElementType::F16 &&
        tensor.type() != ElementType::BF16)
      return failure(Error::Code::Unsupported, place, "is {}; weights are f32, f16 or bf16",
                     ingot::name(tensor.type()));
    INGOT_ASSIGN(Tensor value, convertTo(ElementType::F32, tensor, place));
    if (found->row->isTransposed) {
      if (value.shape().size() != 2)
        return failure(Error::Code::BadInput, place, "is {}, not a matrix",
                       toString(value.shape()));
      value = transposed(value);
    }
    if (!(found->row->isCopy ? copies : parameters).emplace(found->ours(), value).second)
      return failure(Error::Code::BadInput, place, "stands there twice, with and without '{}'",
                     form.prefix);
  }
  for (const auto &[name, copy] : copies)
    if (auto [original, isNew] = parameters.emplace(name, copy);
        !isNew && !isSame(original->second, copy))
      return failure(Error::Code::Unsupported, file,
                     "its output matrix is not its embedding '{}': the family {} ties them", name,
                     form.family);
  return {};
}

//===--------------------------------------------------------------------------------------------===//
// Sizes
//===--------------------------------------------------------------------------------------------===//

/// The shape of a parameter, which must have that many dimensions.
Result<Shape> shapeOf(const OutsideWeights &weights, const std::string &name, size_t rank,
                      const std::string &file) {
  auto found = weights.parameters.find(name);
  if (found == weights.parameters.end())
    return failure(Error::Code::BadInput, file, "lacks '{}'", name);
  if (found->second.shape().size() != rank)
    return failure(Error::Code::BadInput, file, "'{}' is {}, not of {} dimensions", name,
                   toString(found->second.shape()), rank);
  return found->second.shape();
}

/// Layers 0, 1, … that have a parameter `PREFIX N SUFFIX`.
int64_t countLayers(const OutsideWeights &weights, std::string_view prefix,
                    std::string_view suffix) {
  int64_t count = 0;
  while (weights.parameters.contains(fmt::format("{}{}{}", prefix, count, suffix)))
    ++count;
  return count;
}

/// What in a config.json would make another model than Ingot's `gpt`.
Status checkConfig(const json &config, const std::string &file) {
  struct Setting {
    const char *key;
    std::vector<json> allowed; ///< the first is transformers' default
  };
  const std::vector<Setting> settings = {
      {"model_type", {"gpt2"}},
      {"activation_function", {"gelu_new", "gelu_pytorch_tanh"}},
      {"layer_norm_epsilon", {1e-5}},
      {"scale_attn_weights", {true}},
      {"scale_attn_by_inverse_layer_idx", {false}},
      {"add_cross_attention", {false}},
      {"tie_word_embeddings", {true}},
  };
  for (const Setting &setting : settings) {
    const json value = config.value(setting.key, setting.allowed.front());
    if (std::ranges::find(setting.allowed, value) == setting.allowed.end())
      return failure(Error::Code::Unsupported, file, "{} is {}; Ingot's family gpt has {}",
                     setting.key, toText(value), toText(setting.allowed.front()));
  }
  return {};
}

Result<int64_t> headsOf(OutsideWeights &weights, int64_t width, const std::string &file) {
  const std::string path = (fs::path(file).parent_path() / configFile).string();
  std::error_code ignored;
  if (fs::exists(path, ignored)) {
    INGOT_ASSIGN(std::string text, readFile(path));
    INGOT_ASSIGN(json config, parseJson(text, path));
    if (!config.is_object())
      return failure(Error::Code::BadInput, path, "is no JSON object");
    INGOT_TRY(checkConfig(config, path));
    std::optional<Error> error;
    const JsonReader reader(config, error, path);
    const int64_t heads = reader.integer("n_head");
    INGOT_TRY(reader.status());
    return heads;
  }
  if (auto found = weights.metadata.find(headsKey); found != weights.metadata.end())
    return int64_t(std::strtoll(found->second.c_str(), nullptr, 10));
  constexpr int64_t headWidth = 64;
  if (width % headWidth)
    return failure(Error::Code::BadInput, file,
                   "does not say how many heads its width of {} has, and there is no {} beside it",
                   width, configFile);
  weights.notes.push_back(fmt::format("{} does not say how many heads it has: {} of width {}, as "
                                      "in every GPT-2",
                                      file, width / headWidth, headWidth));
  return width / headWidth;
}

Result<GptSizes> gptSizes(OutsideWeights &weights, const std::string &file) {
  INGOT_ASSIGN(const Shape table, shapeOf(weights, "wte.weight", 2, file));
  INGOT_ASSIGN(const Shape positions, shapeOf(weights, "wpe.weight", 2, file));
  GptSizes sizes;
  sizes.layers = countLayers(weights, "h.", ".ln_1.weight");
  sizes.width = table[1];
  sizes.vocabulary = table[0];
  sizes.sequence = positions[0];
  INGOT_ASSIGN(sizes.heads, headsOf(weights, sizes.width, file));
  return sizes;
}

Result<MlpSizes> mlpSizes(const OutsideWeights &weights, const std::string &file) {
  MlpSizes sizes;
  sizes.layers.clear();
  const int64_t layers = countLayers(weights, "layers.", ".weight");
  for (int64_t layer = 0; layer < layers; ++layer) {
    INGOT_ASSIGN(const Shape weight,
                 shapeOf(weights, fmt::format("layers.{}.weight", layer), 2, file));
    if (layer == 0)
      sizes.layers.push_back(weight[1]);
    sizes.layers.push_back(weight[0]);
  }
  return sizes;
}

json configOf(const GptSizes &sizes, ElementType type) {
  // GPT-2's own vocabulary ends with the token that begins and ends a text.
  constexpr int64_t endOfText = 50256;
  const json ends = sizes.vocabulary == endOfText + 1 ? json(endOfText) : json();
  return {{"model_type", "gpt2"},
          {"bos_token_id", ends},
          {"eos_token_id", ends},
          {"architectures", {"GPT2LMHeadModel"}},
          {"n_layer", sizes.layers},
          {"n_head", sizes.heads},
          {"n_embd", sizes.width},
          {"n_positions", sizes.sequence},
          {"n_ctx", sizes.sequence},
          {"vocab_size", sizes.vocabulary},
          {"activation_function", "gelu_new"},
          {"layer_norm_epsilon", 1e-5},
          {"tie_word_embeddings", true},
          {"torch_dtype", type == ElementType::F32   ? "float32"
                          : type == ElementType::F16 ? "float16"
                                                     : "bfloat16"}};
}

Status writeTokenizer(const fs::path &folder, const TokenizerPointer &tokenizer) {
  if (!tokenizer || tokenizer->kind() != "gpt2")
    return {};
  INGOT_ASSIGN(json parts, parseJson(tokenizer->toJson(), folder.string()));
  INGOT_TRY(writeFile((folder / vocabularyFile).string(), toText(parts["encoder"])));
  return writeFile((folder / mergesFile).string(), parts["merges"].get<std::string>());
}

} // namespace

std::string weightsFile(const std::string &path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored))
    return path;
  for (const char *name : {singleFile, indexFile})
    if (std::string file = (fs::path(path) / name).string(); fs::exists(file, ignored))
      return file;
  return "";
}

Result<Safetensors> readTensors(const std::string &file) {
  return isShardIndex(file) ? readShards(file) : readSafetensors(file);
}

Result<OutsideWeights> parseOutsideWeights(Safetensors contents, const std::string &file) {
  INGOT_ASSIGN(const WeightForm *form, formOf(contents, file));
  OutsideWeights weights;
  INGOT_TRY(takeParameters(contents, *form, file, weights.parameters));
  weights.metadata = std::move(contents.metadata);
  if (form->family == "gpt") {
    INGOT_ASSIGN(weights.sizes, gptSizes(weights, file));
  } else {
    INGOT_ASSIGN(weights.sizes, mlpSizes(weights, file));
  }
  const fs::path folder = fs::path(file).parent_path();
  std::error_code ignored;
  if (form->family == "gpt" && fs::exists(folder / vocabularyFile, ignored) &&
      fs::exists(folder / mergesFile, ignored)) {
    INGOT_ASSIGN(weights.tokenizer, loadGpt2Tokenizer((folder / vocabularyFile).string(),
                                                      (folder / mergesFile).string()));
  }
  return weights;
}

Status writeOutsideWeights(const std::string &path, const OutsideWeights &weights,
                           const OutsideOptions &options) {
  const auto *gpt = std::get_if<GptSizes>(&weights.sizes);
  const WeightForm &form = *weightForm(gpt ? "gpt" : "mlp");
  Safetensors contents{.tensors = {}, .metadata = weights.metadata};
  contents.metadata["format"] = "pt"; // transformers refuse files without it
  if (gpt)
    contents.metadata[headsKey] = std::to_string(gpt->heads);
  for (const auto &[name, parameter] : weights.parameters) {
    const std::optional<FoundName> found = findOurs(form, name);
    if (!found)
      return failure(Error::Code::Unsupported, path, "'{}' is no parameter of the family {}", name,
                     form.family);
    INGOT_ASSIGN(Tensor value, convertTo(options.type, parameter, name));
    contents.tensors[std::string(form.prefix) + found->theirs()] =
        found->row->isTransposed ? transposed(value) : value;
  }
  if (path.ends_with(".safetensors"))
    return writeShards(path.substr(0, path.size() - std::string_view(".safetensors").size()),
                       contents, options.largestShard);
  std::error_code error;
  fs::create_directories(path, error);
  if (error)
    return systemFailure(error.value(), path, "create the directory");
  const fs::path folder = path;
  if (gpt)
    INGOT_TRY(writeFile((folder / configFile).string(), toText(configOf(*gpt, options.type))));
  INGOT_TRY(writeTokenizer(folder, weights.tokenizer));
  return writeShards((folder / "model").string(), contents, options.largestShard);
}

} // namespace ingot
