#include "frontend/api/SavedModel.h"
#include "frontend/families/Models.h"
#include "runtime/support/Json.h"
#include <array>
#include <filesystem>

namespace ingot {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::string_view, 3> lossNames = {"none", "cross_entropy", "mse"};
constexpr std::array<std::string_view, 2> optimizerNames = {"adamw", "sgd"};

template <typename Enum, size_t N>
Enum parseEnum(const JsonReader &json, const char *key,
               const std::array<std::string_view, N> &names) {
  auto found = std::find(names.begin(), names.end(), json.text(key));
  if (found == names.end())
    json.at(key).fail("is not one that Ingot knows");
  return Enum(found == names.end() ? 0 : found - names.begin());
}

Json toJson(const TrainingOptions &training) {
  return {{"loss", lossNames[size_t(training.loss)]},
          {"optimizer", optimizerNames[size_t(training.optimizer)]},
          {"beta1", training.beta1},
          {"beta2", training.beta2},
          {"epsilon", training.epsilon},
          {"weight_decay", training.decay()},
          {"momentum", training.momentum},
          {"clip", training.clip},
          {"accumulate", training.accumulate}};
}

TrainingOptions parseTraining(const JsonReader &json) {
  TrainingOptions training;
  training.loss = parseEnum<TrainingOptions::Loss>(json, "loss", lossNames);
  training.optimizer = parseEnum<TrainingOptions::Optimizer>(json, "optimizer", optimizerNames);
  training.beta1 = json.number("beta1");
  training.beta2 = json.number("beta2");
  training.epsilon = json.number("epsilon");
  training.weightDecay = json.number("weight_decay");
  training.momentum = json.number("momentum");
  training.clip = json.number("clip");
  training.accumulate = int(json.integer("accumulate"));
  return training;
}

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
  Json description = {{"model", model}, {"training", toJson(saved.training)}};
  if (saved.tokenizer)
    description["tokenizer"] = Json::parse(saved.tokenizer->toJson());
  return toText(description);
}

Result<SavedModel> parseSavedModel(std::string_view description, const std::string &place,
                                   int64_t batch) {
  INGOT_ASSIGN(Json json, parseJson(description, place));
  std::optional<Error> error;
  JsonReader reader(json, error, place);
  TrainingOptions training = parseTraining(reader.at("training"));
  INGOT_TRY(reader.status());
  INGOT_ASSIGN(Model model, parseModel(reader.at("model"), place, batch));
  TokenizerPointer tokenizer;
  if (reader.has("tokenizer")) {
    INGOT_ASSIGN(tokenizer, parseTokenizer(toText(json["tokenizer"]), place));
  }
  return SavedModel{std::move(model), std::move(tokenizer), training};
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
