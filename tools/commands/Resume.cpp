#include "tools/commands/Resume.h"
#include "frontend/families/Models.h"
#include "runtime/support/Print.h"
#include "tools/commands/FieldFlags.h"

namespace ingot {
namespace {

/// Takes values over for flags that were not given.
class Restorer {
public:
  explicit Restorer(const CLI::App &app) : app(app) {}

  bool isGiven(const std::string &flag) const {
    const CLI::Option *option = app.get_option_no_throw(flag);
    return option && option->count() > 0;
  }

  /// What must be the same: a value that was given is compared later.
  template <typename T> void restore(const std::string &flag, T &value, const T &saved) {
    if (isGiven(flag) || value == saved)
      return;
    value = saved;
    for (const std::string &word : wordsOf(saved))
      restored.push_back(fmt::format("{}={}", flag, word));
  }

  /// What may change from here on.
  template <typename T>
  void restoreOrReport(const std::string &flag, T &value, const T &saved, int64_t step) {
    if (isGiven(flag) && value != saved)
      changed.push_back(fmt::format("{} was {} up to step {}", flag, fieldText(saved), step));
    restore(flag, value, saved);
  }

  /// All flags of a struct, those of nested structs included; `way` says how each is restored.
  enum class Way { MustBeSame, MayChange, NotHere };
  template <HasFields T>
  void restoreFields(T &options, const T &saved, int64_t step, Way (*way)(const Field &)) {
    T::fields(options, [&]<typename V>(const Field &field, V &value) {
      const V &old = sameField<V>(saved, field);
      if (field.help.empty()) {
        if constexpr (HasFields<V>)
          restoreFields(value, old, step, way);
      } else if (way(field) == Way::MustBeSame) {
        restore(field.flagName(), value, old);
      } else if (way(field) == Way::MayChange) {
        restoreOrReport(field.flagName(), value, old, step);
      }
    });
  }

