/// The model families that can be built by name and sizes.
#pragma once
#include "frontend/api/Model.h"

namespace ingot {

/// GPT-2 (Radford et al. 2019): pre-norm transformer, learned positions, tied output matrix.
struct GptSizes {
  int64_t layers = 12;
  int64_t heads = 12;
  int64_t width = 768;
  int64_t sequence = 1024; ///< tokens of an example; also the number of positions
  int64_t vocabulary = 50257;
  int64_t batch = 4;
};

/// Fully connected layers with ReLU between them.
struct MlpSizes {
  std::vector<int64_t> layers = {784, 256, 10}; ///< inputs, hidden widths, outputs
  int64_t batch = 64;
};

/// A preset of the family `gpt`; `vocabulary` 0 means the tokenizer's.
struct GptPreset {
  std::string_view name;
  GptSizes sizes;
};
const std::vector<GptPreset> &gptPresets();

/// Input `tokens` [batch, sequence] i32, result `logits` [batch, sequence, vocabulary] f32;
/// parameters are named as in GPT-2's own checkpoint, linear weights are [out, in].
/// Usage errors name the size that is wrong.
Result<Model> buildGpt(const GptSizes &sizes);

/// Input `x` [batch, in] f32, result `logits` [batch, out] f32.
Result<Model> buildMlp(const MlpSizes &sizes);

} // namespace ingot
