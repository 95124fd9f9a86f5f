#include "passes/options/CheckTraining.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Regex.h"

namespace ingot {

namespace {

/// Where a C++ program sets a field: `AdamW::weightDecay`.
std::string ownerOf(const Field &field, TrainingOptions::Optimizer optimizer) {
  constexpr std::string_view numbers[] = {
#define INGOT_NUMBER(FIELD, ...) #FIELD,
#define INGOT_OPTIMIZER(NAME, TEXT, RATE, ...) __VA_ARGS__
#include "passes/options/Optimizers.def"
  };
  const bool isNumber = llvm::is_contained(numbers, field.memberName());
  return fmt::format("{}::{}", isNumber ? structOf(optimizer) : "ModelTrainerOptions",
                     field.memberName());
}

/// A usage error that names the first field whose number its bounds do not allow.
template <HasFields T, typename OwnerOf>
Status checkBounds(const T &options, const OwnerOf &ownerOf) {
  Status status;
  auto check = [&](const Field &field, auto number) {
    if (status && !field.bounds.holds(number))
      status = failure(Error::Code::Usage, ownerOf(field), "{} is not {}", number,
                       describe<decltype(number)>(field.bounds));
  };
  T::fields(options, [&]<typename V>(const Field &field, const V &value) {
    if constexpr (std::same_as<V, std::optional<double>>) {
      if (value)
        check(field, *value);
    } else if constexpr (std::is_arithmetic_v<V> && !std::same_as<V, bool>)
      check(field, value);
  });
  return status;
}

} // namespace

std::string_view structOf(TrainingOptions::Optimizer optimizer) {
  constexpr std::string_view structs[] = {
#define INGOT_NUMBER(...)
#define INGOT_OPTIMIZER(NAME, ...) #NAME,
#include "passes/options/Optimizers.def"
  };
  return structs[static_cast<size_t>(optimizer)];
}

Status checkTraining(const TrainingOptions &options) {
  INGOT_TRY(
      checkBounds(options, [&](const Field &field) { return ownerOf(field, options.optimizer); }));
  if (options.nesterov && (options.momentum == 0 || options.dampening != 0))
    return failure(Error::Code::Usage, "Sgd::nesterov",
                   "needs a momentum above 0 and no dampening");
  if (options.dampening != 0 && options.momentum == 0)
    return failure(Error::Code::Usage, "Sgd::dampening", "needs a momentum above 0");
  for (const ParameterGroup &group : options.groups) {
    std::string why;
    if (group.pattern.find(';') != std::string::npos)
      why = "a ';' occurs in no parameter's name";
    if (!why.empty() || !llvm::Regex(group.pattern).isValid(why))
      return failure(Error::Code::Usage, "ParameterGroup::pattern",
                     "'{}' is no regular expression: {}", group.pattern, why);
    INGOT_TRY(checkBounds(
        group, [](const Field &field) { return "ParameterGroup::" + field.memberName(); }));
  }
  return {};
}

} // namespace ingot
