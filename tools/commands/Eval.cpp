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
#include "tools/commands/Numbers.h"
#include <cmath>

namespace ingot {
namespace {

struct EvalFlags {
  std::string checkpoint;
  DataFlags data;
  CompileFlags compile;
  int64_t batches = 0;
  uint64_t seed = 0;
  bool json = false;
};

using Json = nlohmann::json;

/// Adds what people judge such a model by besides its loss: a classifier's accuracy, the perplexity
/// of a model of text.
Status addQuality(Session &session, const BatchSource &source, const SavedModel &saved,
                  int64_t batches, Json &report) {
  if (saved.training.loss != TrainingOptions::Loss::CrossEntropy)
    return {};
  if (isClassifier(session.program())) {
    INGOT_ASSIGN(report["accuracy"], evaluateAccuracy(session, source, batches));
  } else if (countsTokens(source.ports())) {
    report["perplexity"] = std::exp(report["loss"].get<double>());
  }
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
  std::vector<Circumstance> circumstances = circumstancesOf(flags.data, flags.compile);
  if (!flags.data.isRandom())
    circumstances.push_back(Circumstance::FixedData);
  INGOT_TRY(refuseIdleOptions(app, circumstances));
  INGOT_ASSIGN(Checkpoint checkpoint, openCheckpoint(flags.checkpoint));
  INGOT_ASSIGN(SavedModel saved, parseSavedModel(checkpoint.options, flags.checkpoint));
  const bool isScaled = flags.data.text.empty() && !flags.data.isRandom();
  if (isScaled && saved.run && saved.run->scale != 1 && app.get_option("--scale")->count() == 0) {
    flags.data.scale = saved.run->scale;
    print(stderr, "note: --scale={}, as in training\n", flags.data.scale);
  }
  if (!flags.data.text.empty() && !saved.tokenizer && !flags.data.bpe)
    return failure(Error::Code::Usage, "--bpe",
                   "is needed: {} holds no tokenizer for --text (GPT-2's is in this directory)",
                   flags.checkpoint);
  INGOT_ASSIGN(DataSet data, DataSet::read(flags.data, flags.data.bpe ? nullptr : saved.tokenizer));
  INGOT_ASSIGN(LoadedModel loaded, flags.compile.load(saved.model, saved.training));
  INGOT_TRY(loadParameters(*loaded.session, "evaluate", checkpoint, flags.checkpoint));

  using Part = DataSet::SourceOptions::Part;
  DataSet::SourceOptions options{flags.seed, /*fileOrder=*/true, /*spread=*/0,
                                 flags.data.evaluationSplit > 0 ? Part::Validation : Part::All};
  std::vector<BatchPort> ports = batchPorts(*loaded.session->program().function("evaluate"));
  INGOT_ASSIGN(std::unique_ptr<BatchSource> source, data.source(ports, options));
  int64_t whole = std::max<int64_t>(source->batchesPerEpoch(), 1);
  options.spread = flags.batches > 0 ? flags.batches : whole;
  INGOT_ASSIGN(source, data.source(ports, options));
  INGOT_ASSIGN(double loss, evaluateLoss(*loaded.session, *source, options.spread));
  Json report = {{"loss", loss}, {"batches", options.spread}, {"step", checkpoint.step}};
  INGOT_TRY(addQuality(*loaded.session, *source, saved, options.spread, report));
  if (flags.json)
    print("{}\n", toText(report));
  else
    print("{}", describe(report));
  return {};
}

} // namespace

Action declareEval(CLI::App &app) {
  auto flags = std::make_shared<EvalFlags>();
  app.add_option("checkpoint", flags->checkpoint,
                 "a checkpoint file, a run's --out directory, or weights of another program")
      ->required();
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
