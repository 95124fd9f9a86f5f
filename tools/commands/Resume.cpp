#include "tools/commands/Resume.h"
#include "frontend/families/Models.h"
#include "runtime/support/FieldsJson.h"
#include "runtime/support/Print.h"

namespace ingot {
namespace {

/// Takes values over for flags that were not given.
class Restorer {
public:
  explicit Restorer(const CLI::App &app) : app(app) {}

  bool isGiven(const char *flag) const { return app.get_option(flag)->count() > 0; }

  /// What must be the same: a value that was given is compared later.
  template <typename T, typename Saved>
  void restore(const char *flag, T &value, const Saved &saved) {
    if (isGiven(flag) || value == saved)
      return;
    value = saved;
    restored.push_back(fmt::format("{}={}", flag, saved));
  }

  /// What may change from here on.
  template <typename T, typename Saved>
  void restoreOrReport(const char *flag, T &value, const Saved &saved, int64_t step) {
    if (isGiven(flag) && value != saved)
      changed.push_back(fmt::format("{} was {} up to step {}", flag, saved, step));
    restore(flag, value, saved);
  }

  /// A size: only one that differs from the family's own is worth saying.
  void restoreSize(const char *flag, std::optional<int64_t> &value, const JsonReader &model,
                   const char *key, int64_t own) {
    if (isGiven(flag))
      return;
    value = model.integer(key);
    if (*value != own)
      restored.push_back(fmt::format("{}={}", flag, *value));
  }
  void restoreText(const char *flag, std::optional<std::string> &value, const std::string &saved,
                   const std::string &own) {
    if (isGiven(flag))
      return;
    value = saved;
    if (saved != own)
      restored.push_back(fmt::format("{}={}", flag, saved));
  }

