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

Result<Checkpoint> readCheckpoint(const std::string &path) {
  if (!std::filesystem::is_directory(path))
    return loadCheckpoint(path);
  INGOT_ASSIGN(std::optional<Checkpoint> newest, CheckpointDirectory(path).newest());
  if (!newest)
    return failure(Error::Code::BadInput, path, "the directory holds no checkpoint");
  return std::move(*newest);
}

} // namespace ingot
