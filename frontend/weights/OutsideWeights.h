/// Parameters as other programs keep them: safetensors with the names of Hugging Face's
/// transformers, f32, f16 or bf16, one file or shards, beside a config.json where there is one.
#pragma once
#include "frontend/families/Models.h"
#include "runtime/data/Tokenizer.h"
#include "runtime/training/Safetensors.h"

namespace ingot {

/// A model of a family with its parameters, by Ingot's names and in its layout, all f32.
struct OutsideWeights {
  std::variant<GptSizes, MlpSizes> sizes; ///< the batch is the family's own
  std::map<std::string, Tensor> parameters;
  std::map<std::string, std::string> metadata; ///< the file's own, kept
  TokenizerPointer tokenizer;                  ///< vocab.json and merges.txt beside it, if there
  std::vector<std::string> notes;              ///< what had to be assumed
};

/// The file of tensors or the index of shards that a path stands for: itself, or one in a
/// directory; empty if that has none.
std::string weightsFile(const std::string &path);

/// The tensors of such a file, those of a training's checkpoint too.
Result<Safetensors> readTensors(const std::string &file);

/// What they are, with the help of files beside theirs. Errors name the file and the tensor or
/// setting that Ingot's families do not have.
Result<OutsideWeights> parseOutsideWeights(Safetensors contents, const std::string &file);

struct OutsideOptions {
  ElementType type = ElementType::F32; ///< or f16, bf16
  int64_t largestShard = INT64_MAX;    ///< bytes
};

/// The inverse. A path that ends in `.safetensors` is that file; another one is a directory, which
/// also gets the config.json and, for GPT-2's tokenizer, the vocab.json and merges.txt that
/// transformers want.
Status writeOutsideWeights(const std::string &path, const OutsideWeights &weights,
                           const OutsideOptions &options);

} // namespace ingot
