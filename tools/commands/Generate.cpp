/// `ingot generate`: text from a trained language model.
#include "runtime/training/Generate.h"
#include "frontend/api/SavedModel.h"
#include "runtime/training/Trainer.h"
#include "tools/commands/Command.h"
#include "tools/commands/CompileFlags.h"
#include <iostream>
#include <nlohmann/json.hpp>

namespace ingot {
namespace {

struct GenerateFlags {
  std::string checkpoint, prompt;
  GenerateOptions options;
  CompileFlags compile;
  bool json = false;
};

Status generate(GenerateFlags &flags) {
  if (flags.options.tokens < 0)
    return failure(Error::Code::Usage, "--tokens", "must be 0 or more");
  if (flags.options.temperature < 0)
    return failure(Error::Code::Usage, "--temperature", "must be 0 or more");
  if (flags.prompt == "-")
    flags.prompt.assign(std::istreambuf_iterator<char>(std::cin), {});
  INGOT_ASSIGN(Checkpoint checkpoint, readCheckpoint(flags.checkpoint));
  // One text is written: a batch of 1 whatever the training's was.
  INGOT_ASSIGN(SavedModel saved, parseSavedModel(checkpoint.options, flags.checkpoint, 1));
  if (!saved.tokenizer)
    return failure(Error::Code::Unsupported, flags.checkpoint,
                   "the model was not trained on text: there is no tokenizer to write with");
  INGOT_ASSIGN(LoadedModel loaded, flags.compile.load(saved.model, std::nullopt));
  INGOT_TRY(loadParameters(*loaded.session, "forward", checkpoint, flags.checkpoint));

  auto show = [&](std::string_view piece) {
    fmt::print("{}", piece);
    return flags.json || std::fflush(stdout) == 0;
  };
  if (!flags.json)
    show(flags.prompt);
  INGOT_ASSIGN(std::string text,
               generateText(*loaded.session, *saved.tokenizer, flags.prompt, flags.options,
                            [&](std::string_view piece) { return flags.json || show(piece); }));
  if (flags.json)
    show(nlohmann::json{{"prompt", flags.prompt}, {"text", text}}.dump(
        -1, ' ', false, nlohmann::json::error_handler_t::replace));
  show("\n");
  return {};
}

} // namespace

Action declareGenerate(CLI::App &app) {
  auto flags = std::make_shared<GenerateFlags>();
  app.add_option("checkpoint", flags->checkpoint, "a checkpoint file or a run's --out directory")
      ->required();
  app.add_option("--prompt", flags->prompt, "what the text begins with; - reads standard input");
  app.add_option("--tokens", flags->options.tokens, "tokens to write; default 100");
  app.add_option("--temperature", flags->options.temperature,
                 "default 1; 0: always the likeliest token");
  app.add_option("--top-k", flags->options.topK, "only the likeliest K tokens; 0: all");
  app.add_option("--seed", flags->options.seed, "of the choice of tokens");
  app.add_flag("--json", flags->json, "one JSON object to stdout");
  flags->compile.declare(app);
  return [flags] { return generate(*flags); };
}

} // namespace ingot
