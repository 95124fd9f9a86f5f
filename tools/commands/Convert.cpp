/// `ingot convert`: parameters from one form of file to another.
#include "frontend/api/SavedModel.h"
#include "frontend/weights/OutsideWeights.h"
#include "tools/commands/Command.h"
#include "tools/commands/CompileFlags.h"
#include "tools/commands/Inputs.h"
#include "tools/commands/Suggest.h"
#include <filesystem>

namespace ingot {
namespace {

enum class Form { HuggingFace, Ingot };
constexpr std::array<std::string_view, 2> enumNames(Form) { return {"huggingface", "ingot"}; }

enum class StoredType { F32, F16, BF16 };
constexpr std::array<std::string_view, 3> enumNames(StoredType) { return {"f32", "f16", "bf16"}; }
constexpr ElementType elementTypes[] = {ElementType::F32, ElementType::F16, ElementType::BF16};

struct ConvertFlags {
  std::string from, to, form = "huggingface", type = "f32";
  std::optional<std::string> shard;
};

Status convert(const ConvertFlags &flags) {
  INGOT_ASSIGN(Form form, choose<Form>("--form", flags.form));
  OutsideOptions options;
  INGOT_ASSIGN(const StoredType stored, choose<StoredType>("--type", flags.type));
  options.type = elementTypes[size_t(stored)];
  if (flags.shard) {
    INGOT_ASSIGN(options.largestShard, parseBytes("--shard", *flags.shard));
  }
  if (form == Form::Ingot && (flags.shard || options.type != ElementType::F32))
    return failure(Error::Code::Usage, flags.shard ? "--shard" : "--type",
                   "applies to --form=huggingface only");
  if (form == Form::Ingot && !flags.to.ends_with(".safetensors"))
    return failure(Error::Code::Usage, "--output",
                   "a checkpoint is a file: its name ends in .safetensors");
  if (flags.to == "-")
    return failure(Error::Code::Usage, "--output", "a directory is needed, and '-' is a stream");
  std::error_code ignored;
  if (std::filesystem::equivalent(flags.from, flags.to, ignored))
    return failure(Error::Code::Usage, "--output", "is what is converted");
  INGOT_ASSIGN(Checkpoint checkpoint, openCheckpoint(flags.from));
  INGOT_ASSIGN(SavedModel saved, parseSavedModel(checkpoint.options, flags.from));
  INGOT_TRY(keepParameters(checkpoint, saved.model, flags.from));
  if (form == Form::Ingot)
    return saveCheckpoint(flags.to, checkpoint);
  INGOT_ASSIGN(OutsideWeights weights, toOutsideWeights(checkpoint, saved, flags.from));
  return writeOutsideWeights(flags.to, weights, options);
}

} // namespace

Action declareConvert(CLI::App &app) {
  auto flags = std::make_shared<ConvertFlags>();
  app.add_option(
         "checkpoint", flags->from,
         "a checkpoint, a run's --out directory, or safetensors of another program: a file, "
         "an index of shards, a directory")
      ->required();
  app.add_option("-o,--output", flags->to,
                 "a .safetensors file, or a directory, which also gets config.json and tokenizer")
      ->required();
  app.add_option("--form", flags->form,
                 "huggingface (default): names and layout of transformers; ingot: a checkpoint of "
                 "parameters alone, which train begins with");
  app.add_option("--type", flags->type, "f32 (default), f16 or bf16");
  app.add_option("--shard", flags->shard, "largest file, such as 2GB; default: one file");
  return [flags] { return convert(*flags); };
}

} // namespace ingot
