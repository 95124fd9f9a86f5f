#include "frontend/api/SavedModel.h"
#include "frontend/families/Models.h"
#include "runtime/support/FieldsJson.h"
#include <filesystem>

namespace ingot {
namespace {

using Json = nlohmann::json;

/// A family's sizes.
using Sizes = std::variant<GptSizes, MlpSizes>;

/// The sizes that metadata says; the reader's `status` tells what is missing or wrong.
std::optional<Sizes> readSizes(const JsonReader &json) {
  const std::string family = json.text("family");
  if (family == "gpt")
    return GptSizes{json.integer("layers"),   json.integer("heads"),      json.integer("width"),
                    json.integer("sequence"), json.integer("vocabulary"), json.integer("batch")};
  if (family == "mlp")
    return MlpSizes{json.integers("layers"), json.integer("batch")};
  return std::nullopt;
}

Result<Model> buildFamily(const Sizes &sizes) {
  const auto *gpt = std::get_if<GptSizes>(&sizes);
  return gpt ? buildGpt(*gpt) : buildMlp(std::get<MlpSizes>(sizes));
}

Result<Model> parseModel(const JsonReader &json, const std::string &place, int64_t batch) {
  if (json.has("graph")) {
    const std::string text = json.text("graph");
    INGOT_TRY(json.status());
    return Model::parse(text, place);
  }
  std::optional<Sizes> sizes = readSizes(json);
  INGOT_TRY(json.status());
  if (!sizes)
    return failure(Error::Code::BadInput, place,
                   "the model family '{}' is not one that Ingot knows", json.text("family"));
  if (batch)
    std::visit([&](auto &family) { family.batch = batch; }, *sizes);
  return buildFamily(*sizes);
}

} // namespace

std::string describe(const SavedModel &saved) {
  Json model = Json::parse(saved.model.metadata(), nullptr, /*allow_exceptions=*/false);
  if (!model.is_object() || !model.contains("family"))
    model = {{"graph", saved.model.text(true)}};
  Json description = {{"model", model}, {"training", fieldsToJson(saved.training.resolved())}};
  if (saved.run)
    description["run"] = fieldsToJson(*saved.run);
  if (saved.tokenizer)
    description["tokenizer"] = Json::parse(saved.tokenizer->toJson());
  return toText(description);
}

Result<SavedModel> parseSavedModel(std::string_view description, const std::string &place,
                                   int64_t batch) {
  INGOT_ASSIGN(Json json, parseJson(description, place));
  std::optional<Error> error;
  JsonReader reader(json, error, place);
  TrainingOptions training;
  readFields(reader.at("training"), training);
  INGOT_TRY(reader.status());
  INGOT_ASSIGN(Model model, parseModel(reader.at("model"), place, batch));
  TokenizerPointer tokenizer;
  if (reader.has("tokenizer")) {
    INGOT_ASSIGN(tokenizer, parseTokenizer(toText(json["tokenizer"]), place));
  }
  std::optional<SavedRun> run;
  if (reader.has("run"))
    readFields(reader.at("run"), run.emplace());
  INGOT_TRY(reader.status());
  return SavedModel{std::move(model), std::move(tokenizer), training, std::move(run)};
}

namespace {

/// At step 0 of a training.
Result<Checkpoint> firstCheckpoint(OutsideWeights weights, const std::string &path) {
  INGOT_ASSIGN(Model model, buildFamily(weights.sizes).map_error([&](Error error) {
    return Error{Error::Code::BadInput, error.text(), path}; // the sizes are the file's
  }));
  Checkpoint checkpoint;
  checkpoint.options = describe({model, weights.tokenizer, TrainingOptions()});
  checkpoint.tensors = std::move(weights.parameters);
  checkpoint.metadata = std::move(weights.metadata);
  return checkpoint;
}

} // namespace

Result<Checkpoint> readCheckpoint(const std::string &path, std::vector<std::string> *notes) {
  if (std::filesystem::is_directory(path)) {
    INGOT_ASSIGN(std::optional<Checkpoint> newest, CheckpointDirectory(path).newest());
    if (newest)
      return std::move(*newest);
  }
  const std::string file = weightsFile(path);
  if (file.empty())
    return failure(Error::Code::BadInput, path,
                   "the directory holds no checkpoint and no model.safetensors");
  INGOT_ASSIGN(Safetensors contents, readTensors(file));
  if (isCheckpoint(contents))
    return toCheckpoint(std::move(contents), file);
  INGOT_ASSIGN(OutsideWeights weights, parseOutsideWeights(std::move(contents), file));
  if (notes)
    *notes = weights.notes;
  return firstCheckpoint(std::move(weights), path);
}

Status keepParameters(Checkpoint &checkpoint, const Model &model, const std::string &place) {
  std::map<std::string, Tensor> parameters;
  for (const ModelPort &port : model.ports()) {
    if (!isSaved(port.role))
      continue;
    auto found = checkpoint.tensors.extract(port.name);
    if (!found)
      return failure(Error::Code::BadInput, place, "lacks '{}'", port.name);
    parameters.insert(std::move(found));
  }
  checkpoint.tensors = std::move(parameters);
  checkpoint.step = checkpoint.dataPosition = 0;
  checkpoint.seed = 0;
  return {};
}

Result<OutsideWeights> toOutsideWeights(const Checkpoint &checkpoint, const SavedModel &saved,
                                        const std::string &place) {
  OutsideWeights weights;
  INGOT_ASSIGN(Json json, parseJson(saved.model.metadata(), place));
  std::optional<Error> error;
  const JsonReader sizes(json, error, place);
  if (!sizes.has("family"))
    return failure(Error::Code::Unsupported, place,
                   "the model comes from a file: no other program has names for its parameters");
  if (std::optional<Sizes> known = readSizes(sizes))
    weights.sizes = *known;
  INGOT_TRY(sizes.status());
  weights.parameters = checkpoint.tensors;
  weights.metadata = checkpoint.metadata;
  weights.tokenizer = saved.tokenizer;
  return weights;
}

} // namespace ingot
