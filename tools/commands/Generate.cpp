/// `ingot generate`: text from a trained language model.
#include "runtime/training/Generate.h"
#include "frontend/api/SavedModel.h"
#include "runtime/support/Json.h"
#include "runtime/support/Print.h"
#include "runtime/training/Trainer.h"
#include "tools/commands/Command.h"
#include "tools/commands/CompileFlags.h"
#include "tools/commands/FieldFlags.h"
#include "tools/commands/Inputs.h"
#include <iostream>

namespace ingot {
namespace {

struct GenerateFlags {
  std::string checkpoint, prompt, bpe;
  GenerateOptions options;
  CompileFlags compile;
  bool json = false;
};

Status generate(const CLI::App &app, GenerateFlags &flags) {
  std::vector<Circumstance> circumstances = flags.compile.circumstances();
  if (flags.options.temperature == 0)
    circumstances.push_back(Circumstance::LikeliestToken);
  INGOT_TRY(refuseIdleOptions(app, circumstances));
  if (flags.prompt == "-")
    flags.prompt.assign(std::istreambuf_iterator<char>(std::cin), {});
  INGOT_ASSIGN(Checkpoint checkpoint, openCheckpoint(flags.checkpoint));
  // One text is written: a batch of 1 whatever the training's was.
  INGOT_ASSIGN(SavedModel saved, parseSavedModel(checkpoint.options, flags.checkpoint, 1));
  if (!flags.bpe.empty()) {
    INGOT_ASSIGN(saved.tokenizer,
                 loadGpt2Tokenizer(flags.bpe + "/encoder.json", flags.bpe + "/vocab.bpe"));
  }
  if (!saved.tokenizer)
    return failure(Error::Code::Unsupported, flags.checkpoint,
                   "holds no tokenizer to write with; --bpe=DIR names GPT-2's");
  INGOT_ASSIGN(LoadedModel loaded, flags.compile.load(saved.model, std::nullopt));
  INGOT_TRY(loadParameters(*loaded.session, "forward", checkpoint, flags.checkpoint));

  auto show = [&](std::string_view piece) {
    print("{}", piece);
    return flags.json || std::fflush(stdout) == 0;
  };
  if (!flags.json)
    show(flags.prompt);
  INGOT_ASSIGN(std::string text,
               generateText(*loaded.session, *saved.tokenizer, flags.prompt, flags.options,
                            [&](std::string_view piece) { return flags.json || show(piece); }));
  if (flags.json)
    show(toText({{"prompt", flags.prompt}, {"text", text}}));
  show("\n");
  return {};
}

} // namespace

Action declareGenerate(CLI::App &app) {
  auto flags = std::make_shared<GenerateFlags>();
  app.add_option("checkpoint", flags->checkpoint,
                 "a checkpoint file, a run's --out directory, or weights of another program")
      ->required();
  app.add_option("--prompt", flags->prompt, "what the text begins with; - reads standard input");
  app.add_option("--bpe", flags->bpe,
                 "directory of GPT-2's encoder.json and vocab.bpe, where the weights bring no "
                 "tokenizer");
  addFields(app, flags->options, "OPTIONS");
  app.add_flag("--json", flags->json, "one JSON object to stdout");
  flags->compile.declare(app);
  return [flags, &app] { return generate(app, *flags); };
}

} // namespace ingot
