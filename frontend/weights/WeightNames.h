/// How other programs name and lay out the parameters of a model family: the one table that
/// importers and exporters of weights share.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ingot {

/// A row: `*` stands for a layer's number, the same in both names.
struct WeightName {
  std::string_view ours;     ///< the parameter; empty: a tensor that Ingot has no use for
  std::string_view theirs;   ///< without the prefix that some files have
  bool isTransposed = false; ///< [in, out] there, [out, in] here
  bool isCopy = false;       ///< of another row's parameter, and left out in writing
};

/// Rows and prefix of a family, `gpt` or `mlp`, as Hugging Face's transformers and PyTorch spell
/// them.
struct WeightForm {
  std::string_view family;
  std::string_view prefix; ///< of all names but copies, in files that hold the whole model
  std::span<const WeightName> names;
};
std::span<const WeightForm> weightForms();
/// Null for a family without a form.
const WeightForm *weightForm(std::string_view family);

/// A name that a row describes, and the layer's number in it.
struct FoundName {
  const WeightName *row;
  std::optional<int64_t> layer;

  std::string ours() const;
  std::string theirs() const;
};
/// By our or their name; nothing if no row has it.
std::optional<FoundName> findOurs(const WeightForm &form, std::string_view name);
std::optional<FoundName> findTheirs(const WeightForm &form, std::string_view name);

} // namespace ingot
