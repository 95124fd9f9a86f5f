#include "frontend/weights/WeightNames.h"
#include <algorithm>
#include <charconv>

namespace ingot {
namespace {

/// GPT2LMHeadModel. Its Conv1D keeps weights [in, out].
constexpr WeightName gpt[] = {
    {"wte.weight", "wte.weight"},
    {"wpe.weight", "wpe.weight"},
    {"h.*.ln_1.weight", "h.*.ln_1.weight"},
    {"h.*.ln_1.bias", "h.*.ln_1.bias"},
    {"h.*.attn.c_attn.weight", "h.*.attn.c_attn.weight", /*isTransposed=*/true},
    {"h.*.attn.c_attn.bias", "h.*.attn.c_attn.bias"},
    {"h.*.attn.c_proj.weight", "h.*.attn.c_proj.weight", /*isTransposed=*/true},
    {"h.*.attn.c_proj.bias", "h.*.attn.c_proj.bias"},
    {"h.*.ln_2.weight", "h.*.ln_2.weight"},
    {"h.*.ln_2.bias", "h.*.ln_2.bias"},
    {"h.*.mlp.c_fc.weight", "h.*.mlp.c_fc.weight", /*isTransposed=*/true},
    {"h.*.mlp.c_fc.bias", "h.*.mlp.c_fc.bias"},
    {"h.*.mlp.c_proj.weight", "h.*.mlp.c_proj.weight", /*isTransposed=*/true},
    {"h.*.mlp.c_proj.bias", "h.*.mlp.c_proj.bias"},
    {"ln_f.weight", "ln_f.weight"},
    {"ln_f.bias", "ln_f.bias"},
    {"wte.weight", "lm_head.weight", /*isTransposed=*/false, /*isCopy=*/true},
    // Causal masks, in files of old versions.
    {"", "h.*.attn.bias"},
    {"", "h.*.attn.masked_bias"},
};

/// torch.nn.Linear layers in a list.
constexpr WeightName mlp[] = {
    {"layers.*.weight", "layers.*.weight"},
    {"layers.*.bias", "layers.*.bias"},
};

constexpr WeightForm forms[] = {{"gpt", "transformer.", gpt}, {"mlp", "", mlp}};

/// Whether `pattern` describes `name`; `layer` is what its `*` stands for.
bool matches(std::string_view pattern, std::string_view name, std::optional<int64_t> &layer) {
  const size_t star = pattern.find('*');
  if (star == pattern.npos)
    return pattern == name;
  const std::string_view head = pattern.substr(0, star), tail = pattern.substr(star + 1);
  if (name.size() <= head.size() + tail.size() || !name.starts_with(head) || !name.ends_with(tail))
    return false;
  const std::string_view digits = name.substr(head.size(), name.size() - head.size() - tail.size());
  int64_t number = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size() || number < 0 ||
      std::to_string(number) != digits)
    return false;
  layer = number;
  return true;
}

std::optional<FoundName> find(const WeightForm &form, std::string_view name,
                              std::string_view WeightName::*side) {
  for (const WeightName &row : form.names) {
    FoundName found{&row, {}};
    if (!(row.*side).empty() && matches(row.*side, name, found.layer))
      return found;
  }
  return std::nullopt;
}

std::string fill(std::string_view pattern, std::optional<int64_t> layer) {
  std::string name(pattern);
  if (size_t star = name.find('*'); star != name.npos)
    name.replace(star, 1, std::to_string(layer.value_or(0)));
  return name;
}

} // namespace

std::span<const WeightForm> weightForms() { return forms; }

const WeightForm *weightForm(std::string_view family) {
  auto found = std::ranges::find(forms, family, &WeightForm::family);
  return found == std::end(forms) ? nullptr : &*found;
}

std::string FoundName::ours() const { return fill(row->ours, layer); }
std::string FoundName::theirs() const { return fill(row->theirs, layer); }

std::optional<FoundName> findOurs(const WeightForm &form, std::string_view name) {
  return find(form, name, &WeightName::ours);
}
std::optional<FoundName> findTheirs(const WeightForm &form, std::string_view name) {
  return find(form, name, &WeightName::theirs);
}

} // namespace ingot
