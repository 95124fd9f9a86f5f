/// `ingot eval`: how good a checkpoint is on data.
#include "frontend/api/SavedModel.h"
#include "runtime/support/Json.h"
#include "runtime/support/Print.h"
#include "runtime/training/Accuracy.h"
#include "runtime/training/Trainer.h"
#include "tools/commands/Command.h"
#include "tools/commands/CompileFlags.h"
#include "tools/commands/DataFlags.h"
#include "tools/commands/Inputs.h"
#include "tools/commands/ModelFlags.h"
#include "tools/commands/Numbers.h"
#include "tools/commands/Suggest.h"
#include <cmath>

namespace ingot {
namespace {

struct EvalFlags {
  ModelFlags model; ///< a checkpoint, or an ONNX file
  DataFlags data;
  CompileFlags compile;
  int64_t batches = 0;
  uint64_t seed = 0;
  std::optional<std::string> metric;
  int64_t classAxis = -1;
  bool json = false;
};

using Json = nlohmann::json;

/// Adds what people judge such a model by besides its loss: a classifier's accuracy, the perplexity
/// of a model of text.
Status addQuality(Session &session, const BatchSource &source, const SavedModel &saved,
                  int64_t batches, Json &report) {
  if (saved.training.loss != TrainingOptions::Loss::CrossEntropy)
    return {};
  if (const auto classifier =
          classifierOf(session.program(), saved.training.lossNumbers.ignoreIndex)) {
    INGOT_ASSIGN(report["accuracy"], evaluateAccuracy(session, source, batches, *classifier));
  } else if (countsTokens(source.ports())) {
    report["perplexity"] = std::exp(report["loss"].get<double>());
  }
  return {};
}

/// The batches of an evaluation, in the files' order; the last may hold fewer rows than others.
Result<std::unique_ptr<BatchSource>> openBatches(const EvalFlags &flags, const DataSet &data,
                                                 const std::vector<BatchPort> &ports,
                                                 bool fillsLastBatch, int64_t &batches) {
  using Part = DataSet::SourceOptions::Part;
  DataSet::SourceOptions options{flags.seed, /*fileOrder=*/true, /*spread=*/0,
                                 flags.data.evaluationSplit > 0 ? Part::Validation : Part::All,
                                 fillsLastBatch};
  INGOT_ASSIGN(std::unique_ptr<BatchSource> source, data.source(ports, options));
  const int64_t whole = std::max<int64_t>(source->batchesPerEpoch(), 1);
  batches = options.spread = flags.batches > 0 ? flags.batches : whole;
  return data.source(ports, options);
}

/// Whether the rows do not fill the last batch, and weights can leave out what fills it up.
bool needsWeights(const SavedModel &saved, const DataSet &data, const EvalFlags &flags) {
  const std::vector<ModelPort> ports = saved.model.ports();
  const auto input = std::ranges::find(ports, Role::Input, &ModelPort::role);
  const int64_t rows =
      flags.data.evaluationSplit > 0 ? data.rows() - data.trainingRows() : data.rows();
  return input != ports.end() && !input->shape.empty() && input->shape[0] > 0 &&
         rows % input->shape[0] != 0 && saved.training.loss != Loss::None &&
         saved.training.lossNumbers.reduction != Reduction::BatchMean;
}

/// A model from a file as a classifier: its first output, and targets for each position.
Status evaluateModel(const CLI::App &app, EvalFlags &flags) {
  std::vector<Circumstance> circumstances = circumstancesOf(flags.model, flags.data, flags.compile);
  if (!flags.data.isRandom())
    circumstances.push_back(Circumstance::FixedData);
  INGOT_TRY(refuseIdleOptions(app, circumstances));
  INGOT_ASSIGN(DataSet data, DataSet::read(flags.data));
  INGOT_TRY(flags.model.learnShapes(data.shapes()));
  INGOT_ASSIGN(Model model, flags.model.build());
  INGOT_ASSIGN(LoadedModel loaded, flags.compile.load(model, std::nullopt));
  const Function &forward = *loaded.session->program().function("forward");
  auto output = std::ranges::find(forward.ports, Role::Output, &Port::role);
  const auto dimensions = int64_t(output->shape.size());
  const int64_t axis = flags.classAxis < 0 ? dimensions - 1 : flags.classAxis;
  if (output->type != ElementType::F32 || dimensions < 2 || axis >= dimensions)
    return failure(Error::Code::BadInput, output->name,
                   "accuracy needs f32 [rows, …, classes, …] with class axis {}, but this is {} {}",
                   axis, toString(output->shape), name(output->type));
  BatchPort targets{"targets", ElementType::I64, output->shape, output->shape[size_t(axis)]};
  targets.shape.erase(targets.shape.begin() + axis);
  std::vector<BatchPort> ports = batchPorts(forward);
  ports.push_back(targets);
  int64_t batches = 0;
  INGOT_ASSIGN(std::unique_ptr<BatchSource> source, openBatches(flags, data, ports, true, batches));
  INGOT_ASSIGN(const double accuracy, evaluateAccuracy(*loaded.session, *source, batches,
                                                       {output->name, targets.name, axis}));
  if (flags.json)
    print("{}\n", toText({{"accuracy", accuracy}, {"batches", batches}}));
  else
    print("accuracy {:.2f} % over {} batches\n", 100 * accuracy, batches);
  return {};
}

/// `loss 2.301 (perplexity 9.98) over 4 batches, after step 20`.
std::string describe(const Json &report) {
  std::string quality;
  if (report.contains("accuracy"))
    quality = fmt::format(" (accuracy {:.2f} %)", 100 * report["accuracy"].get<double>());
  if (report.contains("perplexity"))
    quality = fmt::format(" (perplexity {:.3f})", report["perplexity"].get<double>());
  return fmt::format("loss {:.6f}{} over {} batches, after step {}\n", report["loss"].get<double>(),
                     quality, report["batches"].get<int64_t>(), report["step"].get<int64_t>());
}

Status evaluate(const CLI::App &app, EvalFlags &flags) {
  if (flags.metric) {
    constexpr std::string_view metrics[] = {"accuracy"};
    INGOT_TRY(choose("--metric", *flags.metric, metrics));
  }
  if (flags.model.isOnnx())
    return evaluateModel(app, flags);
  const std::string &path = flags.model.model;
  std::vector<Circumstance> circumstances = circumstancesOf(flags.data, flags.compile);
  circumstances.insert(
      circumstances.end(),
      {Circumstance::FixedShapes, Circumstance::CheckpointMetric, Circumstance::CheckpointBatch});
  if (!flags.data.isRandom())
    circumstances.push_back(Circumstance::FixedData);
  INGOT_TRY(refuseIdleOptions(app, circumstances));
  INGOT_ASSIGN(Checkpoint checkpoint, openCheckpoint(path));
  INGOT_ASSIGN(SavedModel saved, parseSavedModel(checkpoint.options, path));
  const bool isScaled = flags.data.text.empty() && !flags.data.isRandom();
  if (isScaled && saved.run && saved.run->scale != 1 && app.get_option("--scale")->count() == 0) {
    flags.data.scale = saved.run->scale;
    print(stderr, "note: --scale={}, as in training\n", flags.data.scale);
  }
  if (!flags.data.text.empty() && !saved.tokenizer && !flags.data.bpe)
    return failure(Error::Code::Usage, "--bpe",
                   "is needed: {} holds no tokenizer for --text (GPT-2's is in this directory)",
                   path);
  INGOT_ASSIGN(DataSet data, DataSet::read(flags.data, flags.data.bpe ? nullptr : saved.tokenizer));
  saved.training.lossWeights |= needsWeights(saved, data, flags);
  INGOT_ASSIGN(LoadedModel loaded, flags.compile.load(saved.model, saved.training));
  INGOT_TRY(loadParameters(*loaded.session, "evaluate", checkpoint, path));

  int64_t batches = 0;
  INGOT_ASSIGN(std::unique_ptr<BatchSource> source,
               openBatches(flags, data, batchPorts(*loaded.session->program().function("evaluate")),
                           saved.training.lossWeights, batches));
  INGOT_ASSIGN(double loss, evaluateLoss(*loaded.session, *source, batches));
  Json report = {{"loss", loss}, {"batches", batches}, {"step", checkpoint.step}};
  INGOT_TRY(addQuality(*loaded.session, *source, saved, batches, report));
  if (flags.json)
    print("{}\n", toText(report));
  else
    print("{}", describe(report));
  return {};
}

} // namespace

Action declareEval(CLI::App &app) {
  auto flags = std::make_shared<EvalFlags>();
  app.add_option("checkpoint", flags->model.model,
                 "a checkpoint file, a run's --out directory, weights of another program, or an "
                 "ONNX file")
      ->required();
  flags->model.declareShapes(app);
  app.add_option("--metric", flags->metric, "ONNX: accuracy");
  addNumber(app, "--class-axis", flags->classAxis, atLeast(-1),
            "ONNX: the output's dimension of classes; -1 (default): the last");
  flags->data.declareSources(app);
  app.add_option("--bpe", flags->data.bpe,
                 "directory of GPT-2's encoder.json and vocab.bpe, where the weights bring no "
                 "tokenizer");
  addNumber(app, "--batches", flags->batches, atLeast(1),
            "batches spread evenly over the data; default: all");
  addNumber(app, "--seed", flags->seed, Bounds(), "of --data=random");
  app.add_flag("--json", flags->json, "one JSON object to stdout");
  flags->compile.declare(app);
  return [flags, &app] { return evaluate(app, *flags); };
}

} // namespace ingot
