#include "frontend/api/SavedModel.h"
#include "frontend/families/Models.h"
#include "runtime/support/FieldsJson.h"
#include <filesystem>

namespace ingot {
namespace {

using Json = nlohmann::json;

Result<Model> parseModel(const JsonReader &json, const std::string &place, int64_t batch) {
  auto finish = [&](Result<Model> model) -> Result<Model> {
    INGOT_TRY(json.status());
    return model;
  };
  if (json.has("graph"))
    return finish(Model::parse(json.text("graph"), place));
  std::string family = json.text("family");
  int64_t ownBatch = batch ? batch : json.integer("batch");
  if (family == "gpt") {
    GptSizes sizes{json.integer("layers"),   json.integer("heads"),      json.integer("width"),
                   json.integer("sequence"), json.integer("vocabulary"), ownBatch};
    INGOT_TRY(json.status());
    return buildGpt(sizes);
  }
  if (family == "mlp") {
    MlpSizes sizes{json.integers("layers"), ownBatch};
    INGOT_TRY(json.status());
    return buildMlp(sizes);
  }
  INGOT_TRY(json.status());
  return failure(Error::Code::BadInput, place, "the model family '{}' is not one that Ingot knows",
                 family);
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

Result<Checkpoint> readOutside(const std::string &path, std::vector<std::string> *notes) {
  INGOT_ASSIGN(OutsideWeights weights, readOutsideWeights(path));
  const auto *gpt = std::get_if<GptSizes>(&weights.sizes);
  INGOT_ASSIGN(Model model,
               (gpt ? buildGpt(*gpt) : buildMlp(std::get<MlpSizes>(weights.sizes)))
                   .map_error([&](Error error) { // the sizes are the file's
                     return Error{Error::Code::BadInput, error.text(), path};
                   }));
  if (notes)
    *notes = weights.notes;
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
    if (!holdsOutsideWeights(path))
      return failure(Error::Code::BadInput, path,
                     "the directory holds no checkpoint and no model.safetensors");
  }
  return holdsOutsideWeights(path) ? readOutside(path, notes) : loadCheckpoint(path);
}

Status keepParameters(Checkpoint &checkpoint, const Model &model, const std::string &place) {
  std::map<std::string, Tensor> parameters;
  for (const ModelPort &port : model.ports()) {
    if (port.role != Role::Parameter)
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
  if (sizes.text("family") == "gpt")
    weights.sizes =
        GptSizes{sizes.integer("layers"),   sizes.integer("heads"),      sizes.integer("width"),
                 sizes.integer("sequence"), sizes.integer("vocabulary"), sizes.integer("batch")};
  else
    weights.sizes = MlpSizes{sizes.integers("layers"), sizes.integer("batch")};
  INGOT_TRY(sizes.status());
  weights.parameters = checkpoint.tensors;
  weights.metadata = checkpoint.metadata;
  weights.tokenizer = saved.tokenizer;
  return weights;
}

} // namespace ingot