  /// A size: only one that differs from the family's own is worth saying.
  void restoreSize(const std::string &flag, std::optional<int64_t> &value, const JsonReader &model,
                   const char *key, int64_t own) {
    if (isGiven(flag))
      return;
    value = model.integer(key);
    if (*value != own)
      restored.push_back(fmt::format("{}={}", flag, *value));
  }
  void restoreText(const std::string &flag, std::optional<std::string> &value,
                   const std::string &saved, const std::string &own) {
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

Status differs(const std::string &flag, const std::string &out, const auto &value) {
  return failure(Error::Code::Usage, flag, "{} was trained with {}", out, value);
}

/// How the training step's fields are restored: only what a step does after a gradient that is not
/// finite may change.
Restorer::Way wayOf(const Field &field) {
  return field.name == "on_nan" ? Restorer::Way::MayChange : Restorer::Way::MustBeSame;
}

void restoreTraining(Restorer &flag, TrainingOptions &options, TrainingOptions saved,
                     int64_t step) {
  TrainingOptions own;
  own.optimizer = saved.optimizer;
  own = own.resolved();
  // What the optimizer's numbers are anyway is nothing to restore.
  TrainingOptions::fields(saved, [&]<typename V>(const Field &field, V &value) {
    if constexpr (requires { value.reset(); })
      if (value == sameField<V>(own, field))
        value.reset();
  });
  flag.restoreFields(options, saved, step, wayOf);
}

Status restoreRun(Restorer &flag, const CLI::App &app, TrainFlags &flags, const SavedRun &saved,
                  int64_t step) {
  flags.completeRate(app);
  flag.restore("--scale", flags.data.scale, saved.scale);
  flag.restore("--eval-split", flags.data.evaluationSplit, saved.evaluationSplit);
  flag.restoreOrReport("--eval-every", flags.run.evaluateEvery, saved.evaluateEvery, step);
  flag.restoreOrReport("--eval-batches", flags.run.evaluationBatches, saved.evaluationBatches,
                       step);
  Schedule &rates = flags.run.schedule;
  flag.restoreFields(rates, saved.schedule, step, [](const Field &field) {
    return field.name == "steps" ? Restorer::Way::NotHere : Restorer::Way::MayChange;
  });
  if (rates.kind == Schedule::Kind::Constant || rates.kind != saved.schedule.kind)
    return {};
  const int64_t end = saved.schedule.steps;
  if (!flag.isGiven("--decay-steps") && flags.epochs == 0 && flags.run.steps != end)
    return failure(Error::Code::Usage, "--steps",
                   "the checkpoint's {} schedule ends at step {}: --decay-steps={} keeps it, "
                   "--decay-steps={} stretches it to these steps",
                   enumName(rates.kind), end, end, flags.run.steps);
  flag.restoreOrReport("--decay-steps", rates.steps, end, step);
  return {};
}

/// Refuses flags, those of nested structs included, that say other than before what must be the
/// same.
template <HasFields T>
Status checkSameFields(const T &before, const T &now, const std::string &out) {
  Status status;
  T::fields(before, [&]<typename V>(const Field &field, const V &value) {
    const V &other = sameField<V>(now, field);
    if (!status || fieldText(value) == fieldText(other))
      return;
    if (field.help.empty()) {
      if constexpr (HasFields<V>)
        status = checkSameFields(value, other, out);
    } else if (wayOf(field) == Restorer::Way::MustBeSame) {
      const std::string text = fmt::format("{}", fmt::join(wordsOf(value), " and "));
      status = differs(field.flagName(), out, text.empty() ? "none" : text);
    }
  });
  return status;
}

} // namespace

Result<std::optional<SavedModel>> restoreFlags(const CLI::App &app, TrainFlags &flags) {
  if (!flags.run.resume || flags.run.out.empty())
    return std::optional<SavedModel>();
  INGOT_ASSIGN(std::optional<Checkpoint> newest, CheckpointDirectory(flags.run.out).newest());
  if (!newest)
    return std::optional<SavedModel>();
  INGOT_ASSIGN(SavedModel saved, parseSavedModel(newest->options, flags.run.out));
  Restorer flag(app);
  flag.restore("--seed", flags.run.seed, newest->seed);
  INGOT_TRY(restoreModel(flag, flags.model, saved, saved.run && saved.run->wholeBatch));
  restoreTraining(flag, flags.training.options, saved.training, newest->step);
  if (saved.run)
    INGOT_TRY(restoreRun(flag, app, flags, *saved.run, newest->step));
  flag.report();
  return std::optional(std::move(saved));
}

Status checkSameTokenizer(const SavedModel &before, const TokenizerPointer &now,
                          const TrainFlags &flags) {
  if (!before.tokenizer || !now || before.tokenizer->toJson() == now->toJson())
    return {};
  return failure(Error::Code::Usage, flags.data.bpe ? "--bpe" : "--tokenizer",
                 "{} was trained with another one, of {} tokens; this one has {}", flags.run.out,
                 before.tokenizer->vocabularySize(), now->vocabularySize());
}

Status checkSameRun(const SavedModel &before, const SavedModel &now, const TrainFlags &flags) {
  const std::string &out = flags.run.out;
  INGOT_ASSIGN(nlohmann::json was, parseJson(describe(before), out));
  INGOT_ASSIGN(nlohmann::json is, parseJson(describe(now), "--resume"));
  if (was["model"] != is["model"])
    return failure(Error::Code::Usage, "--resume", "{} was trained with another model: {}", out,
                   toText(was["model"]));
  INGOT_TRY(checkSameFields(before.training.resolved(), now.training.resolved(), out));
  if (!before.run)
    return {};
  if (before.run->scale != now.run->scale)
    return differs("--scale", out, before.run->scale);
  if (before.run->evaluationSplit != now.run->evaluationSplit)
    return differs("--eval-split", out, before.run->evaluationSplit);
  if (before.run->wholeBatch != now.run->wholeBatch)
    return differs("--batch", out, before.run->wholeBatch ? "all" : "shuffled batches");
  if (before.run->data != now.run->data)
    return differs(flags.data.text.empty() ? "--data" : "--text", out, "other data");
  return {};
}

} // namespace ingot
