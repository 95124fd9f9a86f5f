/// `ingot convert`: parameters from one form of file to another.
#include "frontend/api/SavedModel.h"
#include "frontend/onnx/Export.h"
#include "frontend/weights/OutsideWeights.h"
#include "runtime/support/File.h"
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
  std::optional<std::string> shard, model;
};

/// The parameters of a checkpoint in the ONNX file that it was trained from.
Status convertToOnnx(const ConvertFlags &flags, const Checkpoint &checkpoint) {
  if (!flags.model)
    return failure(Error::Code::Usage, "--model",
                   "is needed: the ONNX file that the training began with");
  INGOT_ASSIGN(const onnx::OnnxFile file, onnx::OnnxFile::open(*flags.model));
  INGOT_ASSIGN(const std::string bytes, onnx::withWeights(file, checkpoint.tensors));
  return writeFile(flags.to, bytes);
}

Status convert(const ConvertFlags &flags) {
  INGOT_ASSIGN(Form form, choose<Form>("--form", flags.form));
  OutsideOptions options;
  INGOT_ASSIGN(const StoredType stored, choose<StoredType>("--type", flags.type));
  options.type = elementTypes[size_t(stored)];
  if (flags.shard) {
    INGOT_ASSIGN(options.largestShard, parseBytes("--shard", *flags.shard));
  }
  const bool toOnnx = flags.to.ends_with(".onnx");
  if (toOnnx && (flags.shard || options.type != ElementType::F32 || form == Form::Ingot))
    return failure(Error::Code::Usage, "--output",
                   "an ONNX file keeps its types and is one file: --form, --type and --shard do "
                   "not apply");
  if (!toOnnx && flags.model)
    return failure(Error::Code::Usage, "--model", "applies to an --output that ends in .onnx only");
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
  if (toOnnx)
    return convertToOnnx(flags, checkpoint);
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
                 "a .safetensors file, a directory, which also gets config.json and tokenizer, or "
                 "an .onnx file")
      ->required();
  app.add_option("--form", flags->form,
                 "huggingface (default): names and layout of transformers; ingot: a checkpoint of "
                 "parameters alone, which train begins with");
  app.add_option("--model", flags->model,
                 "the ONNX file that the training began with; the output is that file with the "
                 "trained weights");
  app.add_option("--type", flags->type, "f32 (default), f16 or bf16");
  app.add_option("--shard", flags->shard, "largest file, such as 2GB; default: one file");
  return [flags] { return convert(*flags); };
}

} // namespace ingot
