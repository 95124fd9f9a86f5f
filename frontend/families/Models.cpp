#include "frontend/families/Models.h"
#include "frontend/builder/Builder.h"
#include <cmath>
#include <nlohmann/json.hpp>

namespace ingot {
namespace {

using Value = Builder::Value;

constexpr int64_t largestSize = int64_t(1) << 31;
/// A graph of more layers takes minutes to compile; no known model has a tenth as many.
constexpr size_t mostLayers = 2048;

Status checkSize(std::string_view field, int64_t value, int64_t most = largestSize) {
  if (value < 1 || value > most)
    return failure(Error::Code::Usage, std::string(field), "{} is not a size from 1 to {}", value,
                   most);
  return {};
}

Value linear(Builder &b, std::string_view name, Value x, int64_t out, Initializer weight,
             Initializer bias) {
  auto scope = b.scope(name);
  int64_t in = x.valid() ? x.shape().back() : 0;
  Value w = b.parameter("weight", {out, in}, weight);
  return b.linear(x, w, b.parameter("bias", {out}, bias));
}

//===--------------------------------------------------------------------------------------------===//
// GPT-2
//===--------------------------------------------------------------------------------------------===//

class Gpt {
public:
  explicit Gpt(const GptSizes &sizes)
      : sizes(sizes), residual(Initializer::normal(0.02 / std::sqrt(2.0 * double(sizes.layers)))) {}

  Result<Model> build() {
    Value tokens = b.input("tokens", ElementType::I32, {sizes.batch, sizes.sequence});
    Value table = b.parameter("wte.weight", {sizes.vocabulary, sizes.width}, normal);
    Value x = embed(tokens, table);
    for (int64_t layer = 0; layer < sizes.layers; ++layer) {
      auto scope = b.scope(fmt::format("h.{}", layer));
      x = block(x);
    }
    x = norm("ln_f", x);
    auto scope = b.scope("lm_head");
    b.output("logits", b.linear(x, table));
    b.metadata(metadata());
    return b.finish();
  }

private:
  Value embed(Value tokens, Value table) {
    Value positions = b.parameter("wpe.weight", {sizes.sequence, sizes.width}, normal);
    auto scope = b.scope("wte");
    return b.embedding(table, tokens) + positions;
  }

  Value block(Value x) {
    x = x + attention(norm("ln_1", x));
    return x + mlp(norm("ln_2", x));
  }

  Value norm(std::string_view name, Value x) {
    auto scope = b.scope(name);
    Value scale = b.parameter("weight", {sizes.width}, one);
    return b.layerNorm(x, scale, b.parameter("bias", {sizes.width}, zero));
  }

  Value attention(Value x) {
    auto scope = b.scope("attn");
    Value qkv = linear(b, "c_attn", x, 3 * sizes.width, normal, zero);
    auto head = [&](int64_t part) {
      Value slice = b.slice(qkv, 2, part * sizes.width, (part + 1) * sizes.width);
      return b.transpose(b.reshape(slice, {sizes.batch, sizes.sequence, sizes.heads, -1}),
                         {0, 2, 1, 3});
    };
    Value mixed = b.attention(head(0), head(1), head(2), /*causal=*/true);
    Value merged =
        b.reshape(b.transpose(mixed, {0, 2, 1, 3}), {sizes.batch, sizes.sequence, sizes.width});
    return linear(b, "c_proj", merged, sizes.width, residual, zero);
  }

  Value mlp(Value x) {
    auto scope = b.scope("mlp");
    Value hidden = b.geluTanh(linear(b, "c_fc", x, 4 * sizes.width, normal, zero));
    return linear(b, "c_proj", hidden, sizes.width, residual, zero);
  }

  std::string metadata() const {
    return nlohmann::json{
        {"family", "gpt"},      {"layers", sizes.layers},     {"heads", sizes.heads},
        {"width", sizes.width}, {"sequence", sizes.sequence}, {"vocabulary", sizes.vocabulary},
        {"batch", sizes.batch}}
        .dump();
  }

  const GptSizes &sizes;
  const Initializer normal = Initializer::normal(0.02);
  const Initializer residual; ///< of projections that add to the residual stream
  const Initializer zero = Initializer::constant(0), one = Initializer::constant(1);
  Builder b;
};

} // namespace

const std::vector<GptPreset> &gptPresets() {
  static const std::vector<GptPreset> presets = {
      {"char",
       {.layers = 4, .heads = 4, .width = 128, .sequence = 64, .vocabulary = 0, .batch = 12}},
      {"gpt2", {.layers = 12, .heads = 12, .width = 768}},
      {"gpt2-medium", {.layers = 24, .heads = 16, .width = 1024}},
      {"gpt2-large", {.layers = 36, .heads = 20, .width = 1280}},
      {"gpt2-xl", {.layers = 48, .heads = 25, .width = 1600}},
  };
  return presets;
}

Result<Model> buildGpt(const GptSizes &sizes) {
  INGOT_TRY(checkSize("GptSizes::layers", sizes.layers, int64_t(mostLayers)));
  INGOT_TRY(checkSize("GptSizes::heads", sizes.heads));
  INGOT_TRY(checkSize("GptSizes::width", sizes.width));
  INGOT_TRY(checkSize("GptSizes::sequence", sizes.sequence));
  INGOT_TRY(checkSize("GptSizes::vocabulary", sizes.vocabulary));
  INGOT_TRY(checkSize("GptSizes::batch", sizes.batch));
  if (sizes.width % sizes.heads)
    return failure(Error::Code::Usage, "GptSizes::width", "{} does not divide into {} heads",
                   sizes.width, sizes.heads);
  return Gpt(sizes).build();
}

//===--------------------------------------------------------------------------------------------===//
// MLP
//===--------------------------------------------------------------------------------------------===//

Result<Model> buildMlp(const MlpSizes &sizes) {
  INGOT_TRY(checkSize("MlpSizes::batch", sizes.batch));
  if (sizes.layers.size() < 2)
    return failure(Error::Code::Usage, "MlpSizes::layers",
                   "at least inputs and outputs are needed, such as 784,256,10");
  if (sizes.layers.size() > mostLayers)
    return failure(Error::Code::Usage, "MlpSizes::layers", "{} sizes are more than {}",
                   sizes.layers.size(), mostLayers);
  for (int64_t size : sizes.layers)
    INGOT_TRY(checkSize("MlpSizes::layers", size));
  Builder b;
  Value x = b.input("x", ElementType::F32, {sizes.batch, sizes.layers.front()});
  for (size_t i = 1; i < sizes.layers.size(); ++i) {
    // PyTorch's nn.Linear: weight and bias uniform in ±1/sqrt(fan-in).
    auto initializer = Initializer::uniform(1 / std::sqrt(double(sizes.layers[i - 1])));
    x = linear(b, fmt::format("layers.{}", i - 1), x, sizes.layers[i], initializer, initializer);
    auto scope = b.scope(fmt::format("relu.{}", i - 1));
    x = i + 1 < sizes.layers.size() ? b.relu(x) : x;
  }
  b.output("logits", x);
  b.metadata(
      nlohmann::json{{"family", "mlp"}, {"layers", sizes.layers}, {"batch", sizes.batch}}.dump());
  return b.finish();
}

} // namespace ingot
