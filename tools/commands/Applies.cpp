#include "tools/commands/Applies.h"
#include "passes/options/TrainingOptions.h"
#include "tools/commands/FieldFlags.h"
#include <algorithm>

namespace ingot {
namespace {

struct Row {
  Circumstance circumstance;
  std::vector<std::string> options; ///< that do nothing then
  std::string reason;               ///< what the error says
};

/// A loss's or an optimizer's name, and those of its numbers: members of TrainingOptions.
struct NumbersOf {
  std::string_view name;
  std::vector<std::string_view> numbers;

  bool have(std::string_view number) const {
    return std::ranges::find(numbers, number) != numbers.end();
  }
};

const std::vector<NumbersOf> optimizers = {
#define INGOT_NUMBER(FIELD, ...) #FIELD,
#define INGOT_OPTIMIZER(NAME, TEXT, RATE, ...) {TEXT, {__VA_ARGS__}},
#include "passes/options/Optimizers.def"
};
const std::vector<NumbersOf> losses = {
#define INGOT_NUMBER(FIELD) #FIELD,
#define INGOT_LOSS(NAME, TEXT, ...) {TEXT, {__VA_ARGS__}},
#include "passes/options/Losses.def"
};

/// For every row of a table the numbers that only others have. The rows' circumstances follow
/// `first`; `flag` chooses between them.
template <HasFields T>
void addNumbersOfOthers(std::vector<Row> &rows, const std::vector<NumbersOf> &table,
                        Circumstance first, std::string_view flag) {
  T options;
  T::fields(options, [&]<typename V>(const Field &field, const V &) {
    if constexpr (HasFields<V>)
      addNumbersOfOthers<V>(rows, table, first, flag);
    std::vector<std::string_view> owners;
    for (const NumbersOf &each : table)
      if (each.have(field.memberName()))
        owners.push_back(each.name);
    for (size_t index = 0; !owners.empty() && index < table.size(); ++index)
      if (!table[index].have(field.memberName()))
        rows.push_back({Circumstance(int(first) + int(index)),
                        {field.flagName()},
                        fmt::format("applies to {}={} only", flag, fmt::join(owners, ", "))});
  });
}

const std::vector<std::string> gptSizes = {"--size",  "--layers",   "--heads",
                                           "--width", "--sequence", "--vocab"};
const std::vector<std::string> trainingOptions = [] {
  std::vector<std::string> flags = fieldFlags<TrainingOptions>();
  flags.insert(flags.end(), {"--train-only", "--freeze"});
  return flags;
}();

const std::vector<Row> &table() {
  static const std::vector<Row> rows = [] {
    std::vector<Row> all;
    addNumbersOfOthers<TrainingOptions>(all, optimizers, Circumstance::AdamW, "--optimizer");
    addNumbersOfOthers<TrainingOptions>(all, losses, Circumstance::None, "--loss");
    std::vector<Row> others = {
        {Circumstance::FixedShapes, {"--shapes"}, "applies to ONNX files only"},
        {Circumstance::Mlp,
         {"--size", "--heads", "--width", "--sequence", "--vocab"},
         "does not apply to mlp"},
        {Circumstance::ModelFile, gptSizes, "does not apply: a model from a file keeps its sizes"},
        {Circumstance::ModelFileBatch,
         {"--batch"},
         "does not apply: a model from a file keeps its sizes"},
        {Circumstance::Checkpoint, gptSizes,
         "does not apply: a checkpoint keeps its model's sizes"},
        {Circumstance::CheckpointMetric,
         {"--metric", "--class-axis"},
         "applies to ONNX files only: a checkpoint's training says what counts"},
        {Circumstance::CheckpointBatch,
         {"--batch"},
         "does not apply: a checkpoint keeps its batch"},
        {Circumstance::ProgramFile, gptSizes,
         "does not apply: the program in a .ingot file is compiled already"},
        {Circumstance::ProgramFile, trainingOptions,
         "does not apply: the program in a .ingot file is compiled already"},
        {Circumstance::ProgramFile,
         {"--batch", "--inference", "--target", "--memory", "--tune", "--cache", "--no-cache",
          "--explain-cache", "--dump-dir", "--print-after", "--timing", "--tf32"},
         "does not apply: the program in a .ingot file is compiled already"},
        {Circumstance::RandomGraphs, gptSizes, "does not apply: random graphs have random sizes"},
        {Circumstance::RandomGraphs, trainingOptions,
         "does not apply: random graphs have random optimizers"},
        {Circumstance::RandomGraphs,
         {"--train", "--batch", "--no-ops", "--tolerance", "--cache", "--explain-cache"},
         "does not apply to random graphs"},
        {Circumstance::GivenModel, {"--graphs"}, "applies to `check random` only"},
        {Circumstance::NoTraining, trainingOptions, "applies to training only"},
        {Circumstance::None, {"--loss-weights"}, "does not apply: the model's output is the loss"},
        {Circumstance::ReferenceDevice,
         {"--target", "--memory", "--tune", "--cache", "--no-cache", "--explain-cache", "--tf32"},
         "does not apply to --device=reference, which compiles nothing"},
        {Circumstance::NoCache, {"--cache"}, "cannot be combined with --no-cache"},
        {Circumstance::NothingRuns,
         {"--device"},
         "does not apply: nothing runs; --target says what to compile for"},
        {Circumstance::TextData, {"--scale", "--epochs"}, "does not apply to --text"},
        {Circumstance::ArrayData, {"--tokenizer", "--bpe"}, "applies to --text only"},
        {Circumstance::RandomData,
         {"--tokenizer", "--bpe", "--scale", "--eval-split", "--epochs"},
         "does not apply to --data=random"},
        {Circumstance::FixedData, {"--seed"}, "applies to --data=random only"},
        {Circumstance::NoSplit,
         {"--eval-every", "--eval-batches"},
         "needs --eval-split, the share of the data to validate on"},
        {Circumstance::ConstantRate,
         {"--decay-steps", "--final-lr"},
         "applies to --schedule=linear and cosine only"},
        {Circumstance::NoOutput,
         {"--resume", "--save-every", "--keep"},
         "needs --out=DIR, where the checkpoints are"},
        {Circumstance::LikeliestToken,
         {"--top-k", "--seed"},
         "does not apply to --temperature=0, which draws nothing"},
        {Circumstance::OwnParameters,
         {"--parameters"},
         "does not apply: the checkpoint holds its own parameters"},
        {Circumstance::SavedParameters,
         {"--seed"},
         "does not apply: the parameters come from a checkpoint"},
        {Circumstance::FileParameters,
         {"--seed"},
         "does not apply: the parameters come with the ONNX file"},
        {Circumstance::OneShape, {"--buckets"}, "applies to @forward of ONNX files only"},
        {Circumstance::NothingExpected, {"--tolerance"}, "applies to --expected_output only"},
        {Circumstance::JsonOutput, {"--top"}, "does not apply to --json, which lists everything"},
        {Circumstance::IrOutput, {"--json"}, "does not apply to --emit, which prints IR"},
    };
    std::ranges::move(others, std::back_inserter(all));
    return all;
  }();
  return rows;
}

} // namespace

Status refuseIdleOptions(const CLI::App &command, const std::vector<Circumstance> &circumstances) {
  for (const Row &row : table()) {
    if (std::ranges::find(circumstances, row.circumstance) == circumstances.end())
      continue;
    for (const std::string &name : row.options) {
      const CLI::Option *option = command.get_option_no_throw(name);
      if (option && option->count() > 0)
        return failure(Error::Code::Usage, name, "{}", row.reason);
    }
  }
  return {};
}

} // namespace ingot
