/// `ingot eval`: a checkpoint's loss on data.
#include "frontend/api/SavedModel.h"
#include "runtime/training/Progress.h"
#include "runtime/training/Trainer.h"
#include "tools/commands/Command.h"
#include "tools/commands/CompileFlags.h"
#include "tools/commands/DataFlags.h"
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

Status evaluate(const EvalFlags &flags) {
  INGOT_ASSIGN(Checkpoint checkpoint, readCheckpoint(flags.checkpoint));
  INGOT_ASSIGN(SavedModel saved, parseSavedModel(checkpoint.options, flags.checkpoint));
  INGOT_ASSIGN(DataSet data, DataSet::read(flags.data, saved.tokenizer));
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
  if (flags.json)
    fmt::print("{{\"loss\":{},\"perplexity\":{},\"batches\":{},\"step\":{}}}\n",
               shortestNumber(loss), shortestNumber(std::exp(loss)), options.spread,
               checkpoint.step);
  else
    fmt::print("loss {:.6f} (perplexity {:.3f}) over {} batches, after step {}\n", loss,
               std::exp(loss), options.spread, checkpoint.step);
  return {};
}

} // namespace

Action declareEval(CLI::App &app) {
  auto flags = std::make_shared<EvalFlags>();
  app.add_option("checkpoint", flags->checkpoint, "a checkpoint file or a run's --out directory")
      ->required();
  flags->data.declare(app);
  app.add_option("--batches", flags->batches, "batches laid evenly over the data; default: all");
  app.add_option("--seed", flags->seed, "of --data=random");
  app.add_flag("--json", flags->json, "one JSON object to stdout");
  flags->compile.declare(app);
  return [flags] { return evaluate(*flags); };
}

} // namespace ingot