  void report() const {
    if (!restored.empty())
      print(stderr, "note: restored from the checkpoint: {}\n",
            std::string_view(fmt::format("{}", fmt::join(restored, " "))));
    for (const std::string &text : changed)
      print(stderr, "note: {}\n", text);
  }

private:
  const CLI::App &app;
  std::vector<std::string> restored, changed;
};

/// A family's sizes; a model from a file has its own.
Status restoreModel(Restorer &flag, ModelFlags &flags, const SavedModel &saved, bool wholeBatch) {
  INGOT_ASSIGN(nlohmann::json sizes, parseJson(saved.model.metadata(), "--resume"));
  std::optional<Error> error;
  JsonReader model(sizes, error, "--resume");
  if (!model.has("family") || model.text("family") != flags.model)
    return {}; // another model, which is refused
  if (flags.model == "gpt") {
    const GptSizes own = gptPresets()[0].sizes;
    flag.restoreText("--batch", flags.batch, std::to_string(model.integer("batch")),
                     std::to_string(own.batch));
    if (flag.isGiven("--size"))
      return model.status(); // names the other sizes, which are compared
    flag.restoreText("--layers", flags.layers, std::to_string(model.integer("layers")),
                     std::to_string(own.layers));
    flag.restoreSize("--heads", flags.heads, model, "heads", own.heads);
    flag.restoreSize("--width", flags.width, model, "width", own.width);
    flag.restoreSize("--sequence", flags.sequence, model, "sequence", own.sequence);
    const int64_t words = saved.tokenizer ? saved.tokenizer->vocabularySize() : own.vocabulary;
    flag.restoreSize("--vocab", flags.vocabulary, model, "vocabulary", words);
  } else {
    const MlpSizes own;
    flag.restoreText("--layers", flags.layers,
                     fmt::format("{}", fmt::join(model.integers("layers"), ",")),
                     fmt::format("{}", fmt::join(own.layers, ",")));
    flag.restoreText("--batch", flags.batch,
                     wholeBatch ? "all" : std::to_string(model.integer("batch")),
                     std::to_string(own.batch));
  }
  return model.status();
}

void restoreTraining(Restorer &flag, TrainingFlags &flags, const TrainingOptions &saved,
                     int64_t step) {
  flag.restore("--loss", flags.loss, enumName(saved.loss));
  flag.restore("--optimizer", flags.optimizer, enumName(saved.optimizer));
  TrainingOptions own;
  own.optimizer = saved.optimizer;
  if (saved.decay() != own.decay())
    flag.restore("--weight-decay", flags.weightDecay, saved.decay());
  flag.restore("--beta1", flags.numbers.beta1, saved.beta1);
  flag.restore("--beta2", flags.numbers.beta2, saved.beta2);
  flag.restore("--epsilon", flags.numbers.epsilon, saved.epsilon);
  flag.restore("--momentum", flags.numbers.momentum, saved.momentum);
  flag.restore("--clip", flags.numbers.clip, saved.clip);
  flag.restore("--accumulate", flags.numbers.accumulate, saved.accumulate);
  flag.restoreOrReport("--on-nan", flags.onNan, enumName(saved.onNonFinite), step);
  // No flags': a C++ program's.
  flags.numbers.groups = saved.groups;
  flags.numbers.lossWeights = saved.lossWeights;
}

Status restoreRun(Restorer &flag, TrainFlags &flags, const SavedRun &saved, int64_t step) {
  flag.restore("--scale", flags.data.scale, saved.scale);
  flag.restore("--eval-split", flags.data.evaluationSplit, saved.evaluationSplit);
  flag.restoreOrReport("--eval-every", flags.trainer.evaluateEvery, saved.evaluateEvery, step);
  flag.restoreOrReport("--eval-batches", flags.trainer.evaluationBatches, saved.evaluationBatches,
                       step);
  const Schedule &rates = saved.schedule;
  flag.restoreOrReport("--lr", flags.learningRate, rates.peak, step);
  flag.restoreOrReport("--warmup", flags.warmup, rates.warmup, step);
  flag.restoreOrReport("--schedule", flags.schedule, enumName(rates.kind), step);
  if (rates.kind == Schedule::Kind::Constant || flags.schedule != enumName(rates.kind))
    return {};
  if (!flag.isGiven("--decay-steps") && flags.trainer.steps != rates.steps)
    return failure(Error::Code::Usage, "--steps",
                   "the checkpoint's {} schedule ends at step {}: --decay-steps={} keeps it, "
                   "--decay-steps={} stretches it to these steps",
                   enumName(rates.kind), rates.steps, rates.steps, flags.trainer.steps);
  flag.restoreOrReport("--decay-steps", flags.decaySteps, rates.steps, step);
  return {};
}

} // namespace

Result<std::optional<SavedModel>> restoreFlags(const CLI::App &app, TrainFlags &flags) {
  if (!flags.trainer.resume || flags.trainer.out.empty())
    return std::optional<SavedModel>();
  INGOT_ASSIGN(std::optional<Checkpoint> newest, CheckpointDirectory(flags.trainer.out).newest());
  if (!newest)
    return std::optional<SavedModel>();
  INGOT_ASSIGN(SavedModel saved, parseSavedModel(newest->options, flags.trainer.out));
  Restorer flag(app);
  flag.restore("--seed", flags.trainer.seed, newest->seed);
  INGOT_TRY(restoreModel(flag, flags.model, saved, saved.run && saved.run->wholeBatch));
  restoreTraining(flag, flags.training, saved.training, newest->step);
  if (saved.run)
    INGOT_TRY(restoreRun(flag, flags, *saved.run, newest->step));
  flag.report();
  return std::optional(std::move(saved));
}

Status checkSameRun(const SavedModel &before, const SavedModel &now, const TrainFlags &flags) {
  const std::string &out = flags.trainer.out;
  INGOT_ASSIGN(nlohmann::json was, parseJson(describe(before), out));
  INGOT_ASSIGN(nlohmann::json is, parseJson(describe(now), "--resume"));
  for (nlohmann::json *json : {&was, &is})
    for (const char *free : {"on_nan", "gradients"}) // these may change, as from stop to skip
      json->at("training").erase(free);
  for (const char *part : {"model", "tokenizer", "training"})
    if (was.value(part, nlohmann::json()) != is.value(part, nlohmann::json()))
      return failure(Error::Code::Usage, "--resume", "{} was trained with another {}: {}", out,
                     part,
                     part == std::string_view("tokenizer") ? "its text had other characters"
                                                           : toText(was[part]));
  if (!before.run)
    return {};
  auto differs = [&](const char *flag, const auto &value) {
    return failure(Error::Code::Usage, flag, "{} was trained with {}", out, value);
  };
  if (before.run->scale != now.run->scale)
    return differs("--scale", before.run->scale);
  if (before.run->evaluationSplit != now.run->evaluationSplit)
    return differs("--eval-split", before.run->evaluationSplit);
  if (before.run->wholeBatch != now.run->wholeBatch)
    return differs("--batch", before.run->wholeBatch ? "all" : "shuffled batches");
  if (before.run->data != now.run->data)
    return differs(flags.data.text.empty() ? "--data" : "--text", "other data");
  return {};
}

} // namespace ingot
